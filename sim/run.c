/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/run.h"

#include <inttypes.h>
#include <string.h>

#include "replica/state.h"
#include "sim/faults.h"

#define PHASE_SECONDS 30
/* Runs have some 5000 events a second; a storm has millions. */
#define EVENTS_PER_SECOND_MAX 60000
/* Time for elections, timeouts of commands on the way and reconnects, before a client has to get
 * on. */
#define SETTLE_NS (15 * SIM_SECOND)
#define GROUPS_SEED UINT64_C(0x67726f757073)
#define UPGRADE_SEED UINT64_C(0x75706772616465)
#define CONVERGE_NS (40 * SIM_SECOND)

static uint64_t
pick(struct prng *random, const uint64_t *values, size_t count)
{
    return values[prng_below(random, count)];
}

/* Some seeds have storms of elections, some have trouble with disks, some with the network, some
 * with all. */
static void
draw_weights(struct sim_plan *plan, struct prng *random)
{
    static const uint32_t flavours[][SIM_FAULT_COUNT] = {
        /* crash all stop pause split 1way isol link err full slow flip wipe clock misd clog tr rot
           mem */
        {10, 2, 4, 6, 6, 6, 8, 8, 3, 1, 3, 1, 2, 3, 1, 4, 3, 1, 1},
        {30, 6, 4, 2, 1, 1, 3, 3, 0, 0, 2, 1, 1, 1, 1, 1, 2, 1, 0},
        {4, 0, 2, 8, 12, 12, 20, 12, 0, 0, 1, 0, 1, 2, 0, 12, 20, 0, 1},
        {8, 2, 2, 2, 1, 1, 2, 2, 12, 4, 8, 3, 4, 1, 3, 1, 1, 3, 4},
        {12, 1, 3, 10, 2, 4, 12, 20, 1, 0, 4, 0, 0, 4, 0, 6, 3, 0, 1},
        {20, 0, 1, 4, 2, 4, 30, 2, 0, 0, 12, 0, 0, 0, 0, 2, 8, 0, 0},
    };
    size_t flavour = (size_t)prng_below(random, BASE_COUNT_OF(flavours));
    memcpy(plan->weights, flavours[flavour], sizeof(flavours[flavour]));
    if (flavour == BASE_COUNT_OF(flavours) - 1) {
        /* Leaders come and go before they are done, and keep nothing behind their checkpoints: who
         * comes back with a longer log of its own gets a snapshot. */
        plan->fault_gap_ns_max = prng_range(random, 150, 800) * SIM_MS;
        plan->checkpoint_log_bytes = 256;
        plan->keep_log_bytes = 0;
        plan->client_count = SIM_CLIENTS_MAX;
        plan->think_ns_max = 30 * SIM_MS;
    }
    static const uint64_t aimed[] = {0, 0, 100, 300, 600};
    plan->aimed_per_mille = (uint32_t)pick(random, aimed, BASE_COUNT_OF(aimed));
    static const uint64_t torn[] = {0, 0, 300, 800};
    plan->always.torn = (uint32_t)pick(random, torn, BASE_COUNT_OF(torn));
    static const uint64_t aimed_writes[] = {0, 0, 3, 10};
    plan->aimed_write_per_mille = (uint32_t)pick(random, aimed_writes, BASE_COUNT_OF(aimed_writes));
}

/* Nodes come and go: disks that lose what was synced are another run's trouble, since how many may
 * at a time hangs on who is a voter just then. */
static void
change_members(struct sim_plan *plan)
{
    plan->founder_count = 3;
    plan->node_count = 6;
    plan->weights[SIM_FAULT_FLIP] = plan->weights[SIM_FAULT_WIPE] = 0;
    plan->weights[SIM_FAULT_MISDIRECT] = plan->weights[SIM_FAULT_ROT] = 0;
}

/* From a stream of its own. */
static bool
draw_upgrade(const struct sim_plan *plan)
{
    struct prng random;
    prng_init(&random, plan->seed ^ UPGRADE_SEED);
    return prng_chance(&random, 1, 2) && plan->link_tcp;
}

