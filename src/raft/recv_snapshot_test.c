/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a follower behind the compacted log comes back by a snapshot, also when it is lost; the
 * boundary between snapshot and log is exact (section 7; rows 12, 15, 16, 39). */
#include "raft/test_util.h"

static void
fall_behind(struct testnet *net, uint64_t keep_count)
{
    lead(net, 3);
    testnet_isolate(net, 3, true);
    for (uint32_t i = 0; i < 10; i++)
        propose(net, 1, "x");
    testnet_compact(net, 1, keep_count);
}

static void
test_nonsense(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    struct raft_message m = testnet_message(RAFT_SNAPSHOT, 2, 1, 4);
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO); /* none at all */
    struct raft_snapshot snapshot = {0};
    m.snapshot = raft_snapshot_copy(&snapshot);
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO); /* no index */
    snapshot = (struct raft_snapshot){.index = 9, .term = 5};
    m.snapshot = raft_snapshot_copy(&snapshot);
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO); /* newer than its message, nobody in it */
    snapshot.term = 4;
    snapshot.config = raft_config_of((uint64_t[]){2, 2}, 2);
    m.snapshot = raft_snapshot_copy(&snapshot);
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    snapshot.config.count = 4000;
    m.snapshot = raft_snapshot_copy(&snapshot);
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    testnet_deinit(&net);
}

static void
test_brings_back(void **state)
{
    struct testnet net;
    fall_behind(&net, 0);
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 4);
    assert_int_equal(testnet_commit(&net, 3), 11);
    assert_int_equal(testnet_status(&net, 3).first_index, 12);
    assert_int_equal(net.nodes[3].snapshot.index, 11);
    assert_int_equal(testnet_status(&net, 1).peers[2].state, RAFT_REPLICATE);
    propose(&net, 1, "after");
    testnet_tick(&net, 1);
    assert_int_equal(testnet_commit(&net, 3), 12);
    testnet_deinit(&net);
}

static void
test_boundary(void **state)
{
    /* Rows 12, 16: all of the log is in the snapshot; the next append stands on its last entry. */
    struct testnet net;
    lead(&net, 3);
    for (uint32_t i = 0; i < 5; i++)
        propose(&net, 1, "x");
    testnet_tick(&net, 1);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_compact(&net, id, 0);
    assert_int_equal(testnet_status(&net, 1).first_index, 7);
    assert_int_equal(raft_entry_term(net.nodes[1].raft, 6), 1);
    assert_int_equal(raft_entry_term(net.nodes[1].raft, 5), 0);
    propose(&net, 1, "y");
    testnet_tick(&net, 1);
    assert_int_equal(testnet_commit(&net, 3), 7);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(&net, id);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(&net, id);
    testnet_tick(&net, 60);
    propose(&net, testnet_leader(&net), "z");
    assert_int_equal(testnet_commit(&net, testnet_leader(&net)), 9);
    testnet_deinit(&net);
}

static void
test_kept_entries_save_the_snapshot(void **state)
{
    struct testnet net;
    fall_behind(&net, 10);
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 4);
    assert_int_equal(testnet_commit(&net, 3), 11);
    assert_int_equal(net.nodes[3].snapshot.index, 0);
    testnet_deinit(&net);
}

static bool
lose_two_snapshots(struct testnet *net, const struct raft_message *m)
{
    return m->type == RAFT_SNAPSHOT && net->filtered < 2;
}

static void
test_lost_snapshot(void **state)
{
    struct testnet net; /* row 39 */
    fall_behind(&net, 0);
    net.filter = lose_two_snapshots;
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 10);
    assert_int_equal(net.filtered, 2);
    assert_int_equal(testnet_commit(&net, 3), 11);
    testnet_deinit(&net);
}

static void
test_crash_before_it_is_durable(void **state)
{
    struct testnet net;
    fall_behind(&net, 0);
    testnet_isolate(&net, 3, false);
    net.nodes[3].slow_disk = true;
    testnet_tick(&net, 3);
    assert_true(net.nodes[3].write_count > 0);
    /* Not a candidate before its log is whole. */
    raft_campaign(net.nodes[3].raft);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    testnet_crash(&net, 3);
    net.nodes[3].slow_disk = false;
    testnet_start(&net, 3);
    assert_int_equal(testnet_commit(&net, 3), 1);
    testnet_tick(&net, 6);
    assert_int_equal(testnet_commit(&net, 3), 11);
    testnet_deinit(&net);
}

static void
test_old_or_held_snapshot(void **state)
{
    struct testnet net;
    lead(&net, 3);
    for (uint32_t i = 0; i < 5; i++)
        propose(&net, 1, "x");
    testnet_tick(&net, 1);
    struct raft_message m = testnet_message(RAFT_SNAPSHOT, 1, 2, 1);
    m.snapshot = raft_snapshot_copy(&net.nodes[1].snapshot);
    m.snapshot->index = 3;
    m.snapshot->term = 1;
    assert_int_equal(step(&net, 2, m), 0);
    testnet_collect(&net, 2);
    testnet_sync(&net, 2, 9);
    assert_int_equal(in_bag(&net, RAFT_APPEND_RESPONSE, 1)->index, 6);
    assert_int_equal(testnet_status(&net, 2).first_index, 1);
    testnet_deinit(&net);
}

static void
test_replaces_a_conflicting_log(void **state)
{
    struct testnet net;
    const uint64_t terms[] = {1, 1, 2, 2, 2, 2};
    testnet_init(&net, 3, 3, 1);
    testnet_set_log(&net, 1, terms, 6, 2);
    struct raft_message m = testnet_message(RAFT_SNAPSHOT, 2, 1, 3);
    m.snapshot = raft_snapshot_copy(&net.nodes[1].snapshot);
    m.snapshot->index = 4;
    m.snapshot->term = 3;
    assert_int_equal(step(&net, 1, m), 0);
    struct raft_status s = testnet_status(&net, 1);
    assert_int_equal(s.last_index, 4);
    assert_int_equal(s.last_term, 3);
    assert_int_equal(s.applied, 4);
    testnet_collect(&net, 1);
    testnet_sync(&net, 1, 9);
    assert_int_equal(net.nodes[1].entry_count, 0);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_brings_back),
        cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_kept_entries_save_the_snapshot),
        cmocka_unit_test(test_lost_snapshot),
        cmocka_unit_test(test_crash_before_it_is_durable),
        cmocka_unit_test(test_old_or_held_snapshot),
        cmocka_unit_test(test_replaces_a_conflicting_log),
    };
    return cmocka_run_group_tests_name("raft snapshot", tests, NULL, NULL);
}
