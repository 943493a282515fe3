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
    uint64_t deadline_ns; /* of fibers spawned into it from now on; see below */
    bool cancelled;       /* a fiber spawned into a cancelled scope starts cancelled */
};

void skein_scope_init(struct skein_scope *scope);

/*
 * skein_scope_set_deadline - fibers spawned into the scope from now on run under @deadline_ns, as
 * if each had pushed it first (see skein_deadline_push).
 */
void skein_scope_set_deadline(struct skein_scope *scope, uint64_t deadline_ns);

/*
 * skein_spawn - a new fiber, ready to run after those that are ready now.
 * @name: borrowed for the fiber's life (a literal).
 * **Returns** 0; -SKEIN_EAGAIN: the shard's fiber limit; -ENOMEM: no stack to be had, for lack of
 * memory or, where the kernel has no MADV_GUARD_INSTALL, because the pool has 30,000: each of their
 * guards splits a mapping, of which a process has 65,530.
 */
int skein_spawn(struct skein_scope *scope, const char *name, void (*fn)(void *arg), void *arg,
                enum skein_stack_class stack) SKEIN_MUST_CHECK;

/* skein_scope_cancel - cancel every fiber in the scope, and those spawned into it later. */
void skein_scope_cancel(struct skein_scope *scope);

/* skein_scope_join - park until every fiber of the scope is done. Not cut short by cancellation: a
 * cancelled caller first cancels the scope, then waits. **Runs on** the scope's shard, in a fiber.
 */
void skein_scope_join(struct skein_scope *scope);

/*
 * skein_detach - the running fiber leaves its scope for @to, which then joins it. A cancelled @to
 * cancels it; its deadline becomes @to's. Not between skein_deadline_push and pop.
 * skein_shard_scope lives as long as the shard: it is cancelled when the shard's main has returned.
 */
void skein_detach(struct skein_scope *to);
struct skein_scope *skein_shard_scope(void);

/* skein_yield - let the other ready fibers run first. */
void skein_yield(void);

/* skein_sleep - park until @deadline_ns. **Returns** 0, -SKEIN_ECANCELED, or -SKEIN_ETIMEDOUT: a
 * deadline of the fiber came first. */
int skein_sleep(uint64_t deadline_ns);

/* ---- deadlines that nest ---- */

/*
 * Until the pop every call of the running fiber that parks ends at @deadline_ns at the latest, with
 * -SKEIN_ETIMEDOUT, whatever deadline it is given; of several the nearest wins. The record is the
 * caller's, usually on its stack. skein_scope_join and calls that say so (files) wait on. A shield
 * holds these deadlines off as it does cancellation.
 */
struct skein_deadline {
    struct skein_deadline *outer;
    uint64_t before_ns;
};

void skein_deadline_push(struct skein_deadline *deadline, uint64_t deadline_ns);
/* skein_deadline_pop - @deadline is the one pushed last. */
void skein_deadline_pop(struct skein_deadline *deadline);
/* skein_deadline_ns - the nearest of the running fiber's deadlines; SKEIN_NEVER: none. */
uint64_t skein_deadline_ns(void);

/* ---- data of a fiber ---- */

/*
 * A value that belongs to the running fiber, found by the address of its key:
 *
 *     static const struct skein_local trace_id = {free_trace_id};
 *     skein_local_set(&trace_id, value);
 *
 * When the fiber's function has returned, destroy is called for each value that is left, the last
 * set first, in the fiber and shielded: it may park. Not called for a fiber of a crashed node.
 */
struct skein_local {
    void (*destroy)(void *value); /* NULL: nothing to do */
};

/* skein_local_set - replaces (and does not destroy) what was there; NULL takes the entry away. */
void skein_local_set(const struct skein_local *key, void *value);
/* skein_local_get - the value, NULL when there is none. Cost: one step for each key set. */
void *skein_local_get(const struct skein_local *key);

/* skein_cancelled - whether the running fiber has been cancelled (and is not shielded). */
bool skein_cancelled(void);

/* skein_shield - with true, the running fiber's calls ignore cancellation; for clean-up. Nests. */
void skein_shield(bool on);

struct skein_fiber *skein_fiber_self(void);
const char *skein_fiber_name(const struct skein_fiber *fiber);
/* skein_fiber_set_name - of the running fiber; borrowed for its life. */
void skein_fiber_set_name(const char *name);

struct skein_fiber_info {
    const char *name;
    const char *state; /* "ready", "running", "parked" */
    bool cancelled;
    uint64_t deadline_ns;    /* when what it waits for times out; SKEIN_NEVER */
    size_t stack_bytes;      /* usable */
    size_t stack_used_bytes; /* the deepest use of its stack, by it or, unless the pool measures,
                              * by fibers that had the stack before */
};

/* skein_fibers_visit - every live fiber of the shard, oldest first. @visit must not park or spawn.
 * Cost: a system call for each. */
void skein_fibers_visit(void (*visit)(void *arg, const struct skein_fiber_info *info), void *arg);

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

/* ---- one fiber: its result, its cancellation ---- */

/*
 * A fiber that is joined by itself. The record is the caller's and has to live as long as the
 * fiber, so until it was joined or its scope was:
 *
 *     struct skein_task task;
 *     rc = skein_task_spawn(&task, &scope, "sum", sum, &arg, SKEIN_STACK_SMALL);
 *     ...
 *     rc = skein_task_join(&task, deadline_ns, &result);
 */
struct skein_task {
    struct skein_fiber *fiber; /* NULL: it has ended */
    struct skein_waitq joiners;
    int (*fn)(void *arg);
    void *arg;
    int result;
};

/* skein_task_spawn - as skein_spawn; what @fn returns is the task's result. */
int skein_task_spawn(struct skein_task *task, struct skein_scope *scope, const char *name,
                     int (*fn)(void *arg), void *arg,
                     enum skein_stack_class stack) SKEIN_MUST_CHECK;
/* skein_task_join - park until it has ended; any number of fibers may. @out_result: NULL or where
 * its result goes. **Returns** 0, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED (the task goes on). */
int skein_task_join(struct skein_task *task, uint64_t deadline_ns,
                    int *out_result) SKEIN_MUST_CHECK;
/* skein_task_cancel - cancel this one fiber; nothing when it has ended. */
void skein_task_cancel(struct skein_task *task);

#ifdef __cplusplus
}
#endif

#endif
