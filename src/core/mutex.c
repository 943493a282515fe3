/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_mutex_init(struct skein_mutex *mutex)
{
    skein_waitq_init(&mutex->q);
    mutex->owner = NULL;
}

bool
skein_mutex_try_lock(struct skein_mutex *mutex)
{
    if (mutex->owner)
        return false;
    skein_assert(list_is_empty(&mutex->q.waiters));
    mutex->owner = fiber_self();
    return true;
}

int
skein_mutex_lock(struct skein_mutex *mutex, uint64_t deadline_ns)
{
    chaos_point();
    skein_assert(mutex->owner != fiber_self());
    if (skein_mutex_try_lock(mutex))
        return 0;
    int rc = wait_counted(&mutex->q, WAIT_MUTEX, deadline_ns);
    skein_assert(rc < 0 || mutex->owner == fiber_self());
    return rc;
}

void
skein_mutex_unlock(struct skein_mutex *mutex)
{
    skein_assert(mutex->owner == fiber_self());
    mutex->owner = NULL;
    if (list_is_empty(&mutex->q.waiters))
        return;
    /* Handed over, so that nobody overtakes a fiber that has been waiting. */
    mutex->owner = LIST_ENTRY(mutex->q.waiters.next, struct skein_fiber, link);
    skein_wake_one(&mutex->q);
}
