/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_block.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "skein/error.h"

static const char header_magic[8] = {'S', 'K', 'E', 'I', 'N', 'W', 'A', 'L'};

static bool
is_zero(const uint8_t *data, size_t count)
{
    return count == 0 || (data[0] == 0 && memcmp(data, data + 1, count - 1) == 0);
}

#define MARK_OLD_BYTES 56u
#define CARRY_OLD_BYTES 88u

static size_t
mark_bytes(enum wal_block_layout layout)
{
    switch (layout) {
    case WAL_LAYOUT_BARE:
        return 0;
    case WAL_LAYOUT_MARK:
        return MARK_OLD_BYTES;
    case WAL_LAYOUT_GROUPS:
        return WAL_MARK_BYTES;
    }
    return 0;
}

static size_t
payload_bytes_max(enum wal_block_layout layout)
{
    return WAL_BLOCK_BYTES - WAL_BLOCK_HEAD_BYTES - mark_bytes(layout);
}

void
wal_state_encode(uint8_t to[WAL_STATE_BYTES], const struct wal_state *state)
{
    wire_store(to, state->hard_state.term, 8);
    wire_store(to + 8, state->hard_state.vote, 8);
    wire_store(to + 16, state->hard_state.commit, 8);
    wire_store(to + 24, state->start_index, 8);
    wire_store(to + 32, state->start_term, 8);
}

struct wal_state
wal_state_decode(const uint8_t from[WAL_STATE_BYTES])
{
    return (struct wal_state){
        .hard_state = {wire_load(from, 8), wire_load(from + 8, 8), wire_load(from + 16, 8)},
        .start_index = wire_load(from + 24, 8),
        .start_term = wire_load(from + 32, 8),
    };
}

/* The marks of both layouts begin alike. */
static void
mark_encode(uint8_t *raw, const struct wal_block *block)
{
    uint8_t *to = raw + WAL_BLOCK_BYTES - mark_bytes(block->layout);
    const struct wal_mark *mark = &block->mark;
    wal_state_encode(to, &mark->state);
    wire_store(to + 40, mark->last_index, 8);
    wire_store(to + 48, mark->last_term, 8);
    if (block->layout != WAL_LAYOUT_GROUPS)
        return;
    wire_store(to + 56, mark->term_max, 8);
    wire_store(to + 64, mark->index_max, 8);
    wire_store(to + 72, mark->group, 4);
    wire_store(to + 76, mark->group_count, 4);
    raw[44] = mark->alone;
}

static struct wal_mark
mark_decode(const uint8_t *raw, enum wal_block_layout layout)
{
    const uint8_t *from = raw + WAL_BLOCK_BYTES - mark_bytes(layout);
    struct wal_mark mark = {.state = wal_state_decode(from),
                            .last_index = wire_load(from + 40, 8),
                            .last_term = wire_load(from + 48, 8)};
    if (layout != WAL_LAYOUT_GROUPS)
        return mark;
    mark.term_max = wire_load(from + 56, 8);
    mark.index_max = wire_load(from + 64, 8);
    mark.group = (uint32_t)wire_load(from + 72, 4);
    mark.group_count = (uint32_t)wire_load(from + 76, 4);
    mark.alone = raw[44];
    return mark;
}

void
wal_block_seal(uint8_t raw[WAL_BLOCK_BYTES], const struct wal_block *block)
{
    skein_assert(block->payload_bytes <= payload_bytes_max(block->layout));
    skein_assert(block->number < block->count);
    raw[4] = (uint8_t)block->kind;
    raw[5] = (uint8_t)block->layout;
    wire_store(raw + 6, block->payload_bytes, 2);
    wire_store(raw + 8, block->generation, 8);
    wire_store(raw + 16, block->at.segment, 4);
    wire_store(raw + 20, block->at.block, 4);
    wire_store(raw + 24, block->batch, 8);
    wire_store(raw + 32, block->synced.segment, 4);
    wire_store(raw + 36, block->synced.block, 4);
    wire_store(raw + 40, block->number, 2);
    wire_store(raw + 42, block->count, 2);
    wire_store(raw + 44, 0, 4);
    size_t used = WAL_BLOCK_HEAD_BYTES + block->payload_bytes;
    memset(raw + used, 0, WAL_BLOCK_BYTES - used);
    if (block->layout != WAL_LAYOUT_BARE)
        mark_encode(raw, block);
    wire_store(raw, crc32c(0, raw + 4, WAL_BLOCK_BYTES - 4), 4);
}

static void
block_decode(const uint8_t *raw, struct wal_block *block)
{
    *block = (struct wal_block){
        .kind = raw[4],
        .payload_bytes = (uint16_t)wire_load(raw + 6, 2),
        .generation = wire_load(raw + 8, 8),
        .at = {(uint32_t)wire_load(raw + 16, 4), (uint32_t)wire_load(raw + 20, 4)},
        .batch = wire_load(raw + 24, 8),
        .synced = {(uint32_t)wire_load(raw + 32, 4), (uint32_t)wire_load(raw + 36, 4)},
        .number = (uint16_t)wire_load(raw + 40, 2),
        .count = (uint16_t)wire_load(raw + 42, 2),
        .layout = raw[5],
    };
    if (raw[5] == WAL_LAYOUT_MARK || raw[5] == WAL_LAYOUT_GROUPS)
        block->mark = mark_decode(raw, block->layout);
}