static void
draw_plan(struct sim_plan *plan, const struct sim_run_options *options, struct prng *random)
{
    static const uint64_t segments[] = {64 << 10, 128 << 10, 256 << 10};
    static const uint64_t checkpoints[] = {256, 2 << 10, 8 << 10, 32 << 10, 128 << 10};
    static const uint64_t keeps[] = {0, 4 << 10, 32 << 10};
    static const uint64_t appends[] = {1, 2000, 1 << 20, 1 << 20};
    static const uint64_t chunks[] = {4 << 10, 5000, 16 << 10, 256 << 10};
    uint64_t seconds = options->seconds ? options->seconds : PHASE_SECONDS;
    *plan = (struct sim_plan){.seed = options->seed};
    plan->node_count = prng_chance(random, 1, 5) ? 5 : 3;
    if (options->node_count)
        plan->node_count = options->node_count;
    plan->founder_count = plan->node_count;
    plan->client_count = (uint32_t)prng_range(random, 3, SIM_CLIENTS_MAX);
    plan->link_tcp = prng_chance(random, 1, 5);
    plan->tick_ns = prng_range(random, 20, 50) * SIM_MS;
    plan->election_ticks = (uint32_t)prng_range(random, 5, 10);
    plan->segment_bytes = pick(random, segments, BASE_COUNT_OF(segments));
    plan->checkpoint_log_bytes = pick(random, checkpoints, BASE_COUNT_OF(checkpoints));
    plan->keep_log_bytes = pick(random, keeps, BASE_COUNT_OF(keeps));
    plan->scrub_period_ns = 2 * SIM_SECOND;
    plan->append_bytes_max = pick(random, appends, BASE_COUNT_OF(appends));
    plan->command_timeout_ns = prng_range(random, 500, 3000) * SIM_MS;
    plan->client_timeout_ns = prng_range(random, 500, 4000) * SIM_MS;
    plan->think_ns_max = prng_range(random, 20, 200) * SIM_MS;
    plan->faults_from_ns = SIM_TIME_START + prng_range(random, 0, 2000) * SIM_MS;
    plan->fault_gap_ns_max = prng_range(random, 300, 2500) * SIM_MS;
    plan->safety_ns = seconds * SIM_SECOND;
    plan->liveness_ns = (seconds > PHASE_SECONDS ? seconds : PHASE_SECONDS) * SIM_SECOND;
    static const uint64_t catchups[] = {0, 2 << 10, 64 << 10, 64 << 20};
    plan->catchup_log_bytes = pick(random, catchups, BASE_COUNT_OF(catchups));
    plan->checkpoint_entries = prng_chance(random, 1, 4) ? prng_range(random, 1, 50) : 0;
    plan->checkpoint_interval_ns =
        prng_chance(random, 1, 4) ? prng_range(random, 50, 2000) * SIM_MS : 0;
    plan->checkpoints_kept = (uint32_t)prng_range(random, 1, 3);
    plan->snapshot_chunk_bytes = pick(random, chunks, BASE_COUNT_OF(chunks));
    static const uint64_t pieces[] = {100, 500, 65536, 65536};
    static const uint64_t shapes[] = {SIM_NET_UNIFORM, SIM_NET_UNIFORM,   SIM_NET_FIXED,
                                      SIM_NET_HEAVY,   SIM_NET_TWO_PEAKS, SIM_NET_EXPONENTIAL};
    plan->latency_ns_min = prng_range(random, 20000, 500000);
    plan->latency_ns_max = plan->latency_ns_min + prng_range(random, 50000, 5 * SIM_MS);
    plan->latency_shape = (enum sim_net_shape)pick(random, shapes, BASE_COUNT_OF(shapes));
    plan->piece_bytes_max = pick(random, pieces, BASE_COUNT_OF(pieces));
    draw_weights(plan, random);
    plan->upgrade = draw_upgrade(plan);
    sim_settings_apply(&options->settings, plan);
    if (options->members)
        change_members(plan);
    if (options->client_count)
        plan->client_count = options->client_count;
    plan->fault_steps_max = options->fault_steps_max;
    plan->faults_none = true;
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        if (options->faults_off >> fault & 1)
            plan->weights[fault] = 0;
        plan->faults_none = plan->faults_none && plan->weights[fault] == 0;
    }
    if (options->faults_off >> SIM_FAULT_COUNT & 1)
        plan->aimed_per_mille = plan->aimed_write_per_mille = 0;
}

/* From a stream of their own: with one group the run is the one that it was before there could be
 * more. Disks that change in number are one group's trouble (docs/design/0015-groups.md). */
