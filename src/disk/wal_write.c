/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

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
    return wal->urgent_count > 0 || wal->compact_due || wal->lazy_count > WAL_LAZY_COUNT_MAX ||
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
    int rc = wal->compact_due ? wal_start_put(wal) : 0;
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

static void
complete(struct wal *wal, struct skein_list *writes, int status)
{
    struct skein_list *link;
    while ((link = list_pop_front(writes)) != NULL) {
        struct wal_write *write = LIST_ENTRY(link, struct wal_write, link);
        wal->queued_bytes -= wal_frame_bytes(write);
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
    wal->compact_due = false;
}

static void
frame_begin(struct wal *wal, uint64_t bytes)
{
    skein_assert(wal->frame_left_bytes == 0);
    wal->after = wal->state;
    wal->frame_left_bytes = bytes;
    wal->frame_home = wal->segment;
}

static int
write_put(struct wal *wal, struct wal_write *write)
{
    uint8_t head[WAL_FRAME_HEAD_BYTES];
    int rc = room(wal);
    if (rc < 0)
        return rc;
    frame_begin(wal, wal_frame_bytes(write));
    if (write->hard_state)
        wal->after.hard_state = *write->hard_state;
    if (write->snapshot) {
        wal->after.start_index = write->snapshot->index;
        wal->after.start_term = write->snapshot->term;
    }
    if (write->snapshot) {
        wal->last_index = write->snapshot->index;
        wal->last_term = write->snapshot->term;
    }
    if (write->entry_count > 0) {
        wal->last_index = write->entries[write->entry_count - 1].index;
        wal->last_term = write->entries[write->entry_count - 1].term;
        wal_segments_note(&wal->segments, wal->frame_home,
                          write->entries[write->entry_count - 1].index);
    }
    wal_frame_head(head, write);
    rc = put(wal, head, sizeof(head));
    for (size_t i = 0; i < write->entry_count && rc == 0; i++) {
        wal_entry_head(head, &write->entries[i]);
        rc = put(wal, head, WAL_ENTRY_HEAD_BYTES);
        if (rc == 0)
            rc = put(wal, write->entries[i].data.data, write->entries[i].data.count);
    }
    if (rc < 0)
        return rc;
    skein_assert(wal->frame_left_bytes == 0);
    wal->state = wal->after;
    if (write->snapshot)
        wal->restart_segment = wal->frame_home;
    return 0;
}

int
wal_start_put(struct wal *wal)
{
    uint8_t head[WAL_FRAME_HEAD_BYTES];
    int rc = room(wal);
    if (rc < 0)
        return rc;
    wal->compact_due = false;
    if (wal->compact_index <= wal->state.start_index)
        return 0;
    frame_begin(wal, sizeof(head));
    wal->after.start_index = wal->compact_index;
    wal->after.start_term = wal->compact_term;
    wal_frame_start_head(head, wal->compact_index, wal->compact_term);
    rc = put(wal, head, sizeof(head));
    if (rc == 0)
        wal->state = wal->after;
    return rc;
}

static uint8_t *
block_at(struct wal *wal, uint32_t number)
{
    return wal->buffer + (size_t)number * WAL_BLOCK_BYTES;
}

int
wal_batch_begin(struct wal *wal)
{
    skein_assert(wal->batch_blocks == 0);
    if (wal->segment == 0 || wal->next_block == wal->segment_blocks) {
        int rc = wal_segment_advance(wal);
        if (rc < 0)
            return rc;
    }
    uint32_t left = wal->segment_blocks - wal->next_block;
    wal->batch_blocks_max = left < wal->buffer_blocks ? left : wal->buffer_blocks;
    wal->batch_blocks = 1;
    wal->payload_bytes = 0;
    if (wal->next_block == 1) {
        struct wal_carry carry = {.state = wal->state,
                                  .continuing_bytes = wal->frame_left_bytes,
                                  .after = wal->frame_left_bytes ? wal->after : wal->state};
        if (mutation_on(MUTATION_CARRY_FORGOTTEN))
            carry.state.hard_state = carry.after.hard_state = (struct raft_hard_state){0};
        wal_carry_encode(block_at(wal, 0) + WAL_BLOCK_HEAD_BYTES, &carry);
        wal->payload_bytes = WAL_PAYLOAD_BYTES;
    }
    return 0;
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

static void
batch_seal(struct wal *wal)
{
    bool carries = wal->next_block == 1;
    struct wal_mark mark = {wal->frame_left_bytes ? wal->after : wal->state, wal->last_index,
                            wal->last_term};
    for (uint32_t i = 0; i < wal->batch_blocks; i++) {
        bool carry = carries && i == 0;
        bool last = i + 1 == wal->batch_blocks;
        struct wal_block block = {
            .kind = carry ? WAL_BLOCK_CARRY : WAL_BLOCK_DATA,
            .payload_bytes = (uint16_t)(carry  ? WAL_CARRY_BYTES
                                        : last ? wal->payload_bytes
                                               : WAL_PAYLOAD_BYTES),
            .generation = wal->segment_generation,
            .at = {wal->segment, wal->next_block + i},
            .synced = wal->end,
            .batch = wal->batch_next,
            .number = (uint16_t)i,
            .count = (uint16_t)wal->batch_blocks,
            .marked = true,
            .mark = mark,
        };
        wal_block_seal(block_at(wal, i), &block);
    }
}

int
wal_batch_flush(struct wal *wal)
{
    if (wal->batch_blocks == 0)
        return 0;
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
    if (wal->restart_segment != 0)
        wal_segments_restart(&wal->segments, wal->restart_segment);
    wal->restart_segment = 0;
    if (wal->durable_start_index != wal->state.start_index) {
        wal->durable_start_index = wal->state.start_index;
        skein_wake_all(&wal->keeper_q);
    }
    complete(wal, &wal->encoded, 0);
    return 0;
}
