/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk holds, and the first state of a new cluster made of it. */
#include "replica/rescue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/explain.h"
#include "disk/wal_inspect.h"
#include "replica/repair.h"
#include "replica/rescue_internal.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"

void
rescue_report_deinit(struct rescue_report *report)
{
    mem_free(report->groups);
    report->groups = NULL;
}

/* ---- what is there ---- */

static uint64_t
larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The entries behind the checkpoint, to the log's end: committed or not. */
static int
take_entries(struct rescue *rescue, struct replica *replica, const struct wal_group_recovery *log)
{
    for (size_t i = 0; i < log->entry_count && rescue->host->failure == 0; i++) {
        const struct raft_entry *entry = &log->entries[i];
        if (entry->index <= replica->applied_index)
            continue;
        if (entry->index != replica->applied_index + 1) {
            snprintf(rescue->why, 512,
                     "%.300s: the log of group %u goes on at index %" PRIu64
                     " and the checkpoint ends at %" PRIu64
                     ": a checkpoint file is missing; put it "
                     "back",
                     rescue->host->wal_dir, replica->group, entry->index, replica->applied_index);
            return -SKEIN_ECORRUPT;
        }
        apply_alone(replica, entry);
    }
    if (rescue->host->failure < 0)
        snprintf(rescue->why, 512, "%s", rescue->host->why);
    return rescue->host->failure;
}

static int
take_group(struct rescue *rescue, struct replica *replica, const struct wal_group_recovery *log)
{
    struct rescue_group *group = &rescue->report->groups[replica->group];
    struct raft_snapshot snapshot = {0};
    int rc = replica_open_machine(replica);
    if (rc == 0)
        rc = recover_checkpoint(replica, &snapshot, rescue->why);
    if (rc == 0)
        rc = repair_load(replica, rescue->why);
    if (rc < 0)
        return rc;
    bool continues = recover_continues(log, &snapshot);
    if (log->start_index > snapshot.index) {
        snprintf(rescue->why, 512,
                 "%.300s: the log of group %u begins behind index %" PRIu64
                 " and the newest checkpoint is at %" PRIu64 ": a checkpoint file or the table is "
                 "missing; put it back",
                 rescue->host->wal_dir, replica->group, log->start_index, snapshot.index);
        return -SKEIN_ECORRUPT;
    }
    *group = (struct rescue_group){
        .term = larger(log->hard_state.term, snapshot.term),
        .vote_node = replica_raft_node(log->hard_state.vote),
        .commit_index = larger(continues ? log->hard_state.commit : 0, snapshot.index),
        .checkpoint_index = snapshot.index};
    if (continues)
        rc = take_entries(rescue, replica, log);
    group->last_index = replica->applied_index;
    group->last_term = replica->applied_term;
    group->term = larger(group->term, group->last_term);
    if (replica->repairing && replica->promise.last_index > group->promised_index)
        group->promised_index = replica->promise.last_index;
    if (group->commit_index > group->last_index)
        group->promised_index = larger(group->promised_index, group->commit_index);
    if (group->promised_index <= group->last_index)
        group->promised_index = 0;
    return rc;
}

static void
note_damage(struct rescue_report *report, const struct wal_inspect *log)
{
    if (log->verdict == WAL_INSPECT_WHOLE || log->verdict == WAL_INSPECT_TORN)
        return;
    snprintf(report->damage, sizeof report->damage, "%s", log->why);
    if (log->verdict == WAL_INSPECT_REPAIRABLE && log->mark.group < report->group_count)
        report->groups[log->mark.group].promised_index = log->mark.last_index;
}

/* Of all groups; the machines hold it then. */
static int
take_all(struct rescue *rescue)
{
    struct host *host = rescue->host;
    struct rescue_report *report = rescue->report;
    struct wal_inspect log = {0};
    int rc = wal_inspect(host->wal_dir, &log, rescue->why);
    if ((rc == -SKEIN_ENOTFOUND || rc == -ENOENT) && host->identity.log_begun)
        snprintf(report->damage, sizeof report->damage, "%.300s: the log is gone", host->wal_dir);
    if (rc == -SKEIN_ENOTFOUND || rc == -ENOENT)
        rc = 0;
    for (uint32_t i = 0; i < host->group_count && rc == 0; i++) {
        struct wal_group_recovery own = wal_recovery_take(&log.log, i);
        rc = take_group(rescue, host->groups[i], &own);
        wal_group_recovery_deinit(&own);
    }
    if (rc == 0)
        note_damage(report, &log);
    report->config = host->groups[0]->config;
    wal_inspect_deinit(&log);
    return rc;
}

/* ---- the new state ---- */

struct file_sink {
    struct replica_sink base;
    struct checkpoint_writer *writer;
};

static int
write_piece(struct replica_sink *sink, const void *data, size_t count)
{
    return checkpoint_write(BASE_CONTAINER_OF(sink, struct file_sink, base)->writer, data, count);
}

