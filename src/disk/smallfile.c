/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/smallfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/explain.h"
#include "skein/error.h"

/* magic 8 | version 4 | bytes 4 | crc32c of all the rest 4 | data */
#define HEAD_BYTES 20u
#define PATH_BYTES 512u

static uint32_t
checksum(const uint8_t *file, size_t bytes)
{
    uint32_t crc = crc32c(0, file, 16);
    return crc32c(crc, file + HEAD_BYTES, bytes - HEAD_BYTES);
}

static int
file_write(const char *path, const uint8_t *file, size_t bytes)
{
    int handle =
        skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC, 0644);
    if (handle < 0)
        return handle;
    int rc = skein_file_pwrite(handle, file, bytes, 0, 0);
    if (rc == 0)
        rc = skein_file_sync(handle, 0);
    int closed = skein_close(handle);
    return rc < 0 ? rc : closed;
}

int
smallfile_write(const char *dir, const char *name, const char magic[8], uint32_t version,
                const void *data, size_t count)
{
    char path[PATH_BYTES];
    char temporary[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (snprintf(temporary, sizeof(temporary), "%s/%s.tmp", dir, name) >= (int)PATH_BYTES)
        return -ENAMETOOLONG;
    size_t bytes = HEAD_BYTES + count;
    uint8_t *file = mem_alloc(bytes);
    memcpy(file, magic, 8);
    wire_store(file + 8, version, 4);
    wire_store(file + 12, count, 4);
    if (count)
        memcpy(file + HEAD_BYTES, data, count);
    wire_store(file + 16, checksum(file, bytes), 4);
    int rc = file_write(temporary, file, bytes);
    mem_free(file);
    if (rc == 0)
        rc = skein_file_rename(temporary, path);
    return rc < 0 ? rc : skein_file_sync_directory(dir);
}

static int
file_check(const char *path, const uint8_t *file, uint64_t bytes, const char magic[8],
           uint32_t version, char out_why[512])
{
    const char *fault = NULL;
    if (bytes < HEAD_BYTES || wire_load(file + 12, 4) != bytes - HEAD_BYTES)
        fault = "its length is wrong";
    else if (wire_load(file + 16, 4) != checksum(file, bytes))
        fault = "its checksum does not match";
    else if (memcmp(file, magic, 8) != 0)
        fault = "it is another kind of file";
    if (fault) {
        snprintf(out_why, 512, "the file %.300s is damaged at byte 0: %s", path, fault);
        return -SKEIN_ECORRUPT;
    }
    uint32_t found = (uint32_t)wire_load(file + 8, 4);
    if (found != version) {
        snprintf(out_why, 512,
                 "the file %.300s has format version %u, this program reads version %u: use the "
                 "program that wrote it, or start with an empty data directory",
                 path, found, version);
        return -SKEIN_EFORMAT;
    }
    return 0;
}

/* The whole file; one byte more than allowed shows that it is too long. */
static int
file_read(const char *path, size_t bytes_max, uint8_t *file, size_t *out_bytes)
{
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    if (handle < 0)
        return handle;
    ssize_t got = skein_file_pread(handle, file, bytes_max + 1, 0);
    (void)skein_close(handle);
    if (got < 0)
        return (int)got;
    *out_bytes = (size_t)got;
    return 0;
}

int
smallfile_read(const char *dir, const char *name, const char magic[8], uint32_t version,
               size_t count_max, struct bytes *out_data, char out_why[512])
{
    char path[PATH_BYTES];
    size_t bytes = 0;
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)PATH_BYTES)
        return disk_explain(-ENAMETOOLONG, "cannot read", path, out_why);
    uint8_t *file = mem_alloc(HEAD_BYTES + count_max + 1);
    int rc = file_read(path, HEAD_BYTES + count_max, file, &bytes);
    if (rc < 0)
        disk_explain(rc, "cannot read", path, out_why);
    else if (bytes > HEAD_BYTES + count_max)
        rc = file_check(path, file, 0, magic, version, out_why);
    else
        rc = file_check(path, file, bytes, magic, version, out_why);
    if (rc == 0)
        *out_data = bytes_copy(file + HEAD_BYTES, bytes - HEAD_BYTES);
    mem_free(file);
    return rc;
}
