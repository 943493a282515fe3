/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a run is derived from its seed alone (the same trace twice, byte for byte, another one for
 * another seed), whole clusters pass, a child that dies is a result with its seed, and with a known
 * bug the simulator sees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mutation.h"
#include "sim/draw.h"
#include "sim/faults.h"
#include "sim/shrink.h"
#include "sim/sweep.h"

#define SECONDS 10

static char *
trace_of(uint64_t seed, size_t *out_bytes, struct sim_run_result *out_result)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, out_bytes);
    assert_non_null(file);
    struct sim_run_options options = {.seed = seed, .seconds = SECONDS, .trace = file};
    sim_run(&options, out_result);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void
a_seed_gives_the_same_trace_twice(void **state)
{
    uint64_t hash = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct sim_run_result first, second;
        size_t first_bytes, second_bytes;
        char *a = trace_of(seed, &first_bytes, &first);
        char *b = trace_of(seed, &second_bytes, &second);
        assert_int_equal(first.verdict, SIM_PASSED);
        assert_true(first_bytes > 100000);
        assert_int_equal(first_bytes, second_bytes);
        assert_memory_equal(a, b, first_bytes);
        assert_int_equal(first.trace_hash, second.trace_hash);
        assert_int_not_equal(first.trace_hash, hash);
        hash = first.trace_hash;
        free(a);
        free(b);
    }
}

static void
the_trace_costs_no_event(void **state)
{
    struct sim_run_result with, without;
    size_t bytes;
    free(trace_of(5, &bytes, &with));
    struct sim_run_options options = {.seed = 5, .seconds = SECONDS};
    sim_run(&options, &without);
    assert_int_equal(with.trace_hash, without.trace_hash);
    assert_int_equal(with.event_count, without.event_count);
}

struct tally {
    uint64_t seen, seeds_sum, checked_ops, checkpoints, snapshots, crashes, elections;
};

static void
on_result(void *owner, uint64_t seed, const struct sim_run_result *result)
{
    struct tally *tally = owner;
    tally->seen++;
    tally->seeds_sum += seed;
    tally->checked_ops += result->checked_ops;
    tally->checkpoints += result->checkpoints;
    tally->snapshots += result->snapshots;
    tally->crashes += result->crashes;
    tally->elections += result->elections;
    if (result->verdict != SIM_PASSED)
        print_error("seed %d: %s\n", (int)seed, result->reason);
}

/* A second in which nothing happens proves nothing: what the runs are for has to have happened. */
static void
seeds_pass_and_much_happens(void **state)
{
    struct tally tally = {0};
    struct sim_sweep_result sum;
    struct sim_sweep_options options = {.run.seconds = SECONDS,
                                        .first_seed = 10,
                                        .seed_count = 12,
                                        .job_count = 2,
                                        .on_result = on_result,
                                        .owner = &tally};
    assert_int_equal(sim_sweep(&options, &sum), 0);
    assert_int_equal(sum.failed, 0);
    assert_int_equal(sum.passed, 12);
    assert_int_equal(tally.seen, 12);
    assert_int_equal(tally.seeds_sum, 12 * 10 + 66);
    assert_int_equal(sum.checked_ops, tally.checked_ops);
    assert_true(tally.checked_ops > 12 * 200);
    assert_true(tally.checkpoints > 100);
    assert_true(tally.snapshots > 5);
    assert_true(tally.crashes > 20);
    assert_true(tally.elections > 20);
}

static void
all_sizes_of_a_cluster_serve(void **state)
{
    for (uint32_t i = 0; i < 25; i++) {
        uint32_t nodes = 1 + i % 5;
        struct sim_run_result result;
        struct sim_run_options options = {.seed = i, .seconds = SECONDS, .node_count = nodes};
        sim_run(&options, &result);
        if (result.verdict != SIM_PASSED)
            print_error("%u nodes: %s\n", nodes, result.reason);
        assert_int_equal(result.verdict, SIM_PASSED);
    }
}

