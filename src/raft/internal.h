/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_INTERNAL_H
#define RAFT_INTERNAL_H

#include "base/prng.h"
#include "raft/confchange.h"
#include "raft/quorum.h"
#include "raft/raft.h"

/*
 * The inside of the core: one struct raft, and one file for each event.
 *
 *   open.c      what the disk holds -> a follower       step.c      validate, terms, dispatch
 *   log.c       the log in memory                       recv_*.c    one message type each
 *   progress.c  what is known of one peer               tick.c      time
 *   role.c      follower, candidate, leader             campaign.c  elections
 *   members.c   views of a configuration
 *   quorum.c    what it decides              confchange.c  the next configuration
 *   send.c      messages out; flush of the appends      commit.c    section 5.4.2
 *   propose.c, config.c, transfer.c, read_index.c       the driver's requests
 *   lease.c     reads by time                           quiesce.c   idle groups sleep
 *   ready.c     everything pending moves out            status.c    views
 *
 * Sends are lazy: an event only marks a peer (raft_progress.send); raft_flush, at the next Ready,
 * makes the messages, so that a turn's proposals travel together.
 *
 * Log positions, always in this order:
 *
 *   base <= applied <= applying <= commit <= last        base <= stable <= taken <= last
 *
 * and entries are handed out for apply only up to min(commit, stable), or up to commit with
 * apply_with_write.
 */

/* What an entry is charged beside its data, so that empty ones are bounded, too. */
#define RAFT_ENTRY_OVERHEAD_BYTES 32

/* log.c */

struct raft_log {
    struct raft_entry *entries; /* slots [head, head + count) hold base_index + 1 .. */
    size_t head;
    size_t count;
    size_t capacity;
    uint64_t base_index; /* the entry before the first: compacted, or 0 */
    uint64_t base_term;
    uint64_t stable;   /* durable up to here */
    uint64_t taken;    /* handed to the driver up to here */
    uint64_t commit;   /* known committed */
    uint64_t applying; /* handed out for apply */
    uint64_t applied;
    uint64_t bytes;     /* payload of all entries */
    uint64_t witnessed; /* how many of them are RAFT_ENTRY_WITNESSED */
    /* Handed out for apply and not applied: its size, and whether that is enough for now. */
    uint64_t applying_bytes;
    bool applying_paused;
    bool etcd_sizes; /* raft_entry_size as in etcd */
};

/* raft_entry_size - what @entry counts in a message and in a Ready. etcd's: its protobuf encoding.
 */
uint64_t raft_entry_size(bool etcd_sizes, const struct raft_entry *entry);

uint64_t raft_log_last(const struct raft_log *log);
/* raft_log_term - of @index, base_index included; 0 where nothing is known. */
uint64_t raft_log_term(const struct raft_log *log, uint64_t index);
uint64_t raft_log_last_term(const struct raft_log *log);
/* raft_log_at - the entry; base_index < @index <= last. */
const struct raft_entry *raft_log_at(const struct raft_log *log, uint64_t index);
bool raft_log_matches(const struct raft_log *log, uint64_t index, uint64_t term);
/* raft_log_push - append; @entry's index is last + 1. **Ownership**: takes its reference. */
void raft_log_push(struct raft_log *log, struct raft_entry entry);
/* raft_log_truncate - drop the entries from @from on; @from > base_index. */
void raft_log_truncate(struct raft_log *log, uint64_t from);
/* raft_log_compact - drop the entries below @keep_from, whose predecessor stays as the base. */
void raft_log_compact(struct raft_log *log, uint64_t keep_from);
/* raft_log_reset - empty, behind a snapshot, everything up to it committed and applied. */
void raft_log_reset(struct raft_log *log, uint64_t index, uint64_t term);
/* raft_log_hint - the last index <= @index whose term is <= @term, and (*out_term) its term, 0 when
 * it is not known. Both sides of a conflict skip a whole term with it (section 5.3, at the end). */
uint64_t raft_log_hint(const struct raft_log *log, uint64_t index, uint64_t term,
                       uint64_t *out_term);
