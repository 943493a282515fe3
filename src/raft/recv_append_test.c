/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: logs become equal, whatever they were (Figure 7), nothing commits that should not (Figure
 * 8), and hostile or late messages change nothing (rows 1, 10, 17, 20, 21, 28, 33, 44, 45). */
#include "raft/test_util.h"

static struct raft_message
append(uint64_t from, uint64_t to, uint64_t term, uint64_t index, uint64_t log_term, size_t count,
       uint64_t entry_term)
{
    struct raft_message m = testnet_message(RAFT_APPEND, from, to, term);
    m.index = index;
    m.log_term = log_term;
    m.entries = count ? entries_of(count, index + 1, entry_term) : NULL;
    m.entry_count = count;
    return m;
}

static struct raft_message *
settle(struct testnet *net, uint64_t id, uint64_t to)
{
    testnet_collect(net, id);
    testnet_sync(net, id, 100);
    return in_bag(net, RAFT_APPEND_RESPONSE, to);
}

static void
test_nonsense_is_refused(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    struct raft_message bad = append(2, 1, 1, 0, 0, 2, 1);
    bad.entries[1].index = 5; /* a gap */
    assert_int_equal(step(&net, 1, bad), -SKEIN_EPROTO);
    bad = append(2, 1, 1, 0, 0, 2, 1);
    bad.entries[0].term = 2; /* newer than the message */
    assert_int_equal(step(&net, 1, bad), -SKEIN_EPROTO);
    bad = append(2, 1, 3, 0, 0, 2, 2);
    bad.entries[1].term = 1; /* terms fall */
    assert_int_equal(step(&net, 1, bad), -SKEIN_EPROTO);
    bad = append(2, 1, 3, 0, 0, 1, 2);
    bad.entries[0].type = (enum raft_entry_type)9;
    assert_int_equal(step(&net, 1, bad), -SKEIN_EPROTO);
    assert_int_equal(step(&net, 1, append(2, 3, 1, 0, 0, 1, 1)), -SKEIN_EPROTO); /* not to us */
    assert_int_equal(step(&net, 1, append(0, 1, 1, 0, 0, 1, 1)), -SKEIN_EPROTO);
    assert_int_equal(step(&net, 1, append(1, 1, 1, 0, 0, 1, 1)), -SKEIN_EPROTO);
    assert_int_equal(step(&net, 1, append(2, 1, UINT64_MAX, 0, 0, 0, 0)), -SKEIN_EPROTO);
    assert_int_equal(step(&net, 1, append(2, 1, 5, 3, 0, 0, 0)), -SKEIN_EPROTO); /* row 12 */
    struct raft_message unknown = testnet_message((enum raft_message_type)77, 2, 1, 1);
    assert_int_equal(step(&net, 1, unknown), -SKEIN_EPROTO);
    struct raft_message stored = testnet_message(RAFT_STORAGE_APPENDED, 2, 1, 1);
    assert_int_equal(step(&net, 1, stored), -SKEIN_EPROTO);
    stored.from = 1;
    stored.context = 99; /* a write that was never handed out */
    assert_int_equal(step(&net, 1, stored), -SKEIN_EPROTO);
    assert_int_equal(testnet_status(&net, 1).dropped, 12);
    assert_int_equal(raft_term(net.nodes[1].raft), 0);
    testnet_deinit(&net);
}

static void
test_answers_what_it_covers(void **state)
{
    struct testnet net; /* rows 21, 45 */
    const uint64_t terms[] = {1, 1, 1, 1, 1};
    testnet_init(&net, 3, 3, 1);
    testnet_set_log(&net, 1, terms, 5, 1);
    assert_int_equal(step(&net, 1, append(2, 1, 2, 1, 1, 1, 1)), 0);
    struct raft_message *answer = settle(&net, 1, 2);
    assert_int_equal(answer->index, 2);
    assert_false(answer->reject);
    assert_int_equal(testnet_status(&net, 1).last_index, 5); /* nothing cut off on a match */
    struct raft_message m = append(2, 1, 2, 2, 1, 0, 0);
    m.commit = 5;
    assert_int_equal(step(&net, 1, m), 0);
    assert_int_equal(testnet_commit(&net, 1), 2); /* commit only as far as it vouches */
    testnet_deinit(&net);
}

