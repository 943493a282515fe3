/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a user's program runs in the simulator as it promises: bad options are refused, a failure
 * and a workload that never ends are told apart, faults stop when it is calm, and the same options
 * give the same run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "skein/fiber.h"
#include "skein/shard.h"
#include "skein/sim.h"

#define SECOND 1000000000ull

static int
idle_node(struct skein_sim *sim, uint32_t node, void *arg)
{
    return skein_sleep(SKEIN_NEVER);
}

static int
ending_node(struct skein_sim *sim, uint32_t node, void *arg)
{
    (void)skein_sleep(skein_deadline_in(SECOND));
    return 0;
}

static int
until_calm(struct skein_sim *sim, void *arg)
{
    while (!skein_sim_calm(sim))
        (void)skein_sleep(skein_deadline_in(SECOND));
    return 0;
}

static int
failing(struct skein_sim *sim, void *arg)
{
    skein_sim_fail(sim, "the %s reason", "first");
    skein_sim_fail(sim, "another one");
    return 0;
}

static int
five(struct skein_sim *sim, void *arg)
{
    return 5;
}

static int
never(struct skein_sim *sim, void *arg)
{
    return skein_sleep(SKEIN_NEVER);
}

static struct skein_sim_options
options_of(int (*workload)(struct skein_sim *sim, void *arg))
{
    struct skein_sim_options options = SKEIN_SIM_OPTIONS_INIT;
    options.seed = 7;
    options.node_main = idle_node;
    options.workload_main = workload;
    return options;
}

static void
bad_options_are_refused(void **state)
{
    struct skein_sim_result result;
    for (int i = 0; i < 6; i++) {
        struct skein_sim_options options = options_of(until_calm);
        options.node_count = i == 0 ? 0 : i == 1 ? SKEIN_SIM_NODES_MAX + 1 : 3;
        options.node_main = i == 2 ? NULL : idle_node;
        options.workload_main = i == 3 ? NULL : until_calm;
        options.faults = i == 4 ? SKEIN_SIM_FAULTS_ALL + 1u : 0;
        options.time_ns_max = i == 5 ? SECOND : 0;
        assert_int_equal(skein_sim_run(&options, &result), -SKEIN_EINVALID);
    }
}

static void
verdicts_are_told_apart(void **state)
{
    struct skein_sim_result result;
    struct skein_sim_options options = options_of(until_calm);
    assert_int_equal(skein_sim_run(&options, &result), 0);
    assert_int_equal(result.verdict, SKEIN_SIM_PASSED);
    options = options_of(failing);
    assert_int_equal(skein_sim_run(&options, &result), 0);
    assert_int_equal(result.verdict, SKEIN_SIM_SAFETY);
    assert_string_equal(result.why, "the first reason");
    options = options_of(five);
    assert_int_equal(skein_sim_run(&options, &result), 0);
    assert_int_equal(result.verdict, SKEIN_SIM_SAFETY);
    options = options_of(never);
    options.time_ns_max = 40 * SECOND;
    assert_int_equal(skein_sim_run(&options, &result), 0);
    assert_int_equal(result.verdict, SKEIN_SIM_LIVENESS);
    assert_true(result.simulated_ns == 40 * SECOND);
}

static void
every_fault_comes_and_runs_repeat(void **state)
{
    uint64_t hash = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct skein_sim_result first, second;
        struct skein_sim_options options = options_of(until_calm);
        options.seed = seed;
        options.node_count = SKEIN_SIM_NODES_MAX;
        options.faults = SKEIN_SIM_FAULTS_ALL;
        options.node_main = seed % 2 ? idle_node : ending_node;
        assert_int_equal(skein_sim_run(&options, &first), 0);
        assert_int_equal(skein_sim_run(&options, &second), 0);
        assert_int_equal(first.verdict, SKEIN_SIM_PASSED);
        assert_true(first.trace_hash == second.trace_hash);
        assert_true(first.trace_hash != hash);
        assert_true(first.crashes > 0);
        assert_true(seed % 2 ? first.exits == 0 : first.exits > 100);
        hash = first.trace_hash;
    }
}

static void
without_faults_nothing_breaks(void **state)
{
    struct skein_sim_result result;
    struct skein_sim_options options = options_of(until_calm);
    options.faults = 0;
    assert_int_equal(skein_sim_run(&options, &result), 0);
    assert_int_equal(result.verdict, SKEIN_SIM_PASSED);
    assert_true(result.crashes == 0);
    assert_true(result.faults == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(verdicts_are_told_apart),
        cmocka_unit_test(every_fault_comes_and_runs_repeat),
        cmocka_unit_test(without_faults_nothing_breaks),
    };
    return cmocka_run_group_tests_name("sim/user", tests, NULL, NULL);
}
