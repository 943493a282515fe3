/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small program that uses what fibers have to wait with: producers and consumers on channels, a
 * budget, a journal on disk behind a lock, futures with a timeout, a periodic timer, data of
 * fibers, a gate that closes. Undisturbed it comes out even; disturbed it ends, with every unit
 * given back.
 */
#include <string.h>

#include "base/assert.h"
#include "inject/inject.h"
#include "skein/core.h"

#define ITEMS 12
#define BUDGET 4
#define MS 1000000ull

struct mixed {
    struct skein_scope scope;
    struct skein_channel jobs;
    struct skein_channel done;
    struct skein_semaphore budget;
    struct skein_mutex journal_lock;
    struct skein_cond drained;
    struct skein_gate gate;
    struct skein_barrier start;
    struct skein_timer ticker;
    uint64_t tick_count;
    uint64_t sum;
    uint64_t local_count; /* live data of fibers */
    int journal;
};

static void
count_down(void *value)
{
    (*(uint64_t *)value)--;
}

static const struct skein_local presence = {count_down};

static void
on_tick(void *arg)
{
    ((struct mixed *)arg)->tick_count++;
}

static int
produce(void *arg)
{
    struct mixed *m = arg;
    int rc = skein_barrier_wait(&m->start, SKEIN_NEVER);
    for (uint64_t i = 1; i <= ITEMS && rc >= 0; i++) {
        rc = skein_semaphore_acquire(&m->budget, 1, SKEIN_NEVER);
        if (rc < 0)
            return rc;
        rc = skein_channel_send(&m->jobs, &i, skein_deadline_in(1000 * MS));
        if (rc < 0)
            skein_semaphore_release(&m->budget, 1);
    }
    return rc < 0 ? rc : 0;
}

static int
write_down(struct mixed *m, uint64_t item)
{
    int rc = skein_mutex_lock(&m->journal_lock, SKEIN_NEVER);
    if (rc < 0)
        return rc;
    rc = skein_file_pwrite(m->journal, &item, sizeof(item), item * sizeof(item), 0);
    skein_mutex_unlock(&m->journal_lock);
    return rc;
}

static void
consume(void *arg)
{
    struct mixed *m = arg;
    uint64_t item = 0;
    m->local_count++;
    skein_local_set(&presence, &m->local_count);
    (void)!skein_barrier_wait(&m->start, SKEIN_NEVER);
    while (skein_channel_recv(&m->jobs, &item, SKEIN_NEVER) == 0) {
        int rc = skein_gate_enter(&m->gate);
        if (rc == 0) {
            rc = write_down(m, item);
            skein_gate_leave(&m->gate);
        }
        if (rc == 0)
            rc = skein_channel_send(&m->done, &item, SKEIN_NEVER);
        if (rc < 0)
            skein_semaphore_release(&m->budget, 1);
    }
}

static void
collect(void *arg)
{
    struct mixed *m = arg;
    uint64_t item = 0;
    while (skein_channel_recv(&m->done, &item, SKEIN_NEVER) == 0) {
        skein_semaphore_release(&m->budget, 1);
        m->sum += item;
        skein_cond_signal(&m->drained);
    }
    /* What arrived while this fiber was being cancelled. */
    while (skein_channel_try_recv(&m->done, &item) == 0)
        skein_semaphore_release(&m->budget, 1);
}

static int
doubled(void *arg, void **out_value)
{
    int rc = skein_sleep(skein_deadline_in(*(uint64_t *)arg * MS));
    *out_value = rc < 0 ? NULL : arg;
    return rc;
}