static void
test_conflict_below_commit(void **state)
{
    struct testnet net; /* row 10 */
    lead(&net, 3);
    propose(&net, 1, "a");
    propose(&net, 1, "b");
    testnet_tick(&net, 1);
    assert_int_equal(testnet_commit(&net, 2), 3);
    assert_int_equal(step(&net, 2, append(3, 2, 9, 0, 0, 3, 5)), 0); /* behind commit: answered */
    assert_int_equal(settle(&net, 2, 3)->index, 3);
    struct raft_message m = append(3, 2, 9, 3, 1, 1, 9);
    assert_int_equal(step(&net, 2, m), 0);
    m = testnet_message(RAFT_HEARTBEAT, 3, 2, 9);
    m.commit = 4;
    assert_int_equal(step(&net, 2, m), 0);
    assert_int_equal(testnet_status(&net, 2).last_term, 9);
    testnet_deinit(&net);
}

static void
test_hint_skips_terms(void **state)
{
    struct testnet net;
    const uint64_t terms[] = {1, 2, 2, 2, 2, 2, 2};
    testnet_init(&net, 3, 3, 1);
    testnet_set_log(&net, 1, terms, 7, 2);
    assert_int_equal(step(&net, 1, append(2, 1, 5, 6, 1, 0, 0)), 0);
    struct raft_message *answer = settle(&net, 1, 2);
    assert_true(answer->reject);
    assert_int_equal(answer->index, 6);
    assert_int_equal(answer->reject_hint, 1);
    assert_int_equal(answer->log_term, 1);
    assert_int_equal(step(&net, 1, append(2, 1, 5, 90, 4, 0, 0)), 0);
    answer = settle(&net, 1, 2);
    assert_int_equal(answer->reject_hint, 7);
    assert_int_equal(answer->log_term, 2);
    testnet_deinit(&net);
}

