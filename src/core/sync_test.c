/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what is released is handed on in the order of asking; a waiter that gives up, by deadline
 * or cancellation, before or after it was handed something, loses nothing for the others; closing
 * wakes who waits; a cancelled fiber still gets what it need not wait for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "skein/sync.h"

#define ACTOR_COUNT 8

struct fixture;

/* A fiber that does one thing and notes how it went: its letter, or the letter and '!'. */
struct actor {
    struct fixture *fixture;
    struct skein_task task;
    char letter;
    int (*act)(struct actor *actor);
    uint64_t deadline_ns;
    uint64_t units;
    int rc;
};

struct fixture {
    struct check check;
    struct skein_scope scope;
    struct actor actors[ACTOR_COUNT];
    int actor_count;
    char trace[64];
    struct skein_mutex mutex;
    struct skein_rwlock rwlock;
    struct skein_cond cond;
    struct skein_semaphore semaphore;
    struct skein_gate gate;
    struct skein_barrier barrier;
    struct skein_waitgroup group;
    struct skein_once once;
    struct skein_abort abort_source;
    bool once_fails;
    int once_count;
};

static void
note(struct actor *actor, char mark)
{
    struct fixture *f = actor->fixture;
    size_t count = strlen(f->trace);
    skein_assert(count + 2 < sizeof(f->trace));
    f->trace[count] = actor->letter;
    if (mark)
        f->trace[count + 1] = mark;
}

static int
actor_main(void *arg)
{
    struct actor *actor = arg;
    actor->rc = actor->act(actor);
    if (actor->rc < 0)
        note(actor, actor->rc == -SKEIN_ETIMEDOUT ? 't' : actor->rc == -SKEIN_ECLOSED ? 'c' : '!');
    return actor->rc;
}

/* start - an actor in a fiber of its own, run until it waits. */
static struct actor *
start(struct fixture *f, char letter, int (*act)(struct actor *actor), uint64_t deadline_ns,
      uint64_t units)
{
    struct actor *actor = &f->actors[f->actor_count++];
    *actor = (struct actor){
        .fixture = f, .letter = letter, .act = act, .deadline_ns = deadline_ns, .units = units};
    CHECK(&f->check, skein_task_spawn(&actor->task, &f->scope, "actor", actor_main, actor,
                                      SKEIN_STACK_SMALL) == 0);
    skein_yield();
    return actor;
}

/* finish - join all, compare what was noted, and begin anew. */
static void
finish(struct fixture *f, const char *expected)
{
    skein_scope_join(&f->scope);
    if (!CHECK(&f->check, strcmp(f->trace, expected) == 0))
        fprintf(stderr, "\"%s\" instead of \"%s\"\n", f->trace, expected);
    memset(f->trace, 0, sizeof(f->trace));
    f->actor_count = 0;
    skein_scope_init(&f->scope);
}

static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    struct fixture f = {0};
    clock_world_open(&world);
    skein_scope_init(&f.scope);
    skein_mutex_init(&f.mutex);
    skein_rwlock_init(&f.rwlock);
    skein_cond_init(&f.cond);
    skein_semaphore_init(&f.semaphore, 0);
    skein_gate_init(&f.gate);
    skein_barrier_init(&f.barrier, 3);
    skein_waitgroup_init(&f.group);
    skein_once_init(&f.once);
    skein_abort_init(&f.abort_source);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, main_fn, &f), 42);
    clock_world_close(&world);
    assert_int_equal(f.check.failed_count, 0);
}

static int
locks(struct actor *actor)
{
    struct fixture *f = actor->fixture;
    int rc = skein_mutex_lock(&f->mutex, actor->deadline_ns);
    if (rc < 0)
        return rc;
    note(actor, 0);
    skein_yield(); /* somebody who comes now must not overtake who waits */
    skein_mutex_unlock(&f->mutex);
    return 0;
}

