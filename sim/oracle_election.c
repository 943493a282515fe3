/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* Raft section 5.2. */
void
oracle_election(const struct oracle_view *view)
{
    struct sim_oracle *oracle = view->oracle;
    uint64_t term = view->status.hard_state.term;
    if (view->status.role != RAFT_LEADER || term > ORACLE_NUMBER_MAX)
        return;
    while (oracle->leader_count <= term) {
        mem_grow(&oracle->leaders, &oracle->leader_capacity, oracle->leader_count,
                 sizeof(oracle->leaders[0]));
        oracle->leaders[oracle->leader_count++] = 0;
    }
    if (oracle->leaders[term] == 0)
        view->cluster->elections++;
    if (oracle->leaders[term] != 0 && oracle->leaders[term] != view->number)
        sim_violation(view->cluster, SIM_SAFETY, "nodes %u and %u both lead in term %" PRIu64,
                      oracle->leaders[term], view->number, term);
    oracle->leaders[term] = view->number;
}
