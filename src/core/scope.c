/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "skein/error.h"

void
skein_scope_init(struct skein_scope *scope)
{
    *scope = (struct skein_scope){0};
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
skein_scope_cancel(struct skein_scope *scope)
{
    scope->cancelled = true;
    list_for_each (link, &scope->fibers) {
        struct skein_fiber *fiber = LIST_ENTRY(link, struct skein_fiber, scope_link);
        if (fiber->cancelled)
            continue;
        fiber->cancelled = true;
        if (fiber->state == FIBER_PARKED && fiber->shield_depth == 0)
            fiber->interrupt(fiber, -SKEIN_ECANCELED);
    }
}

void
skein_scope_join(struct skein_scope *scope)
{
    struct skein_fiber *self = skein_fiber_self();
    skein_assert(self->scope != scope);
    skein_assert(scope->joiner == NULL);
    scope->joiner = self;
    while (scope->live_count > 0) {
        bool cancelled = skein_cancelled();
        if (cancelled && !scope->cancelled)
            skein_scope_cancel(scope);
        /* Woken by a cancel the joiner cancels the scope itself, above: nested scopes unwind one
         * by one, each on its own stack. */
        int rc = fiber_park(SKEIN_NEVER, cancelled ? fiber_not_interruptible : fiber_ready, NULL);
        skein_assert(rc == 0 || rc == -SKEIN_ECANCELED);
    }
    scope->joiner = NULL;
}
