/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints in the background, and the log cut behind them. */
#include "base/mutation.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"

#include <inttypes.h>
#include <string.h>

/* A checkpoint leaves the shard and the disk to others after each of these. */
#define PIECE_BYTES ((uint64_t)256 << 10)
#define RETRY_NS (1000 * UINT64_C(1000000))

struct save_sink {
    struct replica_sink base;
    struct replica *replica;
    struct checkpoint_info info;
    struct checkpoint_writer *writer; /* created at the first byte: nothing suspends before */
    uint64_t since_pause_bytes;
    uint64_t written_bytes, begun_log_bytes;
    bool is_wanted; /* somebody waits for it */
};

static int
create(struct save_sink *save)
{
    return save->writer ? 0 : checkpoint_create(&save->writer, save->replica->dir, &save->info);
}

static int
persist_now(struct replica *replica, struct raft_snapshot *out_snapshot)
{
    struct checkpoint_info info;
    checkpoint_describe(replica, &info);
    if (out_snapshot)
        *out_snapshot = info.snapshot;
    return persist_take(replica, &info);
}

static int
write_piece(struct replica_sink *sink, const void *data, size_t count)
{
    struct save_sink *save = BASE_CONTAINER_OF(sink, struct save_sink, base);
    int rc = create(save);
    if (rc == 0)
        rc = checkpoint_write(save->writer, data, count);
    save->since_pause_bytes += count;
    save->written_bytes += count;
    if (rc == 0 && save->since_pause_bytes >= PIECE_BYTES) {
        save->since_pause_bytes = 0;
        uint64_t pause_ns = checkpoint_pause_ns(save->replica, save->begun_log_bytes,
                                                save->is_wanted ? 0 : save->written_bytes);
        (void)!skein_sleep(skein_deadline_in(pause_ns));
    }
    /* A large file takes its time: what is applied meanwhile must not gather in memory. */
    if (rc == 0 && persist_is_machines(save->replica) && checkpoint_is_time(save->replica))
        rc = persist_now(save->replica, NULL);
    return rc == 0 && save->replica->host->ending ? -SKEIN_ECANCELED : rc;
}

/* What is applied is durable in this log: the core applies nothing else. So nothing waits here. */
static int
save(struct replica *replica, struct save_sink *save)
{
    int rc = sessions_save(replica->sessions, replica->host->options.machine_ops, replica->machine,
                           &save->base);
    if (rc == 0)
        rc = create(save);
    if (rc < 0) {
        if (save->writer)
            checkpoint_abort(save->writer);
        return rc;
    }
    return checkpoint_commit(save->writer);
}

/* The machine's own state is newer: nobody needs the file. */
static void
drop_file(struct replica *replica)
{
    char path[4096];
    if (replica->file_index == 0)
        return;
    checkpoint_path(replica->dir, replica->file_index, path, sizeof path);
    replica->file_index = 0;
    (void)!skein_file_unlink(path, 0);
}

static void
cut(struct replica *replica, const struct raft_snapshot *snapshot, uint64_t log_bytes, bool is_file)
{
    uint64_t from = checkpoint_keep_from(replica, snapshot->index, log_bytes);
    replica->checkpoint_index = snapshot->index;
    if (replica->checkpoint_log_bytes < log_bytes)
        replica->checkpoint_log_bytes = log_bytes;
    replica->counters.checkpoints_taken++;
    raft_compact(replica->raft, snapshot, from);
    replica_signal(replica);
    wal_compact(replica->host->wal, replica->group, snapshot->index, snapshot->term);
    checkpoint_forget_marks(replica, from);
    if (!is_file) {
        drop_file(replica);
        return;
    }
    replica->file_index = snapshot->index;
    /* Files that are being sent are open, and last as long. */
    struct host *host = replica->host;
    bool is_read = host->sends_active > 0 || host->backups_open > 0;
    if (!replica->receive.receiver)
        (void)!checkpoint_prune(replica->dir, host->options.checkpoints_kept, !is_read);
}

static void
note_roster(const struct replica *replica, struct checkpoint_info *info)
{
    _Static_assert(ROSTER_BYTES_MAX <= CHECKPOINT_NOTE_BYTES_MAX, "a roster fits into a header");
    struct wire_writer out = {0};
    if (!replica->roster.count)
        return;
    roster_encode(&out, &replica->roster);
    skein_assert(out.count <= sizeof info->note);
    info->note_bytes = (uint32_t)out.count;
    memcpy(info->note, out.data, out.count);
    wire_writer_deinit(&out);
}

void
checkpoint_describe(const struct replica *replica, struct checkpoint_info *out_info)
{
    *out_info = (struct checkpoint_info){.snapshot = {.index = replica->applied_index,
                                                      .term = replica->applied_term,
                                                      .config = replica->config},
                                         .time_ms = replica->log_time_ms};
    note_roster(replica, out_info);
    memcpy(out_info->cluster, replica->host->identity.map.cluster, 16);
}

