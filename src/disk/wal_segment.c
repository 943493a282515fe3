/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "disk/wal_int.h"
#include "obs/log.h"
#include "skein/error.h"

#define FILL_BYTES (256u << 10)

static int segment_renew(struct wal *wal, int handle, uint32_t number);
static int segment_fill(struct wal *wal, int handle, uint32_t number);
static int oldest_remove(struct wal *wal);
static bool oldest_unneeded(const struct wal *wal);

/* Under its final name, durably: what @handle, known as @name, is now. */
static int
segment_publish(struct wal *wal, int handle, const char *name, uint32_t number)
{
    char path[WAL_PATH_BYTES];
    wal_path(wal, number, "", path);
    int rc = skein_file_sync(handle, 0);
    if (rc == 0)
        rc = skein_file_rename(name, path);
    if (rc == 0)
        rc = skein_file_sync_directory(wal->dir);
    return rc;
}

static void
leftover_remove(const char *path)
{
    int rc = skein_file_unlink(path, 0);
    if (rc < 0 && rc != -ENOENT)
        obs_log(OBS_WARN, "wal", "cannot remove a leftover", "path=%s cause=%s", path,
                skein_error_name(rc));
}

static int
segment_open(struct wal *wal, uint32_t number)
{
    char name[WAL_PATH_BYTES];
    bool again = wal->free_count > 0;
    uint32_t flags = SKEIN_FILE_RDWR | SKEIN_FILE_DIRECT;
    if (again)
        wal_path(wal, wal->free_numbers[--wal->free_count], ".free", name);
    else
        wal_path(wal, number, ".tmp", name);
    int handle =
        skein_file_open(name, again ? flags : flags | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC, 0644);
    if (handle < 0)
        return handle;
    int rc = again ? segment_renew(wal, handle, number) : segment_fill(wal, handle, number);
    if (rc == 0)
        rc = segment_publish(wal, handle, name, number);
    if (rc < 0) {
        (void)skein_close(handle);
        leftover_remove(name);
        return rc;
    }
    wal->stats.recycled_count += again;
    return handle;
}

int
wal_segment_prepare(struct wal *wal, uint32_t number)
{
    int handle = segment_open(wal, number);
    if (handle < 0)
        return handle;
    wal->spare_handle = handle;
    wal->spare_generation = wal->generation_next++;
    wal->spare_blocks = (uint32_t)(wal->options.segment_bytes / WAL_BLOCK_BYTES);
    return 0;
}

static void
header_make(const struct wal *wal, uint8_t block[WAL_BLOCK_BYTES], uint32_t number)
{
    struct wal_header header = {.identity = wal->options.identity,
                                .segment = number,
                                .generation = wal->generation_next,
                                .segment_bytes = wal->options.segment_bytes};
    wal_header_encode(block, &header);
}

/* Whether what is in it says of each sector that it is old: not so before version 4. */
static int
segment_sectored(int handle, uint8_t *block)
{
    struct wal_header header;
    uint32_t version;
    ssize_t got = skein_file_pread(handle, block, WAL_BLOCK_BYTES, 0);
    if (got < 0)
        return (int)got;
    if (got < WAL_BLOCK_BYTES || wal_header_decode(block, &header, &version) < 0)
        return -SKEIN_ECORRUPT;
    return header.sectored;
}

/* A removed segment: what is in it is of older generations, or damaged, which says as little as
 * zeros. */
static int
segment_renew(struct wal *wal, int handle, uint32_t number)
{
    uint8_t *block = mem_alloc_aligned(WAL_BLOCK_BYTES, WAL_BLOCK_BYTES);
    int rc = segment_sectored(handle, block);
    if (rc > 0) {
        header_make(wal, block, number);
        rc = skein_file_pwrite(handle, block, WAL_BLOCK_BYTES, 0, 0);
        wal->stats.fill_bytes += WAL_BLOCK_BYTES;
    } else {
        if (rc < 0)
            obs_log(OBS_WARN, "wal", "a removed segment is damaged and filled anew", "cause=%s",
                    skein_error_name(rc));
        rc = segment_fill(wal, handle, number);
    }
    mem_free(block);
    return rc;
}

/* Space first (one extent), then zeros: a write into zeroed space changes no metadata. */
static int
segment_fill(struct wal *wal, int handle, uint32_t number)
{
    uint64_t bytes = wal->options.segment_bytes;
    int rc = skein_file_allocate(handle, 0, bytes);
    if (rc < 0 && rc != -EOPNOTSUPP && rc != -ENOSYS && rc != -EINVAL)
        return rc;
    uint8_t *chunk = mem_alloc_aligned(WAL_BLOCK_BYTES, FILL_BYTES);
    memset(chunk, 0, FILL_BYTES);
    header_make(wal, chunk, number);
    rc = 0;
    for (uint64_t offset = 0; offset < bytes && rc == 0;) {
        uint64_t count = bytes - offset < FILL_BYTES ? bytes - offset : FILL_BYTES;
        rc = skein_file_pwrite(handle, chunk, count, offset, 0);
        if (offset == 0)
            memset(chunk, 0, WAL_BLOCK_BYTES);
        if (rc == 0 && wal->writer_done)
            rc = -SKEIN_ECLOSED;
        offset += count;
        wal->stats.fill_bytes += count;
    }
    mem_free(chunk);
    return rc;
}

