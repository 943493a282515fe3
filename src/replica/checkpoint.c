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
    return save->writer
               ? 0
               : checkpoint_create(&save->writer, save->replica->host->data_dir, &save->info);
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
    checkpoint_path(replica->host->data_dir, replica->file_index, path, sizeof path);
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
        (void)!checkpoint_prune(host->data_dir, host->options.checkpoints_kept, !is_read);
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
checkpoint_run(void *arg)
{
    struct replica *replica = arg;
    while (!replica->host->ending && !skein_cancelled()) {
        if (!due(replica)) {
            (void)!skein_wait(&replica->checkpoint_wake, may_take(replica)
                                                             ? checkpoint_interval_end_ns(replica)
                                                             : SKEIN_NEVER);
            continue;
        }
        replica->checkpoint_busy = true;
        int rc = take(replica);
        replica->checkpoint_busy = false;
        skein_wake_all(&replica->progress_wake);
        if (rc == 0 || replica->host->ending)
            continue;
        /* The log still holds everything: serving goes on, and it is tried again. */
        obs_log(OBS_ERROR, "replica", "checkpoint failed", "node=%u error=%s",
                replica->host->options.node, skein_error_name(rc));
        (void)!skein_sleep(skein_deadline_in(RETRY_NS));
    }
}

void
checkpoint_note_applied(struct replica *replica, uint64_t index, uint64_t bytes)
{
    checkpoint_note_log(replica, index, bytes);
    if (due(replica))
        skein_wake_all(&replica->checkpoint_wake);
    else if (replica->host->options.checkpoint_interval_ns &&
             index == replica->checkpoint_index + 1)
        skein_wake_all(&replica->checkpoint_wake); /* from now on there is something to wait for */
}
