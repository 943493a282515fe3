/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: where guards split mappings the limit of stacks is an answer and none is lost; a stack that
 * becomes cold loses its pages and keeps its guard; depth is measured, for each fiber anew.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "core/stack.h"
#include "skein/metrics.h"

#define LIMIT 30000

static void
the_limit_of_split_guards_is_an_answer(void **state)
{
    struct skein_stack_pool_options options = {.guard = SKEIN_STACK_GUARD_SPLIT};
    struct skein_stack_pool *pool = skein_stack_pool_open_with(&options);
    static struct core_stack *stacks[LIMIT + 1];
    size_t count = 0;
    while (count <= LIMIT && (stacks[count] = stack_acquire(pool, SKEIN_STACK_TINY)))
        count++;
    assert_int_equal(count, LIMIT);
    assert_null(stack_acquire(pool, SKEIN_STACK_LARGE)); /* of all classes together */
    stack_release(stacks[--count], "last");
    stacks[count] = stack_acquire(pool, SKEIN_STACK_TINY);
    assert_non_null(stacks[count++]);
    while (count > 0)
        stack_release(stacks[--count], "any");
    struct skein_stack_stats stats;
    skein_stack_pool_stats(pool, SKEIN_STACK_TINY, &stats);
    assert_int_equal(stats.used_count, 0);
    assert_int_equal(stats.free_count, 1024);
    assert_true(stats.mapped_count < LIMIT / 2); /* whole slabs went back */
    skein_stack_pool_close(pool);
}

/* Whether the byte can be written: the kernel tells without a fault of ours. */
static bool
writable(char *at)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    bool ok = read(ends[0], at, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return ok;
}

static void
a_cold_stack_is_clean_and_guarded(void **state)
{
    struct skein_stack_pool_options options = {.free_count_max = 1};
    struct skein_stack_pool *pool = skein_stack_pool_open_with(&options);
    struct core_stack *stacks[3];
    for (int i = 0; i < 3; i++) {
        stacks[i] = stack_acquire(pool, SKEIN_STACK_SMALL);
        assert_non_null(stacks[i]);
        assert_true(writable(stacks[i]->low));
        assert_false(writable(stacks[i]->low - 1));
        assert_true(stack_guards(stacks[i], stacks[i]->low - 1));
        assert_false(stack_guards(stacks[i], stacks[i]->low));
        assert_int_equal(stack_used_bytes(stacks[i]), stacks[i]->usable_bytes);
    }
    char *low = stacks[1]->low;
    stack_release(stacks[0], "hot");
    stack_release(stacks[1], "cold");
    stacks[0] = stack_acquire(pool, SKEIN_STACK_SMALL);
    stacks[1] = stack_acquire(pool, SKEIN_STACK_SMALL);
    assert_ptr_equal(stacks[1]->low, low);
    assert_int_equal(stack_used_bytes(stacks[1]), 0);
    assert_false(writable(low - 1));
    for (int i = 0; i < 3; i++)
        stack_release(stacks[i], "any");
    skein_stack_pool_close(pool);
}

static void
deep(void *arg)
{
    volatile char frame[20000];
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = 1;
    skein_yield();
    *(char *)arg = frame[5];
}

static void
shallow(void *arg)
{
    *(char *)arg = 1;
}

struct text {
    char bytes[32768];
    size_t count;
};

static int
put(void *owner, const char *bytes, size_t count)
{
    struct text *text = owner;
    if (count >= sizeof(text->bytes) - text->count)
        return -SKEIN_ETOOBIG;
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    return 0;
}

static const char *
metrics_text(struct text *text)
{
    struct skein_snapshot *snapshot = skein_snapshot_open();
    uint64_t cursor = 0;
    while (skein_metrics_snapshot(skein_shard_metrics(), snapshot, &cursor, 100))
        ;
    int rc = skein_snapshot_write(snapshot, SKEIN_FORMAT_PROMETHEUS, 0, put, text);
    skein_snapshot_close(snapshot);
    return rc == 0 ? text->bytes : "";
}

static int
measured_main(void *arg)
{
    struct skein_stack_pool *pool = arg;
    struct skein_stack_stats stats;
    struct skein_scope scope;
    struct check check = {0};
    char value = 0;
    skein_scope_init(&scope);
    skein_stack_pool_stats(pool, SKEIN_STACK_SMALL, &stats);
    CHECK(&check, stats.high_water_bytes == 0);
    CHECK(&check, skein_spawn(&scope, "shallow", shallow, &value, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    skein_stack_pool_stats(pool, SKEIN_STACK_SMALL, &stats);
    CHECK(&check, stats.high_water_bytes > 0 && stats.high_water_bytes < 15000);
    CHECK(&check, strcmp(stats.high_water_name, "shallow") == 0);
    CHECK(&check, skein_spawn(&scope, "a deep fiber with a very long name indeed", deep, &value,
                              SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    CHECK(&check, skein_spawn(&scope, "shallow", shallow, &value, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    skein_stack_pool_stats(pool, SKEIN_STACK_SMALL, &stats);
    CHECK(&check, stats.high_water_bytes >= 20000 && stats.high_water_bytes < 60000);
    CHECK(&check, strcmp(stats.high_water_name, "a deep fiber with a very long n") == 0);
    CHECK(&check, stats.free_count == 1);
    static struct text buffer;
    const char *text = metrics_text(&buffer);
    CHECK(&check, strstr(text, "skein_stacks_used{class=\"large\"} 1\n") != NULL);
    CHECK(&check, strstr(text, "skein_stacks_high_water_bytes{class=\"tiny\"} 0\n") != NULL);
    CHECK(&check, strstr(text, "skein_stacks_high_water_bytes{class=\"small\"} 2") != NULL);
    return (int)check.failed_count;
}

static void
depth_is_measured(void **state)
{
    struct clock_world world;
    struct skein_stack_pool_options options = {.measure = true};
    struct skein_stack_pool *pool = skein_stack_pool_open_with(&options);
    clock_world_open(&world);
    struct skein_shard_options shard_options = {.stacks = pool};
    assert_int_equal(clock_world_run(&world, shard_options, measured_main, pool), 0);
    clock_world_close(&world);
    skein_stack_pool_close(pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_of_split_guards_is_an_answer),
        cmocka_unit_test(a_cold_stack_is_clean_and_guarded),
        cmocka_unit_test(depth_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
