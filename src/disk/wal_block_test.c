/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what is in a block is told exactly: whichever of its sectors a write left, over zeros or
 * over an older block, it is whole, blank or torn; a flipped bit or another block's sector is
 * damage and never blank; payloads of any length come back; older layouts are read as ever.
 */
#include <string.h>

#include "base/prng.h"
#include "disk/disk_test.h"
#include "disk/wal_block.h"
#include "disk/wal_carry.h"

#define OLD 6
#define NOW 7

static const struct wal_position place = {3, 5};

static struct wal_block
block_of(uint64_t generation, enum wal_block_layout layout, uint16_t payload_bytes)
{
    return (struct wal_block){.kind = WAL_BLOCK_DATA,
                              .payload_bytes = payload_bytes,
                              .generation = generation,
                              .at = place,
                              .batch = 40 + generation,
                              .number = 1,
                              .count = 3,
                              .layout = layout,
                              .mark = {.last_index = 11 + generation}};
}

/* Bytes that belong to @seed, sealed. */
static void
block_make(uint8_t raw[WAL_BLOCK_BYTES], uint8_t payload[WAL_BLOCK_BYTES], uint64_t seed,
           const struct wal_block *block)
{
    struct prng prng;
    prng_init(&prng, seed);
    prng_fill(&prng, payload, block->payload_bytes);
    memcpy(raw + WAL_BLOCK_HEAD_BYTES, payload, block->payload_bytes);
    wal_block_seal(raw, block);
}

/* Some sectors of @after, the others of @before. */
static void
tear(uint8_t raw[WAL_BLOCK_BYTES], const uint8_t *before, const uint8_t *after, unsigned written)
{
    for (size_t i = 0; i < WAL_SECTORS; i++)
        memcpy(raw + i * WAL_SECTOR_BYTES,
               (written >> i & 1 ? after : before) + i * WAL_SECTOR_BYTES, WAL_SECTOR_BYTES);
}

static void
torn_over(const uint8_t *before)
{
    uint8_t after[WAL_BLOCK_BYTES], raw[WAL_BLOCK_BYTES], payload[WAL_BLOCK_BYTES];
    struct wal_block block = block_of(NOW, WAL_LAYOUT_SECTORS, WAL_PAYLOAD_BYTES);
    block_make(after, payload, 1, &block);
    for (unsigned written = 0; written < 1u << WAL_SECTORS; written++) {
        tear(raw, before, after, written);
        struct wal_judged judged = wal_block_judge(raw, place, NOW, true);
        enum wal_block_verdict expected = WAL_VERDICT_TORN;
        if (written == 0)
            expected = WAL_VERDICT_BLANK;
        else if (written == (1u << WAL_SECTORS) - 1)
            expected = WAL_VERDICT_GOOD;
        assert_int_equal(judged.verdict, expected);
        assert_int_equal(judged.fresh, written != 0);
        assert_int_equal(judged.head, written & 1);
        if (judged.head) {
            assert_int_equal(judged.block.batch, block.batch);
            assert_int_equal(judged.block.count, block.count);
        }
    }
}

static void
test_torn(void **state)
{
    uint8_t zeros[WAL_BLOCK_BYTES] = {0}, old[WAL_BLOCK_BYTES], payload[WAL_BLOCK_BYTES];
    struct wal_block block = block_of(OLD, WAL_LAYOUT_SECTORS, 100);
    (void)state;
    torn_over(zeros);
    block_make(old, payload, 2, &block);
    torn_over(old);
}

/* Every bit of a whole block, and of one of which half was written. */
static void
test_flips(void **state)
{
    uint8_t old[WAL_BLOCK_BYTES], now[WAL_BLOCK_BYTES], raw[WAL_BLOCK_BYTES];
    uint8_t payload[WAL_BLOCK_BYTES];
    struct wal_block before = block_of(OLD, WAL_LAYOUT_SECTORS, WAL_PAYLOAD_BYTES);
    struct wal_block block = block_of(NOW, WAL_LAYOUT_SECTORS, WAL_PAYLOAD_BYTES);
    (void)state;
    block_make(old, payload, 2, &before);
    block_make(now, payload, 1, &block);
    for (size_t bit = 0; bit < WAL_BLOCK_BYTES * 8; bit++) {
        now[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wal_block_judge(now, place, NOW, true).verdict, WAL_VERDICT_BAD);
        tear(raw, old, now, 0x5a);
        now[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wal_block_judge(raw, place, NOW, true).verdict, WAL_VERDICT_TORN);
    }
    /* All of it is something else. */
    memset(raw, 0xa5, sizeof raw);
    struct wal_judged judged = wal_block_judge(raw, place, NOW, true);
    assert_int_equal(judged.verdict, WAL_VERDICT_BAD);
    assert_false(judged.fresh);
    assert_non_null(judged.reason);
}

