/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a read is answered only by a leader that was one after the read began (rows 3, 4, 5, 19).
 */
#include "raft/test_util.h"

static void
test_single_voter(void **state)
{
    struct testnet net;
    testnet_init(&net, 1, 1, 1);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 1), -SKEIN_ENOTLEADER);
    testnet_campaign(&net, 1);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 1), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 1);
    assert_int_equal(net.nodes[1].reads[0].index, 1);
    testnet_deinit(&net);
}

static void
test_one_round_for_many(void **state)
{
    struct testnet net;
    lead(&net, 3);
    for (uint64_t context = 1; context <= 50; context++)
        assert_int_equal(raft_read_index(net.nodes[1].raft, context), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.bag_count, 2);
    assert_int_equal(net.bag[0].context, 50);
    testnet_run(&net);
    assert_int_equal(net.nodes[1].read_count, 50);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(net.nodes[1].reads[i].context, i + 1);
    testnet_deinit(&net);
}

static void
test_waits_for_the_first_commit(void **state)
{
    struct testnet net; /* rows 3, 5 */
    lead(&net, 3);
    propose(&net, 1, "a");
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(&net, id);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(&net, id);
    net.nodes[2].slow_disk = net.nodes[3].slow_disk = false;
    raft_campaign(net.nodes[2].raft);
    while (raft_role(net.nodes[2].raft) != RAFT_LEADER) {
        for (uint64_t id = 1; id <= 3; id++) {
            testnet_collect(&net, id);
            testnet_sync(&net, id, 9);
        }
        for (size_t n = net.bag_count; n; n--)
            testnet_deliver(&net, 0);
    }
    assert_int_equal(raft_read_index(net.nodes[2].raft, 7), 0);
    /* Answers to heartbeats alone do not settle it. */
    for (uint64_t from = 1; from <= 3; from += 2)
        assert_int_equal(step(&net, 2, testnet_message(RAFT_HEARTBEAT_RESPONSE, from, 2, 2)), 0);
    testnet_collect(&net, 2);
    assert_int_equal(net.nodes[2].read_count, 0);
    testnet_run(&net);
    assert_int_equal(net.nodes[2].read_count, 1);
    assert_int_equal(net.nodes[2].reads[0].index, 3); /* the no-op: nothing older is missed */
    testnet_deinit(&net);
}

static void
test_old_answers_confirm_nothing_newer(void **state)
{
    struct testnet net; /* row 4 */
    lead(&net, 5);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 10), 0);
    testnet_collect(&net, 1);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 11), 0);
    testnet_collect(&net, 1);
    struct raft_message old = testnet_message(RAFT_HEARTBEAT_RESPONSE, 2, 1, 1);
    old.context = 1; /* the first round of this leadership */
    assert_int_equal(step(&net, 1, old), 0);
    assert_int_equal(step(&net, 1, old), 0); /* twice the same peer is one peer */
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 0);
    old.from = 3;
    assert_int_equal(step(&net, 1, old), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 1);
    assert_int_equal(net.nodes[1].reads[0].context, 10);
    /* A later round confirms earlier ones; a context that was never asked is a lie. */
    old.context = 3;
    assert_int_equal(step(&net, 1, old), -SKEIN_EPROTO);
    old.context = 2;
    assert_int_equal(step(&net, 1, old), 0);
    old.from = 4;
    assert_int_equal(step(&net, 1, old), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 2);
    testnet_deinit(&net);
}

static void
test_retried_context_is_another_read(void **state)
{
    struct testnet net; /* row 4: an answer is late, and its context is used once more */
    lead(&net, 3);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 10), 0);
    testnet_run(&net);
    assert_int_equal(net.nodes[1].read_count, 1);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 10), 0);
    testnet_collect(&net, 1);
    struct raft_message late = testnet_message(RAFT_HEARTBEAT_RESPONSE, 2, 1, 1);
    late.context = 1;
    assert_int_equal(step(&net, 1, late), 0);
    late.from = 3;
    assert_int_equal(step(&net, 1, late), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 1);
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 2);
    testnet_deinit(&net);
}

