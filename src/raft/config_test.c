/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: members come and go one at a time, and whoever is removed neither leads nor disturbs
 * (thesis section 4; rows 2, 15, 18, 26, 37). */
#include "raft/test_util.h"

static void
change(struct testnet *net, uint64_t leader, bool remove, uint64_t node)
{
    assert_int_equal(testnet_change(net, leader, remove, node), 0);
    testnet_run(net);
    testnet_tick(net, 2);
}

static void
test_refused_changes(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(testnet_change(&net, 2, false, 4), -SKEIN_ENOTLEADER);
    assert_int_equal(testnet_change(&net, 1, false, 2), -SKEIN_EINVALID);
    assert_int_equal(testnet_change(&net, 1, true, 9), -SKEIN_EINVALID);
    assert_int_equal(testnet_change(&net, 1, false, 0), -SKEIN_EINVALID);
    change(&net, 1, true, 3);
    change(&net, 1, true, 2);
    assert_int_equal(testnet_change(&net, 1, true, 1), -SKEIN_EINVALID); /* the last one */
    testnet_deinit(&net);
}

static void
test_not_before_the_first_commit(void **state)
{
    struct testnet net; /* row 2 */
    testnet_init(&net, 3, 3, 1);
    net.cut[1][2] = net.cut[1][3] = false;
    raft_campaign(net.nodes[1].raft);
    while (raft_role(net.nodes[1].raft) != RAFT_LEADER) {
        for (uint64_t id = 1; id <= 3; id++) {
            testnet_collect(&net, id);
            testnet_sync(&net, id, 9);
        }
        for (size_t n = net.bag_count; n; n--)
            testnet_deliver(&net, 0);
    }
    assert_int_equal(testnet_change(&net, 1, true, 3), -SKEIN_EBUSY);
    testnet_run(&net);
    assert_int_equal(testnet_change(&net, 1, true, 3), 0);
    assert_int_equal(testnet_change(&net, 1, true, 2), -SKEIN_EBUSY); /* one at a time */
    testnet_deinit(&net);
}

static void
test_new_leader_waits_for_inherited_changes(void **state)
{
    /* Row 37: appended, not committed, its leader gone, everybody restarted: not forgotten. */
    struct testnet net;
    testnet_init(&net, 4, 3, 1);
    testnet_campaign(&net, 1);
    testnet_isolate(&net, 3, true);
    net.nodes[1].slow_disk = true;
    assert_int_equal(testnet_change(&net, 1, false, 4), 0);
    testnet_run(&net);
    testnet_crash(&net, 1);
    for (uint64_t id = 2; id <= 3; id++) {
        testnet_crash(&net, id);
        testnet_start(&net, id);
    }
    testnet_isolate(&net, 3, false);
    raft_campaign(net.nodes[2].raft);
    while (raft_role(net.nodes[2].raft) != RAFT_LEADER) {
        for (uint64_t id = 2; id <= 3; id++) {
            testnet_collect(&net, id);
            testnet_sync(&net, id, 9);
        }
        for (size_t n = net.bag_count; n; n--)
            testnet_deliver(&net, 0);
    }
    assert_int_equal(testnet_change(&net, 2, true, 3), -SKEIN_EBUSY);
    testnet_tick(&net, 20);
    assert_int_equal(testnet_leader(&net), 2);
    assert_int_equal(testnet_status(&net, 2).config.count, 4);
    assert_int_equal(testnet_commit(&net, 4), testnet_commit(&net, 2));
    testnet_deinit(&net);
}

static void
test_add_from_nothing(void **state)
{
    struct testnet net;
    testnet_init(&net, 4, 3, 1);
    testnet_tick(&net, 100);
    assert_int_equal(raft_role(net.nodes[4].raft), RAFT_FOLLOWER); /* stands for nothing */
    uint64_t leader = testnet_leader(&net);
    propose(&net, leader, "a");
    change(&net, leader, false, 4);
    testnet_tick(&net, 5);
    /* Entries alone would not tell it who the members are: it came by a snapshot. */
    assert_int_equal(testnet_status(&net, 4).config.count, 4);
    assert_int_equal(testnet_commit(&net, 4), testnet_commit(&net, leader));
    assert_true(net.nodes[4].snapshot.index > 0);
    testnet_deinit(&net);
}

static void
test_new_voter_votes_before_it_knows(void **state)
{
    /* Row 24: a second voter is added, and the first one goes down before it can tell it so. */
    struct testnet net;
    testnet_init(&net, 2, 1, 1);
    testnet_campaign(&net, 1);
    testnet_isolate(&net, 2, true);
    assert_int_equal(testnet_change(&net, 1, false, 2), 0);
    testnet_run(&net);
    assert_int_equal(testnet_status(&net, 1).config.count, 2);
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    testnet_isolate(&net, 2, false);
    testnet_tick(&net, 60);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(testnet_status(&net, 2).config.count, 2);
    /* And once only. */
    assert_int_equal(testnet_status(&net, 2).hard_state.vote, 1);
    testnet_deinit(&net);
}

