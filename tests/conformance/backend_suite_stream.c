/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: file streams bring every byte in order whatever the sizes, tell the end and errors as
 * promised, and hold no more than their blocks; a mapped file is the file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conformance/backend_suite.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/file_map.h"
#include "skein/file_stream.h"
#include "skein/shard.h"

#define SECOND_NS 1000000000ull
#define PATH_BYTES 512

static int
create(struct backend_suite_run *run, const char *name, uint32_t flags)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", run->directory, name);
    int handle = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | flags, 0600);
    CHECK(&run->check, handle >= 0);
    return handle;
}

static char
pattern(uint64_t i)
{
    return (char)(i * 13 + (i >> 11));
}

/* Writes @count bytes of the pattern in pieces of odd sizes. */
static int
write_pattern(int handle, size_t count, const struct skein_file_stream_options *options)
{
    struct skein_file_writer *writer = skein_file_writer_open(handle, options);
    char piece[3001];
    size_t done = 0, piece_bytes = 1;
    int rc = 0;
    while (rc == 0 && done < count) {
        size_t n = piece_bytes < count - done ? piece_bytes : count - done, taken = 0;
        for (size_t i = 0; i < n; i++)
            piece[i] = pattern(done + i);
        rc = skein_file_writer_write(writer, piece, n, &taken, skein_deadline_in(20 * SECOND_NS));
        done += taken;
        piece_bytes = piece_bytes * 7 % sizeof(piece) + 1;
        if (rc == 0 && done % 5 == 0)
            rc = skein_file_writer_flush(writer);
    }
    int close_rc = skein_file_writer_close(writer);
    return rc < 0 ? rc : close_rc;
}