static int
mutex_main(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_mutex_try_lock(&f->mutex));
    start(f, 'a', locks, SKEIN_NEVER, 0);
    struct actor *b = start(f, 'b', locks, SKEIN_NEVER, 0);
    start(f, 'c', locks, 1500, 0);
    start(f, 'd', locks, SKEIN_NEVER, 0);
    skein_task_cancel(&b->task);
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_mutex_unlock(&f->mutex);
    CHECK(&f->check, !skein_mutex_try_lock(&f->mutex)); /* handed over already */
    finish(f, "b!ctad");

    /* Cancelled after the hand-over and before it ran: it has the mutex, and gives it on. */
    CHECK(&f->check, skein_mutex_lock(&f->mutex, 0) == 0);
    struct actor *a = start(f, 'a', locks, 3000, 0);
    start(f, 'b', locks, SKEIN_NEVER, 0);
    skein_mutex_unlock(&f->mutex);
    skein_task_cancel(&a->task);
    finish(f, "ab");
    CHECK(&f->check, f->mutex.owner == NULL);
    return 42;
}

static void
a_mutex_is_handed_on(void **state)
{
    run(mutex_main);
}

static int
reads(struct actor *actor)
{
    struct fixture *f = actor->fixture;
    int rc = skein_rwlock_read_lock(&f->rwlock, actor->deadline_ns);
    if (rc < 0)
        return rc;
    note(actor, '+');
    skein_yield();
    note(actor, '-');
    skein_rwlock_read_unlock(&f->rwlock);
    return 0;
}

static int
writes(struct actor *actor)
{
    struct fixture *f = actor->fixture;
    int rc = skein_rwlock_write_lock(&f->rwlock, actor->deadline_ns);
    if (rc < 0)
        return rc;
    note(actor, '+');
    skein_yield();
    note(actor, '-');
    skein_rwlock_write_unlock(&f->rwlock);
    return 0;
}

static int
rwlock_main(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_rwlock_write_lock(&f->rwlock, 0) == 0);
    start(f, 'r', reads, SKEIN_NEVER, 0);
    start(f, 's', reads, SKEIN_NEVER, 0);
    start(f, 'w', writes, SKEIN_NEVER, 0);
    start(f, 't', reads, SKEIN_NEVER, 0);
    skein_rwlock_write_unlock(&f->rwlock);
    finish(f, "r+s+r-s-w+w-t+t-");

    /* A writer that gives up lets the readers behind it in: by deadline, then by cancellation. */
    CHECK(&f->check, skein_rwlock_read_lock(&f->rwlock, 0) == 0);
    start(f, 'w', writes, skein_deadline_in(100), 0);
    start(f, 'r', reads, SKEIN_NEVER, 0);
    CHECK(&f->check, skein_sleep(skein_deadline_in(200)) == 0);
    struct actor *x = start(f, 'x', writes, SKEIN_NEVER, 0);
    start(f, 's', reads, SKEIN_NEVER, 0);
    skein_task_cancel(&x->task);
    finish(f, "wtr+r-x!s+s-");
    skein_rwlock_read_unlock(&f->rwlock);

    /* A writer that becomes a reader lets readers in and keeps writers out. */
    CHECK(&f->check, skein_rwlock_write_lock(&f->rwlock, 0) == 0);
    start(f, 'r', reads, SKEIN_NEVER, 0);
    start(f, 'w', writes, SKEIN_NEVER, 0);
    skein_rwlock_downgrade(&f->rwlock);
    CHECK(&f->check, skein_sleep(skein_deadline_in(100)) == 0);
    CHECK(&f->check, strcmp(f->trace, "r+r-") == 0);
    skein_rwlock_read_unlock(&f->rwlock);
    finish(f, "r+r-w+w-");
    return 42;
}

static void
readers_share_and_writers_do_not(void **state)
{
    run(rwlock_main);
}

static int
waits_cond(struct actor *actor)
{
    struct fixture *f = actor->fixture;
    int rc = skein_mutex_lock(&f->mutex, SKEIN_NEVER);
    if (rc < 0)
        return rc;
    rc = skein_cond_wait(&f->cond, &f->mutex, actor->deadline_ns);
    CHECK(&f->check, f->mutex.owner == skein_fiber_self());
    if (rc == 0)
        note(actor, 0);
    skein_mutex_unlock(&f->mutex);
    return rc;
}

