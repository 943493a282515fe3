/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#define MEMORY_BYTES_MAX ((uint64_t)512 << 20)

void
sim_oracle_memory(struct sim_cluster *cluster, uint64_t bytes_max)
{
    if (bytes_max > MEMORY_BYTES_MAX)
        sim_violation(cluster, SIM_SAFETY, "a node used %" PRIu64 " bytes of memory", bytes_max);
}
