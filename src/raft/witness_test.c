/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a witness votes and lets entries commit, with nothing of what they hold, and nobody ever
 * gets data from it or is led by it. */
#include "raft/confchange.h"
#include "raft/test_util.h"

static int
change_one(struct testnet *net, enum raft_change_type type, uint64_t node)
{
    struct raft_conf_change change = {.changes = {{type, node}}, .change_count = 1};
    uint64_t index, term;
    return raft_propose_config(net->nodes[testnet_leader(net)].raft, &change, &index, &term);
}

/* Two with the data, node 3 witnesses. */
static void
begin(struct testnet *net)
{
    testnet_init(net, 3, 2, 1);
    testnet_campaign(net, 1);
    propose(net, 1, "before");
    assert_int_equal(change_one(net, RAFT_CHANGE_ADD_WITNESS, 3), 0);
    testnet_run(net);
    testnet_tick(net, 3);
    struct raft_config config = testnet_status(net, 3).config;
    assert_true(raft_config_is(&config, 3, RAFT_WITNESS));
}

static void
test_commits_without_data(void **state)
{
    struct testnet net;
    begin(&net);
    testnet_isolate(&net, 2, true);
    propose(&net, 1, "a secret of many bytes");
    uint64_t last = testnet_status(&net, 1).last_index;
    assert_int_equal(testnet_commit(&net, 1), last);
    const struct testnet_node *witness = &net.nodes[3];
    for (size_t i = 0; i < witness->entry_count; i++) {
        const struct raft_entry *e = &witness->entries[i];
        assert_true(e->type == RAFT_ENTRY_WITNESSED || raft_entry_is_config(e->type));
        assert_true(e->data.count == 0 || raft_entry_is_config(e->type));
    }
    assert_int_equal(witness->entries[witness->entry_count - 1].index, last);
    testnet_isolate(&net, 2, false);
    testnet_tick(&net, 3);
    assert_int_equal(testnet_commit(&net, 2), last);
    testnet_check(&net);
    testnet_deinit(&net);
}

/* What only the leader and the witness have is not lost: the witness votes for nobody without it.
 */
