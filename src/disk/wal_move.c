/* SPDX-License-Identifier: Apache-2.0 */
/* The live entries of groups that write little leave the oldest segment, so that it can go (0014).
 */
#include "base/mem.h"
#include "disk/wal_int.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/file.h"

/* Fewer segments than this are kept without a look at who pins them. */
#define MOVE_SEGMENTS_MIN 4u
/* What lies in the oldest segment is moved when it is at most this part of a segment. */
#define MOVE_SHARE 8u
/* So much of it between two turns of the queue. */
#define MOVE_ROUND_BYTES (256u << 10)
#define READ_BYTES (64u << 10)

static int segment_feed(struct wal *wal, struct wal_scan *scan, uint32_t number, uint8_t *chunk);

bool
wal_move_due(struct wal *wal)
{
    if (wal->move || wal->move_tried == wal->carried || wal->segments.count < MOVE_SEGMENTS_MIN)
        return false;
    /* One alone pins only itself, and its checkpoint comes; a log in order can be repaired (0007).
     */
    if (wal->groups.count < 2)
        return false;
    const struct wal_segment *oldest = &wal->segments.items[0];
    if (oldest->pin_count == 0 || wal->carried <= oldest->number ||
        (wal->frame_left_bytes > 0 && wal->frame_home <= oldest->number))
        return false;
    wal->move_tried = wal->carried;
    uint64_t bytes = 0;
    for (size_t i = 0; i < wal->groups.count; i++) {
        const struct wal_group *group = wal->groups.items[i];
        if (group->pin_count > 0 && group->pins[0].segment == oldest->number)
            bytes += group->pins[0].bytes;
    }
    return bytes <= wal->options.segment_bytes / MOVE_SHARE;
}

/* Only what still counts is taken into memory: it is bounded by wal_move_due. */
static bool
is_wanted(void *owner, uint32_t id, uint64_t index)
{
    const struct wal *wal = owner;
    const struct wal_group *group = wal_groups_find(&wal->groups, id);
    return group && group->pin_count > 0 && group->pins[0].segment == wal->move->segment &&
           index > group->state.start_index && index <= group->pins[0].index_max;
}

static bool
frame_unfinished(const struct wal_scan *scan, uint32_t home)
{
    const struct wal_frames *frames = &scan->frames;
    return frames->home == home && (frames->in_frame || frames->scratch_count > 0);
}

int
wal_move_read(struct wal *wal)
{
    struct wal_move *move = mem_zalloc(sizeof(*move));
    wal->move = move;
    move->segment = wal->segments.items[0].number;
    wal_scan_init(&move->scan, &wal->options.identity);
    move->scan.frames.keep = is_wanted;
    move->scan.frames.keep_owner = wal;
    uint8_t *chunk = mem_alloc_aligned(WAL_BLOCK_BYTES, READ_BYTES);
    int rc = segment_feed(wal, &move->scan, move->segment, chunk);
    for (uint32_t number = move->segment + 1;
         rc == 0 && frame_unfinished(&move->scan, move->segment); number++)
        rc = number <= wal->segment ? segment_feed(wal, &move->scan, number, chunk)
                                    : -SKEIN_ECORRUPT;
    mem_free(chunk);
    if (rc == 0) {
        move->ready = true;
        skein_wake_one(&wal->writer_q);
        return 0;
    }
    if (rc != -SKEIN_ECLOSED)
        obs_log(OBS_WARN, "wal", "cannot read what pins the oldest segment",
                "segment=%u block=%u cause=%s", move->scan.at.segment, move->scan.at.block,
                skein_error_name(rc));
    wal_move_free(wal);
    return rc;
}

static int
segment_feed(struct wal *wal, struct wal_scan *scan, uint32_t number, uint8_t *chunk)
{
    char path[WAL_PATH_BYTES];
    struct skein_stat stat;
    uint32_t version;
    wal_path(wal, number, "", path);
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return rc;
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECT, 0);
    if (handle < 0)
        return handle;
    uint64_t offset = 0;
    bool over = false;
    while (rc == 0 && !over && offset < stat.size_bytes) {
        ssize_t got = skein_file_pread(handle, chunk, READ_BYTES, offset);
        size_t count = got < 0 ? 0 : (size_t)got - (size_t)got % WAL_BLOCK_BYTES;
        rc = got < 0 ? (int)got : wal->writer_done ? -SKEIN_ECLOSED : 0;
        over = count == 0;
        for (size_t at = 0; at < count && rc == 0 && !over; at += WAL_BLOCK_BYTES) {
            if (offset + at == 0)
                rc = wal_scan_segment(scan, number, stat.size_bytes, chunk, &version);
            else
                rc = wal_scan_block(scan, chunk + at);
            /* The rest of a frame of the segment before is all that was asked for. */
            over = scan->frames.carry_complete && scan->lowest != number && scan->batch_have == 0 &&
                   !frame_unfinished(scan, scan->lowest);
        }
        offset += count;
        skein_yield();
    }
    (void)skein_close(handle);
    wal_scan_settle(scan);
    if (rc == 0 && (scan->suspect == WAL_SUSPECT_BLOCK || scan->proof))
        rc = -SKEIN_ECORRUPT;
    return rc;
}

/* What of the found entries counts now. */
static struct raft_entry *
live_of(const struct wal_group *group, const struct wal_group *found, size_t *out_count)
{
    size_t from = 0, to = found->entry_count;
    while (from < to && found->entries[from].index <= group->state.start_index)
        from++;
    while (to > from && found->entries[to - 1].index > group->pins[0].index_max)
        to--;
    *out_count = to - from;
    return found->entries + from;
}

/* Entries that follow each other make a frame; where some are missing (they were moved before, or
 * lie in later segments) another begins. */
static size_t
run_of(const struct raft_entry *entries, size_t count)
{
    size_t run = 1;
    while (run < count && entries[run].index == entries[run - 1].index + 1)
        run++;
    return run;
}

int
wal_move_put(struct wal *wal)
{
    struct wal_move *move = wal->move;
    uint64_t budget = MOVE_ROUND_BYTES;
    int rc = 0;
    while (rc == 0 && budget > 0 && move->next < move->scan.groups.count) {
        const struct wal_group *found = move->scan.groups.items[move->next++];
        struct wal_group *group = wal_groups_find(&wal->groups, found->id);
        if (!group || group->forgetting || group->pin_count == 0 ||
            group->pins[0].segment != move->segment)
            continue;
        size_t count;
        struct raft_entry *entries = live_of(group, found, &count);
        while (rc == 0 && count > 0) {
            size_t run = run_of(entries, count);
            uint64_t bytes = 0;
            rc = wal_moved_put(wal, group, entries, run, &bytes);
            budget -= bytes < budget ? bytes : budget;
            wal->stats.moved_bytes += bytes;
            entries += run;
            count -= run;
        }
        if (rc == 0)
            wal_unpin_put(wal, group, move->segment);
    }
    if (rc == 0 && move->next == move->scan.groups.count)
        wal_move_free(wal);
    return rc;
}

void
wal_move_free(struct wal *wal)
{
    if (!wal->move)
        return;
    wal_scan_deinit(&wal->move->scan);
    mem_free(wal->move);
    wal->move = NULL;
}
