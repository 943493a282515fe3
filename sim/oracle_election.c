/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* Raft section 5.2. */
void
oracle_election(const struct oracle_view *view)
{
    struct oracle_group *known = view->known;
    uint64_t term = view->status.hard_state.term;
    if (view->status.role != RAFT_LEADER || term > ORACLE_NUMBER_MAX)
        return;
    while (known->leader_count <= term) {
        mem_grow(&known->leaders, &known->leader_capacity, known->leader_count,
                 sizeof(known->leaders[0]));
        known->leaders[known->leader_count++] = 0;
    }
    if (known->leaders[term] == 0)
        view->cluster->elections++;
    if (known->leaders[term] != 0 && known->leaders[term] != view->number)
        oracle_violation(view, "nodes %u and %u both lead in term %" PRIu64, known->leaders[term],
                         view->number, term);
    known->leaders[term] = view->number;
}
