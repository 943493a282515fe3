/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_SCAN_H
#define DISK_WAL_SCAN_H

#include "disk/wal_frame.h"

/*
 * Recovery's judgement, pure: the segments of a log go in, lowest number first, block by block; out
 * come the entries and the state, or the place that is suspect.
 *
 *   per segment:  walk --(anything but the next block of the next batch)--> tail
 *
 * Walking, a batch counts when all its blocks are there. In the tail nothing counts; blocks are
 * only asked whether they prove that the log once went on: a block of a *later* batch than the one
 * that is missing does (a batch is written when the one before it is durable). A block that is
 * neither blank, whole nor torn is suspect, unless a sector of the missing batch is blank: then
 * that was never durable, nor was anything behind it, and what is damaged was there before (a
 * removed segment is used again as it is). In segments of versions before 4 it is suspect whatever
 * else there is: they were read before they were used again. The next segment is walked from its
 * start again: when its first batch names the tail's start as what was durable before, the tail is
 * what an earlier recovery dropped, and is forgotten.
 */

enum wal_suspect_kind {
    WAL_SUSPECT_NONE,
    WAL_SUSPECT_BLOCK,   /* reason: what is wrong with the block at the place */
    WAL_SUSPECT_MISSING, /* a batch that was synced is not at the place */
    WAL_SUSPECT_SHORT    /* the file ends at the place, before its end */
};

struct wal_scan {
    struct wal_identity identity;
    struct wal_segments segments; /* with data, in order */
    struct wal_groups groups;
    struct wal_frames frames;

    uint32_t lowest;         /* the first segment's number; 0: none yet */
    bool started;            /* a whole batch was found */
    uint64_t batch_next;     /* 0: not known yet (the lowest segment is not the first) */
    struct wal_position end; /* behind the last whole batch */
    uint64_t generation_max;

    /* The segment being fed. */
    struct wal_header header;
    struct wal_position at; /* the next block */
    bool in_tail;
    uint32_t tail_block;     /* where it began */
    uint32_t tail_count;     /* blocks of the batch missing there, that are known */
    uint32_t tail_blank;     /* the first block with a blank sector; 0: none */
    uint32_t tail_bad;       /* the first suspect one; 0: none */
    const char *tail_reason; /* what is wrong with that */
    bool tail_certain;       /* some block is suspect whatever was blank */

    /* The batch being collected. */
    uint8_t *payload; /* of its blocks: first the carry's, if it has any, then the frames' */
    size_t payload_bytes;
    size_t carry_bytes;
    uint64_t batch_id;
    uint16_t batch_have;
    uint16_t batch_count;
    bool begins_segment;

    /* What the tails said since the last whole batch. */
    enum wal_suspect_kind suspect;
    struct wal_position suspect_at;
    const char *suspect_reason;
    bool proof; /* a block of a later batch was seen */
    struct wal_position missing_at;
    bool missing_known;
    uint64_t torn_blocks;

    bool last_blank;      /* the last segment fed was never written */
    uint32_t short_block; /* where its file ends too early; 0: it does not */
};

void wal_scan_init(struct wal_scan *scan, const struct wal_identity *identity);
void wal_scan_deinit(struct wal_scan *scan);

/*
 * wal_scan_segment - the next file: its number, length and first block. Then wal_scan_block for
 * each block behind it.
 * **Returns** 0; -SKEIN_ECORRUPT: header damaged, or of another segment; -SKEIN_EFORMAT;
 * -SKEIN_EIDENTITY.
 * @out_version: the header's, for EFORMAT.
 */
int wal_scan_segment(struct wal_scan *scan, uint32_t number, uint64_t file_bytes,
                     const uint8_t header[WAL_BLOCK_BYTES], uint32_t *out_version) SKEIN_MUST_CHECK;
/* wal_scan_block - **Returns** 0; -SKEIN_ECORRUPT: suspect_at and suspect_reason say where and why
 * (blocks with good checksums that contradict each other); -SKEIN_ENOMEM. */
int wal_scan_block(struct wal_scan *scan, const uint8_t raw[WAL_BLOCK_BYTES]) SKEIN_MUST_CHECK;
/* wal_scan_settle - no more blocks of this segment: what its tail says is in suspect and proof. */
void wal_scan_settle(struct wal_scan *scan);
/*
 * wal_scan_finish - no more segments. With 0, groups holds the log, end its end and torn_blocks
 * what is behind it.
 * **Returns** 0; -SKEIN_ECORRUPT: suspect, suspect_at and suspect_reason say where and why.
 */
int wal_scan_finish(struct wal_scan *scan) SKEIN_MUST_CHECK;
/* wal_scan_take - what was found of @groups, which may have moved on from @scan. **Ownership**: the
 * entries leave @groups. */
struct wal_recovery wal_scan_take(const struct wal_scan *scan, struct wal_groups *groups);
/* wal_scan_damaged - after -SKEIN_ECORRUPT: bytes are damaged or gone, and what was read before
 * them holds (whole blocks that contradict each other are another matter). */
bool wal_scan_damaged(const struct wal_scan *scan);

#endif
