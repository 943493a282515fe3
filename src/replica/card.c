/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/card.h"

#include <string.h>

#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

#define CARD_NS UINT64_C(1000000000)
/* Election timeouts: of leading before it is yielded, and between two tries. */
#define SETTLED_TIMEOUTS 2u
#define YIELD_TIMEOUTS 10u

static void
tell(struct host *host, uint32_t node)
{
    struct wire_writer out = {0};
    const struct envelope_card card = {.rank = (uint8_t)host->options.election_rank,
                                       .client = host->client_addr};
    envelope_put_card(&out, &card);
    (void)!inbox_send_writer(host, node, &out);
    wire_writer_deinit(&out);
}

void
card_tick(struct host *host, uint64_t now_ns)
{
    if (now_ns < host->next_card_ns || host->genesis.state == GENESIS_UNBORN)
        return;
    host->next_card_ns = now_ns + CARD_NS;
    for (uint32_t i = 0; i < host->peer_count; i++) {
        uint32_t node = host->peers[i].node;
        if (!host->peers[i].gone && roster_find(&host->known, node) &&
            host->link->ops->connected(host->link, node))
            tell(host, node);
    }
}

void
card_on_message(struct host *host, uint32_t from, struct bytes message)
{
    struct envelope_card card;
    struct peer *peer = host_peer(host, from);
    if (envelope_get_card(message, &card) < 0) {
        host->counters.undecodable_dropped++;
        return;
    }
    if (!peer)
        return;
    /* It may be new here, and not know ours. */
    if (!peer->has_card && host->genesis.state != GENESIS_UNBORN)
        tell(host, from);
    peer->has_card = true;
    peer->rank = card.rank;
    peer->client_addr = card.client;
}

struct skein_addr
card_client(struct host *host, uint32_t node)
{
    const struct peer *peer = host_peer(host, node);
    if (node == host->options.node)
        return host->client_addr;
    return peer ? peer->client_addr : (struct skein_addr){0};
}

void
replica_advertise(struct replica *replica, const struct skein_addr *client_addr)
{
    replica->host->client_addr = *client_addr;
    replica->host->next_card_ns = 0;
}

/* Of the voters that are up to date, the one of the lowest rank below this node's. */
static uint64_t
find_better(const struct replica *replica)
{
    struct raft_status status;
    uint32_t best_rank = replica->host->options.election_rank;
    uint64_t best = RAFT_NONE;
    raft_status(replica->raft, &status);
    for (uint32_t i = 0; i < status.peer_count; i++) {
        uint32_t node = replica_raft_node(status.peers[i].id);
        const struct peer *peer = host_peer(replica->host, node);
        if (!peer || !peer->has_card || peer->rank >= best_rank ||
            !raft_config_is(&replica->config, status.peers[i].id, RAFT_VOTER) ||
            raft_config_is(&replica->config, status.peers[i].id, RAFT_WITNESS) ||
            !members_answers(replica, node) || status.peers[i].state != RAFT_REPLICATE ||
            status.peers[i].match < status.hard_state.commit)
            continue;
        best_rank = peer->rank;
        best = status.peers[i].id;
    }
    return best;
}

void
card_yield(struct replica *replica, uint64_t now_ns)
{
    const struct replica_options *options = &replica->host->options;
    uint64_t timeout_ns = options->election_ticks * options->tick_ns;
    if (options->election_rank == 0 || !replica_is_leader(replica) ||
        now_ns < replica->next_yield_ns ||
        now_ns - replica->leader_since_ns < SETTLED_TIMEOUTS * timeout_ns ||
        replica->applied_term != raft_term(replica->raft) ||
        replica->change.status.state == REPLICA_CHANGE_RUNNING ||
        raft_config_joint(&replica->config))
        return;
    uint64_t heir = find_better(replica);
    replica->next_yield_ns = now_ns + (heir == RAFT_NONE ? 1 : YIELD_TIMEOUTS) * timeout_ns;
    if (heir == RAFT_NONE)
        return;
    int rc = raft_transfer(replica->raft, heir);
    replica_signal(replica);
    obs_log(OBS_INFO, "replica", "hands over to a node of higher priority",
            "node=%u group=%u to=%u result=%s", options->node, replica->group,
            replica_raft_node(heir), rc < 0 ? skein_error_name(rc) : "begun");
}