/* raft_log_copy - entries [from, from + n) with references, n <= count and as many as fit into
 * @bytes_max, at least one. NULL when there are none. */
struct raft_entry *raft_log_copy(const struct raft_log *log, uint64_t from, uint64_t to,
                                 uint64_t bytes_max, size_t *out_count);
void raft_log_deinit(struct raft_log *log);

/* progress.c */

struct raft_inflight {
    uint64_t index; /* last one of the message */
    uint64_t bytes;
};

struct raft_inflights {
    struct raft_inflight *slots; /* a ring */
    uint32_t capacity;
    uint32_t start;
    uint32_t count;
    uint64_t bytes;
};

enum raft_send { RAFT_SEND_NOTHING, RAFT_SEND_ENTRIES, RAFT_SEND_ALWAYS };

/*
 *                 reject, unreachable
 *        +---------------------------------+
 *        v          accepted               |
 *      PROBE --------------------------> REPLICATE
 *        |  ^                              ^
 *        |  | report, lost                 | installed
 *        v  |                              |
 *      SNAPSHOTTING -----------------------+
 */
struct raft_progress {
    uint64_t id;
    uint64_t match;            /* durable there, as far as is known */
    uint64_t next;             /* the next one to send */
    uint64_t pending_snapshot; /* SNAPSHOTTING */
    uint64_t sent_commit;      /* the highest commit index it was told */
    uint64_t read_seq;         /* the highest read round it has confirmed */
    uint64_t beat_ns;          /* when the latest heartbeat was sent that it has answered */
    enum raft_progress_state state;
    enum raft_send send; /* what raft_flush is to do */
    bool recent_active;
    bool learner;
    bool witness;
    bool paused;         /* PROBE: one is on its way; REPLICATE: as much as may be is on its way */
    bool needs_snapshot; /* said so itself */
    struct raft_inflights inflights;
};

void raft_progress_become_probe(struct raft_progress *p);
void raft_progress_become_replicate(struct raft_progress *p);
void raft_progress_become_snapshot(struct raft_progress *p, uint64_t index);
/* raft_progress_update - @index is matched. Returns whether that is news. */
bool raft_progress_update(struct raft_progress *p, uint64_t index);
/* raft_progress_rejected - the append after @rejected was refused; @hint: where it may match. What
 * is matched stays matched, however late a refusal comes: only RAFT_CONTEXT_SHORTER takes it back.
 * Returns whether @p moved (false: an old answer). */
bool raft_progress_rejected(struct raft_progress *p, uint64_t rejected, uint64_t hint);
/* raft_progress_sent - @count entries, the last of which is next + count - 1, are on their way. */
void raft_progress_sent(struct raft_progress *p, size_t count, uint64_t bytes,
                        const struct raft_options *options);
/* raft_progress_can_bump_commit - would it learn of a commit if it were told of @commit? */
bool raft_progress_can_bump_commit(const struct raft_progress *p, uint64_t commit);
bool raft_progress_is_paused(const struct raft_progress *p);
bool raft_inflights_full(const struct raft_inflights *f, const struct raft_options *options);
void raft_inflights_free_to(struct raft_inflights *f, uint64_t index);
void raft_progress_deinit(struct raft_progress *p);

/* The machine. */

struct raft_messages {
    struct raft_message *items;
    size_t count;
    size_t capacity;
};

struct raft_read {
    uint64_t seq;   /* its round's number in this leadership, from 1; what heartbeats carry */
    uint64_t index; /* 0: waits for the term's first commit */
    uint64_t context;
    uint64_t from; /* who asked */
};

/* What a tick and a beat look at comes first: with thousands of groups each line of it is a miss.
 */
struct raft {
    uint32_t magic;
    enum raft_role role;
    uint64_t id;
    uint64_t term;
    uint64_t vote;
    uint64_t leader;
    uint64_t config_index;

