/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An operator who changes the members while the clients work and things break (skein sim
 * --members): three nodes found the cluster, the others are spare machines. A change is drawn,
 * given to whoever leads, and given to the next leader when that one goes, as `skein cluster
 * --wait` does. A node that says it was removed gets a new disk and is spare again: so a node that
 * stopped without having been removed costs a disk, and the oracles see what that does.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/client.h"
#include "net/addr.h"
#include "replica/members.h"
#include "replica/state.h"
#include "sim/cluster.h"
#include "skein/error.h"
#include "skein/shard.h"

#define TURN_NS (100 * SIM_MS)
#define ANSWER_NS (500 * SIM_MS)
/* A change that does not come on is left alone after so long. */
#define PATIENCE_NS (20 * SIM_SECOND)

struct sim_members {
    bool stopping;
    bool active; /* a change is wanted */
    bool begun;  /* by some leader */
    struct replica_change change;
    uint64_t wanted_ns, next_ns;
    uint64_t id; /* at the node that carries it out */
    struct sim_node *leader;
};

static struct sim_node *
leader_of(struct sim_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        if (sim_node_up(node) && node->kv && !sim_host_paused(node->host) &&
            replica_leads(kv_node_replica(node->kv)))
            return node;
    }
    return NULL;
}

static void
say(struct sim_cluster *cluster, const char *what)
{
    struct mem_arena *previous = mem_arena_set_current(NULL);
    sim_trace_text(&cluster->world.trace, 0, "members", "%s", what);
    mem_arena_set_current(previous);
}

/* A node that is (@inside) or is not in the roster of @replica; 0: there is none. */
static uint32_t
draw_number(struct sim_cluster *cluster, const struct replica *replica, bool inside)
{
    uint32_t numbers[REPLICA_NODES_MAX], count = 0;
    for (uint32_t number = 1; number <= cluster->plan.node_count; number++)
        if ((roster_find(members_roster(replica), number) != NULL) == inside)
            numbers[count++] = number;
    return count ? numbers[sim_draw(&cluster->world, 0, count - 1)] : 0;
}

static void
name_node(struct sim_cluster *cluster, struct replica_change *change, uint32_t number)
{
    struct sim_node *node = &cluster->nodes[number - 1];
    change->peers[change->peer_count++] = node->peers[number - 1];
    bool adds = change->kind == REPLICA_ADD || change->kind == REPLICA_ADD_LEARNER ||
                change->kind == REPLICA_SET ||
                (change->kind == REPLICA_REPLACE && change->peer_count == 2);
    if (!node->spare || !adds)
        return;
    node->spare = node->held_down = false;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    sim_event_at(&cluster->world, &node->restart_event, cluster->world.now_ns);
    mem_arena_set_current(previous);
}

static void
draw_set(struct sim_cluster *cluster, struct replica_change *change)
{
    uint32_t wanted = (uint32_t)sim_draw(&cluster->world, 3, cluster->plan.node_count);
    for (uint32_t number = 1; number <= cluster->plan.node_count; number++) {
        uint32_t left = cluster->plan.node_count - number + 1;
        uint32_t missing = wanted - change->peer_count;
        if (sim_draw(&cluster->world, 1, left) <= missing)
            name_node(cluster, change, number);
    }
}

static void
draw_change(struct sim_cluster *cluster, const struct replica *replica)
{
    static const enum replica_change_kind kinds[] = {
        REPLICA_ADD,     REPLICA_ADD,    REPLICA_ADD_LEARNER, REPLICA_REMOVE,  REPLICA_REMOVE,
        REPLICA_PROMOTE, REPLICA_DEMOTE, REPLICA_REPLACE,     REPLICA_REPLACE, REPLICA_SET};
    struct sim_members *members = cluster->members;
    struct replica_change *change = &members->change;
    *change = (struct replica_change){
        .kind = kinds[sim_draw(&cluster->world, 0, BASE_COUNT_OF(kinds) - 1)]};
    /* Two voters stand still when one is gone: not for long. */
    if (raft_config_count(&replica->config, RAFT_VOTER) < 3)
        change->kind = REPLICA_ADD;
    uint32_t present = draw_number(cluster, replica, true);
    uint32_t absent = draw_number(cluster, replica, false);
    bool adds = change->kind == REPLICA_ADD || change->kind == REPLICA_ADD_LEARNER;
    if (!absent && (adds || change->kind == REPLICA_REPLACE))
        change->kind = REPLICA_PROMOTE;
    if (change->kind == REPLICA_SET)
        draw_set(cluster, change);
    else if (change->kind == REPLICA_REPLACE && present && absent) {
        name_node(cluster, change, present);
        name_node(cluster, change, absent);
    } else if (present) {
        name_node(cluster, change, adds && absent ? absent : present);
    }
    members->active = change->peer_count > 0;
    members->begun = false;
    members->leader = NULL;
    members->wanted_ns = cluster->world.now_ns;
    char text[64];
    snprintf(text, sizeof(text), "wanted kind %d nodes %u first %u", (int)change->kind,
             change->peer_count, change->peers[0].node);
    say(cluster, text);
}

