/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_MEMBERS_H
#define REPLICA_MEMBERS_H

#include "raft/raft.h"
#include "replica/link.h"

/*
 * Members at run time (docs/design/0008-members-at-run-time.md).
 *
 * A change is begun on the leader and says how the members shall be in the end. The leader's driver
 * then takes whatever step is next, one configuration entry at a time, until they are:
 *
 *   new nodes --heard--> learners --caught up--> one last change (one voter: simple; more: joint)
 *
 * Every step is decided from the configuration in force and the wanted one, and nothing else, so a
 * change whose leader went is simply begun again with the next one and goes on where it stood.
 */

struct replica;

enum replica_change_kind {
    REPLICA_ADD,         /* the nodes become voters; those that are new, learners first */
    REPLICA_ADD_LEARNER, /* the new nodes become learners, to stay that */
    REPLICA_REMOVE,
    REPLICA_PROMOTE, /* learners become voters, when they have caught up */
    REPLICA_DEMOTE,  /* voters become learners */
    REPLICA_REPLACE, /* the second node takes the place of the first one */
    REPLICA_SET      /* these are the voters and there is nobody else */
};

struct replica_change {
    enum replica_change_kind kind;
    struct replica_peer peers[REPLICA_NODES_MAX]; /* addresses count only of those to be added */
    uint32_t peer_count;
    bool force; /* also when it may stop the cluster */
};

/*
 * replica_change_begin - @out_id: to recognise it in the status; @out_why: one line for a person.
 * One change at a time: another one is refused while it comes on, and takes its place once it has
 * not for 5 s. **Returns** 0: begun (or nothing is to be done);
 *   -SKEIN_ENOTLEADER: ask the leader; -SKEIN_EBUSY: another change is under way, or the leader is
 *   new and has not committed yet; -SKEIN_ENOTFOUND: a node that is no member;
 *   -SKEIN_EINVALID: it makes no sense, with force or without; -SKEIN_EREFUSED: it may stop the
 *   cluster, @out_why says how, and force begins it all the same.
 */
int replica_change_begin(struct replica *replica, const struct replica_change *change,
                         uint64_t *out_id, char out_why[512]) SKEIN_MUST_CHECK;

enum replica_change_state {
    REPLICA_CHANGE_NONE,
    REPLICA_CHANGE_RUNNING,
    REPLICA_CHANGE_DONE,
    REPLICA_CHANGE_FAILED
};
const char *replica_change_state_name(enum replica_change_state state);

/* The last change that was begun on this node since it started, or of which it has heard since. */
struct replica_change_status {
    uint64_t id;
    enum replica_change_state state;
    int failure;    /* FAILED: -SKEIN_ENOTLEADER: to be begun again with the next leader; others */
    char note[256]; /* what it waits for, or why it failed */
};
void replica_change_status(const struct replica *replica, struct replica_change_status *out_status);

/* replica_transfer - hand leadership to @node; 0: to the voter that is best up to date. Given up
 * after an election timeout. **Returns** 0: begun; -SKEIN_ENOTLEADER; -SKEIN_EINVALID with
 * @out_why. */
int replica_transfer(struct replica *replica, uint32_t node, char out_why[512]) SKEIN_MUST_CHECK;

/* A member as this node sees it. */
struct replica_member {
    uint32_t node;
    uint64_t raft_id; /* 0: in the roster, and no disk of it is a member now */
    uint8_t roles;    /* of enum raft_member */
    struct skein_addr addr;
    bool leads;
    bool answers; /* heard within an election timeout; on the leader */
    uint64_t match;
    enum raft_progress_state state; /* on the leader */
};
/* replica_members - by number; returns how many. */
uint32_t replica_members(const struct replica *replica,
                         struct replica_member out_members[RAFT_MEMBERS_MAX]);

#endif
