/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, watching and stopping a replica. */
#include "replica/replica.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"

struct peer *
replica_peer(struct replica *replica, uint32_t node)
{
    for (uint32_t i = 0; i < replica->peer_count; i++)
        if (replica->peers[i].node == node && !replica->peers[i].gone)
            return &replica->peers[i];
    return NULL;
}

bool
replica_is_leader(const struct replica *replica)
{
    return replica->raft && raft_role(replica->raft) == RAFT_LEADER;
}

void
replica_fail(struct replica *replica, int code, const char *format, ...)
{
    if (replica->phase == REPLICA_FAILED)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(replica->why, sizeof replica->why, format, args);
    va_end(args);
    char quoted[600];
    obs_log(OBS_ERROR, "replica", "failed", "node=%u error=%s why=%s", replica->options.node,
            skein_error_name(code),
            obs_quote(quoted, sizeof quoted, replica->why, strlen(replica->why)));
    replica->phase = REPLICA_FAILED;
    replica->failure = code;
    skein_wake_all(&replica->progress_wake);
    skein_wake_all(&replica->idle_wake);
    driver_signal(replica);
}

static void
init_state(struct replica *replica, const struct replica_options *options)
{
    replica->magic = REPLICA_MAGIC;
    replica->options = *options;
    replica->link = options->link;
    replica->data_dir = mem_strdup(options->data_dir);
    replica->wal_dir = mem_alloc(strlen(options->data_dir) + 5);
    sprintf(replica->wal_dir, "%s/wal", options->data_dir);
    replica->lock = -1;
    replica->session = skein_random() | 1;
    replica->handler = (struct replica_link_handler){.owner = replica,
                                                     .on_message = inbox_on_message,
                                                     .on_lost = inbox_on_lost,
                                                     .on_refused = members_on_refused};
    skein_scope_init(&replica->scope);
    skein_scope_init(&replica->wal_scope);
    skein_waitq_init(&replica->driver_wake);
    skein_waitq_init(&replica->idle_wake);
    skein_waitq_init(&replica->checkpoint_wake);
    skein_waitq_init(&replica->progress_wake);
    skein_waitq_init(&replica->receive.wake);
    list_init(&replica->durable);
    list_init(&replica->queue);
    list_init(&replica->proposals);
    list_init(&replica->reads);
    list_init(&replica->remotes);
    for (uint32_t i = 0; i < REPLICA_FORWARD_BUCKETS; i++)
        list_init(&replica->forwards[i]);
    for (uint32_t i = 0; i < options->peer_count && i < REPLICA_NODES_MAX; i++) {
        (void)roster_put(&replica->configured, &options->peers[i]);
        if (options->peers[i].node != options->node)
            replica->peers[replica->peer_count++].node = options->peers[i].node;
    }
    replica->options.peers = NULL;
    replica->options.cluster_name = NULL;
    replica->options.data_dir = replica->data_dir;
}

static int
check_options(const struct replica_options *options, uint32_t nodes[REPLICA_NODES_MAX],
              char out_why[512])
{
    size_t name_bytes = strlen(options->cluster_name);
    bool found = false;
    if (name_bytes < 1 || name_bytes > GENESIS_NAME_BYTES_MAX || options->peer_count < 1 ||
        options->peer_count > REPLICA_NODES_MAX) {
        snprintf(out_why, 512,
                 "a cluster has a name of 1 to %d bytes and 1 to %d nodes; this one has %zu bytes "
                 "and %u nodes",
                 GENESIS_NAME_BYTES_MAX, REPLICA_NODES_MAX, name_bytes, options->peer_count);
        return -SKEIN_EINVALID;
    }
    for (uint32_t i = 0; i < options->peer_count; i++) {
        uint32_t at = i, node = options->peers[i].node;
        for (; at > 0 && nodes[at - 1] > node; at--)
            nodes[at] = nodes[at - 1];
        nodes[at] = node;
        found |= node == options->node;
    }
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (nodes[i] == 0 || nodes[i] > UINT16_MAX || (i > 0 && nodes[i - 1] == nodes[i]))
            found = false;
    if (!found) {
        snprintf(out_why, 512,
                 "node numbers are 1 to 65535, each once, and this node's (%u) is one of them",
                 options->node);
        return -SKEIN_EINVALID;
    }
    return 0;
}

/*
 * What an earlier process has renamed and died before it could sync is to be seen now, and would be
 * gone with the power: nothing is built on it before it is durable.
 */
static int
sync_names(struct replica *replica, char out_why[512])
{
    int rc = skein_file_sync_directory(replica->data_dir);
    if (rc < 0)
        snprintf(out_why, 512, "%.400s: cannot be synced: %s", replica->data_dir,
                 skein_error_text(rc));
    return rc;
}

