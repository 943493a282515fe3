/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what went wrong in other implementations does not go wrong here: the rows of the list of
 * scenarios (docs: etcd, redisraft, canonical/raft and others) that are the pure core's and have no
 * test of their own yet. A test's name has the row's number.
 *
 *   campaign_test.c 11, 13, 14, 18, 29, 34-34d, 36, 40, 46     config_test.c 2, 15, 18, 26, 37
 *   recv_append_test.c 1, 10, 12, 17, 20, 21, 28, 33, 44, 45   read_index_test.c 3, 4, 5, 19
 *   recv_snapshot_test.c 12, 15, 16, 39   open_test.c 5, 12, 16, 37   transfer_test.c 34d, 38 */
#include "raft/confchange.h"
#include "raft/test_util.h"

static int
change_set(struct testnet *net, uint64_t leader, enum raft_transition transition,
           const struct raft_change *changes, uint32_t count)
{
    struct raft_conf_change change = {.transition = transition, .change_count = count};
    uint64_t index, term;
    for (uint32_t i = 0; i < count; i++)
        change.changes[i] = changes[i];
    return raft_propose_config(net->nodes[leader].raft, &change, &index, &term);
}

static int
change_one(struct testnet *net, uint64_t leader, enum raft_change_type type, uint64_t node)
{
    return change_set(net, leader, RAFT_TRANSITION_AUTO, &(struct raft_change){type, node}, 1);
}

/* Is @member in one of @roles, as @id sees it? */
static bool
is(struct testnet *net, uint64_t id, uint64_t member, unsigned roles)
{
    struct raft_config config = testnet_status(net, id).config;
    return raft_config_is(&config, member, roles);
}

/* A partitioned leader goes on and changes members; nothing that the others commit is lost. */
static void
test_row_6_partition_and_membership(void **state)
{
    struct testnet net;
    testnet_init(&net, 4, 3, 1);
    testnet_campaign(&net, 1);
    propose(&net, 1, "before");
    testnet_isolate(&net, 1, true);
    assert_int_equal(change_one(&net, 1, RAFT_CHANGE_REMOVE, 3), 0);
    propose(&net, 1, "lost");
    testnet_tick(&net, 40);
    uint64_t leader = testnet_leader(&net);
    assert_in_range(leader, 2, 3);
    propose(&net, leader, "kept");
    assert_int_equal(change_one(&net, leader, RAFT_CHANGE_ADD_VOTER, 4), 0);
    testnet_tick(&net, 5);
    propose(&net, leader, "kept by four");
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 60);
    propose(&net, testnet_leader(&net), "all");
    testnet_tick(&net, 2);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(testnet_commit(&net, id), net.truth_count);
        assert_int_equal(testnet_status(&net, id).config.count, 4);
    }
    testnet_check(&net);
    testnet_deinit(&net);
}

/* Two halves, each with a leader that believes in itself; one of them commits. */
static void
test_row_7_split_brain(void **state)
{
    struct testnet net;
    lead(&net, 5);
    for (uint64_t a = 1; a <= 2; a++)
        for (uint64_t b = 3; b <= 5; b++)
            net.cut[a][b] = net.cut[b][a] = true;
    for (uint32_t i = 0; i < 3; i++)
        propose(&net, 1, "minority");
    assert_int_equal(testnet_commit(&net, 1), 1);
    testnet_tick(&net, 60);
    uint64_t leader = testnet_leader(&net);
    assert_in_range(leader, 3, 5);
    propose(&net, leader, "majority");
    assert_int_equal(testnet_commit(&net, leader), 3);
    assert_int_equal(testnet_commit(&net, 2), 1);
    for (uint64_t a = 1; a <= 5; a++)
        for (uint64_t b = 1; b <= 5; b++)
            net.cut[a][b] = false;
    testnet_tick(&net, 60);
    for (uint64_t id = 1; id <= 5; id++)
        assert_int_equal(testnet_status(&net, id).last_index,
                         testnet_status(&net, testnet_leader(&net)).last_index);
    testnet_check(&net);
    testnet_deinit(&net);
}

/* A disk whose entries begin after its snapshot ends is damaged; nothing is made up for the gap. */
static void
test_row_8_gap_behind_the_snapshot(void **state)
{
    struct raft_entry *entries = entries_of(3, 12, 2);
    struct raft_options options = {
        .id = 1,
        .hard_state = {.term = 2, .commit = 10},
        .snapshot = {.index = 10, .term = 2, .config = raft_config_of((uint64_t[]){1, 2, 3}, 3)},
        .applied = 10,
        .entries = entries,
        .entry_count = 3};
    struct raft *raft = NULL;
    assert_int_equal(raft_open(&raft, &options), -SKEIN_ECORRUPT);
    assert_null(raft);
    for (size_t i = 0; i < 3; i++)
        entries[i].index--;
    assert_int_equal(raft_open(&raft, &options), 0);
    raft_close(raft);
    mem_free(entries);
}