static void
known_bugs_are_seen(void **state)
{
#ifdef SKEIN_MUTATIONS
    struct sim_sweep_result sum;
    struct sim_sweep_options options = {
        .first_seed = 1, .seed_count = 20, .job_count = 2, .stop_at_failure = true};
    mutation_select(MUTATION_NO_TRUNCATE);
    assert_int_equal(sim_sweep(&options, &sum), 0);
    mutation_select(MUTATION_NONE);
    assert_true(sum.failed > 0);
    assert_int_equal(sum.verdict, SIM_SAFETY);
    /* Also where it is not the first group's. */
    struct sim_run_options options_of_groups = {.group_count = 3};
    struct sim_run_result result = {0};
    mutation_select(MUTATION_NO_TRUNCATE);
    for (options_of_groups.seed = 1; options_of_groups.seed <= 40; options_of_groups.seed++) {
        sim_run(&options_of_groups, &result);
        if (strncmp(result.reason, "group ", 6) == 0 && result.reason[6] != '0')
            break;
    }
    mutation_select(MUTATION_NONE);
    assert_in_range(options_of_groups.seed, 1, 40);
#else
    skip();
#endif
}

/* Members come and go while things break; the same each time. */
static void
members_change(void **state)
{
    uint64_t changes = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct sim_run_result first, second;
        struct sim_run_options options = {.seed = seed, .seconds = SECONDS, .members = true};
        sim_run(&options, &first);
        if (first.verdict != SIM_PASSED)
            print_error("seed %d: %s\n", (int)seed, first.reason);
        assert_int_equal(first.verdict, SIM_PASSED);
        changes += first.member_changes;
        if (seed > 1)
            continue;
        sim_run(&options, &second);
        assert_int_equal(first.trace_hash, second.trace_hash);
    }
    assert_true(changes >= 20);
}

struct groups_seen {
    uint64_t group_count, slept, quiet;
};

static void
on_groups(void *owner, uint64_t seed, const struct sim_run_result *result)
{
    struct groups_seen *seen = owner;
    seen->group_count += result->group_count > 1;
    seen->slept += result->slept > 0;
    if (result->verdict != SIM_PASSED)
        print_error("seed %d: %s\n", (int)seed, result->reason);
}

/* Some seeds draw several groups, and some let them sleep; what is asked for is drawn no more. */
static void
groups_are_drawn_and_sleep(void **state)
{
    struct groups_seen drawn = {0}, asked = {0};
    struct sim_sweep_result sum;
    struct sim_sweep_options options = {.run.seconds = 2,
                                        .first_seed = 1,
                                        .seed_count = 16,
                                        .job_count = 2,
                                        .on_result = on_groups,
                                        .owner = &drawn};
    assert_int_equal(sim_sweep(&options, &sum), 0);
    assert_int_equal(sum.failed, 0);
    assert_in_range(drawn.group_count, 2, 8);
    assert_in_range(drawn.slept, 1, 8);
    options.run.group_count = 4;
    options.run.quiesce = true;
    options.run.seconds = SECONDS;
    options.seed_count = 6;
    options.owner = &asked;
    assert_int_equal(sim_sweep(&options, &sum), 0);
    assert_int_equal(sum.failed, 0);
    assert_int_equal(asked.group_count, 6);
    assert_int_equal(asked.slept, 6);
    struct sim_run_options again = options.run;
    struct sim_run_result first, second;
    again.seed = 3;
    sim_run(&again, &first);
    sim_run(&again, &second);
    assert_int_equal(first.trace_hash, second.trace_hash);
}

/* A hundred changes under load with nothing broken: what a change does by itself may cost no more
 * than one election, which takes a second at most at the longest ticks that are drawn. */
static void
a_hundred_changes_of_members(void **state)
{
    uint64_t changes = 0;
    struct sim_run_options options = {
        .seed = 2, .seconds = 120, .members = true, .client_count = 8};
    assert_int_equal(sim_faults_parse("none", &options.faults_off), 0);
    for (; changes < 100 && options.seed <= 4; options.seed++) {
        struct sim_run_result result;
        sim_run(&options, &result);
        if (result.verdict != SIM_PASSED)
            print_error("seed %d: %s\n", (int)options.seed, result.reason);
        assert_int_equal(result.verdict, SIM_PASSED);
        assert_true(result.write_gap_ns_max > 0);
        assert_true(result.write_gap_ns_max <= SIM_SECOND);
        changes += result.member_changes;
    }
    assert_true(changes >= 100);
}