/* A sector that belongs elsewhere, though it is old and whole, is not a blank one. */
static void
test_astray(void **state)
{
    uint8_t now[WAL_BLOCK_BYTES], other[WAL_BLOCK_BYTES], raw[WAL_BLOCK_BYTES];
    uint8_t payload[WAL_BLOCK_BYTES];
    struct wal_block block = block_of(NOW, WAL_LAYOUT_SECTORS, 700);
    (void)state;
    block_make(now, payload, 1, &block);
    block.generation = OLD;
    block.at.block++;
    block_make(other, payload, 2, &block);
    for (unsigned sector = 0; sector < WAL_SECTORS; sector++) {
        tear(raw, now, other, 1u << sector);
        assert_int_equal(wal_block_judge(raw, place, NOW, true).verdict, WAL_VERDICT_BAD);
    }
    assert_int_equal(wal_block_judge(other, place, NOW, true).verdict, WAL_VERDICT_BAD);
    assert_int_equal(wal_block_judge(now, place, OLD, true).verdict, WAL_VERDICT_BAD);
    assert_int_equal(wal_block_judge(now, place, NOW + 1, true).verdict, WAL_VERDICT_BLANK);
}

/* Nor is any part of a header. */
static void
test_header_astray(void **state)
{
    uint8_t now[WAL_BLOCK_BYTES], header[WAL_BLOCK_BYTES], raw[WAL_BLOCK_BYTES];
    uint8_t payload[WAL_BLOCK_BYTES];
    struct wal_block block = block_of(NOW, WAL_LAYOUT_SECTORS, 700);
    (void)state;
    block_make(now, payload, 1, &block);
    wal_header_encode(header, &(struct wal_header){.segment = 1, .generation = NOW});
    for (unsigned set = 1; set < 1u << WAL_SECTORS; set++) {
        tear(raw, now, header, set);
        assert_int_equal(wal_block_judge(raw, place, NOW, true).verdict, WAL_VERDICT_BAD);
    }
}

static void
test_payload(void **state)
{
    uint8_t raw[WAL_BLOCK_BYTES], payload[WAL_BLOCK_BYTES], got[WAL_BLOCK_BYTES];
    (void)state;
    for (unsigned count = 0; count <= WAL_PAYLOAD_BYTES; count++) {
        struct wal_block block = block_of(NOW, WAL_LAYOUT_SECTORS, (uint16_t)count);
        block_make(raw, payload, count, &block);
        struct wal_judged judged = wal_block_judge(raw, place, NOW, true);
        assert_int_equal(judged.verdict, WAL_VERDICT_GOOD);
        assert_int_equal(judged.block.mark.last_index, 11 + NOW);
        assert_int_equal(wal_block_payload(raw, &judged.block, got), count);
        assert_memory_equal(got, payload, count);
    }
}

/* One checksum for all: whole, blank or damaged. And a segment has blocks of its version only. */
static void
test_older(void **state)
{
    uint8_t raw[WAL_BLOCK_BYTES], payload[WAL_BLOCK_BYTES], got[WAL_BLOCK_BYTES];
    (void)state;
    for (unsigned layout = WAL_LAYOUT_BARE; layout <= WAL_LAYOUT_GROUPS; layout++) {
        struct wal_block block = block_of(NOW, layout, 3900);
        block_make(raw, payload, 3, &block);
        struct wal_judged judged = wal_block_judge(raw, place, NOW, false);
        assert_int_equal(judged.verdict, WAL_VERDICT_GOOD);
        assert_int_equal(wal_block_payload(raw, &judged.block, got), 3900);
        assert_memory_equal(got, payload, 3900);
        assert_int_equal(wal_block_judge(raw, place, NOW + 1, false).verdict, WAL_VERDICT_BLANK);
        assert_int_equal(wal_block_judge(raw, place, NOW, true).verdict, WAL_VERDICT_BAD);
        memset(raw + WAL_SECTOR_BYTES, 0, WAL_SECTOR_BYTES);
        assert_int_equal(wal_block_judge(raw, place, NOW, false).verdict, WAL_VERDICT_BAD);
    }
    struct wal_block block = block_of(NOW, WAL_LAYOUT_SECTORS, 10);
    block_make(raw, payload, 3, &block);
    assert_int_equal(wal_block_judge(raw, place, NOW, false).verdict, WAL_VERDICT_BAD);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn),    cmocka_unit_test(test_flips),
        cmocka_unit_test(test_astray),  cmocka_unit_test(test_header_astray),
        cmocka_unit_test(test_payload), cmocka_unit_test(test_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
