/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the first result counts and each value is dropped exactly once; derived futures pass codes
 * by what they are for; a cancellation reaches the producers and a late result is dropped; chains
 * and fans of a hundred thousand neither recurse nor leak.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "skein/future.h"

#define MANY 100000

struct fixture {
    struct check check;
    struct skein_scope scope;
    struct skein_promise promise;
    struct skein_promise other;
    int called_count;
    int rc;
};

/* Values are counted: what was made and not dropped is left. */
static int live_value_count;

static int *
make_value(int number)
{
    int *value = malloc(sizeof(*value));
    *value = number;
    live_value_count++;
    return value;
}

static void
drop_value(void *value)
{
    live_value_count--;
    free(value);
}

static void
run(int (*main_fn)(void *arg))
{
    struct clock_world world;
    struct fixture f = {0};
    live_value_count = 0;
    clock_world_open(&world);
    assert_int_equal(clock_world_run(&world, (struct skein_shard_options){0}, main_fn, &f), 42);
    clock_world_close(&world);
    assert_int_equal(f.check.failed_count, 0);
    assert_int_equal(live_value_count, 0);
}

static void
waits_for_3(void *arg)
{
    struct fixture *f = arg;
    struct skein_future *future = skein_promise_future(&f->promise);
    void *value = NULL;
    CHECK(&f->check, skein_future_wait(future, 1500, &value) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, !skein_future_is_complete(future));
    CHECK(&f->check, skein_future_wait(future, SKEIN_NEVER, &value) == 0);
    CHECK(&f->check, *(int *)value == 3);
    skein_future_unref(future);
    f->called_count++;
}