static void
test_removed_does_not_disturb(void **state)
{
    struct testnet net; /* row 18: it never hears of its removal, and the lease holds against it */
    lead(&net, 4);
    testnet_isolate(&net, 4, true);
    change(&net, 1, true, 4);
    testnet_isolate(&net, 4, false);
    testnet_tick(&net, 200);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(raft_term(net.nodes[1].raft), 1);
    testnet_deinit(&net);
}

static void
test_removed_does_not_campaign(void **state)
{
    struct testnet net;
    lead(&net, 4);
    change(&net, 1, true, 4);
    assert_int_equal(testnet_status(&net, 4).config.count, 3);
    raft_campaign(net.nodes[4].raft);
    assert_int_equal(raft_role(net.nodes[4].raft), RAFT_FOLLOWER);
    testnet_deinit(&net);
}

static void
test_leader_removes_itself(void **state)
{
    for (uint32_t count = 2; count <= 4; count++) {
        struct testnet net; /* row 26 */
        lead(&net, count);
        change(&net, 1, true, 1);
        assert_int_equal(raft_role(net.nodes[1].raft), RAFT_FOLLOWER);
        testnet_tick(&net, 100);
        uint64_t leader = testnet_leader(&net);
        assert_true(leader > 1);
        propose(&net, leader, "goes on");
        assert_int_equal(testnet_commit(&net, leader), testnet_status(&net, leader).last_index);
        testnet_deinit(&net);
    }
}

static void
test_removed_tells_of_the_commit(void **state)
{
    /* Row 26: 1 removed itself, knows it alone, and has a longer log. 2 needs its vote, or its
     * word. */
    struct testnet net;
    lead(&net, 2);
    assert_int_equal(testnet_change(&net, 1, true, 1), 0);
    assert_int_equal(testnet_propose(&net, 1, "tail"), 0);
    testnet_collect(&net, 1);
    bytes_unref(&net.bag[0].entries[1].data);
    net.bag[0].entry_count = 1; /* the tail is lost on the way */
    testnet_sync(&net, 1, 9);
    testnet_deliver(&net, 0);
    testnet_collect(&net, 2);
    testnet_sync(&net, 2, 9);
    while (net.bag_count)
        testnet_deliver(&net, 0);
    testnet_isolate(&net, 1, true);
    testnet_run(&net);
    assert_int_equal(testnet_status(&net, 1).config.count, 1);
    assert_int_equal(testnet_status(&net, 2).config.count, 2);
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 100);
    assert_int_equal(testnet_leader(&net), 2);
    testnet_deinit(&net);
}

static void
test_config_survives_compaction_and_rollback(void **state)
{
    /* Row 15: the log no longer holds the old configuration, and the change is rolled back. */
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "a");
    testnet_compact(&net, 1, 0);
    testnet_isolate(&net, 1, true);
    assert_int_equal(testnet_change(&net, 1, true, 3), 0);
    testnet_run(&net);
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 100);
    uint64_t leader = testnet_leader(&net);
    propose(&net, leader, "b");
    testnet_tick(&net, 5);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(testnet_status(&net, id).config.count,
                         testnet_status(&net, leader).config.count);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_no_campaign_with_unapplied_change(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(testnet_change(&net, 1, true, 3), 0);
    testnet_collect(&net, 1);
    testnet_sync(&net, 1, 9);
    while (net.bag_count)
        testnet_deliver(&net, 0);
    struct raft *two = net.nodes[2].raft;
    struct raft_ready ready; /* the write becomes durable, and nothing is applied */
    raft_take_ready(two, &ready);
    for (size_t i = 0; i < ready.response_count; i++)
        if (ready.responses[i].to == 2)
            assert_int_equal(raft_step(two, &ready.responses[i]), 0);
    struct raft_message m = testnet_message(RAFT_HEARTBEAT, 1, 2, 1);
    m.commit = 2;
    assert_int_equal(raft_step(two, &m), 0);
    raft_campaign(two);
    assert_int_equal(raft_role(two), RAFT_FOLLOWER);
    raft_ready_deinit(&ready);
    testnet_deinit(&net);
}

static void
test_undecodable_change_is_skipped(void **state)
{
    struct testnet net;
    lead(&net, 1);
    struct bytes junk = bytes_copy("junk", 4);
    struct raft_entry entry = {.term = 1, .index = 1, .type = RAFT_ENTRY_CONFIG, .data = junk};
    assert_int_equal(raft_apply_config(net.nodes[1].raft, &entry), -SKEIN_EPROTO);
    assert_int_equal(testnet_status(&net, 1).config.count, 1);
    bytes_unref(&junk);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_changes),
        cmocka_unit_test(test_not_before_the_first_commit),
        cmocka_unit_test(test_new_leader_waits_for_inherited_changes),
        cmocka_unit_test(test_add_from_nothing),
        cmocka_unit_test(test_new_voter_votes_before_it_knows),
        cmocka_unit_test(test_removed_does_not_disturb),
        cmocka_unit_test(test_removed_does_not_campaign),
        cmocka_unit_test(test_leader_removes_itself),
        cmocka_unit_test(test_removed_tells_of_the_commit),
        cmocka_unit_test(test_config_survives_compaction_and_rollback),
        cmocka_unit_test(test_no_campaign_with_unapplied_change),
        cmocka_unit_test(test_undecodable_change_is_skipped),
    };
    return cmocka_run_group_tests_name("raft config", tests, NULL, NULL);
}
