/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "disk/wal_frame.h"
#include "skein/error.h"

static int head_parsed(struct wal_frames *frames);
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
wal_frames_init(struct wal_frames *frames, struct wal_groups *groups, struct wal_segments *segments)
{
    *frames = (struct wal_frames){.groups = groups, .segments = segments};
}

void
wal_frames_deinit(struct wal_frames *frames)
{
    pending_drop(frames);
    mem_free(frames->pending);
    mem_free(frames->carry);
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

void
wal_frames_segment(struct wal_frames *frames, uint32_t number)
{
    wal_segments_add(frames->segments, number);
    frames->carry_count = 0;
    frames->carry_complete = false;
}

static void
group_restore(struct wal_frames *frames, const struct wal_mark *mark)
{
    struct wal_group *group = wal_groups_get(frames->groups, mark->group);
    group->known = true;
    group->state = mark->state;
    group->last_index = mark->last_index;
    group->last_term = mark->last_term;
}

/* The lowest segment's carry: what is known begins with it. */
static int
carry_adopt(struct wal_frames *frames, const struct wal_carry *carry)
{
    const uint8_t *row = frames->carry + WAL_CARRY_HEAD_BYTES;
    uint32_t after = 0;
    for (uint32_t i = 0; i < carry->row_count; i++, row += WAL_CARRY_ROW_BYTES) {
        struct wal_mark mark = wal_carry_row(row);
        if (mark.group < after || mark.group >= WAL_GROUPS_MAX)
            return fault(frames, "the carried groups are out of order");
        after = mark.group + 1;
        group_restore(frames, &mark);
    }
    frames->skip_bytes = carry->continuing_bytes;
    frames->skip_after = carry->after;
    frames->carried = true;
    return 0;
}

static int
carry_compare(struct wal_frames *frames, const struct wal_carry *carry)
{
    const uint8_t *row = frames->carry + WAL_CARRY_HEAD_BYTES;
    if (wal_groups_known_count(frames->groups) != carry->row_count)
        return fault(frames, "other groups are carried than were in the segments before");
    for (size_t i = 0; i < frames->groups->count; i++) {
        if (!frames->groups->items[i]->known)
            continue;
        struct wal_mark was = wal_group_mark(frames->groups->items[i]);
        struct wal_mark mark = wal_carry_row(row);
        row += WAL_CARRY_ROW_BYTES;
        if (mark.group != was.group || !wal_state_equal(&mark.state, &was.state) ||
            (carry->lasts &&
             (mark.last_index != was.last_index || mark.last_term != was.last_term)))
            return fault(frames, "the carried state contradicts the segments before");
    }
    return 0;
}

static int
carry_check(struct wal_frames *frames, const struct wal_carry *carry)
{
    if (!frames->carried)
        return carry_adopt(frames, carry);
    if (carry->continuing_bytes == 0) {
        wal_frames_end(frames);
    } else {
        uint64_t left = frames->in_frame ? frames->left_bytes : frames->skip_bytes;
        if (!frames->in_frame && frames->scratch_count > 0)
            left = carry->continuing_bytes; /* the head itself is split: its length is not known */
        if (left != carry->continuing_bytes)
            return fault(frames, "the carried state continues another frame");
    }
    return carry_compare(frames, carry);
}

int
wal_frames_carry(struct wal_frames *frames, const uint8_t *data, size_t count)
{
    struct wal_carry carry;
    if (frames->carry_complete)
        return fault(frames, "a carry that is longer than it says");
    if (frames->carry_count + count > frames->carry_capacity) {
        size_t capacity = 2 * (frames->carry_count + count);
        uint8_t *grown = mem_try_realloc(frames->carry, capacity);
        if (!grown)
            return -SKEIN_ENOMEM;
        frames->carry = grown;
        frames->carry_capacity = capacity;
    }
    memcpy(frames->carry + frames->carry_count, data, count);
    frames->carry_count += count;
    if (frames->carry_count < WAL_CARRY_HEAD_BYTES || wal_carry_decode(frames->carry, &carry) < 0)
        return fault(frames, "no carry looks like this");
    size_t whole = WAL_CARRY_HEAD_BYTES + (size_t)carry.row_count * WAL_CARRY_ROW_BYTES;
    if (frames->carry_count > whole)
        return fault(frames, "a carry that is longer than it says");
    frames->carry_complete = frames->carry_count == whole;
    return frames->carry_complete ? carry_check(frames, &carry) : 0;
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
        group_restore(frames, &frames->skip_after);
}

static void
data_fill(struct wal_frames *frames, const uint8_t **data, size_t *count)
{
    size_t take = frames->data_left < *count ? frames->data_left : *count;
    if (frames->data) {
        memcpy(frames->data, *data, take);
        frames->data += take;
    }
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
    if (!frames->carry_complete)
        return fault(frames, "frames before the carry is complete");
    while (count > 0 && rc == 0) {
        if (frames->skip_bytes > 0) {
            skip(frames, &data, &count);
        } else if (frames->phase == WAL_PHASE_HEAD) {
            if (frames->scratch_count == 0)
                frames->home = segment;
            if (scratch_fill(frames, WAL_FRAME_HEAD_BYTES, &data, &count))
                rc = head_parsed(frames);
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
head_parsed(struct wal_frames *frames)
{
    const uint8_t *head = frames->scratch;
    const uint32_t known = WAL_FRAME_HARD_STATE | WAL_FRAME_SNAPSHOT | WAL_FRAME_START |
                           WAL_FRAME_FORGET | WAL_FRAME_MOVED;
    frames->flags = (uint32_t)wire_load(head + 4, 2);
    frames->group = (uint32_t)wire_load(head + 6, 2);
    frames->frame_bytes = wire_load(head + 8, 8);
    frames->entries_left = wire_load(head + 16, 8);
    if (wire_load(head, 4) != WAL_FRAME_MAGIC || (frames->flags & ~known) != 0)
        return fault(frames, "no frame begins where one should");
    if (frames->frame_bytes < WAL_FRAME_HEAD_BYTES ||
        frames->entries_left > (frames->frame_bytes - WAL_FRAME_HEAD_BYTES) / WAL_ENTRY_HEAD_BYTES)
        return fault(frames, "a frame is shorter than its entries");
    frames->left_bytes = frames->frame_bytes - WAL_FRAME_HEAD_BYTES;
    const struct wal_group *group = wal_groups_find(frames->groups, frames->group);
    frames->after = group ? group->state : (struct wal_state){0};
    if (frames->flags & WAL_FRAME_FORGET && frames->entries_left > 0)
        return fault(frames, "a frame forgets its group and has entries of it");
    if (frames->flags & WAL_FRAME_HARD_STATE)
        frames->after.hard_state = (struct raft_hard_state){
            wire_load(head + 24, 8), wire_load(head + 32, 8), wire_load(head + 40, 8)};
    if (frames->flags & (WAL_FRAME_SNAPSHOT | WAL_FRAME_START)) {
        frames->after.start_index = wire_load(head + 48, 8);
        frames->after.start_term = wire_load(head + 56, 8);
    }
    frames->first_index = frames->last_index = frames->last_term = 0;
    frames->in_frame = true;
    return part_done(frames);
}

/* Memory for its data, if it is to be kept. */
static int
entry_begin(struct wal_frames *frames, struct raft_entry *entry, uint64_t bytes)
{
    if (frames->first_index == 0)
        frames->first_index = entry->index;
    frames->last_index = entry->index;
    frames->last_term = entry->term;
    frames->data = NULL;
    frames->data_left = bytes;
    if (frames->keep && !frames->keep(frames->keep_owner, frames->group, entry->index))
        return 0;
    struct bytes_buf *buf = bytes_try_new(bytes);
    if (!buf)
        return -SKEIN_ENOMEM;
    entry->data = bytes_of(buf, bytes);
    mem_grow(&frames->pending, &frames->pending_capacity, frames->pending_count,
             sizeof(*frames->pending));
    frames->pending[frames->pending_count++] = *entry;
    frames->data = buf->data;
    return 0;
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
    if (frames->first_index > 0 && frames->last_index + 1 != entry.index)
        return fault(frames, "the entries of a frame do not follow each other");
    entry.type = (enum raft_entry_type)type;
    int rc = entry_begin(frames, &entry, bytes);
    if (rc < 0)
        return rc;
    frames->entries_left--;
    if (bytes == 0)
        return part_done(frames);
    frames->scratch_count = 0;
    frames->phase = WAL_PHASE_ENTRY_DATA;
    return 0;
}

/* The first of the entries that is not below @index. */
static size_t
entry_place(const struct wal_group *group, uint64_t index)
{
    size_t low = 0, high = group->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (group->entries[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void
entries_truncate(struct wal_group *group, size_t count)
{
    while (group->entry_count > count)
        bytes_unref(&group->entries[--group->entry_count].data);
}

static void
group_forget(struct wal_frames *frames, struct wal_group *group)
{
    entries_truncate(group, 0);
    wal_group_unpin_before(group, frames->segments, UINT32_MAX);
    group->known = false;
    group->state = (struct wal_state){0};
    group->last_index = group->last_term = 0;
}

static void
entry_insert(struct wal_group *group, size_t place, const struct raft_entry *entry)
{
    mem_grow(&group->entries, &group->entry_capacity, group->entry_count, sizeof(*group->entries));
    memmove(group->entries + place + 1, group->entries + place,
            (group->entry_count - place) * sizeof(*group->entries));
    group->entries[place] = *entry;
    group->entry_count++;
}

static void
entries_append(struct wal_frames *frames, struct wal_group *group)
{
    entries_truncate(group, entry_place(group, frames->first_index));
    wal_group_overwrite(group, frames->home, frames->first_index);
    for (size_t i = 0; i < frames->pending_count; i++)
        entry_insert(group, group->entry_count, &frames->pending[i]);
    group->last_index = frames->last_index;
    group->last_term = frames->last_term;
}

/* Those that are not known: the segment in which they were written first is gone. */
static void
entries_merge(struct wal_frames *frames, struct wal_group *group)
{
    for (size_t i = 0; i < frames->pending_count; i++) {
        struct raft_entry *entry = &frames->pending[i];
        size_t place = entry_place(group, entry->index);
        if (place < group->entry_count && group->entries[place].index == entry->index)
            bytes_unref(&entry->data);
        else
            entry_insert(group, place, entry);
    }
}

static int
frame_commit(struct wal_frames *frames)
{
    struct wal_group *group = wal_groups_get(frames->groups, frames->group);
    bool moved = frames->flags & WAL_FRAME_MOVED;
    frames->in_frame = false;
    if (moved && (!group->known || frames->last_index > group->last_index))
        return fault(frames, "entries were moved that the group does not have");
    group->known = true;
    group->state = frames->after;
    if (frames->flags & WAL_FRAME_FORGET)
        group_forget(frames, group);
    if (frames->flags & WAL_FRAME_SNAPSHOT) {
        entries_truncate(group, 0);
        wal_group_unpin_before(group, frames->segments, frames->home);
        group->last_index = group->state.start_index;
        group->last_term = group->state.start_term;
    }
    if (frames->first_index == 0)
        return 0;
    if (moved)
        entries_merge(frames, group);
    else
        entries_append(frames, group);
    frames->pending_count = 0;
    wal_group_pin(group, frames->segments, frames->home, frames->last_index, frames->frame_bytes);
    return 0;
}

bool
wal_frames_contiguous(struct wal_group *group)
{
    size_t from = group->entry_count;
    while (from > 0 && (from == group->entry_count ||
                        group->entries[from - 1].index + 1 == group->entries[from].index))
        from--;
    if (from == group->entry_count)
        return true;
    if (group->entries[from].index > group->state.start_index + 1)
        return false;
    for (size_t i = 0; i < from; i++)
        bytes_unref(&group->entries[i].data);
    group->entry_count -= from;
    memmove(group->entries, group->entries + from, group->entry_count * sizeof(*group->entries));
    return true;
}
