/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* Raft section 5.4.2, figure 8. */
void
oracle_commit(const struct oracle_view *view)
{
    const struct reign *reign = &view->reign;
    uint64_t term = view->status.hard_state.term, commit = view->status.hard_state.commit;
    if (view->status.role != RAFT_LEADER || reign->term == 0)
        return;
    uint64_t entry_term = raft_entry_term(view->replica->raft, commit);
    if (commit > reign->commit && entry_term != 0 && entry_term != term)
        oracle_violation(view,
                         "node %u leads in term %" PRIu64 " and committed index %" PRIu64
                         " of term %" PRIu64 " by counting",
                         view->number, term, commit, entry_term);
}