static int
lock_directory(struct replica *replica, char out_why[512])
{
    char path[4200], parent[4100];
    int rc = skein_file_mkdir(replica->data_dir, 0755);
    bool is_new = rc == 0;
    if (is_new || rc == -EEXIST) {
        /* Also when it is there: whoever made it may have died, or failed, before this. A parent
         * that may not be opened was not made by us. */
        snprintf(parent, sizeof parent, "%s/..", replica->data_dir);
        rc = skein_file_sync_directory(parent);
        if (!is_new && (rc == -EACCES || rc == -EPERM || rc == -EROFS))
            rc = 0;
    }
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s: cannot be made: %s", replica->data_dir,
                 skein_error_text(rc));
        return rc;
    }
    snprintf(path, sizeof path, "%s/LOCK", replica->data_dir);
    rc = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0644);
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s/LOCK: cannot be opened: %s", replica->data_dir,
                 skein_error_text(rc));
        return rc;
    }
    replica->lock = rc;
    rc = skein_file_lock(replica->lock);
    if (rc == 0)
        return sync_names(replica, out_why);
    snprintf(out_why, 512,
             "%.300s: another process uses this data directory; stop it, or give this node a "
             "directory of its own",
             replica->data_dir);
    return rc == -EWOULDBLOCK ? -SKEIN_EBUSY : rc;
}

/* A directory without an identity must not hold anything that an identity should speak for. */
static int
check_new(struct replica *replica, char out_why[512])
{
    struct skein_names names = {0};
    int rc = skein_file_list(replica->data_dir, &names);
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s: cannot be listed: %s", replica->data_dir,
                 skein_error_text(rc));
        return rc;
    }
    for (size_t i = 0; i < names.count && rc == 0; i++)
        if (strcmp(names.names[i], "wal") == 0 || strncmp(names.names[i], "checkpoint-", 11) == 0)
            rc = -SKEIN_ECORRUPT;
    skein_names_deinit(&names);
    if (rc < 0)
        snprintf(out_why, 512,
                 "%.300s: there is a log but the file identity is gone; put it back, or empty the "
                 "directory to let this node join again with a new disk",
                 replica->data_dir);
    return rc;
}

static int
load_identity(struct replica *replica, const char *name, uint32_t node, char out_why[512])
{
    struct identity *identity = &replica->identity;
    int rc = identity_read(replica->data_dir, identity, out_why);
    if (rc == -ENOENT) {
        rc = check_new(replica, out_why);
        if (rc < 0)
            return rc;
        identity_draw(identity, name, node);
        rc = identity_write(replica->data_dir, identity);
        if (rc < 0)
            snprintf(out_why, 512, "%.400s/identity: cannot be written: %s", replica->data_dir,
                     skein_error_text(rc));
        return rc;
    }
    if (rc < 0)
        return rc;
    if (strcmp(identity->name, name) == 0 && identity->node == node)
        return 0;
    snprintf(out_why, 512,
             "%.200s: belongs to node %u of cluster \"%s\", and this is node %u of cluster \"%s\"; "
             "give the directory of this node",
             replica->data_dir, identity->node, identity->name, node, name);
    return -SKEIN_EIDENTITY;
}

static int
open_directory(struct replica *replica, const char *name, const uint32_t *nodes, char out_why[512])
{
    int rc = lock_directory(replica, out_why);
    if (rc == 0)
        rc = load_identity(replica, name, replica->options.node, out_why);
    if (rc < 0)
        return rc;
    genesis_init(&replica->genesis, name, replica->options.node, replica->identity.incarnation,
                 nodes, replica->options.peer_count);
    replica->genesis.join_only = replica->options.join;
    if (replica->identity.state == GENESIS_UNBORN)
        return 0;
    genesis_born(&replica->genesis, replica->identity.state, &replica->identity.map);
    return recover_start(replica, out_why);
}

static int
start_fibers(struct replica *replica, char out_why[512])
{
    replica->next_tick_ns = skein_deadline_in(replica->options.tick_ns);
    int rc = skein_spawn(&replica->scope, "driver", driver_run, replica, SKEIN_STACK_LARGE);
    if (rc == 0)
        rc = skein_spawn(&replica->scope, "checkpoint", checkpoint_run, replica, SKEIN_STACK_LARGE);
    if (rc == 0)
        rc = skein_spawn(&replica->scope, "snapshot-in", snapshot_receive_run, replica,
                         SKEIN_STACK_LARGE);
    if (rc < 0)
        snprintf(out_why, 512, "no room for another fiber: %s", skein_error_text(rc));
    driver_signal(replica);
    return rc;
}

