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
    case WAL_LAYOUT_SECTORS:
        return WAL_MARK_BYTES;
    }
    return 0;
}

/* The mark names its group, and a carry may take several blocks. */
static bool
has_groups(enum wal_block_layout layout)
{
    return layout == WAL_LAYOUT_GROUPS || layout == WAL_LAYOUT_SECTORS;
}

static size_t
payload_bytes_max(enum wal_block_layout layout)
{
    if (layout == WAL_LAYOUT_SECTORS)
        return WAL_PAYLOAD_BYTES;
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
    if (!has_groups(block->layout))
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
    if (!has_groups(layout))
        return mark;
    mark.term_max = wire_load(from + 56, 8);
    mark.index_max = wire_load(from + 64, 8);
    mark.group = (uint32_t)wire_load(from + 72, 4);
    mark.group_count = (uint32_t)wire_load(from + 76, 4);
    mark.alone = raw[44];
    return mark;
}

static uint8_t *
saved_at(uint8_t *raw)
{
    return raw + WAL_BLOCK_BYTES - WAL_MARK_BYTES - WAL_SAVED_BYTES;
}

/* The place is under it: a sector of another block, or of another file's, does not match. */
static uint32_t
sector_sum(const uint8_t *raw, uint32_t block, uint32_t sector)
{
    return crc32c(block * WAL_SECTORS + sector, raw + (size_t)sector * WAL_SECTOR_BYTES + 4,
                  WAL_SECTOR_BYTES - 4);
}

/* The last sector holds what the tags displace, its own too: all tags first, then the sums. */
static void
sectors_seal(uint8_t *raw, const struct wal_block *block)
{
    uint8_t *saved = saved_at(raw);
    for (uint32_t i = 1; i < WAL_SECTORS; i++) {
        uint8_t *tag = raw + (size_t)i * WAL_SECTOR_BYTES;
        memcpy(saved + (size_t)(i - 1) * WAL_TAG_BYTES, tag, WAL_TAG_BYTES);
        wire_store(tag + 4, block->generation, 8);
    }
    for (uint32_t i = 0; i < WAL_SECTORS; i++)
        wire_store(raw + (size_t)i * WAL_SECTOR_BYTES, sector_sum(raw, block->at.block, i), 4);
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
    if (block->layout == WAL_LAYOUT_SECTORS)
        sectors_seal(raw, block);
    else
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
    if (raw[5] != WAL_LAYOUT_BARE && raw[5] <= WAL_LAYOUT_SECTORS)
        block->mark = mark_decode(raw, block->layout);
}

/* The rules a block keeps whatever its neighbours are; NULL when it keeps them. */
static const char *
block_fault(const uint8_t *raw, const struct wal_block *block)
{
    if (raw[4] != WAL_BLOCK_CARRY && raw[4] != WAL_BLOCK_DATA)
        return "unknown kind of block";
    if (raw[5] > WAL_LAYOUT_SECTORS || raw[44] > has_groups(block->layout) ||
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
        !(carries && has_groups(block->layout) && block->at.block > 1))
        return "carry block out of place";
    if (carries && !has_groups(block->layout) && block->payload_bytes != CARRY_OLD_BYTES)
        return "carry block of a wrong length";
    return NULL;
}

/* Whether what a whole block, or its first sector, says can stand at @at. */
static const char *
place_fault(const uint8_t *raw, const struct wal_block *block, struct wal_position at,
            uint64_t generation)
{
    if (block->generation > generation)
        return "block of a later generation";
    if (block->at.segment != at.segment || block->at.block != at.block)
        return "block that belongs to another place";
    return block_fault(raw, block);
}

/* Versions 1 to 3: one checksum for all of it. */
static void
judge_whole(struct wal_judged *judged, const uint8_t *raw, struct wal_position at,
            uint64_t generation)
{
    judged->verdict = WAL_VERDICT_BAD;
    judged->reason = "checksum does not match";
    if (wire_load(raw, 4) != crc32c(0, raw + 4, WAL_BLOCK_BYTES - 4))
        return;
    struct wal_block block;
    block_decode(raw, &block);
    judged->reason = NULL;
    if (block.generation < generation) {
        judged->verdict = WAL_VERDICT_BLANK;
        return;
    }
    judged->reason = block.layout == WAL_LAYOUT_SECTORS ? "block of a later version"
                                                        : place_fault(raw, &block, at, generation);
    if (judged->reason)
        return;
    judged->verdict = WAL_VERDICT_GOOD;
    judged->head = judged->fresh = true;
    judged->block = block;
}

