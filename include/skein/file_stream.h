/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_FILE_STREAM_H
#define SKEIN_FILE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Files from one end to the other: a reader that reads ahead, a writer that writes behind.
 *
 *   reader:  file --[up to block_count reads under way]--> blocks in order --> peek, read
 *   writer:  write --> block being filled --[up to block_count writes under way]--> file
 *
 * Memory: block_count blocks, no more; a writer that is faster than the disk waits for a block, a
 * reader's read-ahead stops when its blocks are full. Blocks are aligned in memory and lie on
 * multiples of 4096 in the file, so both work on files opened with SKEIN_FILE_DIRECT.
 *
 * The handle is borrowed and stays open until the stream is closed. A stream is one fiber's.
 *
 * Unless said otherwise: **Runs on** a fiber of the shard that opened it; suspends.
 */

struct skein_file_stream_options {
    uint64_t offset;      /* where it begins */
    uint32_t block_bytes; /* a multiple of 4096, up to 16 MiB; 0: 128 KiB */
    uint32_t block_count; /* 2 to 64; 0: 4 */
    uint32_t flags;       /* writer: SKEIN_FILE_DSYNC: each block is durable when written;
                           * SKEIN_FILE_DIRECT: the file was opened so */
};

/* ---- reading ---- */

struct skein_file_reader;

/*
 * skein_file_reader_open - @options: NULL: the defaults. Reading ahead begins at once.
 * **Ownership**: close with skein_file_reader_close. Does not suspend.
 */
struct skein_file_reader *skein_file_reader_open(int handle,
                                                 const struct skein_file_stream_options *options);
/* skein_file_reader_close - waits for the reads that are under way. */
void skein_file_reader_close(struct skein_file_reader *reader);
/*
 * skein_file_reader_peek - the next bytes, lent until the next call on this reader.
 * **Returns** how many (> 0) are at *@out_data; 0: the end of the file; -errno of the read, from
 * then on for ever; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED: nothing is lost, ask again.
 */
ssize_t skein_file_reader_peek(struct skein_file_reader *reader, const void **out_data,
                               uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_file_reader_skip - take @count bytes, of those last peeked at. Does not suspend. */
void skein_file_reader_skip(struct skein_file_reader *reader, size_t count);
/* skein_file_reader_read - copy out 1 to @count bytes; else as peek. */
ssize_t skein_file_reader_read(struct skein_file_reader *reader, void *data, size_t count,
                               uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- writing ---- */

struct skein_file_writer;

/* skein_file_writer_open - as the reader's. **Ownership**: close with skein_file_writer_close.
 * With SKEIN_FILE_DIRECT, options->offset is a multiple of 4096. Does not suspend. */
struct skein_file_writer *skein_file_writer_open(int handle,
                                                 const struct skein_file_stream_options *options);
/*
 * skein_file_writer_write - all of it, into blocks; waits for a free one.
 * **Returns** 0; the first error of a write under way (-ENOSPC, -EIO ...), told by the next call
 * and by every one after it, nothing more is written; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED: a part
 * was taken, *@out_taken bytes (may be NULL).
 */
int skein_file_writer_write(struct skein_file_writer *writer, const void *data, size_t count,
                            size_t *out_taken, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_file_writer_flush - hand everything to the file and wait until it was written (which is not
 * durable without SKEIN_FILE_DSYNC: see skein_file_sync). */
int skein_file_writer_flush(struct skein_file_writer *writer) SKEIN_MUST_CHECK;
/*
 * skein_file_writer_close - flush (also in a cancelled fiber), end, free.
 * **Returns** 0: every byte was written; the first error.
 */
int skein_file_writer_close(struct skein_file_writer *writer) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
