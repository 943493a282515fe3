/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#include "raft/codec.h"
#include "replica/envelope.h"

/*
 * An entry of the leader's own term is the only one of that term at its index: when that one was
 * committed, whoever has acknowledged it has it for ever.
 */
void
oracle_durability(const struct oracle_view *view)
{
    const struct oracle_group *known = view->known;
    const struct replica *replica = view->replica;
    const struct promise *promise = &known->promises[view->number - 1];
    /* A damaged log that its peers repair has forgotten, and knows it: it keeps the promise by how
     * it votes until it holds the entry again. */
    if (view->loading || replica->repairing || promise->raft_id != replica->host->raft_id ||
        promise->index >= known->applied_count || known->applied[promise->index].node == 0 ||
        known->applied[promise->index].term != promise->term)
        return;
    uint64_t term = raft_entry_term(replica->raft, promise->index);
    if (view->status.last_index < promise->index || (term != 0 && term != promise->term))
        oracle_violation(view,
                         "node %u has forgotten index %" PRIu64 " of term %" PRIu64
                         ", which it had acknowledged and which was committed",
                         view->number, promise->index, promise->term);
}

void
sim_oracle_on_sent(struct sim_cluster *cluster, uint32_t from, uint32_t group, struct bytes body)
{
    struct sim_oracle *oracle = cluster->oracle;
    struct raft_message decoded = {0};
    if (group >= cluster->plan.group_count || !oracle || raft_decode_message(body, &decoded) < 0)
        return;
    struct promise *promise = &oracle->groups[group].promises[from - 1];
    if (decoded.type == RAFT_APPEND_RESPONSE && !decoded.reject && decoded.index < (1u << 24)) {
        bool is_newer = promise->raft_id != decoded.from || promise->term < decoded.term ||
                        (promise->term == decoded.term && promise->index < decoded.index);
        if (is_newer)
            *promise = (struct promise){decoded.from, decoded.index, decoded.term};
    }
    raft_message_deinit(&decoded);
}
