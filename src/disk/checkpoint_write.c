/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/mutation.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/checkpoint_block.h"
#include "skein/error.h"

/* One header and four blocks at most in one write. */
#define BUFFER_BYTES (CHECKPOINT_UNIT_BYTES + 4u * CHECKPOINT_BLOCK_BYTES)
#define PATH_BYTES 512u

struct checkpoint_writer {
    char *dir;
    uint64_t index;
    char path[PATH_BYTES];
    int handle;
    int failed;
    struct checkpoint_scan sums;
    uint64_t offset;    /* of the buffer in the file */
    size_t block_at;    /* of the block being filled, in the buffer */
    size_t block_count; /* content bytes in it */
    uint8_t *buffer;
};

int
checkpoint_create(struct checkpoint_writer **out_writer, const char *dir,
                  const struct checkpoint_info *info)
{
    char final[PATH_BYTES - 8];
    checkpoint_path(dir, info->snapshot.index, final, sizeof(final));
    if (strlen(final) + 1 == sizeof(final))
        return -ENAMETOOLONG;
    struct checkpoint_writer *writer = mem_zalloc(sizeof(*writer));
    snprintf(writer->path, sizeof(writer->path), "%s.tmp", final);
    writer->handle = skein_file_open(
        writer->path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC | SKEIN_FILE_DIRECT,
        0644);
    if (writer->handle < 0) {
        int rc = writer->handle;
        mem_free(writer);
        return rc;
    }
    writer->dir = mem_strdup(dir);
    writer->index = info->snapshot.index;
    writer->buffer = mem_alloc_aligned(CHECKPOINT_UNIT_BYTES, BUFFER_BYTES);
    checkpoint_header_encode(writer->buffer, info);
    writer->sums.seed = checkpoint_header_seed(writer->buffer);
    writer->block_at = CHECKPOINT_UNIT_BYTES;
    *out_writer = writer;
    return 0;
}

/* The blocks sealed so far; others run in between, so that a big checkpoint does not hold them up.
 */
static int
buffer_flush(struct checkpoint_writer *writer)
{
    if (writer->block_at == 0)
        return 0;
    int rc = skein_file_pwrite(writer->handle, writer->buffer, writer->block_at, writer->offset, 0);
    writer->offset += writer->block_at;
    writer->block_at = 0;
    skein_yield();
    return rc;
}

static int
block_end(struct checkpoint_writer *writer)
{
    if (writer->block_count == 0)
        return 0;
    uint8_t *raw = writer->buffer + writer->block_at;
    size_t bytes = checkpoint_block_seal(raw, writer->sums.seed, writer->sums.next_number,
                                         writer->block_count);
    writer->sums.chain = checkpoint_chain(writer->sums.chain, raw);
    writer->sums.next_number++;
    writer->sums.content_bytes += writer->block_count;
    writer->block_count = 0;
    writer->block_at += bytes;
    return writer->block_at + CHECKPOINT_BLOCK_BYTES > BUFFER_BYTES ? buffer_flush(writer) : 0;
}

int
checkpoint_write(struct checkpoint_writer *writer, const void *data, size_t count)
{
    const uint8_t *from = data;
    while (count > 0 && writer->failed == 0) {
        size_t room = CHECKPOINT_CONTENT_BYTES - writer->block_count;
        size_t take = count < room ? count : room;
        memcpy(writer->buffer + writer->block_at + CHECKPOINT_BLOCK_HEAD_BYTES +
                   writer->block_count,
               from, take);
        writer->block_count += take;
        from += take;
        count -= take;
        if (writer->block_count == CHECKPOINT_CONTENT_BYTES)
            writer->failed = block_end(writer);
    }
    return writer->failed;
}

static void
writer_free(struct checkpoint_writer *writer)
{
    mem_free(writer->buffer);
    mem_free(writer->dir);
    mem_free(writer);
}

int
checkpoint_commit(struct checkpoint_writer *writer)
{
    char final[PATH_BYTES];
    int rc = writer->failed;
    if (rc == 0)
        rc = block_end(writer);
    if (rc == 0 && writer->block_at + CHECKPOINT_UNIT_BYTES > BUFFER_BYTES)
        rc = buffer_flush(writer);
    if (rc == 0) {
        checkpoint_footer_encode(writer->buffer + writer->block_at, &writer->sums);
        writer->block_at += CHECKPOINT_UNIT_BYTES;
        rc = buffer_flush(writer);
    }
    if (rc == 0 && !mutation_on(MUTATION_CHECKPOINT_UNSYNCED))
        rc = skein_file_sync(writer->handle, 0);
    checkpoint_path(writer->dir, writer->index, final, sizeof(final));
    if (rc == 0)
        rc = skein_file_rename(writer->path, final);
    if (rc < 0) {
        checkpoint_abort(writer);
        return rc;
    }
    rc = skein_close(writer->handle);
    int synced = skein_file_sync_directory(writer->dir);
    writer_free(writer);
    return rc < 0 ? rc : synced;
}

void
checkpoint_abort(struct checkpoint_writer *writer)
{
    (void)skein_close(writer->handle);
    int rc = skein_file_unlink(writer->path, 0);
    (void)rc; /* what stays is removed at the next start */
    writer_free(writer);
}
