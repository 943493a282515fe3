/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_RAFT_H
#define SKEIN_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The consensus core (Raft: Ongaro and Ousterhout 2014; Ongaro's thesis), a pure machine: no clock,
 * no file, no socket, no randomness of its own. Its behaviour is etcd's, checked against etcd's
 * data files, and stricter where that costs nothing. Whoever wants it driven takes skein/replica.h;
 * this header is for those who drive it themselves.
 *
 *     skein_raft_tick, _receive, _propose, _change, _read ...
 *          |
 *          v
 *     skein_raft_has_ready -> skein_raft_take -> send    bytes, each to its member, now
 *          ^                                     write   to the log, in order; durable:
 *          |                                             skein_raft_written
 *          |                                     apply   what is committed; then skein_raft_applied
 *          |                                     reads   that are settled
 *          +------------------------------------ skein_raft_release
 *
 * A Ready does not wait for the write of the one before it. What must not leave this node before a
 * write is durable comes out of a later Ready, after skein_raft_written. All the order there is to
 * keep: writes become durable in the order in which they were taken; entries are applied in theirs.
 *
 * Bytes from members may be anything: what makes no sense is dropped, counted and reported. Time is
 * skein_raft_tick, called about every tenth of an election timeout. One thread at a time for an
 * object.
 */

struct skein_raft;

/* A member's id names a disk: never SKEIN_RAFT_NONE, and never used again for another disk, also
 * not for the same machine's when its disk was lost. */
#define SKEIN_RAFT_NONE 0ull
#define SKEIN_RAFT_VOTERS_MAX 15 /* in a majority */
#define SKEIN_RAFT_MEMBERS_MAX 32

/* What a member is: bits. */
enum skein_raft_member {
    SKEIN_RAFT_VOTER = 1,        /* of the incoming half, while the members are joint */
    SKEIN_RAFT_OUTGOING = 2,     /* voter of the outgoing half: joint while there is one */
    SKEIN_RAFT_LEARNER = 4,      /* gets the log, does not vote */
    SKEIN_RAFT_LEARNER_NEXT = 8, /* with OUTGOING: a learner when the joint members are left */
    SKEIN_RAFT_WITNESS = 16 /* votes and remembers terms and indices; has no data, never leads */
};

/* Who takes part. While joint, whatever is decided needs a majority of both halves. */
struct skein_raft_members {
    uint64_t ids[SKEIN_RAFT_MEMBERS_MAX];  /* ascending */
    uint8_t roles[SKEIN_RAFT_MEMBERS_MAX]; /* beside ids, never 0 */
    uint32_t count;                        /* 0: this disk knows no members yet */
    bool auto_leave;                       /* joint, and the leader leaves it by itself */
};

/* What a restarted node must remember; one record of the log. */
struct skein_raft_hard_state {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};

/* Where a snapshot of the state machine stands. What is in it is not the core's business. */
struct skein_raft_snapshot {
    uint64_t index; /* 0: none */
    uint64_t term;
    struct skein_raft_members members;
};

enum skein_raft_entry_type {
    SKEIN_RAFT_ENTRY_NORMAL = 0, /* yours; without data: a new leader's first */
    /* 1 and 2 change the members: hand them to skein_raft_applied like any other */
    SKEIN_RAFT_ENTRY_WITNESSED = 3 /* in a witness's log: there is nothing to apply */
};

struct skein_raft_entry {
    uint64_t term;
    uint64_t index;
    uint8_t type;     /* enum skein_raft_entry_type, or 1 or 2; write and read it as it is */
    const void *data; /* the Ready's, until it is released */
    size_t bytes;
};

struct skein_raft_options {
    uint64_t id;
    uint64_t seed;                  /* of the random election timeouts: different for each member */
    uint32_t election_ticks;        /* 0: 10; a timeout is drawn from [n, 2n) */
    uint32_t heartbeat_ticks;       /* 0: 1 */
    uint32_t election_rank;         /* the lowest of those that are up stands first; at most 64 */
    uint32_t quiesce_ticks;         /* 0: never; idle for so long, the group sleeps */
    uint64_t lease_ns;              /* 0: none; see skein_raft_read_lease */
    uint32_t drift_ppm;             /* by how much members' clocks may differ in speed */
    uint64_t append_bytes_max;      /* 0: 1 MiB in one message; one entry always fits */
    uint32_t inflight_count_max;    /* 0: 256 messages to a follower that are not acknowledged */
    uint64_t inflight_bytes_max;    /* 0: 16 MiB of them */
    uint64_t uncommitted_bytes_max; /* 0: 64 MiB; more is refused with -SKEIN_EAGAIN */
    uint64_t apply_bytes_max;       /* 0: 4 MiB handed out for apply and not applied yet */
    bool forward_proposals; /* a follower hands proposals on; what becomes of them is unknown */

