/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "skein/fiber.h"
#include "raft/raft.h"
#include "replica/link.h"
#include "replica/machine.h"

/*
 * One replicated state machine: raft + log + checkpoints + link + the user's machine.
 *
 *   replica_submit ----> proposals --+                        +--> log writer --> disk
 *   link messages -----> inbox ------+--> driver fiber: raft -+--> link --> peers
 *   ticks, durable writes -----------+                        +--> machine.apply --> waiters
 *
 * Data directory
 *   identity            cluster id, node, this disk's incarnation, first members
 *   LOCK                held while a process uses the directory
 *   wal/                the log (disk/wal.h)
 *   checkpoint-*.skc    the newest complete checkpoint (disk/checkpoint.h)
 *
 * Who is a member (docs/design/0005-membership-of-disks.md). A raft id names a *disk*, not a
 * machine: node number in the top 16 bits, below it the 48-bit incarnation drawn when the directory
 * was made. A new directory is *unborn*: it does not vote. When every configured node is seen
 * unborn the lowest-numbered one decides the first membership, durably, and the others adopt it. An
 * unborn node that meets members which know another incarnation of it has lost its disk: it asks to
 * be let in, the leader replaces the old incarnation by the new one through the log (remove, then
 * add), and a snapshot brings it up to date. So an emptied directory never votes with a memory it
 * has lost.
 */

/* raft ids */
static inline uint32_t
replica_raft_node(uint64_t raft_id)
{
    return (uint32_t)(raft_id >> 48);
}

#define REPLICA_DRIFT_PPM_MAX 100000u
#define REPLICA_GROUPS_MAX 4096u
#define REPLICA_RANK_MAX 4u

struct replica;

struct replica_options {
    const char *cluster_name; /* 1 to 64 bytes; a directory or peer of another name is refused */
    uint32_t node;            /* this node's number, in peers */
    const struct replica_peer *peers; /* every node of the cluster, this one included */
    uint32_t peer_count;              /* 1 to REPLICA_NODES_MAX */
    /* A data directory whose damage cannot be repaired (docs/design/0007-repair.md) is refused.
     * Else it is set aside when the cluster has other voters and one group, and the node comes back
     * with a new disk. */
    bool refuse_damaged;
    bool join; /* a new directory waits to be let in, and founds no cluster with others */
    const char *data_dir; /* created when absent; its parent must exist */
    /* 0: 1. Groups, each with a machine and a leader of its own, on one log and one link; fixed
     * when the directory is made, and the same on all nodes. At most REPLICA_GROUPS_MAX. */
    uint32_t group_count;
    struct replica_link *link; /* not started; the replica starts and stops (and so frees) it */
    const struct replica_machine_ops *machine_ops;
    void *machine_config;

    uint64_t tick_ns;        /* 50 ms; a heartbeat each tick, an election after 10 to 20 */
    uint32_t election_ticks; /* 10 */
    uint32_t quiesce_ticks;  /* 0: never; idle for so long, a group sleeps: no beats, no timer */
    uint64_t segment_bytes;  /* of the log; 64 MiB */
    uint64_t checkpoint_log_bytes; /* 64 MiB: take a checkpoint when the log has grown by this since
                                      the last */
    uint64_t scrub_period_ns;      /* log and checkpoint are read again once in so long; 0: never */
    uint64_t checkpoint_entries;   /* or by so many entries; 0: however many */
    uint64_t checkpoint_interval_ns; /* or is so old, and the log has grown at all; 0: never */
    uint32_t checkpoints_kept;       /* files, the newest among them; 0: 1 */
    uint64_t catchup_log_bytes; /* entries kept while a snapshot is sent to who needs them behind
                                   it; 256 MiB */
    uint64_t keep_log_bytes;    /* 16 MiB of entries kept behind a checkpoint for slow followers */
    uint64_t
        snapshot_chunk_bytes; /* of a checkpoint file in one message; 0, and at most: 256 KiB */
    uint64_t snapshot_bytes_per_second; /* sent by this node, backups included; 0: no limit */
    uint32_t snapshot_sends_max;        /* at once, by this node, to peers that answer; others
                                           wait; 0: 2 */
    uint64_t append_bytes_max;          /* of entries in one message to a follower; 0: 1 MiB */
    uint64_t pending_bytes_max; /* 64 MiB of requests waiting here; beyond it -SKEIN_EBUSY */
    uint64_t command_bytes_max; /* 16 MiB; a larger command is -SKEIN_ETOOBIG */
    /* Reads by lease: by how much, in millionths, the clocks of two members may differ in speed; at
     * most REPLICA_DRIFT_PPM_MAX. 0: none. tick_ns and election_ticks are then the same on every
     * member (docs/design/0018-sessions-and-reads.md). */
    uint32_t lease_drift_ppm;
    /* Of the voters that are up, the one of the lowest rank comes to lead
     * (docs/design/0024-leaders.md). At most REPLICA_RANK_MAX; the members may differ in it: that
     * is its use. */
    uint32_t election_rank;
};

