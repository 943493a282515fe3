/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "raft/codec.h"
#include "replica/envelope.h"
#include "replica/state.h"
#include "sim/cluster.h"

/*
 * What must hold at every instant, looked at often, from outside the nodes:
 *
 *   - one leader a term (Raft section 5.2)
 *   - what is applied at an index has the same term everywhere, for ever (section 5.4.3)
 *   - the state at an index has the same checksum everywhere
 *   - a leader commits entries of its own term, older ones only with them (section 5.4.2)
 *   - a node that comes back has what it had acknowledged and what was committed
 *   - log time never goes back in a process
 *   - forged messages are counted, not believed
 */

#define SAMPLE_NS (5 * SIM_MS)
#define CHECKSUM_EVERY 10
#define FORGED_ENOUGH 6

struct seen {
    uint64_t term;
    uint32_t checksum;
    uint32_t node; /* who was seen with it; 0: nobody */
    bool has_checksum;
};

/* The newest acknowledgement of a node: its log is the leader's of @term, up to @index. */
struct promise {
    uint64_t raft_id, index, term;
};

/* How far a leader had committed when it was last looked at. */
struct reign {
    uint64_t boot, term, commit;
};

struct sim_oracle {
    struct reign reigns[REPLICA_NODES_MAX];
    struct promise promises[REPLICA_NODES_MAX];
    uint32_t *leaders; /* by term; 0: none seen */
    size_t leader_count, leader_capacity;
    struct seen *applied; /* by index */
    size_t applied_count, applied_capacity;
    uint64_t checked[REPLICA_NODES_MAX]; /* applied entries of the present life looked at */
    uint64_t forged[REPLICA_NODES_MAX];  /* delivered to the present life, and for it */
    uint64_t sample_count;
};

static void
check_leader(struct sim_cluster *cluster, uint32_t number, const struct raft_status *status)
{
    struct sim_oracle *oracle = cluster->oracle;
    uint64_t term = status->hard_state.term;
    if (status->role != RAFT_LEADER || term > (1u << 24))
        return;
    while (oracle->leader_count <= term) {
        mem_grow(&oracle->leaders, &oracle->leader_capacity, oracle->leader_count,
                 sizeof(oracle->leaders[0]));
        oracle->leaders[oracle->leader_count++] = 0;
    }
    if (oracle->leaders[term] == 0)
        cluster->elections++;
    if (oracle->leaders[term] != 0 && oracle->leaders[term] != number)
        sim_violation(cluster, SIM_SAFETY, "nodes %u and %u both lead in term %" PRIu64,
                      oracle->leaders[term], number, term);
    oracle->leaders[term] = number;
}

static void
check_commit(struct sim_cluster *cluster, struct sim_node *node, const struct replica *replica,
             const struct raft_status *status)
{
    struct reign *reign = &cluster->oracle->reigns[node->host->number - 1];
    uint64_t term = status->hard_state.term, commit = status->hard_state.commit;
    if (status->role != RAFT_LEADER) {
        *reign = (struct reign){0};
        return;
    }
    bool goes_on = reign->boot == node->host->boot && reign->term == term;
    uint64_t entry_term = raft_entry_term(replica->raft, commit);
    if (goes_on && commit > reign->commit && entry_term != 0 && entry_term != term)
        sim_violation(cluster, SIM_SAFETY,
                      "node %u leads in term %" PRIu64 " and committed index %" PRIu64
                      " of term %" PRIu64 " by counting",
                      node->host->number, term, commit, entry_term);
    *reign = (struct reign){node->host->boot, term, commit};
}

static struct seen *
seen_at(struct sim_oracle *oracle, uint64_t index)
{
    while (oracle->applied_count <= index) {
        mem_grow(&oracle->applied, &oracle->applied_capacity, oracle->applied_count,
                 sizeof(oracle->applied[0]));
        oracle->applied[oracle->applied_count++] = (struct seen){0};
    }
    return &oracle->applied[index];
}

