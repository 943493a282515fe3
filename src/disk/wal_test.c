/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what was acknowledged comes back, in order and only once, whatever sizes, rollovers,
 * overwrites and compactions lie between; a failing disk latches; another identity or format is
 * refused with a clear line.
 */
#include "disk/disk_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/prng.h"
#include "skein/fiber.h"
#include "disk/wal.h"
#include "disk/wal_block.h"
#include "disk/wal_test_log.h"
#include "skein/error.h"

static char dir[256];

static int
setup(void **state)
{
    (void)state;
    disk_test_dir(dir);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    disk_test_remove(dir);
    return 0;
}

/* ---- bad input first ---- */

static int
identity_main(void *arg)
{
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 3, 100);
    test_log_close(&log);
    log.node = 8;
    assert_int_equal(test_log_try_open(&log, dir, 1 << 16), -SKEIN_EIDENTITY);
    assert_non_null(strstr(log.why, "00000001.wal belongs to another cluster or node"));
    return 0;
}

static void
test_identity(void **state)
{
    (void)state;
    disk_test_run(identity_main, NULL);
}

static int
format_main(void *arg)
{
    char path[512];
    size_t bytes;
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_close(&log);
    snprintf(path, sizeof(path), "%s/00000001.wal", dir);
    uint8_t *data = disk_test_read(path, &bytes);
    test_block_patch(data, 12, 5);
    disk_test_write(path, data, bytes);
    mem_free(data);
    assert_int_equal(test_log_try_open(&log, dir, 1 << 16), -SKEIN_EFORMAT);
    assert_non_null(strstr(log.why, "has format version 5, this program reads versions 1 to 4"));
    return 0;
}

static void
test_format(void **state)
{
    (void)state;
    disk_test_run(format_main, NULL);
}

static int
missing_main(void *arg)
{
    char path[512];
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    for (uint64_t i = 1; i <= 40; i++)
        test_log_append(&log, 1, i, 1, 8000);
    test_log_close(&log);
    snprintf(path, sizeof(path), "%s/00000002.wal", dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(test_log_try_open(&log, dir, 1 << 16), -SKEIN_ECORRUPT);
    assert_non_null(strstr(log.why, "00000002.wal is missing"));
    snprintf(path, sizeof(path), "%s/00000001.wal", dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(test_log_try_open(&log, dir, 1 << 16), -SKEIN_ECORRUPT);
    assert_non_null(strstr(log.why, "00000003.wal"));
    return 0;
}

static void
test_missing_segment(void **state)
{
    (void)state;
    disk_test_run(missing_main, NULL);
}

static int
directory_main(void *arg)
{
    char path[512];
    struct test_log log = {0};
    (void)arg;
    assert_int_equal(test_log_try_open(&log, "/nowhere/at/all", 1 << 16), -ENOENT);
    assert_non_null(strstr(log.why, "/nowhere/at/all: there is no such file or directory"));
    snprintf(path, sizeof(path), "%s/file", dir);
    disk_test_write(path, "x", 1);
    assert_int_equal(test_log_try_open(&log, path, 1 << 16), -ENOTDIR);
    assert_non_null(strstr(log.why, "a part of the path is a file"));
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 1, 10);
    test_log_close(&log);
    *disk_test_fault() = (struct disk_test_fault){
        .kind = BACKEND_SYNC, .countdown = 1, .code = -EROFS, .sticky = true};
    assert_int_equal(test_log_try_open(&log, dir, 1 << 16), -EROFS);
    assert_non_null(strstr(log.why, "the file system is read-only"));
    *disk_test_fault() = (struct disk_test_fault){0};
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    test_log_close(&log);
    return 0;
}

static void
test_bad_directory(void **state)
{
    (void)state;
    disk_test_run(directory_main, NULL);
}

/* ---- what was written is there ---- */

static int
recover_main(void *arg)
{
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    assert_int_equal(log.recovery.entry_count, 0);
    test_log_append(&log, 1, 1, 3, 100);
    test_log_append(&log, 2, 4, 1, 0);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    assert_int_equal(log.recovery.entry_count, 4);
    assert_int_equal(log.recovery.hard_state.term, 2);
    assert_int_equal(log.torn_bytes, 0);
    test_log_append(&log, 3, 3, 2, 50); /* replaces 3 and 4 */
    test_log_append(&log, 3, 5, 1, 5000);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    assert_int_equal(log.recovery.entry_count, 5);
    test_log_close(&log);
    return 0;
}

static void
test_recover(void **state)
{
    (void)state;
    disk_test_run(recover_main, NULL);
}

static int
huge_main(void *arg)
{
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 1, 3 << 20);
    test_log_append(&log, 1, 2, 7, 60000);
    test_log_append(&log, 1, 9, 1, 1);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    assert_int_equal(log.recovery.entry_count, 9);
    test_log_close(&log);
    return 0;
}

