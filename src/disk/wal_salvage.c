/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_salvage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "disk/explain.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"

#define READ_BYTES (256u << 10)

void
wal_survey_block(struct wal_survey *survey, const uint8_t raw[WAL_BLOCK_BYTES],
                 struct wal_position at, const struct wal_header *header)
{
    uint64_t generation = header->generation;
    bool sectored = header->sectored;
    if (generation == 0) {
        /* What an earlier segment in the same file left behind names a lower number. */
        struct wal_position own = {(uint32_t)wire_load(raw + 16, 4),
                                   (uint32_t)wire_load(raw + 20, 4)};
        generation = wire_load(raw + 8, 8);
        sectored = raw[5] == WAL_LAYOUT_SECTORS;
        if (own.segment < at.segment &&
            wal_block_judge(raw, own, generation, sectored).verdict == WAL_VERDICT_GOOD)
            return;
    } else if (survey->generation_max < generation) {
        survey->generation_max = generation;
    }
    struct wal_judged judged = wal_block_judge(raw, at, generation, sectored);
    switch (judged.verdict) {
    case WAL_VERDICT_BLANK:
    case WAL_VERDICT_TORN: /* of a batch that was never durable */
        survey->ended = !survey->bad_after;
        return;
    case WAL_VERDICT_BAD:
        survey->bad_after = !survey->ended;
        survey->bad_blocks++;
        return;
    case WAL_VERDICT_GOOD:
        survey->seen = true;
        if (survey->generation_max < generation)
            survey->generation_max = generation;
        survey->good_blocks++;
        survey->bad_after = survey->ended = false;
        survey->unmarked = judged.block.layout == WAL_LAYOUT_BARE;
        survey->mark = judged.block.mark;
        survey->at = at;
        return;
    }
}

bool
wal_survey_certain(const struct wal_survey *survey)
{
    return survey->seen && !survey->bad_after && !survey->unmarked && survey->mark.group_count <= 1;
}

static int
survey_file(struct wal_survey *survey, uint32_t number, int handle, uint8_t *chunk,
            uint32_t *out_version, struct wal_header *out_header, uint64_t *out_bytes)
{
    uint64_t offset = 0;
    for (;;) {
        ssize_t got = skein_file_pread(handle, chunk, READ_BYTES, offset);
        if (got < 0)
            return (int)got;
        size_t count = (size_t)got - (size_t)got % WAL_BLOCK_BYTES;
        for (size_t at = 0; at < count; at += WAL_BLOCK_BYTES) {
            uint64_t block = (offset + at) / WAL_BLOCK_BYTES;
            struct wal_header header;
            uint32_t version;
            if (block > 0) {
                wal_survey_block(survey, chunk + at, (struct wal_position){number, (uint32_t)block},
                                 out_header);
            } else if (wal_header_decode(chunk, &header, &version) == 0 &&
                       header.segment == number) {
                *out_header = header;
                *out_version = version;
            }
        }
        *out_bytes = offset + (size_t)got;
        if (count == 0)
            return 0;
        offset += count;
        skein_yield();
    }
}

int
wal_survey_segment(const struct wal *wal, uint32_t number, struct wal_survey *survey,
                   uint32_t *out_version, struct wal_header *out_header, uint64_t *out_bytes)
{
    char path[WAL_PATH_BYTES];
    *out_header = (struct wal_header){0};
    *out_version = 0;
    wal_path(wal, number, "", path);
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY | SKEIN_FILE_DIRECT, 0);
    if (handle < 0)
        return handle;
    uint8_t *chunk = mem_alloc_aligned(WAL_BLOCK_BYTES, READ_BYTES);
    int rc = survey_file(survey, number, handle, chunk, out_version, out_header, out_bytes);
    mem_free(chunk);
    (void)skein_close(handle);
    return rc;
}

static int
survey_all(struct wal *wal, const struct wal_found *found, struct wal_survey *survey)
{
    struct wal_header header;
    uint64_t bytes;
    uint32_t version;
    int rc = 0;
    for (uint32_t number = found->first_number; number <= found->last_number && rc == 0; number++)
        rc = wal_survey_segment(wal, number, survey, &version, &header, &bytes);
    return rc;
}

