/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: of a log that is damaged anywhere, either all that it had promised is known and what lies
 * before the damage is kept, or it stays closed as before; it goes on from there, and the damage
 * is not met again.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/prng.h"
#include "disk/disk_test.h"
#include "disk/wal_salvage.h"
#include "disk/wal_test_log.h"
#include "skein/error.h"

#define SEGMENT_BYTES (1u << 17)

static char dir[256];

struct told {
    unsigned count;
    int answer;
    struct wal_damage damage;
};

static int
on_damage(void *owner, const struct wal_damage *damage)
{
    struct told *told = owner;
    told->count++;
    told->damage = *damage;
    return told->answer;
}

static int
try_open(struct test_log *log, struct told *told)
{
    struct wal_options options = {
        .dir = dir,
        .identity = {.cluster = "test cluster 16", .node = 7},
        .segment_bytes = SEGMENT_BYTES,
        .on_damage = on_damage,
        .owner = told,
        .queue_bytes_max = 1 << 28,
    };
    return test_log_wal_open(log, &options);
}

static void
path_of(uint32_t number, const char *suffix, char out_path[512])
{
    snprintf(out_path, 512, "%s/%08u.wal%s", dir, number, suffix);
}

/* @count entries, one durable write each, over several segments. */
static void
fill(struct test_log *log, uint64_t count)
{
    *log = (struct test_log){0};
    test_log_open(log, dir, SEGMENT_BYTES);
    for (uint64_t index = 1; index <= count; index++)
        test_log_append(log, 1 + index / 20, index, 1, 3000 + index % 7 * 900);
    test_log_close(log);
}

static uint64_t
kept(const struct test_log *log)
{
    for (size_t i = 0; i < log->recovery.entry_count; i++) {
        const struct raft_entry *entry = &log->recovery.entries[i];
        assert_int_equal(entry->index, i + 1);
        assert_int_equal(entry->term, log->model_terms[i]);
        assert_int_equal(entry->data.count, log->model_bytes[i]);
    }
    return log->recovery.entry_count;
}

static void
check_told(const struct test_log *log, const struct told *told)
{
    assert_int_equal(told->count, 1);
    assert_int_equal(told->damage.last_index, log->model_last);
    assert_int_equal(told->damage.last_term, log->model_terms[log->model_last - 1]);
    assert_int_equal(told->damage.hard_state.term, log->model_state.term);
    assert_int_equal(told->damage.hard_state.vote, log->model_state.vote);
}

/* Goes on behind what was kept; the next openings find a log like any other. */
static void
check_goes_on(struct test_log *log, uint64_t from)
{
    struct told told = {.answer = -1};
    for (uint64_t round = 0; round < 3; round++) {
        if (round > 0)
            if (try_open(log, &told) != 0)
                fail_msg("%s", log->why);
        assert_int_equal(log->recovery.entry_count, from + round * 20);
        for (uint64_t i = 1; i <= 20; i++)
            test_log_append(log, 50 + round, from + round * 20 + i, 1, 5000);
        test_log_close(log);
    }
    assert_int_equal(told.count, 0);
}

static int
middle_main(void *arg)
{
    struct test_log log;
    struct told told = {0};
    char path[512];
    (void)arg;
    fill(&log, 100);
    path_of(2, "", path);
    disk_test_flip(path, 20 * WAL_BLOCK_BYTES + 77, 4);
    assert_int_equal(test_log_try_open(&log, dir, SEGMENT_BYTES), -SKEIN_ECORRUPT);
    assert_int_equal(try_open(&log, &told), 0);
    check_told(&log, &told);
    assert_non_null(strstr(told.damage.why, "00000002.wal is damaged at byte 81920"));
    uint64_t count = kept(&log);
    assert_in_range(count, 20, 60);
    path_of(3, ".damaged", path);
    assert_true(disk_test_size(path) > 0);
    check_goes_on(&log, count);
    assert_int_equal(wal_forget_damaged(dir), 0);
    return 0;
}

