/* SPDX-License-Identifier: Apache-2.0 */
/* replica/members.h: what a change is to lead to, and whether it may be begun. */
#include "replica/members.h"

#include <stdio.h>
#include <string.h>

#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

/* A change that has not come on for so long gives way to another one. */
#define CHANGE_STUCK_NS (5 * UINT64_C(1000000000))

struct wanted {
    const struct replica *replica;
    struct roster roster;
    uint8_t roles[REPLICA_NODES_MAX]; /* beside roster.peers */
    char *why;
};

static int
complain(struct wanted *wanted, int code, const char *what, uint32_t node)
{
    snprintf(wanted->why, 512, what, node);
    return code;
}

static void
want(struct wanted *wanted, const struct replica_peer *peer, uint8_t role)
{
    struct wanted old = *wanted;
    bool known = roster_find(&old.roster, peer->node);
    if (!roster_put(&wanted->roster, peer))
        return; /* counted by the caller */
    for (uint32_t i = 0, from = 0; i < wanted->roster.count; i++) {
        bool it = wanted->roster.peers[i].node == peer->node;
        wanted->roles[i] = it ? role : old.roles[from];
        from += !it || known;
    }
}

static void
unwant(struct wanted *wanted, uint32_t node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < wanted->roster.count; i++)
        if (wanted->roster.peers[i].node != node)
            wanted->roles[kept++] = wanted->roles[i];
    roster_drop(&wanted->roster, node);
}

/* The members as they are. A node without a disk among them has lost it and comes back a voter. */
static void
want_present(struct wanted *wanted)
{
    const struct replica *replica = wanted->replica;
    wanted->roster = *members_roster(replica);
    for (uint32_t i = 0; i < wanted->roster.count; i++) {
        int at = members_find(replica, wanted->roster.peers[i].node);
        bool learner = at >= 0 && (replica->config.roles[at] & RAFT_LEARNER);
        wanted->roles[i] = learner ? RAFT_LEARNER : RAFT_VOTER;
    }
}

static int
want_added(struct wanted *wanted, const struct replica_peer *peer, uint8_t role)
{
    if (peer->addr.port == 0)
        return complain(wanted, -SKEIN_EINVALID, "node %u needs an address to be added",
                        peer->node);
    for (uint32_t i = 0; i < wanted->roster.count; i++) {
        const struct replica_peer *other = &wanted->roster.peers[i];
        if (other->node != peer->node && other->addr.port == peer->addr.port &&
            memcmp(other->addr.ip, peer->addr.ip, sizeof peer->addr.ip) == 0)
            return complain(wanted, -SKEIN_EINVALID, "node %u has that address already",
                            other->node);
    }
    if (!roster_find(&wanted->roster, peer->node) && wanted->roster.count == REPLICA_NODES_MAX)
        return complain(wanted, -SKEIN_EINVALID, "there would be more than %u nodes",
                        REPLICA_NODES_MAX);
    want(wanted, peer, role);
    return 0;
}

static int
want_role(struct wanted *wanted, uint32_t node, uint8_t role)
{
    const struct replica_peer *known = roster_find(&wanted->roster, node);
    if (!known)
        return complain(wanted, -SKEIN_ENOTFOUND, "node %u is no member", node);
    const struct replica_peer peer = *known;
    want(wanted, &peer, role);
    return 0;
}

static int
want_removed(struct wanted *wanted, uint32_t node)
{
    if (!roster_find(&wanted->roster, node))
        return complain(wanted, -SKEIN_ENOTFOUND, "node %u is no member", node);
    unwant(wanted, node);
    return 0;
}

