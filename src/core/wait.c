/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "skein/error.h"

void
skein_waitq_init(struct skein_waitq *q)
{
    list_init(&q->waiters);
}

int
skein_wait(struct skein_waitq *q, uint64_t deadline_ns)
{
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    list_push_back(&q->waiters, &skein_fiber_self()->link);
    return fiber_park(deadline_ns, fiber_ready, NULL);
}

void
skein_wake_one(struct skein_waitq *q)
{
    if (!list_is_empty(&q->waiters))
        fiber_ready(LIST_ENTRY(q->waiters.next, struct skein_fiber, link), 0);
}

void
skein_wake_all(struct skein_waitq *q)
{
    while (!list_is_empty(&q->waiters))
        skein_wake_one(q);
}
