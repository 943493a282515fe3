/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/state.h"
#include "skein/metrics.h"
#include "skein/shard.h"

static struct raft_status
status_of(const void *object)
{
    const struct replica *replica = object;
    struct raft_status status = {0};
    if (replica->raft)
        raft_status(replica->raft, &status);
    return status;
}

static int64_t
read_leads(const void *object)
{
    return replica_leads(object);
}

static int64_t
read_phase_failed(const void *object)
{
    return ((const struct replica *)object)->phase == REPLICA_FAILED;
}

static int64_t
read_term(const void *object)
{
    const struct replica *replica = object;
    return replica->raft ? (int64_t)raft_term(replica->raft) : 0;
}

static int64_t
read_commit(const void *object)
{
    return (int64_t)status_of(object).hard_state.commit;
}

static int64_t
read_last(const void *object)
{
    return (int64_t)status_of(object).last_index;
}

static int64_t
read_log_bytes(const void *object)
{
    return (int64_t)status_of(object).log_bytes;
}

static int64_t
read_members(const void *object)
{
    return status_of(object).config.count;
}

static int64_t
read_senseless(const void *object)
{
    return (int64_t)status_of(object).dropped;
}

static struct replica_link_stats
link_of(const void *object)
{
    const struct replica *replica = object;
    struct replica_link_stats stats = {0};
    replica->link->ops->stats(replica->link, &stats);
    return stats;
}

#define LINK_READER(FIELD)                          \
    static int64_t read_##FIELD(const void *object) \
    {                                               \
        return (int64_t)link_of(object).FIELD;      \
    }

LINK_READER(sent)
LINK_READER(received)
LINK_READER(sent_bytes)
LINK_READER(received_bytes)
LINK_READER(dropped_queue_full)
LINK_READER(dropped_unconnected)
LINK_READER(refused)

static const struct skein_metric rows[] = {
    {"skein_replica_leads", "1: this node leads and serves.", SKEIN_GAUGE, .read = read_leads},
    {"skein_replica_failed", "1: the disk failed, nothing is served.", SKEIN_GAUGE,
     .read = read_phase_failed},
    {"skein_replica_term", "Raft's term.", SKEIN_GAUGE, .read = read_term,
     .merge = SKEIN_MERGE_MAX},
    {"skein_replica_members", "Members of the group, as this node knows them.", SKEIN_GAUGE,
     .read = read_members, .merge = SKEIN_MERGE_MAX},
    {"skein_replica_leader_changes_total", "Changes of leader or role this node saw.",
     SKEIN_COUNTER, SKEIN_FIELD(struct replica, leader_changes)},
    {"skein_replica_entries_applied_total", "Log entries applied since the start.", SKEIN_COUNTER,
     SKEIN_FIELD(struct replica, entries_applied)},
    {"skein_replica_commit_index", "The last committed entry.", SKEIN_GAUGE, .read = read_commit},
    {"skein_replica_applied_index", "The last applied entry.", SKEIN_GAUGE,
     SKEIN_FIELD(struct replica, applied_index)},
    {"skein_replica_last_index", "The last entry of the log.", SKEIN_GAUGE, .read = read_last},
    {"skein_replica_log_memory_bytes", "Payload of the entries kept in memory.", SKEIN_GAUGE,
     .read = read_log_bytes},
    {"skein_replica_pending_bytes", "Requests that wait here.", SKEIN_GAUGE,
     SKEIN_FIELD(struct replica, pending_bytes)},
    {"skein_replica_proposals_total", "Entries proposed here.", SKEIN_COUNTER,
     SKEIN_FIELD(struct replica, counters.proposals)},
    {"skein_replica_reads_total", "Linearizable reads answered by this leader.", SKEIN_COUNTER,
     SKEIN_FIELD(struct replica, counters.reads)},
    {"skein_replica_forwarded_total", "Requests handed to the leader.", SKEIN_COUNTER,
     SKEIN_FIELD(struct replica, counters.forwarded)},
    {"skein_replica_checkpoints_total", "Checkpoints written.", SKEIN_COUNTER,
     SKEIN_FIELD(struct replica, counters.checkpoints_taken)},
    {"skein_replica_snapshots_sent_total", "Snapshots sent to other nodes.", SKEIN_COUNTER,
     SKEIN_FIELD(struct replica, counters.snapshots_sent)},
    {"skein_replica_snapshots_installed_total", "Snapshots taken over from other nodes.",
     SKEIN_COUNTER, SKEIN_FIELD(struct replica, counters.snapshots_installed)},
    {"skein_link_sent_total", "Messages sent to peers.", SKEIN_COUNTER, .read = read_sent},
    {"skein_link_received_total", "Messages received from peers.", SKEIN_COUNTER,
     .read = read_received},
    {"skein_link_sent_bytes_total", "Bytes sent to peers.", SKEIN_COUNTER, .read = read_sent_bytes},
    {"skein_link_received_bytes_total", "Bytes received from peers.", SKEIN_COUNTER,
     .read = read_received_bytes},
    {"skein_link_refused_total", "Handshakes and frames that broke the peers' protocol.",
     SKEIN_COUNTER, .read = read_refused},
};

/* Everything that is thrown away, under a reason. */
static const struct {
    const char *reason;
    struct skein_metric row;
} drops[] = {
#define DROP(REASON, ...)                                                                          \
    {                                                                                              \
        REASON,                                                                                    \
        {                                                                                          \
            "skein_link_dropped_total", "Messages dropped, by reason.", SKEIN_COUNTER, __VA_ARGS__ \
        }                                                                                          \
    }
    DROP("queue_full", .read = read_dropped_queue_full),
    DROP("unconnected", .read = read_dropped_unconnected),
    DROP("forged", SKEIN_FIELD(struct replica, counters.forged_dropped)),
    DROP("undecodable", SKEIN_FIELD(struct replica, counters.undecodable_dropped)),
    DROP("senseless", .read = read_senseless),
#undef DROP
};

void
replica_metrics_open(struct replica *replica)
{
    struct skein_metrics *metrics = skein_shard_metrics();
    /* A registry that is full has counted it: nothing else is lost. */
    (void)!skein_metrics_add(metrics, replica, rows, BASE_COUNT_OF(rows), NULL, 0);
    for (size_t i = 0; i < BASE_COUNT_OF(drops); i++) {
        struct skein_label label = {"reason", drops[i].reason};
        (void)!skein_metrics_add(metrics, replica, &drops[i].row, 1, &label, 1);
    }
}

void
replica_metrics_close(struct replica *replica)
{
    skein_metrics_remove(skein_shard_metrics(), replica);
}
