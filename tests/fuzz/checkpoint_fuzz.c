/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no bytes of a checkpoint file can make its checks crash or read beyond the file. The
 * input's first bytes lie in the header; then each block is made of a length, a number, some
 * content, and a byte that says whether its checksum is made right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "disk/checkpoint_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
some(struct wire_reader *in, uint8_t *to, size_t count)
{
    size_t left = wire_left(in);
    if (count > left)
        count = left;
    const uint8_t *from = wire_get_raw(in, count);
    if (count)
        memcpy(to, from, count);
}

static int
block_try(struct wire_reader *in, struct checkpoint_scan *scan)
{
    uint8_t control = wire_get_u8(in);
    size_t left = (size_t)(1 + wire_get_u8(in) % 16) * CHECKPOINT_UNIT_BYTES;
    uint8_t *raw = calloc(1, left);
    const char *reason = NULL;
    size_t bytes = 0;
    size_t count = 0;
    some(in, raw, control & 1 ? 64 : 32);
    if (control & 2)
        wire_store(raw + 4, wire_get_u16(in), 4);
    if (control & 4)
        wire_store(raw + 8, scan->next_number, 8);
    if (control & 8) {
        size_t whole = CHECKPOINT_BLOCK_HEAD_BYTES + wire_load(raw + 4, 4);
        whole = (whole + CHECKPOINT_UNIT_BYTES - 1) / CHECKPOINT_UNIT_BYTES * CHECKPOINT_UNIT_BYTES;
        if (whole <= left)
            wire_store(raw, crc32c(scan->seed, raw + 4, whole - 4), 4);
    }
    int rc = checkpoint_scan_block(scan, raw, left, &bytes, &count, &reason);
    if (rc < 0 ? !reason : (bytes > left || count > bytes))
        __builtin_trap();
    free(raw);
    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader in = wire_reader_of(data, size);
    struct checkpoint_scan scan = {0};
    struct checkpoint_info info;
    uint8_t unit[CHECKPOINT_UNIT_BYTES] = {0};
    uint32_t version = 0;
    const struct checkpoint_info plain = {.snapshot.index = 1};
    if (wire_get_u8(&in) & 1) {
        checkpoint_header_encode(unit, &plain);
        some(&in, unit + 12, 64);
        wire_store(unit, crc32c(0, unit + 4, sizeof(unit) - 4), 4);
    } else {
        some(&in, unit, 128);
    }
    int rc = checkpoint_header_decode(unit, &info, &scan.seed, &version);
    if (rc == 0 && !raft_config_valid(&info.snapshot.config))
        __builtin_trap();
    rc = 0;
    while (rc == 0 && !scan.ended && wire_left(&in) > 0)
        rc = block_try(&in, &scan);
    return 0;
}
