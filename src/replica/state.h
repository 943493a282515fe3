/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_STATE_H
#define REPLICA_STATE_H

#include "base/list.h"
#include "disk/checkpoint.h"
#include "replica/host.h"
#include "replica/members.h"
#include "replica/sessions.h"

/*
 * The inside of a replica, shared by the files of this folder.
 *
 * One fiber, the driver, owns the raft core and the machine. Everybody else (link callbacks,
 * submitters, the log's completions, the snapshot fibers) puts something into a queue here and
 * signals it. A round of the driver:
 *
 *   ticks -> membership -> inbox -> durable writes -> lost peers -> queue of requests
 *         -> Readies until there is none -> flush forwards and replies
 *
 * The life of a request:
 *
 *   QUEUED --leader here, write--> PROPOSED --applied--> done
 *     |  ^ \--leader here, read--> READING  --applied--> done
 *     |  |  \-leader elsewhere---> FORWARDED --reply---> done
 *     |  +---- certainly not carried out (NOT_LEADER), or repeatable: reads, writes in sessions
 *     +--deadline--> -SKEIN_ENOLEADER
 *
 * A local request lies on its submitter's stack, which leaves it only through request_finish or
 * request_abandon.
 */

#define REPLICA_REQUEST_BYTES 256u /* what a request costs beside its command */
/* Log writes with entries under way before proposals are gathered instead of proposed. */
#define REPLICA_WRITES_AHEAD 2u
#define REPLICA_MARKS 128u

enum request_state {
    REQUEST_QUEUED,
    REQUEST_PROPOSED,
    REQUEST_READING,
    REQUEST_FORWARDED,
    REQUEST_DONE
};

struct request {
    struct replica *replica;
    struct skein_list link; /* the queue, a proposal, a read batch or the forwarded ones */
    enum request_state state;
    enum replica_kind kind;
    enum replica_level level; /* of a read */
    uint64_t stale_ns;
    bool in_session; /* a write, its command as sessions_encode makes it */
    bool doubtful;   /* it was handed on before, and may have been carried out then */
    struct bytes command;
    uint64_t deadline_ns;
    uint32_t ordinal; /* in its entry */

    /* where it came from; 0: here */
    uint32_t origin;
    uint64_t origin_session;
    uint64_t origin_token;
    uint64_t origin_id;
    struct skein_list remote_link; /* replica.remotes */

    /* where it was handed to */
    uint64_t attempt;
    struct skein_list attempt_link; /* host.forwards */
    uint32_t target;
    uint64_t target_token;
    uint32_t refused_by; /* said NOT_LEADER ... */
    uint64_t refused_until_ns;

    /* the submitter's */
    struct skein_waitq done;
    int status;
    struct bytes reply;
};

/* One log entry that waits for being applied. */
struct proposal {
    struct skein_list link;
    uint64_t index;
    uint64_t term;
    struct skein_list requests; /* ascending ordinal */
};

/* Reads that share one raft_read_index. */
struct read_batch {
    struct skein_list link;
    uint64_t context;
    uint64_t index; /* 0: not settled */
    uint64_t begun_ns, begun_boot_ns;
    struct skein_list requests; /* none: for what the round shows */
};

/* A Ready whose log write is under way. */
struct durable_write {
    struct skein_list link;
    struct wal_write write;
    struct raft_ready ready;
    struct replica *replica;
    int status;
};

/* The log's size at an index, to find how far behind a checkpoint entries are kept. */
struct log_mark {
    uint64_t index;
    uint64_t bytes;
};

/* Chunks of a snapshot that wait for the disk: twice what a sender has on the way. */
#define REPLICA_CHUNKS_PENDING 8u

/* A snapshot coming in (snapshot_receive.c). */
struct snapshot_receive {
    uint32_t from;
    uint64_t transfer; /* 0: none */
    uint64_t term;     /* of its sender */
    struct checkpoint_identity file;
    struct raft_snapshot snapshot;
    struct checkpoint_receiver *receiver;
    bool running; /* it has a fiber: while there is something to do */
    bool busy;    /* it reads or syncs what came */
    struct inbox_message pending[REPLICA_CHUNKS_PENDING];
    uint32_t pending_count;
    uint64_t ended[8]; /* transfers that are over */
    uint32_t ended_next;
    struct raft_snapshot installed; /* verified and durable, may be stepped */
    struct skein_waitq wake;
};