static void
test_figure_7(void **state)
{
    static const uint64_t logs[7][12] = {
        {1, 1, 1, 4, 4, 5, 5, 6, 6, 6},
        {1, 1, 1, 4, 4, 5, 5, 6, 6},
        {1, 1, 1, 4},
        {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
        {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
        {1, 1, 1, 4, 4, 4, 4},
        {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},
    };
    static const size_t counts[7] = {10, 9, 4, 11, 12, 7, 11};
    struct testnet net;
    testnet_init(&net, 7, 7, 1);
    for (uint64_t id = 1; id <= 7; id++)
        testnet_set_log(&net, id, logs[id - 1], counts[id - 1], 7);
    testnet_campaign(&net, 1);
    assert_int_equal(testnet_leader(&net), 1);
    testnet_run(&net);
    for (uint64_t id = 1; id <= 7; id++) {
        struct raft_status s = testnet_status(&net, id);
        assert_int_equal(s.last_index, 11);
        assert_int_equal(s.last_term, 8);
        assert_int_equal(s.hard_state.commit, 11);
    }
    testnet_check(&net);
    testnet_deinit(&net);
}

/* The entry of term 4 never arrives: an append that has it is delivered without. */
static void
deliver_old_terms(struct testnet *net)
{
    struct raft_message *m = &net->bag[0];
    while (m->type == RAFT_APPEND && m->entry_count && m->entries[m->entry_count - 1].term == 4)
        bytes_unref(&m->entries[--m->entry_count].data);
    testnet_deliver(net, 0);
}

static void
test_figure_8(void **state)
{
    /* Rows 1, 44: an entry of term 2 is on a majority, and the leader of term 4 knows it; not
     * committed before an entry of term 4 is, as 5 may still win and replace it (d). */
    struct testnet net;
    const uint64_t with[] = {1, 2};
    const uint64_t without[] = {1};
    const uint64_t five[] = {1, 3};
    testnet_init(&net, 5, 5, 1);
    testnet_set_log(&net, 1, with, 2, 3);
    testnet_set_log(&net, 2, with, 2, 3);
    testnet_set_log(&net, 3, without, 1, 3);
    testnet_set_log(&net, 4, without, 1, 3);
    testnet_set_log(&net, 5, five, 2, 3);
    testnet_isolate(&net, 5, true);
    raft_campaign(net.nodes[1].raft);
    for (uint32_t i = 0; i < 50; i++) {
        for (uint64_t id = 1; id <= 5; id++) {
            testnet_collect(&net, id);
            testnet_sync(&net, id, 10);
        }
        for (size_t b = net.bag_count; b; b--)
            deliver_old_terms(&net);
    }
    struct raft_status s = testnet_status(&net, 1);
    assert_int_equal(s.role, RAFT_LEADER);
    assert_int_equal(s.hard_state.term, 4);
    assert_int_equal(s.peers[1].match, 2);
    assert_int_equal(s.peers[2].match, 2);
    assert_int_equal(s.hard_state.commit, 0);
    testnet_crash(&net, 1);
    testnet_isolate(&net, 5, false);
    testnet_tick(&net, 20);
    testnet_campaign(&net, 5);
    testnet_tick(&net, 60);
    propose(&net, testnet_leader(&net), "goes on");
    testnet_check(&net);
    testnet_deinit(&net);
}

static void
test_no_commit_without_quorum(void **state)
{
    struct testnet net; /* row 20 */
    lead(&net, 5);
    for (uint64_t id = 3; id <= 5; id++)
        testnet_isolate(&net, id, true);
    propose(&net, 1, "two of five");
    testnet_tick(&net, 5);
    assert_int_equal(testnet_commit(&net, 1), 1);
    /* Nor by answers of strangers, or beyond the log. */
    struct raft_message m = testnet_message(RAFT_APPEND_RESPONSE, 3, 1, 1);
    m.index = 77;
    assert_int_equal(step(&net, 1, m), -SKEIN_EPROTO);
    for (uint64_t from = 40; from < 50; from++) {
        m = testnet_message(RAFT_APPEND_RESPONSE, from, 1, 1);
        m.index = 2;
        assert_int_equal(step(&net, 1, m), -SKEIN_ENOTFOUND);
    }
    assert_int_equal(testnet_commit(&net, 1), 1);
    testnet_deinit(&net);
}

static void
test_own_disk_counts_when_durable(void **state)
{
    struct testnet net; /* row 20: of three, with one peer gone, the leader's own write decides */
    lead(&net, 3);
    testnet_isolate(&net, 3, true);
    net.nodes[1].slow_disk = true;
    propose(&net, 1, "x");
    assert_int_equal(testnet_commit(&net, 1), 1);
    testnet_sync(&net, 1, 10);
    assert_int_equal(testnet_commit(&net, 1), 2);
    testnet_run(&net);
    testnet_deinit(&net);
}

static void
test_aba(void **state)
{
    /* Row 33: entry 1 of term 1 is written, replaced by term 2's, and comes back; the answer to the
     * first write must not vouch for the third. */
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    net.nodes[1].slow_disk = true;
    assert_int_equal(step(&net, 1, append(2, 1, 1, 0, 0, 1, 1)), 0);
    testnet_collect(&net, 1);
    assert_int_equal(step(&net, 1, append(3, 1, 2, 0, 0, 1, 2)), 0);
    testnet_collect(&net, 1);
    struct raft_message m = append(2, 1, 3, 0, 0, 1, 1);
    m.commit = 1;
    assert_int_equal(step(&net, 1, m), 0);
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].write_count, 3);
    assert_int_equal(testnet_commit(&net, 1), 1);
    testnet_sync(&net, 1, 1);
    assert_false(raft_has_ready(net.nodes[1].raft)); /* nothing to apply yet */
    testnet_sync(&net, 1, 1);
    assert_false(raft_has_ready(net.nodes[1].raft));
    testnet_sync(&net, 1, 1);
    assert_true(raft_has_ready(net.nodes[1].raft));
    testnet_collect(&net, 1);
    assert_int_equal(net.nodes[1].applied, 1);
    testnet_deinit(&net);
}

