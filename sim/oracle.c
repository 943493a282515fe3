/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#define SAMPLE_NS (5 * SIM_MS)

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
        if (!raft_config_is(config, replica->host->raft_id, RAFT_VOTER))
            return;
    }
    node->replaced = false;
    cluster->joins++;
}

/* A log that was damaged is whole again. */
static void
note_repaired(struct sim_cluster *cluster, struct sim_node *node, const struct replica *replica)
{
    if (!node->damaged || replica->counters.repairs == 0 || replica->repairing)
        return;
    node->damaged = false;
    cluster->repairs++;
    sim_trace_text(&cluster->world.trace, node->host->number, "repaired", "last %" PRIu64,
                   replica->promise.last_index);
}

/* A new life: what was seen of the old one counts no more. */
static void
begin_life(struct sim_oracle *oracle, struct sim_node *node)
{
    uint32_t i = node->host->number - 1;
    if (node->last_boot == node->host->boot)
        return;
    node->last_boot = node->host->boot;
    node->last_log_time_ms = 0;
    oracle->checked[i] = oracle->forged[i] = oracle->matched[i] = oracle->matched_term[i] =
        oracle->state_terms[i] = 0;
}

static void
note_reign(const struct oracle_view *view)
{
    struct reign *reign = &view->oracle->reigns[view->number - 1];
    *reign = (struct reign){0};
    if (view->status.role == RAFT_LEADER)
        *reign = (struct reign){.boot = view->node->host->boot,
                                .term = view->status.hard_state.term,
                                .commit = view->status.hard_state.commit,
                                .last_index = view->status.last_index,
                                .last_term =
                                    raft_entry_term(view->replica->raft, view->status.last_index)};
}

/* For whoever reads the trace, and for the page that draws it. */
static void
trace_state(const struct oracle_view *view)
{
    uint64_t *known = &view->oracle->state_terms[view->number - 1];
    uint64_t state = view->status.hard_state.term << 3 | (uint64_t)view->status.role;
    if (*known == state)
        return;
    *known = state;
    sim_trace_event(&view->cluster->world.trace, view->number, "state", (uint64_t)view->status.role,
                    view->status.hard_state.term, view->status.hard_state.commit);
}

static void
look_at(struct sim_cluster *cluster, struct sim_node *node)
{
    if (!sim_node_up(node) || !node->kv || node->exited || node->host->dying)
        return;
    struct oracle_view view = {.cluster = cluster,
                               .oracle = cluster->oracle,
                               .node = node,
                               .number = node->host->number,
                               .replica = kv_node_replica(node->kv)};
    if (!view.replica->raft || view.replica->phase == REPLICA_FAILED)
        return;
    raft_status(view.replica->raft, &view.status);
    view.loading = view.status.first_index > view.replica->applied_index + 1;
    const struct reign *reign = &cluster->oracle->reigns[view.number - 1];
    if (reign->boot == node->host->boot && reign->term == view.status.hard_state.term)
        view.reign = *reign;
    begin_life(cluster->oracle, node);
    oracle_election(&view);
    oracle_append_only(&view);
    oracle_log_matching(&view);
    oracle_completeness(&view);
    oracle_commit(&view);
    oracle_state_machine(&view);
    oracle_durability(&view);
    oracle_state(&view);
    oracle_forgery(&view);
    note_reign(&view);
    trace_state(&view);
    if (!view.loading)
        note_repaired(cluster, node, view.replica);
    note_joined(cluster, node, view.replica);
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

void
sim_oracle_start(struct sim_cluster *cluster)
{
    cluster->oracle = mem_zalloc(sizeof(*cluster->oracle));
    cluster->links.on_forged = oracle_forgery_note;
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
    mem_free(cluster->oracle->before);
    mem_free(cluster->oracle);
    cluster->oracle = NULL;
}

/* Who is to come to the same state; NULL: nobody leads. */
static const struct roster *
leaders_roster(struct sim_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        if (sim_node_up(node) && node->kv && replica_leads(kv_node_replica(node->kv)))
            return members_roster(kv_node_replica(node->kv));
    }
    return NULL;
}

bool
sim_oracle_converged(struct sim_cluster *cluster)
{
    uint64_t applied = UINT64_MAX;
    bool has_leader = false;
    const struct roster *roster = leaders_roster(cluster);
    if (!roster || !sim_members_settled(cluster))
        return false;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        if (!roster_find(roster, node->host->number))
            continue;
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
