/* SPDX-License-Identifier: Apache-2.0 */
/* replica/members.h: the steps of a change, on the leader's driver. */
#include "replica/members.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "obs/log.h"
#include "raft/confchange.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

/* A change that has not come on for so long is given up. */
#define CHANGE_PATIENCE_NS (60 * UINT64_C(1000000000))

const char *
replica_change_state_name(enum replica_change_state state)
{
    switch (state) {
    case REPLICA_CHANGE_NONE:
        return "none";
    case REPLICA_CHANGE_RUNNING:
        return "running";
    case REPLICA_CHANGE_DONE:
        return "done";
    case REPLICA_CHANGE_FAILED:
        return "failed";
    }
    return "?";
}

const struct roster *
members_roster(const struct replica *replica)
{
    return replica->roster.count ? &replica->roster : &replica->host->configured;
}

int
members_find(const struct replica *replica, uint32_t node)
{
    for (uint32_t i = 0; i < replica->config.count; i++)
        if (replica_raft_node(replica->config.ids[i]) == node)
            return (int)i;
    return -1;
}

bool
members_answers(const struct replica *replica, uint32_t node)
{
    uint64_t timeout_ns = replica->host->options.election_ticks * replica->host->options.tick_ns;
    if (node == replica->host->options.node)
        return true;
    const struct peer *peer = host_peer(replica->host, node);
    return peer && peer->heard_ns && skein_now_ns() - peer->heard_ns <= timeout_ns;
}

static void __attribute__((format(printf, 2, 3)))
note(struct member_change *change, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(change->status.note, sizeof change->status.note, format, args);
    va_end(args);
}

static void
end(struct replica *replica, int failure)
{
    struct member_change *change = &replica->change;
    char quoted[600];
    change->status.failure = failure;
    change->status.state = failure ? REPLICA_CHANGE_FAILED : REPLICA_CHANGE_DONE;
    obs_log(failure ? OBS_WARN : OBS_INFO, "replica", "change of members ended",
            "node=%u result=%s note=%s", replica->host->options.node,
            failure ? skein_error_name(failure) : "done",
            obs_quote(quoted, sizeof quoted, change->status.note, strlen(change->status.note)));
    members_sync_peers(replica->host);
}

/* ---- who would still answer ---- */

bool
members_explain_silent(const struct replica *replica, const struct raft_config *config,
                       enum raft_member half, char out_why[512])
{
    uint32_t voters = 0, answering = 0;
    int at = 0;
    char silent[128] = "";
    for (uint32_t i = 0; i < config->count; i++) {
        uint32_t node = replica_raft_node(config->ids[i]);
        if (!(config->roles[i] & half))
            continue;
        voters++;
        if (members_answers(replica, node))
            answering++;
        else if (at >= 0 && (size_t)at < sizeof silent)
            at += snprintf(silent + at, sizeof silent - (size_t)at, "%s%u", at ? ", " : "", node);
    }
    if (answering >= voters / 2 + (voters > 0))
        return false;
    snprintf(out_why, 512,
             "of its %u voters only %u would answer (silent: node %s) and nothing could be written "
             "or read: bring those back or remove them first; forced, no acknowledged write is "
             "lost, but the cluster stands still until a majority answers",
             voters, answering, silent);
    return true;
}

/* ---- one configuration entry ---- */

/* Those who go decide until the joint configuration is left, and are known for so long. */
static void
put_leaving(struct replica *replica, const struct raft_config *next, struct roster *roster)
{
    for (uint32_t i = 0; raft_config_joint(next) && i < next->count; i++) {
        uint32_t node = replica_raft_node(next->ids[i]);
        const struct replica_peer *known = roster_find(members_roster(replica), node);
        if (known && !roster_find(roster, node))
            (void)roster_put(roster, known); /* old and new ones together are within the limit */
    }
}

