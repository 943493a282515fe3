/* SPDX-License-Identifier: Apache-2.0 */

/*
 * fiber - what a fiber costs: a switch, a spawn with its join, a parked one's memory.
 *
 *     fiber [--json] [--parked N]
 *
 * Measured interleaved, one way each: ours, from fiber to fiber through the scheduler, with 64
 * fibers that are ready and with 2, between whose turns the shard looks for completions; the bare
 * register exchange of core/context.h between two stacks, which the processor has learnt by heart;
 * and swapcontext. Then spawn and join of one fiber whose stack comes from the pool. Then N parked
 * fibers (1,000,000): what the process grew by, resident pages and page tables, for each of them,
 * and how many mappings that took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

#include "base/assert.h"
#include "bench/series.h"
#include "core/context.h"
#include "core/uring.h"
#include "skein/fiber.h"

#define REPEATS SERIES_REPEATS
#define SWITCHES 2000000
#define FIBERS 64
#define UCONTEXT_SWITCHES 200000
#define SPAWNS 200000
#define STACK_BYTES 65536

struct bench {
    struct series fiber, pair, bare, ucontext, spawn, spawn_batch;
    size_t parked_count;
    double parked_bytes; /* each */
    double park_ns;      /* spawn and first run, each */
    long mapping_count;
};

/* ---- the peers: two stacks that hand over to each other ---- */

static struct context bare_main, bare_other;
static ucontext_t ucontext_main, ucontext_other;

static void
bare_loop(void *arg)
{
    context_entered(&bare_main);
    for (;;)
        context_switch(&bare_other, &bare_main, false);
}

static void
measure_bare(struct bench *bench)
{
    void *stack = aligned_alloc(4096, STACK_BYTES);
    context_init_self(&bare_main);
    context_init(&bare_other, stack, STACK_BYTES, bare_loop, NULL);
    double start = clock_ns();
    for (int i = 0; i < SWITCHES / 2; i++)
        context_switch(&bare_main, &bare_other, false);
    series_add(&bench->bare, (clock_ns() - start) / SWITCHES);
    context_deinit(&bare_other);
    free(stack);
}

static void
ucontext_loop(void)
{
    for (;;)
        swapcontext(&ucontext_other, &ucontext_main);
}

static void
measure_ucontext(struct bench *bench)
{
    void *stack = aligned_alloc(4096, STACK_BYTES);
    getcontext(&ucontext_other);
    ucontext_other.uc_stack.ss_sp = stack;
    ucontext_other.uc_stack.ss_size = STACK_BYTES;
    makecontext(&ucontext_other, ucontext_loop, 0);
    double start = clock_ns();
    for (int i = 0; i < UCONTEXT_SWITCHES / 2; i++)
        swapcontext(&ucontext_main, &ucontext_other);
    series_add(&bench->ucontext, (clock_ns() - start) / UCONTEXT_SWITCHES);
    free(stack);
}

/* ---- ours ---- */

static void
must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "fiber: %s\n", skein_error_text(rc));
    exit(1);
}

/* Two functions, so that neighbours in the queue go on at different places. */
static void
yields_left(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        skein_yield();
}

static void
yields_right(void *arg)
{
    int count = *(int *)arg;
    while (count-- > 0)
        skein_yield();
}

static void
measure_fiber(struct series *series, int fiber_count)
{
    struct skein_scope scope;
    int count = SWITCHES / fiber_count;
    skein_scope_init(&scope);
    for (int i = 0; i < fiber_count / 2; i++) {
        must(skein_spawn(&scope, "left", yields_left, &count, SKEIN_STACK_SMALL));
        must(skein_spawn(&scope, "right", yields_right, &count, SKEIN_STACK_SMALL));
    }
    double start = clock_ns();
    skein_scope_join(&scope);
    series_add(series, (clock_ns() - start) / SWITCHES);
}

static void
nothing(void *arg)
{
}

