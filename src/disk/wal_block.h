/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_WAL_BLOCK_H
#define DISK_WAL_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "disk/wal.h"

/*
 * The blocks of a log segment: pure encoding and checking of 4 KiB pieces of memory
 * (docs/design/0002-log-format.md).
 *
 *   segment:  | header | batch: carry, data ... | batch: data ... | ... | zeros |
 *
 * A batch is what one durable write wrote. Its blocks are numbered; each names its own place, the
 * batch, and the place behind the batch that was durable before it. The first blocks of a segment
 * are the *carry* (wal_carry.h): what recovery has to know when the segments before are gone. The
 * payloads of the data blocks, one after the other, are the stream of frames (wal_frame.h).
 */

#define WAL_BLOCK_BYTES 4096u
#define WAL_BLOCK_HEAD_BYTES 48u
#define WAL_MARK_BYTES 80u
/* What a disk writes as a whole or not at all. Each sector of a block but the first begins with a
 * tag; what it displaces lies before the mark. */
#define WAL_SECTOR_BYTES 512u
#define WAL_SECTORS (WAL_BLOCK_BYTES / WAL_SECTOR_BYTES)
#define WAL_TAG_BYTES 12u
#define WAL_SAVED_BYTES ((WAL_SECTORS - 1) * WAL_TAG_BYTES)
#define WAL_PAYLOAD_BYTES \
    (WAL_BLOCK_BYTES - WAL_BLOCK_HEAD_BYTES - WAL_SAVED_BYTES - WAL_MARK_BYTES)
#define WAL_BATCH_BLOCKS_MAX 256u
#define WAL_FORMAT_VERSION 4u
#define WAL_FORMAT_VERSION_MIN 1u
#define WAL_FORMAT_VERSION_SECTORS 4u
#define WAL_SEGMENT_BYTES_MIN (64u << 10)
#define WAL_SEGMENT_BYTES_MAX (1u << 30)

/* A place in the log; block 0 is a segment's header. {0, 0}: before everything. */
struct wal_position {
    uint32_t segment;
    uint32_t block;
};

/* What a group's log says besides its entries, as of some frame. */
struct wal_state {
    struct raft_hard_state hard_state;
    uint64_t start_index;
    uint64_t start_term;
};

/*
 * What a whole batch makes of the log: in every block of it, so that one that can be read tells how
 * far the log went, whatever became of the others. It is exact for the group of the batch's last
 * frame, and for all others a bound. Entries behind `last` are void.
 */
struct wal_mark {
    uint32_t group;
    uint32_t group_count; /* in the log; 0: it is of a version that has one group, 0 */
    bool alone;           /* no other group wrote since this segment's carry */
    struct wal_state state;
    uint64_t last_index; /* 0: no entry and no start */
    uint64_t last_term;
    uint64_t term_max;  /* over all groups: no term above */
    uint64_t index_max; /* over all groups: no entry behind */
};

/* How a block is laid out: version 1 has no mark, 2 a mark of 56 bytes without groups, 3 one
 * checksum for all of the block; 4 has one for each sector. */
enum wal_block_layout {
    WAL_LAYOUT_BARE = 0,
    WAL_LAYOUT_MARK = 1,
    WAL_LAYOUT_GROUPS = 2,
    WAL_LAYOUT_SECTORS = 3
};

enum wal_block_kind { WAL_BLOCK_CARRY = 2, WAL_BLOCK_DATA = 3 };

struct wal_block {
    enum wal_block_kind kind;
    uint16_t payload_bytes;
    uint64_t generation;
    struct wal_position at;     /* this block */
    struct wal_position synced; /* behind the last batch that was durable when this was written */
    uint64_t batch;             /* 1, 2, 3 ... over all segments */
    uint16_t number;            /* in the batch, from 0 */
    uint16_t count;             /* blocks in the batch */
    enum wal_block_layout layout;
    struct wal_mark mark;
};

/* wal_block_seal - write the head, zero what lies behind the payload, add the checksums (and the
 * tags, which displace payload). The payload is already in its place in @raw. */
void wal_block_seal(uint8_t raw[WAL_BLOCK_BYTES], const struct wal_block *block);

enum wal_block_verdict {
    WAL_VERDICT_GOOD,
    WAL_VERDICT_BLANK, /* zeros, or whole and of an older generation: never written */
    WAL_VERDICT_TORN,  /* some sectors are blank, others are not: it was never written whole */
    WAL_VERDICT_BAD    /* anything else: not what a write that was cut short leaves behind */
};

/* What is in a block, and what its sectors say when not all of them can be read. */
struct wal_judged {
    enum wal_block_verdict verdict;
    bool head;              /* @block is what its first sector says: of this place and generation */
    bool fresh;             /* some sector is of this generation */
    struct wal_block block; /* GOOD: all of it; else without payload and mark, if @head */
    const char *reason;     /* BAD: a static phrase */
};

/*
 * wal_block_judge - what is in @raw, which lies at @at in a segment of @generation. @sectored: of a
 * segment of version 4 or later, of which each sector has a checksum; in older ones a block is
 * whole or BAD, and never TORN. A sector that was damaged is never blank.
 */
struct wal_judged wal_block_judge(const uint8_t raw[WAL_BLOCK_BYTES], struct wal_position at,
                                  uint64_t generation, bool sectored);

/* wal_block_payload - what a GOOD block carries, to @to; @block is what it says of itself. Returns
 * how many bytes that are. */
size_t wal_block_payload(const uint8_t raw[WAL_BLOCK_BYTES], const struct wal_block *block,
                         uint8_t to[WAL_BLOCK_BYTES]);

/* A segment's first block. */
struct wal_header {
    struct wal_identity identity;
    uint32_t segment;
    uint64_t generation; /* larger than that of any file written before */
    uint64_t segment_bytes;
    bool sectored; /* its blocks have a checksum for each sector; set by decoding */
};

void wal_header_encode(uint8_t raw[WAL_BLOCK_BYTES], const struct wal_header *header);
/* wal_header_decode - **Returns** 0, -SKEIN_ECORRUPT, -SKEIN_EFORMAT (a whole header of another
 * version, in *@out_version). */
int wal_header_decode(const uint8_t raw[WAL_BLOCK_BYTES], struct wal_header *out_header,
                      uint32_t *out_version) SKEIN_MUST_CHECK;

#define WAL_STATE_BYTES 40u
void wal_state_encode(uint8_t to[WAL_STATE_BYTES], const struct wal_state *state);
struct wal_state wal_state_decode(const uint8_t from[WAL_STATE_BYTES]);
bool wal_state_equal(const struct wal_state *a, const struct wal_state *b);

#endif
