/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/state.h"
#include "skein/metrics.h"
#include "skein/shard.h"

/* What a row shows of all groups: their sum. */
static int64_t
sum(const struct host *host, int64_t (*of)(const struct replica *replica))
{
    int64_t total = 0;
    for (uint32_t i = 0; i < host->group_count; i++)
        total += of(host->groups[i]);
    return total;
}

static struct raft_figures
figures_of(const struct replica *replica)
{
    return replica->raft ? raft_figures(replica->raft) : (struct raft_figures){0};
}

static struct sessions_stats
session_stats_of(const struct replica *replica)
{
    struct sessions_stats stats;
    sessions_stats(replica->sessions, &stats);
    return stats;
}

#define SUM_READER(NAME, EXPRESSION)                  \
    static int64_t NAME##_of(const struct replica *r) \
    {                                                 \
        return (int64_t)(EXPRESSION);                 \
    }                                                 \
    static int64_t read_##NAME(const void *object)    \
    {                                                 \
        return sum(object, NAME##_of);                \
    }

SUM_READER(leads, replica_leads(r))
SUM_READER(commit, figures_of(r).commit)
SUM_READER(last, figures_of(r).last_index)
SUM_READER(applied, r->applied_index)
SUM_READER(log_bytes, figures_of(r).log_bytes)
SUM_READER(senseless, figures_of(r).dropped)
SUM_READER(leader_changes, r->leader_changes)
SUM_READER(entries_applied, r->entries_applied)
SUM_READER(proposals, r->counters.proposals)
SUM_READER(reads, r->counters.reads)
SUM_READER(lease_reads, r->counters.lease_reads)
SUM_READER(stale_reads, r->counters.stale_reads)
SUM_READER(sessions, session_stats_of(r).count)
SUM_READER(session_reply_bytes, session_stats_of(r).reply_bytes)
SUM_READER(sessions_expired, session_stats_of(r).expired)
SUM_READER(forwarded, r->counters.forwarded)
SUM_READER(checkpoints, r->counters.checkpoints_taken)
SUM_READER(checkpoint_failures, r->checkpoint_failures)
SUM_READER(checkpoint_failing, r->checkpoint_failure < 0)
SUM_READER(snapshots_sent, r->counters.snapshots_sent)
SUM_READER(snapshots_installed, r->counters.snapshots_installed)
SUM_READER(scrubbed_bytes, r->counters.scrubbed_bytes)
SUM_READER(scrub_findings, r->counters.scrub_findings)
SUM_READER(snapshots_resumed, r->counters.snapshots_resumed)

static int64_t
read_phase_failed(const void *object)
{
    return ((const struct host *)object)->failure < 0;
}

static int64_t
read_term(const void *object)
{
    const struct host *host = object;
    uint64_t highest = 0;
    for (uint32_t i = 0; i < host->group_count; i++)
        if (host->groups[i]->raft && raft_term(host->groups[i]->raft) > highest)
            highest = raft_term(host->groups[i]->raft);
    return (int64_t)highest;
}

static int64_t
read_members(const void *object)
{
    return ((const struct host *)object)->groups[0]->config.count;
}

static struct replica_link_stats
link_of(const void *object)
{
    const struct host *host = object;
    struct replica_link_stats stats = {0};
    host->link->ops->stats(host->link, &stats);
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
LINK_READER(welcomed_older)

static const struct skein_metric rows[] = {
    {"skein_replica_leads", "1: this node leads and serves.", SKEIN_GAUGE, .read = read_leads},
    {"skein_replica_failed", "1: the disk failed, nothing is served.", SKEIN_GAUGE,
     .read = read_phase_failed},
    {"skein_replica_term", "Raft's term.", SKEIN_GAUGE, .read = read_term,
     .merge = SKEIN_MERGE_MAX},
    {"skein_replica_members", "Members of the group, as this node knows them.", SKEIN_GAUGE,
     .read = read_members, .merge = SKEIN_MERGE_MAX},
    {"skein_replica_leader_changes_total", "Changes of leader or role this node saw.",
     SKEIN_COUNTER, .read = read_leader_changes},
    {"skein_replica_entries_applied_total", "Log entries applied since the start.", SKEIN_COUNTER,
     .read = read_entries_applied},
    {"skein_replica_commit_index", "The last committed entry.", SKEIN_GAUGE, .read = read_commit},
    {"skein_replica_applied_index", "The last applied entry.", SKEIN_GAUGE, .read = read_applied},
    {"skein_replica_last_index", "The last entry of the log.", SKEIN_GAUGE, .read = read_last},
    {"skein_replica_log_memory_bytes", "Payload of the entries kept in memory.", SKEIN_GAUGE,
     .read = read_log_bytes},
    {"skein_replica_pending_bytes", "Requests that wait here.", SKEIN_GAUGE,
     SKEIN_FIELD(struct host, pending_bytes)},
    {"skein_replica_proposals_total", "Entries proposed here.", SKEIN_COUNTER,
     .read = read_proposals},
    {"skein_replica_reads_total", "Linearizable reads answered by this leader.", SKEIN_COUNTER,
     .read = read_reads},
    {"skein_replica_lease_reads_total", "Reads answered by the leader's lease, asking nobody.",
     SKEIN_COUNTER, .read = read_lease_reads},
    {"skein_replica_stale_reads_total", "Reads with a bound on their age, asking nobody.",
     SKEIN_COUNTER, .read = read_stale_reads},
    {"skein_replica_sessions", "Client sessions that are open.", SKEIN_GAUGE,
     .read = read_sessions},
    {"skein_replica_session_reply_bytes", "Replies kept for commands that may come again.",
     SKEIN_GAUGE, .read = read_session_reply_bytes},
    {"skein_replica_sessions_expired_total", "Client sessions ended because nobody used them.",
     SKEIN_COUNTER, .read = read_sessions_expired},
    {"skein_replica_forwarded_total", "Requests handed to the leader.", SKEIN_COUNTER,
     .read = read_forwarded},
    {"skein_replica_checkpoints_total", "Checkpoints written.", SKEIN_COUNTER,
     .read = read_checkpoints},
    {"skein_replica_checkpoint_failures_total", "Checkpoints that could not be written.",
     SKEIN_COUNTER, .read = read_checkpoint_failures},
    {"skein_replica_checkpoint_failing",
     "Groups whose last checkpoint failed: their log is not cut.", SKEIN_GAUGE,
     .read = read_checkpoint_failing},
    {"skein_replica_scrubbed_bytes_total", "Bytes of checkpoints that were read again and checked.",
     SKEIN_COUNTER, .read = read_scrubbed_bytes},
    {"skein_replica_scrub_findings_total", "Checkpoints that this found damaged.", SKEIN_COUNTER,
     .read = read_scrub_findings},
    {"skein_replica_snapshots_sent_total", "Snapshots sent to other nodes.", SKEIN_COUNTER,
     .read = read_snapshots_sent},
    {"skein_replica_snapshots_installed_total", "Snapshots taken over from other nodes.",
     SKEIN_COUNTER, .read = read_snapshots_installed},
    {"skein_replica_snapshot_sent_bytes_total",
     "Bytes of snapshots and backups that left this node.", SKEIN_COUNTER,
     SKEIN_FIELD(struct host, counters.snapshot_bytes_sent)},
    {"skein_replica_snapshots_resumed_total",
     "Snapshots whose transfer went on with what was here.", SKEIN_COUNTER,
     .read = read_snapshots_resumed},
    {"skein_link_sent_total", "Messages sent to peers.", SKEIN_COUNTER, .read = read_sent},
    {"skein_link_received_total", "Messages received from peers.", SKEIN_COUNTER,
     .read = read_received},
    {"skein_link_sent_bytes_total", "Bytes sent to peers.", SKEIN_COUNTER, .read = read_sent_bytes},
    {"skein_link_received_bytes_total", "Bytes received from peers.", SKEIN_COUNTER,
     .read = read_received_bytes},
    {"skein_link_refused_total", "Handshakes and frames that broke the peers' protocol.",
     SKEIN_COUNTER, .read = read_refused},
    {"skein_link_welcomed_older_total",
     "Connections accepted from nodes that speak an older version of the protocol.", SKEIN_COUNTER,
     .read = read_welcomed_older},
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
    DROP("forged", SKEIN_FIELD(struct host, counters.forged_dropped)),
    DROP("undecodable", SKEIN_FIELD(struct host, counters.undecodable_dropped)),
    DROP("inbox_full", SKEIN_FIELD(struct host, counters.inbox_dropped)),
    DROP("snapshot_busy", SKEIN_FIELD(struct host, counters.chunks_dropped)),
    DROP("senseless", .read = read_senseless),
#undef DROP
};

void
host_metrics_open(struct host *host)
{
    struct skein_metrics *metrics = skein_shard_metrics();
    /* A registry that is full has counted it: nothing else is lost. */
    (void)!skein_metrics_add(metrics, host, rows, BASE_COUNT_OF(rows), NULL, 0);
    for (size_t i = 0; i < BASE_COUNT_OF(drops); i++) {
        struct skein_label label = {"reason", drops[i].reason};
        (void)!skein_metrics_add(metrics, host, &drops[i].row, 1, &label, 1);
    }
}

void
host_metrics_close(struct host *host)
{
    skein_metrics_remove(skein_shard_metrics(), host);
}
