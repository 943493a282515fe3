/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: timers fire in the order of their deadlines, ties in the order of arming, disarmed never,
 * at every distance from a nanosecond to the end of time; the next deadline is never told too late.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/prng.h"
#include "core/timer.h"

#define COUNT 500
#define START 1234567890123ull

struct item {
    struct skein_timer_node timer; /* first */
    bool armed;
};

static struct timer_wheel wheel;
static struct item items[COUNT];
static const struct item *fired[COUNT];
static size_t fired_count;

static void
fire(struct skein_timer_node *timer)
{
    struct item *item = (struct item *)(void *)timer;
    assert_true(item->armed);
    item->armed = false;
    fired[fired_count++] = item;
}

static void
arm(struct item *item, uint64_t deadline_ns)
{
    timer_arm(&wheel, &item->timer, deadline_ns, fire);
    item->armed = true;
}

static void
disarm(struct item *item)
{
    timer_disarm(&wheel, &item->timer);
    item->armed = false;
}

static void
begin(uint64_t now_ns)
{
    timer_wheel_init(&wheel, now_ns);
    memset(items, 0, sizeof(items));
    fired_count = 0;
}

static void
disarming_twice_does_nothing(void **state)
{
    begin(START);
    timer_disarm(&wheel, &items[0].timer);
    assert_int_equal(timer_next_ns(&wheel), UINT64_MAX);
    timer_fire_due(&wheel, START);
    arm(&items[0], START + 7);
    assert_int_equal(timer_next_ns(&wheel), START + 7);
    assert_int_equal(timer_deadline_ns(&items[0].timer), START + 7);
    disarm(&items[0]);
    disarm(&items[0]);
    assert_int_equal(timer_next_ns(&wheel), UINT64_MAX);
    assert_int_equal(timer_deadline_ns(&items[0].timer), UINT64_MAX);
    assert_int_equal(wheel.levels_used, 0);
}

static void
every_distance_is_exact(void **state)
{
    for (int shift = 0; shift < 64; shift++) {
        for (uint64_t around = 0; around < 3; around++) {
            uint64_t deadline_ns = (1ull << shift) - 1 + around;
            begin(0);
            arm(&items[0], deadline_ns);
            assert_int_equal(timer_next_ns(&wheel), deadline_ns);
            if (deadline_ns > 0)
                timer_fire_due(&wheel, deadline_ns - 1);
            assert_int_equal(fired_count, 0);
            assert_int_equal(timer_next_ns(&wheel), deadline_ns);
            timer_fire_due(&wheel, deadline_ns);
            assert_int_equal(fired_count, 1);
            assert_int_equal(timer_next_ns(&wheel), UINT64_MAX);
        }
    }
    begin(START);
    arm(&items[0], UINT64_MAX);
    arm(&items[1], 5); /* long past */
    arm(&items[2], START);
    assert_int_equal(timer_next_ns(&wheel), 5);
    timer_fire_due(&wheel, START);
    assert_int_equal(fired_count, 2);
    assert_ptr_equal(fired[0], &items[1]);
    assert_int_equal(timer_next_ns(&wheel), UINT64_MAX);
    timer_fire_due(&wheel, UINT64_MAX);
    assert_int_equal(fired_count, 3);
}

static uint64_t
draw_deadline(struct prng *prng, uint64_t now_ns)
{
    return now_ns + prng_below(prng, 1ull << prng_below(prng, 40));
}

/* The earliest of those armed, by looking at all. */
static uint64_t
earliest(void)
{
    uint64_t at_ns = UINT64_MAX;
    for (size_t i = 0; i < COUNT; i++)
        if (items[i].armed && items[i].timer.deadline_ns < at_ns)
            at_ns = items[i].timer.deadline_ns;
    return at_ns;
}

