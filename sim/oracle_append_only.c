/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* Raft section 5.3: in one term of one life. */
void
oracle_append_only(const struct oracle_view *view)
{
    const struct reign *reign = &view->reign;
    if (view->status.role != RAFT_LEADER || reign->term == 0)
        return;
    uint64_t term = raft_entry_term(view->replica->raft, reign->last_index);
    if (view->status.last_index < reign->last_index || (term != 0 && term != reign->last_term))
        oracle_violation(
            view, "node %u leads in term %" PRIu64 " and has changed its log at index %" PRIu64,
            view->number, reign->term, reign->last_index);
}
