/* SPDX-License-Identifier: Apache-2.0 */
/* When a checkpoint is due, how fast it is written, and how much of the log stays behind it. */
#include "replica/state.h"
#include "skein/fiber.h"
#include "skein/shard.h"

#define MS_NS UINT64_C(1000000)
/* After each piece of a checkpoint file: in a hurry, and with time. The second is 32 MiB/s. */
#define PAUSE_NS_MIN (1 * MS_NS)
#define PAUSE_NS_MAX (8 * MS_NS)

bool
checkpoint_is_time(const struct replica *replica)
{
    const struct replica_options *options = &replica->host->options;
    if (replica->persist_wanted)
        return true;
    if (replica->applied_index <= replica->checkpoint_index)
        return false;
    if (replica->log_bytes - replica->checkpoint_log_bytes >= options->checkpoint_log_bytes)
        return true;
    uint64_t entries = replica->applied_index - replica->checkpoint_index;
    if (options->checkpoint_entries && entries >= options->checkpoint_entries)
        return true;
    return options->checkpoint_interval_ns && skein_now_ns() >= checkpoint_interval_end_ns(replica);
}

uint64_t
checkpoint_interval_end_ns(const struct replica *replica)
{
    uint64_t interval_ns = replica->host->options.checkpoint_interval_ns;
    return interval_ns && replica->applied_index > replica->checkpoint_index
               ? replica->checkpoint_ns + interval_ns
               : SKEIN_NEVER;
}

/*
 * So fast that the file, if it is as long as the one before, is written when the log has grown by
 * half of what makes the next one due; and no slower than 32 MiB a second.
 */
uint64_t
checkpoint_pause_ns(const struct replica *replica, uint64_t begun_log_bytes, uint64_t written_bytes)
{
    uint64_t half = replica->host->options.checkpoint_log_bytes / 2;
    uint64_t grown = replica->log_bytes - begun_log_bytes,
             expected = replica->checkpoint_file_bytes;
    if (half == 0 || grown >= half || expected == 0)
        return PAUSE_NS_MIN;
    double wanted = (double)expected * (double)grown / (double)half;
    return (double)written_bytes > wanted ? PAUSE_NS_MAX : PAUSE_NS_MIN;
}

/* The first index of the entries that stay: for followers that are a little late, and for those
 * that a snapshot is being sent to. */
uint64_t
checkpoint_keep_from(const struct replica *replica, uint64_t index, uint64_t bytes_at_index)
{
    uint64_t keep = replica->host->options.keep_log_bytes, from = index + 1;
    for (uint32_t i = replica->mark_count; i > 0; i--) {
        const struct log_mark *mark = &replica->marks[i - 1];
        if (mark->index <= index && mark->bytes + keep >= bytes_at_index)
            from = mark->index;
    }
    uint64_t wanted = snapshot_send_keeps(replica);
    return wanted < from ? wanted : from;
}

void
checkpoint_forget_marks(struct replica *replica, uint64_t before)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < replica->mark_count; i++)
        if (replica->marks[i].index >= before)
            replica->marks[kept++] = replica->marks[i];
    replica->mark_count = kept;
}

void
checkpoint_note_log(struct replica *replica, uint64_t index, uint64_t bytes)
{
    uint64_t step = replica->host->options.keep_log_bytes / (REPLICA_MARKS / 2) + 1;
    uint64_t last = replica->mark_count ? replica->marks[replica->mark_count - 1].bytes : 0;
    if (replica->mark_count == 0 || replica->log_bytes - last >= step) {
        if (replica->mark_count == REPLICA_MARKS)
            checkpoint_forget_marks(replica, replica->marks[1].index);
        replica->marks[replica->mark_count++] =
            (struct log_mark){.index = index, .bytes = replica->log_bytes};
    }
    replica->log_bytes += bytes;
}
