/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster.h"

#define GAP_MS_MAX 4000

/*
 * A cluster of the former build, whose nodes are replaced by those of this one in the middle of its
 * work: each is told to end and comes back newer. Who is down or stands still just then, comes back
 * newer when it does. Drawn from a stream of its own.
 */
static void
on_upgrade(struct sim_event *event)
{
    struct sim_cluster *cluster = event->owner;
    uint32_t i = 0;
    while (i < cluster->plan.node_count && !cluster->nodes[i].older)
        i++;
    if (!cluster->faults_on || i == cluster->plan.node_count)
        return;
    cluster->nodes[i].older = false;
    cluster->upgrades++;
    sim_trace_text(&cluster->world.trace, i + 1, "fault", "upgrade");
    sim_node_stop(&cluster->nodes[i]);
    sim_event_at(&cluster->world, event,
                 cluster->world.now_ns +
                     prng_range(&cluster->upgrade_random, 1, GAP_MS_MAX) * SIM_MS);
}

void
sim_upgrade_open(struct sim_cluster *cluster)
{
    if (!cluster->plan.upgrade)
        return;
    prng_init(&cluster->upgrade_random, cluster->plan.seed * 2);
    for (uint32_t i = 0; i < cluster->plan.founder_count; i++)
        cluster->nodes[i].older = true;
    cluster->upgrade_event = (struct sim_event){.fire = on_upgrade, .owner = cluster};
    sim_event_at(&cluster->world, &cluster->upgrade_event,
                 cluster->world.now_ns +
                     prng_range(&cluster->upgrade_random, 1, cluster->plan.safety_ns / SIM_MS / 2) *
                         SIM_MS);
}

void
sim_upgrade_close(struct sim_cluster *cluster)
{
    sim_event_cancel(&cluster->world, &cluster->upgrade_event);
}

struct link_versions
sim_upgrade_versions(const struct sim_node *node)
{
    return node->older ? (struct link_versions){LINK_VERSION_MIN, LINK_VERSION_MIN}
                       : (struct link_versions){0, 0};
}