/* 0: on its way, or to be tried again until the patience ends; else the change has failed. */
static int
propose(struct replica *replica, const struct raft_change *changes, uint32_t count,
        const struct roster *roster)
{
    struct member_change *change = &replica->change;
    struct raft_conf_change conf = {.v1 = count == 1, .change_count = count};
    struct raft_next next;
    struct wire_writer out = {0};
    char why[512];
    uint64_t index, term;
    memcpy(conf.changes, changes, count * sizeof(changes[0]));
    enum raft_refusal refusal = raft_next(&replica->config, &conf, &next);
    if (refusal) {
        note(change, "%s", raft_refusal_text(refusal));
        return -SKEIN_EINVALID;
    }
    if (!change->force && (members_explain_silent(replica, &next.config, RAFT_VOTER, why) ||
                           members_explain_silent(replica, &next.config, RAFT_OUTGOING, why))) {
        note(change, "%.255s",
             why); /* they may come back: this node may have been stopped itself */
        return 0;
    }
    struct roster all = *roster;
    put_leaving(replica, &next.config, &all);
    roster_encode(&out, &all);
    conf.context = bytes_borrow(out.data, out.count);
    int rc = raft_propose_config(replica->raft, &conf, &index, &term);
    wire_writer_deinit(&out);
    obs_log(OBS_INFO, "replica", "change of members", "node=%u changes=%u result=%s",
            replica->host->options.node, count, rc < 0 ? skein_error_name(rc) : "proposed");
    if (rc == 0) {
        change->moved_ns = skein_now_ns();
        replica_signal(replica);
    }
    return rc == -SKEIN_EBUSY || rc == -SKEIN_EAGAIN ? 0 : rc;
}

/* ---- the steps ---- */

/* 1: every wanted node has a disk among the members; 0: wait. */
static int
take_in(struct replica *replica)
{
    struct member_change *change = &replica->change;
    for (uint32_t i = 0; i < change->target.count; i++) {
        const struct replica_peer *peer = &change->target.peers[i];
        if (members_find(replica, peer->node) >= 0)
            continue;
        if (!change->candidates[i]) {
            note(change,
                 "waits for node %u to be started, with node %u in its --peers, and to ask to be "
                 "let in",
                 peer->node, replica->host->options.node);
            return 0;
        }
        struct roster roster = *members_roster(replica);
        if (!roster_put(&roster, peer)) {
            note(change, "there would be more than %d nodes", REPLICA_NODES_MAX);
            return -SKEIN_EINVALID;
        }
        note(change, "takes node %u in as a learner", peer->node);
        return propose(replica,
                       &(struct raft_change){RAFT_CHANGE_ADD_LEARNER, change->candidates[i]}, 1,
                       &roster);
    }
    return 1;
}

/*
 * A learner is ready when it got what the leader had within an election timeout (thesis section
 * 4.2.1): then it will not hold commits up for longer than that as a voter.
 */
static bool
is_caught_up(struct replica *replica, uint32_t place, const struct raft_peer_status *peer,
             uint64_t last_index)
{
    struct member_change *change = &replica->change;
    uint64_t timeout_ns = replica->host->options.election_ticks * replica->host->options.tick_ns;
    uint64_t now_ns = skein_now_ns();
    if (peer->match > change->matched[place]) {
        change->matched[place] = peer->match;
        change->moved_ns = now_ns;
    }
    if (change->round_index[place] && peer->match >= change->round_index[place] &&
        now_ns - change->round_begun_ns[place] <= timeout_ns)
        return true;
    if (!change->round_index[place] || peer->match >= change->round_index[place]) {
        change->round_index[place] = last_index;
        change->round_begun_ns[place] = now_ns;
    }
    return peer->match >= last_index;
}

/* 1: every learner that is to vote is ready. */
static int
wait_for_learners(struct replica *replica)
{
    struct member_change *change = &replica->change;
    struct raft_status status;
    raft_status(replica->raft, &status);
    for (uint32_t i = 0; i < change->target.count; i++) {
        uint32_t node = change->target.peers[i].node;
        int at = members_find(replica, node);
        if (change->target_roles[i] != RAFT_VOTER || at < 0 ||
            replica->config.roles[at] != RAFT_LEARNER)
            continue;
        for (uint32_t p = 0; p < status.peer_count; p++) {
            const struct raft_peer_status *peer = &status.peers[p];
            if (peer->id != replica->config.ids[at] ||
                is_caught_up(replica, i, peer, status.last_index))
                continue;
            note(change, "node %u catches up: %" PRIu64 " of %" PRIu64 " entries", node,
                 peer->match, status.last_index);
            return 0;
        }
    }
    return 1;
}

/* The changes from the members as they are to those wanted; all disks are members by now. */
static uint32_t
list_changes(const struct replica *replica, struct raft_change *out_changes)
{
    const struct member_change *change = &replica->change;
    uint32_t count = 0;
    for (uint32_t i = 0; i < replica->config.count; i++) {
        uint64_t id = replica->config.ids[i];
        const struct replica_peer *wanted = roster_find(&change->target, replica_raft_node(id));
        if (!wanted) {
            out_changes[count++] = (struct raft_change){RAFT_CHANGE_REMOVE, id};
            continue;
        }
        uint8_t role = change->target_roles[wanted - change->target.peers];
        if (role != replica->config.roles[i])
            out_changes[count++] = (struct raft_change){
                role == RAFT_VOTER ? RAFT_CHANGE_ADD_VOTER : RAFT_CHANGE_ADD_LEARNER, id};
    }
    return count;
}