static void
test_votes_by_what_it_remembers(void **state)
{
    struct testnet net;
    begin(&net);
    testnet_isolate(&net, 2, true);
    propose(&net, 1, "only here");
    testnet_crash(&net, 1);
    testnet_isolate(&net, 2, false);
    testnet_tick(&net, 100);
    assert_int_equal(testnet_leader(&net), 0);
    testnet_start(&net, 1);
    testnet_tick(&net, 100);
    assert_int_equal(testnet_leader(&net), 1);
    testnet_check(&net);
    /* And one that has everything is elected with its vote. */
    propose(&net, 1, "everywhere");
    testnet_tick(&net, 2);
    testnet_crash(&net, 1);
    testnet_tick(&net, 100);
    assert_int_equal(testnet_leader(&net), 2);
    propose(&net, 2, "x");
    assert_int_equal(testnet_commit(&net, 2), testnet_status(&net, 2).last_index);
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_never_leads(void **state)
{
    struct testnet net;
    begin(&net);
    assert_int_equal(raft_transfer(net.nodes[1].raft, 3), -SKEIN_EINVALID);
    assert_int_equal(step(&net, 3, testnet_message(RAFT_TIMEOUT_NOW, 1, 3, 1)), 0);
    raft_campaign(net.nodes[3].raft);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    assert_int_equal(raft_transfer(net.nodes[1].raft, RAFT_NONE), 0);
    testnet_run(&net);
    assert_int_equal(testnet_leader(&net), 2);
    testnet_crash(&net, 1);
    testnet_crash(&net, 2);
    testnet_crash(&net, 3);
    testnet_start(&net, 3);
    testnet_tick(&net, 200);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    testnet_deinit(&net);
}

/* Removed and let in as a voter by mistake: what it does not have it does not pretend to have. */
static void
test_stays_a_witness(void **state)
{
    struct testnet net;
    begin(&net);
    assert_int_equal(change_one(&net, RAFT_CHANGE_ADD_VOTER, 3), -SKEIN_EINVALID);
    assert_int_equal(change_one(&net, RAFT_CHANGE_ADD_LEARNER, 3), -SKEIN_EINVALID);
    assert_int_equal(change_one(&net, RAFT_CHANGE_ADD_WITNESS, 2), -SKEIN_EINVALID);
    assert_int_equal(change_one(&net, RAFT_CHANGE_REMOVE, 3), 0);
    testnet_run(&net);
    testnet_tick(&net, 2);
    assert_int_equal(change_one(&net, RAFT_CHANGE_ADD_VOTER, 3), 0);
    testnet_run(&net);
    testnet_tick(&net, 3);
    raft_campaign(net.nodes[3].raft);
    testnet_run(&net);
    assert_int_equal(raft_role(net.nodes[3].raft), RAFT_FOLLOWER);
    testnet_deinit(&net);
}

static void
test_full_voters_take_no_stripped_entries(void **state)
{
    struct testnet net;
    begin(&net);
    uint64_t last = testnet_status(&net, 2).last_index;
    struct raft_message m = testnet_message(RAFT_APPEND, 1, 2, 1);
    m.index = last;
    m.log_term = 1;
    m.entries = entries_of(1, last + 1, 1);
    m.entries[0].type = RAFT_ENTRY_WITNESSED;
    m.entry_count = 1;
    assert_int_equal(step(&net, 2, m), -SKEIN_EPROTO);
    assert_int_equal(testnet_status(&net, 2).last_index, last);
    /* Nor can they be proposed. */
    m = testnet_message(RAFT_PROPOSE, 2, 1, 0);
    m.entries = entries_of(1, 0, 0);
    m.entries[0].type = RAFT_ENTRY_WITNESSED;
    m.entry_count = 1;
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    testnet_deinit(&net);
}

static void
test_snapshot_to_a_witness(void **state)
{
    struct testnet net;
    begin(&net);
    testnet_isolate(&net, 3, true);
    for (uint32_t i = 0; i < 5; i++)
        propose(&net, 1, "x");
    testnet_compact(&net, 1, 0);
    testnet_isolate(&net, 3, false);
    testnet_tick(&net, 5);
    assert_int_equal(testnet_commit(&net, 3), testnet_commit(&net, 1));
    testnet_crash(&net, 3);
    testnet_start(&net, 3);
    testnet_isolate(&net, 2, true);
    propose(&net, 1, "y");
    assert_int_equal(testnet_commit(&net, 1), testnet_status(&net, 1).last_index);
    testnet_deinit(&net);
}

static void
test_configurations(void **state)
{
    struct raft_config config = raft_config_of((uint64_t[]){1, 2, 3}, 3);
    config.roles[2] |= RAFT_WITNESS;
    assert_true(raft_config_valid(&config));
    struct raft_next next;
    const struct raft_change remove[] = {{RAFT_CHANGE_REMOVE, 1}, {RAFT_CHANGE_REMOVE, 2}};
    assert_int_equal(raft_next_enter_joint(&config, true, remove, 2, &next),
                     RAFT_REFUSAL_NO_VOTERS_LEFT);
    /* Out of a joint configuration, and into one. */
    const struct raft_change swap[] = {{RAFT_CHANGE_REMOVE, 3}, {RAFT_CHANGE_ADD_WITNESS, 4}};
    assert_int_equal(raft_next_enter_joint(&config, true, swap, 2, &next), RAFT_REFUSAL_NONE);
    assert_int_equal(next.config.roles[2], RAFT_OUTGOING | RAFT_WITNESS);
    assert_int_equal(next.config.roles[3], RAFT_VOTER | RAFT_WITNESS);
    struct raft_next after;
    assert_int_equal(raft_next_leave_joint(&next.config, &after), RAFT_REFUSAL_NONE);
    assert_int_equal(after.config.count, 3);
    assert_int_equal(after.config.ids[2], 4);
    assert_int_equal(after.config.roles[2], RAFT_VOTER | RAFT_WITNESS);
    for (unsigned roles = 0; roles < 32; roles++) {
        config.roles[2] = (uint8_t)roles;
        bool witness = roles & RAFT_WITNESS;
        if (witness && (!(roles & (RAFT_VOTER | RAFT_OUTGOING)) || (roles & 12)))
            assert_false(raft_config_valid(&config));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commits_without_data),
        cmocka_unit_test(test_votes_by_what_it_remembers),
        cmocka_unit_test(test_never_leads),
        cmocka_unit_test(test_stays_a_witness),
        cmocka_unit_test(test_full_voters_take_no_stripped_entries),
        cmocka_unit_test(test_snapshot_to_a_witness),
        cmocka_unit_test(test_configurations),
    };
    return cmocka_run_group_tests_name("raft witness", tests, NULL, NULL);
}
