/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: sizes fall into classes that lose at most a fifth; objects are disjoint, aligned and as
 * large as asked for, whatever is allocated and freed in which order; empty slabs and chunks go
 * back; limits, budgets and injected failures are errors and leave nothing behind.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/prng.h"
#include "core/check.h"
#include "core/clock_world.h"
#include "core/internal.h"
#include "core/pool.h"

#define LIVE_COUNT 400
#define STEP_COUNT 60000

/* Each case runs as the main fiber of a shard of its own. */
static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    struct skein_shard *shard;
    struct check check = {0};
    clock_world_open(&world);
    struct skein_shard_options options = {.backend = &world.base, .stacks = world.stacks};
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    assert_int_equal(skein_shard_run(shard, main_fn, &check), 0);
    assert_int_equal(check.failed_count, 0);
    skein_shard_close(shard);
    clock_world_close(&world);
}

static void
classes_lose_at_most_a_fifth(void **state)
{
    uint32_t last = 0;
    for (size_t bytes = 0; bytes <= POOL_MEDIUM_BYTES_MAX; bytes++) {
        size_t rounded;
        uint32_t index = pool_class(bytes, &rounded);
        assert_true(index < POOL_CLASS_COUNT);
        assert_true(index == last || index == last + 1);
        assert_true(rounded >= bytes);
        assert_true(rounded % 16 == 0);
        assert_true(bytes <= 64 ? rounded - bytes <= 16 : (rounded - bytes) * 5 <= rounded);
        last = index;
    }
    assert_int_equal(last, POOL_CLASS_COUNT - 1);
}

/* ---- any order ---- */

struct live {
    unsigned char *object;
    size_t bytes;
    unsigned char mark;
};

static size_t
draw_bytes(struct prng *random)
{
    uint64_t most = (uint64_t)1 << prng_range(random, 0, 19);
    return (size_t)prng_range(random, 0, most);
}

static bool
is_marked(const struct live *live)
{
    for (size_t i = 0; i < live->bytes; i++)
        if (live->object[i] != live->mark)
            return false;
    return true;
}

static int
any_order_main(void *arg)
{
    struct check *check = arg;
    static struct live lives[LIVE_COUNT];
    struct skein_memory_stats stats;
    struct prng random;
    prng_init(&random, 3);
    memset(lives, 0, sizeof(lives));
    for (int step = 0; step < STEP_COUNT; step++) {
        struct live *live = &lives[prng_range(&random, 0, LIVE_COUNT - 1)];
        if (live->object) {
            CHECK(check, is_marked(live));
            skein_free(live->object);
            live->object = NULL;
            continue;
        }
        size_t align = (size_t)16 << prng_range(&random, 0, 12);
        live->bytes = draw_bytes(&random);
        live->mark = (unsigned char)step;
        live->object = prng_chance(&random, 1, 4) ? skein_alloc_aligned(align, live->bytes)
                                                  : skein_alloc(live->bytes);
        if (!CHECK(check, live->object != NULL))
            return -1;
        CHECK(check, (uintptr_t)live->object % 16 == 0);
        CHECK(check, skein_usable_bytes(live->object) >= live->bytes);
        CHECK(check, skein_owner(live->object) == 0);
        memset(live->object, live->mark, live->bytes);
    }
    for (int i = 0; i < LIVE_COUNT; i++) {
        CHECK(check, !lives[i].object || is_marked(&lives[i]));
        skein_free(lives[i].object);
    }
    skein_memory_stats_read(&stats);
    CHECK(check, stats.used_bytes == 0);
    CHECK(check, stats.alloc_count == stats.free_count);
    CHECK(check, stats.used_bytes_peak > 0);
    /* What is kept: a slab of each class at most, of the larger ones a chunk each. */
    CHECK(check, stats.held_bytes <= 24 * POOL_CHUNK_BYTES);
    return 0;
}

static void
any_order_keeps_objects_apart(void **state)
{
    run(any_order_main);
}

