/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: with a seed ready fibers run in another order, the same for the same seed, and calls that
 * need not suspend sometimes do; main is cancelled at the suspension asked for; off, nothing
 * changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "skein/sync.h"

#define FIBERS 6

struct fixture {
    struct check check;
    struct skein_mutex mutex;
    char trace[FIBERS + 1];
    size_t count;
    struct letter {
        struct fixture *f;
        char letter;
    } letters[FIBERS];
    bool interleaved;
    int rc;
};

static void
write_letter(void *arg)
{
    struct letter *letter = arg;
    letter->f->trace[letter->f->count++] = letter->letter;
}

static int
order_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    for (int i = 0; i < FIBERS; i++) {
        f->letters[i] = (struct letter){f, (char)('a' + i)};
        CHECK(&f->check,
              skein_spawn(&scope, "l", write_letter, &f->letters[i], SKEIN_STACK_SMALL) == 0);
    }
    skein_scope_join(&scope);
    return 42;
}

static struct fixture
run(int (*main_fn)(void *arg), struct skein_chaos *chaos)
{
    struct clock_world world;
    struct fixture f = {0};
    skein_mutex_init(&f.mutex);
    clock_world_open(&world);
    struct skein_shard_options options = {.chaos = chaos};
    assert_int_equal(clock_world_run(&world, options, main_fn, &f), 42);
    clock_world_close(&world);
    assert_int_equal(f.check.failed_count, 0);
    return f;
}

static void
the_order_is_the_seeds(void **state)
{
    int other_count = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct skein_chaos one = {.seed = seed};
        struct skein_chaos two = {.seed = seed};
        struct fixture f = run(order_main, &one);
        assert_string_equal(f.trace, run(order_main, &two).trace);
        assert_int_equal(one.suspension_count, two.suspension_count);
        if (seed == 0)
            assert_string_equal(f.trace, "abcdef");
        other_count += strcmp(f.trace, "abcdef") != 0;
    }
    assert_string_equal(run(order_main, NULL).trace, "abcdef");
    assert_true(other_count > 15);
}

static void
interleaves(void *arg)
{
    ((struct fixture *)arg)->interleaved = true;
}

static int
preempt_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(&f->check, skein_spawn(&scope, "other", interleaves, f, SKEIN_STACK_SMALL) == 0);
    CHECK(&f->check, skein_mutex_lock(&f->mutex, SKEIN_NEVER) == 0); /* nobody has it */
    f->rc = f->interleaved;
    skein_mutex_unlock(&f->mutex);
    skein_scope_join(&scope);
    return 42;
}

static void
a_call_that_need_not_suspend_may(void **state)
{
    int count = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct skein_chaos chaos = {.seed = seed};
        int interleaved = run(preempt_main, &chaos).rc;
        assert_true(seed > 0 || !interleaved);
        count += interleaved;
    }
    assert_true(count > 2 && count < 30);
}

static int
cancel_main(void *arg)
{
    struct fixture *f = arg;
    int sleep_count = 0;
    while (sleep_count < 5 && skein_sleep(skein_now_ns() + 10) == 0)
        sleep_count++;
    f->rc = sleep_count;
    CHECK(&f->check, skein_cancelled() == (sleep_count < 5));
    return 42;
}

static void
main_is_cancelled_at_the_point(void **state)
{
    for (uint64_t point = 0; point <= 7; point++) {
        struct skein_chaos chaos = {.cancel_at = point};
        int sleep_count = run(cancel_main, &chaos).rc;
        assert_int_equal(sleep_count, point == 0 || point > 5 ? 5 : (int)point - 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_the_seeds),
        cmocka_unit_test(a_call_that_need_not_suspend_may),
        cmocka_unit_test(main_is_cancelled_at_the_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