    /* What the disk holds: all zero for a new one, which waits to be let in. The first members of a
     * new group each start with a snapshot of index 0 that names them all. */
    struct skein_raft_hard_state hard_state;
    struct skein_raft_snapshot snapshot;
    uint64_t applied;                       /* >= snapshot.index: what the machine holds */
    const struct skein_raft_entry *entries; /* from snapshot.index + 1 (or lower) on, contiguous */
    size_t entry_count;
};

/*
 * skein_raft_open - a follower. Copies what it needs of @options.
 * **Ownership**: skein_raft_close. **Returns** 0; -SKEIN_EINVALID: an option is out of its range;
 * -SKEIN_ECORRUPT: the disk's parts contradict each other: a gap between snapshot and entries,
 * commit beyond the log, terms that fall.
 */
int skein_raft_open(struct skein_raft **out_raft,
                    const struct skein_raft_options *options) SKEIN_MUST_CHECK;
void skein_raft_close(struct skein_raft *raft);

/* ---- what happens to it ---- */

/* skein_raft_tick - one tick of the driver's clock has passed. */
void skein_raft_tick(struct skein_raft *raft);
/*
 * skein_raft_receive - bytes that @from sent, whom the transport knows to be @from.
 * **Returns** 0; -SKEIN_EPROTO: no message, not to this node, not of @from, or it makes no sense;
 * -SKEIN_ENOTFOUND: an answer of somebody who is no member; -SKEIN_ENOMEM; with forward_proposals
 * also what skein_raft_propose returns.
 */
int skein_raft_receive(struct skein_raft *raft, uint64_t from, const void *data,
                       size_t bytes) SKEIN_MUST_CHECK;
/* skein_raft_unreachable - what was sent to @member was lost; @member's link is down. */
void skein_raft_unreachable(struct skein_raft *raft, uint64_t member);
/* skein_raft_snapshot_sent - sending a snapshot to @member ended, @ok: whole. */
void skein_raft_snapshot_sent(struct skein_raft *raft, uint64_t member, bool ok);

/* ---- what is asked of it ---- */

/*
 * skein_raft_propose - append an entry. It is committed when an entry with *out_index and
 * *out_term, both, comes out to be applied; another at that index: it is lost. Both are 0 when it
 * was handed on.
 * **Returns** 0; -SKEIN_ENOTLEADER; -SKEIN_EAGAIN: uncommitted_bytes_max; -SKEIN_EBUSY: leadership
 * is being handed over.
 */
int skein_raft_propose(struct skein_raft *raft, const void *data, size_t bytes, uint64_t *out_index,
                       uint64_t *out_term) SKEIN_MUST_CHECK;

enum skein_raft_change_type {
    SKEIN_RAFT_ADD_VOTER = 0, /* a learner becomes one; best when it has caught up */
    SKEIN_RAFT_REMOVE = 1,
    SKEIN_RAFT_ADD_LEARNER = 3, /* a voter becomes one */
    SKEIN_RAFT_ADD_WITNESS = 4  /* of somebody who is no member */
};
struct skein_raft_change {
    enum skein_raft_change_type type;
    uint64_t member;
};
/*
 * skein_raft_change - change the members, all @changes at once; more than one voter comes or goes
 * through joint members, which are left by themselves. Takes effect when applied. One at a time.
 * **Returns** as skein_raft_propose; -SKEIN_EBUSY: another change is under way, or nothing of this
 * term is committed yet; -SKEIN_EINVALID: not possible as the members are, or it changes nothing.
 */
int skein_raft_change(struct skein_raft *raft, const struct skein_raft_change *changes,
                      uint32_t count, uint64_t *out_index, uint64_t *out_term) SKEIN_MUST_CHECK;

/*
 * skein_raft_read - begin a linearizable read (ReadIndex). When a quorum has confirmed the leader,
 * @context comes back with an index: answer when that is applied. The context is the caller's, any
 * number. **Returns** 0; -SKEIN_ENOTLEADER: no leader is known; -SKEIN_EAGAIN: 65,536 wait.
 */
int skein_raft_read(struct skein_raft *raft, uint64_t context) SKEIN_MUST_CHECK;
/*
 * skein_raft_read_lease - the same without asking anybody, for a leader whose lease holds at
 * @now_ns, read after the request came. lease_ns is at most the time of election_ticks - 2 ticks on
 * every member, and the clock runs while the machine is suspended. skein_raft_clock tells the core
 * that clock, at or before whatever is sent next. **Returns** 0; -SKEIN_ENOTLEADER; -SKEIN_EAGAIN:
 * no lease now.
 */
