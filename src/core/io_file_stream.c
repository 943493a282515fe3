/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io_file_stream.h"

#include <errno.h>

#include "base/mem.h"
#include "skein/file.h"
#include "skein/shard.h"

#define BLOCK_BYTES_DEFAULT ((uint32_t)128 << 10)
#define BLOCK_BYTES_MAX ((uint32_t)16 << 20)
#define BLOCK_COUNT_DEFAULT 4

void
stream_blocks_open(struct stream_blocks *blocks, int handle,
                   const struct skein_file_stream_options *options)
{
    static const struct skein_file_stream_options defaults;
    options = options ? options : &defaults;
    blocks->backend = skein_shard_backend();
    blocks->handle = handle;
    blocks->flags = options->flags;
    blocks->block_bytes = options->block_bytes ? options->block_bytes : BLOCK_BYTES_DEFAULT;
    blocks->block_count = options->block_count ? options->block_count : BLOCK_COUNT_DEFAULT;
    skein_assert(blocks->block_bytes % STREAM_ALIGN_BYTES == 0);
    skein_assert(blocks->block_bytes <= BLOCK_BYTES_MAX);
    skein_assert(blocks->block_count >= 2);
    skein_assert(blocks->block_count <= BASE_COUNT_OF(blocks->blocks));
    skein_assert((blocks->flags & ~(SKEIN_FILE_DSYNC | SKEIN_FILE_DIRECT)) == 0);
    skein_waitq_init(&blocks->changed);
    for (uint32_t i = 0; i < blocks->block_count; i++) {
        blocks->blocks[i].blocks = blocks;
        blocks->blocks[i].data = mem_alloc_aligned(STREAM_ALIGN_BYTES, blocks->block_bytes);
    }
}

void
stream_blocks_close(struct stream_blocks *blocks)
{
    skein_shield(true);
    while (blocks->busy_count > 0) {
        int rc = skein_wait(&blocks->changed, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    skein_shield(false);
    for (uint32_t i = 0; i < blocks->block_count; i++)
        mem_free(blocks->blocks[i].data);
}

static void
submit(struct stream_block *block)
{
    struct backend *backend = block->blocks->backend;
    block->iov = (struct iovec){.iov_base = block->data + block->done,
                                .iov_len = block->wanted - block->done};
    block->op.iov = &block->iov;
    block->op.iov_count = 1;
    block->op.offset = block->offset + block->done;
    backend->ops->submit(backend, &block->op);
}

static void
completed(struct backend_op *op)
{
    struct stream_block *block = op->waiter;
    int64_t result = op->result;
    bool reads = op->kind == BACKEND_READ;
    if (result > 0)
        block->done += (uint32_t)result;
    skein_assert(block->done <= block->wanted);
    /* A direct read past the odd end of a file is refused for its alignment: it is the end. */
    bool odd_end = reads && result == -EINVAL && block->done > 0;
    if (result > 0 && block->done < block->wanted) {
        submit(block);
        return;
    }
    if (result < 0 && !odd_end)
        block->result = (int)result;
    else if (result == 0 && !reads)
        block->result = -EIO;
    block->busy = false;
    block->blocks->busy_count--;
    skein_wake_all(&block->blocks->changed);
}

void
stream_block_begin(struct stream_block *block, enum backend_op_kind kind, uint32_t wanted)
{
    skein_assert(!block->busy);
    skein_assert(wanted > 0);
    skein_assert(wanted <= block->blocks->block_bytes);
    block->wanted = wanted;
    block->done = 0;
    block->result = 0;
    block->busy = true;
    block->blocks->busy_count++;
    block->op = (struct backend_op){
        .kind = kind,
        .handle = block->blocks->handle,
        .flags = kind == BACKEND_WRITE ? block->blocks->flags & SKEIN_FILE_DSYNC : 0,
        .complete = completed,
        .waiter = block};
    submit(block);
}
