/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/*
 * Raft section 5.4: whoever begins to lead has every entry that was committed in an earlier term.
 * What was applied was committed, in the term of whoever had applied it or before; not the entry's
 * own term: one of term 20 may be committed in term 22, and who was elected for 21 meanwhile leads
 * without it. From the end of what was applied back to where the leader's log begins.
 */
void
oracle_completeness(const struct oracle_view *view)
{
    const struct oracle_group *known = view->known;
    bool begins = view->status.role == RAFT_LEADER && view->reign.term == 0;
    if (!begins)
        return;
    for (uint64_t index = known->applied_count; index-- > view->status.first_index;) {
        const struct seen *seen = &known->applied[index];
        if (seen->node == 0 || seen->within_term >= view->status.hard_state.term)
            continue;
        uint64_t term = raft_entry_term(view->replica->raft, index);
        if (index > view->status.last_index || (term != 0 && term != seen->term)) {
            oracle_violation(view,
                             "node %u leads in term %" PRIu64 " without index %" PRIu64
                             " of term %" PRIu64 ", which node %u has applied",
                             view->number, view->status.hard_state.term, index, seen->term,
                             seen->node);
            return;
        }
    }
}
