/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/explain.h"
#include "disk/wal_salvage.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/group.h"

static struct wal *wal_new(const struct wal_options *options);
static int directory_make(struct wal *wal, char out_why[512]);
static int log_resume(struct wal *wal, struct wal_scan *scan, const struct wal_found *found,
                      char out_why[512]);
static int fibers_start(struct wal *wal, struct skein_scope *scope);

void
wal_group_recovery_deinit(struct wal_group_recovery *recovery)
{
    for (size_t i = 0; i < recovery->entry_count; i++)
        bytes_unref(&recovery->entries[i].data);
    mem_free(recovery->entries);
    *recovery = (struct wal_group_recovery){0};
}

void
wal_recovery_deinit(struct wal_recovery *recovery)
{
    for (size_t i = 0; i < recovery->group_count; i++)
        wal_group_recovery_deinit(&recovery->groups[i]);
    mem_free(recovery->groups);
    *recovery = (struct wal_recovery){0};
}

struct wal_group_recovery
wal_recovery_take(struct wal_recovery *recovery, uint32_t group)
{
    struct wal_group_recovery taken = {.group = group};
    for (size_t low = 0, high = recovery->group_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (recovery->groups[middle].group == group) {
            taken = recovery->groups[middle];
            recovery->groups[middle].entries = NULL;
            recovery->groups[middle].entry_count = 0;
            break;
        }
        if (recovery->groups[middle].group < group)
            low = middle + 1;
        else
            high = middle;
    }
    return taken;
}

int
wal_open(struct wal **out_wal, const struct wal_options *options, struct skein_scope *scope,
         struct wal_recovery *out_recovery, char out_why[512])
{
    struct wal_scan scan;
    struct wal_found found;
    skein_assert(options->segment_bytes >= WAL_SEGMENT_BYTES_MIN);
    skein_assert(options->segment_bytes <= WAL_SEGMENT_BYTES_MAX);
    skein_assert(options->segment_bytes % WAL_BLOCK_BYTES == 0);
    struct wal *wal = wal_new(options);
    wal_scan_init(&scan, &options->identity);
    int rc = directory_make(wal, out_why);
    if (rc == 0)
        rc = wal_recover(wal, &scan, &found, out_why);
    if (rc == -SKEIN_ECORRUPT && options->on_damage && wal_scan_damaged(&scan))
        rc = wal_salvage(wal, &scan, &found, out_why);
    if (rc == 0)
        rc = log_resume(wal, &scan, &found, out_why);
    if (rc == 0) {
        rc = fibers_start(wal, scope);
        if (rc < 0)
            disk_explain(rc, "cannot start the log's fibers for", wal->dir, out_why);
    }
    if (rc == 0)
        *out_recovery = wal_scan_take(&scan, &wal->groups);
    wal_scan_deinit(&scan);
    if (rc < 0) {
        if (wal->handle >= 0)
            (void)skein_close(wal->handle);
        if (wal->spare_handle >= 0)
            (void)skein_close(wal->spare_handle);
        wal->writer_done = wal->keeper_done = true;
        wal_free(wal);
        return rc;
    }
    *out_wal = wal;
    return 0;
}

static int
fibers_start(struct wal *wal, struct skein_scope *scope)
{
    int rc = skein_spawn_at(SKEIN_PRIORITY_CRITICAL, scope, "wal keeper", wal_keeper, wal,
                            SKEIN_STACK_SMALL);
    if (rc < 0)
        return rc;
    rc = skein_spawn_at(SKEIN_PRIORITY_CRITICAL, scope, "wal writer", wal_writer, wal,
                        SKEIN_STACK_SMALL);
    wal->writer_done = rc < 0;
    skein_wake_all(&wal->keeper_q);
    if (rc == 0 && wal->options.scrub_period_ns > 0) {
        wal->scrubber_done = false;
        int scrubs = skein_spawn(scope, "wal scrubber", wal_scrubber, wal, SKEIN_STACK_SMALL);
        if (scrubs < 0) {
            wal->scrubber_done = true;
            obs_log(OBS_WARN, "wal", "the log is not scrubbed", "cause=%s",
                    skein_error_name(scrubs));
        }
    }
    while (rc < 0 && !wal->keeper_done)
        skein_yield();
    return rc;
}

