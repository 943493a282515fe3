/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "skein/error.h"

void
core_waitq_init(struct core_waitq *q)
{
    list_init(&q->waiters);
}

int
core_wait(struct core_waitq *q, uint64_t deadline_ns)
{
    if (core_cancelled())
        return -SKEIN_ECANCELED;
    list_push_back(&q->waiters, &core_fiber_self()->link);
    return fiber_park(deadline_ns, fiber_ready, NULL);
}

void
core_wake_one(struct core_waitq *q)
{
    if (!list_is_empty(&q->waiters))
        fiber_ready(LIST_ENTRY(q->waiters.next, struct core_fiber, link), 0);
}

void
core_wake_all(struct core_waitq *q)
{
    while (!list_is_empty(&q->waiters))
        core_wake_one(q);
}

void
core_mutex_init(struct core_mutex *mutex)
{
    core_waitq_init(&mutex->q);
    mutex->owner = NULL;
}

int
core_mutex_lock(struct core_mutex *mutex, uint64_t deadline_ns)
{
    struct core_fiber *self = core_fiber_self();
    skein_assert(mutex->owner != self);
    if (!mutex->owner) {
        mutex->owner = self;
        return 0;
    }
    int rc = core_wait(&mutex->q, deadline_ns);
    skein_assert(rc < 0 || mutex->owner == self);
    return rc;
}

void
core_mutex_unlock(struct core_mutex *mutex)
{
    skein_assert(mutex->owner == core_fiber_self());
    mutex->owner = NULL;
    if (list_is_empty(&mutex->q.waiters))
        return;
    /* Handed over, so that nobody overtakes a fiber that has been waiting. */
    mutex->owner = LIST_ENTRY(mutex->q.waiters.next, struct core_fiber, link);
    core_wake_one(&mutex->q);
}
