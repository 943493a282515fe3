/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_abort_init(struct skein_abort *abort_source)
{
    *abort_source = (struct skein_abort){0};
    list_init(&abort_source->subscriptions);
    skein_waitq_init(&abort_source->q);
}

void
skein_abort_request(struct skein_abort *abort_source)
{
    struct skein_list *link;
    if (abort_source->requested)
        return;
    abort_source->requested = true;
    while ((link = list_pop_front(&abort_source->subscriptions))) {
        struct skein_abort_subscription *subscription =
            LIST_ENTRY(link, struct skein_abort_subscription, link);
        if (subscription->fiber)
            fiber_cancel(subscription->fiber);
        else
            subscription->fn(subscription->arg);
    }
    skein_wake_all(&abort_source->q);
}

bool
skein_abort_subscribe(struct skein_abort *abort_source,
                      struct skein_abort_subscription *subscription, void (*fn)(void *arg),
                      void *arg)
{
    skein_assert(fn != NULL);
    *subscription = (struct skein_abort_subscription){.fn = fn, .arg = arg};
    if (abort_source->requested)
        return false;
    list_push_back(&abort_source->subscriptions, &subscription->link);
    return true;
}

void
skein_abort_attach(struct skein_abort *abort_source, struct skein_abort_subscription *subscription)
{
    struct skein_fiber *self = fiber_self();
    *subscription = (struct skein_abort_subscription){.fiber = self};
    if (abort_source->requested)
        fiber_cancel(self);
    else
        list_push_back(&abort_source->subscriptions, &subscription->link);
}

void
skein_abort_unsubscribe(struct skein_abort_subscription *subscription)
{
    list_remove(&subscription->link);
}

int
skein_abort_wait(struct skein_abort *abort_source, uint64_t deadline_ns)
{
    chaos_point();
    return abort_source->requested ? 0 : wait_counted(&abort_source->q, WAIT_ABORT, deadline_ns);
}
