/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "replica/card.h"
#include "replica/state.h"

#include <stdio.h>
#include <string.h>

const char *
replica_phase_name(enum replica_phase phase)
{
    switch (phase) {
    case REPLICA_FORMING:
        return "forming";
    case REPLICA_JOINING:
        return "joining";
    case REPLICA_RUNNING:
        return "running";
    case REPLICA_FAILED:
        return "failed";
    }
    return "?";
}

const char *
replica_level_name(enum replica_level level)
{
    switch (level) {
    case REPLICA_LINEARIZABLE:
        return "linearizable";
    case REPLICA_LEASE:
        return "lease";
    case REPLICA_FOLLOWER:
        return "follower";
    case REPLICA_STALE:
        return "stale";
    }
    return NULL;
}

void
replica_status(struct replica *replica, struct replica_status *out_status)
{
    skein_assert(replica->host->magic == REPLICA_MAGIC);
    *out_status = replica->counters;
    out_status->forged_dropped = replica->host->counters.forged_dropped;
    out_status->undecodable_dropped = replica->host->counters.undecodable_dropped;
    out_status->inbox_dropped = replica->host->counters.inbox_dropped;
    out_status->snapshot_bytes_sent = replica->host->counters.snapshot_bytes_sent;
    out_status->chunks_dropped = replica->host->counters.chunks_dropped;
    out_status->phase = replica->phase;
    out_status->repairing = replica->repairing;
    out_status->node = replica->host->options.node;
    memcpy(out_status->cluster_id, replica->host->identity.map.cluster, 16);
    out_status->log_time_ms = replica->log_time_ms;
    out_status->checkpoint_index = replica->checkpoint_index;
    if (replica->raft) {
        raft_status(replica->raft, &out_status->raft);
        out_status->leader_node = replica_raft_node(out_status->raft.leader);
        out_status->leader_client = card_client(replica->host, out_status->leader_node);
    }
    if (replica->host->wal) {
        struct wal_stats stats;
        wal_stats(replica->host->wal, &stats);
        out_status->log_writes = stats.writes;
        out_status->log_write_bytes = stats.write_bytes;
    }
    replica->host->link->ops->stats(replica->host->link, &out_status->link);
    if (replica->phase == REPLICA_FORMING)
        genesis_waiting_for(&replica->host->genesis, out_status->waiting_for,
                            sizeof out_status->waiting_for);
}

struct replica *
replica_group(struct replica *any, uint32_t group)
{
    return host_group(any->host, group);
}

uint32_t
replica_group_count(const struct replica *any)
{
    return any->host->group_count;
}

bool
replica_leads(const struct replica *replica)
{
    return replica->phase == REPLICA_RUNNING && replica_is_leader(replica) &&
           replica->applied_term == raft_term(replica->raft);
}

bool
replica_has_leases(const struct replica *replica)
{
    return replica->host->options.lease_drift_ppm != 0;
}

uint64_t
replica_log_time_ms(const struct replica *replica)
{
    return replica->log_time_ms;
}

void *
replica_machine(struct replica *replica)
{
    return replica->machine;
}

int
replica_failure(const struct replica *replica, char out_why[512])
{
    if (replica->host->failure < 0)
        memcpy(out_why, replica->host->why, 512);
    return replica->host->failure;
}