static void
test_truncated_stays_away(void **state)
{
    struct testnet net; /* row 17: what was cut off does not come back with a restart */
    const uint64_t longer[] = {1, 1, 1, 1};
    testnet_init(&net, 3, 3, 1);
    testnet_set_log(&net, 1, longer, 4, 1);
    assert_int_equal(step(&net, 1, append(2, 1, 2, 1, 1, 1, 2)), 0);
    settle(&net, 1, 2);
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    struct raft_status s = testnet_status(&net, 1);
    assert_int_equal(s.last_index, 2);
    assert_int_equal(s.last_term, 2);
    testnet_deinit(&net);
}

static void
test_emptied_peer(void **state)
{
    struct testnet net; /* row 28 */
    lead(&net, 3);
    for (uint32_t i = 0; i < 20; i++)
        propose(&net, 1, "x");
    testnet_crash(&net, 3);
    testnet_wipe(&net, 3, true);
    testnet_start(&net, 3);
    struct raft_message m = testnet_message(RAFT_HEARTBEAT, 1, 3, 1);
    m.commit = 21;
    assert_int_equal(step(&net, 3, m), 0);
    assert_int_equal(testnet_commit(&net, 3), 0);
    propose(&net, 1, "y");
    testnet_tick(&net, 3);
    assert_int_equal(testnet_commit(&net, 3), 22);
    testnet_deinit(&net);
}

static size_t
appends_to(const struct testnet *net, uint64_t to)
{
    size_t count = 0;
    for (size_t i = 0; i < net->bag_count; i++)
        count += net->bag[i].type == RAFT_APPEND && net->bag[i].to == to;
    return count;
}

/* Appends of one entry each that overtake one another are refused by the dozen, and the refusals
 * come late. One that names what has been acknowledged since sends nothing once more: what it sent
 * would be refused by the dozen, too. */
static void
test_late_refusals_send_nothing_again(void **state)
{
    struct testnet net;
    lead(&net, 3);
    net.options.append_bytes_max = 1;
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    testnet_campaign(&net, 1);
    for (uint32_t i = 0; i < 20; i++)
        propose(&net, 1, "x");
    uint64_t match = testnet_status(&net, 1).last_index;
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(testnet_propose(&net, 1, "x"), 0);
    testnet_collect(&net, 1);
    size_t window = appends_to(&net, 3);
    assert_int_equal(window, 50);
    for (uint64_t at = 1; at <= match; at++) {
        struct raft_message late =
            testnet_message(RAFT_APPEND_RESPONSE, 3, 1, raft_term(net.nodes[1].raft));
        late.index = at;
        late.reject = true;
        late.reject_hint = at - 1;
        late.log_term = at > 1;
        assert_int_equal(step(&net, 1, late), 0);
        testnet_collect(&net, 1);
        assert_int_equal(appends_to(&net, 3), window);
    }
    testnet_run(&net);
    testnet_tick(&net, 2);
    assert_int_equal(testnet_commit(&net, 3), match + 50);
    testnet_check(&net);
    testnet_deinit(&net);
}

/* Whoever lost what it acknowledged says so at each beat until the leader has heard it; each word
 * costs one window at most, and a late one does no harm. */
