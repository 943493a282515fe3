/* SPDX-License-Identifier: Apache-2.0 */

/*
 * groups - what scheduling groups promise, measured on one shard.
 *
 *     groups [--json] [--seconds S]
 *
 *   shares     two groups with shares 100 and 300, eight fibers each that compute and yield when
 *              skein_should_yield says so: the processor time of each, from the groups' own clocks
 *   critical   the same overload, and a fiber of the critical group that wakes up every 2 ms: how
 *              late it runs, beside how late a bare spinning thread sees the same instants
 *   ask        what one skein_should_yield costs
 *   idle       the processor time of a shard on which one fiber sleeps for 10 s
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/assert.h"
#include "core/uring.h"
#include "skein/group.h"
#include "skein/metrics.h"

#define MS UINT64_C(1000000)
#define REPEATS 5
#define HOGS 8
#define ASKS 20000000

struct bench {
    uint64_t end_ns;
    uint64_t shares_ns, critical_ns, idle_ns; /* of each part */
    struct skein_scope scope;
    struct skein_histogram *lateness;
    double ratio[REPEATS];
    double p50_us[REPEATS], p99_us[REPEATS], bare_p99_us[REPEATS];
    double ask_ns;
    double idle_percent;
    int round;
};

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
hog(void *arg)
{
    struct bench *bench = arg;
    volatile uint64_t sum = 0;
    while (skein_now_ns() < bench->end_ns) {
        for (uint64_t i = 0; i < 1000; i++)
            sum += i;
        if (skein_should_yield())
            skein_yield();
    }
}

static void
spawn(struct bench *bench, struct skein_group *group, void (*fn)(void *arg), int count)
{
    for (int i = 0; i < count; i++) {
        int rc = skein_spawn_in(group, &bench->scope, "hog", fn, bench, SKEIN_STACK_SMALL);
        skein_assert(rc == 0);
    }
}

static uint64_t
run_ns(const struct skein_group *group)
{
    struct skein_group_stats stats;
    skein_group_stats(group, &stats);
    return stats.run_ns;
}

static void
critical(void *arg)
{
    struct bench *bench = arg;
    while (skein_now_ns() < bench->end_ns) {
        uint64_t due_ns = skein_deadline_in(2 * MS);
        int rc = skein_sleep(due_ns);
        skein_assert(rc == 0);
        skein_histogram_record(bench->lateness, skein_now_ns() - due_ns);
    }
}

/* A thread that does nothing but look at the clock, as busy as the hogs: how late it sees an
 * instant is what the machine takes away (other processes, the host). Runs between two parts of the
 * shard, so that it has the same neighbours. */
static double
measure_bare(struct bench *bench)
{
    skein_histogram_reset(bench->lateness);
    bench->end_ns = skein_deadline_in(bench->critical_ns);
    while (skein_now_ns() < bench->end_ns) {
        uint64_t due_ns = skein_deadline_in(2 * MS), now_ns;
        do {
            now_ns = skein_now_ns();
        } while (now_ns < due_ns);
        skein_histogram_record(bench->lateness, now_ns - due_ns);
    }
    return (double)skein_histogram_quantile(bench->lateness, 0.99) / 1e3;
}

static void
measure_round(struct bench *bench, struct skein_group *a, struct skein_group *b)
{
    uint64_t a_before = run_ns(a), b_before = run_ns(b);
    bench->end_ns = skein_deadline_in(bench->shares_ns);
    spawn(bench, a, hog, HOGS);
    spawn(bench, b, hog, HOGS);
    skein_scope_join(&bench->scope);
    bench->ratio[bench->round] = (double)(run_ns(b) - b_before) / (double)(run_ns(a) - a_before);
    bench->bare_p99_us[bench->round] = measure_bare(bench);
    skein_histogram_reset(bench->lateness);
    bench->end_ns = skein_deadline_in(bench->critical_ns);
    spawn(bench, a, hog, HOGS);
    spawn(bench, b, hog, HOGS);
    spawn(bench, skein_group_preset(SKEIN_PRIORITY_CRITICAL), critical, 1);
    skein_scope_join(&bench->scope);
    bench->p50_us[bench->round] = (double)skein_histogram_quantile(bench->lateness, 0.5) / 1e3;
    bench->p99_us[bench->round] = (double)skein_histogram_quantile(bench->lateness, 0.99) / 1e3;
}

