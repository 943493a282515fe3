/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

/* A waiter's wish; its fiber is in the semaphore's queue and points here. */
struct wish {
    struct skein_semaphore *semaphore;
    uint64_t units;
};

void
skein_semaphore_init(struct skein_semaphore *semaphore, uint64_t units)
{
    *semaphore = (struct skein_semaphore){.units = units};
    list_init(&semaphore->waiters);
}

/* Hand out, from the front of the queue, while there is enough for the one in front. */
static void
hand_out(struct skein_semaphore *semaphore)
{
    while (!list_is_empty(&semaphore->waiters)) {
        struct skein_fiber *fiber = LIST_ENTRY(semaphore->waiters.next, struct skein_fiber, link);
        const struct wish *wish = fiber->interrupt_arg;
        if (wish->units > semaphore->units)
            return;
        semaphore->units -= wish->units;
        fiber_ready(fiber, 0);
    }
}

static void
give_up(struct skein_fiber *fiber, int reason)
{
    const struct wish *wish = fiber->interrupt_arg;
    fiber_ready(fiber, reason);
    hand_out(wish->semaphore); /* it may have stood before a smaller wish */
}

bool
skein_semaphore_try_acquire(struct skein_semaphore *semaphore, uint64_t units)
{
    if (semaphore->closed || !list_is_empty(&semaphore->waiters) || units > semaphore->units)
        return false;
    semaphore->units -= units;
    return true;
}

int
skein_semaphore_acquire(struct skein_semaphore *semaphore, uint64_t units, uint64_t deadline_ns)
{
    chaos_point();
    struct wish wish = {semaphore, units};
    if (semaphore->closed)
        return -SKEIN_ECLOSED;
    if (skein_semaphore_try_acquire(semaphore, units))
        return 0;
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    list_push_back(&semaphore->waiters, &fiber_self()->link);
    return fiber_park_counted(WAIT_SEMAPHORE, deadline_ns, give_up, &wish);
}

void
skein_semaphore_release(struct skein_semaphore *semaphore, uint64_t units)
{
    skein_assert(units <= UINT64_MAX - semaphore->units);
    semaphore->units += units;
    hand_out(semaphore);
}

void
skein_semaphore_close(struct skein_semaphore *semaphore)
{
    semaphore->closed = true;
    while (!list_is_empty(&semaphore->waiters))
        fiber_ready(LIST_ENTRY(semaphore->waiters.next, struct skein_fiber, link), -SKEIN_ECLOSED);
}