static void
check_fired(uint64_t now_ns)
{
    for (size_t i = 0; i < fired_count; i++)
        assert_true(fired[i]->timer.deadline_ns <= now_ns);
    for (size_t i = 1; i < fired_count; i++) {
        const struct skein_timer_node *a = &fired[i - 1]->timer;
        const struct skein_timer_node *b = &fired[i]->timer;
        assert_true(a->deadline_ns < b->deadline_ns ||
                    (a->deadline_ns == b->deadline_ns && a->sequence < b->sequence));
    }
    assert_true(earliest() > now_ns);
    fired_count = 0;
}

static void
order_holds_under_random_arming(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct prng prng;
        uint64_t now_ns = START;
        prng_init(&prng, seed);
        begin(now_ns);
        for (int step = 0; step < 3000; step++) {
            struct item *item = &items[prng_below(&prng, seed % 2 ? COUNT : 40)];
            if (item->armed)
                disarm(item);
            if (prng_chance(&prng, 2, 3))
                arm(item, prng_chance(&prng, 1, 9) ? now_ns : draw_deadline(&prng, now_ns));
            uint64_t next_ns = timer_next_ns(&wheel);
            assert_true(next_ns <= earliest());
            if (seed % 2 == 0) /* few timers: it is exact */
                assert_true(next_ns == earliest() || step < 40 || wheel.count > 32);
            if (prng_chance(&prng, 1, 4)) {
                now_ns = prng_chance(&prng, 1, 2) && earliest() != UINT64_MAX
                             ? (earliest() > now_ns ? earliest() : now_ns)
                             : draw_deadline(&prng, now_ns);
                timer_fire_due(&wheel, now_ns);
                check_fired(now_ns);
            }
        }
        timer_fire_due(&wheel, UINT64_MAX);
        check_fired(UINT64_MAX - 1);
        assert_int_equal(wheel.count, 0);
        assert_int_equal(wheel.levels_used, 0);
    }
}

/* Following timer_next_ns from one instant to the next leads to every deadline, never past one. */
static void
following_the_next_leads_to_all(void **state)
{
    struct prng prng;
    uint64_t now_ns = START;
    size_t step_count = 0;
    prng_init(&prng, 7);
    begin(now_ns);
    for (size_t i = 0; i < COUNT; i++)
        arm(&items[i], now_ns + 30000000000ull + prng_below(&prng, 3000000000ull));
    while (wheel.count > 0) {
        uint64_t due_ns = earliest();
        uint64_t next_ns = timer_next_ns(&wheel);
        assert_true(next_ns <= due_ns);
        now_ns = next_ns > now_ns ? next_ns : now_ns;
        timer_fire_due(&wheel, now_ns);
        check_fired(now_ns);
        step_count++;
    }
    assert_true(step_count < 2 * COUNT); /* few wake-ups for nothing */
}

static struct item *partner;

static void
fire_and_meddle(struct skein_timer_node *timer)
{
    fire(timer);
    disarm(partner); /* it is due, too, and will not fire */
    if (!items[2].armed)
        arm(&items[2], START); /* due at once: in the next call */
}

static void
firing_may_arm_and_disarm(void **state)
{
    begin(START);
    partner = &items[1];
    timer_arm(&wheel, &items[0].timer, START + 1, fire_and_meddle);
    items[0].armed = true;
    arm(partner, START + 2);
    arm(&items[3], START + 3);
    timer_fire_due(&wheel, START + 10);
    assert_int_equal(fired_count, 2);
    assert_ptr_equal(fired[1], &items[3]);
    assert_int_equal(timer_next_ns(&wheel), START);
    timer_fire_due(&wheel, START + 10);
    assert_int_equal(fired_count, 3);
    assert_ptr_equal(fired[2], &items[2]);
    assert_int_equal(wheel.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disarming_twice_does_nothing),
        cmocka_unit_test(every_distance_is_exact),
        cmocka_unit_test(order_holds_under_random_arming),
        cmocka_unit_test(following_the_next_leads_to_all),
        cmocka_unit_test(firing_may_arm_and_disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
