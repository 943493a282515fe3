/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "base/mutation.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/wal_int.h"
#include "obs/log.h"
#include "skein/error.h"

static int round_write(struct wal *wal);
static void latch(struct wal *wal, int code);
static int write_put(struct wal *wal, struct wal_write *write);
static int put(struct wal *wal, const void *data, size_t count);
static int room(struct wal *wal);

static bool
round_due(const struct wal *wal)
{
    return wal->urgent_count > 0 || (wal->move && wal->move->ready) || wal->rotate_due ||
           !list_is_empty(&wal->compacts) || wal->lazy_count > WAL_LAZY_COUNT_MAX ||
           (wal->lazy_count > 0 && (wal->lazy_due || wal->closing));
}

void
wal_writer(void *arg)
{
    struct wal *wal = arg;
    skein_shield(true);
    while (wal->latched == 0) {
        if (round_due(wal)) {
            int rc = round_write(wal);
            if (rc < 0)
                latch(wal, rc);
            continue;
        }
        if (wal->closing)
            break;
        uint64_t until = wal->lazy_count ? skein_deadline_in(WAL_LAZY_NS_MAX) : SKEIN_NEVER;
        if (skein_wait(&wal->writer_q, until) == -SKEIN_ETIMEDOUT)
            wal->lazy_due = true;
    }
    while (!wal->closing) {
        int rc = skein_wait(&wal->writer_q, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    if (wal->handle >= 0)
        (void)skein_close(wal->handle);
    wal->handle = -1;
    wal->writer_done = true;
    skein_wake_all(&wal->keeper_q);
    skein_shield(false);
}

/* Everything queued, also what is queued while this writes. */
static int
round_write(struct wal *wal)
{
    int rc = wal->rotate_due ? wal_batch_begin(wal) : 0;
    if (rc == 0 && wal->move && wal->move->ready)
        rc = wal_move_put(wal);
    if (rc == 0)
        rc = wal_starts_put(wal);
    while (rc == 0 && !list_is_empty(&wal->queue)) {
        struct wal_write *write = LIST_ENTRY(wal->queue.next, struct wal_write, link);
        rc = write_put(wal, write);
        if (rc < 0)
            break;
        list_remove(&write->link);
        list_push_back(&wal->encoded, &write->link);
        if (write->sync)
            wal->urgent_count--;
        else
            wal->lazy_count--;
    }
    wal->lazy_due = false;
    return rc < 0 ? rc : wal_batch_flush(wal);
}

/* Forgotten, durably, and nobody writes to it. */
static void
group_drop(struct wal *wal, struct wal_group *group)
{
    if (wal->frame_group == group)
        wal->frame_group = NULL;
    list_remove(&group->compact_link);
    wal_groups_remove(&wal->groups, group);
}

static void
complete(struct wal *wal, struct skein_list *writes, int status)
{
    struct skein_list *link;
    while ((link = list_pop_front(writes)) != NULL) {
        struct wal_write *write = LIST_ENTRY(link, struct wal_write, link);
        wal->queued_bytes -= wal_frame_bytes(write);
        struct wal_group *group = wal_groups_find(&wal->groups, write->group);
        group->queued_count--;
        if (!group->known && group->queued_count == 0 && wal->latched == 0)
            group_drop(wal, group);
        write->on_durable(write, status);
    }
}

/* For good: the page cache and the device are not to be believed after a failed write. */
static void
latch(struct wal *wal, int code)
{
    wal->latched = code;
    obs_log(OBS_ERROR, "wal", "the disk failed; this log is closed for good", "segment=%u cause=%s",
            wal->segment, skein_error_name(code));
    complete(wal, &wal->encoded, code);
    complete(wal, &wal->queue, code);
    wal->urgent_count = 0;
    wal->lazy_count = 0;
    while (list_pop_front(&wal->compacts))
        ;
}

static int
frame_begin(struct wal *wal, struct wal_group *group, uint64_t bytes)
{
    skein_assert(wal->frame_left_bytes == 0);
    int rc = room(wal);
    if (rc < 0)
        return rc;
    wal->frame_group = group;
    wal->after = wal_group_mark(group);
    wal->frame_left_bytes = bytes;
    wal->frame_home = wal->segment;
    if (wal->writer_count == 0 || wal->writer_group != group->id)
        wal->writer_count += wal->writer_count < 2;
    wal->writer_group = group->id;
    return 0;
}

void
wal_raise_bounds(struct wal *wal, const struct wal_mark *mark)
{
    if (wal->term_max < mark->state.hard_state.term)
        wal->term_max = mark->state.hard_state.term;
    if (wal->term_max < mark->last_term)
        wal->term_max = mark->last_term;
    if (wal->index_max < mark->last_index)
        wal->index_max = mark->last_index;
}

static void
effect_add(struct wal *wal, const struct wal_effect *effect)
{
    mem_grow(&wal->effects, &wal->effect_capacity, wal->effect_count, sizeof(*wal->effects));
    wal->effects[wal->effect_count++] = *effect;
}

/* All of the frame is in the buffer, or before it. */
static void
frame_end(struct wal *wal, struct wal_effect effect)
{
    struct wal_group *group = wal->frame_group;
    skein_assert(wal->frame_left_bytes == 0);
    wal->known_count += !effect.forget;
    wal->known_count -= group->known;
    group->known = !effect.forget;
    group->state = wal->after.state;
    group->last_index = wal->after.last_index;
    group->last_term = wal->after.last_term;
    group->forgetting = effect.forget;
    effect.group = group;
    effect.home = wal->frame_home;
    effect_add(wal, &effect);
}

static void
after_write(struct wal *wal, const struct wal_write *write)
{
    struct wal_mark *after = &wal->after;
    if (write->forget)
        *after = (struct wal_mark){.group = write->group};
    if (write->hard_state)
        after->state.hard_state = *write->hard_state;
    if (write->snapshot) {
        after->state.start_index = after->last_index = write->snapshot->index;
        after->state.start_term = after->last_term = write->snapshot->term;
    }
    if (write->entry_count > 0) {
        after->last_index = write->entries[write->entry_count - 1].index;
        after->last_term = write->entries[write->entry_count - 1].term;
    }
    wal_raise_bounds(wal, after);
}

static int
frame_put(struct wal *wal, const uint8_t frame_head[WAL_FRAME_HEAD_BYTES],
          const struct wal_write *write, uint64_t bytes)
{
    uint8_t head[WAL_ENTRY_HEAD_BYTES];
    if (write->entry_count > 0)
        wal_group_pin(wal->frame_group, &wal->segments, wal->frame_home,
                      write->entries[write->entry_count - 1].index, bytes);
    int rc = put(wal, frame_head, WAL_FRAME_HEAD_BYTES);
    for (size_t i = 0; i < write->entry_count && rc == 0; i++) {
        wal_entry_head(head, &write->entries[i]);
        rc = put(wal, head, WAL_ENTRY_HEAD_BYTES);
        if (rc == 0)
            rc = put(wal, write->entries[i].data.data, write->entries[i].data.count);
    }
    return rc;
}

int
wal_moved_put(struct wal *wal, struct wal_group *group, const struct raft_entry *entries,
              size_t count, uint64_t *out_bytes)
{
    uint8_t head[WAL_FRAME_HEAD_BYTES];
    struct wal_write moved = {.group = group->id, .entries = entries, .entry_count = count};
    *out_bytes = wal_frame_bytes(&moved);
    int rc = frame_begin(wal, group, *out_bytes);
    if (rc < 0)
        return rc;
    wal_frame_moved_head(head, &moved);
    rc = frame_put(wal, head, &moved, *out_bytes);
    if (rc == 0)
        frame_end(wal, (struct wal_effect){0});
    return rc;
}

void
wal_unpin_put(struct wal *wal, struct wal_group *group, uint32_t segment)
{
    effect_add(wal, &(struct wal_effect){.group = group, .emptied = segment});
}

static int
write_put(struct wal *wal, struct wal_write *write)
{
    uint8_t head[WAL_FRAME_HEAD_BYTES];
    struct wal_group *group = wal_groups_find(&wal->groups, write->group);
    uint64_t bytes = wal_frame_bytes(write);
    int rc = group->forgetting ? wal_batch_flush(wal) : 0;
    if (rc == 0)
        rc = frame_begin(wal, group, bytes);
    if (rc < 0)
        return rc;
    after_write(wal, write);
    wal_frame_head(head, write);
    rc = frame_put(wal, head, write, bytes);
    if (rc < 0)
        return rc;
    frame_end(wal, (struct wal_effect){.first = write->entry_count ? write->entries[0].index : 0,
                                       .start_index = write->snapshot ? write->snapshot->index : 0,
                                       .restart = write->snapshot != NULL,
                                       .forget = write->forget});
    return 0;
}

void
wal_compact_queue(struct wal *wal, struct wal_group *group, uint64_t index, uint64_t term)
{
    group->compact_index = index;
    group->compact_term = term;
    if (!list_is_linked(&group->compact_link))
        list_push_back(&wal->compacts, &group->compact_link);
}

int
wal_starts_put(struct wal *wal)
{
    uint8_t head[WAL_FRAME_HEAD_BYTES];
    struct skein_list *link;
    int rc = 0;
    while (rc == 0 && (link = list_pop_front(&wal->compacts)) != NULL) {
        struct wal_group *group = LIST_ENTRY(link, struct wal_group, compact_link);
        if (group->compact_index <= group->state.start_index || group->forgetting)
            continue;
        rc = frame_begin(wal, group, sizeof(head));
        if (rc < 0)
            return rc;
        wal->after.state.start_index = group->compact_index;
        wal->after.state.start_term = group->compact_term;
        wal_raise_bounds(wal, &wal->after);
        wal_frame_start_head(head, group->id, group->compact_index, group->compact_term);
        rc = put(wal, head, sizeof(head));
        if (rc == 0)
            frame_end(wal, (struct wal_effect){.start_index = wal->after.state.start_index});
    }
    return rc;
}

static uint8_t *
block_at(struct wal *wal, uint32_t number)
{
    return wal->buffer + (size_t)number * WAL_BLOCK_BYTES;
}

static void
batch_start(struct wal *wal)
{
    uint32_t left = wal->segment_blocks - wal->next_block;
    wal->batch_blocks_max = left < wal->buffer_blocks ? left : wal->buffer_blocks;
    wal->batch_blocks = 1;
    wal->payload_bytes = 0;
    wal->carry_blocks = 0;
    wal->carry_ends = false;
}

/* Into the first blocks of a segment, as many batches as it takes; a frame begins behind them. */
static int
carry_put(struct wal *wal)
{
    struct wal_carry carry = {.continuing_bytes = wal->frame_left_bytes};
    if (wal->frame_left_bytes > 0)
        carry.after = wal->after;
    size_t bytes = wal_carry_bytes(&wal->groups);
    uint8_t *encoded = mem_alloc(bytes);
    wal_carry_encode(encoded, &carry, &wal->groups);
    int rc = 0;
    for (size_t at = 0; at < bytes && rc == 0;) {
        size_t left = bytes - at;
        size_t take = left < WAL_PAYLOAD_BYTES ? left : WAL_PAYLOAD_BYTES;
        memcpy(block_at(wal, wal->batch_blocks - 1) + WAL_BLOCK_HEAD_BYTES, encoded + at, take);
        at += take;
        wal->carry_blocks = wal->batch_blocks;
        wal->carry_last_bytes = (uint32_t)take;
        wal->carry_ends = at == bytes;
        if (at < bytes && wal->batch_blocks == wal->batch_blocks_max) {
            rc = wal_batch_flush(wal);
            batch_start(wal);
        } else if (at < bytes) {
            wal->batch_blocks++;
        }
    }
    wal->payload_bytes = WAL_PAYLOAD_BYTES;
    mem_free(encoded);
    return rc;
}

int
wal_batch_begin(struct wal *wal)
{
    skein_assert(wal->batch_blocks == 0);
    if (wal->segment == 0 || wal->next_block == wal->segment_blocks || wal->rotate_due) {
        int rc = wal_segment_advance(wal);
        if (rc < 0)
            return rc;
    }
    batch_start(wal);
    if (wal->next_block > 1)
        return 0;
    wal->writer_count = wal->frame_left_bytes > 0;
    return carry_put(wal);
}

/* At least one byte of payload free in the last block of the batch. */
static int
room(struct wal *wal)
{
    while (wal->batch_blocks == 0 || wal->payload_bytes == WAL_PAYLOAD_BYTES) {
        int rc = 0;
        if (wal->batch_blocks == 0) {
            rc = wal_batch_begin(wal);
        } else if (wal->batch_blocks == wal->batch_blocks_max) {
            rc = wal_batch_flush(wal);
        } else {
            wal->batch_blocks++;
            wal->payload_bytes = 0;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
put(struct wal *wal, const void *data, size_t count)
{
    const uint8_t *from = data;
    while (count > 0) {
        int rc = room(wal);
        if (rc < 0)
            return rc;
        size_t free_bytes = WAL_PAYLOAD_BYTES - wal->payload_bytes;
        size_t take = count < free_bytes ? count : free_bytes;
        memcpy(block_at(wal, wal->batch_blocks - 1) + WAL_BLOCK_HEAD_BYTES + wal->payload_bytes,
               from, take);
        wal->payload_bytes += (uint32_t)take;
        wal->frame_left_bytes -= take;
        from += take;
        count -= take;
    }
    return 0;
}

static struct wal_mark
batch_mark(const struct wal *wal)
{
    struct wal_mark mark = {0};
    if (wal->frame_left_bytes > 0)
        mark = wal->after;
    else if (wal->frame_group)
        mark = wal_group_mark(wal->frame_group);
    else if (wal->groups.count > 0)
        mark = wal_group_mark(wal->groups.items[0]);
    bool comes = wal->frame_left_bytes > 0 && !wal->frame_group->known;
    mark.group_count = (uint32_t)wal->known_count + comes;
    mark.alone = wal->writer_count < 2;
    mark.term_max = wal->term_max;
    mark.index_max = wal->index_max;
    return mark;
}

static void
batch_seal(struct wal *wal)
{
    struct wal_mark mark = batch_mark(wal);
    for (uint32_t i = 0; i < wal->batch_blocks; i++) {
        bool carry = i < wal->carry_blocks;
        uint32_t bytes = WAL_PAYLOAD_BYTES;
        if (i + 1 == wal->carry_blocks)
            bytes = wal->carry_last_bytes;
        else if (i + 1 == wal->batch_blocks)
            bytes = wal->payload_bytes;
        struct wal_block block = {
            .kind = carry ? WAL_BLOCK_CARRY : WAL_BLOCK_DATA,
            .payload_bytes = (uint16_t)bytes,
            .generation = wal->segment_generation,
            .at = {wal->segment, wal->next_block + i},
            .synced = wal->end,
            .batch = wal->batch_next,
            .number = (uint16_t)i,
            .count = (uint16_t)wal->batch_blocks,
            .layout = WAL_LAYOUT_SECTORS,
            .mark = mark,
        };
        wal_block_seal(block_at(wal, i), &block);
    }
}

/* What is encoded is durable: older entries may be void by it. */
static void
effects_apply(struct wal *wal)
{
    bool freed = wal->carry_ends;
    for (size_t i = 0; i < wal->effect_count; i++) {
        const struct wal_effect *effect = &wal->effects[i];
        struct wal_group *group = effect->group;
        if (effect->forget) {
            wal_group_unpin_before(group, &wal->segments, UINT32_MAX);
            group->forgetting = false;
        }
        if (effect->emptied > 0)
            wal_group_unpin_segment(group, &wal->segments, effect->emptied);
        if (effect->restart)
            wal_group_unpin_before(group, &wal->segments, effect->home);
        if (effect->first > 0)
            wal_group_overwrite(group, effect->home, effect->first);
        if (effect->start_index > 0)
            wal_group_unpin_start(group, &wal->segments, effect->start_index);
        freed = freed || effect->forget || effect->restart || effect->start_index > 0 ||
                effect->emptied > 0;
    }
    wal->effect_count = 0;
    if (wal->carry_ends)
        wal->carried = wal->segment;
    wal->carry_ends = false;
    if (freed)
        skein_wake_all(&wal->keeper_q);
}

int
wal_batch_flush(struct wal *wal)
{
    if (wal->batch_blocks == 0) {
        effects_apply(wal); /* those that need nothing written */
        return 0;
    }
    batch_seal(wal);
    uint64_t bytes = (uint64_t)wal->batch_blocks * WAL_BLOCK_BYTES;
    uint64_t offset = (uint64_t)wal->next_block * WAL_BLOCK_BYTES;
    uint32_t flags = mutation_on(MUTATION_SKIP_SYNC) ? 0 : SKEIN_FILE_DSYNC;
    uint64_t begun_ns = skein_now_ns();
    int rc = skein_file_pwrite(wal->handle, wal->buffer, bytes, offset, flags);
    if (rc < 0 && !mutation_on(MUTATION_SYNC_FAILURE_HIDDEN))
        return rc;
    wal->next_block += wal->batch_blocks;
    wal->batch_blocks = 0;
    wal->end = (struct wal_position){wal->segment, wal->next_block};
    wal->batch_next++;
    wal->stats.writes++;
    wal->stats.write_bytes += bytes;
    if (wal->sync_latency)
        skein_histogram_record(wal->sync_latency, skein_now_ns() - begun_ns);
    effects_apply(wal);
    complete(wal, &wal->encoded, 0);
    return 0;
}