/* The new voters alone; those that are members keep their addresses where none is given. */
static int
want_set(struct wanted *wanted, const struct replica_change *change)
{
    const struct roster present = wanted->roster;
    wanted->roster.count = 0;
    for (uint32_t i = 0; i < change->peer_count; i++) {
        const struct replica_peer *known = roster_find(&present, change->peers[i].node);
        bool as_it_is = known && change->peers[i].addr.port == 0;
        int rc = want_added(wanted, as_it_is ? known : &change->peers[i], RAFT_VOTER);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* An earlier leader may have carried it out already. */
static int
want_replaced(struct wanted *wanted, const struct replica_peer *old,
              const struct replica_peer *heir)
{
    int at = members_find(wanted->replica, old->node);
    uint8_t role = RAFT_VOTER;
    if (at >= 0 && (wanted->replica->config.roles[at] & RAFT_LEARNER))
        role = RAFT_LEARNER;
    bool done =
        !roster_find(&wanted->roster, old->node) && roster_find(&wanted->roster, heir->node);
    if (done)
        return 0;
    int rc = want_removed(wanted, old->node);
    return rc < 0 ? rc : want_added(wanted, heir, role);
}

static int
want_one(struct wanted *wanted, enum replica_change_kind kind, const struct replica_peer *peer)
{
    switch (kind) {
    case REPLICA_ADD:
        return want_added(wanted, peer, RAFT_VOTER);
    case REPLICA_ADD_LEARNER:
        return want_added(wanted, peer, RAFT_LEARNER);
    case REPLICA_REMOVE:
        return want_removed(wanted, peer->node);
    case REPLICA_PROMOTE:
        return want_role(wanted, peer->node, RAFT_VOTER);
    case REPLICA_DEMOTE:
        return want_role(wanted, peer->node, RAFT_LEARNER);
    case REPLICA_REPLACE:
    case REPLICA_SET:
        break;
    }
    return -SKEIN_EINVALID;
}

static int
want_change(struct wanted *wanted, const struct replica_change *change)
{
    if (change->peer_count == 0 || change->peer_count > REPLICA_NODES_MAX ||
        (change->kind == REPLICA_REPLACE && change->peer_count != 2))
        return complain(wanted, -SKEIN_EINVALID, "not that many nodes: %u", change->peer_count);
    for (uint32_t i = 0; i < change->peer_count; i++)
        if (change->peers[i].node == 0 || change->peers[i].node > UINT16_MAX)
            return complain(wanted, -SKEIN_EINVALID, "no node's number: %u", change->peers[i].node);
    if (change->kind == REPLICA_SET)
        return want_set(wanted, change);
    if (change->kind == REPLICA_REPLACE) {
        return want_replaced(wanted, &change->peers[0], &change->peers[1]);
    }
    for (uint32_t i = 0; i < change->peer_count; i++) {
        int rc = want_one(wanted, change->kind, &change->peers[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Would the voters that are wanted answer? Those still to be taken in have to, or it never ends. */
static int
check_wanted(struct wanted *wanted, bool force)
{
    const struct replica *replica = wanted->replica;
    struct raft_config config = {0};
    uint32_t together = wanted->roster.count;
    for (uint32_t i = 0; i < wanted->roster.count; i++) {
        if (wanted->roles[i] != RAFT_VOTER)
            continue;
        /* Who is not there yet counts as this node, which answers. */
        uint32_t node = wanted->roster.peers[i].node;
        bool there = members_find(replica, node) >= 0;
        config.ids[config.count] =
            genesis_raft_id(there ? node : replica->host->options.node, config.count + 1);
        config.roles[config.count++] = RAFT_VOTER;
    }
    for (uint32_t i = 0; i < members_roster(replica)->count; i++)
        together += !roster_find(&wanted->roster, members_roster(replica)->peers[i].node);
    if (config.count == 0)
        return complain(wanted, -SKEIN_EINVALID, "no voter would be left%.0u", 0);
    if (together > REPLICA_NODES_MAX)
        return complain(wanted, -SKEIN_EINVALID,
                        "the old and the new nodes together would be more than %u",
                        REPLICA_NODES_MAX);
    if (!force && members_explain_silent(replica, &config, RAFT_VOTER, wanted->why))
        return -SKEIN_EREFUSED;
    return 0;
}

static int
may_begin(const struct replica *replica, char out_why[512])
{
    if (!replica_is_leader(replica) || replica->phase == REPLICA_FAILED) {
        uint32_t leader = replica->raft ? replica_raft_node(raft_leader(replica->raft)) : 0;
        snprintf(out_why, 512, leader ? "node %u leads" : "no leader is known", leader);
        return -SKEIN_ENOTLEADER;
    }
    if (replica->applied_term != raft_term(replica->raft)) {
        snprintf(out_why, 512, "the leader is new and has not committed yet");
        return -SKEIN_EBUSY;
    }
    if (replica->change.status.state == REPLICA_CHANGE_RUNNING &&
        skein_now_ns() < replica->change.moved_ns + CHANGE_STUCK_NS) {
        snprintf(out_why, 512, "another change of members is under way (%.200s)",
                 replica->change.status.note);
        return -SKEIN_EBUSY;
    }
    if (raft_config_joint(&replica->config)) {
        snprintf(out_why, 512, "a joint configuration is being left");
        return -SKEIN_EBUSY;
    }
    return 0;
}

int
replica_change_begin(struct replica *replica, const struct replica_change *change, uint64_t *out_id,
                     char out_why[512])
{
    struct wanted wanted = {.replica = replica, .why = out_why};
    int rc = may_begin(replica, out_why);
    if (rc < 0)
        return rc;
    want_present(&wanted);
    rc = want_change(&wanted, change);
    if (rc == 0)
        rc = check_wanted(&wanted, change->force);
    if (rc < 0)
        return rc;
    struct member_change *begun = &replica->change;
    *begun = (struct member_change){.term = raft_term(replica->raft),
                                    .force = change->force,
                                    .target = wanted.roster,
                                    .moved_ns = skein_now_ns()};
    memcpy(begun->target_roles, wanted.roles, sizeof wanted.roles);
    begun->status.id = skein_random() | 1;
    begun->status.state = REPLICA_CHANGE_RUNNING;
    *out_id = begun->status.id;
    obs_log(OBS_INFO, "replica", "change of members begun", "node=%u nodes=%u force=%d",
            replica->host->options.node, wanted.roster.count, change->force);
    members_sync_peers(replica->host);
    replica_signal(replica);
    return 0;
}

int
replica_transfer(struct replica *replica, uint32_t node, char out_why[512])
{
    if (!replica_is_leader(replica)) {
        uint32_t leader = replica->raft ? replica_raft_node(raft_leader(replica->raft)) : 0;
        snprintf(out_why, 512, leader ? "node %u leads" : "no leader is known", leader);
        return -SKEIN_ENOTLEADER;
    }
    int at = node ? members_find(replica, node) : -1;
    if (node == replica->host->options.node)
        snprintf(out_why, 512, "node %u leads already", node);
    else if (node && at < 0)
        snprintf(out_why, 512, "node %u is no member", node);
    else if (node && !(replica->config.roles[at] & RAFT_VOTER))
        snprintf(out_why, 512, "node %u is a learner: promote it first", node);
    else if (node && !members_answers(replica, node))
        snprintf(out_why, 512, "node %u does not answer", node);
    else if (raft_transfer(replica->raft, node ? replica->config.ids[at] : RAFT_NONE) < 0)
        snprintf(out_why, 512, "there is no other voter");
    else {
        replica_signal(replica);
        return 0;
    }
    return -SKEIN_EINVALID;
}

uint32_t
replica_members(const struct replica *replica, struct replica_member out_members[RAFT_MEMBERS_MAX])
{
    const struct roster *roster = members_roster(replica);
    struct raft_status status = {0};
    uint32_t count = 0;
    if (replica->raft)
        raft_status(replica->raft, &status);
    for (uint32_t i = 0; i < roster->count; i++) {
        struct replica_member *member = &out_members[count++];
        int at = members_find(replica, roster->peers[i].node);
        *member =
            (struct replica_member){.node = roster->peers[i].node, .addr = roster->peers[i].addr};
        if (at < 0)
            continue;
        member->raft_id = replica->config.ids[at];
        member->roles = replica->config.roles[at];
        member->leads = status.leader == member->raft_id;
        member->answers = status.role == RAFT_LEADER && members_answers(replica, member->node);
        for (uint32_t p = 0; p < status.peer_count; p++)
            if (status.peers[p].id == member->raft_id) {
                member->match = status.peers[p].match;
                member->state = status.peers[p].state;
            }
    }
    return count;
}
