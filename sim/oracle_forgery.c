/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#include <string.h>

#include "raft/codec.h"
#include "replica/envelope.h"

#define FORGED_ENOUGH 6

/* Only those count that a node which believes the claim would take: of its cluster and for its
 * disk. */
void
oracle_forgery_note(void *owner, uint32_t to, struct bytes message)
{
    struct sim_cluster *cluster = owner;
    struct sim_node *node = &cluster->nodes[to - 1];
    if (!node->kv || node->exited || node->last_boot != node->host->boot)
        return;
    const struct replica *replica = kv_node_replica(node->kv);
    struct envelope_rafts items;
    struct bytes body;
    uint32_t group;
    if (!replica->raft || replica->phase != REPLICA_RUNNING ||
        envelope_open_raft(&items, message) < 0 ||
        memcmp(items.cluster, replica->host->identity.map.cluster, 16) != 0)
        return;
    while (envelope_next_raft(&items, &group, &body) == 0) {
        struct raft_message decoded = {0};
        if (raft_decode_message(body, &decoded) < 0)
            return;
        cluster->oracle->forged[to - 1] += decoded.to == replica->host->raft_id;
        raft_message_deinit(&decoded);
    }
}

void
oracle_forgery(const struct oracle_view *view)
{
    uint64_t forged = view->oracle->forged[view->number - 1];
    /* What arrives while a snapshot is loaded waits to be looked at. */
    if (!view->loading && forged >= FORGED_ENOUGH &&
        view->replica->host->counters.forged_dropped == 0 && !sim_host_paused(view->node->host))
        oracle_violation(view,
                         "node %u got %" PRIu64 " messages of forged senders and counted none",
                         view->number, forged);
}
