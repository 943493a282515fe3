/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/fiber.h"

#include <errno.h>

#include "core/internal.h"
#include "core/run_queue.h"
#include "skein/error.h"

static void
fiber_main(void *arg)
{
    struct skein_fiber *fiber = arg;
    context_entered(&fiber->shard->scheduler);
    fiber->fn(fiber->arg);
    skein_assert(fiber->state == FIBER_RUNNING);
    skein_assert(fiber->deadlines == NULL);
    if (fiber->locals)
        fiber_locals_destroy(fiber);
    fiber->state = FIBER_DONE;
    (void)fiber_suspend(fiber, true);
    skein_unreachable();
}

static struct skein_group *
group_for_new(const struct skein_shard *shard)
{
    if (shard->sched.spawn_in)
        return shard->sched.spawn_in;
    return shard->running ? shard->running->group : shard->sched.normal;
}

int
fiber_spawn(struct skein_shard *shard, struct skein_scope *scope, const char *name,
            void (*fn)(void *arg), void *arg, enum skein_stack_class stack_class)
{
    skein_assert(shard->magic == SHARD_MAGIC);
    skein_assert(fn != NULL);
    skein_assert(name != NULL);
    if (shard->fiber_count >= shard->fiber_count_max)
        return -SKEIN_EAGAIN;
    struct core_stack *stack = stack_acquire(shard->stacks, stack_class);
    if (!stack)
        return -ENOMEM;
    struct skein_fiber *fiber = stack->room;
    *fiber = (struct skein_fiber){
        .magic = FIBER_MAGIC,
        .shard = shard,
        .scope = scope,
        .group = group_for_new(shard),
        .stack = stack,
        .name = name,
        .fn = fn,
        .arg = arg,
        .state = FIBER_READY,
        .deadline_ns = scope->deadline_ns,
        .cancelled = scope->cancelled,
    };
    context_init(&fiber->context, stack->low, stack->usable_bytes, fiber_main, fiber);
    shard->fiber_count++;
    shard->stats.spawns++;
    fiber->group->stats.fibers++;
    list_push_back(&shard->fibers, &fiber->shard_link);
    scope->live_count++;
    list_push_back(&scope->fibers, &fiber->scope_link);
    sched_push(shard, fiber);
    return 0;
}

void
fiber_drop(struct skein_fiber *fiber)
{
    struct skein_shard *shard = fiber->shard;
    skein_assert(fiber->magic == FIBER_MAGIC);
    skein_assert(shard->fiber_count > 0);
    shard->fiber_count--;
    fiber->group->stats.fibers--;
    list_remove(&fiber->shard_link);
    context_deinit(&fiber->context);
    fiber->magic = 0;
    stack_release(fiber->stack, fiber->name);
}

void
fiber_end(struct skein_fiber *fiber)
{
    skein_assert(!list_is_linked(&fiber->link));
    scope_leave(fiber);
    fiber_drop(fiber);
}

static void
timer_fired(struct skein_timer_node *timer)
{
    struct skein_fiber *fiber = BASE_CONTAINER_OF(timer, struct skein_fiber, timer);
    skein_assert(fiber->state == FIBER_PARKED);
    fiber->shard->stats.timers_fired++;
    fiber->interrupt(fiber, -SKEIN_ETIMEDOUT);
}

int
fiber_park_alone(uint64_t deadline_ns, void (*interrupt)(struct skein_fiber *fiber, int reason),
                 void *interrupt_arg)
{
    struct skein_fiber *fiber = fiber_self();
    skein_assert(fiber->state == FIBER_RUNNING);
    skein_assert_slow(!fiber->shard->future_working); /* what futures call does not park */
    chaos_suspends(fiber);
    if (deadline_ns != SKEIN_NEVER)
        timer_arm(&fiber->shard->timers, &fiber->timer, deadline_ns, timer_fired);
    fiber->interrupt = interrupt;
    fiber->interrupt_arg = interrupt_arg;
    fiber->state = FIBER_PARKED;
    return fiber_suspend(fiber, false);
}

