/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no bytes of a log can make recovery crash, hang or use memory without bound. The input is a
 * short script from which segments are made, so that blocks with right checksums and senseless
 * content come up, too:
 *
 *   0: a blank block            1: raw bytes: count / 16, then the bytes; the rest zero
 *   2: a sealed block that continues the last: count (in a new batch), layout and whether it is a
 *      carry, payload / 16, then the payload
 *   3: the next segment         4: as 2, with batch, number and synced place out of the input
 */
#include <stdint.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "disk/wal_scan.h"
#include "skein/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct maker {
    struct wire_reader in;
    struct wal_position at;
    struct wal_position end;
    uint64_t batch;
    uint16_t number;
    uint16_t count;
    uint8_t raw[WAL_BLOCK_BYTES];
};

static size_t
take(struct maker *maker, uint8_t *to, size_t count)
{
    size_t left = wire_left(&maker->in);
    if (count > left)
        count = left;
    const uint8_t *from = wire_get_raw(&maker->in, count);
    if (count)
        memcpy(to, from, count);
    return count;
}

static void
sealed_make(struct maker *maker, bool wild)
{
    if (maker->number == maker->count) {
        maker->number = 0;
        maker->count = (uint16_t)(1 + wire_get_u8(&maker->in) % 4);
        maker->batch++;
    }
    uint8_t shape = wire_get_u8(&maker->in);
    enum wal_block_layout layout = shape % 4;
    bool carry = maker->at.block == 1 || (layout >= WAL_LAYOUT_GROUPS && shape & 128);
    size_t payload = (size_t)wire_get_u8(&maker->in) * 16;
    payload = take(maker, maker->raw + WAL_BLOCK_HEAD_BYTES,
                   payload < WAL_PAYLOAD_BYTES ? payload : WAL_PAYLOAD_BYTES);
    if (carry && layout < WAL_LAYOUT_GROUPS)
        payload = WAL_CARRY_OLD_BYTES;
    struct wal_block block = {.kind = carry ? WAL_BLOCK_CARRY : WAL_BLOCK_DATA,
                              .payload_bytes = (uint16_t)payload,
                              .generation = maker->at.segment,
                              .at = maker->at,
                              .synced = maker->end,
                              .batch = maker->batch,
                              .number = maker->number++,
                              .count = maker->count,
                              .layout = layout};
    if (wild) {
        block.batch = wire_get_u8(&maker->in);
        block.count = (uint16_t)(1 + wire_get_u8(&maker->in));
        block.number = (uint16_t)(wire_get_u8(&maker->in) % block.count);
        block.synced.block = wire_get_u8(&maker->in);
        block.generation = wire_get_u8(&maker->in);
    }
    wal_block_seal(maker->raw, &block);
    if (shape & 64) /* some of its sectors were not written */
        memset(maker->raw + (size_t)(shape & 7) * WAL_SECTOR_BYTES, 0, WAL_SECTOR_BYTES);
    if (maker->number == maker->count)
        maker->end = (struct wal_position){maker->at.segment, maker->at.block + 1};
}

static int
segment_make(struct maker *maker, struct wal_scan *scan)
{
    uint32_t version = 0;
    maker->at = (struct wal_position){maker->at.segment + 1, 0};
    struct wal_header header = {.segment = maker->at.segment,
                                .generation = maker->at.segment,
                                .segment_bytes = WAL_SEGMENT_BYTES_MIN};
    wal_header_encode(maker->raw, &header);
    uint8_t damage = wire_get_u8(&maker->in);
    if (damage & 1) { /* a segment of an older version */
        wire_store(maker->raw + 12, 3, 4);
        wire_store(maker->raw, crc32c(0, maker->raw + 4, WAL_BLOCK_BYTES - 4), 4);
    }
    if (damage > 250)
        maker->raw[damage % 64] ^= 1;
    maker->number = maker->count;
    return wal_scan_segment(scan, maker->at.segment, WAL_SEGMENT_BYTES_MIN, maker->raw, &version);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wal_scan scan;
    struct wal_identity identity = {.node = 0};
    struct maker maker = {.in = wire_reader_of(data, size)};
    wal_scan_init(&scan, &identity);
    maker.at.segment = wire_get_u8(&maker.in) % 3;
    int rc = segment_make(&maker, &scan);
    while (rc == 0 && wire_left(&maker.in) > 0) {
        uint8_t what = wire_get_u8(&maker.in) % 8;
        memset(maker.raw, 0, sizeof(maker.raw));
        maker.at.block++;
        if (what == 3 || maker.at.block >= WAL_SEGMENT_BYTES_MIN / WAL_BLOCK_BYTES) {
            rc = segment_make(&maker, &scan);
            continue;
        }
        if (what == 1)
            take(&maker, maker.raw, (size_t)wire_get_u8(&maker.in) * 16);
        else if (what != 0)
            sealed_make(&maker, what == 4);
        rc = wal_scan_block(&scan, maker.raw);
    }
    if (rc == 0)
        rc = wal_scan_finish(&scan);
    if (rc == -SKEIN_ECORRUPT && !scan.suspect_reason)
        __builtin_trap();
    wal_scan_deinit(&scan);
    return 0;
}