static void
draw_groups(struct sim_plan *plan, const struct sim_run_options *options)
{
    static const uint64_t counts[] = {2, 2, 3, 4, 5, 8};
    struct prng random;
    prng_init(&random, options->seed ^ GROUPS_SEED);
    plan->group_count = 1;
    if (prng_chance(&random, 1, 4))
        plan->group_count = (uint32_t)pick(&random, counts, BASE_COUNT_OF(counts));
    bool quiesce = prng_chance(&random, 1, 4);
    uint32_t ticks = (uint32_t)prng_range(&random, 2, 12);
    if (options->group_count)
        plan->group_count = options->group_count;
    if (options->members)
        plan->group_count = 1;
    plan->quiesce_ticks = quiesce || options->quiesce ? ticks : 0;
    plan->ranks = prng_chance(&random, 1, 4);
}

static void
open_cluster(struct sim_cluster *cluster, const struct sim_run_options *options)
{
    struct prng random;
    *cluster = (struct sim_cluster){0};
    prng_init(&random, options->seed * 2 + 1);
    draw_plan(&cluster->plan, options, &random);
    draw_groups(&cluster->plan, options);
    sim_world_open(&cluster->world, options->seed, options->trace);
    cluster->world.owner = cluster;
    cluster->world.log = options->log;
    cluster->world.shuffle = options->shuffle;
    cluster->world.event_count_max =
        EVENTS_PER_SECOND_MAX *
        ((cluster->plan.safety_ns + cluster->plan.liveness_ns) / SIM_SECOND);
    struct sim_net_options *net = sim_net_options(cluster->world.net);
    net->shape = cluster->plan.latency_shape;
    net->latency_ns_min = cluster->plan.latency_ns_min;
    net->latency_ns_max = cluster->plan.latency_ns_max;
    net->piece_bytes_max = cluster->plan.piece_bytes_max;
    sim_links_init(&cluster->links, &cluster->world, cluster->plan.node_count);
    cluster->links.forge_per_mille = 4;
    for (uint32_t i = 1; i <= cluster->plan.node_count; i++)
        sim_node_init(cluster, i);
    sim_upgrade_open(cluster);
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        node->spare = node->late = node->held_down = i >= cluster->plan.founder_count;
        if (!node->spare)
            sim_node_start(node);
    }
    if (options->members)
        sim_members_open(cluster);
    sim_workload_start(cluster);
    sim_oracle_start(cluster);
}

static void
run_until(struct sim_cluster *cluster, uint64_t until_ns)
{
    if (cluster->verdict == SIM_PASSED && !sim_world_run(&cluster->world, until_ns))
        sim_violation(cluster, SIM_LIVENESS,
                      "more than %" PRIu64 " events: something goes round in circles",
                      cluster->world.event_count_max);
}

/* With a majority healed every client has to get on: after the time to settle, and again and again.
 */
static void
run_liveness(struct sim_cluster *cluster)
{
    uint64_t end_ns = cluster->world.now_ns + cluster->plan.liveness_ns;
    uint64_t settle_ns = SETTLE_NS;
    uint32_t majority = UINT32_MAX;
    sim_faults_stop(cluster);
    /* Which of the nodes make a majority changes from moment to moment. */
    if (cluster->members)
        sim_faults_heal_all(cluster);
    else
        majority = sim_faults_heal_majority(cluster);
    sim_workload_mark(cluster);
    run_until(cluster, cluster->world.now_ns + settle_ns);
    while (cluster->verdict == SIM_PASSED && cluster->world.now_ns < end_ns) {
        sim_oracle_progress(cluster, majority);
        if (cluster->verdict != SIM_PASSED)
            return;
        sim_workload_mark(cluster);
        uint64_t next_ns = cluster->world.now_ns + SETTLE_NS;
        run_until(cluster, next_ns < end_ns ? next_ns : end_ns);
        if (next_ns > end_ns)
            return;
    }
}

static void
run_convergence(struct sim_cluster *cluster)
{
    uint64_t until_ns = cluster->world.now_ns + CONVERGE_NS;
    sim_faults_heal_all(cluster);
    sim_members_stop(cluster);
    sim_workload_stop(cluster);
    while (cluster->verdict == SIM_PASSED && cluster->world.now_ns < until_ns) {
        run_until(cluster, cluster->world.now_ns + 100 * SIM_MS);
        if (sim_workload_done(cluster) && sim_oracle_converged(cluster))
            break;
    }
    if (!sim_workload_done(cluster))
        sim_violation(cluster, SIM_LIVENESS,
                      "the clients could not read every key after all was healed");
    else if (!sim_oracle_converged(cluster))
        sim_violation(cluster, SIM_LIVENESS,
                      "the members did not come to the same state after all was healed");
    /* One more look at every state, all at the same index now. */
    run_until(cluster, cluster->world.now_ns + 200 * SIM_MS);
}

