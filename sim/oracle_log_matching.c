/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

/* Looked at behind what was looked at before, this many entries at most. */
#define ENTRIES_MAX 64

static struct before *
before_at(struct sim_oracle *oracle, uint64_t index)
{
    while (oracle->before_count <= index) {
        mem_grow(&oracle->before, &oracle->before_capacity, oracle->before_count,
                 sizeof(oracle->before[0]));
        oracle->before[oracle->before_count++] = (struct before){0};
    }
    return &oracle->before[index];
}

/* By induction: the entry before an entry is the same wherever that entry is. */
static void
check_entry(const struct oracle_view *view, uint64_t index, uint64_t term, uint64_t previous)
{
    struct before *before = before_at(view->oracle, index);
    for (size_t i = 0; i < ORACLE_TERMS; i++) {
        if (before->term[i] == 0) {
            before->term[i] = term;
            before->previous[i] = previous;
            return;
        }
        if (before->term[i] != term)
            continue;
        if (before->previous[i] != previous)
            sim_violation(view->cluster, SIM_SAFETY,
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
    uint64_t *matched = &view->oracle->matched[view->number - 1];
    uint64_t *matched_term = &view->oracle->matched_term[view->number - 1];
    uint64_t last = view->status.last_index;
    if (last > ORACLE_NUMBER_MAX)
        return;
    /* A part that was cut off is looked at again. */
    if (*matched > last || raft_entry_term(raft, *matched) != *matched_term)
        *matched = last > ENTRIES_MAX ? last - ENTRIES_MAX : 0;
    /* So is what lies behind a snapshot: it may be what was there before. */
    uint64_t *first = &view->oracle->matched_first[view->number - 1];
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
