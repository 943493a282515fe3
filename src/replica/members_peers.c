/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes that this one talks to, kept to the roster; and a node that is none any more. */
#include "obs/log.h"
#include "raft/codec.h"
#include "replica/members.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

#include <inttypes.h>

/* Who was removed is still to hear of it: so many election timeouts. */
#define LINGER_TIMEOUTS 4u
/* Without a leader for so many election timeouts, refusals by others are believed. */
#define LONELY_TIMEOUTS 20u

static uint64_t
timeouts_ns(const struct replica *replica, uint32_t count)
{
    return count * replica->options.election_ticks * replica->options.tick_ns;
}

static void
forget_peer(struct replica *replica, struct peer *peer)
{
    replica->link->ops->drop_peer(replica->link, peer->node);
    forward_lost(replica, peer->node);
    peer->gone = true;
    obs_log(OBS_INFO, "replica", "no peer any more", "node=%u peer=%u", replica->options.node,
            peer->node);
}

/* A slot for @node: its own, an empty one, or one of a node that is gone. */
static struct peer *
slot_for(struct replica *replica, uint32_t node)
{
    struct peer *free_slot = NULL;
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        if (replica->peers[i].node == node)
            return &replica->peers[i];
        if (replica->peers[i].gone && !replica->peers[i].send)
            free_slot = &replica->peers[i];
    }
    if (replica->peer_count < REPLICA_NODES_MAX) {
        free_slot = &replica->peers[replica->peer_count++];
        *free_slot = (struct peer){.gone = true};
    }
    return free_slot;
}

static void
take_peer(struct replica *replica, const struct replica_peer *wanted)
{
    struct peer *peer = slot_for(replica, wanted->node);
    if (!peer)
        return; /* a change of members keeps old and new ones within the limit */
    if (peer->gone && peer->node != wanted->node) {
        replica_peer_deinit(peer);
        *peer = (struct peer){.node = wanted->node, .beat_rank = UINT32_MAX};
    }
    peer->gone = false;
    peer->leaving_ns = 0;
    int rc = replica->link->ops->set_peer(replica->link, wanted);
    if (rc < 0)
        obs_log(OBS_ERROR, "replica", "no way to a peer", "node=%u peer=%u error=%s",
                replica->options.node, wanted->node, skein_error_name(rc));
}

/*
 * While a configuration is joint, those who go still decide, and the roster may not hold them any
 * more: they stay peers until they are out of the configuration, too.
 */
static void
keep_members(const struct replica *replica, struct roster *all)
{
    for (uint32_t i = 0; i < replica->config.count; i++) {
        uint32_t node = replica_raft_node(replica->config.ids[i]);
        const struct replica_peer *known = roster_find(&replica->known, node);
        if (!known)
            known = roster_find(&replica->configured, node);
        if (known && !roster_find(all, node))
            (void)roster_put(all, known);
    }
}

void
members_sync_peers(struct replica *replica)
{
    struct roster all = *members_roster(replica);
    uint32_t nodes[REPLICA_NODES_MAX];
    if (!replica->link_started || replica->genesis.state == GENESIS_UNBORN)
        return;
    if (replica->change.status.state == REPLICA_CHANGE_RUNNING)
        for (uint32_t i = 0; i < replica->change.target.count; i++)
            if (!roster_find(&all, replica->change.target.peers[i].node))
                (void)roster_put(&all, &replica->change.target.peers[i]);
    keep_members(replica, &all);
    replica->known = all;
    for (uint32_t i = 0; i < all.count; i++) {
        nodes[i] = all.peers[i].node;
        if (nodes[i] != replica->options.node)
            take_peer(replica, &all.peers[i]);
    }
    genesis_set_nodes(&replica->genesis, nodes, all.count);
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (!peer->gone && !roster_find(&all, peer->node) && !peer->leaving_ns)
            peer->leaving_ns = skein_deadline_in(timeouts_ns(replica, LINGER_TIMEOUTS));
    }
}

void
members_apply_roster(struct replica *replica, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    struct roster roster;
    if (raft_decode_conf_change(entry->type, entry->data, &change) < 0 || !change.context.count)
        return;
    if (roster_decode(change.context, &roster) < 0) {
        obs_log(OBS_ERROR, "replica", "a roster that is none is skipped", "index=%" PRIu64,
                entry->index);
        return;
    }
    replica->roster = roster;
}

void
members_note_removed(struct replica *replica)
{
    bool member = raft_config_find(&replica->config, replica->raft_id) >= 0;
    uint64_t let_in_index = replica->identity.let_in_index;
    replica->was_member |= member || replica->identity.state == GENESIS_MEMBER ||
                           (let_in_index && replica->applied_index >= let_in_index);
    bool removed = !member && replica->was_member && replica->roster.count &&
                   !roster_find(&replica->roster, replica->options.node);
    if (!removed)
        replica->removed_ns = 0;
    else if (!replica->removed_ns)
        replica->removed_ns = skein_deadline_in(timeouts_ns(replica, LINGER_TIMEOUTS));
}

/* It missed its removal, and nobody is there who could tell it through the log. */
static bool
is_forgotten(const struct replica *replica, uint64_t now_ns)
{
    uint64_t lonely_ns = timeouts_ns(replica, LONELY_TIMEOUTS);
    uint32_t others = 0, refused = 0;
    /* Who goes in a joint change is not forgotten before that has ended. */
    if (raft_config_joint(&replica->config) || replica->phase != REPLICA_RUNNING ||
        raft_leader(replica->raft) != RAFT_NONE || now_ns - replica->leader_since_ns < lonely_ns)
        return false;
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        const struct peer *peer = &replica->peers[i];
        if (peer->gone || members_find(replica, peer->node) < 0)
            continue;
        others++;
        refused += peer->refused_ns && now_ns - peer->refused_ns < lonely_ns;
    }
    return refused > others / 2;
}

void
members_tick(struct replica *replica, uint64_t now_ns)
{
    for (uint32_t i = 0; i < replica->peer_count; i++) {
        struct peer *peer = &replica->peers[i];
        if (!peer->gone && peer->leaving_ns && now_ns >= peer->leaving_ns)
            forget_peer(replica, peer);
    }
    if (!replica->raft)
        return;
    members_turn(replica, now_ns);
    bool forgotten = is_forgotten(replica, now_ns);
    if (forgotten || (replica->removed_ns && now_ns >= replica->removed_ns))
        replica_fail(replica, -SKEIN_EREMOVED,
                     "node %u was removed from the cluster%s; to let it in again, empty its data "
                     "directory and add it as a new node",
                     replica->options.node,
                     forgotten ? " while it was away: most others do not know it any more" : "");
}

void
members_on_refused(void *owner, uint32_t node)
{
    struct replica *replica = owner;
    struct peer *peer = replica_peer(replica, node);
    if (peer)
        peer->refused_ns = skein_now_ns();
}