int
fiber_park(uint64_t deadline_ns, void (*interrupt)(struct skein_fiber *fiber, int reason),
           void *interrupt_arg)
{
    uint64_t limit_ns = skein_deadline_ns();
    return fiber_park_alone(deadline_ns < limit_ns ? deadline_ns : limit_ns, interrupt,
                            interrupt_arg);
}

void
fiber_ready(struct skein_fiber *fiber, int result)
{
    skein_assert(fiber->magic == FIBER_MAGIC);
    skein_assert(fiber->state == FIBER_PARKED);
    list_remove(&fiber->link);
    timer_disarm(&fiber->shard->timers, &fiber->timer);
    fiber->wake_result = result;
    fiber->interrupt = NULL;
    fiber->state = FIBER_READY;
    sched_push(fiber->shard, fiber);
}

void
fiber_not_interruptible(struct skein_fiber *fiber, int reason)
{
}

void
fiber_cancel(struct skein_fiber *fiber)
{
    skein_assert(fiber->magic == FIBER_MAGIC);
    if (fiber->cancelled)
        return;
    fiber->cancelled = true;
    if (fiber->state == FIBER_PARKED && fiber->shield_depth == 0)
        fiber->interrupt(fiber, -SKEIN_ECANCELED);
}

struct skein_fiber *
skein_fiber_self(void)
{
    return fiber_self();
}

const char *
skein_fiber_name(const struct skein_fiber *fiber)
{
    return fiber->name;
}

void
skein_fiber_set_name(const char *name)
{
    skein_assert(name != NULL);
    fiber_self()->name = name;
}

void
skein_fibers_visit(void (*visit)(void *arg, const struct skein_fiber_info *info), void *arg)
{
    static const char *const states[] = {[FIBER_READY] = "ready",
                                         [FIBER_RUNNING] = "running",
                                         [FIBER_PARKED] = "parked",
                                         [FIBER_DONE] = "done"};
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    list_for_each (link, &shard->fibers) {
        const struct skein_fiber *fiber = LIST_ENTRY(link, struct skein_fiber, shard_link);
        struct skein_fiber_info info = {
            .name = fiber->name,
            .state = states[fiber->state],
            .cancelled = fiber->cancelled,
            .deadline_ns = timer_deadline_ns(&fiber->timer),
            .stack_bytes = fiber->stack->usable_bytes,
            .stack_used_bytes = stack_used_bytes(fiber->stack),
        };
        visit(arg, &info);
    }
}

bool
skein_cancelled(void)
{
    const struct skein_fiber *fiber = fiber_self();
    return fiber->cancelled && fiber->shield_depth == 0;
}

void
skein_shield(bool on)
{
    struct skein_fiber *fiber = fiber_self();
    if (on) {
        fiber->shield_depth++;
        return;
    }
    skein_assert(fiber->shield_depth > 0);
    fiber->shield_depth--;
}

void
skein_deadline_push(struct skein_deadline *deadline, uint64_t deadline_ns)
{
    struct skein_fiber *fiber = fiber_self();
    *deadline = (struct skein_deadline){fiber->deadlines, fiber->deadline_ns};
    fiber->deadlines = deadline;
    if (deadline_ns < fiber->deadline_ns)
        fiber->deadline_ns = deadline_ns;
}

void
skein_deadline_pop(struct skein_deadline *deadline)
{
    struct skein_fiber *fiber = fiber_self();
    skein_assert(fiber->deadlines == deadline);
    fiber->deadlines = deadline->outer;
    fiber->deadline_ns = deadline->before_ns;
}

uint64_t
skein_deadline_ns(void)
{
    const struct skein_fiber *fiber = fiber_self();
    return fiber->shield_depth > 0 ? SKEIN_NEVER : fiber->deadline_ns;
}

void
skein_yield(void)
{
    struct skein_fiber *fiber = fiber_self();
    fiber->state = FIBER_READY;
    sched_push(fiber->shard, fiber);
    (void)fiber_suspend(fiber, false);
}

int
skein_sleep(uint64_t deadline_ns)
{
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    bool own = deadline_ns <= skein_deadline_ns();
    int rc = fiber_park(deadline_ns, fiber_ready, NULL);
    return rc == -SKEIN_ETIMEDOUT && own ? 0 : rc;
}
