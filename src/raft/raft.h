/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"

/*
 * The consensus core: Raft (Ongaro and Ousterhout 2014; Ongaro's thesis) as a pure machine. No
 * clock, no I/O, no randomness of its own: ticks, messages and a seed go in, a Ready comes out.
 *
 *   raft_tick, raft_step, raft_propose, raft_read_index, raft_transfer ...
 *        |
 *        v
 *   raft_has_ready -> raft_take_ready ----> messages: send now, in order, to each peer
 *        ^                             |--> append: write to the log; when durable, raft_step
 *        |                             |            every response to this node, send the rest
 *        |                             |--> apply: committed entries; then raft_applied
 *        +-----------------------------+--> read_states: reads whose index is settled
 *
 * Storage writes are asynchronous (etcd's shape): a Ready does not wait for the one before it. What
 * must not leave this node before the log write is durable is in responses: votes, append
 * acknowledgements, requests for votes, the word that the write is done. Log writes become durable
 * in the order in which they were taken. The word of a write that was overwritten in the meantime
 * counts for nothing (the ABA guard, row 33): it carries the term in which the write was taken and
 * its last entry's index and term, and is believed only in that term, while that entry stands
 * there. Once cut in that term, the entry cannot come back in it: it would be the leader's, and an
 * entry that is the leader's is not cut (log matching). Each new term brings a write, and a word,
 * of its own.
 *
 * Everything in the log since the last compaction is kept in memory; whoever drives the core bounds
 * that by compacting past complete checkpoints (raft_compact) and by the limits in raft_options.
 *
 * Bytes from a peer never fail an assertion here: a message that makes no sense is dropped, counted
 * and answered as Raft says.
 */

/* A member's id: never 0, never reused for another disk. */
#define RAFT_NONE 0ull
/* At most this many voters in a majority, and members of all kinds. */
#define RAFT_VOTERS_MAX 15
#define RAFT_MEMBERS_MAX 32
#define RAFT_RANK_MAX 64

enum raft_entry_type {
    RAFT_ENTRY_NORMAL,    /* empty data: the no-op of a new leader */
    RAFT_ENTRY_CONFIG,    /* data: an encoded struct raft_conf_change of version 1 */
    RAFT_ENTRY_CONFIG_V2, /* of version 2; empty data: leave the joint configuration */
    RAFT_ENTRY_WITNESSED, /* a normal one in a witness's log: that it was, not what; never applied
                           */
    RAFT_ENTRY_TYPE_END
};

static inline bool
raft_entry_is_config(enum raft_entry_type type)
{
    return type == RAFT_ENTRY_CONFIG || type == RAFT_ENTRY_CONFIG_V2;
}

struct raft_entry {
    uint64_t term;
    uint64_t index;
    enum raft_entry_type type;
    struct bytes data; /* one reference, the holder's */
};

/* What must be durable before any message that depends on it leaves: section 5.2, "persistent
 * state". */
struct raft_hard_state {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};

/* What a member is; the bits of raft_config.roles. */
enum raft_member {
    RAFT_VOTER = 1,        /* of the configuration, or of its incoming half while it is joint */
    RAFT_OUTGOING = 2,     /* voter of the outgoing half: there is one exactly while it is joint */
    RAFT_LEARNER = 4,      /* gets the log and does not vote; neither of the two above */
    RAFT_LEARNER_NEXT = 8, /* with OUTGOING alone: a learner as soon as the joint one is left */
    /* With VOTER or OUTGOING: it votes and remembers terms and indices of the log, but has neither
     * the entries' data nor state, and never leads. One witness and two full voters bear the loss
     * of any one of them with two copies of the data. It stays one: what is to hold the data is
     * another disk, with an id of its own. */
    RAFT_WITNESS = 16
};

/*
 * Who takes part. While a configuration is joint (Raft section 6), whatever is decided needs a
 * majority of the VOTERs and one of the OUTGOING ones; a member of both counts in each.
 */
struct raft_config {
    uint64_t ids[RAFT_MEMBERS_MAX];  /* ascending, without repetition */
    uint8_t roles[RAFT_MEMBERS_MAX]; /* beside ids: of enum raft_member, never 0 */
    uint32_t count;                  /* 0: this disk knows no configuration yet */
    bool auto_leave;                 /* joint, and the leader leaves it by itself */
};

