/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "skein/error.h"

void
skein_scope_init(struct skein_scope *scope)
{
    *scope = (struct skein_scope){.deadline_ns = SKEIN_NEVER};
    list_init(&scope->fibers);
}

int
skein_spawn(struct skein_scope *scope, const char *name, void (*fn)(void *arg), void *arg,
            enum skein_stack_class stack_class)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    return fiber_spawn(shard, scope, name, fn, arg, stack_class);
}

void
skein_scope_set_deadline(struct skein_scope *scope, uint64_t deadline_ns)
{
    scope->deadline_ns = deadline_ns;
}

void
skein_scope_cancel(struct skein_scope *scope)
{
    scope->cancelled = true;
    list_for_each (link, &scope->fibers)
        fiber_cancel(LIST_ENTRY(link, struct skein_fiber, scope_link));
}

void
scope_leave(struct skein_fiber *fiber)
{
    struct skein_scope *scope = fiber->scope;
    skein_assert(scope->live_count > 0);
    list_remove(&fiber->scope_link);
    scope->live_count--;
    if (scope->live_count == 0 && scope->joiner && scope->joiner->state == FIBER_PARKED)
        fiber_ready(scope->joiner, 0);
}

void
skein_detach(struct skein_scope *to)
{
    struct skein_fiber *fiber = fiber_self();
    skein_assert(fiber->deadlines == NULL);
    skein_assert(to->joiner != fiber);
    scope_leave(fiber);
    fiber->scope = to;
    to->live_count++;
    list_push_back(&to->fibers, &fiber->scope_link);
    fiber->deadline_ns = to->deadline_ns;
    if (to->cancelled)
        fiber->cancelled = true;
}

void
skein_scope_join(struct skein_scope *scope)
{
    struct skein_fiber *self = fiber_self();
    skein_assert(self->scope != scope);
    skein_assert(scope->joiner == NULL);
    scope->joiner = self;
    while (scope->live_count > 0) {
        bool cancelled = skein_cancelled();
        if (cancelled && !scope->cancelled)
            skein_scope_cancel(scope);
        /* Woken by a cancel the joiner cancels the scope itself, above: nested scopes unwind one
         * by one, each on its own stack. */
        int rc =
            fiber_park_alone(SKEIN_NEVER, cancelled ? fiber_not_interruptible : fiber_ready, NULL);
        skein_assert(rc == 0 || rc == -SKEIN_ECANCELED);
    }
    scope->joiner = NULL;
}
