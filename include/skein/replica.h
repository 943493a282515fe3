/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_REPLICA_H
#define SKEIN_REPLICA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A state machine of yours, replicated: Raft, a log on a real disk, checkpoints, and links between
 * the nodes. You write six callbacks; every node that runs them ends in the same state.
 *
 *     skein_replica_write ----> log on a majority of disks ----> apply, on every node, in one order
 *     skein_replica_read  ----> the leader confirms that it leads --> query, there
 *
 * Writes are linearizable and durable on a majority when they are answered; reads see every write
 * that was answered before they began. Any node takes both: a follower hands them to the leader.
 *
 * The machine is deterministic: the same commands in the same order give the same state and the
 * same replies everywhere. So no clock (log time comes with each command), no randomness, no
 * addresses, nothing of the node it runs on. Its calls are made on one shard, one at a time; only
 * snapshot_save and snapshot_load may suspend.
 *
 * A node is opened in a fiber of a shard (skein/runtime.h, or skein/sim.h: the same node in the
 * simulator). Example: examples/07_counter.c; guide: docs/guide.md.
 */

struct skein_command {
    uint64_t index;   /* of the log entry; several commands may share one */
    uint64_t time_ms; /* log time: milliseconds since 1970, never going back */
    const void *data; /* borrowed for the call */
    size_t count;
};

/* Where a callback puts its reply. */
struct skein_reply;
/* skein_reply_put - append @count bytes. NULL @reply: nobody waits here, nothing happens. */
void skein_reply_put(struct skein_reply *reply, const void *data, size_t count);

/* Where snapshot_save puts its bytes and snapshot_load gets them; both may suspend. */
struct skein_sink;
struct skein_source;
/* skein_sink_put - **Returns** 0, or a negative code, to be given back by snapshot_save. */
int skein_sink_put(struct skein_sink *sink, const void *data, size_t count) SKEIN_MUST_CHECK;
/* skein_source_get - exactly @count bytes. **Returns** 0; -SKEIN_EEOF: none left;
 * -SKEIN_ECORRUPT: damaged; to be given back by snapshot_load. */
int skein_source_get(struct skein_source *source, void *data, size_t count) SKEIN_MUST_CHECK;

struct skein_machine_ops {
    const char *name;
    /* open - an empty machine. @config: skein_replica_options.machine_config. 0 or negative. */
    int (*open)(void **out_machine, void *config);
    /* apply - one committed command. What cannot be carried out is answered in @reply (NULL where
     * nobody waits); apply itself does not fail. */
    void (*apply)(void *machine, const struct skein_command *command, struct skein_reply *reply);
    /* query - a read; changes nothing. */
    void (*query)(void *machine, const struct skein_command *command, struct skein_reply *reply);
    /* snapshot_save - the state as it is at the call: captured before the first put, which may
     * suspend while further commands are applied. */
    int (*snapshot_save)(void *machine, struct skein_sink *sink);
    /* snapshot_load - replace the whole state; on failure the machine is empty. */
    int (*snapshot_load)(void *machine, struct skein_source *source);
    void (*close)(void *machine);
};

/* At most this many nodes. */
#define SKEIN_REPLICA_NODES_MAX 15
#define SKEIN_REPLICA_WHY_BYTES 512

