/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_FILE_STREAM_H
#define CORE_IO_FILE_STREAM_H

#include "core/backend.h"
#include "skein/fiber.h"
#include "skein/file_stream.h"

/* What a file reader and a file writer share: blocks, each with an op of its own. */

#define STREAM_ALIGN_BYTES 4096u

struct stream_blocks;

struct stream_block {
    struct backend_op op;
    struct iovec iov;
    struct stream_blocks *blocks;
    char *data;
    uint64_t offset; /* in the file, of data[0] */
    uint32_t wanted; /* bytes to be read or written */
    uint32_t done;   /* of them */
    int result;      /* 0, or the op's error */
    bool busy;       /* an op is under way */
};

struct stream_blocks {
    struct backend *backend; /* ops are submitted outside fibers too */
    int handle;
    uint32_t block_bytes, block_count, flags;
    uint32_t busy_count;
    struct skein_waitq changed; /* an op has ended */
    struct stream_block blocks[64];
};

/* stream_blocks_open - zeroed but for what @options say. */
void stream_blocks_open(struct stream_blocks *blocks, int handle,
                        const struct skein_file_stream_options *options);
/* stream_blocks_close - waits for what is under way, whatever becomes of the fiber. */
void stream_blocks_close(struct stream_blocks *blocks);
/* stream_block_begin - read or write @wanted bytes of the block at its offset. Does not suspend. */
void stream_block_begin(struct stream_block *block, enum backend_op_kind kind, uint32_t wanted);

#endif
