/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a node whose disk lost entries that it had acknowledged keeps its promises: it does not
 * stand, it votes for nobody who lacks them, and it is whole again as soon as a leader has sent
 * what is missing, also a leader that believes it has everything (rows 28, 42).
 */
#include "raft/test_util.h"

/* Five entries everywhere; node 3 is down, and holds only the first @keep. */
static void
damaged(struct testnet *net, size_t keep)
{
    lead(net, 3);
    for (int i = 0; i < 4; i++)
        propose(net, 1, "x");
    testnet_tick(net, 1);
    testnet_crash(net, 3);
    struct testnet_node *node = &net->nodes[3];
    uint64_t last = node->entries[node->entry_count - 1].index;
    uint64_t last_term = node->entries[node->entry_count - 1].term;
    assert_int_equal(last, 5);
    while (node->entry_count > keep)
        bytes_unref(&node->entries[--node->entry_count].data);
    if (node->hard_state.commit > keep)
        node->hard_state.commit = keep;
    node->applied = 0;
    net->options.promised_index = last;
    net->options.promised_term = last_term;
    testnet_start(net, 3);
    net->options.promised_index = net->options.promised_term = 0;
    assert_true(raft_repairing(net->nodes[3].raft));
}

static void
test_does_not_stand(void **state)
{
    struct testnet net;
    damaged(&net, 2);
    testnet_isolate(&net, 3, true);
    testnet_tick(&net, 50);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    raft_campaign(net.nodes[3].raft);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    testnet_deinit(&net);
}

static void
test_no_vote_for_who_lacks_it(void **state)
{
    struct testnet net;
    damaged(&net, 2);
    struct raft *raft = net.nodes[3].raft;
    uint64_t term = raft_term(raft);
    for (uint64_t index = 3; index <= 5; index++) {
        assert_int_equal(step(&net, 3,
                              (struct raft_message){.type = RAFT_VOTE,
                                                    .from = 2,
                                                    .to = 3,
                                                    .term = term + index,
                                                    .index = index,
                                                    .log_term = 1,
                                                    .context = RAFT_CONTEXT_TRANSFER}),
                         0);
        testnet_collect(&net, 3);
        testnet_sync(&net, 3, 1);
        const struct raft_message *m = in_bag(&net, RAFT_VOTE_RESPONSE, 2);
        assert_non_null(m);
        assert_int_equal(m->reject, index < 5);
    }
    testnet_deinit(&net);
}

static void
test_repaired_by_the_leader_it_had(void **state)
{
    struct testnet net;
    damaged(&net, 2);
    /* Nothing is written meanwhile: the beat alone has to tell. */
    testnet_tick(&net, 3);
    assert_false(raft_repairing(net.nodes[3].raft));
    struct raft_status status;
    raft_status(net.nodes[3].raft, &status);
    assert_int_equal(status.last_index, 5);
    assert_int_equal(status.hard_state.commit, 5);
    propose(&net, 1, "y");
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_repaired_of_everything(void **state)
{
    struct testnet net;
    damaged(&net, 0);
    testnet_tick(&net, 3);
    assert_false(raft_repairing(net.nodes[3].raft));
    /* And counts again: node 2 goes, the two others go on. */
    testnet_crash(&net, 2);
    propose(&net, 1, "y");
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), 0);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 3);
    testnet_deinit(&net);
}

static void
test_repaired_by_another_leader(void **state)
{
    struct testnet net;
    damaged(&net, 1);
    testnet_crash(&net, 1);
    testnet_tick(&net, 60);
    assert_int_equal(testnet_leader(&net), 2);
    assert_false(raft_repairing(net.nodes[3].raft));
    testnet_check(&net);
    testnet_deinit(&net);
}

/* What was lost had overwritten what is left: as long as the leader's log, and not the same. */
static void
test_what_is_left_was_overwritten(void **state)
{
    struct testnet net;
    lead(&net, 3);
    for (uint64_t to = 2; to >= 1; to--) {
        assert_int_equal(raft_transfer(net.nodes[3 - to].raft, to), 0);
        testnet_run(&net);
        assert_int_equal(testnet_leader(&net), to);
    }
    for (int i = 0; i < 4; i++)
        propose(&net, 1, "x");
    testnet_tick(&net, 1);
    testnet_crash(&net, 3);
    struct testnet_node *node = &net.nodes[3];
    assert_int_equal(node->entry_count, 7);
    assert_int_equal(node->entries[6].term, 3);
    for (size_t i = 2; i < node->entry_count; i++)
        node->entries[i].term = 2;
    node->hard_state.commit = 2;
    node->applied = 0;
    net.options.promised_index = 7;
    net.options.promised_term = 3;
    testnet_start(&net, 3);
    net.options.promised_index = net.options.promised_term = 0;
    assert_true(raft_repairing(net.nodes[3].raft));
    testnet_tick(&net, 3);
    assert_false(raft_repairing(net.nodes[3].raft));
    struct raft_status status;
    raft_status(net.nodes[3].raft, &status);
    assert_int_equal(status.hard_state.commit, 7);
    assert_int_equal(raft_entry_term(net.nodes[3].raft, 5), 3);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_a_late_repeat_does_no_harm(void **state)
{
    struct testnet net;
    damaged(&net, 2);
    testnet_tick(&net, 3);
    struct raft_message again = {.type = RAFT_APPEND_RESPONSE,
                                 .from = 3,
                                 .to = 1,
                                 .term = raft_term(net.nodes[1].raft),
                                 .index = 2,
                                 .log_term = 1,
                                 .reject = true,
                                 .reject_hint = 2,
                                 .context = RAFT_CONTEXT_SHORTER};
    assert_int_equal(step(&net, 1, again), 0);
    testnet_run(&net);
    propose(&net, 1, "y");
    struct raft_status status;
    raft_status(net.nodes[1].raft, &status);
    assert_int_equal(status.hard_state.commit, 6);
    testnet_check(&net);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_does_not_stand),
        cmocka_unit_test(test_no_vote_for_who_lacks_it),
        cmocka_unit_test(test_repaired_by_the_leader_it_had),
        cmocka_unit_test(test_repaired_of_everything),
        cmocka_unit_test(test_repaired_by_another_leader),
        cmocka_unit_test(test_what_is_left_was_overwritten),
        cmocka_unit_test(test_a_late_repeat_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
