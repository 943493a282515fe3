/* SPDX-License-Identifier: Apache-2.0 */
/* From what the disk holds to a running core. */
#include "base/mem.h"
#include "base/mutation.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "disk/explain.h"
#include "obs/log.h"
#include "replica/repair.h"
#include "skein/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int
recover_checkpoint(struct replica *replica, struct raft_snapshot *out_snapshot, char out_why[512])
{
    char path[4096];
    uint64_t index;
    struct checkpoint_info info;
    int own = persist_load(replica, &info, out_why);
    if (own < 0 && own != -SKEIN_ENOTFOUND)
        return own;
    int rc = checkpoint_find(replica->dir, path, sizeof path, &index);
    /* A file that is newer than the machine's own state came in, and was not loaded to its end. */
    if (own == 0 && (rc == -SKEIN_ENOTFOUND || (rc == 0 && index <= info.snapshot.index))) {
        *out_snapshot = info.snapshot;
        return 0;
    }
    if (rc == -SKEIN_ENOTFOUND) {
        out_snapshot->config =
            raft_config_of(replica->host->identity.map.ids, replica->host->identity.map.count);
        replica->config = out_snapshot->config;
        return 0;
    }
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s: cannot be listed (%s)", replica->dir, skein_error_name(rc));
        return rc;
    }
    rc = load_at_start(replica, path, &info, out_why);
    if (rc == 0)
        *out_snapshot = info.snapshot;
    return rc;
}

/* A disk that had a log and has none has lost votes and entries: it must not go on under its name.
 */
static int
check_log_exists(struct host *host, char out_why[512])
{
    struct skein_names names = {0};
    if (!host->identity.log_begun)
        return 0;
    int rc = skein_file_list(host->wal_dir, &names);
    bool found = false; /* segments that wait to be used again are no log */
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        const char *end = strrchr(names.names[i], '.');
        found = found || (end && strcmp(end, ".wal") == 0);
    }
    if (rc == 0)
        skein_names_deinit(&names);
    if (found)
        return 0;
    snprintf(out_why, 512, "%.300s: the log is gone", host->wal_dir);
    return -SKEIN_ECORRUPT;
}

static int
open_log(struct host *host, struct wal_recovery *out_recovery, char out_why[512])
{
    int rc = 0;
    for (uint32_t i = 0; i < host->group_count && rc == 0; i++)
        rc = repair_load(host->groups[i], out_why);
    if (rc == 0)
        rc = check_log_exists(host, out_why);
    if (rc < 0)
        return rc;
    struct wal_options options = {.dir = host->wal_dir,
                                  .segment_bytes = host->options.segment_bytes,
                                  .queue_bytes_max = UINT64_C(256) << 20,
                                  .on_damage = repair_on_damage,
                                  .scrub_period_ns = host->options.scrub_period_ns,
                                  .on_rot = scrub_on_rot,
                                  .owner = host};
    options.identity.node = host->raft_id;
    for (uint32_t i = 0; i < 16; i++)
        options.identity.cluster[i] = host->identity.map.cluster[i];
    rc = wal_open(&host->wal, &options, &host->wal_scope, out_recovery, out_why);
    if (rc < 0 || host->identity.log_begun)
        return rc;
    struct identity next = host->identity;
    next.log_begun = true;
    rc = identity_write(host->data_dir, &next);
    if (rc < 0)
        snprintf(out_why, 512, "%.400s/identity: cannot be written (%s)", host->data_dir,
                 skein_error_name(rc));
    else
        host->identity = next;
    return rc;
}

/*
 * Which of the log's entries continue the checkpoint. None: the log ends before it, or holds
 * another history at its index (a snapshot was made durable and the log not yet cut): it is cut
 * now.
 */
bool
recover_continues(const struct wal_group_recovery *log, const struct raft_snapshot *snapshot)
{
    if (snapshot->index == 0)
        return true;
    if (log->start_index == snapshot->index && log->entry_count == 0)
        return log->start_term == snapshot->term;
    for (size_t i = 0; i < log->entry_count; i++)
        if (log->entries[i].index == snapshot->index)
            return log->entries[i].term == snapshot->term;
    return log->entry_count > 0 && log->entries[0].index == snapshot->index + 1 &&
           log->start_index == snapshot->index && log->start_term == snapshot->term;
}

