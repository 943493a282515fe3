/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the sentences of the Raft paper (Ongaro and Ousterhout 2014, extended version), one test
 * each, in the paper's order: sections 5.1 to 5.4 and 7. Figures 7 and 8: recv_append_test.c. */
#include "raft/test_util.h"

static struct raft_message *
answer_of(struct testnet *net, uint64_t id, enum raft_message_type type, uint64_t to)
{
    testnet_collect(net, id);
    testnet_sync(net, id, 100);
    return in_bag(net, type, to);
}

/* 5.1: "if one server's current term is smaller than the other's, then it updates its current term
 * to the larger value"; "a candidate or leader discovers that its term is out of date: it
 * immediately reverts to follower state". */
static void
test_5_1_larger_term_is_taken(void **state)
{
    for (int as = 0; as < 3; as++) {
        struct testnet net;
        testnet_init(&net, 3, 3, 1);
        if (as == 2)
            testnet_campaign(&net, 1);
        else if (as == 1)
            raft_campaign(net.nodes[1].raft);
        assert_int_equal(step(&net, 1, testnet_message(RAFT_APPEND, 2, 1, 9)), 0);
        assert_int_equal(raft_term(net.nodes[1].raft), 9);
        assert_int_equal(raft_role(net.nodes[1].raft), RAFT_FOLLOWER);
        assert_int_equal(raft_leader(net.nodes[1].raft), 2);
        testnet_deinit(&net);
    }
}

/* 5.1: "If a server receives a request with a stale term number, it rejects the request." */
static void
test_5_1_stale_term_is_rejected(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    assert_int_equal(step(&net, 1, testnet_message(RAFT_HEARTBEAT, 2, 1, 5)), 0);
    struct raft_message m = testnet_message(RAFT_APPEND, 3, 1, 4);
    m.entries = entries_of(1, 1, 4);
    m.entry_count = 1;
    assert_int_equal(step(&net, 1, m), 0);
    assert_int_equal(testnet_status(&net, 1).last_index, 0);
    assert_int_equal(raft_leader(net.nodes[1].raft), 2);
    struct raft_message *told = answer_of(&net, 1, RAFT_APPEND_RESPONSE, 3);
    assert_int_equal(told->term, 5);
    testnet_deinit(&net);
}

/* 5.2: servers start as followers; a leader "sends periodic heartbeats"; a follower that receives
 * no communication over the election timeout "increments its current term and transitions to
 * candidate state. It then votes for itself and issues RequestVote RPCs". */
static void
test_5_2_timeout_starts_an_election(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    testnet_crash(&net, 1);
    net.options.pre_vote = false;
    testnet_start(&net, 1);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_FOLLOWER);
    for (uint32_t i = 0; i < 20 && raft_role(net.nodes[1].raft) == RAFT_FOLLOWER; i++)
        raft_tick(net.nodes[1].raft);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_CANDIDATE);
    struct raft_status status = testnet_status(&net, 1);
    assert_int_equal(status.hard_state.term, 1);
    assert_int_equal(status.hard_state.vote, 1);
    for (uint64_t to = 2; to <= 3; to++)
        assert_int_equal(answer_of(&net, 1, RAFT_VOTE, to)->term, 1);
    testnet_deinit(&net);
}

static void
test_5_2_heartbeats_keep_followers(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_tick(&net, 500);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(raft_term(net.nodes[1].raft), 1);
    assert_int_equal(testnet_status(&net, 1).last_index, 1);
    testnet_deinit(&net);
}

/* 5.2: a candidate wins "if it receives votes from a majority of the servers in the full cluster
 * for the same term"; tried for each number of voters that answers. */
static void
test_5_2_majority_wins(void **state)
{
    for (uint32_t voters = 1; voters <= 7; voters++)
        for (uint32_t up = 1; up <= voters; up++) {
            struct testnet net;
            testnet_init(&net, voters, voters, 1);
            for (uint64_t id = up + 1; id <= voters; id++)
                testnet_crash(&net, id);
            testnet_campaign(&net, 1);
            assert_int_equal(raft_role(net.nodes[1].raft) == RAFT_LEADER, up > voters / 2);
            testnet_deinit(&net);
        }
}

/* 5.2: "Each server will vote for at most one candidate in a given term, on a
 * first-come-first-served basis". */
