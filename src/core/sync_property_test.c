/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: under random schedules, deadlines and cancellations the waiting objects keep what they
 * promise: exclusion, conservation of units and items, first come first served, nobody forgotten.
 *
 * Workers draw what they do from one seed: ask with a deadline that may pass, hold for a while,
 * give back. A reaper cancels some of them at random moments and puts fresh ones in their place. A
 * model, plain counters, is compared at each step; at the end everything has to be free again. The
 * line of a failure names the seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/list.h"
#include "base/prng.h"
#include "core/check.h"
#include "core/clock_world.h"
#include "core/internal.h"
#include "skein/channel.h"
#include "skein/sync.h"

#define SEED_COUNT 300
#define WORKER_COUNT 8
#define STEP_COUNT 30
#define CANCEL_COUNT 20
#define UNITS 5
#define ITEM_COUNT_MAX 1024

struct model;

struct worker {
    struct model *model;
    struct skein_task task;
    uint64_t waiting_ticket; /* of a call that had to wait */
    uint64_t wanted;         /* units, or 1 for a writer */
};

struct model {
    struct check check;
    struct prng random;
    const struct property *property;
    struct worker workers[WORKER_COUNT];
    struct skein_scope scope;
    uint64_t next_ticket;
    uint64_t served_ticket; /* the last one served of those that waited */
    bool stopping;
    bool shuffled; /* who is served runs in another order than that of serving */

    struct skein_mutex mutex;
    struct skein_rwlock rwlock;
    struct skein_semaphore semaphore;
    struct skein_channel channels[2];
    struct skein_cond cond;
    uint64_t inside, writers, units_used;
    uint64_t produced, consumed;
    uint64_t sent_count;
    uint8_t received[ITEM_COUNT_MAX];
    uint8_t sent[ITEM_COUNT_MAX];
};

struct property {
    const char *name;
    void (*step)(struct model *model, struct worker *worker);
    void (*idle)(struct model *model); /* nothing has happened for long: who still waits, must */
    void (*end)(struct model *model);  /* all workers are gone */
};

static uint64_t
soon(struct model *model)
{
    return prng_chance(&model->random, 1, 4) ? SKEIN_NEVER
                                             : skein_now_ns() + prng_below(&model->random, 300);
}

/* The worker in front of a queue; NULL: nobody is there. */
static const struct worker *
front(const struct model *model, const struct skein_list *waiters)
{
    const struct skein_fiber *fiber = LIST_ENTRY(waiters->next, struct skein_fiber, link);
    for (size_t i = 0; i < WORKER_COUNT && !list_is_empty(waiters); i++)
        if (model->workers[i].task.fiber == fiber)
            return &model->workers[i];
    return NULL;
}

/* Who is in front of a queue could not be served: otherwise it was forgotten. */
static void
check_front(struct model *model)
{
    const struct skein_rwlock *lock = &model->rwlock;
    const struct worker *worker = front(model, &model->semaphore.waiters);
    CHECK(&model->check, !worker || worker->wanted > model->semaphore.units);
    worker = front(model, &lock->waiters);
    CHECK(&model->check, !worker || lock->writer || (worker->wanted && lock->reader_count > 0));
}

static void
pause_a_little(struct model *model)
{
    check_front(model);
    if (prng_chance(&model->random, 1, 3))
        skein_yield();
    else
        (void)!skein_sleep(skein_now_ns() + prng_below(&model->random, 100));
}

/* A call that has to wait takes a ticket; tickets are served in their order. */
static void
ask(struct model *model, struct worker *worker, bool waits)
{
    worker->waiting_ticket = waits ? ++model->next_ticket : 0;
}

static void
served(struct model *model, struct worker *worker)
{
    if (worker->waiting_ticket == 0 || model->shuffled)
        return;
    CHECK(&model->check, worker->waiting_ticket > model->served_ticket);
    model->served_ticket = worker->waiting_ticket;
}

static void
mutex_step(struct model *model, struct worker *worker)
{
    ask(model, worker, model->mutex.owner != NULL);
    if (skein_mutex_lock(&model->mutex, soon(model)) < 0)
        return;
    served(model, worker);
    CHECK(&model->check, model->inside++ == 0);
    pause_a_little(model);
    CHECK(&model->check, --model->inside == 0);
    skein_mutex_unlock(&model->mutex);
}

static void
mutex_end(struct model *model)
{
    CHECK(&model->check, model->mutex.owner == NULL);
    CHECK(&model->check, list_is_empty(&model->mutex.q.waiters));
}

