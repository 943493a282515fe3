/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a user's program runs in the simulator as it promises: bad options are refused, a failure
 * and a workload that never ends are told apart, faults stop when it is calm, and the same options
 * give the same run.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/memory.h"
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

static void
what_is_set_is_in_the_options(void **state)
{
    struct skein_sim_options options = options_of(until_calm);
    char why[SKEIN_SIM_WHY_BYTES] = "";
    assert_int_equal(skein_sim_set(&options, "crash=40,loss=5.5%,clock=off,rot=on", why), 0);
    assert_int_equal(options.weights[0], 40);
    assert_int_equal(options.always.loss, 55);
    assert_true((options.faults & SKEIN_SIM_LOSS) != 0);
    assert_true((options.faults & SKEIN_SIM_CLOCK) == 0);
    assert_true((options.faults & SKEIN_SIM_ROT) != 0);
    assert_int_equal(skein_sim_set(&options, "loss=off,fault-gap-ms=20", why), 0);
    assert_int_equal(options.always.loss, 0);
    assert_true((options.faults & SKEIN_SIM_LOSS) == 0);
    assert_true(options.fault_gap_ns_max == SECOND / 50);
    static const char *const bad[] = {"flood=on",      "crash",        "crash=1001",
                                      "crash=5%",      "late=101%",    "late=7",
                                      "faults-ms=0",   "faults-ms=on", "memory=0.1%,torn=x",
                                      "memory=1% and", "=on",          "CRASH=on"};
    const struct skein_sim_options before = options;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        why[0] = '\0';
        assert_int_equal(skein_sim_set(&options, bad[i], why), -SKEIN_EINVALID);
        assert_true(why[0] != '\0');
        assert_memory_equal(&options, &before, sizeof(options));
    }
}

static void
a_plan_is_read(void **state)
{
    static char text[] = "# a bad disk\n\n rot = 30 # often\nread-error = 2%\n";
    static char wrong[] = "rot = on\nsnow = on\n";
    struct skein_sim_options options = options_of(until_calm);
    char why[SKEIN_SIM_WHY_BYTES] = "";
    FILE *file = fmemopen(text, sizeof(text) - 1, "r");
    assert_int_equal(skein_sim_plan(&options, file, why), 0);
    fclose(file);
    assert_int_equal(options.always.read_error, 20);
    assert_int_equal(options.weights[14], 30);
    file = fmemopen(wrong, sizeof(wrong) - 1, "r");
    assert_int_equal(skein_sim_plan(&options, file, why), -SKEIN_EINVALID);
    fclose(file);
    assert_non_null(strstr(why, "line 2"));
}

#define BLOCK 4096
#define BLOCKS 64

/* What a node whose disk lies to it has seen. */
struct seen {
    bool noise, torn, unread, no_memory;
};

/* Each block holds its own number in every byte; a second file is written anew again and again. */
static int
write_blocks(int file, uint8_t mark, uint32_t flags)
{
    uint8_t block[BLOCK];
    int rc = 0;
    for (uint64_t i = 0; i < BLOCKS && rc == 0; i++) {
        memset(block, (int)(i ^ mark), sizeof(block));
        rc = skein_file_pwrite(file, block, sizeof(block), i * BLOCK, flags);
    }
    return rc;
}

static void
look_at_blocks(int file, struct seen *seen)
{
    uint8_t block[BLOCK];
    for (uint64_t i = 0; i < BLOCKS; i++) {
        ssize_t n = skein_file_pread(file, block, sizeof(block), i * BLOCK);
        seen->unread |= n == -EIO;
        if (n != BLOCK)
            continue;
        bool even = true, equal = true;
        for (size_t at = 0; at < BLOCK; at += 512) {
            even = even && memcmp(block + at, block + at + 1, 511) == 0;
            equal = equal && block[at] == block[0];
        }
        seen->noise |= !even;
        seen->torn |= even && !equal;
    }
}

static int
looking_node(struct skein_sim *sim, uint32_t node, void *arg)
{
    struct seen *seen = arg;
    struct skein_budget budget;
    (void)sim;
    (void)node;
    int file = skein_file_open("/f", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0644);
    if (file < 0)
        return file;
    look_at_blocks(file, seen);
    skein_budget_init(&budget, NULL, 1 << 20);
    for (uint8_t mark = 0; write_blocks(file, mark, 0) == 0; mark++) {
        void *object = NULL;
        if (mark % 2 == 0)
            (void)!skein_file_sync(file, 0);
        int rc = skein_budget_alloc(&budget, 100, &object);
        seen->no_memory |= rc == -ENOMEM;
        if (rc == 0)
            skein_budget_free(&budget, object);
        if (skein_sleep(skein_deadline_in(SECOND / 100)) < 0)
            break;
    }
    skein_budget_deinit(&budget);
    skein_close(file);
    return 0;
}

/* Each of the new kinds is what it says, and nothing else is. */
static void
disks_and_memory_fail(void **state)
{
    static const struct {
        const char *set;
        struct seen seen;
    } cases[] = {
        {"power-loss=on", {false, false, false, false}},
        {"torn=on", {false, true, false, false}},
        {"power-loss=on,torn=60%", {false, true, false, false}},
        {"rot=on", {true, false, false, false}},
        {"crash=on,read-error=on", {false, false, true, false}},
        {"crash=on,read-error=5%", {false, false, true, false}},
        {"memory=on", {false, false, false, true}},
        {"crash=on,memory=5%", {false, false, false, true}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct skein_sim_result result;
        struct seen seen = {false, false, false, false};
        struct skein_sim_options options = options_of(until_calm);
        char why[SKEIN_SIM_WHY_BYTES];
        options.seed = 3;
        options.faults = 0;
        options.node_main = looking_node;
        options.arg = &seen;
        assert_int_equal(skein_sim_set(&options, cases[i].set, why), 0);
        assert_int_equal(skein_sim_run(&options, &result), 0);
        assert_int_equal(result.verdict, SKEIN_SIM_PASSED);
        assert_int_equal(seen.noise, cases[i].seen.noise);
        assert_int_equal(seen.torn, cases[i].seen.torn);
        assert_int_equal(seen.unread, cases[i].seen.unread);
        assert_int_equal(seen.no_memory, cases[i].seen.no_memory);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(verdicts_are_told_apart),
        cmocka_unit_test(every_fault_comes_and_runs_repeat),
        cmocka_unit_test(without_faults_nothing_breaks),
        cmocka_unit_test(what_is_set_is_in_the_options),
        cmocka_unit_test(a_plan_is_read),
        cmocka_unit_test(disks_and_memory_fail),
    };
    return cmocka_run_group_tests_name("sim/user", tests, NULL, NULL);
}