/*
 * replica_open - lock and read the data directory, start the link and the fibers.
 * Returns as soon as the directory is read; the cluster may not have formed or elected yet.
 * @out_why: one line for a person on failure, with file, place and remedy.
 * **Ownership**: takes @options' link, and stops it when it fails; machine_ops stays in use.
 * **Returns** 0; -SKEIN_EINVALID: options out of range; -SKEIN_EBUSY: another process has the
 * directory; -SKEIN_EIDENTITY: it is another node's, cluster's or number of groups';
 * -SKEIN_EFORMAT: of a later version; -SKEIN_ECORRUPT: damaged; -errno. **Runs on** a fiber,
 * suspends.
 */
int replica_open(struct replica **out_replica, const struct replica_options *options,
                 char out_why[512]) SKEIN_MUST_CHECK;

/* replica_group - the replica of @group in the same process; NULL: there are not so many. The one
 * that replica_open gives is group 0's, and stands for all where the whole node is meant (stop,
 * failure). */
struct replica *replica_group(struct replica *any, uint32_t group);
uint32_t replica_group_count(const struct replica *any);

enum replica_kind {
    REPLICA_WRITE, /* goes through the log */
    REPLICA_READ   /* the machine's query; linearizable */
};

/*
 * replica_submit - carry out one command, on whichever node leads, and give its reply.
 * @command: a reference is taken. @out_reply: **Ownership**: bytes_unref.
 *
 * On a follower the command is handed to the leader once. Commands of one fiber are carried out in
 * its order (it waits for each); writes submitted by several fibers in one turn share log entries.
 *
 * **Returns** 0: carried out, @out_reply set;
 *   -SKEIN_ENOLEADER: no leader before the deadline, or leadership was lost and another entry took
 *     the place: not applied, will not be;
 *   -SKEIN_EUNKNOWN: a write was handed to the log or the leader and its outcome is not known
 *     (deadline, connection or leadership lost): may have been or may yet be applied; a read never
 *     gives this;
 *   -SKEIN_EBUSY: pending_bytes_max: not applied;
 *   -SKEIN_ETOOBIG: not applied; -SKEIN_ELATCHED: the disk of this node failed, not applied;
 *   -SKEIN_ECANCELED: the fiber was cancelled (a write's outcome is unknown);
 *   -SKEIN_ECLOSED: stopping, not applied.
 * **Runs on** the replica's shard, in a fiber, suspends.
 */
int replica_submit(struct replica *replica, enum replica_kind kind, struct bytes command,
                   uint64_t deadline_ns, struct bytes *out_reply) SKEIN_MUST_CHECK;

/* How fresh a read is, and what it costs (docs/design/0018-sessions-and-reads.md). */
enum replica_level {
    /* Sees every write that was answered before it began. Asks a majority, at the leader. */
    REPLICA_LINEARIZABLE,
    /* The same as long as clocks keep to lease_drift_ppm and no machine is halted without its
     * clock's knowing. Asks nobody; at the leader. */
    REPLICA_LEASE,
    /* As linearizable; the leader confirms, this node answers out of its own state. */
    REPLICA_FOLLOWER,
    /* This node answers: sees every write that was answered stale_ns before it began. Asks nobody
     * while this node has asked recently. Two such reads may go back in time by way of two nodes.
     */
    REPLICA_STALE
};
/* replica_level_name - "linearizable", "lease", "follower", "stale"; NULL outside the range. */
const char *replica_level_name(enum replica_level level);

/* replica_has_leases - REPLICA_LEASE is not refused. */
bool replica_has_leases(const struct replica *replica);

/*
 * replica_read - as replica_submit of a read, at @level. @stale_ns: for REPLICA_STALE.
 * **Returns** in addition -SKEIN_EREFUSED: REPLICA_LEASE without lease_drift_ppm; -SKEIN_ESTALE:
 * until the deadline this node could not show that its state is fresh enough.
 */
int replica_read(struct replica *replica, enum replica_level level, uint64_t stale_ns,
                 struct bytes command, uint64_t deadline_ns,
                 struct bytes *out_reply) SKEIN_MUST_CHECK;

/*
 * Sessions (replica/sessions.h; docs/design/0018-sessions-and-reads.md): a write that is carried
 * out once, however often it is submitted.
 *
 * replica_session_open - @ttl_ms: SESSIONS_TTL_MS_MIN to _MAX; of log time without use, after which
 * it is gone. **Returns** 0, and its number, which is hard to guess; -SKEIN_EBUSY: too many of
 * them; -SKEIN_EINVALID: @ttl_ms; as replica_submit. replica_session_close - it is not needed any
 * more. **Returns** 0, also when it is gone already.
 */
int replica_session_open(struct replica *replica, uint64_t ttl_ms, uint64_t deadline_ns,
                         uint64_t *out_session) SKEIN_MUST_CHECK;
int replica_session_close(struct replica *replica, uint64_t session,
                          uint64_t deadline_ns) SKEIN_MUST_CHECK;

