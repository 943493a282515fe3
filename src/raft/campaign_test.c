/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: one leader a term, elections that end, pre-votes that disturb nobody and votes that are
 * durable before they count (sections 5.2 and 5.4.1; rows 11, 13, 14, 18, 34-34d, 36, 40, 46). */
#include "raft/test_util.h"

static void
test_simple_election(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(testnet_status(&net, 1).hard_state.term, 1);
    /* Row 11: the no-op is there and committed, everywhere. */
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(testnet_commit(&net, id), 1);
    testnet_deinit(&net);
}

static void
test_elects_itself_by_time(void **state)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct testnet net;
        testnet_init(&net, 5, 5, seed);
        testnet_tick(&net, 60);
        assert_int_not_equal(testnet_leader(&net), 0);
        testnet_deinit(&net);
    }
}

static void
test_single_voter_waits_for_its_disk(void **state)
{
    struct testnet net; /* row 29 */
    testnet_init(&net, 1, 1, 1);
    net.nodes[1].slow_disk = true;
    testnet_campaign(&net, 1);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_CANDIDATE);
    testnet_sync(&net, 1, 1);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(testnet_commit(&net, 1), 0);
    testnet_sync(&net, 1, 1);
    assert_int_equal(testnet_commit(&net, 1), 1);
    testnet_run(&net);
    testnet_deinit(&net);
}

static void
test_vote_waits_for_the_disk(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    net.options.pre_vote = false;
    net.nodes[2].slow_disk = net.nodes[3].slow_disk = true;
    testnet_campaign(&net, 1);
    testnet_run(&net);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_CANDIDATE);
    /* A crash forgets the vote that nobody has seen; the next one is the first. */
    testnet_crash(&net, 2);
    testnet_start(&net, 2);
    assert_int_equal(raft_term(net.nodes[2].raft), 0);
    testnet_sync(&net, 3, 10);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 1);
    testnet_deinit(&net);
}

static void
test_candidate_asks_when_durable(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    net.nodes[1].slow_disk = true;
    testnet_campaign(&net, 1);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_CANDIDATE);
    assert_int_equal(raft_term(net.nodes[2].raft), 0);
    testnet_sync(&net, 1, 1);
    assert_non_null(in_bag(&net, RAFT_VOTE, 2));
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 1);
    testnet_deinit(&net);
}

static void
test_one_vote_a_term(void **state)
{
    struct testnet net; /* row 14 */
    testnet_init(&net, 3, 3, 1);
    struct raft_message m = testnet_message(RAFT_VOTE, 2, 1, 5);
    assert_int_equal(step(&net, 1, m), 0);
    m.from = 3;
    assert_int_equal(step(&net, 1, m), 0);
    testnet_collect(&net, 1);
    testnet_sync(&net, 1, 10);
    assert_false(in_bag(&net, RAFT_VOTE_RESPONSE, 2)->reject);
    assert_true(in_bag(&net, RAFT_VOTE_RESPONSE, 3)->reject);
    /* The vote survives a restart. */
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    assert_int_equal(step(&net, 1, m), 0);
    testnet_collect(&net, 1);
    testnet_sync(&net, 1, 10);
    assert_true(in_bag(&net, RAFT_VOTE_RESPONSE, 3)->reject);
    testnet_deinit(&net);
}

static void
test_two_leaders_cannot_be(void **state)
{
    struct testnet net; /* row 14 */
    lead(&net, 3);
    assert_int_equal(step(&net, 1, testnet_message(RAFT_HEARTBEAT, 2, 1, 1)), -SKEIN_EPROTO);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(testnet_status(&net, 1).dropped, 1);
    assert_int_equal(step(&net, 2, testnet_message(RAFT_HEARTBEAT, 3, 2, 1)), -SKEIN_EPROTO);
    testnet_deinit(&net);
}

static void
test_shorter_log_does_not_win(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_isolate(&net, 3, true);
    propose(&net, 1, "a");
    testnet_isolate(&net, 3, false);
    testnet_crash(&net, 1);
    testnet_tick(&net, 10); /* past the lease of 2 */
    testnet_campaign(&net, 3);
    assert_int_not_equal(testnet_leader(&net), 3);
    testnet_tick(&net, 60);
    assert_int_equal(testnet_leader(&net), 2);
    testnet_deinit(&net);
}

