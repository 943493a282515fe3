/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

void
skein_barrier_init(struct skein_barrier *barrier, uint64_t party_count)
{
    skein_assert(party_count > 0);
    *barrier = (struct skein_barrier){.party_count = party_count};
    skein_waitq_init(&barrier->q);
}

static void
give_up(struct skein_fiber *fiber, int reason)
{
    struct skein_barrier *barrier = fiber->interrupt_arg;
    skein_assert(barrier->waiting_count > 0);
    barrier->waiting_count--;
    fiber_ready(fiber, reason);
}

int
skein_barrier_wait(struct skein_barrier *barrier, uint64_t deadline_ns)
{
    chaos_point();
    skein_assert(barrier->waiting_count < barrier->party_count);
    if (barrier->waiting_count + 1 == barrier->party_count) {
        barrier->waiting_count = 0;
        skein_wake_all(&barrier->q);
        return 1;
    }
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    barrier->waiting_count++;
    list_push_back(&barrier->q.waiters, &fiber_self()->link);
    return fiber_park_counted(WAIT_BARRIER, deadline_ns, give_up, barrier);
}
