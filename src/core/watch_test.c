/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: on a real thread a fiber that computes is told when its quota is used up; a turn that takes
 * too long is reported with where it was, a few times a minute; a shard that sleeps is left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/check.h"
#include "core/internal.h"
#include "core/symbol.h"
#include "core/uring.h"
#include "obs/log.h"
#include "skein/group.h"
#include "skein/metrics.h"

#define MS UINT64_C(1000000)

struct fixture {
    struct check check;
    struct skein_scope scope;
    char log[16384];
    size_t log_bytes;
    int reports;
    struct skein_shard_options options;
    void (*body)(struct fixture *f);
};

static uint64_t
wall_ns(void *owner)
{
    return 0;
}

static void
write_line(void *owner, const char *line, uint64_t bytes)
{
    struct fixture *f = owner;
    if (f->log_bytes + bytes < sizeof(f->log)) {
        memcpy(f->log + f->log_bytes, line, bytes);
        f->log_bytes += bytes;
    }
    f->reports += memmem(line, bytes, "a turn took long", 16) != NULL;
}

static int
fixture_main(void *arg)
{
    struct fixture *f = arg;
    skein_scope_init(&f->scope);
    f->body(f);
    skein_scope_join(&f->scope);
    return 0;
}

static void
run(void (*body)(struct fixture *f), struct skein_shard_options options)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct obs_sink sink = {f, OBS_INFO, wall_ns, write_line};
    struct skein_shard *shard;
    assert_non_null(f);
    f->body = body;
    f->options = options;
    assert_int_equal(uring_open(&options.backend, 1), 0);
    options.stacks = skein_stack_pool_open();
    obs_set_sink(&sink);
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    assert_int_equal(skein_shard_run(shard, fixture_main, f), 0);
    skein_shard_close(shard);
    obs_set_sink(NULL);
    skein_stack_pool_close(options.stacks);
    uring_close(options.backend);
    assert_int_equal(f->check.failed_count, 0);
    free(f);
}

/* Not inlined, not optimised away: its name has to stand in the report. */
__attribute__((noinline)) static void
compute_for_long(uint64_t duration_ns)
{
    uint64_t end_ns = skein_now_ns() + duration_ns;
    volatile uint64_t sum = 0;
    while (skein_now_ns() < end_ns)
        for (int i = 0; i < 1000; i++)
            sum += (uint64_t)i;
}

/* ---- the quota ---- */

static void
until_told(struct fixture *f)
{
    uint64_t begun_ns = skein_now_ns();
    for (int i = 0; i < 3; i++) {
        uint64_t asked = 0;
        while (!skein_should_yield() && skein_now_ns() - begun_ns < 5000 * MS)
            asked++;
        uint64_t took_ns = skein_now_ns() - begun_ns;
        CHECK(&f->check, asked > 100);
        CHECK(&f->check, took_ns >= SKEIN_GROUP_QUOTA_NS);
        CHECK(&f->check, took_ns < 5000 * MS);
        CHECK(&f->check, skein_should_yield()); /* and so it stays */
        begun_ns = skein_now_ns();
        skein_yield();
        CHECK(&f->check, !skein_should_yield());
    }
}

static void
hog(void *arg)
{
    const uint64_t *end_ns = arg;
    while (skein_now_ns() < *end_ns) {
        if (skein_should_yield())
            skein_yield();
    }
}

/* How well they share is measured by bench/groups, on a quiet machine; here both get slices, of a
 * length that only the timer's signal can have given them. */
static void
two_groups(struct fixture *f)
{
    struct skein_group *a, *b;
    struct skein_group_options options_a = {"a", 100, NULL}, options_b = {"b", 300, NULL};
    struct skein_group_stats stats_a, stats_b;
    CHECK(&f->check, skein_group_open(&a, &options_a) == 0);
    CHECK(&f->check, skein_group_open(&b, &options_b) == 0);
    uint64_t end_ns = skein_now_ns() + 300 * MS;
    for (int i = 0; i < 2; i++) {
        CHECK(&f->check,
              skein_spawn_in(a, &f->scope, "hog a", hog, &end_ns, SKEIN_STACK_SMALL) == 0);
        CHECK(&f->check,
              skein_spawn_in(b, &f->scope, "hog b", hog, &end_ns, SKEIN_STACK_SMALL) == 0);
    }
    skein_scope_join(&f->scope);
    skein_group_stats(a, &stats_a);
    skein_group_stats(b, &stats_b);
    CHECK(&f->check, stats_a.slices > 3 && stats_b.slices > 3);
}

