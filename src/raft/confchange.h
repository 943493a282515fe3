/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_CONFCHANGE_H
#define RAFT_CONFCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "raft/raft.h"

/*
 * Changes of the configuration, as pure functions: a configuration and a change in, the next
 * configuration out.
 *
 *                     simple (at most one voter comes or goes)
 *                    +------+
 *                    v      |                enter joint
 *                 majority -+--------------------------------> joint
 *                    ^                                            |
 *                    +--------------------------------------------+
 *                      leave joint: by itself with auto_leave, else by an empty change
 *
 * Between two majorities that differ by one voter, any two quorums meet (thesis section 4.1). All
 * other changes go through a joint configuration, in which whatever is decided has a majority of
 * the incoming and one of the outgoing voters (Raft section 6).
 *
 * A configuration change travels in a log entry:
 *
 *   version 1 (RAFT_ENTRY_CONFIG): exactly one change, always simple. Skein's first logs hold
 *   these, with "add" and "remove" only.
 *   version 2 (RAFT_ENTRY_CONFIG_V2): any number of changes, and how to make the transition. One
 *   without changes (an entry with empty data, too) leaves a joint configuration.
 */

enum raft_change_type {
    RAFT_CHANGE_ADD_VOTER = 0, /* a learner becomes a voter */
    RAFT_CHANGE_REMOVE = 1,
    RAFT_CHANGE_UPDATE = 2,      /* nothing for the configuration: the context says it */
    RAFT_CHANGE_ADD_LEARNER = 3, /* a voter becomes a learner */
    RAFT_CHANGE_ADD_WITNESS = 4, /* a voter without data, of a node that is no member */
    RAFT_CHANGE_TYPE_END
};

/* How a version 2 change is carried out. */
enum raft_transition {
    RAFT_TRANSITION_AUTO = 0,           /* simple if one change, else joint and left by itself */
    RAFT_TRANSITION_JOINT_IMPLICIT = 1, /* joint, left by itself */
    RAFT_TRANSITION_JOINT_EXPLICIT = 2, /* joint, left by a change without changes */
    RAFT_TRANSITION_END
};

struct raft_change {
    enum raft_change_type type;
    uint64_t node; /* RAFT_NONE: to be ignored */
};

/* A change names at most so many nodes, and its context has at most so many bytes. */
#define RAFT_CHANGES_MAX 64
#define RAFT_CHANGE_CONTEXT_BYTES_MAX (64u << 10)

struct raft_conf_change {
    bool v1; /* change_count is 1, transition is RAFT_TRANSITION_AUTO */
    enum raft_transition transition;
    struct raft_change changes[RAFT_CHANGES_MAX];
    uint32_t change_count;
    struct bytes context; /* what the driver wants to travel with it; borrowed when decoded */
};

/* Why a change is not possible. */
enum raft_refusal {
    RAFT_REFUSAL_NONE,
    RAFT_REFUSAL_ALREADY_JOINT,      /* enter joint, in a joint configuration */
    RAFT_REFUSAL_NO_VOTERS_TO_JOIN,  /* enter joint, with no voters */
    RAFT_REFUSAL_NOT_JOINT,          /* leave joint, not in one */
    RAFT_REFUSAL_SIMPLE_WHILE_JOINT, /* simple, in a joint configuration */
    RAFT_REFUSAL_MORE_THAN_ONE,      /* simple, and more than one voter comes or goes */
    RAFT_REFUSAL_NO_VOTERS_LEFT,     /* none that holds the data */
    RAFT_REFUSAL_WITNESS,            /* a witness stays one, and nobody else becomes one */
    RAFT_REFUSAL_TOO_MANY            /* RAFT_VOTERS_MAX, RAFT_MEMBERS_MAX */
};
/* raft_refusal_text - a sentence's end for a person; total. */
const char *raft_refusal_text(enum raft_refusal refusal);

/* raft_conf_change_leaves - does @change leave a joint configuration? */
bool raft_conf_change_leaves(const struct raft_conf_change *change);
/* raft_conf_change_enters - does @change enter a joint configuration (then *out_auto_leave says how
 * it will be left)? */
bool raft_conf_change_enters(const struct raft_conf_change *change, bool *out_auto_leave);

/*
 * The next configuration. A member that keeps its place keeps what is known of its log; `fresh`
 * says where nothing may be kept, because the member is new, or left and came back in one change.
 */
struct raft_next {
    struct raft_config config;
    bool fresh[RAFT_MEMBERS_MAX]; /* beside config.ids */
};

/*
 * raft_next_simple, raft_next_enter_joint, raft_next_leave_joint - @config is valid; so is the one
 * that comes out. Changes are carried out in their order; one that is done already (adding a voter
 * that is one, removing who is no member) does nothing, one of node RAFT_NONE neither.
 * **Returns** RAFT_REFUSAL_NONE, or why not, @out_next untouched.
 */
enum raft_refusal raft_next_simple(const struct raft_config *config,
                                   const struct raft_change *changes, uint32_t count,
                                   struct raft_next *out_next) SKEIN_MUST_CHECK;
enum raft_refusal raft_next_enter_joint(const struct raft_config *config, bool auto_leave,
                                        const struct raft_change *changes, uint32_t count,
                                        struct raft_next *out_next) SKEIN_MUST_CHECK;
enum raft_refusal raft_next_leave_joint(const struct raft_config *config,
                                        struct raft_next *out_next) SKEIN_MUST_CHECK;
/* raft_next - whichever of the three @change asks for. */
enum raft_refusal raft_next(const struct raft_config *config, const struct raft_conf_change *change,
                            struct raft_next *out_next) SKEIN_MUST_CHECK;

#endif
