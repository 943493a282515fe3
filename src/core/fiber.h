/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_FIBER_H
#define CORE_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/shard.h"

/*
 * Fibers and scopes.
 *
 * A fiber is a stack of its own, scheduled cooperatively: it runs until it parks (in a call that
 * takes a deadline, or core_yield). Every fiber lives in a scope; a scope is joined before it goes
 * out of life, so no fiber outlives its parent by accident:
 *
 *     struct core_scope scope;
 *     core_scope_init(&scope);
 *     rc = core_spawn(&scope, "reader", reader, &arg, CORE_STACK_SMALL);
 *     ...
 *     core_scope_cancel(&scope);      ask them all to end
 *     core_scope_join(&scope);        wait until they have
 *
 * Cancellation is a level, not an edge: from the moment a fiber is cancelled each call that would
 * park returns -SKEIN_ECANCELED at once (a result that is already there beats it), unless the fiber
 * shields itself for its clean-up with core_shield.
 *
 *      spawn --> ready --> running --> done
 *                  ^          | park
 *                  +- wake -- parked
 */

struct core_fiber;

struct core_scope {
    struct list fibers;
    struct core_fiber *joiner;
    uint64_t live_count;
    bool cancelled; /* a fiber spawned into a cancelled scope starts cancelled */
};

void core_scope_init(struct core_scope *scope);

/*
 * core_spawn - a new fiber, ready to run after those that are ready now.
 * @name: borrowed for the fiber's life (a literal); @fn's return value is dropped.
 * **Returns** 0; -SKEIN_EAGAIN: the shard's fiber limit; -ENOMEM: no stack to be had.
 */
int core_spawn(struct core_scope *scope, const char *name, void (*fn)(void *arg), void *arg,
               enum core_stack_class stack) SKEIN_MUST_CHECK;

/* core_scope_cancel - cancel every fiber in the scope, and those spawned into it later. */
void core_scope_cancel(struct core_scope *scope);

/* core_scope_join - park until every fiber of the scope is done. Not cut short by cancellation: a
 * cancelled caller first cancels the scope, then waits. **Runs on** the scope's shard, in a fiber.
 */
void core_scope_join(struct core_scope *scope);

/* core_yield - let the other ready fibers run first. */
void core_yield(void);

/* core_sleep - park until @deadline_ns. **Returns** 0 or -SKEIN_ECANCELED. */
int core_sleep(uint64_t deadline_ns);

/* core_cancelled - whether the running fiber has been cancelled (and is not shielded). */
bool core_cancelled(void);

/* core_shield - with true, the running fiber's calls ignore cancellation; for clean-up. Nests. */
void core_shield(bool on);

struct core_fiber *core_fiber_self(void);
const char *core_fiber_name(const struct core_fiber *fiber);

/* ---- waiting: the one primitive the others are made of ---- */

/*
 * A queue of parked fibers, FIFO. Zeroed is not valid: core_waitq_init.
 *
 *     while (!condition)
 *         if ((rc = core_wait(&q, deadline_ns)) < 0) return rc;
 *
 * There is one thread, so the test and the wait cannot race.
 */
struct core_waitq {
    struct list waiters;
};

void core_waitq_init(struct core_waitq *q);
/* core_wait - park until woken. **Returns** 0, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED. */
int core_wait(struct core_waitq *q, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* core_wake_one / core_wake_all - make waiters ready, in the order they came. Any code on the
 * shard, backend completions included, may call it. */
void core_wake_one(struct core_waitq *q);
void core_wake_all(struct core_waitq *q);

/* A mutex between fibers of one shard, FIFO. */
struct core_mutex {
    struct core_waitq q;
    struct core_fiber *owner;
};

void core_mutex_init(struct core_mutex *mutex);
int core_mutex_lock(struct core_mutex *mutex, uint64_t deadline_ns) SKEIN_MUST_CHECK;
void core_mutex_unlock(struct core_mutex *mutex);

#endif
