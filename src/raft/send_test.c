/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what is committed is told with the next entries or heartbeat; in a message of its own only
 * to whoever has to know at once, and with eager_sends to everybody. */
#include "raft/test_util.h"

static void
test_commit_goes_with_entries(void **state)
{
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "x");
    assert_int_equal(testnet_commit(&net, 1), 2);
    assert_int_equal(testnet_commit(&net, 2), 1);
    assert_int_equal(testnet_commit(&net, 3), 1);
    propose(&net, 1, "y");
    assert_int_equal(testnet_commit(&net, 1), 3);
    assert_int_equal(testnet_commit(&net, 2), 2);
    assert_int_equal(testnet_commit(&net, 3), 2);
    testnet_tick(&net, 1);
    assert_int_equal(testnet_commit(&net, 2), 3);
    assert_int_equal(testnet_commit(&net, 3), 3);
    testnet_deinit(&net);
}

static void
test_reader_learns_at_once(void **state)
{
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "x");
    assert_int_equal(raft_read_index(net.nodes[2].raft, 7), 0);
    testnet_collect(&net, 2);
    while (!in_bag(&net, RAFT_READ_INDEX_RESPONSE, 2)) {
        for (size_t i = 0; i < net.bag_count; i++)
            if (net.bag[i].type == RAFT_HEARTBEAT && net.bag[i].to == 2)
                testnet_lose(&net, i); /* its round asks the others */
        assert_true(net.bag_count > 0);
        testnet_deliver(&net, 0);
        for (uint64_t id = 1; id <= 3; id++)
            testnet_collect(&net, id);
    }
    assert_int_equal(in_bag(&net, RAFT_READ_INDEX_RESPONSE, 2)->commit, 2);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 2), 2);
    testnet_deinit(&net);
}

static void
test_configuration_is_told_at_once(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(testnet_change(&net, 1, true, 3), 0);
    testnet_run(&net);
    assert_int_equal(testnet_status(&net, 1).config.count, 2);
    assert_int_equal(testnet_status(&net, 2).config.count, 2);
    assert_int_equal(testnet_status(&net, 3).config.count, 2); /* no heartbeat will tell it */
    testnet_deinit(&net);
}

static void
test_eager_sends_tell_everybody(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    net.options.eager_sends = true;
    for (uint64_t id = 1; id <= 3; id++) {
        testnet_crash(&net, id);
        testnet_start(&net, id);
    }
    testnet_campaign(&net, 1);
    propose(&net, 1, "x");
    assert_int_equal(testnet_commit(&net, 2), 2);
    assert_int_equal(testnet_commit(&net, 3), 2);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_goes_with_entries),
        cmocka_unit_test(test_reader_learns_at_once),
        cmocka_unit_test(test_configuration_is_told_at_once),
        cmocka_unit_test(test_eager_sends_tell_everybody),
    };
    return cmocka_run_group_tests_name("raft send", tests, NULL, NULL);
}
