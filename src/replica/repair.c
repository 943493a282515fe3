/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "disk/smallfile.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/file.h"

#define REPAIR_NAME "repair"
#define REPAIR_VERSION 1
#define REPAIR_BYTES 48

static const char magic[8] = {'S', 'K', 'E', 'I', 'N', 'R', 'E', 'P'};

int
repair_load(struct replica *replica, char out_why[512])
{
    struct bytes data = {0};
    int rc = smallfile_read(replica->dir, REPAIR_NAME, magic, REPAIR_VERSION, REPAIR_BYTES, &data,
                            out_why);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    struct wire_reader in = wire_reader_of(data.data, data.count);
    struct wal_damage promise = {.hard_state.term = wire_get_u64(&in)};
    promise.hard_state.vote = wire_get_u64(&in);
    promise.hard_state.commit = wire_get_u64(&in);
    promise.start_index = wire_get_u64(&in);
    promise.last_index = wire_get_u64(&in);
    promise.last_term = wire_get_u64(&in);
    if (!wire_done(&in)) {
        snprintf(out_why, 512, "%.300s/" REPAIR_NAME ": too short", replica->dir);
        rc = -SKEIN_ECORRUPT;
    }
    bytes_unref(&data);
    if (rc == 0) {
        replica->promise = promise;
        replica->repairing = true;
    }
    return rc;
}

static int
promise_write(const struct replica *replica)
{
    const struct wal_damage *promise = &replica->promise;
    struct wire_writer out = {0};
    wire_put_u64(&out, promise->hard_state.term);
    wire_put_u64(&out, promise->hard_state.vote);
    wire_put_u64(&out, promise->hard_state.commit);
    wire_put_u64(&out, promise->start_index);
    wire_put_u64(&out, promise->last_index);
    wire_put_u64(&out, promise->last_term);
    int rc = smallfile_write(replica->dir, REPAIR_NAME, magic, REPAIR_VERSION, out.data, out.count);
    wire_writer_deinit(&out);
    return rc;
}

/* Raft's order of logs (section 5.4.1). */
static bool
is_longer(const struct wal_damage *a, const struct wal_damage *b)
{
    return a->last_term != b->last_term ? a->last_term > b->last_term
                                        : a->last_index > b->last_index;
}

int
repair_on_damage(void *owner, const struct wal_damage *damage)
{
    struct replica *replica = host_group(owner, damage->group);
    if (!replica || raft_config_count(&replica->config, RAFT_VOTER | RAFT_OUTGOING) < 2)
        return -SKEIN_ECORRUPT;
    struct wal_damage before = replica->promise;
    bool again = replica->repairing;
    replica->promise = *damage;
    if (again && is_longer(&before, damage)) {
        replica->promise.last_index = before.last_index;
        replica->promise.last_term = before.last_term;
    }
    if (again && before.start_index > damage->start_index)
        replica->promise.start_index = before.start_index;
    if (again && before.hard_state.term > damage->hard_state.term)
        replica->promise.hard_state = before.hard_state;
    obs_log(OBS_WARN, "replica", "the log is damaged; its peers are to repair it",
            "node=%u term=%" PRIu64 " last_index=%" PRIu64 " why=\"%.300s\"",
            replica->host->options.node, replica->promise.hard_state.term,
            replica->promise.last_index, damage->why);
    int rc = promise_write(replica);
    if (rc < 0)
        return rc;
    replica->promise.why = NULL;
    replica->repairing = true;
    return 0;
}

bool
repair_merge(const struct replica *replica, struct raft_hard_state *hard_state)
{
    const struct raft_hard_state *promised = &replica->promise.hard_state;
    if (!replica->repairing || promised->term < hard_state->term)
        return false;
    if (promised->term == hard_state->term &&
        (promised->vote == hard_state->vote || hard_state->vote != RAFT_NONE))
        return false;
    hard_state->term = promised->term;
    hard_state->vote = promised->vote;
    return true;
}

/* The damaged segments stay while another group needs repair. */
static bool
others_repair(const struct replica *replica)
{
    const struct host *host = replica->host;
    for (uint32_t i = 0; i < host->group_count; i++)
        if (host->groups[i] != replica && host->groups[i]->repairing)
            return true;
    return false;
}

void
repair_turn(struct replica *replica)
{
    if (!replica->repairing || raft_repairing(replica->raft) || replica->entry_writes_ahead > 0 ||
        replica->held)
        return;
    char path[4096];
    snprintf(path, sizeof path, "%s/" REPAIR_NAME, replica->dir);
    int rc = skein_file_unlink(path, 0);
    if (rc == 0 || rc == -ENOENT)
        rc = skein_file_sync_directory(replica->dir);
    if (rc == 0)
        rc = others_repair(replica) ? 0 : wal_forget_damaged(replica->host->wal_dir);
    if (rc < 0) {
        host_fail(replica->host, rc, "%s: cannot be removed after the repair (%s)", path,
                  skein_error_name(rc));
        return;
    }
    replica->repairing = false;
    replica->counters.repairs++;
    obs_log(OBS_INFO, "replica", "the log is whole again", "node=%u last_index=%" PRIu64,
            replica->host->options.node, replica->promise.last_index);
}
