/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the simulated backend does what core/backend.h asks of every backend.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "conformance/backend_suite.h"
#include "sim/disk.h"
#include "sim/world.h"

#define SEED_COUNT 5

struct outcome {
    bool done;
    int result;
};

static void
on_exit_of_main(struct sim_host *host, int result)
{
    struct outcome *outcome = host->world->owner;
    *outcome = (struct outcome){true, result};
    sim_world_stop(host->world);
}

static uint64_t current_seed = 1;

static int
run_in_sim(struct backend_suite_world *suite_world, int (*main_fn)(void *arg), void *arg)
{
    struct sim_world world;
    struct outcome outcome = {0};
    sim_world_open(&world, current_seed, NULL);
    world.owner = &outcome;
    struct sim_disk *disk = sim_disk_open(&world);
    assert_int_equal(sim_disk_mkdir(disk, "/case"), 0);
    struct sim_host *host = sim_host_add(&world, disk);
    host->main_fn = main_fn;
    host->main_arg = arg;
    host->on_exit = on_exit_of_main;
    sim_host_start(host);
    assert_true(sim_world_run(&world, 3600 * SIM_SECOND));
    assert_true(outcome.done);
    sim_world_close(&world);
    return outcome.result;
}

static void
conforms(void **state)
{
    unsigned failed_count = 0;
    for (current_seed = 1; current_seed <= SEED_COUNT; current_seed++)
        for (const struct backend_suite_case *c = backend_suite_cases; c->name; c++) {
            struct backend_suite_world world = {.run = run_in_sim, .directory = "/case"};
            unsigned failed_here_count = backend_suite_case_run(&world, c);
            if (failed_here_count > 0)
                fprintf(stderr, "seed %d, case %s: %u checks failed\n", (int)current_seed, c->name,
                        failed_here_count);
            failed_count += failed_here_count;
        }
    assert_int_equal(failed_count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(conforms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