/* The voter to hand leadership to: of those that stay and answer, the one that has most; one that
 * is not sent the log just now would have to get it first, and nothing could be written for so
 * long.
 * @out_waits: there is only such a one. */
static uint64_t
find_heir(struct replica *replica, bool *out_waits)
{
    const struct member_change *change = &replica->change;
    struct raft_status status;
    uint64_t heir = RAFT_NONE, heir_match = 0;
    *out_waits = false;
    raft_status(replica->raft, &status);
    for (uint32_t i = 0; i < status.peer_count; i++) {
        const struct raft_peer_status *peer = &status.peers[i];
        uint32_t node = replica_raft_node(peer->id);
        const struct replica_peer *wanted = roster_find(&change->target, node);
        if (!wanted || change->target_roles[wanted - change->target.peers] != RAFT_VOTER ||
            peer->id == replica->host->raft_id || !members_answers(replica, node) ||
            !raft_config_is(&replica->config, peer->id, RAFT_VOTER))
            continue;
        if (peer->state != RAFT_REPLICATE)
            *out_waits = true;
        else if (heir == RAFT_NONE || peer->match > heir_match) {
            heir = peer->id;
            heir_match = peer->match;
        }
    }
    return heir;
}

/* A leader that is to go hands over first: whoever follows it carries out the rest at once, where
 * an election would take its time. */
static bool
hands_over(struct replica *replica, const struct raft_change *changes, uint32_t count)
{
    struct member_change *change = &replica->change;
    bool goes = false, waits;
    for (uint32_t i = 0; i < count; i++)
        goes |= changes[i].node == replica->host->raft_id;
    if (!goes)
        return false;
    uint64_t heir = find_heir(replica, &waits);
    if (heir == RAFT_NONE) {
        note(change, "waits for a voter that is up to date and can lead");
        return waits;
    }
    if (raft_transfer(replica->raft, heir) < 0)
        return false;
    replica_signal(replica);
    note(change, "leadership is handed over to node %u, which is to be asked",
         replica_raft_node(heir));
    end(replica, -SKEIN_ENOTLEADER);
    return true;
}

static int
step(struct replica *replica)
{
    struct member_change *change = &replica->change;
    struct raft_change changes[RAFT_MEMBERS_MAX];
    if (!replica_is_leader(replica)) {
        note(change, "leadership was lost: the next leader is to be asked");
        return -SKEIN_ENOTLEADER;
    }
    change->term = raft_term(replica->raft);
    if (raft_config_joint(&replica->config)) {
        note(change, "waits for the joint configuration to end");
        return 0;
    }
    int rc = take_in(replica);
    if (rc <= 0)
        return rc;
    rc = wait_for_learners(replica);
    if (rc <= 0)
        return rc;
    uint32_t count = list_changes(replica, changes);
    if (count == 0 && roster_equal(members_roster(replica), &change->target)) {
        note(change, "the members are as wanted");
        end(replica, 0);
        return 0;
    }
    if (count == 0) /* nobody comes or goes; somebody has another address */
        changes[count++] = (struct raft_change){RAFT_CHANGE_UPDATE, replica->host->raft_id};
    if (hands_over(replica, changes, count))
        return 0;
    note(change, "changes %u of the members", count);
    return propose(replica, changes, count, &change->target);
}

void
members_turn(struct replica *replica, uint64_t now_ns)
{
    struct member_change *change = &replica->change;
    if (change->status.state != REPLICA_CHANGE_RUNNING)
        return;
    int rc = step(replica);
    if (rc == 0 && change->status.state == REPLICA_CHANGE_RUNNING &&
        now_ns > change->moved_ns + CHANGE_PATIENCE_NS)
        rc = -SKEIN_ETIMEDOUT;
    if (rc < 0)
        end(replica, rc);
}

bool
members_on_applicant(struct replica *replica, uint64_t applicant)
{
    struct member_change *change = &replica->change;
    uint32_t node = replica_raft_node(applicant);
    if (change->status.state == REPLICA_CHANGE_RUNNING && members_find(replica, node) < 0)
        for (uint32_t i = 0; i < change->target.count; i++)
            if (change->target.peers[i].node == node &&
                !roster_find(members_roster(replica), node)) {
                change->candidates[i] = applicant;
                return true;
            }
    return !roster_find(members_roster(replica), node);
}
