/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/user.h"

#include <inttypes.h>
#include <stdarg.h>

#include "sim/disk.h"
#include "sim/net.h"

#define EVENTS_PER_SECOND_MAX 200000

static int
node_main(void *arg)
{
    struct user_node *node = arg;
    return node->sim->options.node_main(node->sim, node->number, node->sim->options.arg);
}

static int
workload_main(void *arg)
{
    struct skein_sim *sim = arg;
    return sim->options.workload_main(sim, sim->options.arg);
}

static void
restart_later(struct user_node *node)
{
    struct sim_world *world = &node->sim->world;
    uint64_t delay_ns = sim_chance(world, 700) ? sim_draw(world, 1, 200) * SIM_MS
                                               : sim_draw(world, 200, 5000) * SIM_MS;
    sim_event_at(world, &node->restart_event, world->now_ns + delay_ns);
}

static void
on_restart(struct sim_event *event)
{
    struct user_node *node = event->owner;
    if (node->host->state == SIM_HOST_DOWN)
        sim_host_start(node->host);
}

static void
on_node_exit(struct sim_host *host, int result)
{
    struct skein_sim *sim = host->world->owner;
    sim->result.exits++;
    restart_later(&sim->nodes[host->number - 1]);
}

static void
on_workload_exit(struct sim_host *host, int result)
{
    struct skein_sim *sim = host->world->owner;
    if (result != 0)
        skein_sim_fail(sim, "the workload returned %d", result);
    sim->done = true;
    sim_world_stop(&sim->world);
}

void
user_node_crash(struct user_node *node, bool power_loss, uint32_t torn_per_mille)
{
    if (node->host->state != SIM_HOST_UP)
        return;
    node->sim->result.crashes++;
    sim_disk_faults(node->host->disk)->torn_per_mille = torn_per_mille;
    sim_host_crash(node->host, power_loss);
    restart_later(node);
}

static void
on_calm(struct sim_event *event)
{
    struct skein_sim *sim = event->owner;
    sim->calm = true;
    user_faults_end(sim);
}

struct skein_addr
skein_sim_addr(uint32_t node, uint16_t port)
{
    return sim_host_addr(node, port);
}

void
skein_sim_fail(struct skein_sim *sim, const char *format, ...)
{
    va_list args;
    if (sim->failed)
        return;
    va_start(args, format);
    vsnprintf(sim->result.why, sizeof(sim->result.why), format, args);
    va_end(args);
    sim->failed = true;
    sim->result.verdict = SKEIN_SIM_SAFETY;
    sim_trace_text(&sim->world.trace, 0, "violation", "%s", sim->result.why);
    sim_world_stop(&sim->world);
}

bool
skein_sim_calm(const struct skein_sim *sim)
{
    return sim->calm;
}

static void
open_world(struct skein_sim *sim)
{
    const struct skein_sim_options *options = &sim->options;
    struct sim_world *world = &sim->world;
    sim_world_open(world, options->seed, options->trace);
    world->owner = sim;
    world->event_count_max = EVENTS_PER_SECOND_MAX * (options->time_ns_max / SIM_SECOND + 1);
    struct sim_net_options *net = sim_net_options(world->net);
    net->latency_ns_max = options->latency_ns_max;
    net->latency_ns_min = options->latency_ns_max / 10;
    for (uint32_t i = 0; i < options->node_count; i++) {
        struct user_node *node = &sim->nodes[i];
        *node = (struct user_node){.sim = sim, .number = i + 1};
        node->restart_event = (struct sim_event){.fire = on_restart, .owner = node};
        node->host = sim_host_add(world, sim_disk_open(world));
        node->host->main_fn = node_main;
        node->host->main_arg = node;
        node->host->on_exit = on_node_exit;
        sim_host_start(node->host);
    }
    sim->workload = sim_host_add(world, NULL);
    sim->workload->main_fn = workload_main;
    sim->workload->main_arg = sim;
    sim->workload->on_exit = on_workload_exit;
    sim_host_start(sim->workload);
    sim->calm_event = (struct sim_event){.fire = on_calm, .owner = sim};
    sim_event_at(world, &sim->calm_event, world->now_ns + options->faults_ns);
    user_faults_start(sim);
}

static void
close_world(struct skein_sim *sim)
{
    struct sim_world *world = &sim->world;
    sim->result.simulated_ns = world->now_ns - SIM_TIME_START;
    sim->result.event_count = world->event_count;
    sim->result.trace_hash = world->trace.hash;
    sim_event_cancel(world, &sim->calm_event);
    sim_event_cancel(world, &sim->fault_event);
    for (uint32_t i = 0; i < sim->options.node_count; i++)
        sim_event_cancel(world, &sim->nodes[i].restart_event);
    sim_world_close(world);
}

static bool
has_valid_rates(const struct skein_sim_options *options)
{
    const struct skein_sim_rates *r = &options->always;
    const uint32_t rates[] = {r->loss,       r->duplicate,   r->late,       r->torn,
                              r->read_error, r->write_error, r->sync_error, r->memory};
    for (size_t i = 0; i < BASE_COUNT_OF(rates); i++)
        if (rates[i] > 1000)
            return false;
    for (uint32_t i = 0; i < SKEIN_SIM_FAULT_KINDS; i++)
        if (options->weights[i] > SKEIN_SIM_WEIGHT_MAX)
            return false;
    return true;
}

static bool
is_valid(const struct skein_sim_options *options)
{
    return has_valid_rates(options) && options->node_count >= 1 &&
           options->node_count <= SKEIN_SIM_NODES_MAX && options->node_main &&
           options->workload_main && (options->faults & ~(uint32_t)SKEIN_SIM_FAULTS_ALL) == 0 &&
           options->time_ns_max >= options->faults_ns;
}

int
skein_sim_run(const struct skein_sim_options *options, struct skein_sim_result *out_result)
{
    struct skein_sim sim = {.options = *options};
    if (sim.options.faults_ns == 0)
        sim.options.faults_ns = 30 * SIM_SECOND;
    if (sim.options.fault_gap_ns_max == 0)
        sim.options.fault_gap_ns_max = SIM_SECOND;
    if (sim.options.latency_ns_max == 0)
        sim.options.latency_ns_max = 2 * SIM_MS;
    if (sim.options.time_ns_max == 0)
        sim.options.time_ns_max = sim.options.faults_ns + 600 * SIM_SECOND;
    if (!is_valid(&sim.options))
        return -SKEIN_EINVALID;
    open_world(&sim);
    bool within = sim_world_run(&sim.world, SIM_TIME_START + sim.options.time_ns_max);
    if (!sim.failed && !sim.done) {
        sim.result.verdict = SKEIN_SIM_LIVENESS;
        snprintf(sim.result.why, sizeof(sim.result.why),
                 within ? "the workload has not ended after %llu simulated seconds"
                        : "something goes round in circles after %llu simulated seconds",
                 (unsigned long long)(sim.world.now_ns - SIM_TIME_START) / SIM_SECOND);
    }
    close_world(&sim);
    *out_result = sim.result;
    return 0;
}
