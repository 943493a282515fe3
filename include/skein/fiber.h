/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_FIBER_H
#define SKEIN_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/list.h"
#include "skein/shard.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Fibers and scopes.
 *
 * A fiber is a stack of its own, scheduled cooperatively: it runs until it parks (in a call that
 * takes a deadline, or skein_yield). Every fiber lives in a scope; a scope is joined before it goes
 * out of life, so no fiber outlives its parent by accident:
 *
 *     struct skein_scope scope;
 *     skein_scope_init(&scope);
 *     rc = skein_spawn(&scope, "reader", reader, &arg, SKEIN_STACK_SMALL);
 *     ...
 *     skein_scope_cancel(&scope);      ask them all to end
 *     skein_scope_join(&scope);        wait until they have
 *
 * Cancellation is a level, not an edge: from the moment a fiber is cancelled each call that would
 * park returns -SKEIN_ECANCELED at once (a result that is already there beats it), unless the fiber
 * shields itself for its clean-up with skein_shield.
 *
 *      spawn --> ready --> running --> done
 *                  ^          | park
 *                  +- wake -- parked
 */

struct skein_fiber;

struct skein_scope {
    struct skein_list fibers;
    struct skein_fiber *joiner;
    uint64_t live_count;
    bool cancelled; /* a fiber spawned into a cancelled scope starts cancelled */
};

void skein_scope_init(struct skein_scope *scope);

/*
 * skein_spawn - a new fiber, ready to run after those that are ready now.
 * @name: borrowed for the fiber's life (a literal); @fn's return value is dropped.
 * **Returns** 0; -SKEIN_EAGAIN: the shard's fiber limit; -ENOMEM: no stack to be had.
 */
int skein_spawn(struct skein_scope *scope, const char *name, void (*fn)(void *arg), void *arg,
                enum skein_stack_class stack) SKEIN_MUST_CHECK;

/* skein_scope_cancel - cancel every fiber in the scope, and those spawned into it later. */
void skein_scope_cancel(struct skein_scope *scope);

/* skein_scope_join - park until every fiber of the scope is done. Not cut short by cancellation: a
 * cancelled caller first cancels the scope, then waits. **Runs on** the scope's shard, in a fiber.
 */
void skein_scope_join(struct skein_scope *scope);

/* skein_yield - let the other ready fibers run first. */
void skein_yield(void);

/* skein_sleep - park until @deadline_ns. **Returns** 0 or -SKEIN_ECANCELED. */
int skein_sleep(uint64_t deadline_ns);

/* skein_cancelled - whether the running fiber has been cancelled (and is not shielded). */
bool skein_cancelled(void);

/* skein_shield - with true, the running fiber's calls ignore cancellation; for clean-up. Nests. */
void skein_shield(bool on);

struct skein_fiber *skein_fiber_self(void);
const char *skein_fiber_name(const struct skein_fiber *fiber);

/* ---- waiting: the one primitive the others are made of ---- */

/*
 * A queue of parked fibers, FIFO. Zeroed is not valid: skein_waitq_init.
 *
 *     while (!condition)
 *         if ((rc = skein_wait(&q, deadline_ns)) < 0) return rc;
 *
 * There is one thread, so the test and the wait cannot race.
 */
struct skein_waitq {
    struct skein_list waiters;
};

void skein_waitq_init(struct skein_waitq *q);
/* skein_wait - park until woken. **Returns** 0, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED. */
int skein_wait(struct skein_waitq *q, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_wake_one / skein_wake_all - make waiters ready, in the order they came. Any code on the
 * shard, backend completions included, may call it. */
void skein_wake_one(struct skein_waitq *q);
void skein_wake_all(struct skein_waitq *q);

/* A mutex between fibers of one shard, FIFO. */
struct skein_mutex {
    struct skein_waitq q;
    struct skein_fiber *owner;
};

void skein_mutex_init(struct skein_mutex *mutex);
int skein_mutex_lock(struct skein_mutex *mutex, uint64_t deadline_ns) SKEIN_MUST_CHECK;
void skein_mutex_unlock(struct skein_mutex *mutex);

#ifdef __cplusplus
}
#endif

#endif