static void
test_huge_entries(void **state)
{
    (void)state;
    disk_test_run(huge_main, NULL);
}

static int
random_main(void *arg)
{
    struct prng prng;
    struct test_log log = {0};
    uint64_t next = 1;
    prng_init(&prng, *(uint64_t *)arg);
    test_log_open(&log, dir, 1 << 16);
    for (int i = 0; i < 120; i++) {
        uint64_t what = prng_below(&prng, 20);
        uint64_t low = log.model_start + 1;
        if (what == 0 && next > low) {
            next = prng_range(&prng, low, next);
            log.term++;
        } else if (what == 1 && next > low) {
            test_log_compact(&log, prng_range(&prng, low, next - 1));
        } else if (what == 2) {
            next += prng_below(&prng, 50);
            test_log_snapshot(&log, next);
            next++;
        } else if (what < 5) {
            test_log_close(&log);
            test_log_open(&log, dir, 1 << 16);
            test_log_check(&log);
        }
        uint64_t count = prng_range(&prng, 1, 5);
        test_log_append(&log, log.term, next, count,
                        prng_chance(&prng, 1, 10) ? prng_below(&prng, 90000)
                                                  : prng_below(&prng, 3000));
        next += count;
    }
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    test_log_close(&log);
    return 0;
}

static void
test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        print_message("seed %u\n", (unsigned)seed);
        disk_test_run(random_main, &seed);
        disk_test_remove(dir);
        disk_test_dir(dir);
    }
}

/* ---- many writes, few batches ---- */

static int
group_main(void *arg)
{
    struct test_log log = {0};
    struct wal_stats stats;
    (void)arg;
    test_log_open(&log, dir, 1 << 20);
    wal_stats(log.wal, &stats);
    uint64_t before = stats.writes;
    for (uint64_t i = 1; i <= 100; i++)
        test_log_submit(&log, 1, i, 1, 100, true);
    test_log_wait(&log);
    wal_stats(log.wal, &stats);
    assert_in_range(stats.writes - before, 1, 3);
    assert_int_equal(stats.queued_bytes, 0);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 20);
    test_log_check(&log);
    test_log_close(&log);
    return 0;
}

static void
test_group_commit(void **state)
{
    (void)state;
    disk_test_run(group_main, NULL);
}

static int
lazy_main(void *arg)
{
    struct test_log log = {0};
    struct wal_stats stats;
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_submit(&log, 1, 0, 0, 0, false);
    skein_yield();
    skein_yield();
    wal_stats(log.wal, &stats);
    assert_int_not_equal(stats.queued_bytes, 0);
    test_log_append(&log, 1, 1, 1, 10);
    wal_stats(log.wal, &stats);
    assert_int_equal(stats.queued_bytes, 0);
    test_log_submit(&log, 1, 0, 0, 0, false);
    test_log_close(&log);
    assert_int_equal(log.failed_count, 0);
    return 0;
}

static void
test_lazy_writes(void **state)
{
    (void)state;
    disk_test_run(lazy_main, NULL);
}

static int
bound_main(void *arg)
{
    struct test_log log = {.queue_bytes_max = 4096};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    assert_int_equal(test_log_try_submit(&log, 1, 1, 1, 3000, true), 0);
    assert_int_equal(test_log_try_submit(&log, 1, 2, 1, 3000, true), -SKEIN_EAGAIN);
    test_log_wait(&log);
    assert_int_equal(test_log_try_submit(&log, 1, 2, 1, 3000, true), 0);
    test_log_close(&log);
    return 0;
}

static void
test_queue_bound(void **state)
{
    (void)state;
    disk_test_run(bound_main, NULL);
}

/* ---- segments come and go ---- */