/* Until the keeper has made the spare. Nothing is written meanwhile, so trying again says nothing
 * false. */
static int
spare_await(struct wal *wal)
{
    for (uint32_t tries = 1; wal->spare_handle < 0; tries++) {
        wal->spare_error = 0;
        skein_wake_all(&wal->keeper_q);
        int rc = skein_wait(&wal->spare_q, SKEIN_NEVER);
        if (rc < 0)
            return rc;
        if (wal->spare_handle >= 0 || wal->spare_error == 0)
            continue;
        bool full = wal->spare_error == -ENOSPC || wal->spare_error == -EDQUOT;
        if (!full || wal->closing || tries == WAL_SPACE_TRIES)
            return wal->spare_error;
        rc = skein_sleep(skein_deadline_in(WAL_SPACE_WAIT_NS));
        if (rc < 0)
            return rc;
    }
    return 0;
}

int
wal_segment_advance(struct wal *wal)
{
    int rc = spare_await(wal);
    if (rc < 0)
        return rc;
    if (wal->handle >= 0) {
        (void)skein_close(wal->handle);
        wal->segments.items[wal->segments.count - 1].used_blocks = wal->next_block;
    }
    wal->handle = wal->spare_handle;
    wal->segment_generation = wal->spare_generation;
    wal->segment_blocks = wal->spare_blocks;
    wal->segment =
        wal->segments.count ? wal->segments.items[wal->segments.count - 1].number + 1 : 1;
    wal->next_block = 1;
    wal->rotate_due = false;
    if (wal->first_own == 0)
        wal->first_own = wal->segment;
    wal->spare_handle = -1;
    wal_segments_add(&wal->segments, wal->segment);
    skein_wake_all(&wal->keeper_q);
    return 0;
}

static void
wait_shielded(struct skein_waitq *q)
{
    int rc = skein_wait(q, SKEIN_NEVER);
    skein_assert(rc == 0);
}

void
wal_keeper(void *arg)
{
    struct wal *wal = arg;
    skein_shield(true);
    while (!wal->writer_done) {
        if (wal->latched == 0 && wal->spare_handle < 0 && wal->spare_error == 0) {
            wal->spare_error = wal_segment_prepare(wal, wal->segment + 1);
            if (wal->spare_error < 0 && wal->spare_error != -SKEIN_ECLOSED &&
                wal->spare_error != wal->spare_warned)
                obs_log(OBS_WARN, "wal", "cannot prepare the next segment", "cause=%s",
                        skein_error_name(wal->spare_error));
            wal->spare_warned = wal->spare_error;
            skein_wake_all(&wal->spare_q);
        } else if (wal->latched == 0 && oldest_unneeded(wal) && oldest_remove(wal) == 0) {
            wal->spare_error = 0;
        } else if (wal->latched == 0 && wal_move_due(wal)) {
            (void)!wal_move_read(wal);
        } else {
            wait_shielded(&wal->keeper_q);
        }
    }
    if (wal->spare_handle >= 0)
        (void)skein_close(wal->spare_handle);
    wal->spare_handle = -1;
    wal->keeper_done = true;
    skein_shield(false);
}

/* Nothing that may still be read begins in it, and what is carried is durable in a later one. */
static bool
oldest_unneeded(const struct wal *wal)
{
    if (wal->segments.count < 2)
        return false;
    const struct wal_segment *oldest = &wal->segments.items[0];
    if (wal->carried <= oldest->number)
        return false;
    if (wal->frame_left_bytes > 0 && wal->frame_home <= oldest->number)
        return false;
    return oldest->pin_count == 0;
}

int
wal_free_note(struct wal *wal, uint32_t number)
{
    char path[WAL_PATH_BYTES];
    struct skein_stat stat;
    wal_path(wal, number, ".free", path);
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return rc;
    if (wal->free_count == WAL_FREE_MAX || stat.size_bytes != wal->options.segment_bytes)
        return skein_file_unlink(path, 0);
    wal->free_numbers[wal->free_count++] = number;
    return 0;
}

/* One at a time and the directory synced after each: a crash leaves a run without gaps. */
static int
oldest_remove(struct wal *wal)
{
    char path[WAL_PATH_BYTES], aside[WAL_PATH_BYTES];
    uint32_t number = wal->segments.items[0].number;
    bool again = wal->free_count < WAL_FREE_MAX && !wal->segments.items[0].unclean;
    wal_path(wal, number, "", path);
    wal_path(wal, number, ".free", aside);
    int rc = again ? skein_file_rename(path, aside) : skein_file_unlink(path, 0);
    if (rc == 0 || rc == -ENOENT)
        rc = skein_file_sync_directory(wal->dir);
    if (rc == 0 && again)
        rc = wal_free_note(wal, number);
    if (rc < 0) {
        obs_log(OBS_WARN, "wal", "cannot remove a segment", "path=%s cause=%s", path,
                skein_error_name(rc));
        return rc;
    }
    wal->segments.count--;
    memmove(wal->segments.items, wal->segments.items + 1,
            wal->segments.count * sizeof(*wal->segments.items));
    return 0;
}
