/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_GENESIS_H
#define REPLICA_GENESIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/wire.h"
#include "raft/raft.h"
#include "replica/link.h"

/*
 * How a cluster is born and how a new disk finds its place: a pure machine, messages in, decisions
 * out. The argument for its safety is docs/design/0005-membership-of-disks.md.
 *
 *             every configured node heard unborn,            durable
 *   UNBORN ---- and this is the lowest number ----> decide ----------> MEMBER
 *      |  \---- a map that holds this incarnation -> adopt ----------> MEMBER
 *      \------- a map that does not --------------> join  ----------> JOINING (stays so; the log's
 *                                                                      configuration lets it in)
 *
 * Each message names its sender's incarnation and the incarnation of the addressee that the sender
 * has heard last. Only a message that names ours counts, so whatever a former disk of this node
 * provoked counts for nothing.
 *
 * Nodes with another number of groups do not listen to each other. Two nodes without a first
 * membership have to be configured with the same nodes, or they do not listen to each other. A node
 * that is to be added later names itself beside the members, who are born: it hears of their
 * membership from them and waits to be let in.
 */

enum genesis_state { GENESIS_UNBORN, GENESIS_MEMBER, GENESIS_JOINING };
const char *genesis_state_name(enum genesis_state state);

/* The first membership: raft ids in ascending order, so by node number. */
struct genesis_map {
    uint8_t cluster[16];
    uint64_t ids[REPLICA_NODES_MAX];
    uint32_t count;
};

#define GENESIS_NAME_BYTES_MAX 64

struct genesis_message {
    enum genesis_state state;
    bool join;            /* let me in; unborn: some day, and do not count me as a founder */
    uint64_t incarnation; /* the sender's, 48 bits, not 0 */
    uint64_t heard;       /* the addressee's, as the sender heard it last; 0: not yet */
    uint64_t challenge;   /* to be echoed with join */
    uint64_t echo;        /* the addressee's last challenge */
    char name[GENESIS_NAME_BYTES_MAX + 1];
    uint32_t nodes[REPLICA_NODES_MAX]; /* as configured at the sender, ascending */
    uint32_t node_count;
    uint32_t group_count;
    struct genesis_map map; /* unless unborn */
};

void genesis_encode(struct wire_writer *out, const struct genesis_message *message);
/* genesis_decode - the body behind the envelope's kind. -SKEIN_EPROTO: not one. */
int genesis_decode(struct wire_reader *in, struct genesis_message *out_message) SKEIN_MUST_CHECK;
/* The map alone, for the identity file. */
void genesis_encode_map(struct wire_writer *out, const struct genesis_map *map);
int genesis_decode_map(struct wire_reader *in, struct genesis_map *out_map) SKEIN_MUST_CHECK;

struct genesis_peer {
    uint32_t node;
    uint64_t incarnation; /* heard last; 0: not heard */
    uint64_t challenge;   /* what this incarnation has to echo with join */
    uint64_t echo;        /* what it wants echoed */
    bool unborn;          /* said so to this incarnation of ours */
    bool differs;         /* another cluster name or node list: logged once */
};

struct genesis {
    enum genesis_state state;
    uint32_t node;
    bool join_only; /* founds no cluster: while unborn it says join, and counts for nobody */
    uint64_t incarnation;
    char name[GENESIS_NAME_BYTES_MAX + 1];
    uint32_t group_count;   /* 1; another number may be set after genesis_init */
    struct genesis_map map; /* unless unborn */
    struct genesis_peer peers[REPLICA_NODES_MAX]; /* ascending, this node included */
    uint32_t peer_count;
};

/* genesis_init - @nodes: ascending, without repetition, @node among them. */
void genesis_init(struct genesis *genesis, const char *name, uint32_t node, uint64_t incarnation,
                  const uint32_t *nodes, uint32_t node_count);

static inline uint64_t
genesis_raft_id(uint32_t node, uint64_t incarnation)
{
    return (uint64_t)node << 48 | incarnation;
}

/* What a message asks of the caller. */
struct genesis_outcome {
    bool reply;   /* send genesis_compose to the sender now */
    bool refused; /* another cluster's or a different node list, seen for the first time */
    bool adopt;   /* make @map durable as a member, then genesis_born(GENESIS_MEMBER) */
    bool join;    /* make @map durable as joining, then genesis_born(GENESIS_JOINING) */
    struct genesis_map map;
    uint64_t applicant; /* a raft id that asks to be let in and is there now; 0: none */
};

/* genesis_step - @from: the link's authenticated number. @random: fresh, for a challenge. */
void genesis_step(struct genesis *genesis, uint32_t from, const struct genesis_message *message,
                  uint64_t random, struct genesis_outcome *out_outcome);
/* genesis_may_decide - every configured node was heard unborn and this one has the lowest number.
 */
bool genesis_may_decide(const struct genesis *genesis);
/* genesis_draw_map - the map to make durable as a member. @cluster: fresh random bytes. */
void genesis_draw_map(const struct genesis *genesis, const uint8_t cluster[16],
                      struct genesis_map *out_map);
void genesis_born(struct genesis *genesis, enum genesis_state state, const struct genesis_map *map);
/* genesis_set_nodes - once born, the nodes to talk to are what the log says. @nodes: ascending,
 * this node among them while it is a member. */
void genesis_set_nodes(struct genesis *genesis, const uint32_t *nodes, uint32_t node_count);
bool genesis_map_has(const struct genesis_map *map, uint64_t raft_id);

/* genesis_compose - what to tell @to. @join: ask to be let in (when joining). */
void genesis_compose(const struct genesis *genesis, uint32_t to, bool join,
                     struct genesis_message *out_message);
/* genesis_waiting_for - which nodes an unborn one has not heard, for a person. */
void genesis_waiting_for(const struct genesis *genesis, char *out, size_t out_bytes);

#endif
