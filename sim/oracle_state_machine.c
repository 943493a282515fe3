/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

struct seen *
oracle_seen_at(struct sim_oracle *oracle, uint64_t index)
{
    while (oracle->applied_count <= index) {
        mem_grow(&oracle->applied, &oracle->applied_capacity, oracle->applied_count,
                 sizeof(oracle->applied[0]));
        oracle->applied[oracle->applied_count++] = (struct seen){0};
    }
    return &oracle->applied[index];
}

/* Raft section 5.4.3; and log time never goes back in a process. */
void
oracle_state_machine(const struct oracle_view *view)
{
    const struct replica *replica = view->replica;
    struct sim_node *node = view->node;
    uint64_t *checked = &view->oracle->checked[view->number - 1];
    if (view->loading || replica->applied_index > ORACLE_NUMBER_MAX)
        return;
    for (; *checked < replica->applied_index; (*checked)++) {
        uint64_t term = raft_entry_term(replica->raft, *checked + 1);
        if (term == 0)
            continue;
        struct seen *seen = oracle_seen_at(view->oracle, *checked + 1);
        if (seen->node != 0 && seen->term != term)
            sim_violation(view->cluster, SIM_SAFETY,
                          "index %" PRIu64 " was applied with term %" PRIu64
                          " by node %u and with term %" PRIu64 " by node %u",
                          *checked + 1, seen->term, seen->node, term, view->number);
        seen->term = term;
        seen->node = view->number;
    }
    if (replica->log_time_ms < node->last_log_time_ms)
        sim_violation(view->cluster, SIM_SAFETY, "log time of node %u went back", view->number);
    node->last_log_time_ms = replica->log_time_ms;
}