/* raft_config_valid - every sentence above holds, each half has a full voter, and the limits do. */
bool raft_config_valid(const struct raft_config *config);
/* raft_config_of - plain voters: @ids, ascending. */
struct raft_config raft_config_of(const uint64_t *ids, uint32_t count);
/* raft_config_find - its place among the members, or -1. */
int raft_config_find(const struct raft_config *config, uint64_t id);
/* raft_config_is - is @id a member in one of @roles (bits of enum raft_member)? */
bool raft_config_is(const struct raft_config *config, uint64_t id, unsigned roles);
/* raft_config_count - how many members are in one of @roles. */
uint32_t raft_config_count(const struct raft_config *config, unsigned roles);
bool raft_config_joint(const struct raft_config *config);
bool raft_config_equal(const struct raft_config *a, const struct raft_config *b);

/* A change of the configuration: raft/confchange.h. */
struct raft_conf_change;

/* Where a snapshot stands. Its content is not the core's business: it travels and is installed
 * beside it. */
struct raft_snapshot {
    uint64_t index; /* 0: none */
    uint64_t term;
    struct raft_config config;
};

enum raft_message_type {
    RAFT_APPEND = 1,      /* leader -> follower: entries after (prev) index, log_term */
    RAFT_APPEND_RESPONSE, /* index: last matched, or with reject: hint in reject_hint, log_term */
    RAFT_VOTE,            /* candidate: last index, log_term; context: RAFT_CONTEXT_TRANSFER */
    RAFT_VOTE_RESPONSE,   /* with reject: index, log_term of the last committed entry */
    RAFT_PRE_VOTE,        /* term is the one the sender would start (thesis section 9.6) */
    RAFT_PRE_VOTE_RESPONSE,
    RAFT_SNAPSHOT,           /* leader -> follower: snapshot */
    RAFT_HEARTBEAT,          /* commit; context: a read's */
    RAFT_HEARTBEAT_RESPONSE, /* context: echoed */
    RAFT_TIMEOUT_NOW, /* leader -> its chosen successor: campaign at once (thesis section 3.10) */
    /* local: entries up to (index, log_term) are durable, unless index is 0; so is snapshot */
    RAFT_STORAGE_APPENDED,
    RAFT_PROPOSE,             /* follower -> leader: entries, without index and term; no term */
    RAFT_READ_INDEX,          /* follower -> leader: context; no term */
    RAFT_READ_INDEX_RESPONSE, /* leader -> who asked: context, index, commit */
    RAFT_TRANSFER_LEADER,     /* follower -> leader: context: whom to transfer to */
    RAFT_MESSAGE_TYPE_END
};

#define RAFT_CONTEXT_TRANSFER UINT64_MAX
/* In a RAFT_APPEND_RESPONSE with reject: the sender knows no configuration and its log is empty, so
 * that entries alone would not tell it who the members are: it must be sent a snapshot. */
#define RAFT_CONTEXT_NEEDS_SNAPSHOT (UINT64_MAX - 1)
/* In a RAFT_APPEND_RESPONSE with reject: the sender's disk lost what it had acknowledged, its log
 * ends at reject_hint now. Says whoever hears a heartbeat that vouches for more. */
#define RAFT_CONTEXT_SHORTER (UINT64_MAX - 2)
/* In a RAFT_HEARTBEAT: sleep, if your log ends at (index, log_term). */
#define RAFT_CONTEXT_SLEEP (UINT64_MAX - 3)
/* Terms and indices above this are refused: nothing that counts up can wrap. */
#define RAFT_NUMBER_MAX ((uint64_t)1 << 62)

struct raft_message {
    enum raft_message_type type;
    uint64_t from;
    uint64_t to;
    uint64_t term;
    uint64_t index;
    uint64_t log_term;
    uint64_t commit;
    uint64_t reject_hint;
    bool reject;
    uint64_t context;
    /* The message's own: RAFT_SNAPSHOT; RAFT_STORAGE_APPENDED: the one that was written, or NULL.
     */
    struct raft_snapshot *snapshot;
    struct raft_entry *entries; /* RAFT_APPEND, RAFT_PROPOSE; each with a reference */
    size_t entry_count;
};