static void
who_computes_is_told(void **state)
{
    run(until_told, (struct skein_shard_options){0});
    run(until_told, (struct skein_shard_options){.stall_ns = SKEIN_NEVER});
}

static void
hogs_share_a_real_processor(void **state)
{
    run(two_groups, (struct skein_shard_options){0});
}

/* ---- stalls ---- */

static void
stall_once(struct fixture *f)
{
    compute_for_long(120 * MS);
    for (int i = 0; i < 1000 && f->reports == 0; i++)
        CHECK(&f->check, skein_sleep(skein_deadline_in(5 * MS)) == 0);
    CHECK(&f->check, f->reports >= 1);
    CHECK(&f->check, strstr(f->log, "warn stall \"a turn took long\" at_least_ms=") != NULL);
    CHECK(&f->check, strstr(f->log, "fiber=\"main\"") != NULL);
    CHECK(&f->check, strstr(f->log, "stall_once") != NULL || strstr(f->log, "_test+0x") != NULL);
}

static void
stall_often(struct fixture *f)
{
    for (int i = 0; i < 12; i++) {
        compute_for_long(20 * MS);
        skein_yield();
    }
    for (int i = 0; i < 1000 && f->reports < 5; i++)
        CHECK(&f->check, skein_sleep(skein_deadline_in(5 * MS)) == 0);
    CHECK(&f->check, skein_sleep(skein_deadline_in(20 * MS)) == 0);
    CHECK(&f->check, f->reports == 5);
}

static void
sleep_long(struct fixture *f)
{
    struct timespec before, after;
    CHECK(&f->check, skein_sleep(skein_deadline_in(20 * MS)) == 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    CHECK(&f->check, skein_sleep(skein_deadline_in(1200 * MS)) == 0);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    int64_t cpu_ns = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
    CHECK(&f->check, cpu_ns < 800000); /* a timer that goes on costs more than 1 ms */
    /* A busy machine may make a turn long, but not as long as the sleep. */
    const char *at = strstr(f->log, "at_least_ms=");
    for (; at; at = strstr(at + 1, "at_least_ms="))
        CHECK(&f->check, strtoul(at + strlen("at_least_ms="), NULL, 10) < 1000);
}

static void
sleep_often(struct fixture *f)
{
    const uint64_t *turns = &shard_current->stats.turns;
    CHECK(&f->check, skein_sleep(skein_deadline_in(20 * MS)) == 0);
    uint64_t before = *turns;
    for (int i = 0; i < 12; i++)
        CHECK(&f->check, skein_sleep(skein_deadline_in(30 * MS)) == 0);
    /* One for each sleep; the timer's would be as many again. */
    CHECK(&f->check, *turns - before >= 12);
    CHECK(&f->check, *turns - before < 18);
}

static void
an_idle_shard_is_let_sleep(void **state)
{
    run(sleep_often, (struct skein_shard_options){0});
}

static void
a_stall_is_reported(void **state)
{
    run(stall_once, (struct skein_shard_options){0});
}

static void
reports_are_few(void **state)
{
    run(stall_often, (struct skein_shard_options){.stall_ns = 4 * MS});
}

static void
a_sleeper_is_no_stall(void **state)
{
    run(sleep_long, (struct skein_shard_options){0});
}

static void
addresses_get_names(void **state)
{
    char text[256];
    void *frames[] = {(void *)(uintptr_t)compute_for_long, (void *)(uintptr_t)16};
    symbol_list(frames, 2, text, sizeof(text));
    assert_true(strstr(text, "compute_for_long") || strstr(text, "_test+0x"));
    assert_non_null(strstr(text, " < 0xf"));
    symbol_list(frames, 2, text, 2);
    assert_true(strlen(text) < 2);
    symbol_list(NULL, 0, text, sizeof(text));
    assert_string_equal(text, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_computes_is_told),       cmocka_unit_test(hogs_share_a_real_processor),
        cmocka_unit_test(a_stall_is_reported),        cmocka_unit_test(reports_are_few),
        cmocka_unit_test(a_sleeper_is_no_stall),      cmocka_unit_test(addresses_get_names),
        cmocka_unit_test(an_idle_shard_is_let_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
