/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

struct seen *
oracle_seen_at(struct oracle_group *known, uint64_t index)
{
    while (known->applied_count <= index) {
        mem_grow(&known->applied, &known->applied_capacity, known->applied_count,
                 sizeof(known->applied[0]));
        known->applied[known->applied_count++] = (struct seen){0};
    }
    return &known->applied[index];
}

/* Raft section 5.4.3; and log time never goes back in a process. */
void
oracle_state_machine(const struct oracle_view *view)
{
    const struct replica *replica = view->replica;
    uint64_t *log_time_ms = &view->known->log_time_ms[view->number - 1];
    uint64_t *checked = &view->known->checked[view->number - 1];
    if (view->loading || replica->applied_index > ORACLE_NUMBER_MAX)
        return;
    for (; *checked < replica->applied_index; (*checked)++) {
        uint64_t term = raft_entry_term(replica->raft, *checked + 1);
        if (term == 0)
            continue;
        struct seen *seen = oracle_seen_at(view->known, *checked + 1);
        if (seen->node != 0 && seen->term != term)
            oracle_violation(view,
                             "index %" PRIu64 " was applied with term %" PRIu64
                             " by node %u and with term %" PRIu64 " by node %u",
                             *checked + 1, seen->term, seen->node, term, view->number);
        /* The least term of those that knew it: an older one may yet begin to lead without it. */
        uint64_t within_term = view->status.hard_state.term;
        if (seen->node == 0 || within_term < seen->within_term)
            seen->within_term = within_term;
        seen->term = term;
        seen->node = view->number;
    }
    if (replica->log_time_ms < *log_time_ms)
        oracle_violation(view, "log time of node %u went back", view->number);
    *log_time_ms = replica->log_time_ms;
}