static int
aligned_main(void *arg)
{
    struct check *check = arg;
    for (size_t align = 16; align <= 65536; align *= 2)
        for (size_t bytes = 1; bytes <= 600000; bytes = bytes * 3 + 1) {
            void *objects[5];
            for (int i = 0; i < 5; i++) {
                objects[i] = skein_alloc_aligned(align, bytes);
                CHECK(check, objects[i] && (uintptr_t)objects[i] % align == 0);
                memset(objects[i], 1, bytes);
            }
            for (int i = 0; i < 5; i++)
                skein_free(objects[i]);
        }
    unsigned char *zeroed = skein_zalloc(1000);
    for (int i = 0; i < 1000; i++)
        CHECK(check, zeroed[i] == 0);
    skein_free(zeroed);
    skein_free(NULL);
    CHECK(check, skein_alloc(SIZE_MAX) == NULL);
    CHECK(check, skein_alloc(SIZE_MAX / 2) == NULL);
    return 0;
}

static void
alignment_is_kept(void **state)
{
    run(aligned_main);
}

/* ---- limits ---- */

static int
limit_main(void *arg)
{
    struct check *check = arg;
    struct skein_memory_stats stats;
    void *objects[100];
    int count = 0;
    skein_shard_current()->pool = pool_open(0, -1, 3 * POOL_CHUNK_BYTES);
    while (count < 100 && (objects[count] = skein_alloc(200000)))
        count++;
    CHECK(check, count == 3 * 8); /* 229376 bytes each, 8 in a chunk */
    CHECK(check, skein_alloc(16) == NULL);
    skein_memory_stats_read(&stats);
    CHECK(check, stats.refused_count == 2);
    CHECK(check, stats.held_bytes == 3 * POOL_CHUNK_BYTES);
    while (count > 0)
        skein_free(objects[--count]);
    void *object = skein_alloc(16);
    CHECK(check, object != NULL);
    CHECK(check, skein_alloc(3 * POOL_CHUNK_BYTES) == NULL);
    skein_free(object);
    return 0;
}

static void
the_heap_has_a_limit(void **state)
{
    run(limit_main);
}

static int
budget_main(void *arg)
{
    struct check *check = arg;
    struct skein_budget all;
    struct skein_budget one;
    struct skein_budget other;
    void *object = NULL;
    void *second = NULL;
    skein_budget_init(&all, NULL, 1000);
    skein_budget_init(&one, &all, 700);
    skein_budget_init(&other, &all, 700);
    CHECK(check, skein_budget_alloc(&one, SIZE_MAX, &object) == -SKEIN_ENOMEM);
    CHECK(check, skein_budget_alloc(&one, 701, &object) == -SKEIN_ENOMEM);
    CHECK(check, object == NULL);
    CHECK(check, pool_object_bytes(SIZE_MAX) == UINT64_MAX);
    /* 641 bytes are 768: what is lost in rounding counts. */
    CHECK(check, skein_budget_alloc(&one, 641, &object) == -SKEIN_ENOMEM);
    CHECK(check, one.used_bytes == 0 && all.used_bytes == 0);
    CHECK(check, skein_budget_alloc(&one, 640, &object) == 0);
    CHECK(check, one.used_bytes == 640 && all.used_bytes == 640);
    /* The parent is exhausted before the child. */
    CHECK(check, skein_budget_alloc(&other, 400, &second) == -SKEIN_ENOMEM);
    CHECK(check, all.refused_count == 1 && other.refused_count == 0);
    CHECK(check, skein_budget_take(&other, 360) == 0);
    CHECK(check, skein_budget_take(&other, 1) == -SKEIN_ENOMEM);
    skein_budget_give(&other, 360);
    skein_budget_free(&one, object);
    skein_budget_free(&one, NULL);
    CHECK(check, all.used_bytes == 0 && all.peak_bytes == 1000 && one.peak_bytes == 640);
    skein_budget_deinit(&one);
    skein_budget_deinit(&other);
    skein_budget_deinit(&all);
    struct skein_memory_stats stats;
    skein_memory_stats_read(&stats);
    CHECK(check, stats.used_bytes == 0);
    return 0;
}

static void
budgets_nest_and_run_out(void **state)
{
    run(budget_main);
}

