/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "skein/error.h"

void
core_scope_init(struct core_scope *scope)
{
    *scope = (struct core_scope){0};
    list_init(&scope->fibers);
}

int
core_spawn(struct core_scope *scope, const char *name, void (*fn)(void *arg), void *arg,
           enum core_stack_class stack_class)
{
    struct core_shard *shard = core_shard_current();
    skein_assert(shard != NULL);
    return fiber_spawn(shard, scope, name, fn, arg, stack_class);
}

void
core_scope_cancel(struct core_scope *scope)
{
    scope->cancelled = true;
    list_for_each (link, &scope->fibers) {
        struct core_fiber *fiber = LIST_ENTRY(link, struct core_fiber, scope_link);
        if (fiber->cancelled)
            continue;
        fiber->cancelled = true;
        if (fiber->state == FIBER_PARKED && fiber->shield_depth == 0)
            fiber->interrupt(fiber, -SKEIN_ECANCELED);
    }
}

void
core_scope_join(struct core_scope *scope)
{
    struct core_fiber *self = core_fiber_self();
    skein_assert(self->scope != scope);
    skein_assert(scope->joiner == NULL);
    scope->joiner = self;
    while (scope->live_count > 0) {
        bool cancelled = core_cancelled();
        if (cancelled && !scope->cancelled)
            core_scope_cancel(scope);
        /* Woken by a cancel the joiner cancels the scope itself, above: nested scopes unwind one
         * by one, each on its own stack. */
        int rc = fiber_park(CORE_NEVER, cancelled ? fiber_not_interruptible : fiber_ready, NULL);
        skein_assert(rc == 0 || rc == -SKEIN_ECANCELED);
    }
    scope->joiner = NULL;
}