/* raft_message_deinit - drop the entries and the snapshot. Idempotent. */
void raft_message_deinit(struct raft_message *message);
/* raft_snapshot_copy - for a message. Never NULL. */
struct raft_snapshot *raft_snapshot_copy(const struct raft_snapshot *snapshot);

enum raft_role { RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };
const char *raft_role_name(enum raft_role role);

enum raft_progress_state { RAFT_PROBE, RAFT_REPLICATE, RAFT_SNAPSHOTTING };

struct raft_options {
    uint64_t id;
    uint64_t seed;            /* of the random election timeouts */
    uint32_t election_ticks;  /* 10: a timeout is drawn from [n, 2n) */
    uint32_t heartbeat_ticks; /* 1 */
    /* Of members that are up and know as much, the one of the lowest rank stands for election
     * first: each rank waits two election timeouts longer. It votes, and follows an order to lead,
     * as any other. At most RAFT_RANK_MAX. */
    uint32_t election_rank;
    uint64_t append_bytes_max;      /* 1 MiB: entries in one message; one entry always fits */
    uint32_t inflight_count_max;    /* 256: unacknowledged appends to a follower */
    uint64_t inflight_bytes_max;    /* 16 MiB */
    uint64_t uncommitted_bytes_max; /* 64 MiB: proposals beyond get -SKEIN_EAGAIN */
    uint64_t apply_bytes_max;       /* 4 MiB: entries handed out for apply and not applied yet */
    uint32_t read_count_max;        /* 65536: pending ReadIndex contexts */
    bool pre_vote;                  /* true in Skein */
    bool check_quorum;              /* true in Skein */
    bool step_down_on_removal;      /* true in Skein: a leader that is no voter any more follows */
    bool forward_proposals; /* a follower hands proposals on to its leader; false in Skein */
    bool lease_reads;       /* a leader answers reads without asking anybody; needs check_quorum */
    /* raft_read_lease. For how long, on its own clock, a member that heard its leader helps nobody
     * else to lead: at most the time that election_ticks - 2 calls of raft_tick take (the first may
     * come at once, and each late by up to one tick); 0: no leases, and the members' clocks do not
     * matter. Needs check_quorum. */
    uint64_t lease_ns;
    uint32_t drift_ppm; /* by how much two members' clocks may differ in speed; at most 500,000 */
    /* A leader that has nothing to do for so many ticks, and whose members all hold and know what
     * it does, sends them to sleep and sleeps itself (raft_asleep); 0: never. */
    uint32_t quiesce_ticks;
    bool no_config_check; /* changes enter the log whatever the configuration in force says of them;
                             what cannot be done is skipped when it is applied */
    bool apply_with_write; /* committed entries come out in the Ready that hands them out to be
                              written; the driver writes before it applies. Else: when durable */
    /* Every event makes its messages at once, as in etcd. Else they are collected until the next
     * Ready, so that a turn's proposals travel together and one heartbeat asks for all reads; and
     * a follower learns what is committed with the next entries or heartbeat, at once only when it
     * asked for a read or a configuration comes into force. */
    bool eager_sends;
    /* etcd's rules to the letter. Else, beyond them:
     * - requests for votes wait until the candidate's own term, vote and log are durable: forgotten
     *   in a crash, they would be made again in the same term, for a shorter log;
     * - a node without a configuration takes no entries and asks for a snapshot;
     * - a voter's refusal tells what is committed, so that members that were not told of a removal
     *   stop asking the removed one (row 26); and a leader that asks for votes itself is no reason
     *   to believe that it leads (row 34);
     * - a follower whose log ends before what the leader knows it acknowledged says so, and is
     *   believed: its disk was lost (row 28);
     * - whoever moves on to a later term tells the leader it followed, which so learns at once that
     *   it has lost its place, even if it does not hear the next one;
     * - a change of the configuration that cannot be done is refused with an error, and none is
     *   taken before an entry of the leader's own term is committed (row 2);
     * - each entry is charged 32 bytes beside its data, so that empty ones are bounded, too, and a
     *   new leader charges what it inherits;
     * - a removed candidate gives up; a snapshot of a later term than the hard state's is damage.
     */
    bool etcd_rules;

