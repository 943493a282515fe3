/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes that this one talks to, kept to the roster; and a node that is none any more. */
#include "obs/log.h"
#include "raft/codec.h"
#include "replica/former.h"
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
timeouts_ns(const struct host *host, uint32_t count)
{
    return count * host->options.election_ticks * host->options.tick_ns;
}

static void
forget_peer(struct host *host, struct peer *peer)
{
    host->link->ops->drop_peer(host->link, peer->node);
    for (uint32_t i = 0; i < host->group_count; i++)
        forward_lost(host->groups[i], peer->node);
    peer->gone = true;
    obs_log(OBS_INFO, "replica", "no peer any more", "node=%u peer=%u", host->options.node,
            peer->node);
}

/* Nothing is under way for the peer that was in @slot. */
static bool
is_idle(const struct host *host, uint32_t slot)
{
    for (uint32_t i = 0; i < host->group_count; i++)
        if (host->groups[i]->views[slot].send)
            return false;
    return true;
}

/* A slot for @node: its own, an empty one, or one of a node that is gone. */
static struct peer *
slot_for(struct host *host, uint32_t node)
{
    struct peer *free_slot = NULL;
    for (uint32_t i = 0; i < host->peer_count; i++) {
        if (host->peers[i].node == node)
            return &host->peers[i];
        if (host->peers[i].gone && is_idle(host, i))
            free_slot = &host->peers[i];
    }
    if (host->peer_count < REPLICA_NODES_MAX) {
        free_slot = &host->peers[host->peer_count++];
        *free_slot = (struct peer){.gone = true};
    }
    return free_slot;
}

static void
take_peer(struct host *host, const struct replica_peer *wanted)
{
    struct peer *peer = slot_for(host, wanted->node);
    if (!peer)
        return; /* a change of members keeps old and new ones within the limit */
    if (peer->gone && peer->node != wanted->node) {
        host_peer_deinit(peer);
        *peer = (struct peer){.node = wanted->node};
        for (uint32_t i = 0; i < host->group_count; i++)
            read_round_on_lost(host->groups[i], (uint32_t)(peer - host->peers));
    }
    peer->gone = false;
    peer->leaving_ns = 0;
    int rc = host->link->ops->set_peer(host->link, wanted);
    if (rc < 0)
        obs_log(OBS_ERROR, "replica", "no way to a peer", "node=%u peer=%u error=%s",
                host->options.node, wanted->node, skein_error_name(rc));
}

static void
put_all(struct roster *all, const struct roster *more)
{
    for (uint32_t i = 0; i < more->count; i++)
        if (!roster_find(all, more->peers[i].node))
            (void)roster_put(all, &more->peers[i]);
}

/* They are spoken to as long as there is room. */
static void
drop_left_behind(struct host *host)
{
    uint32_t node = host->left_behind.peers[host->left_behind.count - 1].node;
    struct peer *peer = host_peer(host, node);
    roster_drop(&host->left_behind, node);
    if (peer && !roster_find(&host->known, node))
        forget_peer(host, peer);
}

void
members_sync_peers(struct host *host)
{
    struct roster all = {0};
    uint32_t nodes[REPLICA_NODES_MAX];
    if (!host->link_started || host->genesis.state == GENESIS_UNBORN)
        return;
    for (uint32_t i = 0; i < host->group_count; i++) {
        const struct replica *replica = host->groups[i];
        put_all(&all, members_roster(replica));
        if (replica->change.status.state == REPLICA_CHANGE_RUNNING)
            put_all(&all, &replica->change.target);
    }
    host->known = all;
    while (all.count + host->left_behind.count > REPLICA_NODES_MAX)
        drop_left_behind(host);
    for (uint32_t i = 0; i < all.count; i++) {
        nodes[i] = all.peers[i].node;
        if (nodes[i] != host->options.node)
            take_peer(host, &all.peers[i]);
    }
    genesis_set_nodes(&host->genesis, nodes, all.count);
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct peer *peer = &host->peers[i];
        if (!peer->gone && !roster_find(&all, peer->node) && !peer->leaving_ns &&
            !roster_find(&host->left_behind, peer->node))
            peer->leaving_ns = skein_deadline_in(timeouts_ns(host, LINGER_TIMEOUTS));
    }
}