/* Two futures, one of them too slow. */
static int
race(struct mixed *m)
{
    static const uint64_t delays_ms[2] = {5, 500};
    struct skein_future *futures[2] = {NULL, NULL};
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = skein_future_spawn(&futures[i], &m->scope, "future", doubled,
                                (void *)(uintptr_t)&delays_ms[i], SKEIN_STACK_SMALL, NULL);
    if (rc == 0) {
        struct skein_future *slow = skein_future_timeout(futures[1], skein_deadline_in(50 * MS));
        struct skein_future *both[2] = {futures[0], slow};
        struct skein_future *all = skein_future_when_all(both, 2);
        rc = skein_future_wait(all, SKEIN_NEVER, NULL);
        skein_future_cancel(all);
        skein_future_unref(all);
        skein_future_unref(slow);
    }
    skein_future_unref(futures[0]);
    skein_future_unref(futures[1]);
    return rc == -SKEIN_ETIMEDOUT ? 0 : rc == 0 ? -SKEIN_EPROTO : rc;
}

static int
wait_for_sum(struct mixed *m)
{
    int rc = skein_mutex_lock(&m->journal_lock, SKEIN_NEVER);
    if (rc < 0)
        return rc;
    while (rc == 0 && m->sum < ITEMS * (ITEMS + 1) / 2)
        rc = skein_cond_wait(&m->drained, &m->journal_lock, skein_deadline_in(5000 * MS));
    skein_mutex_unlock(&m->journal_lock);
    return rc;
}

static int
work(struct mixed *m)
{
    struct skein_task producer;
    int result = 0;
    skein_timer_arm_periodic(&m->ticker, skein_deadline_in(MS), MS);
    int rc = skein_task_spawn(&producer, &m->scope, "producer", produce, m, SKEIN_STACK_SMALL);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = skein_spawn(&m->scope, "consumer", consume, m, SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = skein_spawn(&m->scope, "collector", collect, m, SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = race(m);
    if (rc == 0)
        rc = wait_for_sum(m);
    if (rc == 0)
        rc = skein_task_join(&producer, SKEIN_NEVER, &result);
    if (rc == 0)
        rc = skein_gate_close(&m->gate, skein_deadline_in(1000 * MS));
    skein_timer_cancel(&m->ticker);
    skein_channel_close(&m->jobs);
    if (rc < 0)
        skein_scope_cancel(&m->scope);
    skein_channel_close(&m->done);
    skein_scope_join(&m->scope);
    return rc < 0 ? rc : result;
}

/* What has to be true at the end, disturbed or not. */
static int
check_end(struct mixed *m, int rc)
{
    uint64_t item = 0;
    while (skein_channel_try_recv(&m->jobs, &item) == 0)
        skein_semaphore_release(&m->budget, 1);
    while (skein_channel_try_recv(&m->done, &item) == 0)
        skein_semaphore_release(&m->budget, 1);
    skein_assert(m->budget.units == BUDGET);
    skein_assert(m->journal_lock.owner == NULL);
    skein_assert(m->gate.inside_count == 0);
    skein_assert(m->local_count == 0);
    if (rc == 0 && (m->sum != ITEMS * (ITEMS + 1) / 2 || m->tick_count < 40))
        rc = -SKEIN_EPROTO;
    return rc;
}

static int
mixed_main(void *arg)
{
    struct mixed m;
    (void)arg;
    memset(&m, 0, sizeof(m));
    skein_scope_init(&m.scope);
    skein_semaphore_init(&m.budget, BUDGET);
    skein_mutex_init(&m.journal_lock);
    skein_cond_init(&m.drained);
    skein_gate_init(&m.gate);
    skein_barrier_init(&m.start, 3);
    skein_timer_init(&m.ticker, on_tick, &m);
    int rc = skein_channel_init(&m.jobs, sizeof(uint64_t), 2);
    if (rc == 0)
        rc = skein_channel_init(&m.done, sizeof(uint64_t), 1);
    if (rc == 0)
        rc = m.journal =
            skein_file_open("/case/journal", SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    if (rc >= 0) {
        rc = check_end(&m, work(&m));
        skein_close(m.journal);
    }
    skein_channel_deinit(&m.jobs);
    skein_channel_deinit(&m.done);
    return rc;
}

const struct inject_case inject_mixed_case = {
    .name = "mixed", .main_fn = mixed_main, .robust = true};
