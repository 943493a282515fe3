/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/fiber.h"

#include <errno.h>

#include "core/internal.h"
#include "core/sched.h"
#include "skein/error.h"

static void
fiber_main(void *arg)
{
    struct skein_fiber *fiber = arg;
    context_entered(&fiber->shard->scheduler);
    fiber->fn(fiber->arg);
    skein_assert(fiber->state == FIBER_RUNNING);
    fiber->state = FIBER_DONE;
    context_switch(&fiber->context, &fiber->shard->scheduler, true);
    skein_unreachable();
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
        .stack = stack,
        .name = name,
        .fn = fn,
        .arg = arg,
        .state = FIBER_READY,
        .cancelled = scope->cancelled,
    };
    context_init(&fiber->context, stack->low, stack->usable_bytes, fiber_main, fiber);
    shard->fiber_count++;
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
    list_remove(&fiber->shard_link);
    context_deinit(&fiber->context);
    fiber->magic = 0;
    stack_release(fiber->stack);
}

static void
fiber_end(struct skein_fiber *fiber)
{
    struct skein_scope *scope = fiber->scope;
    skein_assert(scope->live_count > 0);
    skein_assert(!list_is_linked(&fiber->link));
    list_remove(&fiber->scope_link);
    scope->live_count--;
    fiber_drop(fiber);
    if (scope->live_count == 0 && scope->joiner && scope->joiner->state == FIBER_PARKED)
        fiber_ready(scope->joiner, 0);
}

void
fiber_run(struct skein_fiber *fiber)
{
    struct skein_shard *shard = fiber->shard;
    skein_assert(fiber->magic == FIBER_MAGIC);
    skein_assert(fiber->state == FIBER_READY);
    fiber->state = FIBER_RUNNING;
    shard->running = fiber;
    context_switch(&shard->scheduler, &fiber->context, false);
    shard->running = NULL;
    skein_assert(fiber->magic == FIBER_MAGIC);
    if (fiber->state == FIBER_DONE)
        fiber_end(fiber);
}

static void
timer_fired(struct core_timer *timer)
{
    struct skein_fiber *fiber = BASE_CONTAINER_OF(timer, struct skein_fiber, timer);
    skein_assert(fiber->state == FIBER_PARKED);
    fiber->interrupt(fiber, -SKEIN_ETIMEDOUT);
}

int
fiber_park(uint64_t deadline_ns, void (*interrupt)(struct skein_fiber *fiber, int reason),
           void *interrupt_arg)
{
    struct skein_fiber *fiber = skein_fiber_self();
    skein_assert(fiber->state == FIBER_RUNNING);
    if (deadline_ns != SKEIN_NEVER)
        timer_arm(&fiber->shard->timers, &fiber->timer, deadline_ns, timer_fired);
    fiber->interrupt = interrupt;
    fiber->interrupt_arg = interrupt_arg;
    fiber->state = FIBER_PARKED;
    context_switch(&fiber->context, &fiber->shard->scheduler, false);
    skein_assert(fiber->state == FIBER_RUNNING);
    return fiber->wake_result;
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

struct skein_fiber *
skein_fiber_self(void)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    skein_assert(shard->running != NULL);
    return shard->running;
}

const char *
skein_fiber_name(const struct skein_fiber *fiber)
{
    return fiber->name;
}

bool
skein_cancelled(void)
{
    const struct skein_fiber *fiber = skein_fiber_self();
    return fiber->cancelled && fiber->shield_depth == 0;
}

void
skein_shield(bool on)
{
    struct skein_fiber *fiber = skein_fiber_self();
    if (on) {
        fiber->shield_depth++;
        return;
    }
    skein_assert(fiber->shield_depth > 0);
    fiber->shield_depth--;
}

void
skein_yield(void)
{
    struct skein_fiber *fiber = skein_fiber_self();
    fiber->state = FIBER_READY;
    sched_push(fiber->shard, fiber);
    context_switch(&fiber->context, &fiber->shard->scheduler, false);
}

int
skein_sleep(uint64_t deadline_ns)
{
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    int rc = fiber_park(deadline_ns, fiber_ready, NULL);
    return rc == -SKEIN_ETIMEDOUT ? 0 : rc;
}
