/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/disk.h"
#include "sim/net.h"
#include "sim/user.h"

#define WEIGHT_USUAL 10
#define LATE_NS_MAX (100 * SIM_MS)

static struct user_node *
draw_node(struct skein_sim *sim)
{
    return &sim->nodes[sim_draw(&sim->world, 0, sim->options.node_count - 1)];
}

static void
split(struct skein_sim *sim)
{
    uint32_t count = sim->options.node_count;
    uint64_t side = sim_draw(&sim->world, 0, (1u << count) - 1);
    for (uint32_t a = 1; a <= count; a++)
        for (uint32_t b = 1; b <= count; b++)
            if ((side >> (a - 1) & 1) != (side >> (b - 1) & 1))
                sim_net_block(sim->world.net, a, b, true);
}

/* Also from the workload, which has to look for another one. */
static void
isolate(struct skein_sim *sim, uint32_t number)
{
    for (uint32_t other = 1; other <= sim->options.node_count + 1; other++) {
        if (other == number)
            continue;
        sim_net_block(sim->world.net, other, number, true);
        sim_net_block(sim->world.net, number, other, true);
    }
}

static void
calm_net(struct skein_sim *sim)
{
    struct sim_net_options *net = sim_net_options(sim->world.net);
    const struct skein_sim_rates *always = &sim->options.always;
    sim_net_heal(sim->world.net);
    net->tail_per_mille = always->late;
    net->tail_ns_max = LATE_NS_MAX;
    net->loss_per_mille = always->loss;
    net->duplicate_per_mille = always->duplicate;
}

static void
calm_machine(struct user_node *node)
{
    const struct skein_sim_rates *always = &node->sim->options.always;
    *sim_disk_faults(node->host->disk) =
        (struct sim_disk_faults){.slow_factor = 1,
                                 .read_error_per_mille = always->read_error,
                                 .write_error_per_mille = always->write_error,
                                 .sync_error_per_mille = always->sync_error};
    node->host->memory_error_per_mille = always->memory;
}

static void
trouble_machine(struct skein_sim *sim, enum skein_sim_fault fault, struct user_node *node)
{
    struct sim_world *world = &sim->world;
    struct sim_disk_faults *disk = sim_disk_faults(node->host->disk);
    if (fault == SKEIN_SIM_DISK_ERROR) {
        disk->write_error_per_mille += (uint32_t)sim_draw(world, 0, 100);
        disk->sync_error_per_mille += (uint32_t)sim_draw(world, 0, 200);
    } else if (fault == SKEIN_SIM_READ_ERROR) {
        disk->read_error_per_mille += (uint32_t)sim_draw(world, 1, 50);
    } else if (fault == SKEIN_SIM_MEMORY) {
        node->host->memory_error_per_mille += (uint32_t)sim_draw(world, 1, 50);
    } else if (fault == SKEIN_SIM_DISK_FULL) {
        disk->capacity_bytes = sim_disk_used_bytes(node->host->disk) + sim_draw(world, 1, 1 << 16);
    } else {
        disk->slow_factor = (uint32_t)sim_draw(world, 5, 500);
    }
}

static void
trouble_net(struct skein_sim *sim, enum skein_sim_fault fault)
{
    struct sim_world *world = &sim->world;
    struct sim_net_options *net = sim_net_options(world->net);
    if (fault == SKEIN_SIM_LOSS) {
        net->loss_per_mille = sim->options.always.loss + (uint32_t)sim_draw(world, 1, 300);
        return;
    }
    net->tail_per_mille = (uint32_t)sim_draw(world, 1, 300);
    net->tail_ns_max = sim_draw(world, 1, 1000) * SIM_MS;
    net->duplicate_per_mille = (uint32_t)sim_draw(world, 0, 100);
}

/* The machine goes off, and its disk is not as it was when it comes back. */
static void
lose_power(struct skein_sim *sim, enum skein_sim_fault fault, struct user_node *node)
{
    uint32_t torn = sim->options.always.torn;
    char where[256];
    if (fault == SKEIN_SIM_TORN)
        torn = (uint32_t)sim_draw(&sim->world, 300, 1000);
    user_node_crash(node, true, torn);
    if (node->host->state != SIM_HOST_DOWN)
        return;
    if (fault == SKEIN_SIM_REFORMAT)
        sim_disk_wipe(node->host->disk);
    if (fault == SKEIN_SIM_ROT && sim_disk_rot_any(node->host->disk, where, sizeof(where)))
        sim_trace_text(&sim->world.trace, node->number, "rot", "%s", where);
}