static int
stage_group(struct rescue *rescue, struct replica *replica, const struct identity *next)
{
    char dir[RESCUE_PATH_BYTES];
    struct file_sink sink = {.base.write = write_piece};
    struct checkpoint_info info;
    int rc = 0;
    snprintf(dir, sizeof dir, "%s", rescue->dir);
    if (replica->group > 0) {
        if (snprintf(dir, sizeof dir, "%s/groups/%" PRIu32, rescue->dir, replica->group) >=
            (int)sizeof dir)
            return -ENAMETOOLONG;
        rc = skein_file_mkdir(dir, 0755);
    }
    if (rc < 0 || replica->applied_index == 0)
        return rc;
    checkpoint_describe(replica, &info);
    info.snapshot.config = raft_config_of(next->map.ids, 1);
    info.note_bytes = 0; /* the roster was the old cluster's */
    memcpy(info.cluster, next->map.cluster, sizeof info.cluster);
    rc = checkpoint_create(&sink.writer, dir, &info);
    if (rc < 0)
        return rc;
    rc = sessions_save(replica->sessions, rescue->options->machine_ops, replica->machine,
                       &sink.base);
    if (rc == 0)
        return checkpoint_commit(sink.writer);
    checkpoint_abort(sink.writer);
    return rc;
}

/* Whole when its identity is there. */
static int
stage(struct rescue *rescue)
{
    struct host *host = rescue->host;
    struct identity next;
    char groups[RESCUE_PATH_BYTES + 8];
    identity_draw(&next, host->identity.name, host->identity.node);
    next.state = GENESIS_MEMBER;
    next.group_count = host->group_count;
    next.recovered = true;
    memcpy(next.former, host->identity.map.cluster, sizeof next.former);
    skein_entropy(next.map.cluster, sizeof next.map.cluster);
    next.map.ids[0] = genesis_raft_id(next.node, next.incarnation);
    next.map.count = 1;
    snprintf(groups, sizeof groups, "%s/groups", rescue->dir);
    int rc = skein_file_mkdir(rescue->dir, 0755);
    if (rc == 0)
        rc = skein_file_sync_directory(rescue->options->data_dir);
    if (rc == 0 && host->group_count > 1)
        rc = skein_file_mkdir(groups, 0755);
    for (uint32_t i = 0; i < host->group_count && rc == 0; i++)
        rc = stage_group(rescue, host->groups[i], &next);
    if (rc == 0 && host->group_count > 1)
        rc = skein_file_sync_directory(groups);
    if (rc == 0)
        rc = identity_write(rescue->dir, &next);
    return rc < 0
               ? disk_explain(rc, "cannot write the recovered state to", rescue->dir, rescue->why)
               : 0;
}

/* ---- in order ---- */

static int
look_and_make(struct rescue *rescue)
{
    struct host *host = rescue->host;
    struct rescue_report *report = rescue->report;
    int rc = identity_read(rescue->options->data_dir, &host->identity, rescue->why);
    if (rc == -ENOENT || (rc == 0 && host->identity.state == GENESIS_UNBORN)) {
        snprintf(rescue->why, 512,
                 rc == 0 ? "%.400s: this disk never was in a cluster: it holds nothing"
                         : "%.400s: no data directory of a node: there is no identity in it",
                 rescue->options->data_dir);
        return -SKEIN_ENOTFOUND;
    }
    if (rc < 0)
        return rc;
    memcpy(report->cluster_name, host->identity.name, sizeof report->cluster_name);
    memcpy(report->cluster, host->identity.map.cluster, sizeof report->cluster);
    report->node = host->identity.node;
    report->state = host->identity.state;
    report->group_count = host->group_count;
    report->groups = mem_zalloc(host->group_count * sizeof report->groups[0]);
    rc = take_all(rescue);
    if (rc == 0 && rescue->options->confirmed)
        rc = stage(rescue);
    return rc == 0 && rescue->options->confirmed ? rescue_switch(rescue) : rc;
}

static int
go_on(struct rescue *rescue)
{
    enum rescue_progress progress;
    int rc = rescue_progress(rescue, &progress);
    if (rc < 0 || progress == RESCUE_NONE)
        return rc < 0 ? rc : look_and_make(rescue);
    if (!rescue->options->confirmed)
        return progress == RESCUE_PARTLY ? look_and_make(rescue)
                                         : rescue_check(rescue->options->data_dir, rescue->why);
    if (progress == RESCUE_PARTLY) {
        rc = rescue_discard(rescue);
        return rc < 0 ? rc : look_and_make(rescue);
    }
    rescue->report->finished = true;
    return rescue_switch(rescue);
}

int
rescue_run(const struct rescue_options *options, struct rescue_report *out_report,
           char out_why[512])
{
    struct rescue rescue = {.options = options, .report = out_report, .why = out_why};
    struct identity identity = {.group_count = 1};
    struct skein_stat stat;
    char why[512];
    *out_report = (struct rescue_report){0};
    out_why[0] = '\0';
    int rc = skein_file_stat(options->data_dir, &stat);
    if (rc < 0)
        return disk_explain(rc, "cannot look at", options->data_dir, out_why);
    if (snprintf(rescue.dir, sizeof rescue.dir, "%s/" RESCUE_NAME, options->data_dir) >=
        (int)sizeof rescue.dir)
        return -ENAMETOOLONG;
    if (identity_read(options->data_dir, &identity, why) < 0)
        identity.group_count = 1; /* what is wrong with it is said under the lock */
    const struct replica_options replica = {.data_dir = options->data_dir,
                                            .node = identity.node,
                                            .group_count = identity.group_count,
                                            .machine_ops = options->machine_ops,
                                            .machine_config = options->machine_config};
    rescue.host = host_create(&replica);
    rc = host_lock(rescue.host, out_why);
    if (rc == 0)
        rc = go_on(&rescue);
    skein_shield(true);
    host_free(rescue.host);
    skein_shield(false);
    if (rc < 0 && out_why[0] == '\0')
        snprintf(out_why, 512, "%s", skein_error_text(rc));
    return rc;
}
