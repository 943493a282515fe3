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

void
skein_mutex_init(struct skein_mutex *mutex)
{
    skein_waitq_init(&mutex->q);
    mutex->owner = NULL;
}

int
skein_mutex_lock(struct skein_mutex *mutex, uint64_t deadline_ns)
{
    struct skein_fiber *self = skein_fiber_self();
    skein_assert(mutex->owner != self);
    if (!mutex->owner) {
        mutex->owner = self;
        return 0;
    }
    int rc = skein_wait(&mutex->q, deadline_ns);
    skein_assert(rc < 0 || mutex->owner == self);
    return rc;
}

void
skein_mutex_unlock(struct skein_mutex *mutex)
{
    skein_assert(mutex->owner == skein_fiber_self());
    mutex->owner = NULL;
    if (list_is_empty(&mutex->q.waiters))
        return;
    /* Handed over, so that nobody overtakes a fiber that has been waiting. */
    mutex->owner = LIST_ENTRY(mutex->q.waiters.next, struct skein_fiber, link);
    skein_wake_one(&mutex->q);
}
