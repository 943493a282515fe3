/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/faults.h"

#include <stdio.h>
#include <string.h>

#include "replica/envelope.h"
#include "replica/state.h"
#include "sim/cluster.h"
#include "skein/error.h"

#define MS SIM_MS

static const char *const names[SIM_FAULT_COUNT] = {
    "crash",     "crash-all",   "stop",      "pause",     "split", "one-way", "isolate-leader",
    "link",      "disk-errors", "disk-full", "disk-slow", "flip",  "wipe",    "clock",
    "misdirect", "clog",        "transfer",  "rot",       "memory"};
_Static_assert(SIM_FAULT_COUNT <= SIM_FAULTS_MAX, "a plan has room for the weights");

const char *
sim_fault_name(enum sim_fault fault)
{
    return fault < SIM_FAULT_COUNT ? names[fault] : fault == SIM_FAULT_COUNT ? "aimed" : NULL;
}

int
sim_faults_parse(const char *list, uint32_t *out_off)
{
    uint32_t on = 0;
    while (*list) {
        size_t n = strcspn(list, ",");
        int fault = 0;
        while (fault <= SIM_FAULT_COUNT && (strlen(sim_fault_name((enum sim_fault)fault)) != n ||
                                            memcmp(sim_fault_name((enum sim_fault)fault), list, n)))
            fault++;
        if (fault <= SIM_FAULT_COUNT)
            on |= 1u << fault;
        else if (n != 4 || memcmp(list, "none", n) != 0)
            return -SKEIN_EINVALID;
        list += n + (list[n] == ',');
    }
    *out_off = ~on & ((1u << (SIM_FAULT_COUNT + 1)) - 1);
    return 0;
}

static struct sim_node *
draw_node(struct sim_cluster *cluster)
{
    return &cluster->nodes[sim_draw(&cluster->world, 0, cluster->plan.node_count - 1)];
}

/* Where there are several, each fault is for the leader of one. */
static uint32_t
draw_group(struct sim_cluster *cluster)
{
    uint32_t count = cluster->plan.group_count;
    return count > 1 ? (uint32_t)sim_draw(&cluster->world, 0, count - 1) : 0;
}

static struct sim_node *
leader_of(struct sim_cluster *cluster, uint32_t group)
{
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        const struct replica *replica = sim_node_group(node, group);
        if (replica && replica_leads(replica))
            return node;
    }
    return NULL;
}

static void
cut(struct sim_cluster *cluster, uint32_t a, uint32_t b, bool both)
{
    sim_net_block(cluster->world.net, a, b, true);
    if (both)
        sim_net_block(cluster->world.net, b, a, true);
}

static bool
split(struct sim_cluster *cluster)
{
    uint32_t count = cluster->plan.node_count;
    if (count < 2)
        return false;
    uint64_t side = sim_draw(&cluster->world, 1, (1u << count) - 2);
    for (uint32_t a = 1; a <= count; a++)
        for (uint32_t b = a + 1; b <= count; b++)
            if (((side >> (a - 1)) & 1) != ((side >> (b - 1)) & 1))
                cut(cluster, a, b, true);
    return true;
}

static void
isolate(struct sim_cluster *cluster, uint32_t number, bool inbound, bool outbound)
{
    for (uint32_t other = 1; other <= cluster->plan.node_count; other++) {
        if (other == number)
            continue;
        if (outbound)
            sim_net_block(cluster->world.net, number, other, true);
        if (inbound)
            sim_net_block(cluster->world.net, other, number, true);
    }
}

static void
link_trouble(struct sim_cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    uint64_t loss_max = sim_chance(world, 200) ? 300 : 100;
    const struct sim_rates *always = &cluster->plan.always;
    cluster->links.loss_per_mille = always->loss + (uint32_t)sim_draw(world, 0, loss_max);
    cluster->links.repeat_per_mille = always->repeat + (uint32_t)sim_draw(world, 0, 100);
    cluster->links.delay_per_mille = always->late + (uint32_t)sim_draw(world, 0, 300);
    cluster->links.delay_ns_max = sim_draw(world, 1 * MS, 2 * SIM_SECOND);
    struct sim_net_options *net = sim_net_options(world->net);
    net->tail_per_mille = (uint32_t)sim_draw(world, 0, 50);
    net->tail_ns_max = sim_draw(world, 1 * MS, 500 * MS);
}