static void
test_follower_asks_its_leader(void **state)
{
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "x");
    assert_int_equal(raft_read_index(net.nodes[2].raft, 7), 0);
    testnet_run(&net);
    assert_int_equal(net.nodes[2].read_count, 1);
    assert_int_equal(net.nodes[2].reads[0].context, 7);
    assert_int_equal(net.nodes[2].reads[0].index, 2);
    assert_int_equal(net.nodes[1].read_count, 0);
    /* An answer that it did not ask its leader for, and one that nobody can have sent. */
    struct raft_message m = testnet_message(RAFT_READ_INDEX_RESPONSE, 3, 2, 1);
    m.index = 2;
    assert_int_equal(step(&net, 2, m), -SKEIN_EPROTO);
    m.from = 1;
    m.index = 0;
    assert_int_equal(step(&net, 2, m), -SKEIN_EPROTO);
    /* Lost on the way, and then the leader is another one. */
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[2].raft, 8), 0);
    testnet_run(&net);
    assert_int_equal(net.nodes[2].read_count, 1);
    testnet_tick(&net, 60);
    assert_int_equal(net.nodes[2].read_count, 1);
    assert_int_equal(net.nodes[2].reads_dropped, 1);
    testnet_deinit(&net);
}

static void
test_follower_without_leader(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    assert_int_equal(raft_read_index(net.nodes[2].raft, 7), -SKEIN_ENOTLEADER);
    testnet_deinit(&net);
}

static void
test_lease_asks_nobody(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(&net, id);
    net.options.lease_reads = true;
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(&net, id);
    testnet_campaign(&net, 1);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 5), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 1);
    testnet_tick(&net, 60); /* until its quorum is not active any more */
    assert_int_equal(raft_read_index(net.nodes[1].raft, 6), -SKEIN_ENOTLEADER);
    testnet_deinit(&net);
}

static void
test_stranger_confirms_nothing(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 5), 0);
    testnet_run(&net);
    for (uint64_t from = 60; from < 65; from++) {
        struct raft_message m = testnet_message(RAFT_HEARTBEAT_RESPONSE, from, 1, 1);
        m.context = 1;
        assert_int_equal(step(&net, 1, m), -SKEIN_ENOTFOUND);
    }
    testnet_run(&net);
    assert_int_equal(net.nodes[1].read_count, 0);
    testnet_deinit(&net);
}

static void
test_deposed_leader_drops(void **state)
{
    struct testnet net; /* row 19 */
    lead(&net, 3);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 5), 0);
    testnet_tick(&net, 60);
    assert_int_equal(net.nodes[1].read_count, 0);
    assert_int_equal(net.nodes[1].reads_dropped, 1);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 6), -SKEIN_ENOTLEADER);
    testnet_deinit(&net);
}

static void
test_lost_round_is_repeated(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_isolate(&net, 1, true);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 5), 0);
    testnet_run(&net);
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 1);
    assert_int_equal(net.nodes[1].read_count, 1);
    testnet_deinit(&net);
}

static void
test_bound(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    net.options.read_count_max = 3;
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    testnet_campaign(&net, 1);
    testnet_isolate(&net, 1, true);
    for (uint64_t context = 1; context <= 3; context++)
        assert_int_equal(raft_read_index(net.nodes[1].raft, context), 0);
    assert_int_equal(raft_read_index(net.nodes[1].raft, 4), -SKEIN_EAGAIN);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_voter),
        cmocka_unit_test(test_one_round_for_many),
        cmocka_unit_test(test_waits_for_the_first_commit),
        cmocka_unit_test(test_old_answers_confirm_nothing_newer),
        cmocka_unit_test(test_retried_context_is_another_read),
        cmocka_unit_test(test_follower_asks_its_leader),
        cmocka_unit_test(test_follower_without_leader),
        cmocka_unit_test(test_lease_asks_nobody),
        cmocka_unit_test(test_stranger_confirms_nothing),
        cmocka_unit_test(test_deposed_leader_drops),
        cmocka_unit_test(test_lost_round_is_repeated),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests_name("raft read index", tests, NULL, NULL);
}