static int
cond_main(void *arg)
{
    struct fixture *f = arg;
    start(f, 'a', waits_cond, SKEIN_NEVER, 0);
    start(f, 'b', waits_cond, SKEIN_NEVER, 0);
    start(f, 'c', waits_cond, SKEIN_NEVER, 0);
    start(f, 'd', waits_cond, 1500, 0);
    skein_cond_signal(&f->cond);
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_cond_broadcast(&f->cond);
    skein_cond_signal(&f->cond); /* nobody */
    finish(f, "adtbc");

    /* Signalled and then cancelled: the signal counts. Cancelled while it waits for the mutex: it
     * gets it all the same. */
    struct actor *a = start(f, 'a', waits_cond, SKEIN_NEVER, 0);
    struct actor *b = start(f, 'b', waits_cond, SKEIN_NEVER, 0);
    CHECK(&f->check, skein_mutex_lock(&f->mutex, 0) == 0);
    skein_cond_signal(&f->cond);
    skein_task_cancel(&a->task);
    skein_task_cancel(&b->task);
    skein_yield();
    skein_mutex_unlock(&f->mutex);
    finish(f, "ab!");
    return 42;
}

static void
a_condition_gives_the_mutex_back(void **state)
{
    run(cond_main);
}

static int
acquires(struct actor *actor)
{
    int rc = skein_semaphore_acquire(&actor->fixture->semaphore, actor->units, actor->deadline_ns);
    if (rc == 0)
        note(actor, 0);
    return rc;
}

static int
semaphore_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_semaphore *semaphore = &f->semaphore;
    CHECK(&f->check, skein_semaphore_acquire(semaphore, 0, 0) == 0);
    CHECK(&f->check, !skein_semaphore_try_acquire(semaphore, 1));
    start(f, 'a', acquires, SKEIN_NEVER, 5);
    start(f, 'b', acquires, SKEIN_NEVER, 1);
    skein_semaphore_release(semaphore, 4);
    CHECK(&f->check, !skein_semaphore_try_acquire(semaphore, 1)); /* does not overtake */
    skein_yield();
    CHECK(&f->check, strcmp(f->trace, "") == 0); /* nor does b */
    skein_semaphore_release(semaphore, 2);
    finish(f, "ab");
    CHECK(&f->check, semaphore->units == 0);

    /* Who stood in the way gives up: by deadline, by cancellation. */
    start(f, 'a', acquires, skein_deadline_in(100), 5);
    start(f, 'b', acquires, SKEIN_NEVER, 1);
    skein_semaphore_release(semaphore, 1);
    CHECK(&f->check, skein_sleep(skein_deadline_in(200)) == 0);
    struct actor *c = start(f, 'c', acquires, SKEIN_NEVER, 5);
    start(f, 'd', acquires, SKEIN_NEVER, 2);
    skein_semaphore_release(semaphore, 2);
    skein_task_cancel(&c->task);
    finish(f, "atbc!d");
    CHECK(&f->check, semaphore->units == 0);

    /* Handed out and then cancelled: it has them. */
    struct actor *e = start(f, 'e', acquires, SKEIN_NEVER, 1);
    skein_semaphore_release(semaphore, 1);
    skein_task_cancel(&e->task);
    finish(f, "e");
    CHECK(&f->check, semaphore->units == 0);

    start(f, 'f', acquires, SKEIN_NEVER, 1);
    start(f, 'g', acquires, SKEIN_NEVER, 1);
    skein_semaphore_close(semaphore);
    finish(f, "fcgc");
    CHECK(&f->check, skein_semaphore_acquire(semaphore, 0, SKEIN_NEVER) == -SKEIN_ECLOSED);
    return 42;
}

static void
units_are_handed_out_in_order(void **state)
{
    run(semaphore_main);
}

static int
closes_gate(struct actor *actor)
{
    int rc = skein_gate_close(&actor->fixture->gate, actor->deadline_ns);
    if (rc == 0)
        note(actor, 0);
    return rc;
}

static int
gate_main(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_gate_enter(&f->gate) == 0);
    CHECK(&f->check, skein_gate_enter(&f->gate) == 0);
    start(f, 'a', closes_gate, SKEIN_NEVER, 0);
    start(f, 'b', closes_gate, 1500, 0);
    struct actor *c = start(f, 'c', closes_gate, SKEIN_NEVER, 0);
    CHECK(&f->check, skein_gate_enter(&f->gate) == -SKEIN_ECLOSED);
    skein_gate_leave(&f->gate);
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_task_cancel(&c->task);
    skein_yield();
    CHECK(&f->check, strcmp(f->trace, "btc!") == 0);
    skein_gate_leave(&f->gate);
    finish(f, "btc!a");
    CHECK(&f->check, skein_gate_close(&f->gate, 0) == 0);
    return 42;
}

