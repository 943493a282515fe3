/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_CARRY_H
#define DISK_WAL_CARRY_H

#include "disk/wal_group.h"

/*
 * The carry: the state of all groups, written at the start of each segment, so that the log can be
 * read from there. A stream of bytes of its own, over as many blocks (and batches) as it takes:
 *
 *   head: bytes still to come of the frame that began before and goes on here, its group, and that
 *         group's state and last entry when the frame is whole; how many rows
 *   row:  group, its state and last entry after all frames that ended before
 */

#define WAL_CARRY_HEAD_BYTES 80u
#define WAL_CARRY_ROW_BYTES 60u
#define WAL_CARRY_OLD_BYTES 88u /* of versions 1 and 2: one group, and no last entry */

struct wal_carry {
    uint64_t continuing_bytes; /* 0: a frame begins here; one that was left unfinished is void */
    struct wal_mark after;     /* of the group of that frame */
    uint32_t row_count;
    bool lasts; /* false: of an older version, the last entries are not said */
};

/* wal_carry_bytes - of a carry of @groups. O(groups). */
size_t wal_carry_bytes(const struct wal_groups *groups);
/* wal_carry_encode - @to has wal_carry_bytes; row_count and lasts are set here. */
void wal_carry_encode(uint8_t *to, const struct wal_carry *carry, const struct wal_groups *groups);
/* wal_carry_convert - the payload of an older version's carry as one of today's (one row). */
void wal_carry_convert(const uint8_t from[WAL_CARRY_OLD_BYTES],
                       uint8_t to[WAL_CARRY_HEAD_BYTES + WAL_CARRY_ROW_BYTES]);

/* wal_carry_decode - the head. **Returns** 0 or -SKEIN_ECORRUPT. */
int wal_carry_decode(const uint8_t head[WAL_CARRY_HEAD_BYTES],
                     struct wal_carry *out_carry) SKEIN_MUST_CHECK;
/* wal_carry_row - one row; group, state and last are set. */
struct wal_mark wal_carry_row(const uint8_t row[WAL_CARRY_ROW_BYTES]);

#endif
