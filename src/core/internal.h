/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_INTERNAL_H
#define CORE_INTERNAL_H

#include "core/backend.h"
#include "core/context.h"
#include "core/group.h"
#include "skein/fiber.h"
#include "core/stack.h"
#include "core/timer.h"
#include "core/watch.h"

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

/* What each wake-up touches comes first and fills two lines of the cache: of a thousand connections
 * each wakes up in turn, and finds nothing of its own in the nearest cache. */
struct skein_fiber {
    struct skein_list link; /* in the ready list, or in the queue it is parked on */
    uint64_t magic;
    struct skein_shard *shard;
    struct skein_group *group;
    enum fiber_state state;
    int wake_result;
    int saved_errno;
    uint32_t shield_depth;
    /* While parked: what a deadline (-SKEIN_ETIMEDOUT) or a cancel (-SKEIN_ECANCELED) does. */
    void (*interrupt)(struct skein_fiber *fiber, int reason);
    void *interrupt_arg;
    uint64_t deadline_ns; /* the nearest of those pushed and the scope's */
    bool cancelled;
    struct context context;
    struct skein_timer_node timer;
    struct skein_list scope_link;
    struct skein_list shard_link;
    struct skein_scope *scope;
    struct core_stack *stack;
    const char *name;
    void (*fn)(void *arg);
    void *arg;
    struct skein_deadline *deadlines; /* the innermost of those pushed */
    struct fiber_local *locals;       /* the last set first */
};

#ifdef CONTEXT_TAIL
_Static_assert(offsetof(struct skein_fiber, timer) + sizeof(struct skein_list) == 128,
               "what a wake-up touches fills two lines");
#endif
_Static_assert(sizeof(struct skein_fiber) <= STACK_ROOM_BYTES, "a fiber's record fits its room");

#define SHARD_OP_KINDS (BACKEND_WATCH_READ + 1)
/* Kinds whose result is a number of bytes. */
#define SHARD_OP_MOVES_BYTES                                                                    \
    (UINT64_C(1) << BACKEND_READ | UINT64_C(1) << BACKEND_WRITE | UINT64_C(1) << BACKEND_RECV | \
     UINT64_C(1) << BACKEND_SEND | UINT64_C(1) << BACKEND_SEND_FILE)
_Static_assert(SHARD_OP_KINDS <= 64, "a bit for each kind");

/* What a fiber may wait for that is not an op; as labels: shard_metrics.c. */
enum wait_kind {
    WAIT_ABORT,
    WAIT_BARRIER,
    WAIT_CHANNEL,
    WAIT_COND,
    WAIT_FUTURE,
    WAIT_GATE,
    WAIT_MUTEX,
    WAIT_ONCE,
    WAIT_READ_AHEAD,
    WAIT_RWLOCK,
    WAIT_SEMAPHORE,
    WAIT_WAITGROUP,
    WAIT_WRITE_BEHIND,
    WAIT_KINDS
};

struct wait_stats {
    uint64_t count;   /* begun */
    uint64_t gave_up; /* ended by a deadline or a cancellation */
    uint64_t ns;      /* of those that ended, by the low-resolution clock */
    uint32_t waiting; /* now */
};

struct shard_stats {
    uint64_t switches, turns, spawns, timers_fired;
    uint64_t ops[SHARD_OP_KINDS], op_errors[SHARD_OP_KINDS];
    struct wait_stats waits[WAIT_KINDS];
    uint64_t futures_made, futures_failed, futures_live;
    uint64_t children_started, children_failed, children_live, signals;
    uint64_t op_bytes[SHARD_OP_KINDS]; /* of those in SHARD_OP_MOVES_BYTES */
    uint64_t opened_ns, sleep_ns;
};

/* Groups and what is ready in them (core/run_queue.h). */
struct shard_sched {
    struct skein_group *single; /* the only group; NULL: there are several */
    struct skein_group *normal;
    struct skein_group *spawn_in; /* of the next fiber that is spawned; NULL: its spawner's */
    struct group_level level;     /* unless single */
    struct skein_list groups;
    uint32_t group_count, group_count_max, id_next;
};

struct skein_shard {
    uint64_t magic;
    struct backend *backend;
    struct skein_stack_pool *stacks;
    uint32_t fiber_count_max;
    uint32_t fiber_count;
    struct shard_sched sched;
    struct shard_watch watch;
    struct skein_list fibers; /* every live one */
    struct timer_wheel timers;
    uint64_t coarse_now_ns; /* skein_coarse_now_ns; 0: this turn has not asked */
    struct skein_fiber *running;
    struct context scheduler;
    int *errno_at;                 /* the thread's errno */
    struct skein_scope main_scope; /* main alone */
    struct skein_scope root_scope; /* skein_shard_scope */
    int (*main_fn)(void *arg);
    void *main_arg;
    int main_result;
    bool started;
    struct chaos_state *chaos;     /* NULL: none (core/chaos.h) */
    struct skein_list future_work; /* futures to deliver or to free: core/future.h */
    bool future_working;
    uint64_t stall_ns;
    struct shard_stats stats;
    struct skein_metrics *metrics;
    struct io_limiter *io;   /* NULL: disks are given what is asked of them */
    struct shard_port *port; /* NULL: no other shards (core/mailbox_port.h) */
    struct pool *pool;       /* NULL: nothing was allocated yet (core/pool.h) */
};

