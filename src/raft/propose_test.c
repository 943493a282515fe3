/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: proposals of followers reach the leader only where that is wanted, and whatever comes as
 * one is looked at before it is believed. */
#include "raft/test_util.h"

static void
restart_with(struct testnet *net, struct raft_options options)
{
    for (uint64_t id = 1; id <= net->node_count; id++)
        testnet_crash(net, id);
    net->options = options;
    for (uint64_t id = 1; id <= net->node_count; id++)
        testnet_start(net, id);
}

static struct raft_message
proposal(uint64_t from, uint64_t to, size_t count)
{
    struct raft_message m = testnet_message(RAFT_PROPOSE, from, to, 0);
    m.entries = count ? entries_of(count, 0, 0) : NULL;
    m.entry_count = count;
    return m;
}

static void
test_not_forwarded(void **state)
{
    struct testnet net;
    lead(&net, 3);
    assert_int_equal(testnet_propose(&net, 2, "x"), -SKEIN_ENOTLEADER);
    assert_int_equal(step(&net, 1, proposal(2, 1, 1)), -SKEIN_EPROTO);
    assert_int_equal(testnet_status(&net, 1).last_index, 1);
    testnet_deinit(&net);
}

static void
test_forwarded(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    struct raft_options options = net.options;
    options.forward_proposals = true;
    restart_with(&net, options);
    assert_int_equal(testnet_propose(&net, 2, "nobody leads"), -SKEIN_ENOTLEADER);
    testnet_campaign(&net, 1);
    assert_int_equal(testnet_propose(&net, 2, "x"), 0);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 1), 2);
    /* It arrives where nobody leads any more, and goes on. */
    assert_int_equal(step(&net, 3, proposal(2, 3, 1)), 0);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 1), 3);
    assert_int_equal(step(&net, 1, proposal(2, 1, 5)), 0);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 1), 8);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_nonsense(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    struct raft_options options = net.options;
    options.forward_proposals = true;
    options.uncommitted_bytes_max = 200;
    restart_with(&net, options);
    testnet_campaign(&net, 1);
    assert_int_equal(step(&net, 1, proposal(2, 1, 0)), -SKEIN_EPROTO);
    assert_int_equal(step(&net, 1, proposal(1, 1, 1)), -SKEIN_EPROTO);
    struct raft_message m = proposal(2, 1, 1);
    m.term = 1; /* a proposal has none */
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    m = proposal(2, 1, 1);
    m.entries[0].type = RAFT_ENTRY_TYPE_END;
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    assert_int_equal(testnet_status(&net, 1).last_index, 1);
    /* A change that nobody can decode becomes an entry that does nothing. */
    m = proposal(2, 1, 1);
    m.entries[0].type = RAFT_ENTRY_CONFIG;
    m.entries[0].data = bytes_copy("?", 1);
    assert_int_equal(step(&net, 1, m), 0);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 1), 2);
    assert_int_equal(testnet_status(&net, 1).config.count, 3);
    /* More than there is room for: all of it or nothing. */
    testnet_isolate(&net, 1, true);
    assert_int_equal(step(&net, 1, proposal(2, 1, 1)), 0);
    assert_int_equal(step(&net, 1, proposal(2, 1, 50)), -SKEIN_EAGAIN);
    assert_int_equal(testnet_status(&net, 1).last_index, 3);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_forwarded),
        cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests_name("raft propose", tests, NULL, NULL);
}