/* The joint one's roster holds those who go, too: until it is left they decide with the others. */
static void
drop_gone(struct replica *replica, const struct raft_config *before)
{
    if (!raft_config_joint(before) || raft_config_joint(&replica->config))
        return;
    for (uint32_t i = 0; i < before->count; i++) {
        uint32_t node = replica_raft_node(before->ids[i]);
        if (members_find(replica, node) < 0)
            roster_drop(&replica->roster, node);
    }
}

void
members_apply_roster(struct replica *replica, const struct raft_entry *entry,
                     const struct raft_config *before)
{
    struct raft_conf_change change;
    struct roster roster;
    drop_gone(replica, before);
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
    if (replica->group != 0)
        return; /* a node is removed when its first group says so */
    bool member = raft_config_find(&replica->config, replica->host->raft_id) >= 0;
    uint64_t let_in_index = replica->host->identity.let_in_index;
    replica->was_member |= member || replica->host->identity.state == GENESIS_MEMBER ||
                           (let_in_index && replica->applied_index >= let_in_index);
    bool removed = !member && replica->was_member && replica->roster.count &&
                   !roster_find(&replica->roster, replica->host->options.node);
    if (!removed)
        replica->removed_ns = 0;
    else if (!replica->removed_ns)
        replica->removed_ns = skein_deadline_in(timeouts_ns(replica->host, LINGER_TIMEOUTS));
}

/* When there was a leader last. A learner stands for nothing, and keeps the one it had for ever. */
static uint64_t
leader_heard_ns(const struct replica *replica)
{
    uint64_t leader = raft_leader(replica->raft);
    const struct peer *peer =
        leader == RAFT_NONE ? NULL : host_peer(replica->host, replica_raft_node(leader));
    uint64_t heard_ns = peer ? peer->heard_ns : 0;
    return heard_ns > replica->leader_since_ns ? heard_ns : replica->leader_since_ns;
}

bool
members_lonely(const struct replica *replica, uint64_t now_ns)
{
    return replica->raft && replica->phase == REPLICA_RUNNING && !replica_is_leader(replica) &&
           now_ns - leader_heard_ns(replica) >= timeouts_ns(replica->host, LONELY_TIMEOUTS) / 2;
}

/* It missed its removal, and nobody is there who could tell it through the log. */
static bool
is_forgotten(const struct replica *replica, uint64_t now_ns)
{
    uint64_t lonely_ns = timeouts_ns(replica->host, LONELY_TIMEOUTS);
    uint32_t others = 0, refused = 0;
    if (replica->phase != REPLICA_RUNNING || replica_is_leader(replica) ||
        now_ns - leader_heard_ns(replica) < lonely_ns)
        return false;
    for (uint32_t i = 0; i < replica->host->peer_count; i++) {
        const struct peer *peer = &replica->host->peers[i];
        if (peer->gone || members_find(replica, peer->node) < 0)
            continue;
        others++;
        refused += peer->refused_ns && now_ns - peer->refused_ns < lonely_ns;
    }
    return refused > others / 2;
}

void
members_tick(struct host *host, uint64_t now_ns)
{
    const struct replica *replica = host->groups[0];
    for (uint32_t i = 0; i < host->peer_count; i++) {
        struct peer *peer = &host->peers[i];
        if (!peer->gone && peer->leaving_ns && now_ns >= peer->leaving_ns)
            forget_peer(host, peer);
    }
    if (!replica->raft)
        return;
    bool forgotten = is_forgotten(replica, now_ns);
    /* One that a leader still speaks to was taken in once more, and only has to catch up so far. */
    bool removed = replica->removed_ns && now_ns >= replica->removed_ns &&
                   now_ns - leader_heard_ns(replica) >= timeouts_ns(host, 1);
    if (forgotten || removed)
        host_fail(host, -SKEIN_EREMOVED,
                  "node %u was removed from the cluster%s; to let it in again, empty its data "
                  "directory and add it as a new node",
                  host->options.node,
                  forgotten ? " while it was away: most others do not know it any more" : "");
}

void
members_on_refused(void *owner, uint32_t node)
{
    struct host *host = owner;
    struct peer *peer = host_peer(host, node);
    if (peer)
        peer->refused_ns = skein_now_ns();
}
