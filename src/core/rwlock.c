/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "skein/sync.h"

/* A waiter's wish; its fiber is in the lock's queue and points here. */
struct wish {
    struct skein_rwlock *lock;
    bool write;
};

void
skein_rwlock_init(struct skein_rwlock *lock)
{
    *lock = (struct skein_rwlock){0};
    list_init(&lock->waiters);
}

/* Let in, from the front of the queue, whoever may come in now. */
static void
admit(struct skein_rwlock *lock)
{
    while (!list_is_empty(&lock->waiters) && !lock->writer) {
        struct skein_fiber *fiber = LIST_ENTRY(lock->waiters.next, struct skein_fiber, link);
        const struct wish *wish = fiber->interrupt_arg;
        if (wish->write && lock->reader_count > 0)
            return;
        if (wish->write)
            lock->writer = fiber;
        else
            lock->reader_count++;
        fiber_ready(fiber, 0);
    }
}

static void
give_up(struct skein_fiber *fiber, int reason)
{
    const struct wish *wish = fiber->interrupt_arg;
    fiber_ready(fiber, reason);
    admit(wish->lock); /* a writer may have stood before readers */
}

static int
wait_for(struct skein_rwlock *lock, bool write, uint64_t deadline_ns)
{
    struct wish wish = {lock, write};
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    list_push_back(&lock->waiters, &fiber_self()->link);
    return fiber_park_counted(WAIT_RWLOCK, deadline_ns, give_up, &wish);
}

int
skein_rwlock_read_lock(struct skein_rwlock *lock, uint64_t deadline_ns)
{
    chaos_point();
    skein_assert(lock->writer != fiber_self());
    if (lock->writer || !list_is_empty(&lock->waiters))
        return wait_for(lock, false, deadline_ns);
    lock->reader_count++;
    return 0;
}

void
skein_rwlock_read_unlock(struct skein_rwlock *lock)
{
    skein_assert(lock->reader_count > 0);
    skein_assert(lock->writer == NULL);
    lock->reader_count--;
    admit(lock);
}

int
skein_rwlock_write_lock(struct skein_rwlock *lock, uint64_t deadline_ns)
{
    chaos_point();
    skein_assert(lock->writer != fiber_self());
    if (lock->writer || lock->reader_count > 0 || !list_is_empty(&lock->waiters))
        return wait_for(lock, true, deadline_ns);
    lock->writer = fiber_self();
    return 0;
}

void
skein_rwlock_write_unlock(struct skein_rwlock *lock)
{
    skein_assert(lock->writer == fiber_self());
    skein_assert(lock->reader_count == 0);
    lock->writer = NULL;
    admit(lock);
}

void
skein_rwlock_downgrade(struct skein_rwlock *lock)
{
    skein_assert(lock->writer == fiber_self());
    lock->writer = NULL;
    lock->reader_count = 1;
    admit(lock);
}