static void
measure_spawn(struct bench *bench)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    double start = clock_ns();
    for (int i = 0; i < SPAWNS; i++) {
        must(skein_spawn(&scope, "one", nothing, NULL, SKEIN_STACK_SMALL));
        skein_scope_join(&scope);
    }
    series_add(&bench->spawn, (clock_ns() - start) / SPAWNS);
    start = clock_ns();
    for (int i = 0; i < SPAWNS; i += 64) {
        for (int j = 0; j < 64; j++)
            must(skein_spawn(&scope, "many", nothing, NULL, SKEIN_STACK_SMALL));
        skein_scope_join(&scope);
    }
    series_add(&bench->spawn_batch, (clock_ns() - start) / SPAWNS);
}

static double
status_bytes(const char *key)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key), NULL);
    if (file)
        fclose(file);
    return kib * 1024;
}

static long
mapping_count(void)
{
    long count = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    for (int c; file && (c = fgetc(file)) != EOF;)
        count += c == '\n';
    if (file)
        fclose(file);
    return count;
}

static void
parks(void *arg)
{
    (void)!skein_sleep(SKEIN_NEVER);
}

static void
measure_parked(struct bench *bench)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    long mappings_before = mapping_count();
    double before = status_bytes("VmRSS:") + status_bytes("VmPTE:");
    double start = clock_ns();
    for (size_t i = 0; i < bench->parked_count; i++)
        must(skein_spawn(&scope, "parked", parks, NULL, SKEIN_STACK_SMALL));
    skein_yield();
    bench->park_ns = (clock_ns() - start) / (double)bench->parked_count;
    double after = status_bytes("VmRSS:") + status_bytes("VmPTE:");
    bench->parked_bytes = (after - before) / (double)bench->parked_count;
    bench->mapping_count = mapping_count() - mappings_before;
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
}

static int
bench_main(void *arg)
{
    struct bench *bench = arg;
    for (int i = 0; i < REPEATS; i++) {
        measure_fiber(&bench->fiber, FIBERS);
        measure_fiber(&bench->pair, 2);
        measure_bare(bench);
        measure_ucontext(bench);
        measure_spawn(bench);
    }
    if (bench->parked_count > 0)
        measure_parked(bench);
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
    const struct {
        const char *name;
        struct series *series;
    } rows[] = {
        {"switch_ns", &bench->fiber},     {"switch_pair_ns", &bench->pair},
        {"switch_bare_ns", &bench->bare}, {"switch_ucontext_ns", &bench->ucontext},
        {"spawn_join_ns", &bench->spawn}, {"spawn_join_batch_ns", &bench->spawn_batch},
    };
    printf("{");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        series_print_json(rows[i].name, rows[i].series);
        printf(", ");
    }
    printf("\"parked\": %zu, \"parked_bytes\": %.1f, \"park_ns\": %.1f, \"mappings\": %ld}\n",
           bench->parked_count, bench->parked_bytes, bench->park_ns, bench->mapping_count);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.parked_count = 1000000};
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--parked") == 0 && i + 1 < argc)
            bench.parked_count = strtoul(argv[++i], NULL, 10);
        else
            return fprintf(stderr, "usage: fiber [--json] [--parked N]\n"), 64;
    }
    struct skein_shard_options options = {.stacks = skein_stack_pool_open(),
                                          .fiber_count_max = (uint32_t)bench.parked_count + 100};
    struct skein_shard *shard;
    must(uring_open(&options.backend, 1));
    must(skein_shard_open(&shard, &options));
    must(skein_shard_run(shard, bench_main, &bench));
    skein_shard_close(shard);
    uring_close(options.backend);
    skein_stack_pool_close(options.stacks);
    if (json) {
        print_json(&bench);
        return 0;
    }
    print_row("switch, one way, 64 fibers that yield", &bench.fiber);
    print_row("switch, one way, 2 fibers", &bench.pair);
    print_row("  bare register exchange", &bench.bare);
    print_row("  swapcontext", &bench.ucontext);
    print_row("spawn + join, one at a time", &bench.spawn);
    print_row("spawn + join, 64 at a time", &bench.spawn_batch);
    if (bench.parked_count > 0)
        printf(
            "%zu parked: %.0f bytes each with page tables, %ld mappings, %.0f ns each to begin\n",
            bench.parked_count, bench.parked_bytes, bench.mapping_count, bench.park_ns);
    return 0;
}
