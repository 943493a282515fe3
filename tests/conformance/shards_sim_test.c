/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: shards that share one thread in virtual time do what shards on threads do; a crash of the
 * process in the middle of it leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "conformance/listener_suite.h"
#include "conformance/shards_suite.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "skein/call.h"
#include "skein/fiber.h"

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

static unsigned
run_suite(const struct shards_suite_case *cases)
{
    unsigned failed_count = 0;
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++)
        for (const struct shards_suite_case *c = cases; c->name; c++) {
            struct shards_suite_run run = {.suite_case = c};
            struct sim_world world;
            struct outcome outcome = {0};
            sim_world_open(&world, seed, NULL);
            world.owner = &outcome;
            struct sim_host *host = sim_host_add(&world, sim_disk_open(&world));
            host->shard_count = SHARDS_SUITE_COUNT;
            host->main_fn = shards_suite_main;
            host->main_arg = &run;
            host->on_exit = on_exit_of_main;
            sim_host_start(host);
            bool ended = sim_world_run(&world, 3600 * SIM_SECOND);
            sim_world_close(&world);
            if (!ended || !outcome.done || outcome.result != 42 || run.check.failed_count > 0) {
                fprintf(stderr, "seed %d, case %s: %u checks failed%s\n", (int)seed, c->name,
                        run.check.failed_count, outcome.done ? "" : ", not finished");
                failed_count++;
            }
        }
    return failed_count;
}

static void
conforms(void **state)
{
    assert_int_equal(run_suite(shards_suite_cases), 0);
    assert_int_equal(run_suite(listener_suite_cases), 0);
}

static int64_t
ping(void *arg)
{
    return skein_sleep(skein_deadline_in(1000));
}

static int
ping_for_ever(void *arg)
{
    for (;;) {
        int rc = skein_call_all(ping, NULL, NULL, SKEIN_NEVER);
        if (rc < 0)
            return rc;
    }
}

static void
a_crash_does_not_unwind(void **state)
{
    struct sim_world world;
    sim_world_open(&world, 1, NULL);
    struct sim_host *host = sim_host_add(&world, sim_disk_open(&world));
    host->shard_count = SHARDS_SUITE_COUNT;
    host->main_fn = ping_for_ever;
    for (int life = 0; life < 3; life++) {
        sim_host_start(host);
        assert_true(sim_world_run(&world, world.now_ns + SIM_MS));
        sim_host_crash(host, life == 1);
    }
    sim_world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(conforms),
                                       cmocka_unit_test(a_crash_does_not_unwind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