static void
link_calm(struct sim_cluster *cluster)
{
    const struct sim_rates *always = &cluster->plan.always;
    cluster->links.loss_per_mille = always->loss;
    cluster->links.delay_per_mille = always->late;
    cluster->links.repeat_per_mille = 5 + always->repeat;
    cluster->links.delay_ns_max = 100 * MS;
    struct sim_net_options *net = sim_net_options(cluster->world.net);
    net->tail_per_mille = 5;
    net->tail_ns_max = 20 * MS;
}

static void
crash_all(struct sim_cluster *cluster)
{
    bool power_loss = sim_chance(&cluster->world, 800);
    for (uint32_t i = 0; i < cluster->plan.node_count; i++)
        sim_node_crash(&cluster->nodes[i], power_loss, sim_faults_restart_ns(cluster));
}

/* One draw a statement: the order in which arguments are evaluated is the compiler's. */
static void
crash_one(struct sim_cluster *cluster, struct sim_node *leader, struct sim_node *other)
{
    struct sim_node *node = sim_chance(&cluster->world, 500) ? leader : other;
    bool power_loss = sim_chance(&cluster->world, 700);
    sim_node_crash(node, power_loss, sim_faults_restart_ns(cluster));
}

/* The old leader hands over; half the time it hears nothing of what comes of it. */
static bool
transfer(struct sim_cluster *cluster, struct sim_node *leader, uint32_t group)
{
    struct replica *replica = sim_node_group(leader, group);
    if (sim_host_paused(leader->host) || replica->phase != REPLICA_RUNNING)
        return false;
    struct sim_context context = sim_host_enter(leader->host);
    bool begun = raft_transfer(replica->raft, RAFT_NONE) == 0;
    replica_signal(replica);
    sim_host_leave(context);
    bool deaf = sim_chance(&cluster->world, 500);
    sim_host_turn(leader->host);
    if (begun && deaf)
        isolate(cluster, leader->host->number, true, false);
    return begun;
}

/* What a node sends to some others, and half the time what it hears from them. */
static bool
clog_paths(struct sim_cluster *cluster, uint32_t number)
{
    struct sim_world *world = &cluster->world;
    uint64_t until_ns = world->now_ns + sim_draw(world, 10 * MS, 3 * SIM_SECOND);
    bool both = sim_chance(world, 500);
    for (uint32_t other = 1; other <= cluster->plan.node_count; other++) {
        if (other == number || !sim_chance(world, 600))
            continue;
        sim_net_clog(world->net, number, other, until_ns);
        if (both)
            sim_net_clog(world->net, other, number, until_ns);
    }
    return cluster->plan.node_count > 1;
}

static bool
begin(struct sim_cluster *cluster, enum sim_fault fault)
{
    struct sim_world *world = &cluster->world;
    struct sim_node *node = draw_node(cluster);
    uint32_t group = draw_group(cluster);
    struct sim_node *leader = leader_of(cluster, group);
    uint32_t number = node->host->number;
    switch (fault) {
    case SIM_FAULT_CRASH:
        crash_one(cluster, leader ? leader : node, node);
        return true;
    case SIM_FAULT_CRASH_ALL:
        crash_all(cluster);
        return true;
    case SIM_FAULT_STOP:
        sim_node_stop(leader && sim_chance(world, 500) ? leader : node);
        return true;
    case SIM_FAULT_PAUSE:
        node = leader && sim_chance(world, 600) ? leader : node;
        sim_host_pause(node->host, sim_draw(world, 10 * MS, 4 * SIM_SECOND));
        return true;
    case SIM_FAULT_SPLIT:
        return split(cluster);
    case SIM_FAULT_ONE_WAY:
        if (cluster->plan.node_count < 2)
            return false;
        if (sim_chance(world, 500))
            cut(cluster, number, 1 + number % cluster->plan.node_count, false);
        else
            isolate(cluster, number, sim_chance(world, 500), true);
        return true;
    case SIM_FAULT_ISOLATE_LEADER:
        if (leader)
            isolate(cluster, leader->host->number, sim_chance(world, 700), true);
        return leader != NULL;
    case SIM_FAULT_LINK:
        link_trouble(cluster);
        return true;
    case SIM_FAULT_CLOCK:
        node->host->wall_offset_ns =
            (int64_t)sim_draw(world, 0, 20 * SIM_SECOND) - (int64_t)(10 * SIM_SECOND);
        sim_host_drift(node->host, (int64_t)sim_draw(world, 0, 1000) - 500);
        return true;
    case SIM_FAULT_DISK_ERRORS:
    case SIM_FAULT_DISK_FULL:
    case SIM_FAULT_DISK_SLOW:
    case SIM_FAULT_FLIP:
    case SIM_FAULT_WIPE:
    case SIM_FAULT_MISDIRECT:
    case SIM_FAULT_ROT:
    case SIM_FAULT_MEMORY:
        return sim_faults_on_disk(node, fault);
    case SIM_FAULT_CLOG:
        return clog_paths(cluster, number);
    case SIM_FAULT_TRANSFER:
        return leader && transfer(cluster, leader, group);
    case SIM_FAULT_COUNT:
        break;
    }
    skein_unreachable();
}