    /* What the disk holds. */
    struct raft_hard_state hard_state; /* zero: a new disk */
    struct raft_snapshot
        snapshot;     /* the newest complete checkpoint; index 0: only its config counts */
    uint64_t applied; /* >= snapshot.index: what the state machine holds already */
    struct raft_entry *entries; /* from snapshot.index + 1 (or lower, overlapping) on, contiguous */
    size_t entry_count;         /* **Ownership**: the core takes its own references */

    /* What the log ended with before the disk was damaged; 0: it was not. See raft_repairing. */
    uint64_t promised_index, promised_term;
};

struct raft;

/*
 * raft_open - a follower in hard_state.term.
 * **Returns** 0; -SKEIN_ECORRUPT: the disk's parts contradict each other (a gap between snapshot
 * and entries, commit beyond the log, terms that fall); -SKEIN_EINVALID: an option out of range.
 */
int raft_open(struct raft **out_raft, const struct raft_options *options) SKEIN_MUST_CHECK;
void raft_close(struct raft *raft);

/* raft_tick - one tick of the driver's clock has passed. */
void raft_tick(struct raft *raft);

/*
 * raft_asleep - this group is quiescent: raft_tick does nothing, and need not be called. Any
 * message of another member and any call that asks for something wakes it, and so does raft_wake.
 *
 *     leader:   idle for quiesce_ticks, says so ---> asleep --- proposal, read, message ---> awake
 *     follower: told so, has the same log ---------> asleep --- message, raft_wake --------> awake
 *
 * While a group sleeps nobody of it notices that a member died. So whoever drives it watches the
 * links of the nodes, once for all groups, and calls raft_wake for each group whose leader is on a
 * node that was lost; its followers then time out and elect.
 */
bool raft_asleep(const struct raft *raft);
void raft_wake(struct raft *raft);

/*
 * raft_clock - @now_ns: a monotone clock that also runs while the machine is suspended, read at or
 * before whatever this node sends next. Heartbeats carry it, and come back with it. Only for
 * lease_ns; once a turn is enough.
 */
void raft_clock(struct raft *raft, uint64_t now_ns);

/*
 * raft_read_lease - a linearizable read without asking anybody (thesis section 6.4.1): what is
 * applied up to *out_index holds everything that was committed before @now_ns, read after the
 * request came. The lease counts from when the heartbeats were sent that a quorum has answered, for
 * lease_ns less what the clocks may differ (drift_ppm). A leader that has ordered another member to
 * lead has none any more in its term (row 27); a member that restarts behaves for an election
 * timeout as if it had just heard a leader. **Returns** 0; -SKEIN_ENOTLEADER; -SKEIN_EAGAIN: no
 * lease now: raft_read_index.
 */
int raft_read_lease(const struct raft *raft, uint64_t now_ns, uint64_t *out_index) SKEIN_MUST_CHECK;

/*
 * raft_step - a message from a peer (its `from` already checked against the link), or a response of
 * a log write addressed to this node. **Ownership**: takes entries and snapshot (leaves the message
 * empty).
 * **Returns** 0; -SKEIN_EPROTO: the message makes no sense and was dropped (unknown type, not
 * addressed to this node, entries not contiguous, terms that fall); -SKEIN_ENOTFOUND: an answer of
 * somebody who is not, or no longer, a member: dropped; for RAFT_PROPOSE also what raft_propose
 * returns.
 */
int raft_step(struct raft *raft, struct raft_message *message);

/*
 * raft_propose - append one normal entry. Takes a reference of its own. The entry's index and term
 * are given back; it is committed when an entry with that index *and term* comes out of apply. With
 * forward_proposals a follower hands it on, and both are 0: what becomes of it is not known.
 * **Returns** 0; -SKEIN_ENOTLEADER: nor forwarded, or the leader is no member any more;
 * -SKEIN_EAGAIN: uncommitted_bytes_max; -SKEIN_EBUSY: a transfer is under way.
 */
