/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a group with nothing to do sends nothing and counts no time; anything that happens to it
 * wakes it, and a leader that dies asleep is replaced as soon as the driver says so. */
#include "raft/test_util.h"

static void
begin(struct testnet *net, uint32_t count)
{
    testnet_init(net, count, count, 1);
    for (uint64_t id = 1; id <= count; id++)
        testnet_crash(net, id);
    net->options.quiesce_ticks = 5;
    for (uint64_t id = 1; id <= count; id++)
        testnet_start(net, id);
    testnet_campaign(net, 1);
    assert_int_equal(testnet_leader(net), 1);
}

static uint32_t
sleepers(const struct testnet *net)
{
    uint32_t count = 0;
    for (uint64_t id = 1; id <= net->node_count; id++)
        count += net->nodes[id].raft && raft_asleep(net->nodes[id].raft);
    return count;
}

static bool
count_it(struct testnet *net, const struct raft_message *m)
{
    (void)m;
    net->filtered++; /* and lose it */
    return true;
}

static void
test_sleeps_and_says_nothing(void **state)
{
    struct testnet net;
    begin(&net, 3);
    propose(&net, 1, "x");
    testnet_tick(&net, 4);
    assert_int_equal(sleepers(&net), 0);
    testnet_tick(&net, 6);
    assert_int_equal(sleepers(&net), 3);
    net.filter = count_it;
    testnet_tick(&net, 500);
    assert_int_equal(net.filtered, 0);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(raft_term(net.nodes[1].raft), 1);
    testnet_deinit(&net);
}

static void
test_never_unless_wanted(void **state)
{
    struct testnet net;
    lead(&net, 3);
    testnet_tick(&net, 100);
    assert_int_equal(sleepers(&net), 0);
    struct raft_message m = testnet_message(RAFT_HEARTBEAT, 1, 2, 1);
    m.context = RAFT_CONTEXT_SLEEP;
    m.index = m.log_term = m.commit = 1;
    assert_int_equal(step(&net, 2, m), 0);
    assert_false(raft_asleep(net.nodes[2].raft));
    testnet_deinit(&net);
}

static void
test_work_wakes(void **state)
{
    struct testnet net;
    begin(&net, 3);
    testnet_tick(&net, 15);
    assert_int_equal(sleepers(&net), 3);
    propose(&net, 1, "x");
    assert_int_equal(testnet_commit(&net, 1), 2);
    assert_int_equal(sleepers(&net), 0);
    testnet_tick(&net, 15);
    assert_int_equal(sleepers(&net), 3);
    assert_int_equal(raft_read_index(net.nodes[3].raft, 4), 0);
    testnet_run(&net);
    assert_int_equal(net.nodes[3].read_count, 1);
    testnet_tick(&net, 15);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 2), 0);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 2);
    testnet_deinit(&net);
}

static void
test_steady_work_keeps_awake(void **state)
{
    struct testnet net;
    begin(&net, 3);
    for (uint32_t i = 0; i < 30; i++) {
        testnet_tick(&net, 2);
        propose(&net, 1, "x");
        assert_int_equal(sleepers(&net), 0);
    }
    testnet_deinit(&net);
}

static void
test_who_is_behind_does_not_sleep(void **state)
{
    struct testnet net;
    begin(&net, 3);
    testnet_isolate(&net, 3, true);
    propose(&net, 1, "x");
    testnet_tick(&net, 8);
    assert_int_equal(sleepers(&net), 0);
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 20);
    assert_int_equal(sleepers(&net), 3);
    /* Told to sleep with a log it does not have: it answers, and that wakes the leader. */
    struct raft_message m = testnet_message(RAFT_HEARTBEAT, 1, 3, raft_term(net.nodes[3].raft));
    m.context = RAFT_CONTEXT_SLEEP;
    m.index = 77;
    m.log_term = 1;
    assert_int_equal(step(&net, 3, m), 0);
    assert_false(raft_asleep(net.nodes[3].raft));
    testnet_run(&net);
    assert_false(raft_asleep(net.nodes[1].raft));
    testnet_deinit(&net);
}