/* What was committed is there after everybody restarted, and is applied again. */
static void
test_row_9_committed_survives_restarts(void **state)
{
    struct testnet net;
    lead(&net, 3);
    for (uint32_t round = 0; round < 5; round++) {
        uint64_t leader = testnet_leader(&net);
        propose(&net, leader, "x");
        uint64_t commit = testnet_commit(&net, leader);
        for (uint64_t id = 1; id <= 3; id++)
            testnet_crash(&net, id);
        for (uint64_t id = 1; id <= 3; id++)
            testnet_start(&net, id);
        testnet_tick(&net, 60);
        assert_true(testnet_commit(&net, testnet_leader(&net)) > commit);
    }
    testnet_check(&net);
    testnet_deinit(&net);
}

/* Term and vote are one record: there is no write with the new term and the old vote. */
static void
test_row_13_term_and_vote_together(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    assert_int_equal(step(&net, 1, testnet_message(RAFT_VOTE, 2, 1, 4)), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].write_count, 1);
    const struct raft_ready *ready = &net.nodes[1].writes[0].ready;
    assert_true(ready->must_sync);
    assert_int_equal(ready->hard_state.term, 4);
    assert_int_equal(ready->hard_state.vote, 2);
    testnet_deinit(&net);
}

/* A leader that makes itself a learner gives up, and the others need not wait for it. */
static void
test_row_22_leader_demotes_itself(void **state)
{
    struct testnet net;
    lead(&net, 3);
    const struct raft_change demote[] = {{RAFT_CHANGE_ADD_LEARNER, 1}};
    assert_int_equal(change_set(&net, 1, RAFT_TRANSITION_JOINT_IMPLICIT, demote, 1), 0);
    testnet_run(&net);
    testnet_tick(&net, 60);
    uint64_t leader = testnet_leader(&net);
    assert_in_range(leader, 2, 3);
    assert_true(is(&net, leader, 1, RAFT_LEARNER));
    propose(&net, leader, "x");
    testnet_tick(&net, 1);
    assert_int_equal(testnet_commit(&net, 1), testnet_status(&net, leader).last_index);
    testnet_campaign(&net, 1);
    assert_int_equal(testnet_leader(&net), leader);
    testnet_deinit(&net);
}

/* A snapshot of an old term arrives, and is reported, after the term is over. */
static void
test_row_23_snapshot_of_an_old_term(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_isolate(&net, 3, true);
    propose(&net, 1, "a");
    propose(&net, 1, "b");
    testnet_compact(&net, 1, 0);
    struct raft_message old = testnet_message(RAFT_SNAPSHOT, 1, 3, 1);
    old.snapshot = raft_snapshot_copy(&net.nodes[1].snapshot);
    testnet_isolate(&net, 3, false);
    testnet_isolate(&net, 1, true);
    testnet_tick(&net, 60);
    assert_int_equal(testnet_leader(&net), 2);
    testnet_tick(&net, 2);
    propose(&net, 2, "c");
    struct raft_status before = testnet_status(&net, 3);
    assert_int_equal(step(&net, 3, old), 0);
    struct raft_status after = testnet_status(&net, 3);
    assert_int_equal(after.last_index, before.last_index);
    assert_int_equal(after.first_index, before.first_index);
    assert_int_equal(raft_leader(net.nodes[3].raft), 2);
    /* The report reaches one that does not lead, and one that sent nothing. */
    raft_report_snapshot(net.nodes[1].raft, 3, false);
    raft_report_snapshot(net.nodes[2].raft, 3, true);
    propose(&net, 2, "d");
    assert_int_equal(testnet_commit(&net, 2), testnet_status(&net, 2).last_index);
    testnet_check(&net);
    testnet_deinit(&net);
}

/* A learner that does not know yet that it is a voter votes when it is asked. */
static void
test_row_24_promoted_unseen_votes(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 2, 1);
    testnet_campaign(&net, 1);
    assert_int_equal(change_one(&net, 1, RAFT_CHANGE_ADD_LEARNER, 3), 0);
    testnet_run(&net);
    testnet_tick(&net, 3);
    assert_int_equal(testnet_commit(&net, 3), testnet_commit(&net, 1));
    testnet_isolate(&net, 3, true);
    assert_int_equal(change_one(&net, 1, RAFT_CHANGE_ADD_VOTER, 3), 0);
    testnet_run(&net);
    testnet_tick(&net, 1);
    assert_true(is(&net, 2, 3, RAFT_VOTER));
    assert_true(is(&net, 3, 3, RAFT_LEARNER));
    testnet_crash(&net, 1);
    testnet_isolate(&net, 3, false);
    net.cut[1][3] = net.cut[3][1] = true;
    testnet_tick(&net, 80);
    assert_int_equal(testnet_leader(&net), 2);
    assert_int_equal(testnet_commit(&net, 3), testnet_commit(&net, 2));
    testnet_deinit(&net);
}