static void
a_gate_closes_when_all_have_left(void **state)
{
    run(gate_main);
}

static int
meets(struct actor *actor)
{
    int rc = skein_barrier_wait(&actor->fixture->barrier, actor->deadline_ns);
    if (rc >= 0)
        note(actor, rc == 1 ? '*' : 0);
    return rc;
}

static int
barrier_main(void *arg)
{
    struct fixture *f = arg;
    for (int round = 0; round < 2; round++) {
        start(f, 'a', meets, SKEIN_NEVER, 0);
        start(f, 'b', meets, SKEIN_NEVER, 0);
        CHECK(&f->check, strcmp(f->trace, "") == 0);
        start(f, 'c', meets, SKEIN_NEVER, 0);
        finish(f, "c*ab");
    }
    struct actor *a = start(f, 'a', meets, SKEIN_NEVER, 0);
    start(f, 'b', meets, skein_deadline_in(100), 0);
    skein_task_cancel(&a->task);
    CHECK(&f->check, skein_sleep(skein_deadline_in(200)) == 0);
    start(f, 'c', meets, SKEIN_NEVER, 0); /* the others are not counted any more */
    start(f, 'd', meets, SKEIN_NEVER, 0);
    CHECK(&f->check, strcmp(f->trace, "a!bt") == 0);
    start(f, 'e', meets, SKEIN_NEVER, 0);
    finish(f, "a!bte*cd");
    return 42;
}

static void
a_barrier_counts_who_is_there(void **state)
{
    run(barrier_main);
}

static int
waits_group(struct actor *actor)
{
    int rc = skein_waitgroup_wait(&actor->fixture->group, actor->deadline_ns);
    if (rc == 0)
        note(actor, 0);
    return rc;
}

static int
waitgroup_main(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_waitgroup_wait(&f->group, 0) == 0);
    skein_waitgroup_add(&f->group, 2);
    start(f, 'a', waits_group, SKEIN_NEVER, 0);
    start(f, 'b', waits_group, 1500, 0);
    skein_waitgroup_done(&f->group);
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_waitgroup_done(&f->group);
    skein_waitgroup_add(&f->group, 1); /* the next round; who waited has been let go */
    finish(f, "bta");
    skein_waitgroup_done(&f->group);
    return 42;
}

static void
a_wait_group_waits_for_all(void **state)
{
    run(waitgroup_main);
}

static int
initialises(void *arg)
{
    struct actor *actor = arg;
    actor->fixture->once_count++;
    int rc = skein_sleep(skein_deadline_in(100));
    note(actor, '*');
    return rc < 0 ? rc : actor->fixture->once_fails ? -SKEIN_EBUSY : 0;
}

static int
runs_once(struct actor *actor)
{
    int rc = skein_once_run(&actor->fixture->once, initialises, actor, actor->deadline_ns);
    if (rc == 0)
        note(actor, 0);
    return rc;
}

static int
once_main(void *arg)
{
    struct fixture *f = arg;
    f->once_fails = true;
    start(f, 'a', runs_once, SKEIN_NEVER, 0); /* fails */
    struct actor *b = start(f, 'b', runs_once, SKEIN_NEVER, 0);
    start(f, 'c', runs_once, skein_deadline_in(50), 0);
    start(f, 'd', runs_once, SKEIN_NEVER, 0);
    start(f, 'e', runs_once, SKEIN_NEVER, 0);
    CHECK(&f->check, skein_sleep(skein_deadline_in(150)) == 0);
    f->once_fails = false;
    skein_task_cancel(&b->task); /* it has the turn: it fails, and d tries */
    finish(f, "cta*a!b*b!d*de");
    CHECK(&f->check, f->once_count == 3);
    CHECK(&f->check, skein_once_run(&f->once, initialises, NULL, 0) == 0);
    CHECK(&f->check, f->once_count == 3);
    return 42;
}

static void
once_is_once_unless_it_failed(void **state)
{
    run(once_main);
}

static void
called(void *arg)
{
    note(arg, '*');
}

static int
attaches(struct actor *actor)
{
    struct skein_abort_subscription subscription;
    skein_abort_attach(&actor->fixture->abort_source, &subscription);
    int rc = skein_sleep(actor->deadline_ns);
    skein_abort_unsubscribe(&subscription);
    if (rc == 0)
        note(actor, 0);
    return rc;
}