struct cut {
    struct wal_write write;
    struct skein_waitq wake;
    int status;
    bool done;
};

static void
on_cut(struct wal_write *write, int status)
{
    struct cut *cut = write->owner;
    cut->status = status;
    cut->done = true;
    skein_wake_all(&cut->wake);
}

/* Durable when this returns. @snapshot: NULL, or the log is cut at it. */
static int
write_state(struct replica *replica, const struct raft_snapshot *snapshot,
            const struct raft_hard_state *hard_state)
{
    struct cut cut = {.write = {.group = replica->group,
                                .hard_state = hard_state,
                                .snapshot = snapshot,
                                .sync = true,
                                .on_durable = on_cut,
                                .owner = &cut}};
    skein_waitq_init(&cut.wake);
    int rc = wal_submit(replica->host->wal, &cut.write);
    if (rc < 0)
        return rc;
    skein_shield(true);
    while (!cut.done)
        (void)!skein_wait(&cut.wake, SKEIN_NEVER);
    skein_shield(false);
    return cut.status;
}

static void
raise_hard_state(struct raft_hard_state *hard_state, const struct raft_snapshot *snapshot)
{
    if (hard_state->term < snapshot->term) {
        /* Nothing of that term was promised: a vote would be in the log with it. */
        hard_state->term = snapshot->term;
        hard_state->vote = RAFT_NONE;
    }
    if (hard_state->commit < snapshot->index)
        hard_state->commit = snapshot->index;
}

/* What election_ticks calls of raft_tick take at least (raft.h). */
static uint64_t
lease_ns(const struct replica_options *options)
{
    return options->lease_drift_ppm ? (options->election_ticks - 2) * options->tick_ns : 0;
}

static uint64_t
uncommitted_bytes_max(const struct host *host)
{
    uint64_t share = (UINT64_C(64) << 20) / host->group_count;
    return share > 1u << 20 ? share : 1u << 20;
}

/* The log begins where the checkpoint ends, or before. */
static int
check_start(const struct replica *replica, const struct wal_group_recovery *log,
            const struct raft_snapshot *snapshot, char out_why[512])
{
    if (log->start_index > snapshot->index) {
        snprintf(out_why, 512,
                 "%.250s: the log begins behind index %" PRIu64 " and the newest checkpoint is at "
                 "%" PRIu64 ": a checkpoint file or the table is missing; put it back",
                 replica->host->wal_dir, log->start_index, snapshot->index);
        return -SKEIN_ECORRUPT;
    }
    if (replica->repairing && replica->promise.start_index > snapshot->index) {
        snprintf(out_why, 512,
                 "%.300s: the damaged log began behind a checkpoint at %" PRIu64
                 " or later and the newest checkpoint is at %" PRIu64 ": put it back",
                 replica->host->wal_dir, replica->promise.start_index, snapshot->index);
        return -SKEIN_ECORRUPT;
    }
    return 0;
}

