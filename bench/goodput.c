/* SPDX-License-Identifier: Apache-2.0 */

/*
 * goodput - what is still answered in time when three times too much is asked.
 *
 *     goodput [--json]
 *
 * Shard 1 is a service: a request costs it 100 us of processor. Shard 0 asks it; an answer counts
 * when it comes within 10 ms. First the peak: as much as the service can answer, asked by eight
 * fibers in a circle. Then three times that rate, arriving evenly whatever becomes of the answers:
 *   bare     every request is passed on, as a program without bounds does
 *   guarded  through a circuit breaker, at most half a deadline's worth of requests under way, the
 *            others refused at once; a request whose time is up on arrival is not worked on
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "skein/breaker.h"
#include "skein/core.h"

#define REPEATS 5
#define WORK_NS 100000u
#define DEADLINE_NS 10000000u
#define PEAK_NS 300000000u
#define LOAD_NS 1000000000u
#define PEAK_FIBER_COUNT 8
#define UNDER_WAY_MAX (DEADLINE_NS / WORK_NS / 2)
#define OVERLOAD 3

struct bench {
    bool guarded;
    double peak; /* answers a second */
    struct skein_scope scope;
    struct skein_semaphore under_way;
    struct skein_breaker breaker;
    uint64_t end_ns;
    uint64_t good_count, late_count, refused_count;
};

struct request {
    struct bench *bench;
    uint64_t deadline_ns;
};

static int64_t
work(void *arg)
{
    const struct request *request = arg;
    uint64_t begin_ns = skein_now_ns();
    if (request->bench->guarded && begin_ns >= request->deadline_ns)
        return -SKEIN_ETIMEDOUT;
    while (skein_now_ns() - begin_ns < WORK_NS)
        ;
    return 0;
}

static void
ask(struct request *request)
{
    struct bench *bench = request->bench;
    int64_t rc = skein_call(1, work, request, bench->guarded ? request->deadline_ns : SKEIN_NEVER);
    if (rc == 0 && skein_now_ns() <= request->deadline_ns)
        bench->good_count++;
    else
        bench->late_count++;
}

static void
bare_fiber(void *arg)
{
    struct request *request = arg;
    ask(request);
    skein_free(request);
}

static void
guarded_fiber(void *arg)
{
    struct request *request = arg;
    struct bench *bench = request->bench;
    struct skein_breaker_pass pass;
    if (skein_breaker_allow(&bench->breaker, &pass, skein_now_ns()) < 0) {
        bench->refused_count++;
    } else if (!skein_semaphore_try_acquire(&bench->under_way, 1)) {
        skein_breaker_report(&bench->breaker, &pass, SKEIN_OUTCOME_NONE, skein_now_ns());
        bench->refused_count++;
    } else {
        uint64_t good_count = bench->good_count;
        ask(request);
        enum skein_outcome outcome =
            bench->good_count > good_count ? SKEIN_OUTCOME_OK : SKEIN_OUTCOME_FAILED;
        skein_breaker_report(&bench->breaker, &pass, outcome, skein_now_ns());
        skein_semaphore_release(&bench->under_way, 1);
    }
    skein_free(request);
}

static void
circle_fiber(void *arg)
{
    struct bench *bench = arg;
    while (skein_now_ns() < bench->end_ns) {
        struct request request = {bench, skein_deadline_in(DEADLINE_NS)};
        ask(&request);
    }
}

static void
spawn(struct bench *bench, void (*fn)(void *arg), void *arg)
{
    if (skein_spawn(&bench->scope, "request", fn, arg, SKEIN_STACK_SMALL) < 0) {
        fprintf(stderr, "goodput: no fiber\n");
        exit(1);
    }
}

static void
find_peak(struct bench *bench)
{
    bench->end_ns = skein_deadline_in(PEAK_NS);
    for (int i = 0; i < PEAK_FIBER_COUNT; i++)
        spawn(bench, circle_fiber, bench);
    skein_scope_join(&bench->scope);
    bench->peak = (double)bench->good_count * 1e9 / PEAK_NS;
    bench->good_count = bench->late_count = 0;
}

static void
overload(struct bench *bench)
{
    uint64_t begin_ns = skein_now_ns();
    double every_ns = 1e9 / (bench->peak * OVERLOAD);
    for (uint64_t i = 0; (double)i * every_ns < LOAD_NS; i++) {
        uint64_t due_ns = begin_ns + (uint64_t)((double)i * every_ns);
        while (skein_now_ns() < due_ns)
            skein_yield();
        struct request *request = skein_alloc(sizeof(*request));
        skein_assert(request != NULL);
        *request = (struct request){bench, due_ns + DEADLINE_NS};
        spawn(bench, bench->guarded ? guarded_fiber : bare_fiber, request);
    }
    uint64_t good_count = bench->good_count;
    skein_scope_join(&bench->scope);
    bench->good_count = good_count;
}

static int
bench_main(void *arg)
{
    struct bench *bench = arg;
    struct skein_breaker_options options = SKEIN_BREAKER_OPTIONS_INIT;
    options.window_ns = 100000000;
    options.open_ns = 10000000;
    options.open_ns_max = 40000000;
    skein_scope_init(&bench->scope);
    skein_semaphore_init(&bench->under_way, UNDER_WAY_MAX);
    if (skein_breaker_init(&bench->breaker, &options, skein_now_ns()) < 0)
        return -1;
    find_peak(bench);
    overload(bench);
    return 0;
}

/* Goodput under overload, as a share of the peak. */
static double
measure(bool guarded)
{
    struct bench bench = {.guarded = guarded};
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES];
    int result;
    options.shard_count = 2;
    options.fiber_count_max = 1u << 20;
    int rc = skein_runtime_run(&options, bench_main, &bench, &result, why);
    if (rc < 0 || result < 0) {
        fprintf(stderr, "goodput: %s\n", rc < 0 ? why : "failed");
        exit(1);
    }
    return (double)bench.good_count * 1e9 / LOAD_NS / bench.peak;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    double bare[REPEATS];
    double guarded[REPEATS];
    for (int i = 0; i < REPEATS; i++) {
        bare[i] = measure(false);
        guarded[i] = measure(true);
    }
    qsort(bare, REPEATS, sizeof(bare[0]), compare);
    qsort(guarded, REPEATS, sizeof(guarded[0]), compare);
    if (json) {
        printf("{\"overload\":%d,\"goodput_guarded\":%.3f,\"goodput_bare\":%.3f,\"repeats\":%d}\n",
               OVERLOAD, guarded[REPEATS / 2], bare[REPEATS / 2], REPEATS);
        return 0;
    }
    printf("goodput at %d times the peak rate, of the peak:\n", OVERLOAD);
    printf("guarded %5.1f %% (%.1f-%.1f); at least 80\n", 100 * guarded[REPEATS / 2],
           100 * guarded[0], 100 * guarded[REPEATS - 1]);
    printf("bare    %5.1f %% (%.1f-%.1f)\n", 100 * bare[REPEATS / 2], 100 * bare[0],
           100 * bare[REPEATS - 1]);
    return 0;
}
