/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/checkpoint_block.h"
#include "disk/explain.h"
#include "skein/error.h"

#define BUFFER_BYTES (4u * CHECKPOINT_BLOCK_BYTES)

struct checkpoint_reader {
    char *path;
    int handle;
    int failed;
    char why[512];
    struct checkpoint_scan scan;
    uint64_t offset; /* of the buffer in the file */
    uint8_t *buffer;
    size_t buffer_bytes;
    size_t next_at;    /* of the next block, in the buffer */
    size_t content_at; /* of the content not yet given, in the buffer */
    size_t content_bytes;
};

static int reader_fail(struct checkpoint_reader *reader, int code, const char *reason);
static int header_read(struct checkpoint_reader *reader, const uint8_t cluster[16],
                       struct checkpoint_info *out_info);

int
checkpoint_open(struct checkpoint_reader **out_reader, const char *path, const uint8_t cluster[16],
                struct checkpoint_info *out_info, char out_why[512])
{
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECT, 0);
    if (handle < 0)
        return disk_explain(handle, "cannot open the checkpoint", path, out_why);
    struct checkpoint_reader *reader = mem_zalloc(sizeof(*reader));
    reader->handle = handle;
    reader->path = mem_strdup(path);
    reader->buffer = mem_alloc_aligned(CHECKPOINT_UNIT_BYTES, BUFFER_BYTES);
    int rc = header_read(reader, cluster, out_info);
    if (rc < 0) {
        memcpy(out_why, reader->why, sizeof(reader->why));
        checkpoint_close(reader);
        return rc;
    }
    *out_reader = reader;
    return 0;
}

static int
reader_fail(struct checkpoint_reader *reader, int code, const char *reason)
{
    reader->failed = code;
    if (code == -SKEIN_ECORRUPT)
        snprintf(reader->why, sizeof(reader->why),
                 "the checkpoint %.300s is damaged at byte %" PRIu64 ": %s", reader->path,
                 reader->offset + reader->next_at, reason);
    else
        disk_explain(code, "cannot read the checkpoint", reader->path, reader->why);
    return code;
}

/* Have a block's worth of the file behind next_at in the buffer, or all that is left of it. */
static int
buffer_fill(struct checkpoint_reader *reader)
{
    size_t have = reader->buffer_bytes - reader->next_at;
    if (have >= CHECKPOINT_BLOCK_BYTES)
        return 0;
    memmove(reader->buffer, reader->buffer + reader->next_at, have);
    reader->offset += reader->next_at;
    reader->next_at = 0;
    reader->buffer_bytes = have;
    if (have % CHECKPOINT_UNIT_BYTES != 0)
        return 0; /* the file's end, already read */
    ssize_t got = skein_file_pread(reader->handle, reader->buffer + have, BUFFER_BYTES - have,
                                   reader->offset + have);
    if (got < 0)
        return reader_fail(reader, (int)got, "");
    reader->buffer_bytes += (size_t)got;
    skein_yield();
    return 0;
}

static int
header_read(struct checkpoint_reader *reader, const uint8_t cluster[16],
            struct checkpoint_info *out_info)
{
    struct checkpoint_info info;
    uint32_t version = 0;
    int rc = buffer_fill(reader);
    if (rc < 0)
        return rc;
    if (reader->buffer_bytes < CHECKPOINT_UNIT_BYTES)
        return reader_fail(reader, -SKEIN_ECORRUPT, "the file ends in its header");
    rc = checkpoint_header_decode(reader->buffer, &info, &reader->scan.seed, &version);
    if (rc == -SKEIN_ECORRUPT)
        return reader_fail(reader, rc, "the header's checksum does not match");
    if (rc == -SKEIN_EFORMAT) {
        snprintf(
            reader->why, sizeof(reader->why),
            "the checkpoint %.230s has format version %u, this program reads them up to %u: use "
            "the program that wrote it",
            reader->path, version, CHECKPOINT_FORMAT_VERSION);
        return rc;
    }
    if (cluster && memcmp(info.cluster, cluster, 16) != 0) {
        snprintf(reader->why, sizeof(reader->why),
                 "the checkpoint %.230s belongs to another cluster: give this node its own data "
                 "directory, or an empty one",
                 reader->path);
        return -SKEIN_EIDENTITY;
    }
    reader->next_at = CHECKPOINT_UNIT_BYTES;
    *out_info = info;
    return 0;
}

