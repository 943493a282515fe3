/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include "core/backend.h"
#include "core/context.h"
#include "skein/fiber.h"
#include "core/stack.h"
#include "core/timer.h"

/*
 * What the files of core share: the records of a shard and of a fiber, and parking.
 *
 *      fiber_ready                              runs, in FIFO order
 *   parked ------------------------> ready ------------------------> running
 *      ^   fiber_interrupt (timer, cancel):                             |
 *      |   the park's own handler decides            fiber_park         |
 *      +----------------------------------------------------------------+
 *
 * A wake-up takes the fiber off its queue and disarms its timer, so of a wake, a deadline and a
 * cancellation at the same time the first one counts and the others find nothing to do.
 */

#define FIBER_MAGIC 0x736b66696265723full
#define SHARD_MAGIC 0x736b73686172643full

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_PARKED, FIBER_DONE };

struct skein_fiber {
    uint64_t magic;
    struct skein_shard *shard;
    struct context context;
    struct skein_list link; /* in the ready list, or in the queue it is parked on */
    struct skein_list scope_link;
    struct skein_list shard_link;
    struct core_timer timer;
    struct skein_scope *scope;
    struct core_stack *stack;
    const char *name;
    void (*fn)(void *arg);
    void *arg;
    /* While parked: what a deadline (-SKEIN_ETIMEDOUT) or a cancel (-SKEIN_ECANCELED) does. */
    void (*interrupt)(struct skein_fiber *fiber, int reason);
    void *interrupt_arg;
    int wake_result;
    uint32_t shield_depth;
    enum fiber_state state;
    bool cancelled;
};

_Static_assert(sizeof(struct skein_fiber) <= STACK_ROOM_BYTES, "a fiber's record fits its room");

struct skein_shard {
    uint64_t magic;
    struct backend *backend;
    struct skein_stack_pool *stacks;
    uint32_t fiber_count_max;
    uint32_t fiber_count;
    struct skein_list ready;
    struct skein_list fibers; /* every live one */
    struct timer_heap timers;
    struct skein_fiber *running;
    struct context scheduler;
    struct skein_scope main_scope;
    int (*main_fn)(void *arg);
    void *main_arg;
    int main_result;
    bool started;
};

/* shard_set_current - returns the previous one. */
struct skein_shard *shard_set_current(struct skein_shard *shard);

/* fiber_spawn - as skein_spawn, on @shard. */
int fiber_spawn(struct skein_shard *shard, struct skein_scope *scope, const char *name,
                void (*fn)(void *arg), void *arg,
                enum skein_stack_class stack_class) SKEIN_MUST_CHECK;
/* fiber_run - run a ready fiber until it parks, yields or ends. */
void fiber_run(struct skein_fiber *fiber);
/* fiber_drop - take a live fiber out of the shard; its stack goes back to the pool. */
void fiber_drop(struct skein_fiber *fiber);
/*
 * fiber_park - the running fiber sleeps until fiber_ready; the caller has put fiber->link on a
 * queue if there is one. @interrupt: called at the deadline and on cancellation, at most once each.
 * **Returns** what fiber_ready was given.
 */
int fiber_park(uint64_t deadline_ns, void (*interrupt)(struct skein_fiber *fiber, int reason),
               void *interrupt_arg);
/* fiber_ready - a parked fiber leaves its queue and will run; its fiber_park returns @result. */
void fiber_ready(struct skein_fiber *fiber, int result);
/* fiber_not_interruptible - an interrupt handler that lets the wait go on. */
void fiber_not_interruptible(struct skein_fiber *fiber, int reason);

#endif
