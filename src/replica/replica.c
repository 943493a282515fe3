/* SPDX-License-Identifier: Apache-2.0 */
/* One group's replica: made, started, ended. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/shard.h"
#include "replica/state.h"
#include "skein/group.h"

bool
replica_is_leader(const struct replica *replica)
{
    return replica->raft && raft_role(replica->raft) == RAFT_LEADER;
}

void
replica_signal(struct replica *replica)
{
    struct host *host = replica->host;
    if (!replica->ready)
        list_push_back(&host->ready, &replica->ready_link);
    if (!replica->awake)
        list_push_back(&host->awake, &replica->awake_link);
    replica->ready = replica->awake = true;
    driver_signal(host);
}

struct peer_view *
replica_view(struct replica *replica, uint32_t node)
{
    const struct peer *peer = host_peer(replica->host, node);
    return peer ? &replica->views[peer - replica->host->peers] : NULL;
}

struct replica *
replica_create(struct host *host, uint32_t group)
{
    struct replica *replica = mem_zalloc(sizeof *replica);
    replica->host = host;
    replica->group = group;
    replica->next_context = skein_random() >> 8;
    replica->dir = mem_alloc(strlen(host->data_dir) + 32);
    if (group == 0)
        sprintf(replica->dir, "%s", host->data_dir);
    else
        sprintf(replica->dir, "%s/groups/%" PRIu32, host->data_dir, group);
    skein_waitq_init(&replica->progress_wake);
    skein_waitq_init(&replica->receive.wake);
    list_init(&replica->durable);
    list_init(&replica->queue);
    list_init(&replica->proposals);
    list_init(&replica->reads);
    list_init(&replica->forwarded);
    list_init(&replica->remotes);
    return replica;
}

int
replica_open_machine(struct replica *replica)
{
    const struct replica_options *options = &replica->host->options;
    int rc = sessions_open(&replica->sessions);
    return rc == 0 ? options->machine_ops->open(&replica->machine, options->machine_config) : rc;
}

void
replica_destroy(struct replica *replica)
{
    ready_drop_writes(replica);
    load_drop(replica);
    raft_close(replica->raft);
    if (replica->machine)
        replica->host->options.machine_ops->close(replica->machine);
    sessions_close(replica->sessions);
    mem_free(replica->dir);
    mem_free(replica);
}