/* The next block's content, or -SKEIN_EEOF behind a right footer. */
static int
block_next(struct checkpoint_reader *reader)
{
    const char *reason = NULL;
    size_t bytes = 0;
    size_t count = 0;
    if (reader->scan.ended)
        return -SKEIN_EEOF;
    int rc = buffer_fill(reader);
    if (rc < 0)
        return rc;
    size_t left = reader->buffer_bytes - reader->next_at;
    if (left > CHECKPOINT_BLOCK_BYTES)
        left = CHECKPOINT_BLOCK_BYTES;
    rc = checkpoint_scan_block(&reader->scan, reader->buffer + reader->next_at, left, &bytes,
                               &count, &reason);
    if (rc < 0)
        return reader_fail(reader, rc, reason);
    reader->content_at = reader->next_at + CHECKPOINT_BLOCK_HEAD_BYTES;
    reader->content_bytes = count;
    reader->next_at += bytes;
    if (count > 0)
        return 0;
    rc = buffer_fill(reader);
    if (rc < 0)
        return rc;
    if (reader->buffer_bytes != reader->next_at)
        return reader_fail(reader, -SKEIN_ECORRUPT, "there are bytes behind the footer");
    return -SKEIN_EEOF;
}

int
checkpoint_read(struct checkpoint_reader *reader, void *data, size_t count)
{
    uint8_t *to = data;
    bool begun = false;
    while (count > 0) {
        if (reader->failed < 0)
            return reader->failed;
        if (reader->content_bytes == 0) {
            int rc = block_next(reader);
            if (rc == -SKEIN_EEOF && begun)
                return reader_fail(reader, -SKEIN_ECORRUPT, "the content ends too early");
            if (rc < 0)
                return rc;
        }
        size_t take = count < reader->content_bytes ? count : reader->content_bytes;
        memcpy(to, reader->buffer + reader->content_at, take);
        reader->content_at += take;
        reader->content_bytes -= take;
        to += take;
        count -= take;
        begun = true;
    }
    return 0;
}

int
checkpoint_read_some(struct checkpoint_reader *reader, void *data, size_t count_max,
                     size_t *out_count)
{
    if (reader->failed < 0)
        return reader->failed;
    int rc = reader->content_bytes == 0 ? block_next(reader) : 0;
    if (rc < 0)
        return rc;
    *out_count = count_max < reader->content_bytes ? count_max : reader->content_bytes;
    return checkpoint_read(reader, data, *out_count);
}

int
checkpoint_finish(struct checkpoint_reader *reader)
{
    if (reader->failed < 0)
        return reader->failed;
    if (reader->content_bytes > 0)
        return reader_fail(reader, -SKEIN_ECORRUPT, "there is more content than was wanted");
    int rc = block_next(reader);
    if (rc == -SKEIN_EEOF)
        return 0;
    if (rc == 0)
        return reader_fail(reader, -SKEIN_ECORRUPT, "there is more content than was wanted");
    return rc;
}

const char *
checkpoint_reader_why(const struct checkpoint_reader *reader)
{
    return reader->why;
}

void
checkpoint_close(struct checkpoint_reader *reader)
{
    if (!reader)
        return;
    (void)skein_close(reader->handle);
    mem_free(reader->buffer);
    mem_free(reader->path);
    mem_free(reader);
}

int
checkpoint_verify(struct checkpoint_reader *reader)
{
    if (reader->failed < 0)
        return reader->failed;
    int rc = 0;
    while (rc == 0)
        rc = block_next(reader);
    reader->content_bytes = 0;
    return rc == -SKEIN_EEOF ? 0 : rc;
}