int raft_propose(struct raft *raft, struct bytes data, uint64_t *out_index,
                 uint64_t *out_term) SKEIN_MUST_CHECK;

/*
 * raft_propose_config - as raft_propose. At most one change is uncommitted at a time, and none is
 * taken before the leader has committed an entry of its own term (scenario 2). It takes effect when
 * applied. **Returns** in addition -SKEIN_EBUSY: another change is not applied yet, or no entry of
 * this term is committed yet; -SKEIN_EINVALID: the configuration in force does not allow it (why:
 * raft_next), or it would change nothing. With etcd_rules an empty normal entry takes the place of
 * a change that is pending too early, or enters or leaves a joint configuration out of turn, and 0
 * is returned.
 */
int raft_propose_config(struct raft *raft, const struct raft_conf_change *change,
                        uint64_t *out_index, uint64_t *out_term) SKEIN_MUST_CHECK;

/*
 * raft_read_index - begin a linearizable read (thesis section 6.4). When a quorum has confirmed
 * that the leader still leads, a read state with @context comes out of a Ready. Contexts are the
 * caller's: any number; each call is a read of its own, even with a context that was used before
 * (what goes over the wire to confirm it is numbered by the leader, so that an answer to an earlier
 * read confirms none that began later: row 4). A follower asks its leader. Waits for the term's
 * first commit before it begins (row 3). A read whose leader steps down is dropped without an
 * answer, and raft_ready.reads_dropped says so; one that a follower handed on may be lost on the
 * way, too: its caller has a deadline and tries again.
 * **Returns** 0; -SKEIN_ENOTLEADER: no leader known; -SKEIN_EAGAIN: read_count_max.
 */
int raft_read_index(struct raft *raft, uint64_t context) SKEIN_MUST_CHECK;

/* raft_transfer - hand leadership to @target (thesis section 3.10); RAFT_NONE: to the most
 * up-to-date voter. Given up after one election timeout, and when another is asked for. A follower
 * asks its leader. **Returns** 0; -SKEIN_ENOTLEADER: no leader known; -SKEIN_EINVALID: not another
 * voter. */
int raft_transfer(struct raft *raft, uint64_t target) SKEIN_MUST_CHECK;

/* raft_campaign - start an election now (pre-vote first, when it is on). */
void raft_campaign(struct raft *raft);

/* raft_forget_leader - a follower that knows better than its clock that its leader is gone stays in
 * its term and helps to elect the next one. Nothing on any other role, and with leases. */
void raft_forget_leader(struct raft *raft);

/* raft_set_election_timeout - the timeout in force until the next one is drawn, which every change
 * of term or role does. For tests, which cannot wait for a draw. */
void raft_set_election_timeout(struct raft *raft, uint32_t ticks);

/* raft_report_unreachable - a message to @peer was lost by the link: back to probing. */
void raft_report_unreachable(struct raft *raft, uint64_t peer);
/* raft_report_snapshot - sending a snapshot to @peer ended; @ok: it was received whole (the peer's
 * own RAFT_APPEND_RESPONSE says when it is installed). Without this the peer would wait for ever
 * (scenario 39). */
void raft_report_snapshot(struct raft *raft, uint64_t peer, bool ok);

struct raft_read_state {
    uint64_t context;
    uint64_t index; /* answer when this is applied */
};

/* All arrays are the Ready's; raft_ready_deinit drops them. */
struct raft_ready {
    bool leader_changed; /* role, leader or term differ from the last Ready's */

    struct raft_message *messages; /* to peers, send now */
    size_t message_count;

    /* One log write. `has_append`: there is one. Write snapshot marker, then entries, then hard
     * state, as one; entries replace everything from their first index on. */
    bool has_append;
    bool hard_state_changed;
    bool must_sync; /* false: nothing but commit moved, which need not be synced; then, unless
                       etcd_rules, responses is empty */
    struct raft_hard_state hard_state;
    struct raft_snapshot
        snapshot;               /* index != 0: the log restarts behind it, all older entries go */
    struct raft_entry *entries; /* each with a reference */
    size_t entry_count;
    struct raft_message
        *responses; /* after the write is durable: to == own id: raft_step; else send */
    size_t response_count;