static void
test_5_2_first_come_first_served(void **state)
{
    static const struct {
        uint64_t vote, from;
        bool refused;
    } cases[] = {{0, 2, false}, {0, 3, false}, {2, 2, false}, {2, 3, true}, {3, 2, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct testnet net;
        testnet_init(&net, 3, 3, 1);
        testnet_crash(&net, 1);
        net.nodes[1].hard_state = (struct raft_hard_state){.term = 1, .vote = cases[i].vote};
        testnet_start(&net, 1);
        assert_int_equal(step(&net, 1, testnet_message(RAFT_VOTE, cases[i].from, 1, 1)), 0);
        struct raft_message *answer = answer_of(&net, 1, RAFT_VOTE_RESPONSE, cases[i].from);
        assert_int_equal(answer->reject, cases[i].refused);
        testnet_deinit(&net);
    }
}

/* 5.2: "While waiting for votes, a candidate may receive an AppendEntries RPC from another server
 * claiming to be leader. If the leader's term is at least as large [...] the candidate recognizes
 * the leader as legitimate and returns to follower state. If the term is smaller, [it] rejects the
 * RPC and continues in candidate state." */
static void
test_5_2_candidate_recognizes_a_leader(void **state)
{
    for (uint64_t term = 1; term <= 3; term++) {
        struct testnet net;
        testnet_init(&net, 3, 3, 1);
        testnet_crash(&net, 1);
        net.options.pre_vote = false;
        net.nodes[1].hard_state.term = 1;
        testnet_start(&net, 1);
        raft_campaign(net.nodes[1].raft); /* term 2 */
        assert_int_equal(step(&net, 1, testnet_message(RAFT_HEARTBEAT, 3, 1, term)), 0);
        bool follows = term >= 2;
        assert_int_equal(raft_role(net.nodes[1].raft), follows ? RAFT_FOLLOWER : RAFT_CANDIDATE);
        assert_int_equal(raft_leader(net.nodes[1].raft), follows ? 3 : RAFT_NONE);
        testnet_deinit(&net);
    }
}

/* 5.2: "Raft uses randomized election timeouts to ensure that split votes are rare", chosen "from a
 * fixed interval"; in [n, 2n), each as likely, and drawn anew for each election. */
static void
test_5_2_timeouts_are_spread(void **state)
{
    uint32_t seen[20] = {0};
    struct testnet net;
    testnet_init(&net, 2, 2, 3);
    testnet_crash(&net, 2);
    testnet_crash(&net, 1);
    net.options.pre_vote = false;
    testnet_start(&net, 1);
    for (uint32_t round = 0; round < 400; round++) {
        uint64_t term = raft_term(net.nodes[1].raft);
        uint32_t ticks = 0;
        for (; raft_term(net.nodes[1].raft) == term; ticks++)
            raft_tick(net.nodes[1].raft);
        assert_in_range(ticks, 10, 19);
        seen[ticks]++;
    }
    for (uint32_t ticks = 10; ticks < 20; ticks++)
        assert_in_range(seen[ticks], 15, 80);
    testnet_deinit(&net);
}

/* 5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in
 * parallel to each of the other servers", with "the index and term of the entry in its log that
 * immediately precedes the new entries". */
static void
test_5_3_leader_replicates(void **state)
{
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "a");
    assert_int_equal(testnet_propose(&net, 1, "b"), 0);
    testnet_collect(&net, 1);
    for (uint64_t to = 2; to <= 3; to++) {
        struct raft_message *m = in_bag(&net, RAFT_APPEND, to);
        assert_non_null(m);
        assert_int_equal(m->index, 2);
        assert_int_equal(m->log_term, 1);
        assert_int_equal(m->entry_count, 1);
        assert_int_equal(m->entries[0].index, 3);
        assert_int_equal(m->entries[0].term, 1);
        assert_int_equal(m->commit, 2);
    }
    testnet_deinit(&net);
}

/* 5.3: "A log entry is committed once the leader that created the entry has replicated it on a
 * majority of the servers"; for each number of servers that acknowledge. */
static void
test_5_3_majority_commits(void **state)
{
    for (uint32_t voters = 1; voters <= 5; voters++)
        for (uint32_t up = 1; up <= voters; up++) {
            struct testnet net;
            lead(&net, voters);
            for (uint64_t id = up + 1; id <= voters; id++)
                testnet_crash(&net, id);
            propose(&net, 1, "x");
            assert_int_equal(testnet_commit(&net, 1), up > voters / 2 ? 2 : 1);
            testnet_deinit(&net);
        }
}

/* 5.3: "This also commits all preceding entries in the leader's log, including entries created by
 * previous leaders"; "The leader keeps track of the highest index it knows to be committed, and it
 * includes that index in future AppendEntries RPCs"; "once a follower learns that a log entry is
 * committed, it applies the entry". */
static void
test_5_3_preceding_entries_commit(void **state)
{
    static const uint64_t logs[4][3] = {{1}, {2}, {1, 2}, {1, 1, 2}};
    static const size_t counts[4] = {1, 1, 2, 3};
    for (size_t i = 0; i < 4; i++) {
        struct testnet net;
        testnet_init(&net, 3, 3, 1);
        testnet_set_log(&net, 1, logs[i], counts[i], 2);
        testnet_campaign(&net, 1);
        testnet_tick(&net, 1);
        for (uint64_t id = 1; id <= 3; id++) {
            assert_int_equal(testnet_commit(&net, id), counts[i] + 1);
            assert_int_equal(testnet_status(&net, id).applied, counts[i] + 1);
        }
        testnet_deinit(&net);
    }
}