static void
test_a_lost_log_is_sent_once_a_word(void **state)
{
    struct testnet net; /* row 28 */
    lead(&net, 3);
    for (uint32_t i = 0; i < 20; i++)
        propose(&net, 1, "x");
    struct raft_message late = testnet_message(RAFT_APPEND_RESPONSE, 3, 1, 1);
    late.reject = true;
    late.index = late.reject_hint = 4;
    late.log_term = 1;
    late.context = RAFT_CONTEXT_SHORTER;
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(step(&net, 1, late), 0);
        testnet_collect(&net, 1);
        assert_int_equal(appends_to(&net, 3), 1);
    }
    late.reject_hint = 21; /* what it has is no loss */
    testnet_run(&net);
    assert_int_equal(step(&net, 1, late), 0);
    testnet_collect(&net, 1);
    assert_int_equal(appends_to(&net, 3), 0);
    assert_int_equal(testnet_status(&net, 1).peers[2].match, 21);
    testnet_check(&net);
    testnet_deinit(&net);
}

static bool
lose_some(struct testnet *net, const struct raft_message *m)
{
    return m->type == RAFT_APPEND && m->index % 7 == 3 && net->filtered < 20;
}

static void
test_pipeline_survives_loss(void **state)
{
    struct testnet net;
    lead(&net, 3);
    net.filter = lose_some;
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(testnet_propose(&net, 1, "p"), 0);
        testnet_collect(&net, 1);
    }
    testnet_tick(&net, 10);
    assert_true(net.filtered > 0);
    assert_int_equal(testnet_commit(&net, 3), 101);
    struct raft_status s = testnet_status(&net, 1);
    assert_int_equal(s.peers[1].state, RAFT_REPLICATE);
    assert_int_equal(s.peers[1].match, 101);
    testnet_deinit(&net);
}

static void
test_inflight_limit(void **state)
{
    struct testnet net;
    testnet_init(&net, 2, 2, 1);
    net.options.inflight_count_max = 4;
    for (uint64_t id = 1; id <= 2; id++) {
        testnet_crash(&net, id);
        testnet_start(&net, id);
    }
    testnet_campaign(&net, 1);
    testnet_tick(&net, 1);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(testnet_propose(&net, 1, "p"), 0);
        testnet_collect(&net, 1);
    }
    size_t appends = 0;
    for (size_t i = 0; i < net.bag_count; i++)
        appends += net.bag[i].type == RAFT_APPEND;
    assert_int_equal(appends, 4);
    testnet_run(&net);
    assert_int_equal(testnet_commit(&net, 1), 11);
    testnet_deinit(&net);
}

static void
test_uncommitted_limit(void **state)
{
    struct testnet net;
    testnet_init(&net, 3, 3, 1);
    net.options.uncommitted_bytes_max = 200;
    testnet_crash(&net, 1);
    testnet_start(&net, 1);
    assert_int_equal(testnet_propose(&net, 1, "x"), -SKEIN_ENOTLEADER);
    testnet_campaign(&net, 1);
    testnet_isolate(&net, 1, true);
    int rc = 0;
    for (uint32_t i = 0; i < 10 && !rc; i++)
        rc = testnet_propose(&net, 1, "0123456789");
    assert_int_equal(rc, -SKEIN_EAGAIN);
    testnet_isolate(&net, 1, false);
    testnet_tick(&net, 3);
    assert_int_equal(testnet_propose(&net, 1, "x"), 0);
    testnet_deinit(&net);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_answers_what_it_covers),
        cmocka_unit_test(test_conflict_below_commit),
        cmocka_unit_test(test_hint_skips_terms),
        cmocka_unit_test(test_figure_7),
        cmocka_unit_test(test_figure_8),
        cmocka_unit_test(test_no_commit_without_quorum),
        cmocka_unit_test(test_own_disk_counts_when_durable),
        cmocka_unit_test(test_aba),
        cmocka_unit_test(test_truncated_stays_away),
        cmocka_unit_test(test_emptied_peer),
        cmocka_unit_test(test_late_refusals_send_nothing_again),
        cmocka_unit_test(test_a_lost_log_is_sent_once_a_word),
        cmocka_unit_test(test_pipeline_survives_loss),
        cmocka_unit_test(test_inflight_limit),
        cmocka_unit_test(test_uncommitted_limit),
    };
    return cmocka_run_group_tests_name("raft append", tests, NULL, NULL);
}