int skein_raft_read_lease(const struct skein_raft *raft, uint64_t now_ns,
                          uint64_t *out_index) SKEIN_MUST_CHECK;
void skein_raft_clock(struct skein_raft *raft, uint64_t now_ns);

/* skein_raft_transfer - hand leadership to @member; SKEIN_RAFT_NONE: to the most up-to-date voter.
 * A follower asks its leader. **Returns** 0; -SKEIN_ENOTLEADER: no leader is known;
 * -SKEIN_EINVALID: not another voter that may lead. */
int skein_raft_transfer(struct skein_raft *raft, uint64_t member) SKEIN_MUST_CHECK;
/* skein_raft_campaign - stand for election now (pre-vote first). */
void skein_raft_campaign(struct skein_raft *raft);
/* skein_raft_asleep - the group is quiescent: ticks do nothing. skein_raft_wake when the link to
 * the leader's node is lost: sleepers do not notice. */
bool skein_raft_asleep(const struct skein_raft *raft);
void skein_raft_wake(struct skein_raft *raft);

/* ---- what it wants done ---- */

struct skein_raft_send {
    uint64_t to;
    const void *data; /* the Ready's */
    size_t bytes;
    /* Not 0: the snapshot of this index has to be there, whole, before these bytes are given to the
     * other side's skein_raft_receive; then, or when it fails, skein_raft_snapshot_sent. */
    uint64_t snapshot_index;
};

struct skein_raft_read_state {
    uint64_t context;
    uint64_t index;
};

/* Everything it points to is valid until skein_raft_release. */
struct skein_raft_ready {
    bool leader_changed; /* role, leader or term */

    const struct skein_raft_send *sends; /* now, in order for each member; loss is allowed */
    size_t send_count;

    /* One write. Not 0: it must be synced; skein_raft_written when it is durable. 0: nothing to
     * write, or only a hard state whose commit moved, which need not be synced. */
    uint64_t write;
    bool hard_state_changed;
    struct skein_raft_hard_state hard_state;
    struct skein_raft_snapshot snapshot; /* index not 0: the log restarts behind it, and the state
                                            machine is what the snapshot holds */
    const struct skein_raft_entry *entries; /* replace everything from the first one's index on */
    size_t entry_count;

    const struct skein_raft_entry *apply; /* committed; after the snapshot, if there is one */
    size_t apply_count;

    const struct skein_raft_read_state *reads;
    size_t read_count;
    bool reads_dropped; /* reads begun before, and not among these or earlier ones, get no answer */

    void *inside; /* the core's */
};

bool skein_raft_has_ready(const struct skein_raft *raft);
/* skein_raft_take - **Ownership**: skein_raft_release @out_ready, also after skein_raft_close. */
void skein_raft_take(struct skein_raft *raft, struct skein_raft_ready *out_ready);
void skein_raft_release(struct skein_raft_ready *ready);
/* skein_raft_written - the writes up to @write, all, are durable. A number that was never given, or
 * twice the same, does nothing. */
void skein_raft_written(struct skein_raft *raft, uint64_t write);
/* skein_raft_applied - @entry, as it came out of apply, and all before it are applied. */
void skein_raft_applied(struct skein_raft *raft, const struct skein_raft_entry *entry);
/* skein_raft_snapshot_point - where a snapshot of the state machine as it is now stands; to be kept
 * with it. */
void skein_raft_snapshot_point(const struct skein_raft *raft,
                               struct skein_raft_snapshot *out_snapshot);
/* skein_raft_compact - the snapshot that stands at @snapshot is durable: members that need one get
 * it, and entries up to there may be forgotten, but for the last @keep_count, which serve followers
 * that are slightly behind. One that is no newer than the last does nothing. */
void skein_raft_compact(struct skein_raft *raft, const struct skein_raft_snapshot *snapshot,
                        uint64_t keep_count);

/* ---- what it is ---- */

enum skein_raft_role {
    SKEIN_RAFT_FOLLOWER,
    SKEIN_RAFT_PRE_CANDIDATE,
    SKEIN_RAFT_CANDIDATE,
    SKEIN_RAFT_LEADER
};

struct skein_raft_status {
    uint64_t id;
    uint64_t leader; /* SKEIN_RAFT_NONE: unknown */
    enum skein_raft_role role;
    struct skein_raft_hard_state hard_state;
    uint64_t applied;
    uint64_t first_index; /* of the entries in memory */
    uint64_t last_index;
    uint64_t log_bytes;
    uint64_t dropped;    /* messages that made no sense */
    bool wants_snapshot; /* a member needs one and none exists: make one, then skein_raft_compact */
    struct skein_raft_members members;
};
void skein_raft_status(const struct skein_raft *raft, struct skein_raft_status *out_status);

#ifdef __cplusplus
}
#endif
#endif