static enum sim_fault
draw_fault(struct sim_cluster *cluster)
{
    uint64_t sum = 0;
    for (int i = 0; i < SIM_FAULT_COUNT; i++)
        sum += cluster->plan.weights[i];
    uint64_t pick = sim_draw(&cluster->world, 0, sum - 1);
    int fault = 0;
    while (pick >= cluster->plan.weights[fault])
        pick -= cluster->plan.weights[fault++];
    return (enum sim_fault)fault;
}

static void
on_step(struct sim_event *event)
{
    struct sim_cluster *cluster = event->owner;
    struct sim_world *world = &cluster->world;
    if (!cluster->faults_on)
        return;
    if (sim_chance(world, 500))
        sim_net_heal(world->net);
    if (sim_chance(world, 400))
        link_calm(cluster);
    for (uint32_t i = 0; i < cluster->plan.node_count; i++)
        if (sim_chance(world, 500))
            sim_faults_disk_calm(&cluster->nodes[i]);
    sim_faults_mend(cluster, 300);
    uint32_t steps_max = cluster->plan.fault_steps_max;
    if (steps_max && cluster->fault_steps++ >= steps_max) {
        cluster->plan.aimed_per_mille = cluster->plan.aimed_write_per_mille = 0;
        return;
    }
    enum sim_fault fault = draw_fault(cluster);
    bool done = begin(cluster, fault);
    if (done)
        cluster->fault_counts[fault]++;
    sim_trace_text(&world->trace, 0, "fault", "%s%s", names[fault], done ? "" : " (not now)");
    sim_event_at(world, event,
                 world->now_ns + sim_draw(world, 20 * MS, cluster->plan.fault_gap_ns_max));
}

/* A crash just when something was promised: the instant that tells whether it was durable. */
static void
on_aimed(struct sim_event *event)
{
    struct sim_cluster *cluster = event->owner;
    struct sim_node *node = &cluster->nodes[cluster->aimed_node - 1];
    if (!cluster->faults_on || !sim_node_up(node))
        return;
    sim_trace_text(&cluster->world.trace, node->host->number, "fault", "aimed crash");
    sim_node_crash(node, true, sim_draw(&cluster->world, 1 * MS, 60 * MS));
}

static bool
aims(struct sim_cluster *cluster)
{
    return sim_chance(&cluster->world, cluster->plan.aimed_per_mille);
}

/*
 * Trouble just when it hurts: a candidate that only some can hear, and whoever has promised
 * something to it dies before or after that is durable.
 */
static void
trouble(struct sim_cluster *cluster, uint32_t from, uint32_t to, uint8_t type)
{
    struct sim_world *world = &cluster->world;
    if (type == RAFT_VOTE && aims(cluster)) {
        sim_trace_text(&world->trace, from, "fault", "not heard by %u", to);
        cut(cluster, from, to, false);
    }
    bool response =
        type == RAFT_VOTE_RESPONSE || (type == RAFT_APPEND_RESPONSE && sim_chance(world, 10));
    if (!response || cluster->aimed_event.slot != 0 || !aims(cluster))
        return;
    cluster->aimed_node = from;
    sim_event_at(world, &cluster->aimed_event, world->now_ns + sim_draw(world, 0, 150000));
    if (type == RAFT_VOTE_RESPONSE && sim_chance(world, 500))
        isolate(cluster, to, false, true);
}

/* Nor is a write as often on its way as a crash needs to tear it. */
static void
on_write(struct sim_host *host, uint64_t latency_ns)
{
    struct sim_cluster *cluster = host->world->owner;
    struct sim_world *world = host->world;
    if (!cluster->faults_on || host->number > cluster->plan.node_count ||
        cluster->aimed_event.slot != 0 || !sim_chance(world, cluster->plan.aimed_write_per_mille))
        return;
    cluster->aimed_node = host->number;
    sim_event_at(world, &cluster->aimed_event, world->now_ns + sim_draw(world, 0, latency_ns));
}