static double
measure_ask(void)
{
    uint64_t begun_ns = skein_now_ns(), told = 0;
    for (int i = 0; i < ASKS; i++) {
        if (skein_should_yield()) {
            told++;
            skein_yield();
        }
    }
    skein_assert(told < ASKS / 2);
    return (double)(skein_now_ns() - begun_ns) / ASKS;
}

static double
cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double
measure_idle(struct bench *bench)
{
    int rc = skein_sleep(skein_deadline_in(100 * MS));
    double before_ns = cpu_ns();
    rc = rc == 0 ? skein_sleep(skein_deadline_in(bench->idle_ns)) : rc;
    skein_assert(rc == 0);
    return (cpu_ns() - before_ns) / (double)bench->idle_ns * 100;
}

static int
bench_main(void *arg)
{
    struct bench *bench = arg;
    struct skein_group *a, *b;
    struct skein_group_options options_a = {"a", 100, NULL}, options_b = {"b", 300, NULL};
    skein_scope_init(&bench->scope);
    bench->idle_percent = measure_idle(bench);
    int rc = skein_group_open(&a, &options_a);
    rc = rc == 0 ? skein_group_open(&b, &options_b) : rc;
    skein_assert(rc == 0);
    bench->ask_ns = measure_ask();
    for (bench->round = 0; bench->round < REPEATS; bench->round++)
        measure_round(bench, a, b);
    return 0;
}

static void
print(struct bench *bench, bool json)
{
    qsort(bench->ratio, REPEATS, sizeof(double), compare);
    qsort(bench->p50_us, REPEATS, sizeof(double), compare);
    qsort(bench->p99_us, REPEATS, sizeof(double), compare);
    qsort(bench->bare_p99_us, REPEATS, sizeof(double), compare);
    double ratio = bench->ratio[REPEATS / 2], p50 = bench->p50_us[REPEATS / 2],
           p99 = bench->p99_us[REPEATS / 2], bare = bench->bare_p99_us[REPEATS / 2];
    if (json) {
        printf("{\"bench\": \"groups\", \"cpu_ratio\": %.4f, \"cpu_ratio_min\": %.4f, "
               "\"cpu_ratio_max\": %.4f, \"critical_p50_us\": %.1f, \"critical_p99_us\": %.1f, "
               "\"critical_p99_us_max\": %.1f, \"bare_p99_us\": %.1f, \"quota_us\": %.1f, "
               "\"should_yield_ns\": %.2f, "
               "\"idle_cpu_percent\": %.4f}\n",
               ratio, bench->ratio[0], bench->ratio[REPEATS - 1], p50, p99,
               bench->p99_us[REPEATS - 1], bare, SKEIN_GROUP_QUOTA_NS / 1e3, bench->ask_ns,
               bench->idle_percent);
        return;
    }
    printf("shares 100:300   processor time 1:%.3f (%.3f to %.3f), 1:3 wanted within 5 %%\n", ratio,
           bench->ratio[0], bench->ratio[REPEATS - 1]);
    printf("critical group   lateness p50 %.0f us, p99 %.0f us (at worst %.0f); two quotas: %.0f\n",
           p50, p99, bench->p99_us[REPEATS - 1], 2 * SKEIN_GROUP_QUOTA_NS / 1e3);
    printf("  a bare spinning thread: p99 %.0f us\n", bare);
    printf("should_yield     %.2f ns\n", bench->ask_ns);
    printf("idle             %.4f %% of a processor\n", bench->idle_percent);
}

int
main(int argc, char **argv)
{
    static const struct skein_histogram_options lateness = {
        .lowest = 1000, .highest = 10000000000, .digits = 3};
    struct bench bench = {0};
    struct skein_shard_options options = {0};
    struct skein_shard *shard;
    double seconds = 20;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
    }
    bench.idle_ns = (uint64_t)(seconds / 4 * 1e9);
    bench.shares_ns = bench.critical_ns = (uint64_t)(seconds / 4 / REPEATS * 1e9);
    int rc = skein_histogram_open(&bench.lateness, &lateness);
    skein_assert(rc == 0);
    rc = uring_open(&options.backend, 1);
    if (rc < 0) {
        fprintf(stderr, "groups: io_uring: %s\n", skein_error_text(rc));
        return 1;
    }
    options.stacks = skein_stack_pool_open();
    rc = skein_shard_open(&shard, &options);
    skein_assert(rc == 0);
    skein_shard_run(shard, bench_main, &bench);
    skein_shard_close(shard);
    skein_stack_pool_close(options.stacks);
    uring_close(options.backend);
    skein_histogram_close(bench.lateness);
    print(&bench, json);
    return 0;
}
