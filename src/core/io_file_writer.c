/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/io_file_stream.h"
#include "skein/file.h"
#include "skein/shard.h"

struct skein_file_writer {
    struct stream_blocks blocks;
    uint64_t offset; /* of the block being filled */
    uint32_t current, fill;
    int failure;
    uint64_t padded_from; /* the file's true size, when its last block was padded; 0: it was not */
};

struct skein_file_writer *
skein_file_writer_open(int handle, const struct skein_file_stream_options *options)
{
    struct skein_file_writer *writer = mem_zalloc(sizeof(*writer));
    stream_blocks_open(&writer->blocks, handle, options);
    writer->offset = options ? options->offset : 0;
    skein_assert(!(writer->blocks.flags & SKEIN_FILE_DIRECT) ||
                 writer->offset % STREAM_ALIGN_BYTES == 0);
    return writer;
}

/* The first failure of a write that has ended; it stands. */
static int
failure_of(struct skein_file_writer *writer)
{
    for (uint32_t i = 0; i < writer->blocks.block_count && writer->failure == 0; i++)
        if (!writer->blocks.blocks[i].busy)
            writer->failure = writer->blocks.blocks[i].result;
    return writer->failure;
}

static uint32_t
padded(const struct skein_file_writer *writer, uint32_t bytes)
{
    if (!(writer->blocks.flags & SKEIN_FILE_DIRECT))
        return bytes;
    return (bytes + STREAM_ALIGN_BYTES - 1) / STREAM_ALIGN_BYTES * STREAM_ALIGN_BYTES;
}

static void
begin_current(struct skein_file_writer *writer)
{
    struct stream_block *block = &writer->blocks.blocks[writer->current];
    uint32_t bytes = padded(writer, writer->fill);
    memset(block->data + writer->fill, 0, bytes - writer->fill);
    writer->padded_from = bytes > writer->fill ? writer->offset + writer->fill : 0;
    block->offset = writer->offset;
    stream_block_begin(block, BACKEND_WRITE, bytes);
}

/* What was begun lies behind; the next block is filled. */
static void
advance(struct skein_file_writer *writer)
{
    writer->offset += writer->fill;
    writer->fill = 0;
    writer->current = (writer->current + 1) % writer->blocks.block_count;
}

int
skein_file_writer_write(struct skein_file_writer *writer, const void *data, size_t count,
                        size_t *out_taken, uint64_t deadline_ns)
{
    size_t taken = 0;
    int rc = failure_of(writer);
    while (rc == 0 && taken < count) {
        struct stream_block *block = &writer->blocks.blocks[writer->current];
        if (block->busy) {
            rc = wait_counted(&writer->blocks.changed, WAIT_WRITE_BEHIND, deadline_ns);
            rc = rc == 0 ? failure_of(writer) : rc;
            continue;
        }
        size_t room = writer->blocks.block_bytes - writer->fill;
        size_t n = count - taken < room ? count - taken : room;
        memcpy(block->data + writer->fill, (const char *)data + taken, n);
        writer->fill += (uint32_t)n;
        taken += n;
        if (writer->fill == writer->blocks.block_bytes) {
            begin_current(writer);
            advance(writer);
        }
    }
    if (out_taken)
        *out_taken = taken;
    return rc;
}

/* Not to be broken off: the fiber could not know how much was done. */
static void
wait_all(struct skein_file_writer *writer)
{
    skein_shield(true);
    while (writer->blocks.busy_count > 0) {
        int rc = wait_counted(&writer->blocks.changed, WAIT_WRITE_BEHIND, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    skein_shield(false);
}

int
skein_file_writer_flush(struct skein_file_writer *writer)
{
    wait_all(writer);
    int rc = failure_of(writer);
    if (rc < 0 || writer->fill == 0)
        return rc;
    begin_current(writer);
    wait_all(writer);
    /* A padded block stays the current one: it is written once more when it is full. */
    if (writer->padded_from == 0)
        advance(writer);
    return failure_of(writer);
}

int
skein_file_writer_close(struct skein_file_writer *writer)
{
    if (!writer)
        return 0;
    int rc = skein_file_writer_flush(writer);
    if (rc == 0 && writer->padded_from > 0) {
        skein_shield(true);
        rc = skein_file_truncate(writer->blocks.handle, writer->padded_from);
        skein_shield(false);
    }
    stream_blocks_close(&writer->blocks);
    mem_free(writer);
    return rc;
}
