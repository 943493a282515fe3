/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replica/link_tcp.h"
#include "replica/state.h"
#include "sim/cluster.h"
#include "skein/error.h"

#define CLUSTER_NAME "sim"

void
sim_violation(struct sim_cluster *cluster, enum sim_verdict verdict, const char *format, ...)
{
    if (cluster->verdict != SIM_PASSED)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(cluster->reason, sizeof(cluster->reason), format, args);
    va_end(args);
    cluster->verdict = verdict;
    sim_trace_text(&cluster->world.trace, 0, "violation", "%s", cluster->reason);
    sim_world_stop(&cluster->world);
}

bool
sim_node_up(const struct sim_node *node)
{
    return node->host->state == SIM_HOST_UP;
}

struct replica *
sim_node_group(const struct sim_node *node, uint32_t group)
{
    return sim_node_up(node) && node->kv ? replica_group(kv_node_replica(node->kv), group) : NULL;
}

bool
sim_node_repairing(const struct sim_node *node)
{
    bool repairing = false;
    for (uint32_t group = 0; group < node->cluster->plan.group_count; group++) {
        const struct replica *replica = sim_node_group(node, group);
        repairing = repairing || (replica && replica->repairing);
    }
    return repairing;
}

/* A founder knows the founders; whoever comes later knows all, and does not found anything. */
static uint32_t
peer_count(const struct sim_node *node)
{
    const struct sim_plan *plan = &node->cluster->plan;
    return node->late ? plan->node_count : plan->founder_count;
}

static void
fill_options(struct sim_node *node, struct kv_node_options *options)
{
    const struct sim_plan *plan = &node->cluster->plan;
    kv_node_options_init(options);
    options->replica.cluster_name = CLUSTER_NAME;
    options->replica.node = node->host->number;
    options->replica.peers = node->peers;
    options->replica.peer_count = peer_count(node);
    options->replica.join = node->late;
    options->replica.group_count = plan->group_count;
    options->route_keys = false; /* each group has a port and keys of its own (groups.c) */
    options->replica.quiesce_ticks = plan->quiesce_ticks;
    options->replica.data_dir = node->data_dir;
    options->replica.tick_ns = plan->tick_ns;
    options->replica.election_ticks = plan->election_ticks;
    options->replica.segment_bytes = plan->segment_bytes;
    options->replica.checkpoint_log_bytes = plan->checkpoint_log_bytes;
    options->replica.keep_log_bytes = plan->keep_log_bytes;
    options->replica.scrub_period_ns = plan->scrub_period_ns;
    options->replica.catchup_log_bytes = plan->catchup_log_bytes;
    options->replica.checkpoint_entries = plan->checkpoint_entries;
    options->replica.checkpoint_interval_ns = plan->checkpoint_interval_ns;
    options->replica.checkpoints_kept = plan->checkpoints_kept;
    options->replica.snapshot_chunk_bytes = plan->snapshot_chunk_bytes;
    options->replica.append_bytes_max = plan->append_bytes_max;
    options->replica.lease_drift_ppm = SIM_DRIFT_PPM;
    options->replica.election_rank = plan->ranks ? (node->host->number - 1) % 3 : 0;
    options->command_timeout_ns = plan->command_timeout_ns;
    options->listen = sim_host_addr(node->host->number, SIM_CLIENT_PORT);
    options->shutdown_timeout_ns = 2 * SIM_SECOND;
    options->allow_plaintext = true; /* simulated addresses are none of loopback */
}

static int
open_link(struct sim_node *node, struct replica_link **out_link)
{
    const struct link_tcp_options options = {.cluster_name = CLUSTER_NAME,
                                             .node = node->host->number,
                                             .peers = node->peers,
                                             .peer_count = peer_count(node),
                                             .queue_bytes_max = 16u << 20,
                                             .versions = sim_upgrade_versions(node)};
    if (node->cluster->plan.link_tcp)
        return link_tcp_open(out_link, &options);
    *out_link = sim_link_open(&node->cluster->links, node->host);
    return 0;
}

struct waiter {
    struct sim_node *node;
    int result;
};

static void
wait_for_failure(void *arg)
{
    struct waiter *waiter = arg;
    waiter->result = kv_node_wait(waiter->node->kv, waiter->node->why);
    skein_wake_all(&waiter->node->stopping);
}

/* The process ends as it is; the world clears up behind it. */
static int
die(struct sim_node *node, int code)
{
    node->kv = NULL;
    node->exited = true;
    node->exit_code = code;
    sim_event_at(&node->cluster->world, &node->exit_event, node->cluster->world.now_ns);
    return skein_sleep(SKEIN_NEVER);
}

/* Its damaged disk was given up (replica/aside.h): another one waits to be let in. */
static void
note_set_aside(struct sim_node *node)
{
    const struct identity *identity = &sim_node_group(node, 0)->host->identity;
    if (!node->damaged || !identity->rejoined || identity->state != GENESIS_UNBORN)
        return;
    node->damaged = false;
    node->replaced = true;
    node->cluster->set_aside++;
    sim_trace_text(&node->cluster->world.trace, node->host->number, "aside", "%s", "a new disk");
}