static void
rwlock_step(struct model *model, struct worker *worker)
{
    struct skein_rwlock *lock = &model->rwlock;
    bool write = prng_chance(&model->random, 1, 2);
    worker->wanted = write;
    bool queued = !list_is_empty(&lock->waiters) || lock->writer;
    ask(model, worker, queued || (write && lock->reader_count > 0));
    int rc = write ? skein_rwlock_write_lock(lock, soon(model))
                   : skein_rwlock_read_lock(lock, soon(model));
    if (rc < 0)
        return;
    served(model, worker);
    CHECK(&model->check, model->writers == 0);
    CHECK(&model->check, !write || model->inside == 0);
    model->inside++;
    model->writers += write;
    pause_a_little(model);
    model->inside--;
    model->writers -= write;
    if (write && prng_chance(&model->random, 1, 3)) {
        skein_rwlock_downgrade(lock);
        write = false;
    }
    if (write)
        skein_rwlock_write_unlock(lock);
    else
        skein_rwlock_read_unlock(lock);
}

static void
rwlock_end(struct model *model)
{
    CHECK(&model->check, model->rwlock.writer == NULL);
    CHECK(&model->check, model->rwlock.reader_count == 0);
    CHECK(&model->check, list_is_empty(&model->rwlock.waiters));
}

static void
semaphore_step(struct model *model, struct worker *worker)
{
    struct skein_semaphore *semaphore = &model->semaphore;
    uint64_t units = prng_below(&model->random, UNITS + 1);
    worker->wanted = units;
    ask(model, worker, !list_is_empty(&semaphore->waiters) || units > semaphore->units);
    if (skein_semaphore_acquire(semaphore, units, soon(model)) < 0)
        return;
    served(model, worker);
    model->units_used += units;
    CHECK(&model->check, model->units_used <= UNITS);
    pause_a_little(model);
    model->units_used -= units;
    skein_semaphore_release(semaphore, units);
}

static void
semaphore_end(struct model *model)
{
    CHECK(&model->check, model->semaphore.units == UNITS);
    CHECK(&model->check, list_is_empty(&model->semaphore.waiters));
}

/* Each signal is for one thing produced: when signals got lost, somebody would wait for ever. */
static void
cond_step(struct model *model, struct worker *worker)
{
    (void)worker;
    if (skein_mutex_lock(&model->mutex, soon(model)) < 0)
        return;
    if (prng_chance(&model->random, 1, 2)) {
        model->produced++;
        skein_cond_signal(&model->cond);
    } else {
        int rc = 0;
        uint64_t deadline_ns = soon(model);
        while (rc == 0 && model->produced == model->consumed)
            rc = skein_cond_wait(&model->cond, &model->mutex, deadline_ns);
        if (model->produced > model->consumed)
            model->consumed++;
        /* Who gives up although there is something passes the signal on. */
        else if (rc < 0)
            skein_cond_signal(&model->cond);
    }
    CHECK(&model->check, model->consumed <= model->produced);
    skein_mutex_unlock(&model->mutex);
}

static void
cond_idle(struct model *model)
{
    CHECK(&model->check,
          list_is_empty(&model->cond.q.waiters) || model->produced == model->consumed);
    CHECK(&model->check, model->mutex.owner == NULL);
}

static void
cond_end(struct model *model)
{
    CHECK(&model->check, model->mutex.owner == NULL);
    CHECK(&model->check, list_is_empty(&model->cond.q.waiters));
}

static void
received(struct model *model, uint64_t item)
{
    if (CHECK(&model->check, item < model->sent_count))
        model->received[item]++;
}

static void
channel_step(struct model *model, struct worker *worker)
{
    uint64_t item = model->sent_count;
    uint64_t in[2] = {UINT64_MAX, UINT64_MAX};
    bool sends = model->sent_count < ITEM_COUNT_MAX && !model->stopping;
    (void)worker;
    model->sent_count += sends;
    struct skein_select_case cases[3];
    size_t count = 0;
    size_t first = prng_below(&model->random, 2);
    for (size_t i = 0; i < 2; i++)
        if (prng_chance(&model->random, 1, 2))
            cases[count++] = (struct skein_select_case){
                .channel = &model->channels[(first + i) % 2], .item = &in[i]};
    if (sends)
        cases[count++] = (struct skein_select_case){
            .channel = &model->channels[first], .send = true, .item = &item};
    int rc = skein_select(cases, count, soon(model));
    if (rc < 0 || cases[rc].result < 0)
        return;
    if (cases[rc].send)
        model->sent[item]++;
    else
        received(model, *(uint64_t *)cases[rc].item);
}