    /* Committed entries to apply, in order, each with a reference. */
    struct raft_entry *apply;
    size_t apply_count;

    struct raft_read_state *read_states;
    size_t read_state_count;
    bool reads_dropped; /* every read begun before this Ready and not in a read state will never be
                           answered */
};

bool raft_has_ready(const struct raft *raft);
/* raft_take_ready - move everything pending into @out_ready. */
void raft_take_ready(struct raft *raft, struct raft_ready *out_ready);
void raft_ready_deinit(struct raft_ready *ready);
/*
 * raft_take_messages - the short way, when a Ready would hold nothing but a few messages without
 * entries and snapshots, as at a beat: they count as taken. *@out_messages: in the core's own
 * memory, good until the next call. **Returns** how many; 0: there are none, or a Ready is to be
 * taken.
 */
size_t raft_take_messages(struct raft *raft, const struct raft_message **out_messages);

/* raft_applied - entries up to @index are applied. Configuration entries among them take effect
 * through raft_apply_config, called first. */
void raft_applied(struct raft *raft, uint64_t index);
/* raft_apply_config - the change of a committed configuration entry takes effect. @entry: as it
 * came out of apply. **Returns** 0; -SKEIN_EPROTO: undecodable or refused; it is then skipped, the
 * same on every member. */
int raft_apply_config(struct raft *raft, const struct raft_entry *entry);

/*
 * raft_compact - a complete checkpoint at @snapshot.index exists: entries up to @keep_from - 1 may
 * go
 * (@keep_from <= snapshot.index + 1: a few are kept for followers that are slightly behind).
 * The next RAFT_SNAPSHOT message names @snapshot, unless a newer one is known.
 */
void raft_compact(struct raft *raft, const struct raft_snapshot *snapshot, uint64_t keep_from);

/* Views. */
struct raft_peer_status {
    uint64_t id;
    uint64_t match;
    uint64_t next;
    enum raft_progress_state state;
    bool recent_active;
    bool learner;
    bool witness;
    bool paused;               /* nothing is sent until it answers */
    uint64_t pending_snapshot; /* RAFT_SNAPSHOTTING: the index of the one it was sent */
    uint32_t inflight_count;   /* unacknowledged appends */
    bool inflight_full;
};

struct raft_status {
    uint64_t id;
    uint64_t leader; /* RAFT_NONE: unknown */
    enum raft_role role;
    uint64_t transferee;
    struct raft_hard_state hard_state;
    uint64_t applied;
    uint64_t first_index; /* first entry in the log */
    uint64_t last_index;
    uint64_t last_term;
    uint64_t log_bytes;    /* payload bytes kept in memory */
    uint64_t dropped;      /* messages dropped because they made no sense */
    bool wants_checkpoint; /* raft_wants_checkpoint */
    struct raft_config config;
    struct raft_peer_status peers[RAFT_MEMBERS_MAX]; /* on the leader */
    uint32_t peer_count;
};

void raft_status(const struct raft *raft, struct raft_status *out_status);
/* raft_wants_checkpoint - a peer of this leader needs a snapshot and none exists: make one, then
 * raft_compact. */
bool raft_wants_checkpoint(const struct raft *raft);
/* raft_repairing - the log is shorter than promised: this node follows, does not stand for election
 * and votes for no log shorter than that. */
bool raft_repairing(const struct raft *raft);
/* raft_figures - the few numbers of raft_status that add up over groups, without the rest of it. */
struct raft_figures {
    uint64_t commit, last_index;
    uint64_t log_bytes, dropped; /* as in struct raft_status */
};
struct raft_figures raft_figures(const struct raft *raft);
uint64_t raft_leader(const struct raft *raft);
enum raft_role raft_role(const struct raft *raft);
uint64_t raft_term(const struct raft *raft);
/* raft_entry_term - the term of the log's entry at @index (also at the snapshot's index); 0: not in
 * the log. */
uint64_t raft_entry_term(const struct raft *raft, uint64_t index);

#endif
