/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

void
sim_oracle_progress(struct sim_cluster *cluster, uint32_t majority)
{
    uint32_t stuck = sim_workload_stuck_client(cluster, 1);
    if (stuck)
        sim_violation(cluster, SIM_LIVENESS,
                      "client %u got nowhere although the nodes of bits %u were healed", stuck,
                      majority);
}

void
sim_oracle_written(struct sim_cluster *cluster)
{
    uint64_t now_ns = cluster->world.now_ns, before_ns = cluster->written_ns;
    cluster->written_ns = now_ns;
    if (before_ns && !cluster->workload_stopping && now_ns - before_ns > cluster->write_gap_ns_max)
        cluster->write_gap_ns_max = now_ns - before_ns;
}