static void
test_pre_vote_leaves_no_trace(void **state)
{
    struct testnet net; /* rows 34a, 34c */
    testnet_init(&net, 3, 3, 1);
    struct raft_message m = testnet_message(RAFT_PRE_VOTE, 2, 1, 7);
    for (uint32_t i = 0; i < 30 && raft_role(net.nodes[1].raft) == RAFT_FOLLOWER; i++) {
        raft_tick(net.nodes[1].raft);
        assert_int_equal(step(&net, 1, m), 0);
    }
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_PRE_CANDIDATE);
    struct raft_status status = testnet_status(&net, 1);
    assert_int_equal(status.hard_state.term, 0);
    assert_int_equal(status.hard_state.vote, 0);
    /* A pre-vote's answer is no vote. */
    raft_campaign(net.nodes[1].raft);
    struct raft_message vote = testnet_message(RAFT_VOTE_RESPONSE, 2, 1, 1);
    assert_int_equal(step(&net, 1, vote), 0);
    assert_int_not_equal(raft_role(net.nodes[1].raft), RAFT_LEADER);
    testnet_deinit(&net);
}

static void
test_pre_vote_of_the_old_leader(void **state)
{
    struct testnet net; /* row 34: the quorum is up, and the old leader may try again at once */
    lead(&net, 3);
    testnet_crash(&net, 3);
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    testnet_campaign(&net, 1);
    assert_int_equal(testnet_leader(&net), 1);
    testnet_deinit(&net);
}

static void
test_old_term_is_told(void **state)
{
    struct testnet net; /* row 34b */
    lead(&net, 3);
    testnet_isolate(&net, 3, true);
    testnet_crash(&net, 1);
    testnet_tick(&net, 20);
    testnet_start(&net, 1);
    testnet_tick(&net, 60);
    assert_true(raft_term(net.nodes[1].raft) > 1);
    /* 3 still stands in term 1; the leader goes, and 3 must be able to take part. */
    testnet_crash(&net, testnet_leader(&net));
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 100);
    assert_int_not_equal(testnet_leader(&net), 0);
    testnet_deinit(&net);
}

static void
test_stuck_in_a_higher_term(void **state)
{
    struct testnet net; /* row 34b: nobody can follow a leader whose term is behind */
    lead(&net, 3);
    assert_int_equal(step(&net, 3, testnet_message(RAFT_VOTE_RESPONSE, 2, 3, 9)), 0);
    assert_int_equal(raft_term(net.nodes[3].raft), 9);
    testnet_tick(&net, 100);
    uint64_t leader = testnet_leader(&net);
    assert_int_not_equal(leader, 0);
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(raft_leader(net.nodes[id].raft), leader);
    testnet_deinit(&net);
}

static void
test_lease_protects_the_leader(void **state)
{
    struct testnet net; /* rows 18, 40: a node that hears nobody, but is heard */
    lead(&net, 5);
    for (uint64_t from = 1; from <= 5; from++)
        net.cut[from][5] = true;
    testnet_tick(&net, 200);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(raft_term(net.nodes[1].raft), 1);
    struct raft_message m = testnet_message(RAFT_VOTE, 5, 2, 9);
    m.index = 100;
    m.log_term = 8;
    assert_int_equal(step(&net, 2, m), 0);
    assert_int_equal(raft_term(net.nodes[2].raft), 1);
    testnet_deinit(&net);
}

static void
test_full_omission(void **state)
{
    struct testnet net; /* row 40: 1-2 and 1-3 are up, 2-3 is cut, and then 1-2 goes as well */
    lead(&net, 3);
    net.cut[2][3] = net.cut[3][2] = true;
    testnet_tick(&net, 100);
    assert_int_equal(testnet_leader(&net), 1);
    net.cut[1][2] = net.cut[2][1] = true;
    testnet_tick(&net, 200);
    propose(&net, testnet_leader(&net), "x");
    testnet_tick(&net, 1);
    assert_int_equal(testnet_commit(&net, 3),
                     testnet_status(&net, testnet_leader(&net)).last_index);
    testnet_deinit(&net);
}

