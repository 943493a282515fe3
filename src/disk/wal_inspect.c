/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/explain.h"
#include "skein/error.h"
#include "skein/file.h"

/* The first header that can be read says whose log it is. */
static int
identity_find(const struct wal *wal, struct wal_inspect *inspect)
{
    char path[WAL_PATH_BYTES];
    uint8_t *raw = mem_alloc_aligned(WAL_BLOCK_BYTES, WAL_BLOCK_BYTES);
    int rc = -SKEIN_ECORRUPT;
    for (size_t i = 0; i < inspect->segment_count && rc == -SKEIN_ECORRUPT; i++) {
        struct wal_header header;
        uint32_t version;
        wal_path(wal, inspect->segments[i].number, "", path);
        int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECT, 0);
        ssize_t got = handle < 0 ? handle : skein_file_pread(handle, raw, WAL_BLOCK_BYTES, 0);
        if (handle >= 0)
            (void)skein_close(handle);
        if (got < 0)
            rc = (int)got;
        else if (got == WAL_BLOCK_BYTES)
            rc = wal_header_decode(raw, &header, &version);
        if (rc == 0)
            inspect->identity = header.identity;
    }
    mem_free(raw);
    return rc;
}

static int
survey_segments(const struct wal *wal, struct wal_inspect *inspect, struct wal_survey *survey)
{
    for (size_t i = 0; i < inspect->segment_count; i++) {
        struct wal_inspect_segment *segment = &inspect->segments[i];
        struct wal_survey before = *survey;
        struct wal_header header = {0};
        int rc = wal_survey_segment(wal, segment->number, survey, &segment->version, &header,
                                    &segment->file_bytes);
        if (rc < 0)
            return rc;
        segment->generation = header.generation;
        segment->good_blocks = survey->good_blocks - before.good_blocks;
        segment->bad_blocks = survey->bad_blocks - before.bad_blocks;
        segment->group = survey->mark.group;
        segment->last_index = survey->mark.last_index;
        segment->last_term = survey->mark.last_term;
    }
    return 0;
}

static void
judge(struct wal_inspect *inspect, struct wal_scan *scan, const struct wal_survey *survey, int rc)
{
    wal_frames_end(&scan->frames);
    inspect->log = wal_scan_take(scan, &scan->groups);
    if (rc == 0) {
        inspect->verdict = inspect->log.torn_bytes ? WAL_INSPECT_TORN : WAL_INSPECT_WHOLE;
    } else if (wal_scan_damaged(scan) && wal_survey_certain(survey)) {
        inspect->verdict = WAL_INSPECT_REPAIRABLE;
        inspect->mark = survey->mark;
    } else {
        inspect->verdict = WAL_INSPECT_DAMAGED;
    }
}

static int
inspect_all(struct wal *wal, struct wal_inspect *inspect, char out_why[512])
{
    struct wal_found found = {0};
    struct wal_survey survey = {0};
    struct wal_scan scan;
    int rc = wal_segments_list(wal, &found, inspect->why);
    if (rc == -SKEIN_ECORRUPT) { /* a file is missing */
        inspect->verdict = WAL_INSPECT_DAMAGED;
        return 0;
    }
    if (rc < 0) {
        memcpy(out_why, inspect->why, sizeof inspect->why);
        return rc;
    }
    if (found.first_number == 0) {
        snprintf(out_why, 512, "%.300s: there is no log here", wal->dir);
        return -SKEIN_ENOTFOUND;
    }
    inspect->segment_count = found.last_number - found.first_number + 1;
    inspect->segments = mem_zalloc(inspect->segment_count * sizeof *inspect->segments);
    for (size_t i = 0; i < inspect->segment_count; i++)
        inspect->segments[i].number = found.first_number + (uint32_t)i;
    rc = identity_find(wal, inspect);
    if (rc == 0)
        rc = survey_segments(wal, inspect, &survey);
    if (rc < 0) {
        snprintf(out_why, 512, "%.300s: no segment can be read (%s)", wal->dir,
                 skein_error_name(rc));
        return rc;
    }
    wal_scan_init(&scan, &inspect->identity);
    rc = wal_recover(wal, &scan, &found, inspect->why);
    bool readable = rc == 0 || rc == -SKEIN_ECORRUPT;
    if (readable)
        judge(inspect, &scan, &survey, rc);
    else
        memcpy(out_why, inspect->why, sizeof inspect->why);
    wal_scan_deinit(&scan);
    return readable ? 0 : rc;
}

int
wal_inspect(const char *dir, struct wal_inspect *out_inspect, char out_why[512])
{
    *out_inspect = (struct wal_inspect){0};
    if (strlen(dir) > WAL_PATH_BYTES - 32)
        return disk_explain(-ENAMETOOLONG, "cannot use the log's directory", dir, out_why);
    struct wal wal = {.dir = mem_strdup(dir), .reads_only = true};
    int rc = inspect_all(&wal, out_inspect, out_why);
    mem_free(wal.dir);
    if (rc < 0)
        wal_inspect_deinit(out_inspect);
    return rc;
}

void
wal_inspect_deinit(struct wal_inspect *inspect)
{
    wal_recovery_deinit(&inspect->log);
    mem_free(inspect->segments);
    *inspect = (struct wal_inspect){0};
}