static void
begin(struct skein_sim *sim, enum skein_sim_fault fault)
{
    struct sim_world *world = &sim->world;
    struct user_node *node = draw_node(sim), *other = draw_node(sim);
    switch (fault) {
    case SKEIN_SIM_CRASH:
        user_node_crash(node, false, 0);
        return;
    case SKEIN_SIM_POWER_LOSS:
    case SKEIN_SIM_REFORMAT:
    case SKEIN_SIM_TORN:
    case SKEIN_SIM_ROT:
        lose_power(sim, fault, node);
        return;
    case SKEIN_SIM_PAUSE:
        sim_host_pause(node->host, sim_draw(world, 10, 4000) * SIM_MS);
        return;
    case SKEIN_SIM_PARTITION:
        split(sim);
        return;
    case SKEIN_SIM_ONE_WAY:
        if (node != other)
            sim_net_block(world->net, node->number, other->number, true);
        return;
    case SKEIN_SIM_ISOLATE:
        isolate(sim, node->number);
        return;
    case SKEIN_SIM_DELAY:
    case SKEIN_SIM_LOSS:
        trouble_net(sim, fault);
        return;
    case SKEIN_SIM_DISK_ERROR:
    case SKEIN_SIM_DISK_FULL:
    case SKEIN_SIM_DISK_SLOW:
    case SKEIN_SIM_READ_ERROR:
    case SKEIN_SIM_MEMORY:
        trouble_machine(sim, fault, node);
        return;
    case SKEIN_SIM_CLOCK:
        node->host->wall_offset_ns =
            (int64_t)sim_draw(world, 0, 20 * SIM_SECOND) - (int64_t)(10 * SIM_SECOND);
        return;
    case SKEIN_SIM_FAULTS_ALL:
        break;
    }
    skein_unreachable();
}

static uint32_t
weight_of(const struct skein_sim_options *options, uint32_t kind)
{
    uint32_t weight = options->weights[kind] ? options->weights[kind] : WEIGHT_USUAL;
    return options->faults >> kind & 1 ? weight : 0;
}

static uint32_t
draw_kind(struct skein_sim *sim)
{
    uint64_t sum = 0;
    uint32_t kind = 0;
    for (uint32_t i = 0; i < SKEIN_SIM_FAULT_KINDS; i++)
        sum += weight_of(&sim->options, i);
    uint64_t pick = sim_draw(&sim->world, 0, sum - 1);
    while (pick >= weight_of(&sim->options, kind))
        pick -= weight_of(&sim->options, kind++);
    return kind;
}

/* Each step ends some of what is going on and begins one more. */
static void
on_fault(struct sim_event *event)
{
    struct skein_sim *sim = event->owner;
    struct sim_world *world = &sim->world;
    if (sim_chance(world, 500))
        calm_net(sim);
    for (uint32_t i = 0; i < sim->options.node_count; i++)
        if (sim_chance(world, 500))
            calm_machine(&sim->nodes[i]);
    uint32_t fault = 1u << draw_kind(sim);
    sim_trace_event(&world->trace, 0, "fault", fault, 0, 0);
    sim->result.faults++;
    begin(sim, (enum skein_sim_fault)fault);
    sim_event_at(world, event, world->now_ns + sim_draw(world, 1, sim->options.fault_gap_ns_max));
}

void
user_faults_start(struct skein_sim *sim)
{
    sim->fault_event = (struct sim_event){.fire = on_fault, .owner = sim};
    calm_net(sim);
    for (uint32_t i = 0; i < sim->options.node_count; i++)
        calm_machine(&sim->nodes[i]);
    if (sim->options.faults != 0)
        sim_event_at(&sim->world, &sim->fault_event,
                     sim->world.now_ns + sim_draw(&sim->world, 1, sim->options.fault_gap_ns_max));
}

void
user_faults_end(struct skein_sim *sim)
{
    sim_event_cancel(&sim->world, &sim->fault_event);
    sim->options.always = (struct skein_sim_rates){0};
    sim_trace_text(&sim->world.trace, 0, "heal", "all");
    calm_net(sim);
    for (uint32_t i = 0; i < sim->options.node_count; i++) {
        struct user_node *node = &sim->nodes[i];
        calm_machine(node);
        node->host->paused_until_ns = 0;
        if (node->host->state == SIM_HOST_UP)
            sim_event_at(&sim->world, &node->host->turn_event, sim->world.now_ns);
    }
}
