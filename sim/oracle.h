/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include <inttypes.h>

#include "replica/state.h"
#include "sim/cluster.h"

/*
 * What must hold at every instant, looked at often, from outside the nodes; one file for each:
 *
 *   oracle_election.c      one leader a term (Raft section 5.2)
 *   oracle_append_only.c   a leader adds to its log and changes nothing in it (section 5.3)
 *   oracle_log_matching.c  equal index and term: equal logs up to there (section 5.3)
 *   oracle_completeness.c  who leads has everything that was committed before (section 5.4)
 *   oracle_commit.c        a leader commits its own term's entries, older ones only with them
 * (5.4.2) oracle_state_machine.c what is applied at an index is the same everywhere, for ever
 * (5.4.3) oracle_state.c         the state at an index has the same checksum everywhere
 *   oracle_durability.c    a node that comes back has what it had acknowledged, if committed
 *   oracle_forgery.c       forged messages are counted, not believed
 *   oracle_history.c       the clients' history is linearizable, and long enough
 *   oracle_memory.c        a node's memory is bounded
 *   oracle_progress.c      no client is stuck while a majority is healed
 *
 * oracle.c looks at each group of each node every few simulated milliseconds and asks them in this
 * order. What is known is known of a group: no oracle compares two of them.
 */

#define ORACLE_NUMBER_MAX (1u << 24)
#define ORACLE_TERMS 4

struct seen {
    uint64_t term;        /* of the entry */
    uint64_t within_term; /* it was committed in this term or in an earlier one */
    uint32_t checksum;
    uint32_t node; /* who was seen with it; 0: nobody */
    bool has_checksum;
};

/* The newest acknowledgement of a node: its log is the leader's of @term, up to @index. */
struct promise {
    uint64_t raft_id, index, term;
};

/* A leader when it was last looked at. */
struct reign {
    uint64_t boot, term, commit, last_index, last_term;
};

/* The terms of the entries that were seen before the entry of an index, by its own term. */
struct before {
    uint64_t term[ORACLE_TERMS], previous[ORACLE_TERMS];
};

/* What is known of one group. */
struct oracle_group {
    struct reign reigns[REPLICA_NODES_MAX];
    struct promise promises[REPLICA_NODES_MAX];
    uint32_t *leaders; /* by term; 0: none seen */
    size_t leader_count, leader_capacity;
    struct seen *applied; /* by index */
    size_t applied_count, applied_capacity;
    struct before *before; /* by index */
    size_t before_count, before_capacity;
    uint64_t checked[REPLICA_NODES_MAX]; /* applied entries of the present life looked at */
    uint64_t matched[REPLICA_NODES_MAX]; /* log_matching: up to here, in the present life */
    uint64_t matched_term[REPLICA_NODES_MAX], matched_first[REPLICA_NODES_MAX];
    uint64_t log_time_ms[REPLICA_NODES_MAX]; /* of the present life */
    uint64_t state_terms[REPLICA_NODES_MAX]; /* role and term, as the trace has them */
};

struct sim_oracle {
    struct oracle_group groups[SIM_GROUPS_MAX];
    uint64_t forged[REPLICA_NODES_MAX]; /* delivered to the present life, and for it */
    uint64_t sample_count;
};

/* One group of a node at this instant. */
struct oracle_view {
    struct sim_cluster *cluster;
    struct sim_oracle *oracle;
    struct oracle_group *known; /* of the group */
    uint32_t group;
    struct sim_node *node;
    uint32_t number;
    struct replica *replica;
    struct raft_status status;
    struct reign reign; /* as it was before; zero unless it led in this life and term */
    bool loading;       /* a snapshot is being loaded: the machine is between two states */
};

/* oracle_violation - sim_violation of safety, which names the group where there are several. */
void oracle_violation(const struct oracle_view *view, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void oracle_election(const struct oracle_view *view);
void oracle_append_only(const struct oracle_view *view);
void oracle_log_matching(const struct oracle_view *view);
void oracle_completeness(const struct oracle_view *view);
void oracle_commit(const struct oracle_view *view);
void oracle_state_machine(const struct oracle_view *view);
void oracle_state(const struct oracle_view *view);
void oracle_durability(const struct oracle_view *view);
void oracle_forgery(const struct oracle_view *view);
/* oracle_forgery_note - a forged message reaches node @to; fits sim_links.on_forged. */
void oracle_forgery_note(void *owner, uint32_t to, struct bytes message);
/* oracle_seen_at - what is known of an index, growing the table. */
struct seen *oracle_seen_at(struct oracle_group *known, uint64_t index);

#endif