    uint32_t election_elapsed;
    uint32_t heartbeat_elapsed;
    uint32_t election_timeout; /* drawn */
    /* quiesce.c */
    bool asleep;
    uint32_t idle_ticks;
    /* lease.c */
    uint32_t promise_ticks; /* for so long it helps nobody but promised_to to lead */
    uint64_t promised_to;
    uint64_t now_ns;
    bool lease_void;  /* somebody was ordered to lead in this term */
    bool was_witness; /* in a configuration that this core has seen: what it holds has no data */

    /* out */
    bool read_round_wanted;
    bool reads_forwarded; /* to the leader of now, and not known to be answered */
    bool reads_dropped;
    bool flush_wanted;
    struct raft_messages messages;
    struct raft_messages after_append;
    struct raft_read_state *read_states;
    size_t read_state_count, read_state_capacity;
    struct raft_hard_state hard_taken; /* the last Ready's */
    uint64_t seen_leader, seen_term;
    enum raft_role seen_role;

    /* log writes, numbered; the number travels in RAFT_STORAGE_APPENDED.context */
    uint64_t write_seq;    /* the last one handed out */
    uint64_t durable_seq;  /* the last one known durable */
    uint64_t snapshot_seq; /* the write that holds the restored snapshot */

    struct raft_log log;

    /* leader */
    uint64_t transferee;
    uint64_t pending_config_index; /* no change may be proposed before this one is applied */
    uint64_t uncommitted_bytes;
    struct raft_read *reads; /* [read_head, read_head + read_count), seq ascending */
    size_t read_head, read_count, read_capacity;
    uint64_t read_seq_last; /* of this leadership */

    struct raft_options options;   /* its entries and snapshot are not kept here */
    struct raft_config config;     /* in force: as of config_index */
    struct raft_snapshot restored; /* to be written with the next append; index 0: none */
    struct raft_progress peers[RAFT_MEMBERS_MAX]; /* beside config.ids; a leader's */

    enum raft_ballot ballots[RAFT_MEMBERS_MAX]; /* beside config.ids */
    struct raft_snapshot snapshot;              /* the newest complete one, to send */
    struct prng prng;
    uint64_t dropped;
};

#define RAFT_MAGIC 0x72616674u

/* config.c */
/* raft_config_set - in force from @index on; peers that stay keep their progress. */
void raft_config_set(struct raft *raft, const struct raft_next *next, uint64_t index);
/* raft_snapshot_pending - a received snapshot is not durable yet: nothing is applied meanwhile. */
bool raft_snapshot_pending(const struct raft *raft);
/* raft_config_maybe_leave - the leader proposes to leave a joint configuration when it is time. */
void raft_config_maybe_leave(struct raft *raft);
struct raft_progress *raft_peer(struct raft *raft, uint64_t id);
/* raft_unapplied_config - is a committed change not applied yet? */
bool raft_unapplied_config(const struct raft *raft);

/* role.c */
void raft_become_follower(struct raft *raft, uint64_t term, uint64_t leader);
void raft_become_pre_candidate(struct raft *raft);
void raft_become_candidate(struct raft *raft);
void raft_become_leader(struct raft *raft);

/* repair.c */
/* raft_repair_refuses - a vote for a log with this end would break what the lost part promised. */
bool raft_repair_refuses(const struct raft *raft, uint64_t candidate_term,
                         uint64_t candidate_index);
/* raft_repair_ask - tell @leader, who believes in more, up to where the logs are the same. */
void raft_repair_ask(struct raft *raft, uint64_t leader);
/* raft_repair_on_asked - @p's node said so: it is sent what it lost. @m: its refusal. */
void raft_repair_on_asked(struct raft *raft, struct raft_progress *p, const struct raft_message *m);

/* campaign.c */
/* raft_promotable - may this node stand for election at all? */
bool raft_promotable(const struct raft *raft);
/* raft_start_campaign - pre-vote first when it is on and this is no transfer. */
void raft_start_campaign(struct raft *raft, bool transfer);
/* raft_count_ballot - a vote or pre-vote of @from; decides when there is a majority either way. */
void raft_count_ballot(struct raft *raft, uint64_t from, bool granted);

/* send.c */
/* raft_send - fills in from, and the term where it is 0; what depends on the log write in progress
 * waits for it. */
