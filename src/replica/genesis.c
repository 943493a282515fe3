/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/genesis.h"

#include <stdio.h>
#include <string.h>

static struct genesis_peer *
find_peer(struct genesis *genesis, uint32_t node)
{
    for (uint32_t i = 0; i < genesis->peer_count; i++)
        if (genesis->peers[i].node == node)
            return &genesis->peers[i];
    return NULL;
}

const char *
genesis_state_name(enum genesis_state state)
{
    switch (state) {
    case GENESIS_UNBORN:
        return "unborn";
    case GENESIS_MEMBER:
        return "member";
    case GENESIS_JOINING:
        return "joining";
    }
    return "?";
}

void
genesis_init(struct genesis *genesis, const char *name, uint32_t node, uint64_t incarnation,
             const uint32_t *nodes, uint32_t node_count)
{
    size_t name_bytes = strlen(name);
    skein_assert(name_bytes >= 1 && name_bytes <= GENESIS_NAME_BYTES_MAX);
    skein_assert(node_count >= 1 && node_count <= REPLICA_NODES_MAX);
    skein_assert(incarnation != 0 && incarnation >> 48 == 0);
    *genesis = (struct genesis){.node = node, .incarnation = incarnation, .peer_count = node_count};
    memcpy(genesis->name, name, name_bytes);
    genesis->group_count = 1;
    for (uint32_t i = 0; i < node_count; i++) {
        skein_assert(i == 0 || nodes[i - 1] < nodes[i]);
        genesis->peers[i].node = nodes[i];
    }
    struct genesis_peer *self = find_peer(genesis, node);
    skein_assert(self != NULL);
    self->incarnation = incarnation;
    self->unborn = true;
}

bool
genesis_map_has(const struct genesis_map *map, uint64_t raft_id)
{
    for (uint32_t i = 0; i < map->count; i++)
        if (map->ids[i] == raft_id)
            return true;
    return false;
}

/* Who is born knows the members from the log; the lists that nodes were started with have to agree
 * only where a first membership may come from them. */
static bool
same_cluster(const struct genesis *genesis, const struct genesis_message *message)
{
    if (strcmp(genesis->name, message->name) != 0 || genesis->group_count != message->group_count)
        return false;
    if (genesis->state != GENESIS_UNBORN || message->state != GENESIS_UNBORN)
        return true;
    if (message->node_count != genesis->peer_count)
        return false;
    for (uint32_t i = 0; i < genesis->peer_count; i++)
        if (genesis->peers[i].node != message->nodes[i])
            return false;
    return true;
}

/* An unborn node hears of a first membership. */
static void
hear_map(struct genesis *genesis, const struct genesis_message *message,
         struct genesis_outcome *out_outcome)
{
    out_outcome->map = message->map;
    if (genesis_map_has(&message->map, genesis_raft_id(genesis->node, genesis->incarnation)))
        out_outcome->adopt = true;
    else
        out_outcome->join = true;
}

static void
hear_applicant(struct genesis *genesis, struct genesis_peer *peer,
               const struct genesis_message *message, struct genesis_outcome *out_outcome)
{
    bool ours = memcmp(message->map.cluster, genesis->map.cluster, 16) == 0;
    if (!ours || genesis->state == GENESIS_UNBORN)
        return;
    if (message->echo == peer->challenge && peer->challenge != 0)
        out_outcome->applicant = genesis_raft_id(peer->node, message->incarnation);
    else
        out_outcome->reply = true;
}