static void
channel_idle(struct model *model)
{
    for (size_t i = 0; i < 2; i++) {
        const struct skein_channel *channel = &model->channels[i];
        CHECK(&model->check,
              list_is_empty(&channel->senders) || channel->count == channel->capacity);
        CHECK(&model->check, list_is_empty(&channel->receivers) || channel->count == 0);
        CHECK(&model->check,
              list_is_empty(&channel->senders) || list_is_empty(&channel->receivers));
    }
}

static void
channel_end(struct model *model)
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t item = 0;
        CHECK(&model->check, list_is_empty(&model->channels[i].senders));
        CHECK(&model->check, list_is_empty(&model->channels[i].receivers));
        while (skein_channel_try_recv(&model->channels[i], &item) == 0)
            received(model, item);
    }
    for (uint64_t item = 0; item < model->sent_count; item++)
        CHECK(&model->check, model->sent[item] == model->received[item]);
}

static const struct property properties[] = {
    {"mutex", mutex_step, mutex_end, mutex_end},
    {"rwlock", rwlock_step, rwlock_end, rwlock_end},
    {"semaphore", semaphore_step, semaphore_end, semaphore_end},
    {"cond", cond_step, cond_idle, cond_end},
    {"channel", channel_step, channel_idle, channel_end},
};

static int
work(void *arg)
{
    struct worker *worker = arg;
    struct model *model = worker->model;
    for (int i = 0; i < STEP_COUNT && !skein_cancelled(); i++) {
        model->property->step(model, worker);
        pause_a_little(model);
    }
    return 0;
}

static void
start_worker(struct model *model, size_t index)
{
    struct worker *worker = &model->workers[index];
    *worker = (struct worker){.model = model};
    CHECK(&model->check, skein_task_spawn(&worker->task, &model->scope, "worker", work, worker,
                                          SKEIN_STACK_SMALL) == 0);
}

static int
model_main(void *arg)
{
    struct model *model = arg;
    skein_scope_init(&model->scope);
    for (size_t i = 0; i < WORKER_COUNT; i++)
        start_worker(model, i);
    for (int i = 0; i < CANCEL_COUNT; i++) {
        size_t index = prng_below(&model->random, WORKER_COUNT);
        (void)!skein_sleep(skein_now_ns() + prng_below(&model->random, 150));
        skein_task_cancel(&model->workers[index].task);
        (void)!skein_task_join(&model->workers[index].task, SKEIN_NEVER, NULL);
        start_worker(model, index);
    }
    model->stopping = true;
    (void)!skein_sleep(skein_now_ns() + 100000);
    model->property->idle(model);
    skein_scope_cancel(&model->scope);
    skein_scope_join(&model->scope);
    model->property->end(model);
    return 0;
}

static void
run_seed(const struct property *property, uint64_t seed, bool shuffled)
{
    struct skein_chaos chaos = {.seed = shuffled ? seed : 0};
    struct clock_world world;
    static struct model model;
    model = (struct model){.property = property, .shuffled = shuffled};
    prng_init(&model.random, seed);
    clock_world_open(&world);
    skein_mutex_init(&model.mutex);
    skein_rwlock_init(&model.rwlock);
    skein_semaphore_init(&model.semaphore, UNITS);
    skein_cond_init(&model.cond);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(skein_channel_init(&model.channels[i], sizeof(uint64_t), (seed + i) % 3),
                         0);
    struct skein_shard_options options = {.chaos = &chaos};
    assert_int_equal(clock_world_run(&world, options, model_main, &model), 0);
    clock_world_close(&world);
    for (size_t i = 0; i < 2; i++)
        skein_channel_deinit(&model.channels[i]);
    if (model.check.failed_count > 0)
        fail_msg("property %s, seed %llu%s", property->name, (unsigned long long)seed,
                 shuffled ? ", shuffled" : "");
    assert_true(property->step == cond_step || property->step == channel_step ||
                model.served_ticket > 0 || shuffled); /* somebody did wait */
}

static void
properties_hold_under_random_schedules(void **state)
{
    for (size_t i = 0; i < sizeof(properties) / sizeof(properties[0]); i++)
        for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
            run_seed(&properties[i], seed, false);
            run_seed(&properties[i], seed, true);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_hold_under_random_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
