/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_once_init(struct skein_once *once)
{
    *once = (struct skein_once){0};
    skein_waitq_init(&once->q);
}

int
skein_once_run(struct skein_once *once, int (*fn)(void *arg), void *arg, uint64_t deadline_ns)
{
    chaos_point();
    if (once->running) {
        int rc = wait_counted(&once->q, WAIT_ONCE, deadline_ns);
        if (rc < 0)
            return rc;
        /* Woken: it is done, or it failed and the turn was handed to this fiber. */
        skein_assert(once->done != once->running);
    }
    if (once->done)
        return 0;
    once->running = true;
    int rc = fn(arg);
    once->done = rc >= 0;
    once->running = !once->done && !list_is_empty(&once->q.waiters);
    if (once->done)
        skein_wake_all(&once->q);
    else
        skein_wake_one(&once->q);
    return rc < 0 ? rc : 0;
}