static int
compact_main(void *arg)
{
    struct test_log log = {0};
    struct wal_stats stats;
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    for (uint64_t i = 1; i <= 60; i++)
        test_log_append(&log, 1, i, 1, 8000);
    wal_stats(log.wal, &stats);
    assert_in_range(stats.segment_count, 8, 14);
    test_log_compact(&log, 50);
    test_log_settle(&log, 4);
    wal_stats(log.wal, &stats);
    assert_in_range(stats.segment_count, 2, 4);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    assert_int_equal(log.recovery.start_index, 50);
    test_log_snapshot(&log, 1000);
    test_log_settle(&log, 2);
    test_log_append(&log, 2, 1001, 2, 10);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    assert_int_equal(log.recovery.start_index, 1000);
    assert_int_equal(log.recovery.entry_count, 2);
    test_log_close(&log);
    return 0;
}

static void
test_compact(void **state)
{
    (void)state;
    disk_test_run(compact_main, NULL);
}

/* ---- the disk fails ---- */

static int
latch_main(void *arg)
{
    struct test_log log = {0};
    struct wal_stats stats;
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 1, 10);
    *disk_test_fault() = (struct disk_test_fault){
        .kind = BACKEND_WRITE, .flags = SKEIN_FILE_DSYNC, .countdown = 1, .code = -EIO};
    test_log_submit(&log, 1, 2, 1, 10, true);
    test_log_submit(&log, 1, 3, 1, 10, true);
    test_log_wait(&log);
    assert_int_equal(log.failed_count, 2);
    assert_int_equal(log.failed_code, -EIO);
    wal_stats(log.wal, &stats);
    assert_int_equal(stats.latched, -EIO);
    assert_int_equal(test_log_try_submit(&log, 1, 2, 1, 10, true), -SKEIN_ELATCHED);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    assert_int_equal(log.recovery.entry_count, 1);
    test_log_close(&log);
    return 0;
}

static void
test_latch(void **state)
{
    (void)state;
    disk_test_run(latch_main, NULL);
}

/* ---- the disk forgets ---- */

static void
on_rot(void *owner, uint32_t group)
{
    struct test_log *log = owner;
    assert_int_equal(group, 0);
    test_log_compact(log, log->durable_last);
}

static void
scrub_until(struct test_log *log, uint64_t findings, uint64_t passes)
{
    struct wal_stats stats;
    for (int i = 0; i < 5000; i++) {
        wal_stats(log->wal, &stats);
        if (stats.scrub_findings >= findings && stats.scrub_passes >= passes)
            return;
        assert_int_equal(skein_sleep(skein_deadline_in(1000000)), 0);
    }
    fail_msg("%u findings, %u passes", (unsigned)stats.scrub_findings,
             (unsigned)stats.scrub_passes);
}

/* A bit flips in a segment that is full, then in the one that is written: found, and the damaged
 * segments go, since what they hold is covered. Whatever was acknowledged is there at the end. */
static int
scrub_main(void *arg)
{
    struct test_log log = {.term = 1};
    char path[512];
    struct wal_stats stats;
    struct wal_options options = {.dir = dir,
                                  .identity = {.cluster = "test cluster 16", .node = 7},
                                  .segment_bytes = 1 << 16,
                                  .queue_bytes_max = 1 << 20,
                                  .scrub_period_ns = 5000000,
                                  .on_rot = on_rot,
                                  .owner = &log};
    (void)arg;
    assert_int_equal(test_log_wal_open(&log, &options), 0);
    for (uint64_t i = 1; i <= 30; i++)
        test_log_append(&log, 1, i, 1, 8000);
    scrub_until(&log, 0, 2);
    wal_stats(log.wal, &stats);
    assert_int_equal(stats.scrub_findings, 0);
    assert_in_range(stats.scrub_bytes, 30 * 8000, UINT64_MAX);
    snprintf(path, sizeof(path), "%s/00000002.wal", dir);
    disk_test_flip(path, 3 * WAL_BLOCK_BYTES + 99, 2);
    scrub_until(&log, 1, 0);
    test_log_append(&log, 1, 31, 1, 10);
    test_log_settle(&log, 2);
    wal_stats(log.wal, &stats);
    uint64_t last = 31;
    for (; stats.segment_count > 1; wal_stats(log.wal, &stats)) { /* alone in a segment */
        test_log_append(&log, 1, ++last, 1, 8000);
        test_log_compact(&log, last - 1);
        assert_int_equal(skein_sleep(skein_deadline_in(1000000)), 0);
        assert_in_range(last, 1, 400);
    }
    uint32_t active = 1;
    for (bool there = false; !there; active += !there) {
        snprintf(path, sizeof(path), "%s/%08u.wal", dir, active);
        there = access(path, F_OK) == 0;
    }
    disk_test_flip(path, 1 * WAL_BLOCK_BYTES + 99, 2);
    scrub_until(&log, stats.scrub_findings + 1, 0);
    test_log_append(&log, 1, last + 1, 1, 10);
    for (int i = 0; i < 2000 && access(path, F_OK) == 0; i++)
        assert_int_equal(skein_sleep(skein_deadline_in(1000000)), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    test_log_check(&log);
    test_log_close(&log);
    return 0;
}

static void
test_scrub(void **state)
{
    (void)state;
    disk_test_run(scrub_main, NULL);
}

static int
half_write_main(void *arg)
{
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 1, 10);
    *disk_test_fault() = (struct disk_test_fault){.kind = BACKEND_WRITE,
                                                  .flags = SKEIN_FILE_DSYNC,
                                                  .countdown = 1,
                                                  .code = -EIO,
                                                  .half = true};
    test_log_submit(&log, 1, 2, 1, 20000, true);
    test_log_wait(&log);
    assert_int_equal(log.failed_count, 1);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    assert_int_equal(log.recovery.entry_count, 1);
    assert_int_not_equal(log.torn_bytes, 0);
    test_log_append(&log, 1, 2, 1, 10);
    test_log_close(&log);
    test_log_open(&log, dir, 1 << 16);
    assert_int_equal(log.recovery.entry_count, 2);
    assert_int_equal(log.torn_bytes, 0);
    test_log_close(&log);
    return 0;
}