/* The thread's shard; skein_shard_current returns it. */
extern __thread struct skein_shard *shard_current;

/* shard_set_current - returns the previous one. */
struct skein_shard *shard_set_current(struct skein_shard *shard);

/* shard_metrics_open - make the shard's registry, with its own figures (shard_metrics.c). */
void shard_metrics_open(struct skein_shard *shard);

/* fiber_spawn - as skein_spawn, on @shard. */
int fiber_spawn(struct skein_shard *shard, struct skein_scope *scope, const char *name,
                void (*fn)(void *arg), void *arg,
                enum skein_stack_class stack_class) SKEIN_MUST_CHECK;
/* fiber_end - what is left to do, on the scheduler's stack, when a fiber's function has returned.
 */
void fiber_end(struct skein_fiber *fiber);
/* fiber_drop - take a live fiber out of the shard; its stack goes back to the pool. */
void fiber_drop(struct skein_fiber *fiber);
/* fiber_cancel - as skein_scope_cancel, one fiber. */
void fiber_cancel(struct skein_fiber *fiber);
/* scope_leave - the fiber is no longer of its scope. */
void scope_leave(struct skein_fiber *fiber);
/* fiber_locals_destroy - the running fiber's data, at its end. */
void fiber_locals_destroy(struct skein_fiber *fiber);
/*
 * fiber_park - the running fiber sleeps until fiber_ready; the caller has put fiber->link on a
 * queue if there is one. @interrupt: called at the deadline and on cancellation, at most once each.
 * The deadlines the fiber has pushed count, too. **Returns** what fiber_ready was given.
 */
int fiber_park(uint64_t deadline_ns, void (*interrupt)(struct skein_fiber *fiber, int reason),
               void *interrupt_arg);
/* fiber_park_alone - the same, the fiber's deadlines left out. */
int fiber_park_alone(uint64_t deadline_ns, void (*interrupt)(struct skein_fiber *fiber, int reason),
                     void *interrupt_arg);
/* fiber_park_counted - fiber_park, counted in the shard's metrics. Where there was nothing to wait
 * for it is not called, so what it counts of a lock is contention. */
int fiber_park_counted(enum wait_kind kind, uint64_t deadline_ns,
                       void (*interrupt)(struct skein_fiber *fiber, int reason),
                       void *interrupt_arg) SKEIN_MUST_CHECK;
/* wait_counted - skein_wait, likewise. */
int wait_counted(struct skein_waitq *q, enum wait_kind kind, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* fiber_ready - a parked fiber leaves its queue and will run; its fiber_park returns @result. */
void fiber_ready(struct skein_fiber *fiber, int result);
/* fiber_not_interruptible - an interrupt handler that lets the wait go on. */
void fiber_not_interruptible(struct skein_fiber *fiber, int reason);

/* fiber_run - run a ready fiber until it parks, yields or ends. Inline: a switch costs least when
 * no call and no return stand between two of them. */
static inline void
fiber_run(struct skein_fiber *fiber)
{
    struct skein_shard *shard = fiber->shard;
    skein_assert(fiber->magic == FIBER_MAGIC);
    skein_assert(fiber->state == FIBER_READY);
    fiber->state = FIBER_RUNNING;
    shard->running = fiber;
    *shard->errno_at = fiber->saved_errno;
    context_resume(&shard->scheduler, &fiber->context, fiber->wake_result);
    shard->running = NULL;
    skein_assert(fiber->magic == FIBER_MAGIC);
    if (fiber->state == FIBER_DONE)
        fiber_end(fiber);
}

/* fiber_suspend - the running fiber hands over to its scheduler; returns, when it runs again, its
 * wake_result. To be the last thing a function does (see core/context.h). */
static inline __attribute__((always_inline)) int
fiber_suspend(struct skein_fiber *fiber, bool ends)
{
    struct skein_shard *shard = fiber->shard;
    fiber->saved_errno = *shard->errno_at;
    return context_suspend(&fiber->context, &shard->scheduler, ends);
}

static inline struct skein_fiber *
fiber_self(void)
{
    skein_assert(shard_current != NULL);
    skein_assert(shard_current->running != NULL);
    return shard_current->running;
}

#endif
