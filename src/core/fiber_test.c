/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: fibers run in FIFO order, scopes join them, cancellation is a level that a result beats and
 * a shield holds off, of a wake and a deadline the first counts; a shard can be turned and dropped.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "skein/sync.h"
#include "skein/fiber.h"
#include "skein/error.h"

struct fixture {
    struct check check;
    struct clock_world world;
    struct skein_shard *shard;
    struct skein_waitq q;
    struct skein_mutex mutex;
    struct skein_scope *scope;
    char trace[64];
    int rc;
    int rc2;
};

static void
trace(struct fixture *f, char letter)
{
    size_t count = strlen(f->trace);
    skein_assert(count + 1 < sizeof(f->trace));
    f->trace[count] = letter;
}

static void
open_fixture(struct fixture *f, uint32_t fiber_count_max)
{
    *f = (struct fixture){0};
    clock_world_open(&f->world);
    struct skein_shard_options options = {
        .backend = &f->world.base, .stacks = f->world.stacks, .fiber_count_max = fiber_count_max};
    assert_int_equal(skein_shard_open(&f->shard, &options), 0);
    skein_waitq_init(&f->q);
    skein_mutex_init(&f->mutex);
}

static void
run_main(int (*main_fn)(void *arg), uint32_t fiber_count_max)
{
    struct fixture f;
    open_fixture(&f, fiber_count_max);
    assert_int_equal(skein_shard_run(f.shard, main_fn, &f), 42);
    assert_null(skein_shard_current());
    skein_shard_close(f.shard);
    clock_world_close(&f.world);
    assert_int_equal(f.check.failed_count, 0);
}

static void
spawn(struct fixture *f, struct skein_scope *scope, void (*fn)(void *arg))
{
    CHECK(&f->check, skein_spawn(scope, "child", fn, f, SKEIN_STACK_SMALL) == 0);
}

static void
fiber_a(void *arg)
{
    trace(arg, 'a');
    errno = 11;
    skein_yield();
    CHECK(&((struct fixture *)arg)->check, errno == 11);
    trace(arg, 'A');
}

static void
fiber_b(void *arg)
{
    trace(arg, 'b');
    errno = 22;
    skein_yield();
    CHECK(&((struct fixture *)arg)->check, errno == 22);
    trace(arg, 'B');
}

static int
order_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    skein_scope_join(&scope); /* an empty one */
    spawn(f, &scope, fiber_a);
    spawn(f, &scope, fiber_b);
    trace(f, 'm');
    skein_scope_join(&scope);
    CHECK(&f->check, strcmp(f->trace, "mabAB") == 0);
    CHECK(&f->check, strcmp(skein_fiber_name(skein_fiber_self()), "main") == 0);
    return 42;
}

static void
fibers_run_in_order_and_are_joined(void **state)
{
    run_main(order_main, 0);
}

static void
nothing(void *arg)
{
}

static int
limit_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    spawn(f, &scope, nothing);
    spawn(f, &scope, nothing);
    CHECK(&f->check,
          skein_spawn(&scope, "one too many", nothing, f, SKEIN_STACK_LARGE) == -SKEIN_EAGAIN);
    skein_scope_join(&scope);
    spawn(f, &scope, nothing);
    skein_scope_join(&scope);
    return 42;
}

static void
the_fiber_limit_is_an_answer(void **state)
{
    run_main(limit_main, 3);
}

static void
waiter(void *arg)
{
    struct fixture *f = arg;
    f->rc = skein_wait(&f->q, SKEIN_NEVER);
    f->rc2 = skein_wait(&f->q, SKEIN_NEVER); /* cancelled stays cancelled */
    skein_shield(true);
    CHECK(&f->check, !skein_cancelled());
    CHECK(&f->check, skein_wait(&f->q, 5000) == -SKEIN_ETIMEDOUT);
    skein_shield(false);
    CHECK(&f->check, skein_cancelled());
    CHECK(&f->check, skein_sleep(9000) == -SKEIN_ECANCELED);
}

static int
cancel_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    spawn(f, &scope, waiter);
    skein_yield();
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);
    CHECK(&f->check, f->rc2 == -SKEIN_ECANCELED);
    CHECK(&f->check, skein_now_ns() == 5000);
    spawn(f, &scope, waiter); /* into a cancelled scope; its shielded deadline is past */
    skein_scope_join(&scope);
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);

    struct skein_scope second;
    skein_scope_init(&second);
    spawn(f, &second, waiter);
    skein_yield();
    skein_wake_one(&f->q);
    skein_scope_cancel(&second); /* the wake came first */
    skein_scope_join(&second);
    CHECK(&f->check, f->rc == 0);
    CHECK(&f->check, f->rc2 == -SKEIN_ECANCELED);
    return 42;
}

static void
cancellation_is_a_level_that_a_result_beats(void **state)
{
    run_main(cancel_main, 0);
}

static void
sleeper(void *arg)
{
    struct fixture *f = arg;
    f->rc = skein_sleep(SKEIN_NEVER);
    trace(f, 's');
}

