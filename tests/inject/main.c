/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject - run every case shuffled, cancelled and short of memory; see inject.h.
 *
 *     inject [--seeds N] [--start N] [--points N] [--case NAME]
 *     inject --case NAME --start SEED --kind shuffle|cancel|allocate --point N      one run
 *
 * For each seed each case is run undisturbed, then shuffled; then cancelled at, and then refused
 * memory at, up to N points (0: every one), drawn from the seed. Exit status 0 when all held, else
 * 1 and one line for each failure, with the command that repeats it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "inject/inject.h"
#include "skein/error.h"

#define CASE_COUNT_MAX 128

static const char *const kind_names[] = {"nothing", "shuffle", "cancel", "allocate"};

struct totals {
    uint64_t run_count, failed_count;
    uint64_t cancel_count, allocate_count;
};

/* The line that repeats the run under way, for when it ends the process. */
static char replay[256];

static void
on_abort(int number)
{
    ssize_t n = write(STDERR_FILENO, replay, strlen(replay));
    (void)n;
    signal(number, SIG_DFL);
    raise(number);
}

static struct inject_outcome
run_one(const struct inject_plan *plan, struct totals *totals)
{
    snprintf(replay, sizeof(replay),
             "inject: FAILED; again: inject --case %s --start %llu --kind %s --point %llu\n",
             plan->one->name, (unsigned long long)plan->seed, kind_names[plan->kind],
             (unsigned long long)plan->point);
    struct inject_outcome outcome = inject_run(plan);
    bool undisturbed = plan->kind == INJECT_NOTHING || plan->kind == INJECT_SHUFFLE;
    bool ok = outcome.finished && outcome.leaked_bytes == 0;
    totals->run_count++;
    if (ok && (!undisturbed || outcome.result == 0))
        return outcome;
    totals->failed_count++;
    fprintf(stderr, "%sinject: finished %d, result %s (%d), %zu bytes not freed\n", replay,
            outcome.finished, skein_error_name(outcome.result), outcome.result,
            outcome.leaked_bytes);
    return outcome;
}

/* Every point up to @count, or @point_count of them. */
static void
run_points(struct inject_plan *plan, uint64_t count, uint64_t point_count, struct totals *totals)
{
    struct prng random;
    prng_init(&random, plan->seed);
    bool all = point_count == 0 || count <= point_count;
    for (uint64_t i = 1; i <= (all ? count : point_count); i++) {
        plan->point = all ? i : 1 + prng_below(&random, count);
        run_one(plan, totals);
        totals->cancel_count += plan->kind == INJECT_CANCEL;
        totals->allocate_count += plan->kind == INJECT_ALLOCATE;
    }
}

static void
run_case(const struct inject_case *one, uint64_t seed, uint64_t point_count, struct totals *totals)
{
    struct inject_plan plan = {.one = one, .seed = seed};
    struct inject_outcome whole = run_one(&plan, totals);
    plan.kind = INJECT_SHUFFLE;
    run_one(&plan, totals);
    if (!one->robust)
        return;
    plan.kind = INJECT_CANCEL;
    run_points(&plan, whole.suspension_count, point_count, totals);
    if (one->dies_without_memory)
        return;
    plan.kind = INJECT_ALLOCATE;
    run_points(&plan, whole.allocation_count, point_count, totals);
}

struct flags {
    uint64_t seeds, start, points, point;
    const char *name;
    const char *kind;
};

static int
usage(void)
{
    fputs("usage: inject [--seeds N] [--start N] [--points N] [--case NAME]\n"
          "              [--kind nothing|shuffle|cancel|allocate --point N]\n",
          stderr);
    return 64;
}

static bool
parse(int argc, char **argv, struct flags *flags)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 >= argc)
            return false;
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0)
            flags->seeds = number;
        else if (strcmp(argv[i], "--start") == 0)
            flags->start = number;
        else if (strcmp(argv[i], "--points") == 0)
            flags->points = number;
        else if (strcmp(argv[i], "--point") == 0)
            flags->point = number;
        else if (strcmp(argv[i], "--case") == 0)
            flags->name = argv[i + 1];
        else if (strcmp(argv[i], "--kind") == 0)
            flags->kind = argv[i + 1];
        else
            return false;
    }
    return true;
}

static size_t
list_cases(struct inject_case *cases)
{
    size_t count = 0;
    cases[count++] = inject_mixed_case;
    cases[count++] = inject_io_case;
    cases[count++] = inject_net_case;
    cases[count++] = inject_shards_case;
    cases[count++] = inject_memory_case;
    cases[count++] = inject_listener_case;
    cases[count++] = inject_node_case;
    cases[count++] = inject_clients_case;
    for (size_t i = 0; count < CASE_COUNT_MAX; i++) {
        cases[count] = inject_backend_case(i);
        if (!cases[count].name)
            break;
        count++;
    }
    return count;
}

static int
run_single(const struct flags *flags, const struct inject_case *one)
{
    struct totals totals = {0};
    struct inject_plan plan = {.one = one, .seed = flags->start, .point = flags->point};
    for (int kind = INJECT_NOTHING; kind <= INJECT_ALLOCATE; kind++)
        if (strcmp(flags->kind, kind_names[kind]) == 0)
            plan.kind = (enum inject_kind)kind;
    run_one(&plan, &totals);
    return totals.failed_count > 0;
}

int
main(int argc, char **argv)
{
    static struct inject_case cases[CASE_COUNT_MAX];
    struct flags flags = {.seeds = 1, .start = 1, .points = 20};
    struct totals totals = {0};
    if (!parse(argc, argv, &flags))
        return usage();
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    size_t case_count = list_cases(cases);
    for (uint64_t seed = flags.start; seed < flags.start + flags.seeds; seed++)
        for (size_t i = 0; i < case_count; i++) {
            if (flags.name && strcmp(flags.name, cases[i].name) != 0)
                continue;
            if (flags.kind)
                return run_single(&flags, &cases[i]);
            run_case(&cases[i], seed, flags.points, &totals);
        }
    printf("%llu runs (%llu cancelled, %llu short of memory), %llu failed\n",
           (unsigned long long)totals.run_count, (unsigned long long)totals.cancel_count,
           (unsigned long long)totals.allocate_count, (unsigned long long)totals.failed_count);
    return totals.failed_count > 0 || totals.run_count == 0;
}
