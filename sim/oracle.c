/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/oracle.h"

#include <stdarg.h>
#include <stdio.h>

#define SAMPLE_NS (5 * SIM_MS)

void
oracle_violation(const struct oracle_view *view, const char *format, ...)
{
    char text[512], group[32] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (view->cluster->plan.group_count > 1)
        snprintf(group, sizeof(group), "group %u: ", view->group);
    sim_violation(view->cluster, SIM_SAFETY, "%s%s", group, text);
}

/*
 * A new disk is taken in when every node knows it as a member, in every group: before that there
 * may be majorities that are none without the old one (a configuration takes effect when it is
 * applied).
 */
static bool
has_joined(const struct sim_cluster *cluster, const struct sim_node *node, uint32_t group)
{
    const struct replica *replica = sim_node_group(node, group);
    if (replica->phase != REPLICA_RUNNING)
        return false;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        const struct sim_node *other = &cluster->nodes[i];
        const struct replica *others = sim_node_group(other, group);
        if (!others || other->exited ||
            !raft_config_is(&others->config, replica->host->raft_id, RAFT_VOTER))
            return false;
    }
    return true;
}

static void
note_joined(struct sim_cluster *cluster, struct sim_node *node)
{
    bool joined = node->replaced;
    for (uint32_t group = 0; group < cluster->plan.group_count && joined; group++)
        joined = has_joined(cluster, node, group);
    if (!joined)
        return;
    node->replaced = false;
    cluster->joins++;
}

static bool
loads(const struct replica *replica)
{
    struct raft_status status;
    raft_status(replica->raft, &status);
    return status.first_index > replica->applied_index + 1;
}

/* A log that was damaged is whole again. */
static void
note_repaired(struct sim_cluster *cluster, struct sim_node *node)
{
    uint64_t repairs = 0, last_index = 0;
    if (!node->damaged || sim_node_repairing(node))
        return;
    for (uint32_t group = 0; group < cluster->plan.group_count; group++) {
        const struct replica *replica = sim_node_group(node, group);
        if (!replica->raft || loads(replica))
            return;
        repairs += replica->counters.repairs;
        if (last_index < replica->promise.last_index)
            last_index = replica->promise.last_index;
    }
    if (repairs == 0)
        return;
    node->damaged = false;
    cluster->repairs++;
    sim_trace_text(&cluster->world.trace, node->host->number, "repaired", "last %" PRIu64,
                   last_index);
}

/* A new life: what was seen of the old one counts no more. */
static void
begin_life(struct sim_oracle *oracle, struct sim_node *node)
{
    uint32_t i = node->host->number - 1;
    if (node->last_boot == node->host->boot)
        return;
    node->last_boot = node->host->boot;
    oracle->forged[i] = 0;
    for (uint32_t group = 0; group < node->cluster->plan.group_count; group++) {
        struct oracle_group *known = &oracle->groups[group];
        known->checked[i] = known->matched[i] = known->matched_term[i] = known->log_time_ms[i] =
            known->state_terms[i] = 0;
    }
}

static void
note_reign(const struct oracle_view *view)
{
    struct reign *reign = &view->known->reigns[view->number - 1];
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
    uint64_t *known = &view->known->state_terms[view->number - 1];
    uint64_t state = view->status.hard_state.term << 3 | (uint64_t)view->status.role;
    if (*known == state)
        return;
    *known = state;
    struct sim_trace *trace = &view->cluster->world.trace;
    if (view->group > 0)
        sim_trace_event(trace, view->number, "group", view->group, (uint64_t)view->status.role,
                        view->status.hard_state.term);
    else
        sim_trace_event(trace, view->number, "state", (uint64_t)view->status.role,
                        view->status.hard_state.term, view->status.hard_state.commit);
}

static bool
may_look(const struct sim_node *node)
{
    return sim_node_up(node) && node->kv && !node->exited && !node->host->dying;
}

static void
look_at_group(struct sim_cluster *cluster, struct sim_node *node, uint32_t group)
{
    struct replica *replica = sim_node_group(node, group);
    if (!replica->raft || replica->phase == REPLICA_FAILED)
        return;
    struct oracle_view view;
    view.cluster = cluster;
    view.oracle = cluster->oracle;
    view.known = &cluster->oracle->groups[group];
    view.group = group;
    view.node = node;
    view.number = node->host->number;
    view.replica = replica;
    view.reign = (struct reign){0};
    raft_status(replica->raft, &view.status);
    view.loading = view.status.first_index > view.replica->applied_index + 1;
    const struct reign *reign = &view.known->reigns[view.number - 1];
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
    cluster->slept += raft_asleep(view.replica->raft);
}

static void
look_at(struct sim_cluster *cluster, struct sim_node *node)
{
    for (uint32_t group = 0; group < cluster->plan.group_count && may_look(node); group++)
        look_at_group(cluster, node, group);
    if (!may_look(node) || !kv_node_replica(node->kv)->raft ||
        kv_node_replica(node->kv)->phase == REPLICA_FAILED)
        return;
    note_repaired(cluster, node);
    note_joined(cluster, node);
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
    for (uint32_t group = 0; group < SIM_GROUPS_MAX; group++) {
        mem_free(cluster->oracle->groups[group].leaders);
        mem_free(cluster->oracle->groups[group].applied);
        mem_free(cluster->oracle->groups[group].before);
    }
    mem_free(cluster->oracle);
    cluster->oracle = NULL;
}

/* Who is to come to the same state; NULL: nobody leads. */
static const struct roster *
leaders_roster(struct sim_cluster *cluster, uint32_t group)
{
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct replica *replica = sim_node_group(&cluster->nodes[i], group);
        if (replica && replica_leads(replica))
            return members_roster(replica);
    }
    return NULL;
}

static bool
converged(struct sim_cluster *cluster, uint32_t group)
{
    uint64_t applied = UINT64_MAX;
    bool has_leader = false;
    const struct roster *roster = leaders_roster(cluster, group);
    if (!roster)
        return false;
    for (uint32_t i = 0; i < cluster->plan.node_count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        if (!roster_find(roster, node->host->number))
            continue;
        const struct replica *replica = sim_node_group(node, group);
        if (!replica || replica->phase != REPLICA_RUNNING)
            return false;
        if (applied != UINT64_MAX && applied != replica->applied_index)
            return false;
        applied = replica->applied_index;
        has_leader = has_leader || replica_leads(replica);
    }
    return has_leader;
}

bool
sim_oracle_converged(struct sim_cluster *cluster)
{
    bool all = sim_members_settled(cluster);
    for (uint32_t group = 0; group < cluster->plan.group_count && all; group++)
        all = converged(cluster, group);
    return all;
}
