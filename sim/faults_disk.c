/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster.h"

static uint32_t
lost_count(const struct sim_cluster *cluster)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++)
        count += cluster->nodes[i].damaged || cluster->nodes[i].replaced;
    return count;
}

bool
sim_faults_may_lose(const struct sim_node *node)
{
    const struct sim_cluster *cluster = node->cluster;
    return cluster->faults_on && !node->damaged && !node->replaced && !node->spare &&
           lost_count(cluster) < (cluster->plan.node_count - 1) / 2;
}

uint64_t
sim_faults_restart_ns(struct sim_cluster *cluster)
{
    return sim_chance(&cluster->world, 600)
               ? sim_draw(&cluster->world, 1 * SIM_MS, 100 * SIM_MS)
               : sim_draw(&cluster->world, 100 * SIM_MS, 5 * SIM_SECOND);
}

void
sim_faults_disk_calm(struct sim_node *node)
{
    const struct sim_rates *always = &node->cluster->plan.always;
    *sim_disk_faults(node->host->disk) =
        (struct sim_disk_faults){.slow_factor = 1,
                                 .read_error_per_mille = always->read_error,
                                 .write_error_per_mille = always->write_error,
                                 .sync_error_per_mille = always->sync_error};
    node->host->memory_error_per_mille = always->memory_error;
}

/* A bit rots, or a write turns out to have gone astray, while the machine is off; what its node
 * says to it is seen at the start. */
static bool
damage(struct sim_node *node, bool (*one)(struct sim_disk *disk, char *out_path, size_t path_bytes),
       uint64_t count)
{
    struct sim_cluster *cluster = node->cluster;
    char where[256];
    if (!sim_faults_may_lose(node))
        return false;
    sim_node_crash(node, true, sim_faults_restart_ns(cluster));
    if (node->host->state != SIM_HOST_DOWN)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        if (!one(node->host->disk, where, sizeof(where)))
            return node->damaged;
        node->damaged = true;
        sim_trace_text(&cluster->world.trace, node->host->number, "flip", "%s", where);
    }
    return true;
}

/* One bad place, or a bad day: many. */
static uint64_t
draw_places(struct sim_world *world)
{
    return sim_chance(world, 300) ? sim_draw(world, 2, 12) : 1;
}

static bool
wipe(struct sim_node *node)
{
    if (!sim_faults_may_lose(node) || !node->kv)
        return false;
    sim_node_crash(node, true, sim_faults_restart_ns(node->cluster));
    sim_node_replace_disk(node);
    return true;
}

void
sim_faults_mend(struct sim_cluster *cluster, uint32_t per_mille)
{
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        if (!node->damaged || sim_node_repairing(node) || !sim_chance(&cluster->world, per_mille))
            continue;
        sim_node_crash(node, true, 0);
        sim_node_replace_disk(node);
        sim_event_at(&cluster->world, &node->restart_event,
                     cluster->world.now_ns + sim_faults_restart_ns(cluster));
    }
}

bool
sim_faults_on_disk(struct sim_node *node, enum sim_fault fault)
{
    struct sim_world *world = &node->cluster->world;
    struct sim_disk_faults *disk = sim_disk_faults(node->host->disk);
    if (fault == SIM_FAULT_FLIP)
        return damage(node, sim_disk_flip_bit, draw_places(world));
    if (fault == SIM_FAULT_MISDIRECT)
        return damage(node, sim_disk_misdirect, draw_places(world));
    if (fault == SIM_FAULT_ROT)
        return damage(node, sim_disk_rot, 1);
    if (fault == SIM_FAULT_WIPE)
        return wipe(node);
    if (fault == SIM_FAULT_DISK_ERRORS) {
        disk->write_error_per_mille += (uint32_t)sim_draw(world, 0, 30);
        disk->sync_error_per_mille += (uint32_t)sim_draw(world, 0, 100);
        disk->read_error_per_mille += (uint32_t)sim_draw(world, 0, 10);
    } else if (fault == SIM_FAULT_DISK_FULL) {
        disk->capacity_bytes = sim_disk_used_bytes(node->host->disk) + sim_draw(world, 0, 1 << 19);
    } else if (fault == SIM_FAULT_DISK_SLOW) {
        disk->slow_factor = (uint32_t)sim_draw(world, 5, 500);
    } else {
        skein_assert(fault == SIM_FAULT_MEMORY);
        node->host->memory_error_per_mille += (uint32_t)sim_draw(world, 1, 200);
    }
    return true;
}