static int
take_file(struct replica *replica, struct raft_snapshot *out_snapshot)
{
    struct save_sink sink = {.base.write = write_piece,
                             .replica = replica,
                             .begun_log_bytes = replica->log_bytes,
                             .is_wanted = replica->checkpoint_wanted};
    checkpoint_describe(replica, &sink.info);
    replica->checkpoint_wanted = false;
    if (mutation_on(MUTATION_INDEX_WITHOUT_DATA))
        (void)!skein_sleep(skein_deadline_in(20 * UINT64_C(1000000)));
    *out_snapshot = sink.info.snapshot;
    int rc = save(replica, &sink);
    if (rc == 0)
        replica->checkpoint_file_bytes = sink.written_bytes;
    else
        replica->checkpoint_wanted |= sink.is_wanted; /* still */
    return rc;
}

/*
 * A machine that persists itself is persisted; a file is written only when somebody wants one, and
 * then the log is cut at the file's index, so that the core offers it to followers, and not before
 * the machine's own state is there, too: a restart begins with that.
 */
static int
take(struct replica *replica)
{
    bool own = persist_is_machines(replica), is_file = !own || replica->checkpoint_wanted;
    struct raft_snapshot snapshot, persisted;
    uint64_t log_bytes = replica->log_bytes, begun_ns = skein_now_ns();
    replica->checkpoint_ns = begun_ns;
    int rc = is_file ? take_file(replica, &snapshot) : 0;
    if (rc == 0 && own)
        rc = persist_now(replica, &persisted);
    if (rc < 0)
        return rc;
    if (!is_file)
        snapshot = persisted;
    /* A snapshot may have been installed meanwhile; then this one is the older one. And who gets
     * the last file goes on behind its index. */
    if (snapshot.index >= replica->checkpoint_index &&
        (is_file || replica->host->sends_active == 0))
        cut(replica, &snapshot, log_bytes, is_file);
    obs_log(OBS_INFO, "replica", is_file ? "checkpoint" : "persisted",
            "node=%u index=%" PRIu64 " ms=%" PRIu64, replica->host->options.node, snapshot.index,
            (skein_now_ns() - begun_ns) / 1000000);
    return 0;
}

static bool
may_take(const struct replica *replica)
{
    return replica->raft && replica->phase != REPLICA_FAILED && replica->applied_index > 0 &&
           !replica->load;
}

static bool
due(const struct replica *replica)
{
    return may_take(replica) && (replica->checkpoint_wanted || checkpoint_is_time(replica));
}

void
checkpoint_signal(struct replica *replica)
{
    struct host *host = replica->host;
    if (replica->checkpoint_busy || list_is_linked(&replica->checkpoint_link))
        return;
    list_push_back(&host->checkpoints, &replica->checkpoint_link);
    skein_wake_one(&host->checkpoint_wake);
}

/* One line when it begins, changes or ends: it is tried each second. */
static void
note_outcome(struct replica *replica, int rc)
{
    if (rc < 0)
        replica->checkpoint_failures++;
    if (rc == replica->checkpoint_failure)
        return;
    replica->checkpoint_failure = rc;
    if (rc == 0)
        obs_log(OBS_INFO, "replica", "checkpoints succeed again", "node=%u group=%u",
                replica->host->options.node, replica->group);
    else
        obs_log(OBS_ERROR, "replica", "no checkpoint can be written: the log grows until one can",
                "node=%u group=%u error=%s dir=%s", replica->host->options.node, replica->group,
                skein_error_name(rc), replica->dir);
}

static void
take_turn(struct replica *replica)
{
    replica->checkpoint_busy = true;
    int rc = take(replica);
    /* The log still holds everything: serving goes on, and it is tried again. */
    if (!replica->host->ending)
        note_outcome(replica, rc);
    if (rc < 0 && !replica->host->ending)
        (void)!skein_sleep(skein_deadline_in(RETRY_NS));
    replica->checkpoint_busy = false;
    skein_wake_all(&replica->progress_wake);
    if (due(replica))
        checkpoint_signal(replica);
}

/* Until a group is signalled, or the time of one is up. */
static void
wait_for_work(struct host *host)
{
    uint64_t until_ns = SKEIN_NEVER;
    for (uint32_t i = 0; i < host->group_count && host->options.checkpoint_interval_ns; i++) {
        const struct replica *replica = host->groups[i];
        uint64_t end_ns = may_take(replica) && !replica->checkpoint_busy
                              ? checkpoint_interval_end_ns(replica)
                              : SKEIN_NEVER;
        until_ns = end_ns < until_ns ? end_ns : until_ns;
    }
    (void)!skein_wait(&host->checkpoint_wake, until_ns);
    for (uint32_t i = 0; i < host->group_count && host->options.checkpoint_interval_ns; i++)
        if (due(host->groups[i]))
            checkpoint_signal(host->groups[i]);
}

void
checkpoint_run(void *arg)
{
    struct host *host = arg;
    while (!host->ending && !skein_cancelled()) {
        struct skein_list *first = list_pop_front(&host->checkpoints);
        struct replica *replica = first ? LIST_ENTRY(first, struct replica, checkpoint_link) : NULL;
        if (!replica)
            wait_for_work(host);
        else if (due(replica))
            take_turn(replica);
    }
}

void
checkpoint_note_applied(struct replica *replica, uint64_t index, uint64_t bytes)
{
    checkpoint_note_log(replica, index, bytes);
    if (due(replica))
        checkpoint_signal(replica);
    else if (replica->host->options.checkpoint_interval_ns &&
             index == replica->checkpoint_index + 1)
        skein_wake_one(&replica->host->checkpoint_wake); /* there is a time to wait for, now */
}
