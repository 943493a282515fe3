/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_HOST_H
#define REPLICA_HOST_H

#include "base/wire.h"
#include "disk/wal.h"
#include "replica/envelope.h"
#include "replica/genesis.h"
#include "replica/identity.h"
#include "replica/replica.h"
#include "replica/roster.h"
#include "replica/throttle.h"
#include "replica/window.h"
#include "skein/fiber.h"

/*
 * What the groups of one process share: a data directory with its identity, one log, one link to
 * each other node, one driver. What is a group's own is struct replica (replica/state.h).
 *
 *                       +-- replica: raft, machine, requests, checkpoint
 *   host: directory, ---+-- replica
 *   log, link, driver   +-- ...
 */

/* Checkpoints that are written at once, each of another group. */
#define REPLICA_CHECKPOINTERS 2u
#define REPLICA_MAGIC 0x6e69656b53ull
#define REPLICA_FORWARD_BUCKETS 1024u
/* Sessions of one origin that a leader remembers (its restarts). */
#define REPLICA_SESSIONS 4u
#define REPLICA_INBOX_BYTES_MAX ((uint64_t)128 << 20)

struct inbox_message {
    uint32_t from;
    struct bytes data;
};

struct session {
    uint64_t session; /* 0: free */
    uint64_t token;
    uint64_t used_ns;
    struct window *window;
};

/* What is known of another node, beside genesis. */
struct peer {
    uint32_t node;
    bool gone;           /* is none any more; the slot may be used again */
    uint64_t leaving_ns; /* not in the roster any more: when it will be gone; 0: it stays */
    uint64_t heard_ns;   /* its last message; 0: none */
    uint64_t refused_ns; /* it said last that it does not know this node; 0: never */
    bool lost;
    bool silent;      /* not heard for an election timeout: the groups it led were woken */
    uint64_t sent_ns; /* the last message to it */
    bool has_card;    /* card.h */
    uint8_t rank;
    struct skein_addr client_addr;
    uint64_t token;              /* as an origin: what its process gave us; 0: none */
    struct wire_writer rafts;    /* what the cores say to it, under construction */
    bool rafts_append;           /* with entries */
    struct wire_writer forwards; /* a FORWARD under construction */
    struct wire_writer replies;  /* a FORWARD_REPLY under construction */
    uint64_t replies_session;
    struct session sessions[REPLICA_SESSIONS]; /* as a leader */
};

/* What a machine is to prepare for. */
struct replica_ahead {
    struct bytes *list;
    size_t count, capacity;
};

struct host {
    uint64_t magic;
    struct replica_options options;
    char *data_dir;
    char *wal_dir;
    struct replica_link *link;
    struct replica_link_handler handler;
    bool link_started;
    struct skein_scope scope; /* every fiber of the host and its groups */
    int lock;

    int failure; /* 0, or nothing is served any more, for good */
    char why[512];
    bool other_disk_logged;
    bool stopping; /* nothing new is taken */
    bool ending;   /* the fibers end */

    struct identity identity;
    struct genesis genesis;
    uint64_t next_gossip_ns;
    uint64_t raft_id; /* of this disk, in every group */

    struct wal *wal;
    struct skein_scope wal_scope;

    struct peer peers[REPLICA_NODES_MAX];
    uint32_t peer_count;       /* slots, those of gone ones included */
    struct roster configured;  /* the nodes that this one was started with */
    struct roster known;       /* whom this process talks to, and where */
    struct roster left_behind; /* former.h */
    uint64_t next_warning_ns;
    struct skein_addr client_addr; /* where this node's clients connect; port 0: not told */
    uint64_t next_card_ns;
    bool had_leader;        /* a group of this process knew one */
    bool two_clusters_said; /* logged once */

    struct replica **groups; /* by number */
    uint32_t group_count;

    struct skein_list checkpoints; /* groups whose checkpoint may be due, in turn */
    struct skein_waitq checkpoint_wake;

    /* the driver */
    struct skein_waitq driver_wake;
    bool signalled;
    struct skein_list ready; /* groups with work, in turn */
    struct skein_list awake; /* groups that are ticked */
    struct skein_list held;  /* groups with a write that did not fit into the log's queue */
    uint64_t next_tick_ns;
    struct inbox_message *inbox, *inbox_spare;
    size_t inbox_count, inbox_capacity, inbox_spare_capacity;
    uint64_t inbox_bytes;
    struct wire_writer reply;   /* scratch */
    struct replica_ahead ahead; /* scratch */

