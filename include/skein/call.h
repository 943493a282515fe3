/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_CALL_H
#define SKEIN_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Between shards.
 *
 * The shards of a runtime (skein/runtime.h) share nothing; they talk through mailboxes, one ring
 * each way between each two of them, and one from a shard to itself, so that a shard needs no
 * special case for its own number.
 *
 *                     there                              here
 *   skein_call      fn(arg) in a fiber of its own      the caller is parked until it returned
 *   skein_post      fn(arg) between two fibers         nothing comes back
 *   skein_send      message->run between two fibers    message->home, when run has returned
 *
 * Order: what a shard posts and sends to another one arrives in that order. Calls start in the
 * order they were made (each may then park and finish when it likes).
 *
 * Back-pressure: a ring has 128 slots. skein_post and skein_send answer -SKEIN_EAGAIN when it is
 * full; skein_wait_room parks until it is not. Calls wait by themselves, in order, for room and for
 * one of the call_count_max credits that a shard has with each other shard: so many of its calls
 * run there at once at most. A shard always takes what arrives, whatever its own rings look like,
 * and answers find their way as room appears: two shards that fill each other's ring do not wait on
 * each other. But a chain of calls that leads back to the shard it came from holds a credit for
 * each step; give such calls a deadline.
 *
 * Memory: nothing changes hands. A message is freed by the shard that made it, in home; for other
 * objects there are foreign pointers, below. What @arg points to stays valid until the call has
 * returned.
 *
 * Scheduling groups: a call runs in the group of the same name as the caller's (a preset is made
 * where it is missing; another name that the shard does not know becomes normal). What is posted or
 * sent runs outside all groups.
 *
 * "Between two fibers" means on the shard's thread, outside any fiber: such a function must not
 * park (no call with a deadline); it may wake fibers, spawn, post and send.
 *
 * Unless said otherwise: **Runs on** a shard of a runtime; a shard number is below
 * skein_shard_count, all else is a programmer's error.
 */

/* skein_shard_index / skein_shard_count - this shard's number, from 0; how many there are. A shard
 * that belongs to no runtime is number 0 of 1 (and can be neither called nor posted to). */
unsigned skein_shard_index(void);
unsigned skein_shard_count(void);

/* ---- calls ---- */

/*
 * skein_call - run @fn(@arg) in a fiber of shard @shard and wait until it has returned.
 * At the deadline, or when the calling fiber is cancelled, a call that is still here is withdrawn
 * and one that is there has its fiber cancelled; then it is waited for all the same, because it may
 * use @arg. A result that is not -SKEIN_ECANCELED beats both.
 * **Runs on** a fiber, suspends. Costs the transfer of a cache line each way and a fiber.
 * **Returns** what @fn returned; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED; from the other shard, when the
 * call could not begin there: -SKEIN_EAGAIN: its fiber limit, -ENOMEM: no stack, -SKEIN_ECLOSED: it
 * is stopping.
 */
int64_t skein_call(unsigned shard, int64_t (*fn)(void *arg), void *arg, uint64_t deadline_ns);

/*
 * skein_call_all - skein_call on every shard, this one too, all at once, and wait for all.
 * @out_results: one for each shard, by number; NULL: not wanted.
 * **Returns** 0 when each result is >= 0, else the negative one of the lowest shard.
 */
int skein_call_all(int64_t (*fn)(void *arg), void *arg, int64_t *out_results,
                   uint64_t deadline_ns) SKEIN_MUST_CHECK;

/*
 * skein_map_reduce - run @map(@arg) on every shard and fold the results here, in the order of the
 * shards' numbers, so that the outcome does not depend on who was faster.
 * @reduce: (so far, result of the next shard) -> so far; not called for a failed map.
 * **Returns** 0 with @out_value the fold over @initial; else the first negative result by shard
 * number (@out_value untouched).
 */
int skein_map_reduce(int64_t (*map)(void *arg), void *arg,
                     int64_t (*reduce)(int64_t so_far, int64_t result), int64_t initial,
                     int64_t *out_value, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- one-way ---- */

/*
 * skein_post - have @fn(@arg) run on shard @shard, between two fibers.
 * **Runs on** a fiber or between two. **Returns** 0: it will run; -SKEIN_EAGAIN: the ring is full.
 */
int skein_post(unsigned shard, void (*fn)(void *arg), void *arg) SKEIN_MUST_CHECK;

/*
 * A message: embedded in an object of the sender's. From skein_send until home is called it belongs
 * to the other shard, which may read and write it but not free it.
 */
struct skein_message {
    void (*run)(struct skein_message *message);  /* there, between two fibers */
    void (*home)(struct skein_message *message); /* here, between two fibers: free it */
};

/* skein_send - hand @message to shard @shard. **Ownership**: until home. **Returns** as skein_post;
 * on failure the message is still the caller's. */
int skein_send(unsigned shard, struct skein_message *message) SKEIN_MUST_CHECK;

/*
 * skein_wait_room - park until a post or message to shard @shard may fit; try again then.
 * **Runs on** a fiber, suspends. **Returns** 0, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED.
 */
int skein_wait_room(unsigned shard, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- foreign pointers: an object that travels and is freed at home ---- */

struct skein_foreign;

/* skein_foreign_open - @drop(@object) will be called on this shard, between two fibers, once
 * somebody has dropped the pointer. Never NULL. */
struct skein_foreign *skein_foreign_open(void *object, void (*drop)(void *object));
void *skein_foreign_object(const struct skein_foreign *foreign);
/* skein_foreign_home - the number of the shard that made it. */
unsigned skein_foreign_home(const struct skein_foreign *foreign);
/* skein_foreign_drop - the holder is done with it. NULL is allowed. **Runs on** any shard of the
 * runtime; does not suspend, needs no room and cannot fail. */
void skein_foreign_drop(struct skein_foreign *foreign);

/* ---- from threads that are no shard ---- */

struct skein_runtime;

/*
 * skein_thread_post - skein_post from any thread. Valid until skein_runtime_run is about to return:
 * whoever starts such threads joins them in main_fn.
 * @runtime: skein_runtime_self, asked on a shard.
 * **Runs on** any thread. **Returns** 0; -SKEIN_EAGAIN: the shard's inbox is full
 * (inbox_count_max); -SKEIN_ECLOSED: it is stopping.
 */
int skein_thread_post(struct skein_runtime *runtime, unsigned shard, void (*fn)(void *arg),
                      void *arg) SKEIN_MUST_CHECK;

/*
 * skein_thread_call - skein_call from a thread that is no shard; blocks the thread.
 * **Returns** what @fn returned, or as skein_thread_post and skein_call (no deadline).
 */
int64_t skein_thread_call(struct skein_runtime *runtime, unsigned shard, int64_t (*fn)(void *arg),
                          void *arg);

/* ---- figures ---- */

struct skein_mailbox_stats {
    uint64_t sent_count;     /* items that went into rings */
    uint64_t received_count; /* items taken out of them */
    uint64_t full_count;     /* posts and messages refused because the ring was full */
    uint64_t wake_count;     /* sleeping shards this one woke */
    uint64_t sleep_count;    /* times this one went to sleep */
    uint64_t poll_count;     /* times it stayed awake polling and something came */
};

/* skein_mailbox_stats_read - of the current shard, since it started. */
void skein_mailbox_stats_read(struct skein_mailbox_stats *out_stats);

#ifdef __cplusplus
}
#endif

#endif