/* Also after a failure to make progress: a history that does not fit says more. */
static void
check_history_too(struct sim_cluster *cluster, FILE *report)
{
    enum sim_verdict before = cluster->verdict;
    char reason[sizeof(cluster->reason)];
    memcpy(reason, cluster->reason, sizeof(reason));
    cluster->verdict = SIM_PASSED;
    sim_oracle_history(cluster, report);
    if (before == SIM_PASSED || cluster->verdict == SIM_SAFETY)
        return;
    cluster->verdict = before;
    memcpy(cluster->reason, reason, sizeof(reason));
}

static void
collect(struct sim_cluster *cluster, struct sim_run_result *result)
{
    result->checked_ops = skein_linear_checked_count(cluster->history);
    result->failed_ops = cluster->failed_count;
    result->unknown_ops = cluster->unknown_count;
    result->once_ops = cluster->once_count;
    result->once_attempts = cluster->once_attempts;
    memcpy(result->reads, cluster->level_counts, sizeof(result->reads));
    result->elections = cluster->elections;
    result->joins = cluster->joins;
    result->upgrades = cluster->upgrades;
    result->group_count = cluster->plan.group_count;
    result->slept = cluster->slept;
    result->repairs = cluster->repairs;
    result->set_aside = cluster->set_aside;
    result->member_changes = cluster->member_changes;
    result->write_gap_ns_max = cluster->write_gap_ns_max;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        result->crashes += node->crashes;
        result->exits += node->exits;
        result->lost_blocks += sim_disk_stats(node->host->disk)->lost_blocks;
        for (uint32_t group = 0; group < cluster->plan.group_count; group++) {
            const struct replica *replica = sim_node_group(node, group);
            if (!replica)
                continue;
            result->checkpoints += replica->counters.checkpoints_taken;
            result->snapshots += replica->counters.snapshots_installed;
            result->forged_dropped += group == 0 ? replica->host->counters.forged_dropped : 0;
        }
    }
    for (uint32_t i = 0; i < cluster->world.host_count; i++) {
        struct sim_host *host = cluster->world.hosts[i];
        size_t bytes = host->arena ? arena_touched_bytes(host->arena) : 0;
        bytes = bytes > host->arena_bytes_max ? bytes : host->arena_bytes_max;
        if (bytes > result->memory_bytes_max)
            result->memory_bytes_max = bytes;
    }
}

void
sim_run(const struct sim_run_options *options, struct sim_run_result *out_result)
{
    struct sim_cluster cluster;
    *out_result = (struct sim_run_result){0};
    open_cluster(&cluster, options);
    sim_faults_start(&cluster);
    run_until(&cluster, SIM_TIME_START + cluster.plan.safety_ns);
    if (cluster.verdict == SIM_PASSED)
        run_liveness(&cluster);
    if (cluster.verdict == SIM_PASSED)
        run_convergence(&cluster);
    collect(&cluster, out_result);
    if (cluster.verdict != SIM_SAFETY)
        check_history_too(&cluster, options->report);
    sim_oracle_memory(&cluster, out_result->memory_bytes_max);
    out_result->verdict = cluster.verdict;
    memcpy(out_result->reason, cluster.reason, sizeof(cluster.reason));
    out_result->simulated_ns = cluster.world.now_ns - SIM_TIME_START;
    out_result->event_count = cluster.world.event_count;
    out_result->trace_hash = cluster.world.trace.hash;
    if (options->history)
        skein_linear_write(cluster.history, options->history);
    sim_upgrade_close(&cluster);
    sim_members_close(&cluster);
    sim_oracle_close(&cluster);
    sim_links_deinit(&cluster.links);
    for (uint32_t i = 0; i < cluster.plan.node_count; i++) {
        sim_event_cancel(&cluster.world, &cluster.nodes[i].restart_event);
        sim_event_cancel(&cluster.world, &cluster.nodes[i].exit_event);
    }
    sim_world_close(&cluster.world);
    skein_linear_close(cluster.history);
    mem_free(cluster.clients);
    mem_free(cluster.event_times);
}
