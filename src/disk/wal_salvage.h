/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_SALVAGE_H
#define DISK_WAL_SALVAGE_H

#include "disk/wal_int.h"

/*
 * What a damaged log still proves (docs/design/0007-repair.md).
 *
 * Each block carries its batch's mark: hard state, start and last entry of the log with that batch
 * in it. Blocks lie in the order in which they were written. So the last block that can be read,
 * with nothing unreadable behind it, tells all that this disk has ever promised, whatever
 * is missing before it. An unreadable block behind it may have held a later promise: then nothing
 * is certain, and the log stays closed.
 */
struct wal_survey {
    bool seen; /* a whole block */
    /*
     * An unreadable one behind the last of them, and none between that is blank. Batches follow
     * each other without a gap, each when the one before is durable: behind a blank block none was.
     */
    bool bad_after;
    bool ended;    /* the block behind the last whole one is blank */
    bool unmarked; /* the last one is of version 1 and says nothing */
    struct wal_mark mark;
    struct wal_position at; /* of the block with the mark */
    uint64_t generation_max;
    uint64_t good_blocks, bad_blocks;
};

/* wal_survey_block - the next block, in the order of the log; @header: its segment's, zero when it
 * cannot be read. */
void wal_survey_block(struct wal_survey *survey, const uint8_t raw[WAL_BLOCK_BYTES],
                      struct wal_position at, const struct wal_header *header);
/* wal_survey_segment - all blocks of one file. @out_version: 0 and *@out_header zero when its
 * header cannot be read. **Returns** 0 or -errno. */
int wal_survey_segment(const struct wal *wal, uint32_t number, struct wal_survey *survey,
                       uint32_t *out_version, struct wal_header *out_header,
                       uint64_t *out_bytes) SKEIN_MUST_CHECK;
/* wal_survey_certain - the mark is all that was ever promised. */
bool wal_survey_certain(const struct wal_survey *survey);

/*
 * wal_salvage - @scan found damage. Survey all segments, ask options.on_damage, and go back to what
 * lies before the damage: segments behind it are renamed to <number>.wal.damaged, and @scan and
 * @found are made to look like a log that ends there.
 * **Returns** 0; -SKEIN_ECORRUPT: not certain, or refused (@out_why keeps the place); -errno.
 */
int wal_salvage(struct wal *wal, struct wal_scan *scan, struct wal_found *found,
                char out_why[512]) SKEIN_MUST_CHECK;

#endif
