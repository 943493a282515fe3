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

#define MARK_AT (WAL_BLOCK_BYTES - WAL_MARK_BYTES)

static size_t
payload_bytes_max(bool marked)
{
    return WAL_PAYLOAD_BYTES + (marked ? 0 : WAL_MARK_BYTES);
}

static void
state_encode(uint8_t *to, const struct wal_state *state)
{
    wire_store(to, state->hard_state.term, 8);
    wire_store(to + 8, state->hard_state.vote, 8);
    wire_store(to + 16, state->hard_state.commit, 8);
    wire_store(to + 24, state->start_index, 8);
    wire_store(to + 32, state->start_term, 8);
}

static struct wal_state
state_decode(const uint8_t *from)
{
    return (struct wal_state){
        .hard_state = {wire_load(from, 8), wire_load(from + 8, 8), wire_load(from + 16, 8)},
        .start_index = wire_load(from + 24, 8),
        .start_term = wire_load(from + 32, 8),
    };
}

static void
mark_encode(uint8_t *to, const struct wal_mark *mark)
{
    state_encode(to, &mark->state);
    wire_store(to + 40, mark->last_index, 8);
    wire_store(to + 48, mark->last_term, 8);
}

static struct wal_mark
mark_decode(const uint8_t *from)
{
    return (struct wal_mark){.state = state_decode(from),
                             .last_index = wire_load(from + 40, 8),
                             .last_term = wire_load(from + 48, 8)};
}

void
wal_block_seal(uint8_t raw[WAL_BLOCK_BYTES], const struct wal_block *block)
{
    skein_assert(block->payload_bytes <= payload_bytes_max(block->marked));
    skein_assert(block->number < block->count);
    raw[4] = (uint8_t)block->kind;
    raw[5] = block->marked;
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
    if (block->marked)
        mark_encode(raw + MARK_AT, &block->mark);
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
        .marked = raw[5] == 1,
    };
    if (block->marked)
        block->mark = mark_decode(raw + MARK_AT);
}

/* The rules a block keeps whatever its neighbours are; NULL when it keeps them. */
static const char *
block_fault(const uint8_t *raw, const struct wal_block *block)
{
    if (raw[4] != WAL_BLOCK_CARRY && raw[4] != WAL_BLOCK_DATA)
        return "unknown kind of block";
    if (raw[5] > 1 || !is_zero(raw + 44, 4) ||
        block->payload_bytes > payload_bytes_max(block->marked))
        return "senseless block head";
    if (block->count == 0 || block->count > WAL_BATCH_BLOCKS_MAX || block->number >= block->count)
        return "senseless batch length";
    if (block->batch == 0 || block->at.block < 1u + block->number)
        return "senseless batch number";
    bool first_of_segment = block->at.block == 1;
    if ((block->kind == WAL_BLOCK_CARRY) != first_of_segment)
        return "carry block out of place";
    if (block->kind == WAL_BLOCK_CARRY && block->payload_bytes != WAL_CARRY_BYTES)
        return "carry block of a wrong length";
    return NULL;
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

void
wal_carry_encode(uint8_t payload[WAL_CARRY_BYTES], const struct wal_carry *carry)
{
    state_encode(payload, &carry->state);
    wire_store(payload + 40, carry->continuing_bytes, 8);
    state_encode(payload + 48, &carry->after);
}

void
wal_carry_decode(const uint8_t payload[WAL_CARRY_BYTES], struct wal_carry *out_carry)
{
    *out_carry = (struct wal_carry){
        .state = state_decode(payload),
        .continuing_bytes = wire_load(payload + 40, 8),
        .after = state_decode(payload + 48),
    };
}

bool
wal_state_equal(const struct wal_state *a, const struct wal_state *b)
{
    return a->hard_state.term == b->hard_state.term && a->hard_state.vote == b->hard_state.vote &&
           a->hard_state.commit == b->hard_state.commit && a->start_index == b->start_index &&
           a->start_term == b->start_term;
}