static int
node_main(void *arg)
{
    struct sim_node *node = arg;
    struct kv_node_options options;
    struct kv_node *kv = NULL;
    struct sim_groups *groups = NULL;
    fill_options(node, &options);
    int rc = open_link(node, &options.replica.link);
    if (rc == 0)
        rc = kv_node_open(&kv, &options, node->why);
    if (rc == 0)
        rc = sim_groups_serve(&groups, &options, kv_node_replica(kv), node->why);
    if (rc < 0)
        return die(node, rc);
    node->kv = kv;
    note_set_aside(node);
    struct waiter waiter = {.node = node};
    struct skein_scope scope;
    skein_scope_init(&scope);
    rc = skein_spawn(&scope, "supervisor", wait_for_failure, &waiter, SKEIN_STACK_SMALL);
    while (rc == 0 && !node->stop_asked && waiter.result == 0)
        rc = skein_wait(&node->stopping, SKEIN_NEVER);
    if (waiter.result < 0 && !node->stop_asked)
        return die(node, waiter.result);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    node->kv = NULL;
    sim_groups_stop(groups);
    kv_node_stop(kv);
    return 0;
}

static void
start_later(struct sim_node *node, uint64_t delay_ns)
{
    if (!node->held_down)
        sim_event_at(&node->cluster->world, &node->restart_event,
                     node->cluster->world.now_ns + delay_ns);
}

/* Whether @code says that the directory cannot be used, rather than that the disk had a bad day. */
static bool
is_refusal(int code)
{
    return code == -SKEIN_ECORRUPT || code == -SKEIN_EFORMAT || code == -SKEIN_EIDENTITY;
}

static void
process_ended(struct sim_node *node, int code)
{
    struct sim_cluster *cluster = node->cluster;
    node->exits++;
    sim_trace_text(&cluster->world.trace, node->host->number, "node.exit", "%s %s",
                   skein_error_name(code), code ? node->why : "in order");
    if (code == -SKEIN_EREMOVED && cluster->members) {
        sim_members_removed(node);
        return;
    }
    if (is_refusal(code)) {
        node->refusals++;
        if (!node->damaged) {
            sim_violation(cluster, SIM_SAFETY, "node %u refuses a directory nobody damaged: %s",
                          node->host->number, node->why);
            return;
        }
        node->host->state = SIM_HOST_BROKEN;
        return;
    }
    start_later(node, sim_draw(&cluster->world, 100 * SIM_MS, 2 * SIM_SECOND));
}

static void
on_exit_event(struct sim_event *event)
{
    struct sim_node *node = event->owner;
    if (!sim_node_up(node) || !node->exited)
        return;
    sim_host_crash(node->host, false);
    process_ended(node, node->exit_code);
}

static void
on_host_exit(struct sim_host *host, int result)
{
    struct sim_cluster *cluster = host->world->owner;
    process_ended(&cluster->nodes[host->number - 1], result);
}

static void
on_restart(struct sim_event *event)
{
    struct sim_node *node = event->owner;
    if (node->host->state == SIM_HOST_DOWN && !node->held_down)
        sim_node_start(node);
}

void
sim_node_init(struct sim_cluster *cluster, uint32_t number)
{
    struct sim_node *node = &cluster->nodes[number - 1];
    *node = (struct sim_node){.cluster = cluster};
    node->host = sim_host_add(&cluster->world, sim_disk_open(&cluster->world));
    skein_assert(node->host->number == number);
    node->host->main_fn = node_main;
    node->host->main_arg = node;
    node->host->on_exit = on_host_exit;
    node->restart_event = (struct sim_event){.fire = on_restart, .owner = node};
    node->exit_event = (struct sim_event){.fire = on_exit_event, .owner = node};
    snprintf(node->data_dir, sizeof(node->data_dir), "/data");
    for (uint32_t i = 0; i < cluster->plan.node_count; i++)
        node->peers[i] = (struct replica_peer){i + 1, sim_host_addr(i + 1, SIM_PEER_PORT)};
}

void
sim_node_start(struct sim_node *node)
{
    sim_event_cancel(&node->cluster->world, &node->restart_event);
    node->stop_asked = node->exited = false;
    node->kv = NULL;
    node->why[0] = '\0';
    skein_waitq_init(&node->stopping);
    sim_host_start(node->host);
}

void
sim_node_crash(struct sim_node *node, bool power_loss, uint64_t restart_after_ns)
{
    if (!sim_node_up(node))
        return;
    struct sim_disk *disk = node->host->disk;
    uint64_t torn = sim_disk_stats(disk)->torn_blocks;
    sim_disk_faults(disk)->torn_per_mille = node->cluster->plan.always.torn;
    node->kv = NULL;
    node->crashes++;
    sim_event_cancel(&node->cluster->world, &node->exit_event);
    sim_host_crash(node->host, power_loss);
    torn = sim_disk_stats(disk)->torn_blocks - torn;
    if (torn > 0)
        sim_trace_text(&node->cluster->world.trace, node->host->number, "torn", "%llu blocks",
                       (unsigned long long)torn);
    start_later(node, restart_after_ns);
}

void
sim_node_stop(struct sim_node *node)
{
    if (!sim_node_up(node) || sim_host_paused(node->host) || !node->kv)
        return;
    node->stop_asked = true;
    struct sim_context context = sim_host_enter(node->host);
    skein_wake_all(&node->stopping);
    sim_host_leave(context);
    sim_host_turn(node->host);
}

void
sim_node_replace_disk(struct sim_node *node)
{
    skein_assert(!sim_node_up(node));
    sim_disk_wipe(node->host->disk);
    node->host->state = SIM_HOST_DOWN;
    node->damaged = false;
    node->replaced = true;
    node->held_down = false;
}