/* A change of members under way, or the last one (members.c). Arrays stand beside target.peers. */
struct member_change {
    struct replica_change_status status;
    uint64_t term; /* this node led in it when it last came on */
    bool force;
    struct roster target;
    uint8_t target_roles[REPLICA_NODES_MAX]; /* RAFT_VOTER or RAFT_LEARNER */
    uint64_t candidates[REPLICA_NODES_MAX]; /* disks of nodes that are no members yet; 0: unheard */
    uint64_t round_index[REPLICA_NODES_MAX]; /* a learner's round of catching up */
    uint64_t round_begun_ns[REPLICA_NODES_MAX];
    uint64_t matched[REPLICA_NODES_MAX];
    uint64_t moved_ns; /* when it last came on */
};

/* What one group knows of another node; beside host.peers. */
struct peer_view {
    bool beat_answered;      /* the last tick's beat, so far */
    uint32_t beat_rank_next; /* how many answered that one before it */
    uint32_t beat_rank;      /* the same of the beat before; UINT32_MAX: did not answer */
    struct snapshot_send *send;
};

/* One group's replica in this process. What a tick and a beat look at comes first. */
struct replica {
    struct host *host;
    uint32_t group;
    enum replica_phase phase;
    struct raft *raft;
    struct load *load; /* a snapshot on its way into the machine, or NULL */

    /* the driver */
    struct skein_list ready_link, awake_link, held_link; /* host.ready ... */
    bool ready, awake;
    bool beat_for_all; /* this round's heartbeats are a tick's */
    bool repairing;    /* repair.h */
    bool proof_wanted;
    uint32_t beat_answer_count;
    struct skein_list durable;  /* completed writes, in order */
    struct durable_write *held; /* the log's queue was full */
    uint64_t entry_writes_ahead;
    uint64_t leader_since_ns; /* who leads, as far as is known here, last changed */
    uint64_t next_yield_ns;   /* card.h */

    /* requests */
    struct skein_list queue;
    struct skein_list proposals;
    struct skein_list reads;
    struct skein_list forwarded;
    struct skein_list remotes;
    uint64_t next_context; /* from a drawn number on: an answer to a former process' read fits
                              none */
    uint64_t fresh_ns;     /* the state holds what was committed before that, by the boot clock; 0:
                              unknown */

    /* the machine */
    void *machine;
    struct sessions *sessions;
    uint64_t applied_index, applied_term;
    uint64_t log_time_ms;   /* of the last applied entry */
    uint64_t stamp_time_ms; /* highest seen in the log or stamped */

    struct peer_view views[REPLICA_NODES_MAX];
    struct member_change change;
    struct envelope_wish heard_wish; /* wish.h; id 0: none */
    uint32_t heard_wish_from;
    uint64_t told_id, next_wish_ns;
    enum replica_change_state told_state;
    struct raft_config config; /* as of the last applied entry */
    struct roster roster;      /* as of the last applied entry */
    struct wal_damage promise; /* of the disk, before it was damaged */
    bool was_member;           /* this disk was in a configuration */
    uint64_t removed_ns;       /* it was removed: when it stops; 0: it was not */

    /* checkpoints */
    char *dir; /* the host's; beyond group 0 one below it */
    uint64_t checkpoint_index;
    uint64_t checkpoint_ns;         /* when the last one was begun, or the replica started */
    uint64_t checkpoint_file_bytes; /* of the last one's content; 0: none yet */
    uint64_t log_bytes, checkpoint_log_bytes;
    struct log_mark marks[REPLICA_MARKS];
    uint32_t mark_count;
    int checkpoint_failure; /* of the last one tried; 0: it succeeded */
    uint64_t checkpoint_failures;
    uint64_t file_index; /* of the newest checkpoint file; 0: there is none */
    bool checkpoint_busy;
    bool checkpoint_wanted;            /* a file, by somebody */
    bool persist_wanted;               /* by a machine that persists itself */
    struct skein_list checkpoint_link; /* host.checkpoints */
    struct skein_waitq progress_wake;  /* a checkpoint ended */
    struct snapshot_receive receive;

