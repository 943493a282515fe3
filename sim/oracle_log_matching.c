/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* Looked at behind what was looked at before, this many entries at most. */
#define ENTRIES_MAX 64

static struct before *
before_at(struct oracle_group *known, uint64_t index)
{
    while (known->before_count <= index) {
        mem_grow(&known->before, &known->before_capacity, known->before_count,
                 sizeof(known->before[0]));
        known->before[known->before_count++] = (struct before){0};
    }
    return &known->before[index];
}

/* By induction: the entry before an entry is the same wherever that entry is. */
static void
check_entry(const struct oracle_view *view, uint64_t index, uint64_t term, uint64_t previous)
{
    struct before *before = before_at(view->known, index);
    for (size_t i = 0; i < ORACLE_TERMS; i++) {
        if (before->term[i] == 0) {
            before->term[i] = term;
            before->previous[i] = previous;
            return;
        }
        if (before->term[i] != term)
            continue;
        if (before->previous[i] != previous)
            oracle_violation(view,
                             "the logs differ before index %" PRIu64 " of term %" PRIu64
                             ": node %u has term %" PRIu64 " there, another has term %" PRIu64,
                             index, term, view->number, previous, before->previous[i]);
        return;
    }
}

/* Raft section 5.3. */
void
oracle_log_matching(const struct oracle_view *view)
{
    const struct raft *raft = view->replica->raft;
    uint64_t *matched = &view->known->matched[view->number - 1];
    uint64_t *matched_term = &view->known->matched_term[view->number - 1];
    uint64_t last = view->status.last_index;
    if (last > ORACLE_NUMBER_MAX)
        return;
    /* A part that was cut off is looked at again. */
    if (*matched > last || raft_entry_term(raft, *matched) != *matched_term)
        *matched = last > ENTRIES_MAX ? last - ENTRIES_MAX : 0;
    /* So is what lies behind a snapshot: it may be what was there before. */
    uint64_t *first = &view->known->matched_first[view->number - 1];
    if (*first != view->status.first_index && *matched >= view->status.first_index)
        *matched = view->status.first_index - 1;
    *first = view->status.first_index;
    for (uint64_t index = *matched + 1; index <= last; index++) {
        uint64_t term = raft_entry_term(raft, index), previous = raft_entry_term(raft, index - 1);
        if (term != 0 && previous != 0)
            check_entry(view, index, term, previous);
    }
    *matched = last;
    *matched_term = raft_entry_term(raft, last);
}