static int
refused_main(void *arg)
{
    struct test_log log;
    struct told told = {.answer = -SKEIN_ECORRUPT};
    char path[512];
    (void)arg;
    fill(&log, 100);
    path_of(2, "", path);
    disk_test_flip(path, 20 * WAL_BLOCK_BYTES + 77, 4);
    size_t before_bytes, after_bytes;
    uint8_t *before = disk_test_read(path, &before_bytes);
    assert_int_equal(try_open(&log, &told), -SKEIN_ECORRUPT);
    assert_int_equal(told.count, 1);
    uint8_t *after = disk_test_read(path, &after_bytes);
    assert_int_equal(before_bytes, after_bytes);
    assert_memory_equal(before, after, before_bytes);
    mem_free(before);
    mem_free(after);
    return 0;
}

static int
headers_main(void *arg)
{
    struct test_log log;
    struct told told = {0};
    char path[512];
    (void)arg;
    fill(&log, 60);
    path_of(1, "", path);
    disk_test_flip(path, 33, 1);
    assert_int_equal(try_open(&log, &told), 0);
    check_told(&log, &told);
    assert_int_equal(kept(&log), 0);
    check_goes_on(&log, 0);
    return 0;
}

/* A log of more than one segment, of which the first ones are gone; @path: of the lowest. */
static void
fill_compacted(struct test_log *log, char path[512])
{
    test_log_open(log, dir, SEGMENT_BYTES);
    for (uint64_t index = 1; index <= 100; index++)
        test_log_append(log, 1, index, 1, 5000);
    test_log_compact(log, 60);
    test_log_append(log, 1, 101, 1, 5000);
    test_log_settle(log, 3);
    test_log_close(log);
    uint32_t lowest = 1;
    for (path_of(lowest, "", path); access(path, F_OK) != 0; path_of(lowest, "", path))
        lowest++;
    assert_true(lowest > 1);
}

/* The oldest segment cannot be read from its start: the next one, which could be, is not taken for
 * all there was. */
static int
oldest_main(void *arg)
{
    struct test_log log = {0};
    struct told told = {0};
    char path[512];
    (void)arg;
    fill_compacted(&log, path);
    disk_test_flip(path, 1 * WAL_BLOCK_BYTES + 100, 1);
    assert_int_equal(try_open(&log, &told), 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.damage.start_index, 60);
    assert_int_equal(told.damage.last_index, 101);
    test_log_close(&log);
    return 0;
}

