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

int
fiber_park_counted(enum wait_kind kind, uint64_t deadline_ns,
                   void (*interrupt)(struct skein_fiber *fiber, int reason), void *interrupt_arg)
{
    struct wait_stats *stats = &fiber_self()->shard->stats.waits[kind];
    uint64_t begun_ns = skein_coarse_now_ns();
    stats->count++;
    stats->waiting++;
    int rc = fiber_park(deadline_ns, interrupt, interrupt_arg);
    stats->waiting--;
    stats->ns += skein_coarse_now_ns() - begun_ns;
    stats->gave_up += rc == -SKEIN_ETIMEDOUT || rc == -SKEIN_ECANCELED;
    return rc;
}

int
wait_counted(struct skein_waitq *q, enum wait_kind kind, uint64_t deadline_ns)
{
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    list_push_back(&q->waiters, &fiber_self()->link);
    return fiber_park_counted(kind, deadline_ns, fiber_ready, NULL);
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
