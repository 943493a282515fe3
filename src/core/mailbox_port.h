/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_MAILBOX_PORT_H
#define CORE_MAILBOX_PORT_H

#include "core/mailbox.h"
#include "core/mailbox_inbox.h"
#include "skein/call.h"
#include "skein/fiber.h"

/*
 * A shard's end of all its mailboxes, and the group of shards that are connected.
 *
 *   fibers run -> port_turn: flush what they sent, take what came, again ... -> nothing to do:
 *      port_rest: say "asleep", look once more -> backend wait -> port_awake
 *
 * Sleeping without losing a wake-up: the sleeper says so and looks again, the sender writes and
 * looks whether the other sleeps; of the two at least one sees the other. That needs a full fence
 * on both sides between the write and the look. The sleeper's membarrier puts one into every
 * running thread of the process, so senders, who are many, pay a compiler barrier only. Where the
 * kernel has no membarrier both sides fence; on one thread (the simulator) none does.
 *
 * The same handshake covers the way back: a shard that sleeps while messages of its own are out, or
 * while it has more to send than the ring takes, sets `wanted` in the ring, and the reader that
 * returns slots wakes it.
 *
 * Partners: `sleeping` in port_rest with port_wake; `wanted` in port_rest with receive; `returned`
 * in port_return with take_returned.
 */

#define SHARD_COUNT_MAX 256u
#define CALL_COUNT_DEFAULT 256u
#define INBOX_COUNT_DEFAULT 1024u

enum port_fence {
    PORT_FENCE_NONE,       /* all shards on one thread */
    PORT_FENCE_MEMBARRIER, /* the sleeper's membarrier does for all */
    PORT_FENCE_BOTH
};

/* A node of a shard's list of what comes home; @fn is called on that shard. */
struct port_return {
    struct port_return *next;
    void (*fn)(struct port_return *node);
};

struct port_served;
struct call;

/* What a shard keeps about another one (or about itself). */
struct port_peer {
    struct mailbox_out out;
    struct mailbox_in in;
    struct skein_list calls;   /* struct call: want a credit and room, FIFO */
    struct skein_list cancels; /* struct call: there, the cancellation has yet to be sent */
    struct skein_list replies; /* struct port_served: finished here, the answer wants room */
    struct skein_waitq room;   /* fibers that want to post */
    /* Calls made there, by number; the numbers that are free. */
    struct call **calls_there;
    uint32_t *free_ids;
    uint32_t free_id_count;
    /* Calls of the other shard that run here, by their number there. */
    struct port_served **served;
};

struct shard_port {
    struct skein_runtime *group;
    struct skein_shard *shard;
    unsigned index;
    struct port_peer *peers; /* group->count of them */
    struct skein_scope served_scope;
    struct skein_list served_free;
    bool closing; /* calls are refused */
    struct skein_mailbox_stats stats;
    uint64_t idle_poll_ns_max;         /* 0: sleep at once */
    uint64_t idle_poll_ns;             /* the window now, see mailbox_idle.c */
    uint64_t (*preempted_count)(void); /* how often others wanted our processor; NULL: nobody can */
    uint64_t preempted_seen_count;
    struct inbox inbox;
    _Alignas(128) uint32_t sleeping;
    _Alignas(128) struct port_return *returned;
};

/* The public name of a group of connected shards is a runtime. */
struct skein_runtime {
    unsigned count;
    uint32_t call_count_max;
    enum port_fence fence;
    struct shard_port *ports[SHARD_COUNT_MAX];
};

/* ---- building: group_open, port_open for each (on its own thread), port_connect for each ---- */

/* group_open - @fence: PORT_FENCE_MEMBARRIER becomes PORT_FENCE_BOTH where the kernel has none. */
struct skein_runtime *group_open(unsigned count, uint32_t call_count_max, enum port_fence fence);
/* group_close - the ports are closed. */
void group_close(struct skein_runtime *group);
/* port_open - make @shard number @index of the group. @inbox_count_max: bound of what foreign
 * threads may have waiting, rounded up to a power of two; 0: the default. */
struct shard_port *port_open(struct skein_runtime *group, unsigned index, struct skein_shard *shard,
                             uint32_t inbox_count_max);
/* port_connect - once every port of the group is open, before the shard runs. */
void port_connect(struct shard_port *port);
/* port_drain - once no shard of the group runs any more: messages of this one that are still out
 * and what others dropped comes home. */
void port_drain(struct shard_port *port);
void port_close(struct shard_port *port);

/* The current shard's; NULL: it belongs to no group. */
struct shard_port *port_current(void);

/* ---- running ---- */

/* port_turn - exchange with all other shards. Returns whether anything moved. */
bool port_turn(struct shard_port *port);
/* port_rest - announce that the shard will sleep. Returns false: something has come, do not. */
bool port_rest(struct shard_port *port);
/* port_awake - the shard runs again. */
void port_awake(struct shard_port *port);
/* port_idle - nothing is ready: poll for a while. Returns whether to sleep in the backend now; then
 * port_slept has to follow. */
bool port_idle(struct shard_port *port, uint64_t deadline_ns);
/* port_slept - the shard is back from a sleep of @slept_ns. */
void port_slept(struct shard_port *port, uint64_t slept_ns);
/* port_wake - wake @to if it sleeps; something was written for it. */
void port_wake(struct shard_port *from, struct shard_port *to);
/* port_give_back - hand @node to @home from any thread. */
void port_give_back(struct shard_port *home, struct port_return *node);
/* port_post_foreign - from a thread that is no shard. **Returns** as skein_thread_post. */
int port_post_foreign(struct shard_port *port, void (*fn)(void *arg), void *arg) SKEIN_MUST_CHECK;

/* ---- call.c and call_serve.c, on arrival ---- */
void call_reply(struct shard_port *port, unsigned from, uint32_t id, int64_t result);
/* call_flush - put calls, cancellations and answers that waited into the batch for @to. */
void call_flush(struct shard_port *port, unsigned to);
void serve_call(struct shard_port *port, unsigned from, const struct mailbox_item *item);
void serve_cancel(struct shard_port *port, unsigned from, uint32_t id);
/* serve_flush - answers that waited for room. */
void serve_flush(struct shard_port *port, unsigned to);
/* serve_local - run @fn(@arg) in a fiber of this shard; @done(@owner, result) is called in it.
 * **Returns** 0, or as fiber_spawn. */
int serve_local(struct shard_port *port, int64_t (*fn)(void *arg), void *arg,
                void (*done)(void *owner, int64_t result), void *owner) SKEIN_MUST_CHECK;
/* serve_stop - refuse calls from now on, cancel those that run and wait for them. Suspends. */
void serve_stop(struct shard_port *port);
/* serve_close - free the records. */
void serve_close(struct shard_port *port);

#endif