struct skein_replica_options {
    const char *cluster_name; /* 1 to 64 bytes; directories and peers of another name are refused */
    uint32_t node;            /* this node's number */
    /* Every node of the cluster, this one included: "1=127.0.0.1:7101,2=127.0.0.1:7102". Plain TCP:
     * for loopback and networks where nobody else can connect. */
    const char *peers;
    const char *data_dir; /* created when absent; its parent exists */
    const struct skein_machine_ops *machine;
    void *machine_config;
    uint64_t tick_ns;                /* 0: 50 ms; a heartbeat each tick */
    uint32_t election_ticks;         /* 0: 10; an election after 10 to 20 ticks without a leader */
    uint64_t segment_bytes;          /* 0: 64 MiB; of the log */
    uint64_t checkpoint_log_bytes;   /* 0: 64 MiB; a checkpoint when the log has grown by that */
    uint64_t checkpoint_entries;     /* or by so many entries; 0: however many */
    uint64_t checkpoint_interval_ns; /* or the last is so old and the log has grown; 0: never */
    uint32_t checkpoints_kept;       /* files; 0: 1 */
    uint32_t snapshot_sends_max;     /* to other nodes at a time; 0: 2 */
    uint64_t snapshot_bytes_per_second; /* sent by this node; 0: no limit */
    uint64_t catchup_log_bytes;         /* 0: 256 MiB; kept for who is being sent a snapshot */
    uint64_t keep_log_bytes;            /* 0: 16 MiB; kept behind a checkpoint for slow followers */
    uint64_t pending_bytes_max;         /* 0: 64 MiB of commands that wait here */
    uint64_t command_bytes_max;         /* 0: 16 MiB; at most 32 MiB */
    /* For SKEIN_READ_LEASE: by how much, in millionths, the clocks of two nodes may differ in
     * speed; at most 100,000. 0: no leases. Then tick_ns and election_ticks are the same on every
     * node. */
    uint32_t lease_drift_ppm;
    /* 0: 1. So many groups, each with a machine, a leader and an order of its own, on one log and
     * one link (skein_replica_group). Fixed when the directory is made, the same on all nodes; at
     * most 4096. What is allowed above is for all of them together. */
    uint32_t group_count;
    /* 0: never. Ticks without anything to do until a group sleeps: it costs nothing then, and a
     * dead node is noticed by the others' host, an election timeout later than awake. */
    uint32_t quiesce_ticks;
};

struct skein_replica;

/*
 * skein_replica_open - lock and read the data directory, listen for the peers, begin. Returns as
 * soon as the directory is read; there may be no leader yet.
 * @options: borrowed for the call, but machine and machine_config, until stop.
 * @out_why: on failure one line for a person, with file, place and remedy.
 * **Returns** 0; -SKEIN_EINVALID: an option (peers, numbers); -SKEIN_EBUSY: another process has the
 * directory; -SKEIN_EIDENTITY: it is another cluster's or node's; -SKEIN_EFORMAT; -SKEIN_ECORRUPT:
 * damaged beyond what peers can repair; -errno. **Runs on** a fiber, suspends.
 */
int skein_replica_open(struct skein_replica **out_replica,
                       const struct skein_replica_options *options,
                       char out_why[SKEIN_REPLICA_WHY_BYTES]) SKEIN_MUST_CHECK;

/*
 * skein_replica_group - the group of this number, 0 to group_count - 1, in the same node; NULL:
 * there are not so many. @replica itself is group 0. For all calls but stop, which is @replica's
 * and ends all; the handle is good until then. Nothing is ordered between two groups.
 */
struct skein_replica *skein_replica_group(struct skein_replica *replica, uint32_t group);

/*
 * skein_replica_write, skein_replica_read - carry out one command on whichever node leads.
 * @reply: what the machine replied; @capacity bytes of room.
 * **Returns** the reply's length (more than @capacity: the rest is cut off; a write is done);
 *   -SKEIN_ENOLEADER: no leader before the deadline, or another took its place: not applied;
 *   -SKEIN_EUNKNOWN: writes only: may have been or may yet be applied;
 *   -SKEIN_EBUSY: pending_bytes_max, not applied; -SKEIN_ETOOBIG: command_bytes_max, not applied;
 *   -SKEIN_ELATCHED: the disk of this node failed, not applied; -SKEIN_ECLOSED: stopping;
 *   -SKEIN_ECANCELED: the fiber was cancelled (a write's outcome is unknown).
 * **Runs on** the replica's shard, in a fiber, suspends.
 */
ssize_t skein_replica_write(struct skein_replica *replica, const void *command, size_t count,
                            void *reply, size_t capacity, uint64_t deadline_ns) SKEIN_MUST_CHECK;
