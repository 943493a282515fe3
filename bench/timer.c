/* SPDX-License-Identifier: Apache-2.0 */

/*
 * timer - what a timer costs while a million are armed, and how late it is called.
 *
 *     timer [--json] [--armed N]
 *
 * N timers (1,000,000) are armed with deadlines from 1 to 60 s away and stay armed. Then, each
 * repeated and in ns an operation: arming the million; arming and cancelling one more, as a request
 * does with its timeout; cancelling one of the million, drawn at random, and arming it anew, which
 * is mostly the cost of memory that is in no cache.
 *
 * Lateness, while the shard polls (a fiber is always ready): 500 timers in 250 ms, how long after
 * its deadline each was called. Beside it, in turns, a bare loop on the same thread that reads the
 * clock until the same deadlines have passed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/prng.h"
#include "bench/series.h"
#include "core/uring.h"
#include "skein/fiber.h"
#include "skein/timer.h"

#define REPEATS SERIES_REPEATS
#define OPERATIONS 500000
#define LATE_COUNT 500
#define LATE_SPACING_NS 500000u
#define SECOND 1000000000ull

struct lateness {
    uint64_t late_ns[REPEATS * LATE_COUNT];
    size_t count;
};

struct bench {
    struct prng random;
    struct skein_timer *timers;
    size_t armed_count;
    struct series arm, pair, again;
    struct lateness ours, bare;
    struct skein_timer late[LATE_COUNT];
    size_t pending_count;
};

static int
compare_ns(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double
percentile_us(struct lateness *lateness, size_t per_mille)
{
    qsort(lateness->late_ns, lateness->count, sizeof(uint64_t), compare_ns);
    return (double)lateness->late_ns[(lateness->count - 1) * per_mille / 1000] / 1e3;
}

static void
never_called(void *arg)
{
    (void)arg;
}

static uint64_t
far_away(struct bench *bench, uint64_t now_ns)
{
    return now_ns + SECOND + prng_below(&bench->random, 59 * SECOND);
}

static void
measure_arm(struct bench *bench, bool stay)
{
    uint64_t now_ns = skein_now_ns() + 100 * SECOND;
    for (size_t i = 0; i < bench->armed_count; i++)
        skein_timer_init(&bench->timers[i], never_called, NULL);
    uint64_t start_ns = skein_now_ns();
    for (size_t i = 0; i < bench->armed_count; i++)
        skein_timer_arm(&bench->timers[i], far_away(bench, now_ns));
    double each_ns = (double)(skein_now_ns() - start_ns) / (double)bench->armed_count;
    bench->arm.values[bench->arm.count++] = each_ns;
    for (size_t i = 0; i < bench->armed_count && !stay; i++)
        skein_timer_cancel(&bench->timers[i]);
}

static void
measure_pair(struct bench *bench)
{
    struct skein_timer timers[64];
    uint64_t now_ns = skein_now_ns();
    for (int i = 0; i < 64; i++)
        skein_timer_init(&timers[i], never_called, NULL);
    uint64_t start_ns = skein_now_ns();
    for (int i = 0; i < OPERATIONS; i += 64) {
        for (int j = 0; j < 64; j++)
            skein_timer_arm(&timers[j], far_away(bench, now_ns));
        for (int j = 0; j < 64; j++)
            skein_timer_cancel(&timers[j]);
    }
    bench->pair.values[bench->pair.count++] = (double)(skein_now_ns() - start_ns) / OPERATIONS;
    start_ns = skein_now_ns();
    now_ns += 100 * SECOND;
    for (int i = 0; i < OPERATIONS; i++)
        skein_timer_arm(&bench->timers[prng_below(&bench->random, bench->armed_count)],
                        far_away(bench, now_ns));
    bench->again.values[bench->again.count++] = (double)(skein_now_ns() - start_ns) / OPERATIONS;
}

struct late_call {
    struct bench *bench;
    uint64_t deadline_ns;
};

static struct late_call late_calls[LATE_COUNT];

static void
note_late(void *arg)
{
    struct late_call *call = arg;
    struct lateness *ours = &call->bench->ours;
    ours->late_ns[ours->count++] = skein_now_ns() - call->deadline_ns;
    call->bench->pending_count--;
}

static uint64_t
late_deadline(struct bench *bench, uint64_t start_ns, int i)
{
    return start_ns + (uint64_t)i * LATE_SPACING_NS + prng_below(&bench->random, LATE_SPACING_NS);
}

static void
measure_late(struct bench *bench)
{
    uint64_t start_ns = skein_now_ns() + LATE_SPACING_NS;
    bench->pending_count = LATE_COUNT;
    for (int i = 0; i < LATE_COUNT; i++) {
        late_calls[i] = (struct late_call){bench, late_deadline(bench, start_ns, i)};
        skein_timer_init(&bench->late[i], note_late, &late_calls[i]);
        skein_timer_arm(&bench->late[i], late_calls[i].deadline_ns);
    }
    while (bench->pending_count > 0)
        skein_yield();
    start_ns = skein_now_ns() + LATE_SPACING_NS;
    for (int i = 0; i < LATE_COUNT; i++) {
        uint64_t deadline_ns = late_deadline(bench, start_ns, i);
        uint64_t now_ns;
        while ((now_ns = skein_now_ns()) < deadline_ns)
            ;
        bench->bare.late_ns[bench->bare.count++] = now_ns - deadline_ns;
    }
}

static int
bench_main(void *arg)
{
    struct bench *bench = arg;
    for (int i = 0; i < REPEATS; i++)
        measure_arm(bench, i == REPEATS - 1);
    for (int i = 0; i < REPEATS; i++) {
        measure_pair(bench);
        measure_late(bench);
    }
    for (size_t i = 0; i < bench->armed_count; i++)
        skein_timer_cancel(&bench->timers[i]);
    return 0;
}

static void
print_row(const char *name, struct series *series)
{
    double middle = series_median(series);
    printf("%-44s %8.1f ns   (%.1f to %.1f)\n", name, middle, series->values[0],
           series->values[series->count - 1]);
}

static void
print_json(struct bench *bench)
{
    printf("{\"armed\": %zu, ", bench->armed_count);
    series_print_json("arm_ns", &bench->arm);
    printf(", ");
    series_print_json("arm_cancel_ns", &bench->pair);
    printf(", ");
    series_print_json("rearm_random_ns", &bench->again);
    printf(", \"late_p50_us\": %.2f, \"late_p99_us\": %.2f, ", percentile_us(&bench->ours, 500),
           percentile_us(&bench->ours, 990));
    printf("\"bare_late_p50_us\": %.2f, \"bare_late_p99_us\": %.2f}\n",
           percentile_us(&bench->bare, 500), percentile_us(&bench->bare, 990));
}

static void
print_text(struct bench *bench)
{
    printf("%zu timers armed\n", bench->armed_count);
    print_row("arm, one of the many", &bench->arm);
    print_row("arm and cancel one more, both", &bench->pair);
    print_row("cancel and arm a random one, both", &bench->again);
    printf("late: p50 %.2f us, p99 %.2f us; bare loop: p50 %.2f us, p99 %.2f us\n",
           percentile_us(&bench->ours, 500), percentile_us(&bench->ours, 990),
           percentile_us(&bench->bare, 500), percentile_us(&bench->bare, 990));
}

int
main(int argc, char **argv)
{
    static struct bench bench = {.armed_count = 1000000};
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--armed") == 0 && i + 1 < argc)
            bench.armed_count = strtoul(argv[++i], NULL, 10);
        else
            return fprintf(stderr, "usage: timer [--json] [--armed N]\n"), 64;
    }
    bench.armed_count = bench.armed_count ? bench.armed_count : 1;
    bench.timers = calloc(bench.armed_count, sizeof(bench.timers[0]));
    prng_init(&bench.random, 1);
    struct skein_shard_options options = {.stacks = skein_stack_pool_open()};
    struct skein_shard *shard;
    if (!bench.timers || uring_open(&options.backend, 1) < 0 ||
        skein_shard_open(&shard, &options) < 0 || skein_shard_run(shard, bench_main, &bench) < 0)
        return fprintf(stderr, "timer: could not start\n"), 1;
    skein_shard_close(shard);
    uring_close(options.backend);
    skein_stack_pool_close(options.stacks);
    free(bench.timers);
    if (json)
        print_json(&bench);
    else
        print_text(&bench);
    return 0;
}