static void
parent(void *arg)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    spawn(arg, &scope, sleeper);
    skein_scope_join(&scope);
    trace(arg, 'p');
}

static int
nested_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    spawn(f, &scope, parent);
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(&f->check, strcmp(f->trace, "sp") == 0);
    CHECK(&f->check, f->rc == -SKEIN_ECANCELED);
    return 42;
}

static void
a_cancelled_parent_cancels_what_it_joins(void **state)
{
    run_main(nested_main, 0);
}

static void
waker(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_sleep(3000) == 0);
    skein_wake_one(&f->q);
}

static void
late_waiter(void *arg)
{
    struct fixture *f = arg;
    f->rc = skein_wait(&f->q, 3000);
}

static int
tie_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    spawn(f, &scope, waker);
    spawn(f, &scope, late_waiter);
    skein_scope_join(&scope);
    /* Both timers fire at 3000 before the waker runs, so the deadline was first. */
    CHECK(&f->check, f->rc == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_now_ns() == 3000);
    CHECK(&f->check, skein_deadline_in(UINT64_MAX) == SKEIN_NEVER);
    CHECK(&f->check, skein_deadline_in(7) == 3007);

    spawn(f, &scope, late_waiter); /* parks with a deadline that is due at once */
    skein_yield();
    skein_wake_all(&f->q); /* before any timer was looked at, or after: never both */
    skein_scope_join(&scope);
    CHECK(&f->check, f->rc == -SKEIN_ETIMEDOUT || f->rc == 0);
    CHECK(&f->check, list_is_empty(&f->q.waiters));
    return 42;
}

static void
of_a_wake_and_a_deadline_the_first_counts(void **state)
{
    run_main(tie_main, 0);
}

static void
lock_a(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_mutex_lock(&f->mutex, SKEIN_NEVER) == 0);
    trace(f, 'a');
    skein_yield();
    skein_mutex_unlock(&f->mutex);
}

static void
lock_b(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_mutex_lock(&f->mutex, SKEIN_NEVER) == 0);
    trace(f, 'b');
    skein_mutex_unlock(&f->mutex);
}

static void
lock_c(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_mutex_lock(&f->mutex, 1500) == -SKEIN_ETIMEDOUT);
    trace(f, 'c');
}

static int
mutex_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(&f->check, skein_mutex_lock(&f->mutex, SKEIN_NEVER) == 0);
    spawn(f, &scope, lock_c);
    spawn(f, &scope, lock_a);
    spawn(f, &scope, lock_b);
    CHECK(&f->check, skein_sleep(2000) == 0);
    skein_mutex_unlock(&f->mutex);
    skein_scope_join(&scope);
    CHECK(&f->check, strcmp(f->trace, "cab") == 0);
    CHECK(&f->check, f->mutex.owner == NULL);
    return 42;
}

static void
a_mutex_is_handed_over_in_order(void **state)
{
    run_main(mutex_main, 0);
}

static void
yields_for_ever(void *arg)
{
    for (;;)
        skein_yield();
}

static int
turn_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(&f->check, skein_sleep(5000) == 0);
    spawn(f, &scope, sleeper);
    spawn(f, &scope, yields_for_ever);
    skein_scope_join(&scope);
    return 42;
}

static void
a_shard_is_turned_from_outside_and_abandoned(void **state)
{
    struct fixture f;
    int result = 0;
    open_fixture(&f, 0);
    skein_shard_start(f.shard, turn_main, &f);
    assert_int_equal(skein_shard_turn(f.shard), 5000);
    assert_null(skein_shard_current());
    f.world.now_ns = 4999;
    assert_int_equal(skein_shard_turn(f.shard), 5000);
    f.world.now_ns = 5000;
    assert_int_equal(skein_shard_turn(f.shard), 5000); /* something is still ready */
    assert_false(skein_shard_finished(f.shard, &result));
    skein_shard_abandon(f.shard);

    /* The stacks serve the next shard. */
    struct skein_shard_options options = {.backend = &f.world.base, .stacks = f.world.stacks};
    assert_int_equal(skein_shard_open(&f.shard, &options), 0);
    skein_shard_start(f.shard, order_main, &f);
    assert_int_equal(skein_shard_turn(f.shard), SKEIN_NEVER);
    assert_true(skein_shard_finished(f.shard, &result));
    assert_int_equal(result, 42);
    skein_shard_close(f.shard);
    clock_world_close(&f.world);
    assert_int_equal(f.check.failed_count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fiber_limit_is_an_answer),
        cmocka_unit_test(fibers_run_in_order_and_are_joined),
        cmocka_unit_test(cancellation_is_a_level_that_a_result_beats),
        cmocka_unit_test(a_cancelled_parent_cancels_what_it_joins),
        cmocka_unit_test(of_a_wake_and_a_deadline_the_first_counts),
        cmocka_unit_test(a_mutex_is_handed_over_in_order),
        cmocka_unit_test(a_shard_is_turned_from_outside_and_abandoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