void raft_send(struct raft *raft, struct raft_message message);
/* The ways to send appends; with eager_sends now, else at the next raft_flush. Nothing to
 * this node itself, nothing to whoever is paused.
 * raft_send_append - one to @p, an empty one if there is nothing new. raft_send_appends - one to
 * everybody. raft_send_one - one to @p if there is something new. raft_send_rest - to @p, as many
 * as fit into its window, none of them empty. */
void raft_send_append(struct raft *raft, struct raft_progress *p);
void raft_send_appends(struct raft *raft);
void raft_send_one(struct raft *raft, struct raft_progress *p);
void raft_send_rest(struct raft *raft, struct raft_progress *p);
void raft_send_heartbeats(struct raft *raft);
/* raft_flush - the appends that wait. */
void raft_flush(struct raft *raft);

/* commit.c */
void raft_commit_to(struct raft *raft, uint64_t index);
/* raft_maybe_commit - what a majority has. Returns whether commit moved. */
bool raft_maybe_commit(struct raft *raft);
bool raft_committed_in_term(const struct raft *raft);

/* propose.c */
/* raft_append_own - a leader's entries: type and data of @entries; takes references of its own. */
void raft_append_own(struct raft *raft, const struct raft_entry *entries, size_t count);
/* raft_entry_charge - what @entry counts in windows and against uncommitted_bytes_max. */
uint64_t raft_entry_charge(const struct raft *raft, const struct raft_entry *entry);
/* raft_on_propose - see raft_propose. */
int raft_on_propose(struct raft *raft, struct raft_message *m);

/* lease.c */
/* raft_promise - @leader was heard; RAFT_NONE: this node has just started and does not know. */
void raft_promise(struct raft *raft, uint64_t leader);
/* raft_promised - would a vote for @candidate break what this node has promised? */
bool raft_promised(const struct raft *raft, uint64_t candidate);
void raft_lease_on_answer(struct raft *raft, struct raft_progress *p, uint64_t beat_ns);

/* quiesce.c */
/* raft_quiesce_tick - of a leader. Returns whether it fell asleep. */
bool raft_quiesce_tick(struct raft *raft);
/* raft_quiesce_on_heartbeat - returns whether this node fell asleep. */
bool raft_quiesce_on_heartbeat(struct raft *raft, const struct raft_message *m);

/* read_index.c */
/* raft_votes_alone - nobody else's vote counts. */
bool raft_votes_alone(const struct raft *raft);
void raft_reads_start(struct raft *raft);
void raft_reads_settle(struct raft *raft);
void raft_reads_drop(struct raft *raft);
/* raft_reads_seq - the read round that a heartbeat of now asks for; 0: none. */
uint64_t raft_reads_seq(const struct raft *raft);
int raft_on_read_index(struct raft *raft, const struct raft_message *m);
int raft_on_read_index_response(struct raft *raft, const struct raft_message *m);

/* recv_*.c: each takes a validated message of the current term. 0 or -SKEIN_EPROTO. */
int raft_on_vote(struct raft *raft, const struct raft_message *m);
int raft_on_vote_response(struct raft *raft, const struct raft_message *m);
int raft_on_append(struct raft *raft, struct raft_message *m);
int raft_on_append_response(struct raft *raft, const struct raft_message *m);
int raft_on_heartbeat(struct raft *raft, const struct raft_message *m);
/* raft_follow_commit - what the leader says is committed. */
int raft_follow_commit(struct raft *raft, const struct raft_message *m);
int raft_on_heartbeat_response(struct raft *raft, const struct raft_message *m);
int raft_on_snapshot(struct raft *raft, const struct raft_message *m);
int raft_on_storage_appended(struct raft *raft, const struct raft_message *m);

/* transfer.c */
int raft_on_transfer_leader(struct raft *raft, const struct raft_message *m);
int raft_on_timeout_now(struct raft *raft, const struct raft_message *m);
void raft_transfer_maybe_finish(struct raft *raft, const struct raft_progress *p);

#endif