static int
open_raft(struct replica *replica, struct wal_group_recovery *log,
          const struct raft_snapshot *snapshot, char out_why[512])
{
    int rc = check_start(replica, log, snapshot, out_why);
    if (rc < 0)
        return rc;
    if (mutation_on(MUTATION_VOTE_FORGOTTEN))
        log->hard_state.vote = RAFT_NONE;
    bool promised = repair_merge(replica, &log->hard_state);
    raise_hard_state(&log->hard_state, snapshot);
    size_t entry_count = log->entry_count;
    bool continues = recover_continues(log, snapshot);
    if (!continues) {
        entry_count = 0;
        log->hard_state.commit = snapshot->index;
    }
    if (promised || !continues) {
        rc = write_state(replica, continues ? NULL : snapshot, &log->hard_state);
        if (rc < 0) {
            snprintf(out_why, 512, "%.400s: cannot be written to (%s)", replica->host->wal_dir,
                     skein_error_name(rc));
            return rc;
        }
    }
    struct raft_options options = {.id = replica->host->raft_id,
                                   .seed = skein_random(),
                                   .election_ticks = replica->host->options.election_ticks,
                                   .heartbeat_ticks = 1,
                                   .election_rank = replica->host->options.election_rank,
                                   .quiesce_ticks = replica->host->options.quiesce_ticks,
                                   .append_bytes_max = replica->host->options.append_bytes_max
                                                           ? replica->host->options.append_bytes_max
                                                           : 1u << 20,
                                   .inflight_count_max = 256,
                                   .inflight_bytes_max = 16u << 20,
                                   .uncommitted_bytes_max = uncommitted_bytes_max(replica->host),
                                   .read_count_max = 65536,
                                   .pre_vote = true,
                                   .check_quorum = true,
                                   .step_down_on_removal = true,
                                   .lease_ns = lease_ns(&replica->host->options),
                                   .drift_ppm = replica->host->options.lease_drift_ppm,
                                   .hard_state = log->hard_state,
                                   .snapshot = *snapshot,
                                   .applied = snapshot->index,
                                   .entries = log->entries,
                                   .entry_count = entry_count,
                                   .promised_index = replica->promise.last_index,
                                   .promised_term = replica->promise.last_term};
    rc = raft_open(&replica->raft, &options);
    if (rc < 0)
        snprintf(out_why, 512,
                 "%.300s: log and checkpoint contradict each other (%s): start %" PRIu64
                 ", %zu entries, commit %" PRIu64 ", checkpoint %" PRIu64,
                 replica->host->wal_dir, skein_error_name(rc), log->start_index, log->entry_count,
                 log->hard_state.commit, snapshot->index);
    return rc;
}

static int
start_replica(struct replica *replica, struct wal_group_recovery *recovery,
              const struct raft_snapshot *snapshot, char out_why[512])
{
    int rc = open_raft(replica, recovery, snapshot, out_why);
    if (rc < 0)
        return rc;
    obs_log(OBS_INFO, "replica", "directory read",
            "node=%u group=%u term=%" PRIu64 " checkpoint=%" PRIu64 " entries=%zu",
            replica->host->options.node, replica->group, recovery->hard_state.term, snapshot->index,
            recovery->entry_count);
    replica->phase = REPLICA_FORMING;
    membership_refresh(replica);
    if (replica->config.count == 1 && replica->phase == REPLICA_RUNNING)
        raft_campaign(replica->raft);
    return 0;
}

/* The directories of the groups behind the first. */
static int
make_directories(struct host *host, char out_why[512])
{
    char path[4200];
    int rc = 0;
    if (host->group_count == 1)
        return 0;
    snprintf(path, sizeof path, "%s/groups", host->data_dir);
    rc = skein_file_mkdir(path, 0755);
    for (uint32_t i = 1; i < host->group_count && (rc == 0 || rc == -EEXIST); i++)
        rc = skein_file_mkdir(host->groups[i]->dir, 0755);
    if (rc == 0 || rc == -EEXIST)
        rc = skein_file_sync_directory(path);
    if (rc == 0)
        rc = skein_file_sync_directory(host->data_dir);
    return rc < 0 ? disk_explain(rc, "cannot make the groups' directories in", path, out_why) : 0;
}

static int
start_all(struct host *host, struct wal_recovery *recovery, const struct raft_snapshot *snapshots,
          char out_why[512])
{
    int rc = 0;
    for (uint32_t i = 0; i < host->group_count && rc == 0; i++) {
        struct replica *replica = host->groups[i];
        struct wal_group_recovery own = wal_recovery_take(recovery, i);
        rc = start_replica(replica, &own, &snapshots[i], out_why);
        wal_group_recovery_deinit(&own);
        if (rc == 0)
            replica_signal(replica);
    }
    return rc;
}

int
recover_start(struct host *host, char out_why[512])
{
    struct wal_recovery recovery = {0};
    struct raft_snapshot *snapshots = mem_zalloc(host->group_count * sizeof *snapshots);
    host->raft_id = genesis_raft_id(host->options.node, host->identity.incarnation);
    int rc = make_directories(host, out_why);
    for (uint32_t i = 0; i < host->group_count && rc == 0; i++)
        rc = recover_checkpoint(host->groups[i], &snapshots[i], out_why);
    if (rc == 0)
        rc = open_log(host, &recovery, out_why);
    if (rc == 0)
        rc = start_all(host, &recovery, snapshots, out_why);
    wal_recovery_deinit(&recovery);
    mem_free(snapshots);
    return rc;
}
