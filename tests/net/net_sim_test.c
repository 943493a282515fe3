/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what net does on the kernel's sockets it does in the simulator too; and what takes seconds
 * there takes none here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/check.h"
#include "net/dial_cases.h"
#include "net/dns_fake.h"
#include "net/pool_cases.h"
#include "sim/net.h"
#include "sim/world.h"

#define SEED_COUNT 5

struct outcome {
    struct check check;
    int (*main_fn)(void *arg);
    bool done;
};

static void
on_exit_of_main(struct sim_host *host, int result)
{
    struct outcome *outcome = host->world->owner;
    outcome->done = result == 0;
    sim_world_stop(host->world);
}

static void
run(int (*main_fn)(void *arg))
{
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct sim_world world;
        struct outcome outcome = {.main_fn = main_fn};
        sim_world_open(&world, seed, NULL);
        world.owner = &outcome;
        struct sim_host *host = sim_host_add(&world, NULL);
        struct sim_host *unreachable = sim_host_add(&world, NULL);
        sim_net_block(world.net, host->number, unreachable->number, true);
        host->main_fn = main_fn;
        host->main_arg = &outcome.check;
        host->on_exit = on_exit_of_main;
        sim_host_start(host);
        assert_true(sim_world_run(&world, 3600 * SIM_SECOND));
        if (!outcome.done || outcome.check.failed_count > 0)
            fprintf(stderr, "seed %d\n", (int)seed);
        assert_true(outcome.done);
        assert_int_equal(outcome.check.failed_count, 0);
        sim_world_close(&world);
    }
}

static void
names(void **state)
{
    run(dns_cases);
}

static void
names_slowly(void **state)
{
    run(dns_slow_cases);
}

static int
stagger(void *arg)
{
    struct skein_addr dead = sim_host_addr(2, 4242);
    dial_stagger(arg, &dead);
    return 0;
}

static void
dialling(void **state)
{
    run(dial_cases);
    run(stagger);
}

static void
pools(void **state)
{
    run(pool_cases);
}

static void
pools_slowly(void **state)
{
    run(pool_slow_cases);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(names_slowly), cmocka_unit_test(dialling),
        cmocka_unit_test(pools), cmocka_unit_test(pools_slowly),
    };
    return cmocka_run_group_tests_name("net in the simulator", tests, NULL, NULL);
}