    /* requests of all groups */
    struct skein_list forwards[REPLICA_FORWARD_BUCKETS]; /* by attempt */
    uint64_t pending_bytes;
    uint64_t local_count;
    uint64_t next_attempt;
    uint64_t session;             /* of this process */
    struct skein_waitq idle_wake; /* replica_stop */

    /* snapshots of all groups */
    struct throttle snapshot_throttle;
    uint32_t sends_active;
    uint32_t sends_silent; /* of them: their receiver does not answer */
    uint32_t backups_open;

    struct replica_status counters; /* only its counts of messages */
};

/* ---- host.c ---- */
/* host_create - what stands on nothing yet. **Ownership**: host_free, whatever was opened of it. */
struct host *host_create(const struct replica_options *options);
void host_free(struct host *host);
/* host_lock - the data directory is this process' own. @out_why: 512 bytes. */
int host_lock(struct host *host, char out_why[512]) SKEIN_MUST_CHECK;
/* host_fail - phase FAILED, for good, in every group; the first reason stays. Requests under way
 * are answered. */
void host_fail(struct host *host, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct peer *host_peer(struct host *host, uint32_t node);
/* host_group - NULL: there are not so many. */
struct replica *host_group(struct host *host, uint32_t group);
/* host_peer_deinit - free what a slot holds. */
void host_peer_deinit(struct peer *peer);

/* ---- metrics.c ---- */
/* host_metrics_open / close - in the shard's registry. */
void host_metrics_open(struct host *host);
void host_metrics_close(struct host *host);

/* ---- beat.c ---- */
/* beat_tick - tell peers to whom nothing was said for a period that this node is there; wake the
 * groups that sleep under a leader on a node which fell silent. Nothing, unless groups may sleep.
 */
void beat_tick(struct host *host, uint64_t now_ns);
/* beat_period_ns - a third of an election timeout, in whole ticks: how often that has to be. */
uint64_t beat_period_ns(const struct host *host);
/* beat_heard - @node said something: it is there. */
void beat_heard(struct host *host, uint32_t node);

/* ---- driver.c ---- */
void driver_run(void *arg);
/* driver_signal - there is work that is no group's: replica_signal for those. */
void driver_signal(struct host *host);

/* ---- inbox.c ---- */
void inbox_on_message(void *owner, uint32_t from, struct bytes message);
void inbox_on_lost(void *owner, uint32_t node);
void inbox_process(struct host *host);
/* inbox_flush - what the cores have to say leaves, each node's together. */
void inbox_flush(struct host *host);
/* inbox_send_writer - what @out holds, to @node; empties @out. 0 or the link's answer. */
int inbox_send_writer(struct host *host, uint32_t node, struct wire_writer *out);

/* ---- forward.c, forward_serve.c ---- */
void forward_flush(struct host *host);
void forward_on_reply(struct host *host, uint32_t from, struct bytes message);
void forward_on_request(struct host *host, uint32_t from, struct bytes message);
void forward_flush_replies(struct host *host);

/* ---- membership.c ---- */
/* membership_turn - gossip when it is time, decide when everybody was heard. Suspends when it
 * writes. */
void membership_turn(struct host *host, uint64_t now_ns);
void membership_on_message(struct host *host, uint32_t from, struct bytes message);

/* ---- members_peers.c ---- */
/* members_sync_peers - talk to the nodes of the rosters and those that a change takes in. */
void members_sync_peers(struct host *host);
/* members_lonely - no leader for long: a learner, which asks nobody for votes, has to say something
 * to hear that nobody knows it any more. */
bool members_lonely(const struct replica *replica, uint64_t now_ns);
/* members_tick - peers that are none any more; this node, when it is none any more. */
void members_tick(struct host *host, uint64_t now_ns);
void members_on_refused(void *owner, uint32_t node);

/* ---- recover.c ---- */
/* recover_start - open machine state, log and raft for a disk that is born. Suspends. */
int recover_start(struct host *host, char out_why[512]) SKEIN_MUST_CHECK;
/* recover_checkpoint - the machine and the replica stand where its newest checkpoint does.
 * @out_snapshot: that; index 0 with the first configuration: there is none. Suspends. */
int recover_checkpoint(struct replica *replica, struct raft_snapshot *out_snapshot,
                       char out_why[512]) SKEIN_MUST_CHECK;
/* recover_continues - @log's entries continue @snapshot, and are not cut off at it. */
bool recover_continues(const struct wal_group_recovery *log, const struct raft_snapshot *snapshot);

#endif