static void
check_applied(struct sim_cluster *cluster, struct sim_node *node, const struct replica *replica)
{
    struct sim_oracle *oracle = cluster->oracle;
    uint32_t number = node->host->number;
    uint64_t *checked = &oracle->checked[number - 1];
    if (node->last_boot != node->host->boot) {
        node->last_boot = node->host->boot;
        node->last_log_time_ms = 0;
        *checked = 0;
        oracle->forged[number - 1] = 0;
    }
    if (replica->applied_index > (1u << 24))
        return;
    for (; *checked < replica->applied_index; (*checked)++) {
        uint64_t term = raft_entry_term(replica->raft, *checked + 1);
        if (term == 0)
            continue;
        struct seen *seen = seen_at(oracle, *checked + 1);
        if (seen->node != 0 && seen->term != term)
            sim_violation(cluster, SIM_SAFETY,
                          "index %" PRIu64 " was applied with term %" PRIu64
                          " by node %u and with term %" PRIu64 " by node %u",
                          *checked + 1, seen->term, seen->node, term, number);
        seen->term = term;
        seen->node = number;
    }
    if (replica->log_time_ms < node->last_log_time_ms)
        sim_violation(cluster, SIM_SAFETY, "log time of node %u went back", number);
    node->last_log_time_ms = replica->log_time_ms;
    if (node->damaged && replica->counters.repairs > 0 && !replica->repairing) {
        node->damaged = false;
        cluster->repairs++;
        sim_trace_text(&cluster->world.trace, number, "repaired", "last %" PRIu64,
                       replica->promise.last_index);
    }
}

/*
 * An entry of the leader's own term is the only one of that term at its index: when that one was
 * committed, whoever has acknowledged it has it for ever.
 */
static void
check_promise(struct sim_cluster *cluster, struct sim_node *node, const struct replica *replica,
              const struct raft_status *status)
{
    struct sim_oracle *oracle = cluster->oracle;
    const struct promise *promise = &oracle->promises[node->host->number - 1];
    /* A damaged log that its peers repair has forgotten, and knows it: it keeps the promise by how
     * it votes until it holds the entry again. */
    if (replica->repairing || promise->raft_id != replica->raft_id ||
        promise->index >= oracle->applied_count || oracle->applied[promise->index].node == 0 ||
        oracle->applied[promise->index].term != promise->term)
        return;
    uint64_t term = raft_entry_term(replica->raft, promise->index);
    if (status->last_index < promise->index || (term != 0 && term != promise->term))
        sim_violation(cluster, SIM_SAFETY,
                      "node %u has forgotten index %" PRIu64 " of term %" PRIu64
                      ", which it had acknowledged and which was committed",
                      node->host->number, promise->index, promise->term);
}

void
sim_oracle_on_sent(struct sim_cluster *cluster, uint32_t from, struct bytes message)
{
    struct sim_oracle *oracle = cluster->oracle;
    struct raft_message decoded = {0};
    struct bytes body = {.data = message.data + ENVELOPE_RAFT_HEADER_BYTES,
                         .count = message.count - ENVELOPE_RAFT_HEADER_BYTES};
    if (!oracle || raft_decode_message(body, &decoded) < 0)
        return;
    struct promise *promise = &oracle->promises[from - 1];
    if (decoded.type == RAFT_APPEND_RESPONSE && !decoded.reject && decoded.index < (1u << 24)) {
        bool is_newer = promise->raft_id != decoded.from || promise->term < decoded.term ||
                        (promise->term == decoded.term && promise->index < decoded.index);
        if (is_newer)
            *promise = (struct promise){decoded.from, decoded.index, decoded.term};
    }
    raft_message_deinit(&decoded);
}

static void
check_state(struct sim_cluster *cluster, struct sim_node *node, struct replica *replica)
{
    if (replica->applied_index == 0 || replica->applied_index > (1u << 24))
        return;
    struct seen *seen = seen_at(cluster->oracle, replica->applied_index);
    struct sim_context context = sim_host_enter(node->host);
    uint32_t checksum = kv_machine_checksum(replica->machine);
    sim_host_leave(context);
    if (seen->has_checksum && seen->checksum != checksum)
        sim_violation(cluster, SIM_SAFETY,
                      "the state of node %u at index %" PRIu64 " differs from the others'",
                      node->host->number, replica->applied_index);
    seen->has_checksum = true;
    seen->checksum = checksum;
}

/*
 * A new disk is taken in when every node knows it as a member: before that there may be majorities
 * that are none without the old one (a configuration takes effect when it is applied).
 */