/* The rules a block keeps whatever its neighbours are; NULL when it keeps them. */
static const char *
block_fault(const uint8_t *raw, const struct wal_block *block)
{
    if (raw[4] != WAL_BLOCK_CARRY && raw[4] != WAL_BLOCK_DATA)
        return "unknown kind of block";
    if (raw[5] > WAL_LAYOUT_GROUPS || raw[44] > (raw[5] == WAL_LAYOUT_GROUPS) ||
        !is_zero(raw + 45, 3) || block->payload_bytes > payload_bytes_max(block->layout))
        return "senseless block head";
    if (block->mark.group >= WAL_GROUPS_MAX || block->mark.group_count > WAL_GROUPS_MAX)
        return "senseless mark";
    if (block->count == 0 || block->count > WAL_BATCH_BLOCKS_MAX || block->number >= block->count)
        return "senseless batch length";
    if (block->batch == 0 || block->at.block < 1u + block->number)
        return "senseless batch number";
    bool carries = block->kind == WAL_BLOCK_CARRY;
    if (carries != (block->at.block == 1) &&
        !(carries && block->layout == WAL_LAYOUT_GROUPS && block->at.block > 1))
        return "carry block out of place";
    if (carries && block->layout != WAL_LAYOUT_GROUPS && block->payload_bytes != CARRY_OLD_BYTES)
        return "carry block of a wrong length";
    return NULL;
}

bool
wal_block_whole(const uint8_t raw[WAL_BLOCK_BYTES])
{
    return wire_load(raw, 4) == crc32c(0, raw + 4, WAL_BLOCK_BYTES - 4) ||
           is_zero(raw, WAL_BLOCK_BYTES);
}

enum wal_block_verdict
wal_block_judge(const uint8_t raw[WAL_BLOCK_BYTES], struct wal_position at, uint64_t generation,
                struct wal_block *out_block, const char **out_reason)
{
    if (is_zero(raw, WAL_BLOCK_BYTES))
        return WAL_VERDICT_BLANK;
    if (wire_load(raw, 4) != crc32c(0, raw + 4, WAL_BLOCK_BYTES - 4)) {
        *out_reason = "checksum does not match";
        return WAL_VERDICT_BAD;
    }
    struct wal_block block;
    block_decode(raw, &block);
    if (block.generation < generation)
        return WAL_VERDICT_BLANK;
    *out_reason = block_fault(raw, &block);
    if (block.generation > generation)
        *out_reason = "block of a later generation";
    else if (block.at.segment != at.segment || block.at.block != at.block)
        *out_reason = "block that belongs to another place";
    if (*out_reason)
        return WAL_VERDICT_BAD;
    *out_block = block;
    return WAL_VERDICT_GOOD;
}

void
wal_header_encode(uint8_t raw[WAL_BLOCK_BYTES], const struct wal_header *header)
{
    memset(raw, 0, WAL_BLOCK_BYTES);
    memcpy(raw + 4, header_magic, 8);
    wire_store(raw + 12, WAL_FORMAT_VERSION, 4);
    memcpy(raw + 16, header->identity.cluster, 16);
    wire_store(raw + 32, header->identity.node, 8);
    wire_store(raw + 40, header->segment, 4);
    wire_store(raw + 48, header->generation, 8);
    wire_store(raw + 56, header->segment_bytes, 8);
    wire_store(raw, crc32c(0, raw + 4, WAL_BLOCK_BYTES - 4), 4);
}

int
wal_header_decode(const uint8_t raw[WAL_BLOCK_BYTES], struct wal_header *out_header,
                  uint32_t *out_version)
{
    if (wire_load(raw, 4) != crc32c(0, raw + 4, WAL_BLOCK_BYTES - 4) ||
        memcmp(raw + 4, header_magic, 8) != 0)
        return -SKEIN_ECORRUPT;
    *out_version = (uint32_t)wire_load(raw + 12, 4);
    if (*out_version < WAL_FORMAT_VERSION_MIN || *out_version > WAL_FORMAT_VERSION)
        return -SKEIN_EFORMAT;
    struct wal_header header = {
        .identity.node = wire_load(raw + 32, 8),
        .segment = (uint32_t)wire_load(raw + 40, 4),
        .generation = wire_load(raw + 48, 8),
        .segment_bytes = wire_load(raw + 56, 8),
    };
    memcpy(header.identity.cluster, raw + 16, 16);
    if (header.segment_bytes < WAL_SEGMENT_BYTES_MIN ||
        header.segment_bytes > WAL_SEGMENT_BYTES_MAX || header.segment_bytes % WAL_BLOCK_BYTES != 0)
        return -SKEIN_ECORRUPT;
    *out_header = header;
    return 0;
}

bool
wal_state_equal(const struct wal_state *a, const struct wal_state *b)
{
    return a->hard_state.term == b->hard_state.term && a->hard_state.vote == b->hard_state.vote &&
           a->hard_state.commit == b->hard_state.commit && a->start_index == b->start_index &&
           a->start_term == b->start_term;
}