/* How many bytes of the pattern a reader brings, from the options' offset. */
static ssize_t
read_pattern(int handle, const struct skein_file_stream_options *options)
{
    struct skein_file_reader *reader = skein_file_reader_open(handle, options);
    uint64_t at = options->offset;
    char data[777];
    ssize_t n;
    while ((n = skein_file_reader_read(reader, data, sizeof(data),
                                       skein_deadline_in(20 * SECOND_NS))) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (data[i] != pattern(at++)) {
                skein_file_reader_close(reader);
                return -1;
            }
    skein_file_reader_close(reader);
    return n < 0 ? n : (ssize_t)(at - options->offset);
}

void
backend_suite_file_streams(struct backend_suite_run *run)
{
    static const size_t sizes[] = {0, 1, 4096, 8192, 8193, 40000, 65536, 100001};
    static const uint32_t kinds[] = {0, SKEIN_FILE_DIRECT};
    struct check *check = &run->check;
    for (size_t k = 0; k < BASE_COUNT_OF(kinds); k++)
        for (size_t i = 0; i < BASE_COUNT_OF(sizes); i++) {
            int handle = create(run, "stream", kinds[k] | SKEIN_FILE_TRUNC);
            struct skein_file_stream_options options = {
                .block_bytes = 8192, .block_count = 3, .flags = kinds[k]};
            uint64_t size_bytes = 0;
            CHECK(check, write_pattern(handle, sizes[i], &options) == 0);
            CHECK(check, skein_file_size(handle, &size_bytes) == 0);
            CHECK(check, size_bytes == sizes[i]);
            CHECK(check, read_pattern(handle, &options) == (ssize_t)sizes[i]);
            options.offset = 4099;
            ssize_t left = sizes[i] > 4099 ? (ssize_t)sizes[i] - 4099 : 0;
            CHECK(check, read_pattern(handle, &options) == left);
            CHECK(check, skein_close(handle) == 0);
        }
}

void
backend_suite_file_stream_errors(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    char path[PATH_BYTES], block[8192] = {0};
    struct skein_file_stream_options options = {.block_bytes = 4096, .block_count = 2};
    int writable = create(run, "readonly", 0);
    snprintf(path, sizeof(path), "%s/readonly", run->directory);
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    struct skein_file_writer *writer = skein_file_writer_open(handle, &options);
    /* Taken, then refused by the file, then told by every call. */
    CHECK(check, skein_file_writer_write(writer, block, 10, NULL, SKEIN_NEVER) == 0);
    CHECK(check, skein_file_writer_flush(writer) == -EBADF);
    CHECK(check, skein_file_writer_write(writer, block, 1, NULL, SKEIN_NEVER) == -EBADF);
    CHECK(check, skein_file_writer_close(writer) == -EBADF);
    CHECK(check, skein_file_writer_close(NULL) == 0);
    /* A failure behind the writer's back reaches it before it has written very much. */
    writer = skein_file_writer_open(handle, &options);
    int rc = 0;
    for (int i = 0; i < 10 && rc == 0; i++)
        rc = skein_file_writer_write(writer, block, sizeof(block), NULL,
                                     skein_deadline_in(20 * SECOND_NS));
    CHECK(check, rc == -EBADF);
    CHECK(check, skein_file_writer_close(writer) == -EBADF);
    CHECK(check, skein_close(handle) == 0);
    CHECK(check, skein_close(writable) == 0);
    struct skein_file_reader *reader = skein_file_reader_open(handle, &options);
    const void *data;
    CHECK(check, skein_file_reader_peek(reader, &data, SKEIN_NEVER) == -EBADF);
    CHECK(check, skein_file_reader_peek(reader, &data, SKEIN_NEVER) == -EBADF);
    skein_file_reader_close(reader);
    skein_file_reader_close(NULL);
}

void
backend_suite_maps(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_map *map = NULL;
    char data[16] = {0};
    int handle = create(run, "map", 0);
    CHECK(check, skein_file_pwrite(handle, "0123456789", 10, 8190, 0) == 0);
    CHECK(check, skein_map_open(&map, 1 << 20, 0, 4096, SKEIN_FILE_RDWR) == -EBADF);
    if (!CHECK(check, skein_map_open(&map, handle, 4096, 16384, SKEIN_FILE_RDWR) == 0))
        return;
    CHECK(check, skein_map_load(map, 0, 4104) == 0);
    CHECK(check, memcmp((char *)skein_map_data(map) + 4094, "0123456789", 10) == 0);
    CHECK(check, skein_map_load(map, 0, 4105) == -ENODATA);
    CHECK(check, skein_map_load(map, 16000, 400) == -SKEIN_EINVALID);
    CHECK(check, skein_map_read(map, 4090, data, 16) == 14);
    CHECK(check, memcmp(data,
                        "\0\0\0\0"
                        "0123456789",
                        14) == 0);
    CHECK(check, skein_map_read(map, 9000, data, 16) == 0);
    CHECK(check, skein_map_read(map, 16380, data, 16) == -SKEIN_EINVALID);
    memcpy((char *)skein_map_data(map) + 4094, "AB", 2);
    CHECK(check, skein_map_write(map, 4100, "CDEFGHIJ", 8) == 0);
    CHECK(check, skein_map_advise(map, 0, 4096, SKEIN_MAP_SEQUENTIAL) == 0);
    CHECK(check, skein_map_advise(map, 0, UINT64_MAX, SKEIN_MAP_RANDOM) == -SKEIN_EINVALID);
    CHECK(check, skein_map_flush(map, 0, 4108) == 0);
    CHECK(check, skein_file_pread(handle, data, 16, 8190) == 14);
    CHECK(check, memcmp(data, "AB2345CDEFGHIJ", 14) == 0);
    /* Cut off under the map. */
    CHECK(check, skein_file_truncate(handle, 5000) == 0);
    CHECK(check, skein_map_load(map, 4096, 8) == -ENODATA);
    skein_map_close(map);
    CHECK(check, skein_map_open(&map, handle, 0, 4096, SKEIN_FILE_RDONLY) == 0);
    CHECK(check, skein_map_write(map, 0, "x", 1) == -EBADF);
    skein_map_close(map);
    skein_map_close(NULL);
    CHECK(check, skein_close(handle) == 0);
}
