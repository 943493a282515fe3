/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/inject.h"

#include <stdio.h>

#include "base/mem.h"
#include "sim/disk.h"
#include "sim/world.h"

#define RUN_SECONDS_MAX 3600

struct run {
    const struct inject_plan *plan;
    struct inject_outcome outcome;
};

static int
run_main(void *arg)
{
    const struct run *run = arg;
    mem_fail_at(run->plan->kind == INJECT_ALLOCATE ? run->plan->point : 0);
    return run->plan->one->main_fn(run->plan->one->arg);
}

static void
on_exit_of_main(struct sim_host *host, int result)
{
    struct run *run = host->world->owner;
    run->outcome.allocation_count = mem_fail_at(0);
    run->outcome.finished = true;
    run->outcome.result = result;
    run->outcome.leaked_bytes = host->leaked_bytes;
    run->outcome.suspension_count = host->chaos.suspension_count;
    sim_world_stop(host->world);
}

struct inject_outcome
inject_run(const struct inject_plan *plan)
{
    struct run run = {.plan = plan};
    struct sim_world world;
    sim_world_open(&world, plan->seed, NULL);
    world.owner = &run;
    struct sim_disk *disk = sim_disk_open(&world);
    struct sim_host *host = sim_host_add(&world, disk);
    host->chaos_on = true;
    host->chaos.seed = plan->kind == INJECT_SHUFFLE ? plan->seed : 0;
    host->chaos.cancel_at = plan->kind == INJECT_CANCEL ? plan->point : 0;
    host->shard_count = plan->one->shard_count;
    host->main_fn = run_main;
    host->main_arg = &run;
    host->on_exit = on_exit_of_main;
    if (sim_disk_mkdir(disk, "/case") < 0)
        base_die(__FILE__, __LINE__, "the simulated disk takes no directory");
    sim_host_start(host);
    bool calm = sim_world_run(&world, RUN_SECONDS_MAX * SIM_SECOND);
    run.outcome.finished &= calm;
    mem_fail_at(0);
    sim_world_close(&world);
    return run.outcome;
}