enum sector_verdict { SECTOR_FRESH, SECTOR_BLANK, SECTOR_BAD };

static enum sector_verdict
sector_judge(const uint8_t *raw, uint32_t block, uint32_t sector, uint64_t generation)
{
    const uint8_t *data = raw + (size_t)sector * WAL_SECTOR_BYTES;
    if (is_zero(data, WAL_SECTOR_BYTES))
        return SECTOR_BLANK;
    if (wire_load(data, 4) != sector_sum(raw, block, sector))
        return SECTOR_BAD;
    uint64_t own = wire_load(data + (sector == 0 ? 8 : 4), 8);
    return own == generation ? SECTOR_FRESH : own < generation ? SECTOR_BLANK : SECTOR_BAD;
}

static void
judge_sectors(struct wal_judged *judged, const uint8_t *raw, struct wal_position at,
              uint64_t generation)
{
    uint32_t blank = 0, bad = 0;
    for (uint32_t i = 0; i < WAL_SECTORS; i++) {
        enum sector_verdict verdict = sector_judge(raw, at.block, i, generation);
        blank += verdict == SECTOR_BLANK;
        bad += verdict == SECTOR_BAD;
        judged->fresh = judged->fresh || verdict == SECTOR_FRESH;
        if (i == 0 && verdict == SECTOR_FRESH)
            judged->head = true;
    }
    if (judged->head) {
        block_decode(raw, &judged->block);
        if (blank + bad > 0)
            judged->block.mark = (struct wal_mark){0};
        judged->reason = judged->block.layout == WAL_LAYOUT_SECTORS
                             ? place_fault(raw, &judged->block, at, generation)
                             : "block of an older version";
        judged->head = judged->reason == NULL;
    }
    if (!judged->reason && bad > 0)
        judged->reason = "checksum does not match";
    if (blank == WAL_SECTORS)
        judged->verdict = WAL_VERDICT_BLANK;
    else if (blank > 0)
        judged->verdict = WAL_VERDICT_TORN;
    else
        judged->verdict = judged->reason ? WAL_VERDICT_BAD : WAL_VERDICT_GOOD;
}

struct wal_judged
wal_block_judge(const uint8_t raw[WAL_BLOCK_BYTES], struct wal_position at, uint64_t generation,
                bool sectored)
{
    struct wal_judged judged = {.verdict = WAL_VERDICT_BLANK};
    if (is_zero(raw, WAL_BLOCK_BYTES))
        return judged;
    if (sectored)
        judge_sectors(&judged, raw, at, generation);
    else
        judge_whole(&judged, raw, at, generation);
    return judged;
}

size_t
wal_block_payload(const uint8_t raw[WAL_BLOCK_BYTES], const struct wal_block *block,
                  uint8_t to[WAL_BLOCK_BYTES])
{
    size_t count = block->payload_bytes;
    memcpy(to, raw + WAL_BLOCK_HEAD_BYTES, count);
    if (block->layout != WAL_LAYOUT_SECTORS)
        return count;
    const uint8_t *saved = raw + WAL_BLOCK_BYTES - WAL_MARK_BYTES - WAL_SAVED_BYTES;
    for (size_t i = 1; i < WAL_SECTORS; i++, saved += WAL_TAG_BYTES) {
        size_t at = i * WAL_SECTOR_BYTES - WAL_BLOCK_HEAD_BYTES;
        size_t left = at < count ? count - at : 0;
        memcpy(to + at, saved, left < WAL_TAG_BYTES ? left : WAL_TAG_BYTES);
    }
    return count;
}

void
wal_header_encode(uint8_t raw[WAL_BLOCK_BYTES], const struct wal_header *header)
{
    memset(raw, 0, WAL_SECTOR_BYTES);
    memset(raw + WAL_SECTOR_BYTES, 0xff, WAL_BLOCK_BYTES - WAL_SECTOR_BYTES);
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
        .sectored = *out_version >= WAL_FORMAT_VERSION_SECTORS,
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