static int
basic_main(void *arg)
{
    struct fixture *f = arg;
    void *value = NULL;
    skein_scope_init(&f->scope);
    skein_promise_open(&f->promise, drop_value);
    for (int i = 0; i < 2; i++)
        CHECK(&f->check, skein_spawn(&f->scope, "w", waits_for_3, f, SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check, skein_sleep(2000) == 0);
    struct skein_future *future = skein_promise_future(&f->promise);
    skein_promise_complete(&f->promise, 0, make_value(3));
    CHECK(&f->check, skein_future_wait(future, 0, &value) == 0); /* already there */
    skein_scope_join(&f->scope);
    CHECK(&f->check, f->called_count == 2 && live_value_count == 1);
    skein_future_unref(future);
    CHECK(&f->check, live_value_count == 0);

    /* Not kept; completed with nobody there; kept too late. */
    skein_promise_open(&f->promise, drop_value);
    future = skein_promise_future(&f->promise);
    skein_promise_close(&f->promise);
    skein_promise_close(&f->promise);
    CHECK(&f->check, skein_future_result(future, &value) == -SKEIN_ECLOSED);
    skein_future_unref(future);
    skein_promise_open(&f->promise, drop_value);
    skein_promise_complete(&f->promise, 0, make_value(4));
    CHECK(&f->check, live_value_count == 0);
    skein_promise_open(&f->promise, drop_value);
    future = skein_promise_future(&f->promise);
    skein_future_cancel(future);
    skein_future_cancel(future);
    skein_promise_complete(&f->promise, 0, make_value(5));
    CHECK(&f->check, skein_future_result(future, &value) == -SKEIN_ECANCELED);
    skein_future_unref(future);
    return 42;
}

static void
the_first_result_counts(void **state)
{
    run(basic_main);
}

static int
doubles(void *arg, void *value, void **out_value)
{
    (*(int *)arg)++;
    if (*(int *)value < 0)
        return -SKEIN_EINVALID;
    *out_value = make_value(2 * *(int *)value);
    return 0;
}

static int
mends(void *arg, int rc, void **out_value)
{
    (*(int *)arg)++;
    if (rc == -SKEIN_EBUSY)
        return rc;
    *out_value = make_value(-rc);
    return 0;
}

/* map and recover of a promise that is completed with (@rc, @number); checks code and value. */
static void
check_map(struct fixture *f, int rc, int number, int map_rc, int mended)
{
    void *value = NULL;
    f->called_count = 0;
    skein_promise_open(&f->promise, drop_value);
    struct skein_future *source = skein_promise_future(&f->promise);
    struct skein_future *mapped = skein_future_map(source, doubles, &f->called_count, drop_value);
    struct skein_future *recovered =
        skein_future_recover(mapped, mends, &f->called_count, drop_value);
    skein_future_unref(source);
    skein_promise_complete(&f->promise, rc, rc < 0 ? NULL : make_value(number));
    CHECK(&f->check, skein_future_result(mapped, &value) == map_rc);
    skein_future_unref(mapped);
    rc = skein_future_result(recovered, &value);
    CHECK(&f->check, rc == (mended < 0 ? mended : 0));
    CHECK(&f->check, rc < 0 || *(int *)value == mended);
    skein_future_unref(recovered);
    CHECK(&f->check, live_value_count == 0);
}

static int
map_main(void *arg)
{
    struct fixture *f = arg;
    check_map(f, 0, 21, 0, 42);
    CHECK(&f->check, f->called_count == 1); /* mends was passed by */
    check_map(f, 0, -1, -SKEIN_EINVALID, SKEIN_EINVALID);
    CHECK(&f->check, f->called_count == 2);
    check_map(f, -SKEIN_EPROTO, 0, -SKEIN_EPROTO, SKEIN_EPROTO);
    CHECK(&f->check, f->called_count == 1); /* doubles was */
    check_map(f, -SKEIN_EBUSY, 0, -SKEIN_EBUSY, -SKEIN_EBUSY);
    return 42;
}

static void
codes_pass_by_what_is_not_for_them(void **state)
{
    run(map_main);
}

static struct skein_future *
goes_on(void *arg, void *value)
{
    struct fixture *f = arg;
    f->called_count++;
    if (*(int *)value == 0)
        return NULL;
    if (*(int *)value == 2) { /* one that is complete already */
        struct skein_promise promise;
        skein_promise_open(&promise, drop_value);
        struct skein_future *done = skein_promise_future(&promise);
        skein_promise_complete(&promise, 0, make_value(22));
        return done;
    }
    skein_promise_open(&f->other, drop_value);
    return skein_promise_future(&f->other);
}

static struct skein_future *
start_then(struct fixture *f, int number)
{
    skein_promise_open(&f->promise, drop_value);
    struct skein_future *source = skein_promise_future(&f->promise);
    struct skein_future *after = skein_future_then(source, goes_on, f);
    skein_future_unref(source);
    if (number >= 0)
        skein_promise_complete(&f->promise, 0, make_value(number));
    else
        skein_promise_complete(&f->promise, number, NULL);
    return after;
}

static int
then_main(void *arg)
{
    struct fixture *f = arg;
    void *value = NULL;
    struct skein_future *after = start_then(f, 0);
    CHECK(&f->check, skein_future_result(after, &value) == 0 && value == NULL);
    skein_future_unref(after);
    after = start_then(f, 2);
    CHECK(&f->check, skein_future_result(after, &value) == 0 && *(int *)value == 22);
    skein_future_unref(after);
    after = start_then(f, 1);
    CHECK(&f->check, !skein_future_is_complete(after));
    skein_promise_complete(&f->other, 0, make_value(11));
    CHECK(&f->check, skein_future_result(after, &value) == 0 && *(int *)value == 11);
    skein_future_unref(after);
    CHECK(&f->check, f->called_count == 3);
    after = start_then(f, -SKEIN_EBUSY);
    CHECK(&f->check, skein_future_result(after, &value) == -SKEIN_EBUSY);
    skein_future_unref(after);
    CHECK(&f->check, f->called_count == 3);
    after = start_then(f, 1); /* cancelled in the second half */
    skein_future_cancel(after);
    CHECK(&f->check, skein_future_is_complete(f->other.future));
    skein_future_unref(after);
    skein_promise_complete(&f->other, 0, make_value(12));
    return 42;
}

static void
then_goes_on_with_another_future(void **state)
{
    run(then_main);
}

static void
counts(void *arg)
{
    (*(int *)arg)++;
}

static int
timeout_main(void *arg)
{
    struct fixture *f = arg;
    void *value = NULL;
    skein_promise_open(&f->promise, drop_value);
    skein_promise_on_cancel(&f->promise, counts, &f->called_count);
    struct skein_future *source = skein_promise_future(&f->promise);
    struct skein_future *mapped = skein_future_map(source, doubles, &f->rc, drop_value);
    struct skein_future *limited = skein_future_timeout(mapped, 3000);
    CHECK(&f->check, skein_future_wait(limited, SKEIN_NEVER, &value) == -SKEIN_ETIMEDOUT);
    CHECK(&f->check, skein_now_ns() == 3000);
    CHECK(&f->check, f->called_count == 1); /* through the map */
    CHECK(&f->check, f->rc == 0);           /* which was not called */
    CHECK(&f->check, skein_future_result(source, NULL) == -SKEIN_ECANCELED);
    skein_promise_complete(&f->promise, 0, make_value(1));
    skein_future_unref(limited);
    skein_future_unref(mapped);
    skein_future_unref(source);

    skein_promise_open(&f->promise, drop_value);
    source = skein_promise_future(&f->promise);
    limited = skein_future_timeout(source, 4000);
    skein_future_unref(source);
    skein_promise_complete(&f->promise, 0, make_value(6));
    CHECK(&f->check, skein_future_wait(limited, 0, &value) == 0 && *(int *)value == 6);
    skein_future_unref(limited);
    CHECK(&f->check, skein_sleep(5000) == 0); /* the timer is off */
    return 42;
}

static void
a_timeout_cancels_the_source(void **state)
{
    run(timeout_main);
}

static int
fan_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_promise promises[3];
    struct skein_future *futures[3];
    void *value = NULL;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            skein_promise_open(&promises[i], drop_value);
            futures[i] = skein_promise_future(&promises[i]);
        }
        struct skein_future *all = skein_future_when_all(futures, 3);
        struct skein_future *any = skein_future_when_any(futures, 3);
        skein_promise_complete(&promises[2], round ? -SKEIN_EPROTO : 0,
                               round ? NULL : make_value(2));
        CHECK(&f->check, skein_future_result(any, &value) == 0 && value == futures[2]);
        CHECK(&f->check, !skein_future_is_complete(all));
        skein_promise_complete(&promises[0], 0, make_value(0));
        skein_promise_complete(&promises[1], round ? -SKEIN_EBUSY : 0,
                               round ? NULL : make_value(1));
        CHECK(&f->check, skein_future_result(all, NULL) == (round ? -SKEIN_EBUSY : 0));
        struct skein_future *late = skein_future_when_any(futures, 3);
        CHECK(&f->check, skein_future_result(late, &value) == 0 && value == futures[0]);
        for (int i = 0; i < 3; i++)
            skein_future_unref(futures[i]);
        skein_future_unref(late);
        skein_future_unref(any);
        skein_future_unref(all);
    }
    struct skein_future *none = skein_future_when_all(NULL, 0);
    CHECK(&f->check, skein_future_result(none, NULL) == 0);
    skein_future_unref(none);
    none = skein_future_when_any(NULL, 0);
    CHECK(&f->check, skein_future_result(none, NULL) == -SKEIN_EINVALID);
    skein_future_unref(none);
    return 42;
}