/*
 * replica_submit_once - a write in @session. @sequence: 1 and up, the caller's; the same one again,
 * by way of any node, is the same write: it is not carried out again and has the same reply. At
 * most SESSIONS_WINDOW of them may be under way. As it can do no harm, it is handed on again until
 * the deadline.
 * **Returns** as replica_submit, and -SKEIN_ESESSION: no such session, or it expired: not carried
 * out by this call, and whether by an earlier one nobody knows any more; -SKEIN_EREPEATED: an
 * earlier call was carried out, or 32 higher sequences were, and the reply is not kept;
 * -SKEIN_EINVALID: a number out of range.
 */
int replica_submit_once(struct replica *replica, uint64_t session, uint64_t sequence,
                        struct bytes command, uint64_t deadline_ns,
                        struct bytes *out_reply) SKEIN_MUST_CHECK;

/*
 * The same in every group of @any's process, at the same time: one session for writes in any of
 * them. In each group it is a session of its own: what is not used there for @ttl_ms is gone there.
 * **Returns** in addition, of open: the first group's failure; in others it may be open then, until
 * its time is over.
 */
int replica_session_open_all(struct replica *any, uint64_t ttl_ms, uint64_t deadline_ns,
                             uint64_t *out_session) SKEIN_MUST_CHECK;
int replica_session_close_all(struct replica *any, uint64_t session,
                              uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* One of several commands that are submitted together, each for a group of its own choice. */
struct replica_call {
    struct replica *replica;
    enum replica_kind kind;
    enum replica_level level; /* of a read; REPLICA_LEASE only when replica_has_leases */
    uint64_t stale_ns;
    uint64_t session, sequence; /* of a write, as replica_submit_once; session 0: in none */
    struct bytes command;       /* borrowed for the call */
    int status;                 /* set: as replica_submit, _read and _submit_once return */
    struct bytes reply;         /* set when status is 0. **Ownership**: bytes_unref */
};
/*
 * replica_submit_all - several commands at once, and wait for all of them. They are carried out
 * beside each other: in different groups in any order, in one group in the order given.
 * **Runs on** the replicas' shard, in a fiber, suspends.
 */
void replica_submit_all(struct replica_call *calls, uint32_t count, uint64_t deadline_ns);

enum replica_phase {
    REPLICA_FORMING, /* unborn; waiting for the other nodes' first start */
    REPLICA_JOINING, /* a new disk; waiting to be let in */
    REPLICA_RUNNING,
    REPLICA_FAILED /* the log is latched: votes, acknowledges and serves nothing */
};
const char *replica_phase_name(enum replica_phase phase);

struct replica_status {
    enum replica_phase phase;
    uint8_t cluster_id[16];
    struct raft_status raft;
    uint32_t node;
    uint32_t leader_node;            /* 0: unknown */
    struct skein_addr leader_client; /* as it said; port 0: it did not */
    uint64_t log_time_ms;
    uint64_t checkpoint_index;
    uint64_t checkpoints_taken, snapshots_sent, snapshots_installed;
    uint64_t snapshot_bytes_sent;
    uint64_t scrubbed_bytes;    /* of checkpoint files, read again and checked */
    uint64_t scrub_findings;    /* checkpoint files found damaged */
    uint64_t snapshots_resumed; /* transfers that went on with what was here */
    bool repairing;             /* its log was damaged, and the peers are making it whole */
    uint64_t repairs;           /* damaged logs that the peers made whole again */
    uint64_t proposals, reads, forwarded;
    uint64_t lease_reads, stale_reads; /* that asked nobody */
    uint64_t forged_dropped;           /* messages whose claimed sender is not the link's */
    uint64_t undecodable_dropped;
    uint64_t inbox_dropped;  /* messages: more wait than the inbox may hold */
    uint64_t chunks_dropped; /* of snapshots: more came than is taken at a time */
    uint64_t log_writes, log_write_bytes;
    struct replica_link_stats link;
    char waiting_for[128]; /* phase FORMING: which nodes, for a person */
};
void replica_status(struct replica *replica, struct replica_status *out_status);

/* replica_advertise - where this node's clients connect: the others are told, and tell theirs. */
void replica_advertise(struct replica *replica, const struct skein_addr *client_addr);

/* replica_leads - this node leads and has applied an entry of its term. */
bool replica_leads(const struct replica *replica);
/* replica_log_time_ms - of the last applied entry. */
uint64_t replica_log_time_ms(const struct replica *replica);
/* replica_machine - the machine, to look at from its own shard (between calls; not to change). */
void *replica_machine(struct replica *replica);

/* replica_failure - 0, or why the replica stopped serving (phase FAILED); @out_why as in
 * replica_open. */
int replica_failure(const struct replica *replica, char out_why[512]);

/*
 * replica_stop - refuse new commands, wait for those under way, hand leadership over when leading
 * and answer what other nodes had handed on, stop everything, close the log. At @deadline_ns what
 * is left is cut off. Frees the replica; the scope given to open can be joined after.
 */
void replica_stop(struct replica *replica, uint64_t deadline_ns);

#endif
