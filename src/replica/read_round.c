/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a round of reads asks. The core sends a read's heartbeat to every peer; a bare quorum is
 * enough, and each peer that is not woken is CPU saved on two nodes. So between two ticks only the
 * peers that answered the last beat soonest are asked. The next tick's beat goes to everybody, so
 * a peer that fell silent delays reads by one tick, and is not asked again until it answers.
 *
 * Heartbeats may be lost, so leaving some out cannot make a read stale (thesis section 6.4).
 */
#include "replica/state.h"

#define NO_RANK UINT32_MAX

void
read_round_on_tick(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->host->peer_count; i++) {
        struct peer_view *peer = &replica->views[i];
        peer->beat_rank = peer->beat_answered ? peer->beat_rank_next : NO_RANK;
        peer->beat_answered = false;
    }
    replica->beat_answer_count = 0;
    replica->beat_for_all = true;
}

void
read_round_on_answer(struct replica *replica, uint32_t node)
{
    struct peer_view *peer = replica_view(replica, node);
    if (!peer || peer->beat_answered)
        return;
    peer->beat_answered = true;
    peer->beat_rank_next = replica->beat_answer_count++;
}

void
read_round_on_lost(struct replica *replica, uint32_t slot)
{
    replica->views[slot].beat_rank = NO_RANK;
}

bool
read_round_spares(struct replica *replica, const struct raft_message *message)
{
    if (message->type != RAFT_HEARTBEAT || message->context == 0 || replica->beat_for_all)
        return false;
    const struct raft_config *config = &replica->config;
    const struct peer_view *peer = replica_view(replica, replica_raft_node(message->to));
    uint32_t voters = 0, ranked = 0, sooner = 0;
    bool self = false;
    for (uint32_t i = 0; peer && i < config->count; i++) {
        /* In a joint configuration it is not one quorum: everybody is asked. */
        if (config->roles[i] & RAFT_OUTGOING)
            return false;
        if (!(config->roles[i] & RAFT_VOTER))
            continue;
        voters++;
        self |= config->ids[i] == replica->host->raft_id;
        const struct peer_view *other = replica_view(replica, replica_raft_node(config->ids[i]));
        if (!other || other->beat_rank == NO_RANK)
            continue;
        ranked++;
        sooner += other->beat_rank < peer->beat_rank;
    }
    uint32_t wanted = voters / 2 + !self;
    return peer && ranked >= wanted && sooner >= wanted;
}