/* What was kept begins behind an older start: the newer one, in the damaged part, says why. */
static int
compacted_main(void *arg)
{
    struct test_log log = {0};
    struct told told = {0};
    char path[512];
    (void)arg;
    fill_compacted(&log, path);
    disk_test_flip(path, 9 * WAL_BLOCK_BYTES + 5, 1);
    assert_int_equal(try_open(&log, &told), 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.damage.start_index, 60);
    assert_int_equal(told.damage.last_index, 101);
    test_log_close(&log);
    told.count = 0;
    assert_int_equal(try_open(&log, &told), 0);
    assert_int_equal(told.count, 0);
    assert_int_equal(log.recovery.start_index, 60);
    test_log_close(&log);
    /* Nothing of it is left when its first header is gone, and its number is not 1. */
    disk_test_flip(path, 2, 1);
    assert_int_equal(try_open(&log, &told), 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(log.recovery.entry_count, 0);
    assert_int_equal(log.recovery.start_index, 60);
    test_log_close(&log);
    assert_int_equal(try_open(&log, &told), 0);
    assert_int_equal(told.count, 1);
    test_log_close(&log);
    return 0;
}

/* Segments that were used before: what was in them is no promise, with a header or without. */
static int
recycled_main(void *arg)
{
    struct test_log log = {0};
    struct told told = {0};
    struct wal_stats stats;
    char path[512];
    (void)arg;
    test_log_open(&log, dir, SEGMENT_BYTES);
    for (uint64_t index = 1; index <= 200; index++) {
        test_log_append(&log, 1, index, 1, 5000);
        if (index % 20 == 0) {
            test_log_compact(&log, index - 5);
            test_log_append(&log, 1, ++index, 1, 10);
            test_log_settle(&log, 2);
        }
    }
    wal_stats(log.wal, &stats);
    assert_in_range(stats.recycled_count, 4, 20);
    /* Only the first three segments were filled. */
    assert_in_range(stats.fill_bytes, 2 * SEGMENT_BYTES, 5 * SEGMENT_BYTES);
    uint32_t last = 1;
    for (path_of(last, "", path); access(path, F_OK) != 0; path_of(last, "", path))
        last++;
    test_log_close(&log);
    disk_test_flip(path, 2, 1); /* the header of the lowest one there is */
    assert_int_equal(try_open(&log, &told), 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.damage.last_index, log.model_last);
    assert_int_equal(told.damage.last_term, 1);
    test_log_close(&log);
    return 0;
}

/* The last block that says anything is unreadable: it may have held a vote. */
static int
end_main(void *arg)
{
    struct test_log log;
    struct told told = {0};
    char path[512];
    (void)arg;
    fill(&log, 3);
    path_of(1, "", path);
    struct wal_survey survey = {0};
    struct wal_header none = {0};
    size_t bytes;
    uint8_t *data = disk_test_read(path, &bytes);
    for (size_t at = WAL_BLOCK_BYTES; at < bytes; at += WAL_BLOCK_BYTES)
        wal_survey_block(&survey, data + at,
                         (struct wal_position){1, (uint32_t)(at / WAL_BLOCK_BYTES)}, &none);
    mem_free(data);
    assert_true(wal_survey_certain(&survey));
    disk_test_flip(path, (uint64_t)survey.at.block * WAL_BLOCK_BYTES + 4000, 16);
    assert_int_equal(try_open(&log, &told), -SKEIN_ECORRUPT);
    assert_int_equal(told.count, 0);
    return 0;
}

/* One block in a hundred, anywhere, many times: known exactly, or closed. */
static int
many_main(void *arg)
{
    struct prng prng;
    unsigned repaired = 0, closed = 0;
    (void)arg;
    prng_init(&prng, 42);
    for (unsigned round = 0; round < 14; round++) {
        struct test_log log;
        struct told told = {0};
        char path[512];
        disk_test_remove(dir);
        disk_test_dir(dir);
        fill(&log, 110);
        for (uint32_t number = 1; number <= 8; number++) {
            path_of(number, "", path);
            for (uint64_t block = 0; block < disk_test_size(path) / WAL_BLOCK_BYTES; block++)
                if (prng_below(&prng, 100) == 0)
                    disk_test_flip(path, block * WAL_BLOCK_BYTES + prng_below(&prng, 4096),
                                   (uint8_t)(1u << prng_below(&prng, 8)));
        }
        int rc = try_open(&log, &told);
        if (rc == -SKEIN_ECORRUPT) {
            closed++;
            continue;
        }
        assert_int_equal(rc, 0);
        uint64_t count = kept(&log);
        if (told.count > 0)
            check_told(&log, &told);
        else
            assert_int_equal(count, 110);
        repaired += told.count > 0;
        check_goes_on(&log, count);
    }
    assert_in_range(repaired, 6, 14);
    assert_in_range(closed, 0, 7);
    return 0;
}

#define CASE(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        disk_test_dir(dir);               \
        disk_test_run(name##_main, NULL); \
        disk_test_remove(dir);            \
    }
CASE(middle)
CASE(refused)
CASE(headers)
CASE(oldest)
CASE(compacted)
CASE(end)
CASE(many)
CASE(recycled)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest),   cmocka_unit_test(test_compacted),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_end),
        cmocka_unit_test(test_middle),   cmocka_unit_test(test_headers),
        cmocka_unit_test(test_recycled), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