static int
waits_abort(struct actor *actor)
{
    int rc = skein_abort_wait(&actor->fixture->abort_source, actor->deadline_ns);
    if (rc == 0)
        note(actor, 0);
    return rc;
}

static int
abort_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_abort_subscription first;
    struct skein_abort_subscription second;
    struct actor one = {.fixture = f, .letter = '1'};
    struct actor two = {.fixture = f, .letter = '2'};
    start(f, 'a', attaches, SKEIN_NEVER, 0);
    start(f, 'b', waits_abort, SKEIN_NEVER, 0);
    start(f, 'c', waits_abort, 1500, 0);
    start(f, 'd', attaches, 1500, 0); /* leaves in time */
    CHECK(&f->check, skein_abort_subscribe(&f->abort_source, &first, called, &one));
    CHECK(&f->check, skein_abort_subscribe(&f->abort_source, &second, called, &two));
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_abort_unsubscribe(&first);
    skein_abort_unsubscribe(&first);
    skein_abort_request(&f->abort_source);
    skein_abort_request(&f->abort_source);
    CHECK(&f->check, !skein_abort_subscribe(&f->abort_source, &first, called, &one));
    skein_abort_unsubscribe(&first);
    start(f, 'e', attaches, SKEIN_NEVER, 0); /* too late: cancelled at once */
    start(f, 'f', waits_abort, SKEIN_NEVER, 0);
    finish(f, "ctd2*a!be!f");
    return 42;
}

static void
an_abort_reaches_all(void **state)
{
    run(abort_main);
}

static int
cancelled_takes_what_is_there(struct actor *actor)
{
    struct fixture *f = actor->fixture;
    struct check *check = &f->check;
    CHECK(check, skein_sleep(SKEIN_NEVER) == -SKEIN_ECANCELED);
    CHECK(check, skein_mutex_lock(&f->mutex, SKEIN_NEVER) == 0);
    skein_mutex_unlock(&f->mutex);
    CHECK(check, skein_rwlock_read_lock(&f->rwlock, SKEIN_NEVER) == 0);
    skein_rwlock_read_unlock(&f->rwlock);
    CHECK(check, skein_rwlock_write_lock(&f->rwlock, SKEIN_NEVER) == 0);
    skein_rwlock_write_unlock(&f->rwlock);
    skein_semaphore_release(&f->semaphore, 1);
    CHECK(check, skein_semaphore_acquire(&f->semaphore, 1, SKEIN_NEVER) == 0);
    CHECK(check, skein_semaphore_acquire(&f->semaphore, 1, SKEIN_NEVER) == -SKEIN_ECANCELED);
    CHECK(check, skein_barrier_wait(&f->barrier, SKEIN_NEVER) == -SKEIN_ECANCELED);
    CHECK(check, f->barrier.waiting_count == 0);
    CHECK(check, skein_waitgroup_wait(&f->group, SKEIN_NEVER) == 0);
    CHECK(check, skein_abort_wait(&f->abort_source, SKEIN_NEVER) == -SKEIN_ECANCELED);
    CHECK(check, skein_gate_enter(&f->gate) == 0);
    CHECK(check, skein_gate_close(&f->gate, SKEIN_NEVER) == -SKEIN_ECANCELED);
    skein_gate_leave(&f->gate);
    CHECK(check, skein_gate_close(&f->gate, SKEIN_NEVER) == 0);
    return 0;
}

static int
cancelled_main(void *arg)
{
    struct fixture *f = arg;
    struct actor *a = start(f, 'a', cancelled_takes_what_is_there, 0, 0);
    skein_task_cancel(&a->task);
    finish(f, "");
    return 42;
}

static void
a_cancelled_fiber_gets_what_is_there(void **state)
{
    run(cancelled_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mutex_is_handed_on),
        cmocka_unit_test(readers_share_and_writers_do_not),
        cmocka_unit_test(a_condition_gives_the_mutex_back),
        cmocka_unit_test(units_are_handed_out_in_order),
        cmocka_unit_test(a_gate_closes_when_all_have_left),
        cmocka_unit_test(a_barrier_counts_who_is_there),
        cmocka_unit_test(a_wait_group_waits_for_all),
        cmocka_unit_test(once_is_once_unless_it_failed),
        cmocka_unit_test(an_abort_reaches_all),
        cmocka_unit_test(a_cancelled_fiber_gets_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
