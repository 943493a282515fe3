/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a timer's function is called at its instant, once or each period without drift; what came
 * due while nobody looked is called once and counted; its function may cancel and re-arm it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/check.h"
#include "core/clock_world.h"
#include "skein/timer.h"

struct fixture {
    struct check check;
    struct clock_world world;
    struct skein_timer timer;
    struct skein_timer other;
    uint64_t called_ns[8];
    size_t called_count;
};

static void
called(void *arg)
{
    struct fixture *f = arg;
    f->called_ns[f->called_count++] = skein_now_ns();
}

static int
once_main(void *arg)
{
    struct fixture *f = arg;
    skein_timer_init(&f->timer, called, f);
    skein_timer_cancel(&f->timer);
    CHECK(&f->check, !skein_timer_is_armed(&f->timer));
    skein_timer_arm(&f->timer, 9000);
    skein_timer_arm(&f->timer, 3000); /* replaces */
    CHECK(&f->check, skein_timer_deadline_ns(&f->timer) == 3000);
    CHECK(&f->check, skein_sleep(10000) == 0);
    CHECK(&f->check, f->called_count == 1 && f->called_ns[0] == 3000);
    CHECK(&f->check, skein_timer_deadline_ns(&f->timer) == SKEIN_NEVER);
    skein_timer_arm(&f->timer, 5); /* past: as soon as may be */
    skein_yield();
    skein_yield();
    CHECK(&f->check, f->called_count == 2 && f->called_ns[1] == 10000);
    skein_timer_arm(&f->timer, 11000);
    skein_timer_cancel(&f->timer);
    skein_timer_arm(&f->timer, SKEIN_NEVER);
    CHECK(&f->check, skein_sleep(12000) == 0);
    CHECK(&f->check, f->called_count == 2);
    return 42;
}

static void
cancels_itself(void *arg)
{
    struct fixture *f = arg;
    called(arg);
    if (f->called_count == 2)
        skein_timer_cancel(&f->timer);
}

static int
periodic_main(void *arg)
{
    struct fixture *f = arg;
    skein_timer_init(&f->timer, called, f);
    skein_timer_arm_periodic(&f->timer, 2000, 100);
    CHECK(&f->check, skein_sleep(2150) == 0);
    CHECK(&f->check, f->called_count == 2 && f->called_ns[1] == 2100);
    f->world.now_ns = 2470; /* a fiber that computed for long: 2200, 2300 and 2400 are past */
    skein_yield();
    skein_yield();
    CHECK(&f->check, f->called_count == 3 && f->timer.missed_count == 2);
    CHECK(&f->check, skein_sleep(2500) == 0);
    CHECK(&f->check, f->called_count == 4 && f->called_ns[3] == 2500); /* no drift */
    skein_timer_cancel(&f->timer);
    f->called_count = 0;
    skein_timer_init(&f->timer, cancels_itself, f);
    skein_timer_arm_periodic(&f->timer, 3000, 50);
    CHECK(&f->check, skein_sleep(4000) == 0);
    CHECK(&f->check, f->called_count == 2);
    f->called_count = 0;
    skein_timer_init(&f->timer, called, f);
    skein_timer_arm_periodic(&f->timer, 5000, UINT64_MAX - 10); /* the second is never */
    CHECK(&f->check, skein_sleep(6000) == 0);
    CHECK(&f->check, f->called_count == 1 && !skein_timer_is_armed(&f->timer));
    return 42;
}

static int
coarse_main(void *arg)
{
    struct fixture *f = arg;
    CHECK(&f->check, skein_sleep(2000) == 0);
    CHECK(&f->check, skein_coarse_now_ns() == 2000);
    f->world.now_ns = 2500;
    CHECK(&f->check, skein_coarse_now_ns() == 2000); /* of this turn */
    skein_yield();
    CHECK(&f->check, skein_coarse_now_ns() == 2500);
    return 42;
}

static void
run(int (*main_fn)(void *arg))
{
    struct fixture f = {0};
    clock_world_open(&f.world);
    assert_int_equal(clock_world_run(&f.world, (struct skein_shard_options){0}, main_fn, &f), 42);
    clock_world_close(&f.world);
    assert_int_equal(f.check.failed_count, 0);
}

static void
once_is_once(void **state)
{
    run(once_main);
}

static void
periods_do_not_drift(void **state)
{
    run(periodic_main);
}

static void
the_coarse_clock_stands_still_in_a_turn(void **state)
{
    run(coarse_main);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once_is_once),
        cmocka_unit_test(periods_do_not_drift),
        cmocka_unit_test(the_coarse_clock_stands_still_in_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