static struct wal *
wal_new(const struct wal_options *options)
{
    struct wal *wal = mem_zalloc(sizeof(*wal));
    wal->magic = WAL_MAGIC;
    wal->options = *options;
    wal->dir = mem_strdup(options->dir);
    wal->options.dir = wal->dir;
    wal->handle = -1;
    wal->spare_handle = -1;
    wal->buffer_blocks = (uint32_t)(options->segment_bytes / WAL_BLOCK_BYTES);
    if (wal->buffer_blocks > WAL_BATCH_BLOCKS_MAX)
        wal->buffer_blocks = WAL_BATCH_BLOCKS_MAX;
    wal->buffer = mem_alloc_aligned(WAL_BLOCK_BYTES, (size_t)wal->buffer_blocks * WAL_BLOCK_BYTES);
    list_init(&wal->queue);
    list_init(&wal->encoded);
    list_init(&wal->compacts);
    wal->groups_max = wal_groups_max(options->segment_bytes);
    skein_waitq_init(&wal->writer_q);
    skein_waitq_init(&wal->scrub_q);
    wal->scrubber_done = true;
    skein_waitq_init(&wal->spare_q);
    skein_waitq_init(&wal->keeper_q);
    wal_metrics_open(wal);
    return wal;
}

/* The directory, and its entry in its parent, durable. */
static int
directory_make(struct wal *wal, char out_why[512])
{
    if (strlen(wal->dir) > WAL_PATH_BYTES - 32)
        return disk_explain(-ENAMETOOLONG, "cannot use the log's directory", wal->dir, out_why);
    int rc = skein_file_mkdir(wal->dir, 0755);
    if (rc == -EEXIST)
        return 0;
    if (rc < 0)
        return disk_explain(rc, "cannot create the log's directory", wal->dir, out_why);
    char *parent = mem_strdup(wal->dir);
    char *slash = strrchr(parent, '/');
    if (slash == parent)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    rc = skein_file_sync_directory(slash ? parent : ".");
    if (rc < 0)
        disk_explain(rc, "cannot sync the parent of the log's directory", wal->dir, out_why);
    mem_free(parent);
    return rc;
}

/* A process that was killed may have left bytes that can be read but are not durable. */
static int
tail_sync(struct wal *wal)
{
    char path[WAL_PATH_BYTES];
    if (wal->end.segment != 0) {
        wal_path(wal, wal->end.segment, "", path);
        int handle = skein_file_open(path, SKEIN_FILE_RDWR, 0);
        if (handle < 0)
            return handle;
        int rc = skein_file_sync(handle, 0);
        (void)skein_close(handle);
        if (rc < 0)
            return rc;
    }
    return skein_file_sync_directory(wal->dir);
}

