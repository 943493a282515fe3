/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/io_file_stream.h"

struct skein_file_reader {
    struct stream_blocks blocks;
    uint64_t block_number;      /* being read from; it lies in blocks[block_number % block_count] */
    uint64_t block_number_next; /* the next to be begun */
    uint64_t first_offset;      /* of block 0 */
    uint32_t at;                /* in the current block */
    bool no_more;               /* a block was short: nothing lies behind it */
};

static struct stream_block *
block_of(struct skein_file_reader *reader, uint64_t number)
{
    return &reader->blocks.blocks[number % reader->blocks.block_count];
}

/* Begin what there is room for. */
static void
read_ahead(struct skein_file_reader *reader)
{
    uint64_t end = reader->block_number + reader->blocks.block_count;
    for (; !reader->no_more && reader->block_number_next < end; reader->block_number_next++) {
        struct stream_block *block = block_of(reader, reader->block_number_next);
        block->offset =
            reader->first_offset + reader->block_number_next * reader->blocks.block_bytes;
        stream_block_begin(block, BACKEND_READ, reader->blocks.block_bytes);
    }
}

struct skein_file_reader *
skein_file_reader_open(int handle, const struct skein_file_stream_options *options)
{
    struct skein_file_reader *reader = mem_zalloc(sizeof(*reader));
    uint64_t offset = options ? options->offset : 0;
    stream_blocks_open(&reader->blocks, handle, options);
    reader->at = (uint32_t)(offset % STREAM_ALIGN_BYTES);
    reader->first_offset = offset - reader->at;
    read_ahead(reader);
    return reader;
}

void
skein_file_reader_close(struct skein_file_reader *reader)
{
    if (!reader)
        return;
    stream_blocks_close(&reader->blocks);
    mem_free(reader);
}

ssize_t
skein_file_reader_peek(struct skein_file_reader *reader, const void **out_data,
                       uint64_t deadline_ns)
{
    for (;;) {
        struct stream_block *block = block_of(reader, reader->block_number);
        while (block->busy) {
            int rc = wait_counted(&reader->blocks.changed, WAIT_READ_AHEAD, deadline_ns);
            if (rc < 0)
                return rc;
        }
        bool last = block->done < block->wanted;
        reader->no_more = reader->no_more || last;
        if (reader->at < block->done) {
            *out_data = block->data + reader->at;
            return (ssize_t)(block->done - reader->at);
        }
        if (block->result < 0)
            return block->result;
        if (last)
            return 0;
        reader->block_number++;
        reader->at = 0;
        read_ahead(reader);
    }
}

void
skein_file_reader_skip(struct skein_file_reader *reader, size_t count)
{
    const struct stream_block *block = block_of(reader, reader->block_number);
    skein_assert(!block->busy);
    skein_assert(reader->at + count <= block->done);
    reader->at += (uint32_t)count;
}

ssize_t
skein_file_reader_read(struct skein_file_reader *reader, void *data, size_t count,
                       uint64_t deadline_ns)
{
    const void *from;
    ssize_t n = skein_file_reader_peek(reader, &from, deadline_ns);
    if (n <= 0)
        return n;
    size_t taken = (size_t)n < count ? (size_t)n : count;
    memcpy(data, from, taken);
    skein_file_reader_skip(reader, taken);
    return (ssize_t)taken;
}
