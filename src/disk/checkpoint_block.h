/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DISK_CHECKPOINT_BLOCK_H
#define DISK_CHECKPOINT_BLOCK_H

#include <stdbool.h>

#include "disk/checkpoint.h"

/*
 * The pieces of a checkpoint file, pure (docs/design/0004-checkpoint-format.md).
 *
 *   header 4 KiB | block | block | ... | footer 4 KiB
 *
 * Every block but the last fills 64 KiB; the last is padded with zeros to 4 KiB. Checksums begin
 * with the header's, so that a block of another file is not taken for one of this; each block has
 * its number.
 */

#define CHECKPOINT_UNIT_BYTES 4096u
#define CHECKPOINT_BLOCK_BYTES 65536u
#define CHECKPOINT_BLOCK_HEAD_BYTES 16u
#define CHECKPOINT_CONTENT_BYTES (CHECKPOINT_BLOCK_BYTES - CHECKPOINT_BLOCK_HEAD_BYTES)
/* The newest version, and the first one, which is still written where all members are plain
 * voters. */
#define CHECKPOINT_FORMAT_VERSION 2u
#define CHECKPOINT_FORMAT_VERSION_PLAIN 1u

void checkpoint_header_encode(uint8_t unit[CHECKPOINT_UNIT_BYTES],
                              const struct checkpoint_info *info);
/* checkpoint_header_decode - @out_seed: what the blocks' checksums begin with; @out_version: set
 * unless ECORRUPT.
 * **Returns** 0, -SKEIN_ECORRUPT, -SKEIN_EFORMAT. */
int checkpoint_header_decode(const uint8_t unit[CHECKPOINT_UNIT_BYTES],
                             struct checkpoint_info *out_info, uint32_t *out_seed,
                             uint32_t *out_version) SKEIN_MUST_CHECK;
uint32_t checkpoint_header_seed(const uint8_t unit[CHECKPOINT_UNIT_BYTES]);

/* checkpoint_block_seal - @raw has @count bytes of content behind its head. Returns the bytes on
 * disk. */
size_t checkpoint_block_seal(uint8_t raw[CHECKPOINT_BLOCK_BYTES], uint32_t seed, uint64_t number,
                             size_t count);

/* What the blocks before said; zeroed but for seed at the start. */
struct checkpoint_scan {
    uint32_t seed;
    uint64_t next_number;
    uint64_t content_bytes;
    uint32_t chain;  /* over the blocks' checksums */
    bool last_block; /* the one that was not full: only the footer may follow */
    bool ended;      /* the footer was right */
};

/*
 * checkpoint_scan_block - the next block or the footer, at the start of @raw with @left bytes of
 * file there (up to 64 KiB of it in memory). @out_bytes: its length on disk; @out_count: its
 * content (0: the footer).
 * **Returns** 0; -SKEIN_ECORRUPT with @out_reason.
 */
int checkpoint_scan_block(struct checkpoint_scan *scan, const uint8_t *raw, size_t left,
                          size_t *out_bytes, size_t *out_count,
                          const char **out_reason) SKEIN_MUST_CHECK;

void checkpoint_footer_encode(uint8_t unit[CHECKPOINT_UNIT_BYTES],
                              const struct checkpoint_scan *scan);
/* checkpoint_footer_decode - what the footer says of the blocks' checksums. **Returns** 0,
 * -SKEIN_ECORRUPT. */
int checkpoint_footer_decode(const uint8_t unit[CHECKPOINT_UNIT_BYTES], uint32_t seed,
                             uint32_t *out_chain) SKEIN_MUST_CHECK;
/* checkpoint_block_bytes - on the disk, as the head of the block at @raw (8 bytes of it) says; 0:
 * that is no head of a block. */
size_t checkpoint_block_bytes(const uint8_t *raw);
/* checkpoint_chain - the chain with one more block's checksum. */
uint32_t checkpoint_chain(uint32_t chain, const uint8_t *raw);

/* ---- checkpoint_dir.c ---- */
#define CHECKPOINT_PATH_BYTES 512u
/* checkpoint_part_path - the name of what was received of @identity. -ENAMETOOLONG. */
int checkpoint_part_path(const char *dir, const struct checkpoint_identity *identity,
                         char out_path[CHECKPOINT_PATH_BYTES]) SKEIN_MUST_CHECK;
/* checkpoint_remove_parts - all but @kept_path. */
int checkpoint_remove_parts(const char *dir, const char *kept_path) SKEIN_MUST_CHECK;

#endif