/* 5.3: "If the follower does not find an entry in its log with the same index and term, then it
 * refuses the new entries." */
static void
test_5_3_consistency_check(void **state)
{
    static const uint64_t log[] = {1, 2};
    static const struct {
        uint64_t term, index;
        bool refused;
        uint64_t hint;
    } cases[] = {
        {0, 0, false, 0}, {1, 1, false, 0}, {2, 2, false, 0}, {1, 2, true, 1}, {3, 3, true, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct testnet net;
        testnet_init(&net, 3, 3, 1);
        testnet_set_log(&net, 1, log, 2, 2);
        struct raft_message m = testnet_message(RAFT_APPEND, 2, 1, 3);
        m.log_term = cases[i].term;
        m.index = cases[i].index;
        assert_int_equal(step(&net, 1, m), 0);
        struct raft_message *answer = answer_of(&net, 1, RAFT_APPEND_RESPONSE, 2);
        assert_int_equal(answer->reject, cases[i].refused);
        assert_int_equal(answer->index, cases[i].index);
        if (cases[i].refused)
            assert_int_equal(answer->reject_hint, cases[i].hint);
        testnet_deinit(&net);
    }
}

/* 5.3: "conflicting entries in follower logs will be overwritten with entries from the leader's
 * log", and those that do not conflict stay. */
static void
test_5_3_conflicts_are_overwritten(void **state)
{
    static const uint64_t log[] = {1, 2};
    static const struct {
        uint64_t index, log_term, term;
        size_t count, last;
        uint64_t last_term;
    } cases[] = {{2, 2, 3, 1, 3, 3},
                 {1, 1, 3, 1, 2, 3},
                 {0, 0, 1, 1, 2, 2}, /* it has that one: nothing is cut */
                 {0, 0, 3, 1, 1, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct testnet net;
        testnet_init(&net, 3, 3, 1);
        testnet_set_log(&net, 1, log, 2, 2);
        struct raft_message m = testnet_message(RAFT_APPEND, 2, 1, 3);
        m.index = cases[i].index;
        m.log_term = cases[i].log_term;
        m.entries = entries_of(cases[i].count, m.index + 1, cases[i].term);
        m.entry_count = cases[i].count;
        assert_int_equal(step(&net, 1, m), 0);
        struct raft_status status = testnet_status(&net, 1);
        assert_int_equal(status.last_index, cases[i].last);
        assert_int_equal(status.last_term, cases[i].last_term);
        testnet_deinit(&net);
    }
}

/* 5.3: a leader "never overwrites or deletes entries in its own log". */
static void
test_5_3_leader_appends_only(void **state)
{
    struct testnet net;
    lead(&net, 3);
    propose(&net, 1, "a");
    struct raft_message m = testnet_message(RAFT_APPEND, 2, 1, 1);
    m.entries = entries_of(1, 1, 1);
    m.entry_count = 1;
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    assert_int_equal(testnet_status(&net, 1).last_index, 2);
    testnet_deinit(&net);
}

/* 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate":
 * the later last term, then the longer log. */
static void
test_5_4_1_up_to_date(void **state)
{
    static const struct {
        uint64_t log[2];
        size_t count;
        uint64_t term, index;
        bool refused;
    } cases[] = {
        {{1}, 1, 1, 1, false}, {{1}, 1, 1, 2, false},    {{1, 1}, 2, 1, 1, true},
        {{1}, 1, 2, 1, false}, {{1}, 1, 2, 2, false},    {{1, 1}, 2, 2, 1, false},
        {{2}, 1, 1, 1, true},  {{2}, 1, 1, 2, true},     {{1, 2}, 2, 1, 1, true},
        {{2}, 1, 2, 1, false}, {{1, 2}, 2, 2, 2, false}, {{1, 2}, 2, 2, 1, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int pre = 0; pre < 2; pre++) {
            struct testnet net;
            testnet_init(&net, 3, 3, 1);
            testnet_set_log(&net, 1, cases[i].log, cases[i].count, 2);
            struct raft_message m = testnet_message(pre ? RAFT_PRE_VOTE : RAFT_VOTE, 2, 1, 3);
            m.log_term = cases[i].term;
            m.index = cases[i].index;
            assert_int_equal(step(&net, 1, m), 0);
            struct raft_message *answer =
                answer_of(&net, 1, pre ? RAFT_PRE_VOTE_RESPONSE : RAFT_VOTE_RESPONSE, 2);
            assert_int_equal(answer->reject, cases[i].refused);
            testnet_deinit(&net);
        }
}

/* 5.4.2: "Only log entries from the leader's current term are committed by counting replicas." */
static void
test_5_4_2_only_the_own_term_commits(void **state)
{
    static const uint64_t log[] = {1, 2};
    struct testnet net;
    testnet_init(&net, 2, 2, 1);
    testnet_set_log(&net, 1, log, 2, 2);
    raft_campaign(net.nodes[1].raft);
    assert_int_equal(step(&net, 1, testnet_message(RAFT_PRE_VOTE_RESPONSE, 2, 1, 3)), 0);
    testnet_collect(&net, 1);
    testnet_sync(&net, 1, 10);
    assert_int_equal(step(&net, 1, testnet_message(RAFT_VOTE_RESPONSE, 2, 1, 3)), 0);
    assert_int_equal(raft_role(net.nodes[1].raft), RAFT_LEADER);
    testnet_collect(&net, 1);
    testnet_sync(&net, 1, 10);
    for (uint64_t index = 1; index <= 3; index++) {
        struct raft_message m = testnet_message(RAFT_APPEND_RESPONSE, 2, 1, 3);
        m.index = index;
        assert_int_equal(step(&net, 1, m), 0);
        assert_int_equal(testnet_commit(&net, 1), index == 3 ? 3 : 0);
    }
    testnet_deinit(&net);
}

/* 7: "when the leader has already discarded the next log entry that it needs to send to a follower"
 * it sends a snapshot; "the follower discards its entire log; it is all superseded by the
 * snapshot"; "if instead the follower receives a snapshot that describes a prefix of its log [...]
 * entries following the snapshot are still valid and must be retained". */
static void
test_7_snapshot_replaces_the_log(void **state)
{
    static const uint64_t other[] = {1, 1, 2, 2};
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    testnet_set_log(&net, 1, other, 4, 2);
    struct raft_message m = testnet_message(RAFT_SNAPSHOT, 2, 1, 5);
    m.snapshot = raft_snapshot_copy(&(struct raft_snapshot){
        .index = 4, .term = 4, .config = raft_config_of((uint64_t[]){1, 2, 3}, 3)});
    assert_int_equal(step(&net, 1, m), 0);
    struct raft_status status = testnet_status(&net, 1);
    assert_int_equal(status.first_index, 5);
    assert_int_equal(status.last_index, 4);
    assert_int_equal(status.last_term, 4);
    assert_int_equal(answer_of(&net, 1, RAFT_APPEND_RESPONSE, 2)->index, 4);
    testnet_deinit(&net);
}

static void
test_7_snapshot_of_a_prefix_retains_the_rest(void **state)
{
    static const uint64_t log[] = {1, 1, 1, 1};
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    testnet_set_log(&net, 1, log, 4, 1);
    struct raft_message m = testnet_message(RAFT_SNAPSHOT, 2, 1, 5);
    m.snapshot = raft_snapshot_copy(&(struct raft_snapshot){
        .index = 2, .term = 1, .config = raft_config_of((uint64_t[]){1, 2, 3}, 3)});
    assert_int_equal(step(&net, 1, m), 0);
    assert_int_equal(testnet_status(&net, 1).last_index, 4);
    assert_int_equal(testnet_commit(&net, 1), 2);
    assert_int_equal(answer_of(&net, 1, RAFT_APPEND_RESPONSE, 2)->index, 2);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_5_1_larger_term_is_taken),
        cmocka_unit_test(test_5_1_stale_term_is_rejected),
        cmocka_unit_test(test_5_2_timeout_starts_an_election),
        cmocka_unit_test(test_5_2_heartbeats_keep_followers),
        cmocka_unit_test(test_5_2_majority_wins),
        cmocka_unit_test(test_5_2_first_come_first_served),
        cmocka_unit_test(test_5_2_candidate_recognizes_a_leader),
        cmocka_unit_test(test_5_2_timeouts_are_spread),
        cmocka_unit_test(test_5_3_leader_replicates),
        cmocka_unit_test(test_5_3_majority_commits),
        cmocka_unit_test(test_5_3_preceding_entries_commit),
        cmocka_unit_test(test_5_3_consistency_check),
        cmocka_unit_test(test_5_3_conflicts_are_overwritten),
        cmocka_unit_test(test_5_3_leader_appends_only),
        cmocka_unit_test(test_5_4_1_up_to_date),
        cmocka_unit_test(test_5_4_2_only_the_own_term_commits),
        cmocka_unit_test(test_7_snapshot_replaces_the_log),
        cmocka_unit_test(test_7_snapshot_of_a_prefix_retains_the_rest),
    };
    return cmocka_run_group_tests_name("raft paper", tests, NULL, NULL);
}