    struct replica_status counters; /* only its counts */
    uint64_t leader_changes, entries_applied;
};

/* ---- replica.c ---- */
/* replica_create - @group's, without a machine. **Ownership**: replica_destroy. */
struct replica *replica_create(struct host *host, uint32_t group);
/* replica_open_machine - it and the sessions beside it, empty. */
int replica_open_machine(struct replica *replica) SKEIN_MUST_CHECK;
/* replica_destroy - its fibers have ended and nobody waits. */
void replica_destroy(struct replica *replica);
/* replica_signal - there is work for it: it gets a turn of the driver. */
void replica_signal(struct replica *replica);
/* replica_view - NULL: @node is no peer. */
struct peer_view *replica_view(struct replica *replica, uint32_t node);
bool replica_is_leader(const struct replica *replica);

/* ---- ready.c ---- */
/* ready_take - take Readies until there is none, or enough for one turn: the group is signalled
 * again. */
void ready_take(struct replica *replica);
/* ready_send - what the core has to say and nothing else (a beat, its answer) is said at once,
 * without a turn. Returns whether nothing is left to be done: else the group needs one. */
bool ready_send(struct replica *replica) SKEIN_MUST_CHECK;
/* ready_complete - step what became durable. */
void ready_complete(struct replica *replica);
void ready_drop_writes(struct replica *replica);

/* ---- apply.c ---- */
void apply_entries(struct replica *replica, const struct raft_entry *entries, size_t count);
/* apply_alone - @entry, by a replica without a core: nobody waits for it, and the configuration is
 * the only thing that its changes reach. */
void apply_alone(struct replica *replica, const struct raft_entry *entry);
/* apply_reads - answer the reads whose index is applied. */
void apply_reads(struct replica *replica);
/* apply_forget_proposals - what was proposed up to @index may or may not be in the state that a
 * snapshot brought. */
void apply_forget_proposals(struct replica *replica, uint64_t index);

/* ---- load.c ---- */
/* load_at_start - the machine becomes what the file @path holds, and the replica stands there.
 * Suspends. */
int load_at_start(struct replica *replica, const char *path, struct checkpoint_info *out_info,
                  char out_why[512]) SKEIN_MUST_CHECK;
/* load_stand_at - the machine holds the state that @info and @roster describe. */
void load_stand_at(struct replica *replica, const struct checkpoint_info *info,
                   const struct roster *roster);
/*
 * The same beside the driver. load_begin: the core has taken @snapshot over, its file is here. The
 * fiber that receives snapshots finds load_wanted and calls load_run, which suspends; meanwhile
 * replica.load is set, the machine is nobody's, and load_holds keeps what the core hands out for
 * applying (false: nothing loads). load_complete, in the driver's turn, ends it.
 */
void load_begin(struct replica *replica, const struct raft_snapshot *snapshot);
bool load_wanted(const struct replica *replica);
void load_run(struct replica *replica);
bool load_holds(struct replica *replica, const struct raft_entry *entries, size_t count);
void load_complete(struct replica *replica);
/* load_drop - nobody runs it any more. */
void load_drop(struct replica *replica);

/* ---- persist.c: machines that keep their state on disk themselves, and fail ---- */
bool persist_is_machines(const struct replica *replica);
/* persist_take - the machine's state of the call, which @info describes, durable; its failure is
 * the replica's. Suspends. */
int persist_take(struct replica *replica, const struct checkpoint_info *info) SKEIN_MUST_CHECK;
/* persist_load - at start: stand where the machine's own state is. -SKEIN_ENOTFOUND: it has none.
 */
int persist_load(struct replica *replica, struct checkpoint_info *out_info,
                 char out_why[512]) SKEIN_MUST_CHECK;
/* persist_machine_failed - it cannot go on: the replica has failed, what it replied last counts for
 * nothing. */
bool persist_machine_failed(struct replica *replica);
/* persist_prepare_entry, _reads - let the machine read ahead. Suspend. */
void persist_prepare_entry(struct replica *replica, const struct raft_entry *entry);
void persist_prepare_reads(struct replica *replica);