/* The word to sleep is lost on the way: that one's time runs out, and its question wakes all. */
static void
test_lost_word(void **state)
{
    struct testnet net;
    begin(&net, 3);
    net.cut[1][3] = true;
    for (uint32_t i = 0; i < 40 && !raft_asleep(net.nodes[1].raft); i++)
        testnet_tick(&net, 1);
    net.cut[1][3] = false;
    assert_true(raft_asleep(net.nodes[1].raft));
    testnet_tick(&net, 60);
    assert_int_not_equal(testnet_leader(&net), 0);
    testnet_tick(&net, 30);
    assert_int_equal(sleepers(&net), 3);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_dead_leader_is_replaced_when_told(void **state)
{
    struct testnet net;
    begin(&net, 3);
    testnet_tick(&net, 15);
    testnet_crash(&net, 1);
    testnet_tick(&net, 100);
    assert_int_equal(testnet_leader(&net), 0); /* nobody notices */
    raft_wake(net.nodes[2].raft);
    raft_report_unreachable(net.nodes[3].raft, 1); /* says so, too */
    assert_int_equal(sleepers(&net), 0);
    testnet_tick(&net, 60);
    assert_in_range(testnet_leader(&net), 2, 3);
    /* And the old one comes back. */
    testnet_start(&net, 1);
    testnet_tick(&net, 60);
    assert_int_equal(sleepers(&net), 3);
    testnet_check(&net);
    testnet_deinit(&net);
}

/* A beat and its answer go the short way; whatever has more to it does not. */
static void
test_beats_go_the_short_way(void **state)
{
    struct raft *raft;
    const struct raft_message *messages;
    struct raft_ready ready;
    static const uint64_t ids[] = {1, 2, 3};
    struct raft_options options = {.id = 1, .seed = 1, .snapshot.config = raft_config_of(ids, 3)};
    assert_int_equal(raft_open(&raft, &options), 0);
    assert_int_equal(raft_take_messages(raft, &messages), 0);
    struct raft_message beat = {.type = RAFT_HEARTBEAT, .from = 2, .to = 1, .term = 1};
    struct raft_message again = beat;
    assert_int_equal(raft_step(raft, &beat), 0);
    assert_int_equal(raft_take_messages(raft, &messages), 0); /* a new term is to be written */
    raft_take_ready(raft, &ready);
    assert_int_equal(ready.message_count, 1);
    raft_ready_deinit(&ready);
    for (int i = 0; i < 3; i++) {
        struct raft_message next = again;
        assert_int_equal(raft_step(raft, &next), 0);
        assert_true(raft_has_ready(raft));
        assert_int_equal(raft_take_messages(raft, &messages), 1);
        assert_int_equal(messages[0].type, RAFT_HEARTBEAT_RESPONSE);
        assert_int_equal(messages[0].to, 2);
        assert_false(raft_has_ready(raft));
        assert_int_equal(raft_take_messages(raft, &messages), 0);
    }
    struct raft_message append = {.type = RAFT_APPEND, .from = 2, .to = 1, .term = 1};
    assert_int_equal(raft_step(raft, &append), 0);
    assert_true(raft_has_ready(raft));
    assert_int_equal(raft_take_messages(raft, &messages), 0); /* its answer waits for a write */
    raft_close(raft);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleeps_and_says_nothing),
        cmocka_unit_test(test_never_unless_wanted),
        cmocka_unit_test(test_work_wakes),
        cmocka_unit_test(test_steady_work_keeps_awake),
        cmocka_unit_test(test_who_is_behind_does_not_sleep),
        cmocka_unit_test(test_lost_word),
        cmocka_unit_test(test_dead_leader_is_replaced_when_told),
        cmocka_unit_test(test_beats_go_the_short_way),
    };
    return cmocka_run_group_tests_name("raft quiesce", tests, NULL, NULL);
}