static void
test_half_write(void **state)
{
    (void)state;
    disk_test_run(half_write_main, NULL);
}

static int
full_main(void *arg)
{
    struct test_log log = {0};
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 1, 10);
    *disk_test_fault() = (struct disk_test_fault){
        .kind = BACKEND_ALLOCATE, .countdown = 1, .code = -ENOSPC, .sticky = true};
    for (uint64_t i = 2; log.failed_count == 0 && i < 100; i++) {
        if (test_log_try_submit(&log, 1, i, 1, 8000, true) < 0)
            break;
        test_log_wait(&log);
    }
    assert_int_equal(log.failed_code, -ENOSPC);
    uint64_t acknowledged = log.durable_last;
    assert_in_range(acknowledged, 5, 30);
    test_log_close(&log);
    assert_int_equal(test_log_try_open(&log, dir, 1 << 16), -ENOSPC);
    assert_non_null(strstr(log.why, "the disk is full"));
    *disk_test_fault() = (struct disk_test_fault){0};
    test_log_open(&log, dir, 1 << 16);
    assert_int_equal(log.recovery.entry_count, acknowledged);
    test_log_close(&log);
    return 0;
}

/* Full for a moment only: what waits for a segment is written when there is space. */
static int
full_once_main(void *arg)
{
    struct test_log log = {0};
    uint64_t last = 1;
    (void)arg;
    test_log_open(&log, dir, 1 << 16);
    test_log_append(&log, 1, 1, 1, 10);
    *disk_test_fault() = (struct disk_test_fault){
        .kind = BACKEND_ALLOCATE, .countdown = 1, .code = -ENOSPC, .sticky = true};
    while (log.durable_last == last && last < 100) {
        assert_int_equal(test_log_try_submit(&log, 1, ++last, 1, 8000, true), 0);
        for (int i = 0; i < 300 && log.durable_last < last; i++)
            assert_int_equal(skein_sleep(skein_deadline_in(1000000)), 0);
    }
    assert_in_range(last, 5, 30);
    *disk_test_fault() = (struct disk_test_fault){0};
    test_log_wait(&log);
    assert_int_equal(log.failed_count, 0);
    assert_int_equal(log.durable_last, last);
    test_log_close(&log);
    return 0;
}

static void
test_full_once(void **state)
{
    (void)state;
    disk_test_run(full_once_main, NULL);
}

static void
test_full_disk(void **state)
{
    (void)state;
    disk_test_run(full_main, NULL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bad_directory),   TEST(test_identity),     TEST(test_format),
        TEST(test_missing_segment), TEST(test_recover),      TEST(test_huge_entries),
        TEST(test_random),          TEST(test_group_commit), TEST(test_lazy_writes),
        TEST(test_queue_bound),     TEST(test_compact),      TEST(test_latch),
        TEST(test_scrub),           TEST(test_half_write),   TEST(test_full_disk),
        TEST(test_full_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