/* The leader dies in a joint configuration: whoever is elected by both halves leaves it. */
static void
test_row_24_joint_configuration_is_left(void **state)
{
    struct testnet net;
    testnet_init(&net, 5, 3, 1);
    testnet_campaign(&net, 1);
    net.cut[1][4] = net.cut[4][1] = true; /* so that the joint one cannot be left by node 1 */
    net.cut[1][5] = net.cut[5][1] = true;
    const struct raft_change swap[] = {{RAFT_CHANGE_REMOVE, 1},
                                       {RAFT_CHANGE_REMOVE, 2},
                                       {RAFT_CHANGE_ADD_VOTER, 4},
                                       {RAFT_CHANGE_ADD_VOTER, 5}};
    assert_int_equal(change_set(&net, 1, RAFT_TRANSITION_AUTO, swap, 4), 0);
    testnet_run(&net);
    assert_true(is(&net, 1, 1, RAFT_OUTGOING));
    testnet_crash(&net, 1);
    testnet_tick(&net, 200);
    uint64_t leader = testnet_leader(&net);
    assert_in_range(leader, 3, 5);
    struct raft_config config = testnet_status(&net, leader).config;
    assert_false(raft_config_joint(&config));
    assert_int_equal(config.count, 3);
    propose(&net, leader, "x");
    assert_int_equal(testnet_commit(&net, leader), testnet_status(&net, leader).last_index);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_row_25_transfer_to_a_learner(void **state)
{
    struct testnet net;
    lead(&net, 3);
    /* Asked for while it is a voter that is behind; then it becomes a learner. */
    testnet_isolate(&net, 3, true);
    const struct raft_change demote[] = {{RAFT_CHANGE_ADD_LEARNER, 3}};
    assert_int_equal(change_set(&net, 1, RAFT_TRANSITION_AUTO, demote, 1), 0);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
    testnet_run(&net);
    struct raft_status status = testnet_status(&net, 1);
    assert_true(raft_config_is(&status.config, 3, RAFT_LEARNER));
    assert_int_equal(status.transferee, RAFT_NONE);
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 3);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), -SKEIN_EINVALID);
    assert_int_equal(step(&net, 3, testnet_message(RAFT_TIMEOUT_NOW, 1, 3, 1)), 0);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    propose(&net, 1, "x");
    testnet_deinit(&net);
}

/* Nothing is applied that is not on this node's own disk, even if a majority has it. */
static void
test_row_31_apply_waits_for_the_own_disk(void **state)
{
    struct testnet net;
    lead(&net, 3);
    net.nodes[1].slow_disk = true;
    propose(&net, 1, "x");
    assert_int_equal(testnet_commit(&net, 1), 2);
    assert_int_equal(testnet_status(&net, 1).applied, 1);
    testnet_sync(&net, 1, 10);
    testnet_run(&net);
    assert_int_equal(testnet_status(&net, 1).applied, 2);
    testnet_deinit(&net);
}

/* No acknowledgement before the sync: when all lose power, nothing is committed that is gone. */
static void
test_row_41a_whole_group_crashes(void **state)
{
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "durable");
    net.nodes[2].slow_disk = net.nodes[3].slow_disk = true;
    propose(&net, 1, "not yet");
    assert_int_equal(testnet_commit(&net, 1), 2);
    testnet_sync(&net, 2, 10);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 1), 3);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(&net, id);
    net.nodes[2].slow_disk = net.nodes[3].slow_disk = false;
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(&net, id);
    testnet_tick(&net, 100);
    assert_true(testnet_commit(&net, testnet_leader(&net)) > 3);
    testnet_check(&net);
    testnet_deinit(&net);
}

/* An old leader with a longer log comes back, again and again; what is committed stays. */
static void
test_row_41b_committed_is_not_rolled_back(void **state)
{
    struct testnet net;
    lead(&net, 3);
    for (uint32_t round = 0; round < 6; round++) {
        uint64_t leader = testnet_leader(&net);
        propose(&net, leader, "kept");
        testnet_isolate(&net, leader, true);
        for (uint32_t i = 0; i < 4; i++)
            propose(&net, leader, "alone");
        uint64_t commit = testnet_commit(&net, leader);
        testnet_tick(&net, 60);
        uint64_t next = testnet_leader(&net);
        assert_int_not_equal(next, leader);
        propose(&net, next, "kept, too");
        testnet_isolate(&net, leader, false);
        testnet_tick(&net, 60);
        assert_true(testnet_commit(&net, testnet_leader(&net)) > commit);
        testnet_check(&net);
    }
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_6_partition_and_membership),
        cmocka_unit_test(test_row_7_split_brain),
        cmocka_unit_test(test_row_8_gap_behind_the_snapshot),
        cmocka_unit_test(test_row_9_committed_survives_restarts),
        cmocka_unit_test(test_row_13_term_and_vote_together),
        cmocka_unit_test(test_row_22_leader_demotes_itself),
        cmocka_unit_test(test_row_23_snapshot_of_an_old_term),
        cmocka_unit_test(test_row_24_promoted_unseen_votes),
        cmocka_unit_test(test_row_24_joint_configuration_is_left),
        cmocka_unit_test(test_row_25_transfer_to_a_learner),
        cmocka_unit_test(test_row_31_apply_waits_for_the_own_disk),
        cmocka_unit_test(test_row_41a_whole_group_crashes),
        cmocka_unit_test(test_row_41b_committed_is_not_rolled_back),
    };
    return cmocka_run_group_tests_name("raft scenarios", tests, NULL, NULL);
}