static void
note_joined(struct sim_cluster *cluster, struct sim_node *node, const struct replica *replica)
{
    if (!node->replaced || replica->phase != REPLICA_RUNNING)
        return;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *other = &cluster->nodes[i];
        if (!sim_node_up(other) || !other->kv || other->exited)
            return;
        const struct raft_config *config = &kv_node_replica(other->kv)->config;
        if (!raft_config_is(config, replica->raft_id, RAFT_VOTER))
            return;
    }
    node->replaced = false;
    cluster->joins++;
}

static void
look_at(struct sim_cluster *cluster, struct sim_node *node)
{
    if (!sim_node_up(node) || !node->kv || node->exited)
        return;
    struct replica *replica = kv_node_replica(node->kv);
    if (!replica->raft || replica->phase == REPLICA_FAILED)
        return;
    struct raft_status status;
    raft_status(replica->raft, &status);
    check_leader(cluster, node->host->number, &status);
    check_commit(cluster, node, replica, &status);
    /* While a snapshot is loaded the machine is between two states. */
    bool loading = status.first_index > replica->applied_index + 1;
    if (!loading) {
        check_applied(cluster, node, replica);
        check_promise(cluster, node, replica, &status);
    }
    if (!loading && cluster->oracle->sample_count % CHECKSUM_EVERY == 0)
        check_state(cluster, node, replica);
    note_joined(cluster, node, replica);
    uint64_t forged = cluster->oracle->forged[node->host->number - 1];
    /* What arrives while a snapshot is loaded waits to be looked at. */
    if (!loading && forged >= FORGED_ENOUGH && replica->counters.forged_dropped == 0 &&
        !sim_host_paused(node->host))
        sim_violation(cluster, SIM_SAFETY,
                      "node %u got %" PRIu64 " messages of forged senders and counted none",
                      node->host->number, forged);
}

static void
on_sample(struct sim_event *event)
{
    struct sim_cluster *cluster = event->owner;
    cluster->oracle->sample_count++;
    for (uint32_t i = 0; i < cluster->plan.node_count && cluster->verdict == SIM_PASSED; i++)
        look_at(cluster, &cluster->nodes[i]);
    sim_event_at(&cluster->world, event, cluster->world.now_ns + SAMPLE_NS);
}

/* Only those count that a node which believes the claim would take: of its cluster and for its
 * disk. */
static void
on_forged(void *owner, uint32_t to, struct bytes message)
{
    struct sim_cluster *cluster = owner;
    struct sim_node *node = &cluster->nodes[to - 1];
    if (!node->kv || node->exited || node->last_boot != node->host->boot)
        return;
    const struct replica *replica = kv_node_replica(node->kv);
    struct raft_message decoded = {0};
    struct bytes body = {.data = message.data + ENVELOPE_RAFT_HEADER_BYTES,
                         .count = message.count - ENVELOPE_RAFT_HEADER_BYTES};
    if (!replica->raft || replica->phase != REPLICA_RUNNING ||
        memcmp(message.data + 1, replica->identity.map.cluster, 16) != 0 ||
        raft_decode_message(body, &decoded) < 0)
        return;
    cluster->oracle->forged[to - 1] += decoded.to == replica->raft_id;
    raft_message_deinit(&decoded);
}

void
sim_oracle_start(struct sim_cluster *cluster)
{
    cluster->oracle = mem_zalloc(sizeof(*cluster->oracle));
    cluster->links.on_forged = on_forged;
    cluster->links.owner = cluster;
    cluster->sample_event = (struct sim_event){.fire = on_sample, .owner = cluster};
    sim_event_at(&cluster->world, &cluster->sample_event, cluster->world.now_ns + SAMPLE_NS);
}

void
sim_oracle_close(struct sim_cluster *cluster)
{
    if (!cluster->oracle)
        return;
    sim_event_cancel(&cluster->world, &cluster->sample_event);
    mem_free(cluster->oracle->leaders);
    mem_free(cluster->oracle->applied);
    mem_free(cluster->oracle);
    cluster->oracle = NULL;
}

bool
sim_oracle_converged(struct sim_cluster *cluster)
{
    uint64_t applied = UINT64_MAX;
    bool has_leader = false;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        if (!sim_node_up(node) || !node->kv)
            return false;
        const struct replica *replica = kv_node_replica(node->kv);
        if (replica->phase != REPLICA_RUNNING)
            return false;
        if (applied != UINT64_MAX && applied != replica->applied_index)
            return false;
        applied = replica->applied_index;
        has_leader = has_leader || replica_leads(replica);
    }
    return has_leader;
}
