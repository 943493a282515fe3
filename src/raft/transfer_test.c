/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: leadership moves at once, or the old leader goes on after one election timeout (thesis
 * section 3.10; rows 34d, 38). */
#include "raft/test_util.h"

static void
test_refused(void **state)
{
    struct testnet net;
    lead(&net, 3);
    raft_forget_leader(net.nodes[2].raft);
    assert_int_equal(raft_transfer(net.nodes[2].raft, 3), -SKEIN_ENOTLEADER);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 1), -SKEIN_EINVALID);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 9), -SKEIN_EINVALID);
    testnet_deinit(&net);
    lead(&net, 1);
    assert_int_equal(raft_transfer(net.nodes[1].raft, RAFT_NONE), -SKEIN_EINVALID);
    testnet_deinit(&net);
}

static void
test_follower_asks_its_leader(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(raft_transfer(net.nodes[2].raft, 3), 0);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 3);
    /* To nobody in particular, and to nobody at all. */
    assert_int_equal(raft_transfer(net.nodes[1].raft, RAFT_NONE), 0);
    testnet_run(&net);
    assert_in_range(testnet_leader(&net), 1, 2);
    struct raft_message m = testnet_message(RAFT_TRANSFER_LEADER, 3, testnet_leader(&net),
                                            raft_term(net.nodes[1].raft));
    m.context = 77;
    assert_int_equal(step(&net, testnet_leader(&net), m), -SKEIN_EPROTO);
    testnet_deinit(&net);
}

static void
test_moves_within_the_lease(void **state)
{
    struct testnet net; /* row 34d: and the old leader's heartbeat does not knock it back */
    lead(&net, 3);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
    raft_tick(net.nodes[1].raft);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 3);
    testnet_tick(&net, 30);
    assert_int_equal(testnet_leader(&net), 3);
    testnet_deinit(&net);
}

static void
test_chooses_the_most_up_to_date(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_isolate(&net, 2, true);
    propose(&net, 1, "a");
    assert_int_equal(raft_transfer(net.nodes[1].raft, RAFT_NONE), 0);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 3);
    testnet_deinit(&net);
}

static void
test_given_up(void **state)
{
    struct testnet net; /* row 38 */
    lead(&net, 3);
    testnet_isolate(&net, 3, true);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
    assert_int_equal(testnet_propose(&net, 1, "x"), -SKEIN_EBUSY);
    testnet_tick(&net, 11);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(testnet_propose(&net, 1, "x"), 0);
    testnet_deinit(&net);
}

static void
test_catches_up_first(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_isolate(&net, 3, true);
    for (uint32_t i = 0; i < 5; i++)
        propose(&net, 1, "x");
    testnet_isolate(&net, 3, false);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
    testnet_tick(&net, 3);
    assert_int_equal(testnet_leader(&net), 3);
    assert_int_equal(testnet_commit(&net, 3), 7);
    testnet_deinit(&net);
}

static void
test_step_down_forgets_it(void **state)
{
    struct testnet net; /* row 38 */
    lead(&net, 3);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
    testnet_tick(&net, 60);
    assert_int_not_equal(raft_role(net.nodes[1].raft), RAFT_LEADER);
    assert_int_equal(testnet_status(&net, 1).transferee, RAFT_NONE);
    testnet_deinit(&net);
}

static void
test_stranger_cannot_order_it(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(step(&net, 2, testnet_message(RAFT_TIMEOUT_NOW, 3, 2, 1)), 0);
    assert_int_equal(raft_role(net.nodes[2].raft), RAFT_FOLLOWER);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_follower_asks_its_leader),
        cmocka_unit_test(test_moves_within_the_lease),
        cmocka_unit_test(test_chooses_the_most_up_to_date),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_catches_up_first),
        cmocka_unit_test(test_step_down_forgets_it),
        cmocka_unit_test(test_stranger_cannot_order_it),
    };
    return cmocka_run_group_tests_name("raft transfer", tests, NULL, NULL);
}
