/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what is known of a peer never says more than the peer did: a late or repeated refusal takes
 * nothing back, a window never holds more than its limits, and what is freed comes back in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft/internal.h"

static const struct raft_options limits = {.inflight_count_max = 4, .inflight_bytes_max = 1000};

static void
test_refusals(void **state)
{
    struct raft_progress p = {.id = 2, .next = 100};
    /* A probe goes back to what the peer may have; an answer to another probe changes nothing. */
    assert_false(raft_progress_rejected(&p, 50, 40));
    assert_int_equal(p.next, 100);
    assert_true(raft_progress_rejected(&p, 99, 40));
    assert_int_equal(p.next, 41);
    assert_true(raft_progress_rejected(&p, 40, 90)); /* a hint beyond what was refused */
    assert_int_equal(p.next, 40);
    p.match = 39;
    assert_true(raft_progress_rejected(&p, 39, 0)); /* what is matched stays */
    assert_int_equal(p.next, 40);
    raft_progress_become_replicate(&p);
    raft_progress_sent(&p, 10, 10, &limits);
    assert_int_equal(p.next, 50);
    assert_false(raft_progress_rejected(&p, 39, 0)); /* late */
    assert_int_equal(p.state, RAFT_REPLICATE);
    assert_true(raft_progress_rejected(&p, 45, 0));
    assert_int_equal(p.state, RAFT_PROBE);
    assert_int_equal(p.next, 40);
    assert_int_equal(p.inflights.count, 0);
    raft_progress_deinit(&p);
}

static void
test_window(void **state)
{
    struct raft_progress p = {.id = 2, .match = 10, .next = 11};
    raft_progress_become_replicate(&p);
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(raft_progress_is_paused(&p));
        raft_progress_sent(&p, 2, 100, &limits);
    }
    assert_true(raft_progress_is_paused(&p));
    assert_int_equal(p.next, 19);
    raft_inflights_free_to(&p.inflights, 11); /* in the middle of the first message */
    assert_int_equal(p.inflights.count, 4);
    raft_inflights_free_to(&p.inflights, 15);
    assert_int_equal(p.inflights.count, 2);
    assert_int_equal(p.inflights.bytes, 200);
    assert_false(raft_inflights_full(&p.inflights, &limits));
    /* The ring goes round many times; its bytes are what it holds. */
    for (uint32_t i = 0; i < 1000; i++) {
        raft_progress_sent(&p, 1, 7, &limits);
        assert_true(p.inflights.count <= limits.inflight_count_max);
        raft_inflights_free_to(&p.inflights, p.next - 2);
    }
    assert_int_equal(p.inflights.count, 1);
    assert_int_equal(p.inflights.bytes, 7);
    raft_progress_sent(&p, 1, 1000, &limits); /* bytes count, too */
    assert_true(raft_progress_is_paused(&p));
    raft_inflights_free_to(&p.inflights, UINT64_MAX);
    assert_int_equal(p.inflights.count, 0);
    assert_int_equal(p.inflights.bytes, 0);
    raft_progress_deinit(&p);
}

static void
test_snapshot(void **state)
{
    struct raft_progress p = {.id = 2, .match = 5, .next = 6, .needs_snapshot = true};
    raft_progress_become_snapshot(&p, 50);
    assert_true(raft_progress_is_paused(&p));
    assert_false(p.needs_snapshot);
    assert_false(raft_progress_update(&p, 5));
    assert_true(raft_progress_update(&p, 7));
    assert_true(raft_progress_is_paused(&p));
    raft_progress_become_probe(&p); /* installed: on behind it */
    assert_int_equal(p.next, 51);
    raft_progress_become_snapshot(&p, 60);
    p.pending_snapshot = 0; /* lost: on behind what is known */
    raft_progress_become_probe(&p);
    assert_int_equal(p.next, 8);
    assert_true(p.sent_commit < p.next);
    raft_progress_deinit(&p);
}

static void
test_commit(void **state)
{
    struct raft_progress p = {.id = 2, .match = 10, .next = 11};
    raft_progress_become_replicate(&p);
    p.sent_commit = 9;
    assert_true(raft_progress_can_bump_commit(&p, 12));
    assert_false(raft_progress_can_bump_commit(&p, 9));
    p.sent_commit = 10; /* all it can use */
    assert_false(raft_progress_can_bump_commit(&p, 12));
    raft_progress_sent(&p, 1, 1, &limits);
    assert_true(raft_progress_can_bump_commit(&p, 12));
    raft_progress_deinit(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