/* All of the page is in it, and the data is what the run did. */
static void
a_run_is_drawn(void **state)
{
    struct sim_run_result result;
    size_t trace_bytes, page_bytes;
    char *trace = trace_of(6, &trace_bytes, &result), *page = NULL;
    FILE *in = fmemopen(trace, trace_bytes, "r"), *out = open_memstream(&page, &page_bytes);
    const struct sim_run_options options = {.seed = 6};
    assert_non_null(in);
    assert_non_null(out);
    sim_draw_run(in, &options, &result, out);
    fclose(in);
    fclose(out);
    assert_non_null(strstr(page, "\"raft.append\""));
    assert_non_null(strstr(page, "host.crash"));
    assert_non_null(strstr(page, "state 3 "));
    assert_null(strstr(page, "http"));
    assert_null(strstr(page, " src="));
    assert_string_equal(page + page_bytes - 8, "</html>\n");
    free(trace);
    free(page);
}

static void
faults_are_named(void **state)
{
    uint32_t off = 0;
    assert_int_equal(sim_faults_parse("none", &off), 0);
    assert_int_equal(off, (1u << (SIM_FAULT_COUNT + 1)) - 1);
    assert_int_equal(sim_faults_parse("crash,aimed", &off), 0);
    assert_int_equal(off, (1u << SIM_FAULT_COUNT) - 1 - (1u << SIM_FAULT_CRASH));
    assert_int_equal(sim_faults_parse("crash,flood", &off), -SKEIN_EINVALID);
    assert_int_equal(sim_faults_parse("cras", &off), -SKEIN_EINVALID);
}

/* Nothing breaks: nobody crashes, and one election is enough. */
static void
without_faults_nothing_happens(void **state)
{
    struct sim_run_options options = {.seed = 9, .seconds = SECONDS, .group_count = 1};
    struct sim_run_result result;
    assert_int_equal(sim_faults_parse("none", &options.faults_off), 0);
    sim_run(&options, &result);
    assert_int_equal(result.verdict, SIM_PASSED);
    assert_in_range(result.crashes, 0, 2); /* the minority that is not healed */
    assert_in_range(result.elections, 1, 4);
}

static void
a_failure_is_shrunk(void **state)
{
    struct sim_run_options options = {.seed = 1, .seconds = SECONDS, .group_count = 1};
    struct sim_shrink_result shrunk;
    assert_int_equal(sim_shrink(&options, NULL, NULL, &shrunk), -SKEIN_ENOTFOUND);
#ifdef SKEIN_MUTATIONS
    mutation_select(MUTATION_READ_OWN_STATE);
    assert_int_equal(sim_shrink(&options, NULL, NULL, &shrunk), 0);
    mutation_select(MUTATION_NONE);
    assert_int_equal(shrunk.result.verdict, SIM_SAFETY);
    assert_in_range(shrunk.options.seconds, 1, SECONDS);
    assert_true(shrunk.options.faults_off != 0);
#endif
}

/* Three of the former build become three of this one while clients write. */
static void
a_cluster_is_upgraded(void **state)
{
    struct sim_run_options options = {.node_count = 3, .seconds = SECONDS};
    struct sim_run_result result;
    char why[SIM_SETTINGS_WHY_BYTES];
    uint64_t upgrades = 0;
    assert_int_equal(sim_settings_take(&options.settings, "upgrade=on", why), 0);
    for (options.seed = 1; options.seed <= 4; options.seed++) {
        sim_run(&options, &result);
        assert_int_equal(result.verdict, SIM_PASSED);
        assert_in_range(result.upgrades, 1, 3);
        upgrades += result.upgrades;
    }
    assert_true(upgrades >= 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_trace_twice),
        cmocka_unit_test(the_trace_costs_no_event),
        cmocka_unit_test(seeds_pass_and_much_happens),
        cmocka_unit_test(all_sizes_of_a_cluster_serve),
        cmocka_unit_test(groups_are_drawn_and_sleep),
        cmocka_unit_test(members_change),
        cmocka_unit_test(a_hundred_changes_of_members),
        cmocka_unit_test(a_cluster_is_upgraded),
        cmocka_unit_test(known_bugs_are_seen),
        cmocka_unit_test(a_run_is_drawn),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(without_faults_nothing_happens),
        cmocka_unit_test(a_failure_is_shrunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
