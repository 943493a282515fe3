/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

void
sim_oracle_history(struct sim_cluster *cluster, FILE *report)
{
    const struct skein_linear_options options = {.step_count_max = 20000000,
                                                 .memory_bytes_max = (uint64_t)1 << 30,
                                                 .explain = report != NULL};
    struct skein_linear_result result;
    enum skein_linear_verdict verdict = skein_linear_check(cluster->history, &options, &result);
    if (report)
        skein_linear_print(cluster->history, &options, &result, report);
    skein_linear_result_deinit(&result);
    if (verdict == SKEIN_LINEAR_VIOLATION)
        sim_violation(cluster, SIM_SAFETY, "the history is not linearizable");
    if (verdict == SKEIN_LINEAR_UNDECIDED)
        sim_violation(cluster, SIM_SAFETY, "the history is too wide to be decided");
    size_t checked = skein_linear_checked_count(cluster->history);
    uint64_t seconds = (cluster->plan.safety_ns + cluster->plan.liveness_ns) / SIM_SECOND;
    uint64_t least = SIM_CHECKED_PER_SECOND * seconds;
    if (checked < least)
        sim_violation(cluster, SIM_LIVENESS,
                      "only %zu operations were checked, %" PRIu64 " are the least", checked,
                      least);
}