static void
close_log(struct replica *replica)
{
    if (!replica->wal)
        return;
    wal_close(replica->wal);
    skein_scope_join(&replica->wal_scope);
    wal_free(replica->wal);
    replica->wal = NULL;
}

void
replica_peer_deinit(struct peer *peer)
{
    wire_writer_deinit(&peer->forwards);
    wire_writer_deinit(&peer->replies);
    for (uint32_t s = 0; s < REPLICA_SESSIONS; s++)
        mem_free(peer->sessions[s].window);
}

static void
drop_inbox(struct replica *replica)
{
    for (size_t i = 0; i < replica->inbox_count; i++)
        bytes_unref(&replica->inbox[i].data);
    mem_free(replica->inbox);
    mem_free(replica->inbox_spare);
}

/* Ends everything, in the order in which one stands on the other. */
static void
dismantle(struct replica *replica)
{
    replica_metrics_close(replica);
    replica->ending = true;
    skein_wake_all(&replica->progress_wake);
    driver_signal(replica);
    skein_scope_cancel(&replica->scope);
    snapshot_send_end_all(replica);
    skein_scope_join(&replica->scope);
    request_finish_all(replica, -SKEIN_ECLOSED);
    if (replica->link_started)
        forward_flush_replies(replica);
    replica->link->ops->stop(replica->link);
    close_log(replica);
    while (replica->local_count > 0)
        (void)!skein_wait(&replica->idle_wake, SKEIN_NEVER);
    ready_drop_writes(replica);
    raft_close(replica->raft);
    if (replica->machine)
        replica->options.machine_ops->close(replica->machine);
    if (replica->lock >= 0)
        skein_close(replica->lock);
    drop_inbox(replica);
    for (uint32_t i = 0; i < replica->peer_count; i++)
        replica_peer_deinit(&replica->peers[i]);
    wire_writer_deinit(&replica->reply);
    mem_free(replica->wal_dir);
    mem_free(replica->data_dir);
    replica->magic = 0;
    mem_free(replica);
}

static void
explain_listen(const struct replica_options *options, int rc, char out_why[512])
{
    unsigned port = 0;
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (options->peers[i].node == options->node)
            port = options->peers[i].addr.port;
    snprintf(out_why, 512, "cannot listen for peers on port %u (node %u): %s%s", port,
             options->node, skein_error_text(rc),
             rc == -EADDRINUSE ? "; stop the program that has it, or give the node another address"
                               : "");
}

int
replica_open(struct replica **out_replica, const struct replica_options *options,
             struct skein_scope *scope, char out_why[512])
{
    uint32_t nodes[REPLICA_NODES_MAX] = {0};
    (void)scope;
    out_why[0] = '\0';
    struct replica *replica = mem_zalloc(sizeof *replica);
    init_state(replica, options);
    replica_metrics_open(replica);
    int rc = check_options(options, nodes, out_why);
    if (rc == 0)
        rc = options->machine_ops->open(&replica->machine, options->machine_config);
    if (rc == 0)
        rc = open_directory(replica, options->cluster_name, nodes, out_why);
    if (rc == 0) {
        rc = replica->link->ops->start(replica->link, &replica->handler);
        replica->link_started = rc == 0;
        if (rc < 0)
            explain_listen(options, rc, out_why);
    }
    if (rc == 0) {
        members_sync_peers(replica);
        rc = start_fibers(replica, out_why);
    }
    if (rc < 0) {
        if (out_why[0] == '\0')
            snprintf(out_why, 512, "%s", skein_error_text(rc));
        skein_shield(true);
        dismantle(replica);
        skein_shield(false);
        return rc;
    }
    *out_replica = replica;
    return 0;
}

static void
hand_leadership_over(struct replica *replica, uint64_t deadline_ns)
{
    if (!replica_is_leader(replica) || raft_transfer(replica->raft, RAFT_NONE) < 0)
        return;
    driver_signal(replica);
    uint64_t limit_ns =
        skein_deadline_in(replica->options.tick_ns * replica->options.election_ticks);
    uint64_t until_ns = deadline_ns < limit_ns ? deadline_ns : limit_ns;
    while (replica_is_leader(replica) && skein_now_ns() < until_ns)
        (void)!skein_sleep(skein_deadline_in(5 * UINT64_C(1000000)));
}

void
replica_stop(struct replica *replica, uint64_t deadline_ns)
{
    skein_assert(replica->magic == REPLICA_MAGIC);
    skein_shield(true);
    replica->stopping = true;
    int rc = 0;
    while (replica->local_count > 0 && replica->phase != REPLICA_FAILED && rc == 0)
        rc = skein_wait(&replica->idle_wake, deadline_ns);
    if (replica->phase != REPLICA_FAILED)
        hand_leadership_over(replica, deadline_ns);
    dismantle(replica);
    skein_shield(false);
}