/* The highest goes first, so that no gap can appear. */
static int
set_aside(struct wal *wal, uint32_t first, uint32_t last)
{
    char path[WAL_PATH_BYTES], aside[WAL_PATH_BYTES];
    for (uint32_t number = last; number >= first; number--) {
        wal_path(wal, number, "", path);
        wal_path(wal, number, ".damaged", aside);
        int rc = skein_file_rename(path, aside);
        if (rc == 0)
            rc = skein_file_sync_directory(wal->dir);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The one group there is lost what lies behind the damage; its mark says what that was. */
static int
group_give_up(struct wal *wal, struct wal_scan *scan, const struct wal_mark *mark, const char *why)
{
    struct wal_group *group = wal_groups_get(&scan->groups, mark->group);
    const struct wal_state *state = &mark->state;
    bool later_start = state->start_index > group->state.start_index;
    bool by_start = mark->last_index < state->start_index;
    struct wal_state before = group->state;
    if (later_start)
        group->state.start_index = state->start_index;
    bool prefix_whole = wal_frames_contiguous(group);
    group->state = before;
    if (!prefix_whole)
        return -SKEIN_ECORRUPT;
    struct wal_damage damage = {
        .group = mark->group,
        .hard_state = state->hard_state,
        .start_index = state->start_index,
        .last_index = by_start ? state->start_index : mark->last_index,
        .last_term = by_start ? state->start_term : mark->last_term,
        .why = why,
    };
    int rc = wal->options.on_damage(wal->options.owner, &damage);
    /* Older segments went because of it: without it the log would seem to have a gap. */
    if (rc == 0 && later_start)
        wal_compact_queue(wal, group, state->start_index, state->start_term);
    return rc < 0 ? -SKEIN_ECORRUPT : 0;
}

/* Nothing that can be read: the log begins anew. */
static void
scan_reset(struct wal_scan *scan)
{
    wal_segments_deinit(&scan->segments);
    scan->lowest = 0;
    scan->end = (struct wal_position){0, 0};
    scan->batch_next = 1;
}

int
wal_salvage(struct wal *wal, struct wal_scan *scan, struct wal_found *found, char out_why[512])
{
    struct wal_survey survey = {0};
    int rc = survey_all(wal, found, &survey);
    if (rc < 0)
        return disk_explain(rc, "cannot read the damaged log in", wal->dir, out_why);
    if (!wal_survey_certain(&survey))
        return -SKEIN_ECORRUPT;
    wal_frames_end(&scan->frames);
    rc = group_give_up(wal, scan, &survey.mark, out_why);
    if (rc < 0)
        return rc;
    obs_log(OBS_WARN, "wal", "damaged; goes back to what lies before",
            "segment=%u offset=%" PRIu64 " bad_blocks=%" PRIu64 " last_index=%" PRIu64,
            scan->suspect_at.segment, (uint64_t)scan->suspect_at.block * WAL_BLOCK_BYTES,
            survey.bad_blocks, survey.mark.last_index);
    if (!scan->frames.carried)
        scan_reset(scan);
    uint32_t keep = scan->end.segment;
    rc = set_aside(wal, keep < found->first_number ? found->first_number : keep + 1,
                   found->last_number);
    if (rc < 0)
        return disk_explain(rc, "cannot set the damaged part aside in", wal->dir, out_why);
    if (scan->generation_max < survey.generation_max)
        scan->generation_max = survey.generation_max;
    scan->torn_blocks = 0;
    found->last_number = keep;
    if (keep == 0)
        found->first_number = 0;
    found->spare_usable = false;
    wal->keeps_tail = true;
    return 0;
}

int
wal_forget_damaged(const char *dir)
{
    struct skein_names names = {0};
    char path[WAL_PATH_BYTES];
    int rc = skein_file_list(dir, &names);
    for (size_t i = 0; i < names.count && rc == 0; i++) {
        const char *dot = strstr(names.names[i], ".wal.damaged");
        if (!dot || dot[12] != '\0')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, names.names[i]);
        rc = skein_file_unlink(path, 0);
    }
    skein_names_deinit(&names);
    return rc;
}