void
genesis_step(struct genesis *genesis, uint32_t from, const struct genesis_message *message,
             uint64_t random, struct genesis_outcome *out_outcome)
{
    *out_outcome = (struct genesis_outcome){0};
    struct genesis_peer *peer = find_peer(genesis, from);
    if (!peer || from == genesis->node)
        return;
    if (!same_cluster(genesis, message)) {
        out_outcome->refused = !peer->differs;
        peer->differs = true;
        return;
    }
    peer->differs = false;
    if (peer->incarnation != message->incarnation) {
        peer->incarnation = message->incarnation;
        peer->challenge = random ? random : 1;
        peer->unborn = false;
    }
    if (message->challenge)
        peer->echo = message->challenge;
    if (message->heard != genesis->incarnation) {
        /* It does not know this disk yet: tell it. Nothing else of the message counts. */
        out_outcome->reply = true;
        return;
    }
    peer->unborn = message->state == GENESIS_UNBORN && !message->join;
    if (genesis->state == GENESIS_UNBORN) {
        if (message->state != GENESIS_UNBORN)
            hear_map(genesis, message, out_outcome);
        return;
    }
    if (message->state == GENESIS_UNBORN)
        out_outcome->reply = true;
    else if (message->join)
        hear_applicant(genesis, peer, message, out_outcome);
}

bool
genesis_may_decide(const struct genesis *genesis)
{
    if (genesis->state != GENESIS_UNBORN || genesis->join_only ||
        genesis->peers[0].node != genesis->node)
        return false;
    for (uint32_t i = 0; i < genesis->peer_count; i++)
        if (!genesis->peers[i].unborn)
            return false;
    return true;
}

void
genesis_draw_map(const struct genesis *genesis, const uint8_t cluster[16],
                 struct genesis_map *out_map)
{
    skein_assert(genesis_may_decide(genesis));
    *out_map = (struct genesis_map){.count = genesis->peer_count};
    memcpy(out_map->cluster, cluster, 16);
    for (uint32_t i = 0; i < genesis->peer_count; i++)
        out_map->ids[i] = genesis_raft_id(genesis->peers[i].node, genesis->peers[i].incarnation);
}

void
genesis_born(struct genesis *genesis, enum genesis_state state, const struct genesis_map *map)
{
    skein_assert(genesis->state == GENESIS_UNBORN && state != GENESIS_UNBORN);
    genesis->state = state;
    genesis->map = *map;
}

void
genesis_set_nodes(struct genesis *genesis, const uint32_t *nodes, uint32_t node_count)
{
    skein_assert(genesis->state != GENESIS_UNBORN);
    skein_assert(node_count <= REPLICA_NODES_MAX);
    struct genesis old = *genesis;
    genesis->peer_count = node_count;
    for (uint32_t i = 0; i < node_count; i++) {
        const struct genesis_peer *known = find_peer(&old, nodes[i]);
        genesis->peers[i] = known ? *known : (struct genesis_peer){.node = nodes[i]};
    }
}

void
genesis_compose(const struct genesis *genesis, uint32_t to, bool join,
                struct genesis_message *out_message)
{
    *out_message = (struct genesis_message){
        .state = genesis->state,
        .join = join || (genesis->join_only && genesis->state == GENESIS_UNBORN),
        .incarnation = genesis->incarnation,
        .node_count = genesis->peer_count};
    memcpy(out_message->name, genesis->name, sizeof out_message->name);
    out_message->group_count = genesis->group_count;
    for (uint32_t i = 0; i < genesis->peer_count; i++) {
        const struct genesis_peer *peer = &genesis->peers[i];
        out_message->nodes[i] = peer->node;
        if (peer->node != to)
            continue;
        out_message->heard = peer->incarnation;
        out_message->challenge = peer->challenge;
        out_message->echo = peer->echo;
    }
    if (genesis->state != GENESIS_UNBORN)
        out_message->map = genesis->map;
}

void
genesis_waiting_for(const struct genesis *genesis, char *out, size_t out_bytes)
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < genesis->peer_count; i++) {
        if (genesis->peers[i].unborn)
            continue;
        int n = snprintf(out + at, out_bytes - at, "%s%u", at ? "," : "", genesis->peers[i].node);
        if (n < 0 || (size_t)n >= out_bytes - at)
            return;
        at += (size_t)n;
    }
    if (at == 0 && genesis->state == GENESIS_UNBORN)
        snprintf(out, out_bytes, "node %u to decide", genesis->peers[0].node);
}