static void
on_sent(void *owner, uint32_t from, uint32_t to, struct bytes message)
{
    struct sim_cluster *cluster = owner;
    struct envelope_rafts items;
    struct bytes body;
    uint32_t group;
    if (message.count == 0 || message.data[0] != ENVELOPE_RAFT ||
        envelope_open_raft(&items, message) < 0)
        return;
    while (envelope_next_raft(&items, &group, &body) == 0) {
        uint8_t type = body.count ? body.data[0] : 0;
        if (type == RAFT_APPEND_RESPONSE)
            sim_oracle_on_sent(cluster, from, group, body);
        if (cluster->faults_on)
            trouble(cluster, from, to, type);
    }
}

void
sim_faults_start(struct sim_cluster *cluster)
{
    cluster->fault_event = (struct sim_event){.fire = on_step, .owner = cluster};
    cluster->aimed_event = (struct sim_event){.fire = on_aimed, .owner = cluster};
    cluster->links.on_sent = on_sent;
    cluster->links.owner = cluster;
    cluster->world.on_write = on_write;
    cluster->faults_on = true;
    link_calm(cluster);
    for (uint32_t i = 0; i < cluster->plan.node_count; i++)
        sim_faults_disk_calm(&cluster->nodes[i]);
    if (!cluster->plan.faults_none)
        sim_event_at(&cluster->world, &cluster->fault_event, cluster->plan.faults_from_ns);
}

void
sim_faults_stop(struct sim_cluster *cluster)
{
    cluster->faults_on = false;
    cluster->plan.always = (struct sim_rates){0};
    sim_event_cancel(&cluster->world, &cluster->fault_event);
    sim_event_cancel(&cluster->world, &cluster->aimed_event);
}

static void
heal_node(struct sim_cluster *cluster, struct sim_node *node)
{
    sim_faults_disk_calm(node);
    node->held_down = node->spare;
    node->host->paused_until_ns = 0;
    if (node->host->state == SIM_HOST_DOWN && !node->spare)
        sim_node_start(node);
    else if (sim_node_up(node))
        sim_event_at(&cluster->world, &node->host->turn_event, cluster->world.now_ns);
}

/* What stays broken, in one of several ways. */
static void
keep_broken(struct sim_cluster *cluster, struct sim_node *node, uint32_t majority)
{
    struct sim_world *world = &cluster->world;
    uint32_t number = node->host->number;
    uint64_t way = sim_draw(world, 0, 3);
    if (way == 0) {
        node->held_down = true;
        sim_event_cancel(world, &node->restart_event);
        sim_node_crash(node, true, 0);
        return;
    }
    for (uint32_t other = 1; other <= cluster->plan.node_count; other++) {
        if (other == number || !((majority >> (other - 1)) & 1))
            continue;
        sim_net_block(world->net, number, other, way != 2);
        sim_net_block(world->net, other, number, way != 3);
    }
}

uint32_t
sim_faults_heal_majority(struct sim_cluster *cluster)
{
    struct sim_world *world = &cluster->world;
    uint32_t count = cluster->plan.node_count, quorum = count / 2 + 1, majority = 0, chosen = 0;
    while (chosen < quorum) {
        struct sim_node *node = draw_node(cluster);
        uint32_t bit = 1u << (node->host->number - 1);
        if ((majority & bit) || node->damaged || node->replaced)
            continue;
        majority |= bit;
        chosen++;
    }
    sim_net_heal(world->net);
    link_calm(cluster);
    sim_trace_text(&world->trace, 0, "heal", "majority %u", majority);
    for (uint32_t i = 0; i < count; i++) {
        if ((majority >> i) & 1)
            heal_node(cluster, &cluster->nodes[i]);
        else
            keep_broken(cluster, &cluster->nodes[i], majority);
    }
    return majority;
}

void
sim_faults_heal_all(struct sim_cluster *cluster)
{
    sim_net_heal(cluster->world.net);
    link_calm(cluster);
    sim_trace_text(&cluster->world.trace, 0, "heal", "all");
    sim_faults_mend(cluster, 1000);
    for (uint32_t i = 0; i < cluster->plan.node_count; i++)
        heal_node(cluster, &cluster->nodes[i]);
}