ssize_t skein_replica_read(struct skein_replica *replica, const void *command, size_t count,
                           void *reply, size_t capacity, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* How fresh a read is (docs/guide.md, "Reads"). */
enum skein_read_level {
    SKEIN_READ_LINEARIZABLE, /* as skein_replica_read */
    SKEIN_READ_LEASE,        /* the same, without asking the other nodes, as long as clocks keep
                                to lease_drift_ppm and none stands still with its machine */
    SKEIN_READ_FOLLOWER,     /* as linearizable; this node answers, the leader only confirms */
    SKEIN_READ_STALE         /* this node answers: sees what was answered stale_ns before */
};
/*
 * skein_replica_read_at - as skein_replica_read, at @level. @stale_ns: for SKEIN_READ_STALE.
 * **Returns** in addition -SKEIN_EREFUSED: SKEIN_READ_LEASE without lease_drift_ppm; -SKEIN_ESTALE:
 * until the deadline this node could not show that its state is fresh enough; -SKEIN_EINVALID: no
 * such level.
 */
ssize_t skein_replica_read_at(struct skein_replica *replica, enum skein_read_level level,
                              uint64_t stale_ns, const void *command, size_t count, void *reply,
                              size_t capacity, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/*
 * Sessions: a write that is carried out once, however often it is sent (docs/guide.md, "Exactly
 * once"). The session is a part of the replicated state: every node knows it, it outlives leaders
 * and restarts, and it travels with snapshots.
 *
 *     skein_session_open ---> session
 *     skein_session_write (session, 1, ...) ---> -SKEIN_EUNKNOWN: was it?
 *     skein_session_write (session, 1, ...) ---> the reply, carried out once
 *     skein_session_write (session, 2, ...) ...
 *
 * skein_session_open - @ttl_ms: 1,000 to 604,800,000 of log time; a session that nobody writes in
 * for so long is gone. **Returns** 0; -SKEIN_EBUSY: 16,384 sessions are in use; -SKEIN_EINVALID:
 * @ttl_ms; else as skein_replica_write.
 * skein_session_close - **Returns** 0, also when it is gone already; else as skein_replica_write.
 */
int skein_session_open(struct skein_replica *replica, uint64_t ttl_ms, uint64_t *out_session,
                       uint64_t deadline_ns) SKEIN_MUST_CHECK;
int skein_session_close(struct skein_replica *replica, uint64_t session,
                        uint64_t deadline_ns) SKEIN_MUST_CHECK;

/*
 * skein_session_write - as skein_replica_write, in @session. @sequence: 1 and up, yours: the same
 * one again is the same write, by way of any node. At most 32 may be under way in one session; the
 * replies of the last 32 are kept (64 KiB a session, 64 MiB in all; a larger one is not).
 * **Returns** in addition -SKEIN_ESESSION: no such session, or it has expired: not carried out by
 * this call, and whether by an earlier one is not known any more; -SKEIN_EREPEATED: it was carried
 * out by an earlier call (or 32 higher ones were), and the reply is not kept; -SKEIN_EINVALID: a
 * number out of range.
 */
ssize_t skein_session_write(struct skein_replica *replica, uint64_t session, uint64_t sequence,
                            const void *command, size_t count, void *reply, size_t capacity,
                            uint64_t deadline_ns) SKEIN_MUST_CHECK;

struct skein_replica_status {
    const char *phase;    /* "forming", "joining", "running", "failed" */
    bool leads;           /* this node leads and has applied an entry of its term */
    uint32_t leader_node; /* 0: unknown */
    uint64_t term;
    uint64_t commit_index, applied_index, last_index, checkpoint_index;
    uint64_t log_time_ms;
    bool repairing; /* its log was damaged, and its peers are making it whole */
};
void skein_replica_status(struct skein_replica *replica, struct skein_replica_status *out_status);

/* skein_replica_failure - 0, or why this node serves no more (its disk failed), with @out_why. */
int skein_replica_failure(struct skein_replica *replica, char out_why[SKEIN_REPLICA_WHY_BYTES]);

/*
 * skein_replica_stop - take nothing new, let what is under way finish, hand leadership over, close
 * the log and the machine; what is left at @deadline_ns is cut off. Frees @replica; NULL: nothing.
 * **Runs on** the replica's shard, in a fiber, suspends.
 */
void skein_replica_stop(struct skein_replica *replica, uint64_t deadline_ns);

#ifdef __cplusplus
}
#endif

#endif
