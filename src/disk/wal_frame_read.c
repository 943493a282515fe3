/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "disk/wal_frame.h"
#include "skein/error.h"

static int head_parsed(struct wal_frames *frames, uint32_t segment);
static int entry_head_parsed(struct wal_frames *frames);
static int frame_commit(struct wal_frames *frames);

static int
fault(struct wal_frames *frames, const char *error)
{
    frames->error = error;
    return -SKEIN_ECORRUPT;
}

static void
pending_drop(struct wal_frames *frames)
{
    for (size_t i = 0; i < frames->pending_count; i++)
        bytes_unref(&frames->pending[i].data);
    frames->pending_count = 0;
}

void
wal_frames_init(struct wal_frames *frames, struct wal_segments *segments)
{
    *frames = (struct wal_frames){.segments = segments};
}

void
wal_frames_deinit(struct wal_frames *frames)
{
    pending_drop(frames);
    mem_free(frames->pending);
    for (size_t i = 0; i < frames->entry_count; i++)
        bytes_unref(&frames->entries[i].data);
    mem_free(frames->entries);
    *frames = (struct wal_frames){0};
}

void
wal_frames_end(struct wal_frames *frames)
{
    if (frames->in_frame)
        frames->void_bytes += frames->frame_bytes - frames->left_bytes;
    frames->void_bytes += frames->scratch_count;
    pending_drop(frames);
    frames->in_frame = false;
    frames->skip_bytes = 0;
    frames->scratch_count = 0;
    frames->phase = WAL_PHASE_HEAD;
}

int
wal_frames_carry(struct wal_frames *frames, const struct wal_carry *carry, bool lowest)
{
    if (lowest) {
        frames->state = carry->state;
        frames->skip_bytes = carry->continuing_bytes;
        frames->after = carry->after;
        return 0;
    }
    if (carry->continuing_bytes == 0) {
        wal_frames_end(frames);
    } else {
        uint64_t left = frames->in_frame ? frames->left_bytes : frames->skip_bytes;
        if (!frames->in_frame && frames->scratch_count > 0)
            left = carry->continuing_bytes; /* the head itself is split: its length is not known */
        if (left != carry->continuing_bytes)
            return fault(frames, "the carried state continues another frame");
    }
    if (!wal_state_equal(&carry->state, &frames->state))
        return fault(frames, "the carried state contradicts the segments before");
    return 0;
}

/* Collect @wanted bytes of a fixed part; true when they are all there. */
static bool
scratch_fill(struct wal_frames *frames, size_t wanted, const uint8_t **data, size_t *count)
{
    size_t take = wanted - frames->scratch_count;
    if (take > *count)
        take = *count;
    memcpy(frames->scratch + frames->scratch_count, *data, take);
    frames->scratch_count += take;
    *data += take;
    *count -= take;
    if (frames->in_frame)
        frames->left_bytes -= take;
    return frames->scratch_count == wanted;
}

static void
skip(struct wal_frames *frames, const uint8_t **data, size_t *count)
{
    size_t take = frames->skip_bytes < *count ? (size_t)frames->skip_bytes : *count;
    *data += take;
    *count -= take;
    frames->skip_bytes -= take;
    if (frames->skip_bytes == 0)
        frames->state = frames->after;
}

static void
data_fill(struct wal_frames *frames, const uint8_t **data, size_t *count)
{
    size_t take = frames->data_left < *count ? frames->data_left : *count;
    memcpy(frames->data, *data, take);
    frames->data += take;
    frames->data_left -= take;
    frames->left_bytes -= take;
    *data += take;
    *count -= take;
}

/* After a part: the next one, or the end of the frame. */
static int
part_done(struct wal_frames *frames)
{
    frames->scratch_count = 0;
    frames->phase = WAL_PHASE_ENTRY_HEAD;
    if (frames->entries_left > 0)
        return 0;
    if (frames->left_bytes != 0)
        return fault(frames, "a frame is longer than its entries");
    frames->phase = WAL_PHASE_HEAD;
    return frame_commit(frames);
}

int
wal_frames_push(struct wal_frames *frames, uint32_t segment, const uint8_t *data, size_t count)
{
    int rc = 0;
    while (count > 0 && rc == 0) {
        if (frames->skip_bytes > 0) {
            skip(frames, &data, &count);
        } else if (frames->phase == WAL_PHASE_HEAD) {
            if (frames->scratch_count == 0)
                frames->home = segment;
            if (scratch_fill(frames, WAL_FRAME_HEAD_BYTES, &data, &count))
                rc = head_parsed(frames, segment);
        } else if (frames->phase == WAL_PHASE_ENTRY_HEAD) {
            if (scratch_fill(frames, WAL_ENTRY_HEAD_BYTES, &data, &count))
                rc = entry_head_parsed(frames);
        } else {
            data_fill(frames, &data, &count);
            if (frames->data_left == 0)
                rc = part_done(frames);
        }
    }
    return rc;
}