/* Files behind @keep hold nothing; the highest goes first, so that no gap can appear. */
static int
files_drop(struct wal *wal, uint32_t keep, uint32_t last)
{
    char path[WAL_PATH_BYTES];
    for (uint32_t number = last; number > keep; number--) {
        wal_path(wal, number, "", path);
        int rc = skein_file_unlink(path, 0);
        if (rc == 0)
            rc = skein_file_sync_directory(wal->dir);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The unused file behind the log's end is taken when it fits, else replaced by a new one. */
static int
spare_make(struct wal *wal, const struct wal_found *found)
{
    char path[WAL_PATH_BYTES];
    uint32_t number = wal->end.segment + 1;
    if (!found->spare_usable || found->spare_bytes != wal->options.segment_bytes)
        return wal_segment_prepare(wal, number);
    wal_path(wal, number, "", path);
    int handle = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_DIRECT, 0);
    if (handle < 0)
        return handle;
    wal->spare_handle = handle;
    wal->spare_generation = found->spare_generation;
    wal->spare_blocks = (uint32_t)(found->spare_bytes / WAL_BLOCK_BYTES);
    return 0;
}

/* What is behind the end of the segment that was the last is void from now on: give it back. */
static void
tail_cut(struct wal *wal, struct wal_position end)
{
    char path[WAL_PATH_BYTES];
    if (end.segment == 0)
        return;
    wal_path(wal, end.segment, "", path);
    int handle = skein_file_open(path, SKEIN_FILE_RDWR, 0);
    if (handle < 0)
        return;
    int rc = skein_file_truncate(handle, (uint64_t)end.block * WAL_BLOCK_BYTES);
    if (rc < 0)
        obs_log(OBS_WARN, "wal", "cannot cut the old end off", "path=%s cause=%s", path,
                skein_error_name(rc));
    (void)skein_close(handle);
}

/* Files below the first segment in which anything was found hold nothing that counts, but they have
 * to go before it does: a run without gaps stays. */
static struct wal_segments
segments_of(struct wal_scan *scan, uint32_t first_number)
{
    struct wal_segments all = {0};
    uint32_t found = scan->segments.count ? scan->segments.items[0].number : scan->end.segment + 1;
    for (uint32_t number = first_number; number != 0 && number < found; number++)
        wal_segments_add(&all, number);
    for (size_t i = 0; i < all.count; i++)
        all.items[i].unclean = true; /* nothing is known of it */
    for (size_t i = 0; i < scan->segments.count; i++) {
        wal_segments_add(&all, scan->segments.items[i].number);
        all.items[all.count - 1] = scan->segments.items[i];
    }
    wal_segments_deinit(&scan->segments);
    for (size_t i = 0; i < all.count; i++)
        all.items[i].used_blocks = UINT32_MAX; /* as many as the file has */
    if (all.count > 0 && all.items[all.count - 1].number == scan->end.segment)
        all.items[all.count - 1].used_blocks = scan->end.block;
    return all;
}

/* What recovery found is what the writer goes on with. */
static void
groups_take(struct wal *wal, struct wal_scan *scan)
{
    wal->groups = scan->groups;
    scan->groups = (struct wal_groups){0};
    wal->known_count = wal_groups_known_count(&wal->groups);
    for (size_t i = 0; i < wal->groups.count; i++) {
        struct wal_group *group = wal->groups.items[i];
        struct wal_mark mark = wal_group_mark(group);
        wal_group_unpin_start(group, &wal->segments, group->state.start_index);
        wal_raise_bounds(wal, &mark);
    }
}

/* Go on in a fresh segment whose first batch names the end that was found. */
static int
log_resume(struct wal *wal, struct wal_scan *scan, const struct wal_found *found, char out_why[512])
{
    struct wal_position end = scan->end;
    wal->end = end;
    wal->batch_next = scan->lowest != 0 ? scan->batch_next : 1;
    wal->generation_next = scan->generation_max + 1;
    wal->segments = segments_of(scan, found->first_number);
    groups_take(wal, scan);
    int rc = tail_sync(wal);
    if (rc == 0)
        rc = files_drop(wal, end.segment + 1, found->last_number);
    if (rc == 0)
        rc = spare_make(wal, found);
    if (rc == 0)
        rc = wal_batch_begin(wal);
    if (rc == 0)
        rc = wal_starts_put(wal);
    if (rc == 0)
        rc = wal_batch_flush(wal);
    if (rc < 0)
        return disk_explain(rc, "cannot write the log in", wal->dir, out_why);
    if (!wal->keeps_tail)
        tail_cut(wal, end);
    uint64_t torn_bytes = scan->torn_blocks * WAL_BLOCK_BYTES + scan->frames.void_bytes;
    if (torn_bytes > 0)
        obs_log(OBS_WARN, "wal", "dropped a torn end, never acknowledged",
                "segment=%u offset=%" PRIu64 " bytes=%" PRIu64, end.segment,
                (uint64_t)end.block * WAL_BLOCK_BYTES, torn_bytes);
    return 0;
}

int
wal_submit(struct wal *wal, struct wal_write *write)
{
    skein_assert(wal->magic == WAL_MAGIC);
    skein_assert(write->group < WAL_GROUPS_MAX);
    if (wal->latched)
        return -SKEIN_ELATCHED;
    if (wal->closing)
        return -SKEIN_ECLOSED;
    uint64_t bytes = wal_frame_bytes(write);
    if (wal->queued_bytes > 0 && wal->queued_bytes + bytes > wal->options.queue_bytes_max)
        return -SKEIN_EAGAIN;
    struct wal_group *group = wal_groups_find(&wal->groups, write->group);
    if (!group && wal->groups.count >= wal->groups_max)
        return -SKEIN_ETOOBIG;
    if (!group)
        group = wal_groups_get(&wal->groups, write->group);
    group->queued_count++;
    wal->queued_bytes += bytes;
    wal->stats.submits++;
    write->link = (struct skein_list){0};
    list_push_back(&wal->queue, &write->link);
    if (write->sync)
        wal->urgent_count++;
    else
        wal->lazy_count++;
    skein_wake_one(&wal->writer_q);
    return 0;
}

void
wal_compact(struct wal *wal, uint32_t group_id, uint64_t index, uint64_t term)
{
    struct wal_group *group = wal_groups_find(&wal->groups, group_id);
    if (wal->latched || wal->closing || !group)
        return;
    if (index <= group->state.start_index ||
        (list_is_linked(&group->compact_link) && index <= group->compact_index))
        return;
    wal_compact_queue(wal, group, index, term);
    skein_wake_one(&wal->writer_q);
}

void
wal_stats(const struct wal *wal, struct wal_stats *out_stats)
{
    *out_stats = wal->stats;
    out_stats->segment_count = wal->segments.count;
    out_stats->group_count = wal->known_count;
    out_stats->queued_bytes = wal->queued_bytes;
    out_stats->latched = wal->latched;
}

void
wal_close(struct wal *wal)
{
    skein_assert(wal->magic == WAL_MAGIC);
    wal->closing = true;
    skein_wake_all(&wal->writer_q);
    skein_wake_all(&wal->scrub_q);
}

void
wal_free(struct wal *wal)
{
    if (!wal)
        return;
    skein_assert(wal->writer_done);
    skein_assert(wal->keeper_done);
    skein_assert(wal->scrubber_done);
    wal_metrics_close(wal);
    wal_move_free(wal);
    wal_segments_deinit(&wal->segments);
    wal_groups_deinit(&wal->groups);
    mem_free(wal->effects);
    mem_free(wal->buffer);
    mem_free(wal->dir);
    mem_free(wal);
}