/* ---- request.c ---- */
/* request_finish - answer @request (@reply may be NULL), wherever it came from; a remote one is
 * freed. */
void request_finish(struct replica *replica, struct request *request, int status, const void *reply,
                    size_t reply_bytes);
/* request_repeatable - may be carried out again whatever became of it: a read, or a write in a
 * session. */
static inline bool
request_repeatable(const struct request *request)
{
    return request->kind == REPLICA_READ || request->in_session;
}
/* request_requeue - certainly not carried out, or repeatable: back to the queue. */
void request_requeue(struct replica *replica, struct request *request);
/* request_repeat - of a repeatable one nobody knows whether it was carried out: once more. */
void request_repeat(struct replica *replica, struct request *request);
/* request_finish_all - every request; queued ones with @queued_status, writes under way are
 * unknown. */
void request_finish_all(struct replica *replica, int queued_status);
/* request_expire - remote requests whose deadline has passed. */
void request_expire(struct replica *replica, uint64_t now_ns);

/* ---- propose.c ---- */
/* propose_queue - hand every queued request to the log, the read index or the leader. */
void propose_queue(struct replica *replica);

/* ---- reads.c ---- */
/* reads_take - what becomes of every queued read that this node sees to. */
void reads_take(struct replica *replica, uint64_t now_ns);
/* reads_is_local - answered by the node that was asked, out of its own state. */
bool reads_is_local(const struct request *request);
/* reads_drop - the core dropped every read that is not settled: they begin again. */
void reads_drop(struct replica *replica);
void reads_tick(struct replica *replica, uint64_t now_ns);

/* ---- read_round.c ---- */
/* read_round_on_tick - the heartbeats that come next are a tick's. */
void read_round_on_tick(struct replica *replica);
/* read_round_on_answer - @node answered a heartbeat. */
void read_round_on_answer(struct replica *replica, uint32_t node);
/* read_round_on_lost - the link to the peer in @slot broke. */
void read_round_on_lost(struct replica *replica, uint32_t slot);
/* read_round_spares - @message asks a peer whose answer a round of reads does not need. */
bool read_round_spares(struct replica *replica, const struct raft_message *message);

/* ---- forward.c: this node is the origin ---- */
/* forward_request - into the message for the leader's node. False: there is no way to it now. */
bool forward_request(struct replica *replica, struct request *request, uint32_t leader);
/* forward_retry_reads - reads handed to others than @leader start again. */
void forward_retry_reads(struct replica *replica, uint32_t leader);
/* forward_give_up - writes handed to one who has not led for long are of unknown outcome. */
void forward_give_up(struct replica *replica, uint64_t now_ns);
/* forward_lost - the link to @node broke: reads start again, writes keep waiting. */
void forward_lost(struct replica *replica, uint32_t node);
/* forward_forget_token - the link to @peer broke: what is handed on to it from now on carries no
 * token until it has named one. */
void forward_forget_token(struct host *host, struct peer *peer);

/* ---- forward_serve.c: this node leads, or is believed to ---- */
void forward_answer(struct host *host, struct request *request, int status, const void *reply,
                    size_t reply_bytes);

/* ---- inbox.c ---- */
/* inbox_send - a raft message to its addressee's node; it leaves with inbox_flush, a snapshot
 * behind its file. inbox_send_raft: any message as it is. */
void inbox_send(struct replica *replica, const struct raft_message *message);
void inbox_send_raft(struct replica *replica, const struct raft_message *message);

/* ---- membership.c ---- */
/* membership_refresh - phase by whether this disk is in the configuration. */
void membership_refresh(struct replica *replica);

/* ---- members.c, members_begin.c, members_peers.c ---- */
/* members_roster - the one that counts. */
const struct roster *members_roster(const struct replica *replica);
/* members_find - where @node's disk stands in the configuration, or -1. */
int members_find(const struct replica *replica, uint32_t node);
/* members_answers - @node was heard within an election timeout, or is this one. */
bool members_answers(const struct replica *replica, uint32_t node);
/* members_explain_silent - too few voters of @config's @half answer for a majority; says so. */
bool members_explain_silent(const struct replica *replica, const struct raft_config *config,
                            enum raft_member half, char out_why[512]);