static void
test_check_quorum_steps_down(void **state)
{
    struct testnet net; /* row 46: what it appended alone goes when it comes back */
    lead(&net, 3);
    testnet_isolate(&net, 1, true);
    propose(&net, 1, "lost");
    testnet_tick(&net, 25);
    assert_int_not_equal(raft_role(net.nodes[1].raft), RAFT_LEADER);
    testnet_tick(&net, 60);
    uint64_t leader = testnet_leader(&net);
    assert_true(leader > 1);
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 5);
    propose(&net, leader, "kept");
    assert_int_equal(testnet_status(&net, 1).last_index, testnet_status(&net, leader).last_index);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_step_down_keeps_the_vote(void **state)
{
    struct testnet net; /* row 36 */
    testnet_init(&net, 3, 3, 1);
    struct raft_message grant = testnet_message(RAFT_PRE_VOTE_RESPONSE, 2, 1, 1);
    raft_campaign(net.nodes[1].raft);
    assert_int_equal(step(&net, 1, grant), 0);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_CANDIDATE);
    assert_int_equal(step(&net, 1, testnet_message(RAFT_HEARTBEAT, 3, 1, 1)), 0);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_FOLLOWER);
    assert_int_equal(testnet_status(&net, 1).hard_state.vote, 1);
    testnet_deinit(&net);
}

static void
test_rank_decides_who_stands_first(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct testnet net;
        testnet_init(&net, 3, 3, seed);
        for (uint64_t id = 1; id <= 3; id++) {
            testnet_crash(&net, id);
            net.options.election_rank = id == 2 ? 0 : (uint32_t)id;
            testnet_start(&net, id);
        }
        testnet_tick(&net, 20);
        assert_int_equal(testnet_leader(&net), 2);
        /* The next in rank, and then the last one: it can lead, too. */
        testnet_isolate(&net, 2, true);
        testnet_tick(&net, 60);
        assert_int_equal(testnet_leader(&net), 1);
        testnet_isolate(&net, 2, false);
        assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
        testnet_run(&net);
        assert_int_equal(testnet_leader(&net), 3);
        testnet_deinit(&net);
    }
    struct raft *raft;
    struct raft_options options = {.id = 1, .election_rank = RAFT_RANK_MAX + 1};
    assert_int_equal(raft_open(&raft, &options), -SKEIN_EINVALID);
}

static void
test_deposed_leader_is_told(void **state)
{
    struct testnet net;
    lead(&net, 3);
    /* Node 1 does not hear node 3, which is elected by node 2. */
    net.cut[1][3] = net.cut[3][1] = true;
    testnet_tick(&net, 1);
    struct raft *two = net.nodes[2].raft, *three = net.nodes[3].raft;
    raft_set_election_timeout(two, 15);
    raft_set_election_timeout(three, 15);
    for (uint32_t i = 0; i < 10; i++) { /* past the lease */
        raft_tick(two);
        raft_tick(three);
    }
    testnet_campaign(&net, 3);
    assert_int_equal(raft_role(three), RAFT_LEADER);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(net.nodes[1].raft), raft_term(three));
    testnet_deinit(&net);
}

static void
test_stranger_does_not_count(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    raft_campaign(net.nodes[1].raft);
    for (uint64_t from = 50; from < 60; from++)
        assert_int_equal(step(&net, 1, testnet_message(RAFT_PRE_VOTE_RESPONSE, from, 1, 1)),
                         -SKEIN_ENOTFOUND);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_PRE_CANDIDATE);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_election),
        cmocka_unit_test(test_elects_itself_by_time),
        cmocka_unit_test(test_single_voter_waits_for_its_disk),
        cmocka_unit_test(test_vote_waits_for_the_disk),
        cmocka_unit_test(test_candidate_asks_when_durable),
        cmocka_unit_test(test_one_vote_a_term),
        cmocka_unit_test(test_two_leaders_cannot_be),
        cmocka_unit_test(test_shorter_log_does_not_win),
        cmocka_unit_test(test_pre_vote_leaves_no_trace),
        cmocka_unit_test(test_pre_vote_of_the_old_leader),
        cmocka_unit_test(test_old_term_is_told),
        cmocka_unit_test(test_stuck_in_a_higher_term),
        cmocka_unit_test(test_lease_protects_the_leader),
        cmocka_unit_test(test_full_omission),
        cmocka_unit_test(test_check_quorum_steps_down),
        cmocka_unit_test(test_step_down_keeps_the_vote),
        cmocka_unit_test(test_rank_decides_who_stands_first),
        cmocka_unit_test(test_deposed_leader_is_told),
        cmocka_unit_test(test_stranger_does_not_count),
    };
    return cmocka_run_group_tests_name("raft campaign", tests, NULL, NULL);
}