static void
end_change(struct sim_cluster *cluster, const char *how)
{
    struct sim_members *members = cluster->members;
    members->active = false;
    members->next_ns = cluster->world.now_ns + sim_draw(&cluster->world, 50 * SIM_MS, SIM_SECOND);
    say(cluster, how);
}

/* SKEIN at a node, as skein cluster asks it. @out: its answer, or "". */
static void
ask(struct sim_cluster *cluster, const struct sim_node *node, char out[128])
{
    static const char *const verbs[] = {"ADD",    "LEARNER", "REMOVE", "PROMOTE",
                                        "DEMOTE", "REPLACE", "SET"};
    const struct replica_change *change = &cluster->members->change;
    char words[REPLICA_NODES_MAX][96], addr[NET_ADDR_TEXT_BYTES];
    const char *argv[2 + REPLICA_NODES_MAX] = {"SKEIN", verbs[change->kind]};
    uint64_t deadline_ns = skein_deadline_in(ANSWER_NS);
    struct skein_addr to = sim_host_addr(node->host->number, SIM_CLIENT_PORT);
    struct kv_client *client;
    struct kv_reply reply = {0};
    out[0] = '\0';
    for (uint32_t i = 0; i < change->peer_count; i++) {
        snprintf(words[i], sizeof(words[i]), "%u=%s", change->peers[i].node,
                 net_addr_format(&change->peers[i].addr, addr));
        argv[2 + i] = words[i];
    }
    if (kv_client_connect(&client, &to, deadline_ns) < 0)
        return;
    if (kv_client_call(client, &reply, deadline_ns, 2 + change->peer_count, argv) == 0)
        snprintf(out, 128, "%.*s", (int)reply.text.count, (const char *)reply.text.data);
    kv_reply_deinit(&reply);
    kv_client_close(client);
}

static void
begin_change(struct sim_cluster *cluster, struct sim_node *leader)
{
    struct sim_members *members = cluster->members;
    char answer[128];
    ask(cluster, leader, answer);
    say(cluster, answer);
    if (strncmp(answer, "STARTED ", 8) == 0) {
        members->begun = true;
        members->leader = leader;
        members->id = strtoull(answer + 8, NULL, 16);
    } else if (strncmp(answer, "NOMEMBER", 8) == 0 && members->begun) {
        cluster->member_changes++;
        end_change(cluster, "done by the leader before");
    } else if (strncmp(answer, "REFUSED", 7) == 0) {
        end_change(cluster, "refused");
    } else if (answer[0] && strncmp(answer, "NOTLEADER", 9) != 0 &&
               strncmp(answer, "BUSY", 4) != 0) {
        end_change(cluster, "makes no sense now");
    }
}

static void
look_at_change(struct sim_cluster *cluster)
{
    struct sim_members *members = cluster->members;
    struct sim_node *at = members->leader;
    struct replica_change_status status = {.state = REPLICA_CHANGE_NONE};
    if (sim_node_up(at) && at->kv)
        replica_change_status(kv_node_replica(at->kv), &status);
    if (status.id == members->id && status.state == REPLICA_CHANGE_RUNNING)
        return;
    if (status.id == members->id && status.state == REPLICA_CHANGE_DONE) {
        cluster->member_changes++;
        end_change(cluster, "done");
    } else if (status.id == members->id && status.failure != -SKEIN_ENOTLEADER) {
        end_change(cluster, "failed");
    } else {
        members->leader = NULL; /* with the next leader */
    }
}

static void
take_turn(struct sim_cluster *cluster)
{
    struct sim_members *members = cluster->members;
    uint64_t now_ns = cluster->world.now_ns;
    struct sim_node *leader = leader_of(cluster);
    if (members->active && members->leader)
        look_at_change(cluster);
    if (members->active && now_ns - members->wanted_ns > PATIENCE_NS)
        end_change(cluster, "left alone");
    if (leader && members->active && !members->leader)
        begin_change(cluster, leader);
    else if (leader && !members->active && !members->stopping && now_ns >= members->next_ns)
        draw_change(cluster, kv_node_replica(leader->kv));
}

void
sim_members_run(void *arg)
{
    struct sim_cluster *cluster = arg;
    while (!cluster->members->stopping || cluster->members->active) {
        take_turn(cluster);
        if (skein_sleep(skein_deadline_in(TURN_NS)) < 0)
            return;
    }
}

void
sim_members_open(struct sim_cluster *cluster)
{
    cluster->members = mem_zalloc(sizeof(*cluster->members));
    cluster->members->next_ns = cluster->world.now_ns + 2 * SIM_SECOND;
}

void
sim_members_stop(struct sim_cluster *cluster)
{
    if (cluster->members)
        cluster->members->stopping = true;
}

void
sim_members_close(struct sim_cluster *cluster)
{
    mem_free(cluster->members);
    cluster->members = NULL;
}

bool
sim_members_settled(const struct sim_cluster *cluster)
{
    return !cluster->members || !cluster->members->active;
}

void
sim_members_removed(struct sim_node *node)
{
    struct sim_cluster *cluster = node->cluster;
    sim_disk_wipe(node->host->disk);
    node->host->state = SIM_HOST_DOWN;
    node->spare = node->late = node->held_down = true;
    sim_trace_text(&cluster->world.trace, node->host->number, "members", "spare again");
}
