/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: sleeps gather completions only while many streams are busy, in proportion to them, within a
 * bound.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/uring_internal.h"
#include "skein/backend.h"

#define MS UINT64_C(1000000)
#define STREAM_COUNT 200

static uint64_t windows[STREAM_COUNT];

/* What the first sleep after a window with @busy_count streams waits for. */
static unsigned
wanted_after(struct uring_gather *gather, uint64_t *now_ns, unsigned busy_count, uint64_t passed_ns)
{
    for (int round = 0; round < 3; round++)
        for (unsigned i = 0; i < busy_count; i++)
            gather_count(gather, &windows[i]);
    *now_ns += passed_ns;
    return gather_wanted(gather, *now_ns);
}

static void
test_few_busy_streams_are_not_waited_for(void **state)
{
    struct uring_gather gather;
    uint64_t now_ns = 5 * MS;
    gather_open(&gather);
    gather_wanted(&gather, now_ns);
    assert_int_equal(wanted_after(&gather, &now_ns, 0, MS), 0);
    assert_int_equal(wanted_after(&gather, &now_ns, 1, MS), 0);
    assert_int_equal(wanted_after(&gather, &now_ns, 7, MS), 1);
}

static void
test_many_are_in_proportion_and_bounded(void **state)
{
    struct uring_gather gather;
    uint64_t now_ns = 5 * MS;
    gather_open(&gather);
    gather_wanted(&gather, now_ns);
    assert_int_equal(wanted_after(&gather, &now_ns, 8, MS), 2);
    assert_int_equal(wanted_after(&gather, &now_ns, 52, MS), 13);
    assert_int_equal(wanted_after(&gather, &now_ns, STREAM_COUNT, MS), 16);
    /* Within a window the last one's figure stands. */
    assert_int_equal(wanted_after(&gather, &now_ns, 8, MS / 2), 16);
}

static void
test_what_was_busy_long_ago_does_not_count(void **state)
{
    struct uring_gather gather;
    uint64_t now_ns = 5 * MS;
    gather_open(&gather);
    gather_wanted(&gather, now_ns);
    assert_int_equal(wanted_after(&gather, &now_ns, 100, 2 * MS), 0);
    assert_int_equal(wanted_after(&gather, &now_ns, 100, MS), 16);
    assert_int_equal(wanted_after(&gather, &now_ns, 0, 10 * MS), 0);
}

static void
test_never_is_never(void **state)
{
    struct uring_gather gather;
    uint64_t now_ns = 5 * MS;
    gather_open(&gather);
    gather.gather_ns = SKEIN_GATHER_NEVER;
    gather_wanted(&gather, now_ns);
    assert_int_equal(wanted_after(&gather, &now_ns, 100, MS), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_busy_streams_are_not_waited_for),
        cmocka_unit_test(test_many_are_in_proportion_and_bounded),
        cmocka_unit_test(test_what_was_busy_long_ago_does_not_count),
        cmocka_unit_test(test_never_is_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
