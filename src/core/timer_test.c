/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: timers fire in the order of their deadlines, ties in the order of arming, disarmed never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/prng.h"
#include "core/timer.h"

#define COUNT 500

struct item {
    struct core_timer timer; /* first */
    size_t *fired_count;
    const struct item **fired;
};

static void
fire(struct core_timer *timer)
{
    struct item *item = (struct item *)(void *)timer;
    item->fired[(*item->fired_count)++] = item;
}

static void
disarming_twice_does_nothing(void **state)
{
    struct timer_heap heap;
    struct core_timer timer = {0};
    timer_heap_init(&heap);
    timer_disarm(&heap, &timer);
    assert_int_equal(timer_next_ns(&heap), UINT64_MAX);
    timer_fire_due(&heap, UINT64_MAX);
    timer_arm(&heap, &timer, 7, fire);
    assert_int_equal(timer_next_ns(&heap), 7);
    timer_disarm(&heap, &timer);
    timer_disarm(&heap, &timer);
    assert_int_equal(timer_next_ns(&heap), UINT64_MAX);
    timer_heap_deinit(&heap);
    timer_heap_deinit(&heap);
}

static void
order_holds_under_random_arming(void **state)
{
    struct prng prng;
    struct timer_heap heap;
    static struct item items[COUNT];
    const struct item *fired[COUNT];
    size_t fired_count = 0;
    size_t disarmed_count = 0;
    prng_init(&prng, 11);
    timer_heap_init(&heap);
    for (size_t i = 0; i < COUNT; i++) {
        items[i] = (struct item){.fired_count = &fired_count, .fired = fired};
        timer_arm(&heap, &items[i].timer, prng_below(&prng, 50), fire);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (!prng_chance(&prng, 1, 3))
            continue;
        timer_disarm(&heap, &items[i].timer);
        disarmed_count++;
    }
    timer_fire_due(&heap, 24);
    for (size_t i = 0; i < fired_count; i++)
        assert_true(fired[i]->timer.deadline_ns <= 24);
    assert_true(timer_next_ns(&heap) > 24);
    timer_fire_due(&heap, 50);
    assert_int_equal(fired_count, COUNT - disarmed_count);
    for (size_t i = 1; i < fired_count; i++) {
        const struct core_timer *a = &fired[i - 1]->timer;
        const struct core_timer *b = &fired[i]->timer;
        assert_true(a->deadline_ns < b->deadline_ns ||
                    (a->deadline_ns == b->deadline_ns && a->sequence < b->sequence));
    }
    timer_heap_deinit(&heap);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(disarming_twice_does_nothing),
        cmocka_unit_test(order_holds_under_random_arming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