static int
injection_main(void *arg)
{
    struct check *check = arg;
    struct skein_memory_injection third = {.nth = 3};
    struct skein_memory_injection half = {.per_million = 500000};
    struct skein_budget budget;
    struct skein_memory_stats stats;
    skein_budget_init(&budget, NULL, 1 << 20);
    skein_memory_inject(&third);
    for (int i = 1; i <= 9; i++) {
        void *object = NULL;
        int rc = skein_budget_alloc(&budget, 100, &object);
        CHECK(check, i % 3 == 0 ? rc == -ENOMEM && !object : rc == 0);
        skein_budget_free(&budget, object);
    }
    CHECK(check, budget.used_bytes == 0);
    skein_memory_inject(&half);
    int failed_count = 0;
    for (int i = 0; i < 1000; i++) {
        void *object = skein_alloc(32);
        failed_count += object == NULL;
        skein_free(object);
    }
    CHECK(check, failed_count > 400 && failed_count < 600);
    skein_memory_inject(NULL);
    void *object = skein_alloc(32);
    CHECK(check, object != NULL);
    skein_free(object);
    skein_memory_stats_read(&stats);
    CHECK(check, stats.injected_count == (uint64_t)failed_count + 3);
    CHECK(check, stats.refused_count == 0);
    CHECK(check, stats.used_bytes == 0);
    skein_budget_deinit(&budget);
    return 0;
}

static void
failures_are_injected(void **state)
{
    run(injection_main);
}

/* ---- huge pages, other threads ---- */

static int
huge_main(void *arg)
{
    struct check *check = arg;
    struct skein_huge huge = {0};
    skein_huge_close(&huge);
    CHECK(check, skein_huge_open(&huge, 0) == -SKEIN_ENOMEM);
    CHECK(check, skein_huge_open(&huge, SIZE_MAX) == -SKEIN_ENOMEM);
    CHECK(check, skein_huge_open(&huge, ((size_t)1 << 46)) == -SKEIN_ENOMEM);
    CHECK(check, huge.data == NULL);
    CHECK(check, skein_huge_open(&huge, 3000000) == 0);
    CHECK(check, huge.bytes == 2 * POOL_CHUNK_BYTES);
    CHECK(check, (uintptr_t)huge.data % POOL_CHUNK_BYTES == 0);
    memset(huge.data, 1, huge.bytes);
    skein_huge_close(&huge);
    skein_huge_close(&huge);
    return 0;
}

static void
huge_buffers_are_aligned_to_huge_pages(void **state)
{
    run(huge_main);
}

#define REMOTE_COUNT 3000

static void *
free_all(void *arg)
{
    void **objects = arg;
    for (int i = 0; i < REMOTE_COUNT; i++)
        skein_free(objects[i]);
    return NULL;
}

static int
remote_main(void *arg)
{
    struct check *check = arg;
    static void *objects[REMOTE_COUNT];
    struct skein_memory_stats stats;
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        for (int i = 0; i < REMOTE_COUNT; i++)
            CHECK(check, (objects[i] = skein_alloc(48)) != NULL);
        CHECK(check, pthread_create(&thread, NULL, free_all, objects) == 0);
        CHECK(check, pthread_join(thread, NULL) == 0);
    }
    /* Slabs of 1365: what others had freed was taken back before new ones were begun. */
    skein_memory_stats_read(&stats);
    CHECK(check, stats.remote_free_count == 2 * REMOTE_COUNT);
    CHECK(check, stats.held_bytes == POOL_CHUNK_BYTES);
    pool_take_remote(skein_shard_current()->pool);
    skein_memory_stats_read(&stats);
    CHECK(check, stats.used_bytes == 0);
    return 0;
}

static void
what_others_free_is_used_again(void **state)
{
    run(remote_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_lose_at_most_a_fifth),
        cmocka_unit_test(any_order_keeps_objects_apart),
        cmocka_unit_test(alignment_is_kept),
        cmocka_unit_test(the_heap_has_a_limit),
        cmocka_unit_test(budgets_nest_and_run_out),
        cmocka_unit_test(failures_are_injected),
        cmocka_unit_test(huge_buffers_are_aligned_to_huge_pages),
        cmocka_unit_test(what_others_free_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
