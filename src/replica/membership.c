/* SPDX-License-Identifier: Apache-2.0 */
/* genesis.h driven: gossip, the durable steps of a birth, and letting new disks in. */
#include "skein/shard.h"
#include "obs/log.h"
#include "raft/confchange.h"
#include "replica/state.h"
#include "skein/error.h"

#include <inttypes.h>
#include <stdio.h>

#define GOSSIP_UNBORN_NS (100 * UINT64_C(1000000))
#define GOSSIP_JOINING_NS (500 * UINT64_C(1000000))

static void
tell(struct host *host, uint32_t node, bool join)
{
    struct genesis_message message;
    struct wire_writer out = {0};
    genesis_compose(&host->genesis, node, join, &message);
    wire_put_u8(&out, ENVELOPE_GENESIS);
    genesis_encode(&out, &message);
    inbox_send_writer(host, node, &out);
    wire_writer_deinit(&out);
}

static void
tell_all(struct host *host, bool join)
{
    for (uint32_t i = 0; i < host->peer_count; i++)
        if (!host->peers[i].gone)
            tell(host, host->peers[i].node, join);
}

/* Durable first: from then on this disk is what it says it is. */
static void
be_born(struct host *host, enum genesis_state state, const struct genesis_map *map)
{
    char why[512] = "";
    struct identity next = host->identity;
    next.state = state;
    next.map = *map;
    int rc = identity_write(host->data_dir, &next);
    if (rc < 0) {
        host_fail(host, rc, "%s/identity: cannot be written (%s)", host->data_dir,
                  skein_error_name(rc));
        return;
    }
    host->identity = next;
    genesis_born(&host->genesis, state, map);
    members_sync_peers(host);
    obs_log(OBS_INFO, "replica", "born", "node=%u as=%s members=%u", host->options.node,
            genesis_state_name(state), map->count);
    rc = recover_start(host, why);
    if (rc < 0)
        host_fail(host, rc, "%s", why);
}

void
membership_refresh(struct replica *replica)
{
    const struct host *host = replica->host;
    if (replica->phase == REPLICA_FAILED)
        return;
    members_note_removed(replica);
    enum replica_phase phase =
        raft_config_find(&replica->config, host->raft_id) >= 0 ? REPLICA_RUNNING : REPLICA_JOINING;
    if (phase == REPLICA_RUNNING && replica->phase == REPLICA_JOINING)
        obs_log(OBS_INFO, "replica", "let in", "node=%u", host->options.node);
    if (phase == REPLICA_JOINING && replica->phase == REPLICA_RUNNING && !replica->removed_ns)
        obs_log(OBS_WARN, "replica", "this disk was taken out of the cluster",
                "node=%u remedy=\"empty the data directory to join with a new one\"",
                host->options.node);
    replica->phase = phase;
}

/*
 * Where the log took this disk in is noted durably, so that one which was taken out again knows
 * that, and one which only has to catch up so far does not take itself for removed.
 */
static void
note_let_in(struct replica *replica)
{
    struct host *host = replica->host;
    struct identity next = host->identity;
    next.let_in_index = replica->applied_index;
    int rc = identity_write(host->data_dir, &next);
    if (rc < 0) /* the next process tries again */
        obs_log(OBS_WARN, "replica", "identity cannot be written", "node=%u error=%s",
                host->options.node, skein_error_name(rc));
    host->identity.let_in_index = next.let_in_index;
}

static bool
waits_for_a_group(const struct host *host)
{
    for (uint32_t i = 0; i < host->group_count; i++)
        if (host->groups[i]->phase == REPLICA_JOINING)
            return true;
    return false;
}

void
membership_turn(struct host *host, uint64_t now_ns)
{
    struct replica *replica = host->groups[0];
    if (genesis_may_decide(&host->genesis)) {
        uint8_t cluster[16];
        struct genesis_map map;
        skein_entropy(cluster, sizeof cluster);
        genesis_draw_map(&host->genesis, cluster, &map);
        be_born(host, GENESIS_MEMBER, &map);
        if (host->failure == 0)
            tell_all(host, false);
    }
    if (host->identity.state == GENESIS_JOINING && replica->phase == REPLICA_RUNNING &&
        !host->identity.let_in_index && replica->applied_index)
        note_let_in(replica);
    bool unborn = host->genesis.state == GENESIS_UNBORN;
    bool joining =
        host->genesis.state == GENESIS_JOINING && waits_for_a_group(host) && !replica->removed_ns;
    if (!unborn && !joining && !members_lonely(replica, now_ns)) {
        host->next_gossip_ns = SKEIN_NEVER;
        return;
    }
    if (host->next_gossip_ns != SKEIN_NEVER && now_ns < host->next_gossip_ns)
        return;
    host->next_gossip_ns = now_ns + (unborn ? GOSSIP_UNBORN_NS : GOSSIP_JOINING_NS);
    tell_all(host, joining);
}

/* The leader replaces a node's disk: the old one out, then the new one in, one change at a time. */
static void
let_in(struct replica *replica, uint64_t applicant)
{
    struct host *host = replica->host;
    if (!replica->raft || !replica_is_leader(replica) ||
        raft_config_find(&replica->config, applicant) >= 0 ||
        members_on_applicant(replica, applicant))
        return;
    int old = members_find(replica, replica_raft_node(applicant));
    struct raft_conf_change change = {
        .v1 = true, .changes = {{RAFT_CHANGE_ADD_VOTER, applicant}}, .change_count = 1};
    if (old >= 0)
        change.changes[0] = (struct raft_change){RAFT_CHANGE_REMOVE, replica->config.ids[old]};
    if (old >= 0 && replica->config.roles[old] == RAFT_LEARNER) {
        /* Both at once, or it would be forgotten in between what it was. */
        change.v1 = false;
        change.changes[change.change_count++] =
            (struct raft_change){RAFT_CHANGE_ADD_LEARNER, applicant};
    }
    uint64_t index, term;
    int rc = raft_propose_config(replica->raft, &change, &index, &term);
    replica_signal(replica);
    obs_log(OBS_INFO, "replica", old >= 0 ? "old disk out" : "new disk in",
            "node=%u of=%u result=%s", host->options.node, replica_raft_node(applicant),
            rc < 0 ? skein_error_name(rc) : "proposed");
}

void
membership_on_message(struct host *host, uint32_t from, struct bytes data)
{
    struct genesis_message message;
    struct genesis_outcome outcome;
    struct wire_reader in = wire_reader_of(data.data + 1, data.count - 1);
    if (genesis_decode(&in, &message) < 0) {
        host->counters.undecodable_dropped++;
        return;
    }
    genesis_step(&host->genesis, from, &message, skein_random(), &outcome);
    if (outcome.refused)
        obs_log(OBS_ERROR, "replica", "peer is configured differently",
                "node=%u from=%u why=\"its cluster name, its list of nodes or its number of groups "
                "is another one\"",
                host->options.node, from);
    if (outcome.adopt)
        be_born(host, GENESIS_MEMBER, &outcome.map);
    else if (outcome.join)
        be_born(host, GENESIS_JOINING, &outcome.map);
    if (host->failure < 0)
        return;
    if (outcome.reply)
        tell(host, from, false);
    for (uint32_t i = 0; outcome.applicant && i < host->group_count; i++)
        let_in(host->groups[i], outcome.applicant);
    if (genesis_may_decide(&host->genesis) || outcome.join)
        driver_signal(host);
}
