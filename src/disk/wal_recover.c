/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/explain.h"
#include "disk/wal_int.h"
#include "obs/log.h"
#include "skein/error.h"

#define READ_BYTES (256u << 10)

static int segment_read(struct wal *wal, struct wal_scan *scan, uint32_t number, uint8_t *chunk,
                        char out_why[512]);
static int explain_suspect(const struct wal *wal, const struct wal_scan *scan, char out_why[512]);

void
wal_path(const struct wal *wal, uint32_t number, const char *suffix, char out_path[WAL_PATH_BYTES])
{
    snprintf(out_path, WAL_PATH_BYTES, "%s/%08u.wal%s", wal->dir, number, suffix);
}

int
wal_recover(struct wal *wal, struct wal_scan *scan, struct wal_found *out_found, char out_why[512])
{
    int rc = wal_segments_list(wal, out_found, out_why);
    if (rc < 0)
        return rc;
    uint32_t first = out_found->first_number;
    uint8_t *chunk = mem_alloc_aligned(WAL_BLOCK_BYTES, READ_BYTES);
    for (uint32_t number = first; number != 0 && number <= out_found->last_number && rc == 0;
         number++) {
        rc = segment_read(wal, scan, number, chunk, out_why);
        if (rc == 0 && scan->last_blank && number == scan->end.segment + 1) {
            out_found->spare_usable = scan->short_block == 0 && scan->header.sectored;
            out_found->spare_generation = scan->header.generation;
            out_found->spare_bytes = scan->header.segment_bytes;
        }
    }
    mem_free(chunk);
    if (rc == 0 && wal_scan_finish(scan) < 0)
        rc = explain_suspect(wal, scan, out_why);
    if (rc == 0 && out_found->last_number == UINT32_MAX) {
        rc = -SKEIN_ECORRUPT;
        snprintf(out_why, 512, "the log in %.300s has used up its segment numbers", wal->dir);
    }
    return rc;
}

/* A segment's number from its name; 0: another file. */
static uint32_t
name_number(const char *name, const char *suffix)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    return strcmp(name + 8, suffix) == 0 ? (uint32_t)number : 0;
}

int
wal_segments_list(struct wal *wal, struct wal_found *found, char out_why[512])
{
    *found = (struct wal_found){0};
    struct skein_names names;
    char path[WAL_PATH_BYTES];
    int rc = skein_file_list(wal->dir, &names);
    if (rc < 0)
        return disk_explain(rc, "cannot list the log's directory", wal->dir, out_why);
    for (size_t i = 0; i < names.count && (rc == 0 || rc == -SKEIN_ECORRUPT); i++) {
        uint32_t leftover = wal->reads_only ? 0 : name_number(names.names[i], ".wal.tmp");
        uint32_t unused = wal->reads_only ? 0 : name_number(names.names[i], ".wal.free");
        uint32_t number = name_number(names.names[i], ".wal");
        if (leftover != 0) {
            wal_path(wal, leftover, ".tmp", path);
            int removed = skein_file_unlink(path, 0);
            if (removed < 0)
                rc = disk_explain(removed, "cannot remove the leftover", path, out_why);
        }
        if (unused != 0) {
            wal_path(wal, unused, ".free", path);
            int noted = wal_free_note(wal, unused);
            if (noted < 0)
                rc = disk_explain(noted, "cannot keep the unused segment", path, out_why);
        }
        if (number == 0)
            continue;
        if (found->first_number == 0)
            found->first_number = number;
        if (rc == 0 && found->last_number != 0 && number != found->last_number + 1) {
            rc = -SKEIN_ECORRUPT;
            wal_path(wal, found->last_number + 1, "", path);
            snprintf(out_why, 512, "the log segment %.300s is missing", path);
        }
        found->last_number = number;
    }
    skein_names_deinit(&names);
    return rc;
}

static int
explain_segment(const struct wal *wal, uint32_t number, int code, uint32_t version,
                char out_why[512])
{
    char path[WAL_PATH_BYTES];
    wal_path(wal, number, "", path);
    if (code == -SKEIN_EFORMAT)
        snprintf(out_why, 512,
                 "the log segment %.300s has format version %u, this program reads versions %u to "
                 "%u: use "
                 "the program that wrote it, or start with an empty data directory",
                 path, version, WAL_FORMAT_VERSION_MIN, WAL_FORMAT_VERSION);
    else if (code == -SKEIN_EIDENTITY)
        snprintf(
            out_why, 512,
            "the log segment %.300s belongs to another cluster or node: give this node its own "
            "data directory, or an empty one",
            path);
    else
        disk_explain(code, "cannot read the log segment", path, out_why);
    return code;
}

static int
explain_suspect(const struct wal *wal, const struct wal_scan *scan, char out_why[512])
{
    char path[WAL_PATH_BYTES];
    wal_path(wal, scan->suspect_at.segment, "", path);
    snprintf(out_why, 512, "the log segment %.300s is damaged at byte %" PRIu64 ": %s", path,
             (uint64_t)scan->suspect_at.block * WAL_BLOCK_BYTES, scan->suspect_reason);
    return -SKEIN_ECORRUPT;
}

static int
chunk_scan(struct wal *wal, struct wal_scan *scan, uint32_t number, const uint8_t *chunk,
           size_t count, char out_why[512])
{
    for (size_t at = 0; at < count; at += WAL_BLOCK_BYTES) {
        int rc = wal_scan_block(scan, chunk + at);
        if (rc == -SKEIN_ECORRUPT)
            return explain_suspect(wal, scan, out_why);
        if (rc < 0)
            return explain_segment(wal, number, rc, 0, out_why);
    }
    return 0;
}

static int
segment_scan(struct wal *wal, struct wal_scan *scan, uint32_t number, int handle,
             uint64_t file_bytes, uint8_t *chunk, char out_why[512])
{
    uint32_t version = 0;
    for (uint64_t offset = 0; offset < file_bytes || offset == 0;) {
        ssize_t got = skein_file_pread(handle, chunk, READ_BYTES, offset);
        if (got < 0)
            return explain_segment(wal, number, (int)got, 0, out_why);
        size_t count = (size_t)got - (size_t)got % WAL_BLOCK_BYTES;
        size_t skip = 0;
        if (offset == 0) {
            if (count == 0)
                memset(chunk, 0, WAL_BLOCK_BYTES);
            int rc = wal_scan_segment(scan, number, file_bytes, chunk, &version);
            if (rc == -SKEIN_ECORRUPT)
                return explain_suspect(wal, scan, out_why);
            if (rc < 0)
                return explain_segment(wal, number, rc, version, out_why);
            skip = WAL_BLOCK_BYTES;
        }
        if (count == 0)
            return 0;
        int rc = chunk_scan(wal, scan, number, chunk + skip, count - skip, out_why);
        if (rc < 0)
            return rc;
        offset += count;
        skein_yield();
    }
    return 0;
}

static int
segment_read(struct wal *wal, struct wal_scan *scan, uint32_t number, uint8_t *chunk,
             char out_why[512])
{
    char path[WAL_PATH_BYTES];
    struct skein_stat stat;
    wal_path(wal, number, "", path);
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return disk_explain(rc, "cannot read the log segment", path, out_why);
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECT, 0);
    if (handle < 0)
        return disk_explain(handle, "cannot open the log segment", path, out_why);
    rc = segment_scan(wal, scan, number, handle, stat.size_bytes, chunk, out_why);
    (void)skein_close(handle);
    return rc;
}