static int
head_parsed(struct wal_frames *frames, uint32_t segment)
{
    const uint8_t *head = frames->scratch;
    const uint32_t known = WAL_FRAME_HARD_STATE | WAL_FRAME_SNAPSHOT | WAL_FRAME_START;
    (void)segment;
    frames->flags = (uint32_t)wire_load(head + 4, 4);
    frames->frame_bytes = wire_load(head + 8, 8);
    frames->entries_left = wire_load(head + 16, 8);
    if (wire_load(head, 4) != WAL_FRAME_MAGIC || (frames->flags & ~known) != 0)
        return fault(frames, "no frame begins where one should");
    if (frames->frame_bytes < WAL_FRAME_HEAD_BYTES ||
        frames->entries_left > (frames->frame_bytes - WAL_FRAME_HEAD_BYTES) / WAL_ENTRY_HEAD_BYTES)
        return fault(frames, "a frame is shorter than its entries");
    frames->left_bytes = frames->frame_bytes - WAL_FRAME_HEAD_BYTES;
    frames->after = frames->state;
    if (frames->flags & WAL_FRAME_HARD_STATE)
        frames->after.hard_state = (struct raft_hard_state){
            wire_load(head + 24, 8), wire_load(head + 32, 8), wire_load(head + 40, 8)};
    if (frames->flags & (WAL_FRAME_SNAPSHOT | WAL_FRAME_START)) {
        frames->after.start_index = wire_load(head + 48, 8);
        frames->after.start_term = wire_load(head + 56, 8);
    }
    frames->in_frame = true;
    return part_done(frames);
}

static int
entry_head_parsed(struct wal_frames *frames)
{
    const uint8_t *head = frames->scratch;
    struct raft_entry entry = {.index = wire_load(head, 8), .term = wire_load(head + 8, 8)};
    uint64_t bytes = wire_load(head + 16, 4);
    uint64_t type = wire_load(head + 20, 4);
    if (entry.index == 0 || entry.index == UINT64_MAX || type >= RAFT_ENTRY_TYPE_END)
        return fault(frames, "no entry looks like this");
    if (bytes > WAL_ENTRY_BYTES_MAX || bytes > frames->left_bytes)
        return fault(frames, "an entry is longer than its frame");
    if (frames->pending_count > 0 &&
        frames->pending[frames->pending_count - 1].index + 1 != entry.index)
        return fault(frames, "the entries of a frame do not follow each other");
    entry.type = (enum raft_entry_type)type;
    struct bytes_buf *buf = bytes_try_new(bytes);
    if (!buf)
        return -SKEIN_ENOMEM;
    entry.data = bytes_of(buf, bytes);
    mem_grow(&frames->pending, &frames->pending_capacity, frames->pending_count,
             sizeof(*frames->pending));
    frames->pending[frames->pending_count++] = entry;
    frames->entries_left--;
    frames->data = buf->data;
    frames->data_left = bytes;
    if (bytes == 0)
        return part_done(frames);
    frames->scratch_count = 0;
    frames->phase = WAL_PHASE_ENTRY_DATA;
    return 0;
}

static void
entries_truncate(struct wal_frames *frames, size_t count)
{
    while (frames->entry_count > count)
        bytes_unref(&frames->entries[--frames->entry_count].data);
}

static int
frame_commit(struct wal_frames *frames)
{
    frames->in_frame = false;
    frames->state = frames->after;
    if (frames->flags & WAL_FRAME_SNAPSHOT) {
        entries_truncate(frames, 0);
        wal_segments_restart(frames->segments, frames->home);
    }
    if (frames->pending_count == 0)
        return 0;
    uint64_t first = frames->pending[0].index;
    if (frames->entry_count > 0) {
        uint64_t low = frames->entries[0].index;
        uint64_t next = low + frames->entry_count;
        if (first > next && first > frames->state.start_index + 1)
            return fault(frames, "entries are missing before this frame");
        /* A gap that a checkpoint covers: it was ahead of this log, which was lost behind `next`.
         */
        bool covered_gap = first > next;
        entries_truncate(frames, first > low && !covered_gap ? (size_t)(first - low) : 0);
    }
    for (size_t i = 0; i < frames->pending_count; i++) {
        mem_grow(&frames->entries, &frames->entry_capacity, frames->entry_count,
                 sizeof(*frames->entries));
        frames->entries[frames->entry_count++] = frames->pending[i];
    }
    uint64_t last = frames->pending[frames->pending_count - 1].index;
    frames->pending_count = 0;
    wal_segments_note(frames->segments, frames->home, last);
    return 0;
}