static void
all_and_any(void **state)
{
    run(fan_main);
}

static int
sleeps(void *arg, void **out_value)
{
    struct fixture *f = arg;
    int rc = skein_sleep(2000);
    f->called_count++;
    *out_value = rc < 0 && f->rc == 0 ? NULL : make_value(8);
    return f->rc == 0 ? rc : 0;
}

static int
spawn_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_future *future;
    void *value = NULL;
    skein_scope_init(&f->scope);
    CHECK(&f->check, skein_future_spawn(&future, &f->scope, "s", sleeps, f, SKEIN_STACK_SMALL,
                                        drop_value) == 0);
    CHECK(&f->check, skein_future_wait(future, SKEIN_NEVER, &value) == 0 && *(int *)value == 8);
    skein_future_unref(future);
    skein_scope_join(&f->scope);
    for (f->rc = 0; f->rc < 2; f->rc++) { /* cancelled; and one that succeeds all the same */
        CHECK(&f->check, skein_future_spawn(&future, &f->scope, "s", sleeps, f, SKEIN_STACK_SMALL,
                                            drop_value) == 0);
        skein_future_cancel(future);
        CHECK(&f->check, skein_future_result(future, NULL) == -SKEIN_ECANCELED);
        skein_future_unref(future);
        skein_scope_join(&f->scope);
    }
    CHECK(&f->check, f->called_count == 3);
    return 42;
}

static void
a_fibers_result_is_a_future(void **state)
{
    run(spawn_main);
}

static int
adds_one(void *arg, void *value, void **out_value)
{
    *out_value = (char *)value + 1;
    return 0;
}

static int
many_main(void *arg)
{
    struct fixture *f = arg;
    static struct skein_promise promises[MANY];
    static struct skein_future *futures[MANY];
    void *value = NULL;
    for (int round = 0; round < 2; round++) {
        skein_promise_open(&f->promise, NULL);
        struct skein_future *last = skein_promise_future(&f->promise);
        for (int i = 0; i < MANY; i++) {
            struct skein_future *next = skein_future_map(last, adds_one, NULL, NULL);
            skein_future_unref(last);
            last = next;
        }
        if (round == 0)
            skein_promise_complete(&f->promise, 0, NULL);
        else
            skein_future_cancel(last);
        CHECK(&f->check, skein_future_is_complete(last));
        CHECK(&f->check, skein_future_result(last, &value) == (round ? -SKEIN_ECANCELED : 0));
        CHECK(&f->check, value == (char *)NULL + MANY);
        skein_future_unref(last);
        skein_promise_close(&f->promise);
    }
    for (int i = 0; i < MANY; i++) {
        skein_promise_open(&promises[i], NULL);
        futures[i] = skein_promise_future(&promises[i]);
    }
    struct skein_future *all = skein_future_when_all(futures, MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK(&f->check, !skein_future_is_complete(all));
        skein_future_unref(futures[i]);
        skein_promise_close(&promises[i]);
    }
    CHECK(&f->check, skein_future_result(all, NULL) == -SKEIN_ECLOSED);
    skein_future_unref(all);
    return 42;
}

static void
a_hundred_thousand_do_not_recurse(void **state)
{
    run(many_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_result_counts),
        cmocka_unit_test(codes_pass_by_what_is_not_for_them),
        cmocka_unit_test(then_goes_on_with_another_future),
        cmocka_unit_test(a_timeout_cancels_the_source),
        cmocka_unit_test(all_and_any),
        cmocka_unit_test(a_fibers_result_is_a_future),
        cmocka_unit_test(a_hundred_thousand_do_not_recurse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
