/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_cond_init(struct skein_cond *cond)
{
    skein_waitq_init(&cond->q);
}

int
skein_cond_wait(struct skein_cond *cond, struct skein_mutex *mutex, uint64_t deadline_ns)
{
    chaos_point();
    skein_assert(mutex->owner == fiber_self());
    skein_mutex_unlock(mutex);
    int rc = wait_counted(&cond->q, WAIT_COND, deadline_ns);
    skein_shield(true);
    int locked = skein_mutex_lock(mutex, SKEIN_NEVER);
    skein_shield(false);
    skein_assert(locked == 0);
    return rc;
}

void
skein_cond_signal(struct skein_cond *cond)
{
    skein_wake_one(&cond->q);
}

void
skein_cond_broadcast(struct skein_cond *cond)
{
    skein_wake_all(&cond->q);
}