/* members_turn - the next step of the change under way. */
void members_turn(struct replica *replica, uint64_t now_ns);
/* members_on_applicant - a disk asks to be let in. True: that is the change's business, or the node
 * is none of the cluster's. */
bool members_on_applicant(struct replica *replica, uint64_t applicant);
/* members_apply_roster - @entry changed the configuration, which was @before: the roster that came
 * with it counts; whoever went when a joint one was left is not in it any more. */
void members_apply_roster(struct replica *replica, const struct raft_entry *entry,
                          const struct raft_config *before);
/* members_note_removed - notice that this node was taken out of roster and configuration. */
void members_note_removed(struct replica *replica);

/* ---- checkpoint.c ---- */
/* checkpoint_run - one of the fibers that take the checkpoints of all groups, in turn. */
void checkpoint_run(void *arg);
/* checkpoint_signal - one may be due. */
void checkpoint_signal(struct replica *replica);
/* checkpoint_describe - the header of a checkpoint of now. */
void checkpoint_describe(const struct replica *replica, struct checkpoint_info *out_info);
/* ---- damage that is found while the node runs (scrub.c) ---- */
/* scrub_on_rot - wal_options.on_rot; @owner: the host. */
void scrub_on_rot(void *owner, uint32_t group);
/* scrub_run - a fiber of the host: reads the newest checkpoint file of each group, one after the
 * other, again and again. */
void scrub_run(void *arg);
/* checkpoint_note_applied - the log grew: @bytes at @index. */
void checkpoint_note_applied(struct replica *replica, uint64_t index, uint64_t bytes);

/* ---- checkpoint_policy.c ---- */
/* checkpoint_is_time - the log has grown enough, in bytes or entries, or is old enough, or the
 * machine's memory wants it. */
bool checkpoint_is_time(const struct replica *replica);
/* checkpoint_interval_end_ns - when one is due by time alone, or SKEIN_NEVER. */
uint64_t checkpoint_interval_end_ns(const struct replica *replica);
/* checkpoint_pause_ns - after a piece of a file that was begun when the log had @begun_log_bytes
 * and has @written_bytes now; 0: somebody waits for it. */
uint64_t checkpoint_pause_ns(const struct replica *replica, uint64_t begun_log_bytes,
                             uint64_t written_bytes);
/* checkpoint_keep_from - where the log begins behind a checkpoint at @index, when it had
 * @bytes_at_index; up to @index + 1. */
uint64_t checkpoint_keep_from(const struct replica *replica, uint64_t index,
                              uint64_t bytes_at_index);
void checkpoint_forget_marks(struct replica *replica, uint64_t before);
/* checkpoint_note_log - count @bytes of the entry at @index. */
void checkpoint_note_log(struct replica *replica, uint64_t index, uint64_t bytes);

/* ---- snapshot_send.c, snapshot_receive.c ---- */
/* snapshot_send_keeps - the first index that followers go on with whom a snapshot is being sent to,
 * or just was; UINT64_MAX: none. */
uint64_t snapshot_send_keeps(const struct replica *replica);
/* snapshot_throttle - wait until @count bytes more of a snapshot may leave this node. 0,
 * -SKEIN_ECANCELED. */
int snapshot_throttle(struct host *host, uint64_t count) SKEIN_MUST_CHECK;
/* snapshot_send_begin - stream the checkpoint that @message names, then send @message. One transfer
 * a peer. */
void snapshot_send_begin(struct replica *replica, const struct raft_message *message);
void snapshot_send_on_ack(struct host *host, uint32_t from, struct bytes message);
void snapshot_send_end_all(struct replica *replica);
/* snapshot_receive_signal - chunks or a file to load wait: its fiber runs, or is started. */
void snapshot_receive_signal(struct replica *replica);
void snapshot_receive_on_chunk(struct host *host, uint32_t from, struct bytes message);
/* snapshot_receive_may_step - the file that a RAFT_SNAPSHOT needs is here, or the message is stale
 * anyway. */
bool snapshot_receive_may_step(const struct replica *replica, const struct raft_snapshot *snapshot);

#endif
