/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a leader reads by its lease only while nobody else can lead: counted from the sending of
 * heartbeats, less the drift, void when it has handed on (row 27), and kept by voters that restart
 * or come into another term. */
#include "raft/test_util.h"

#define TICK_NS 100u
#define LEASE_NS 800u /* election_ticks - 2 */

static void
begin(struct testnet *net, uint32_t drift_ppm)
{
    testnet_init(net, 3, 3, 1);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(net, id);
    net->options.lease_ns = LEASE_NS;
    net->options.drift_ppm = drift_ppm;
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(net, id);
    testnet_tick(net, 10); /* until nobody is bound by his start any more */
}

static struct raft *
led_by_one(struct testnet *net)
{
    testnet_campaign(net, 1);
    assert_int_equal(testnet_leader(net), 1);
    return net->nodes[1].raft;
}

static void
beat(struct testnet *net, uint64_t now_ns)
{
    raft_clock(net->nodes[1].raft, now_ns);
    testnet_tick(net, 1);
}

static int
read_at(struct raft *raft, uint64_t now_ns)
{
    uint64_t index = 0;
    int rc = raft_read_lease(raft, now_ns, &index);
    if (rc == 0)
        assert_true(index > 0);
    return rc;
}

static void
test_counts_from_the_sending(void **state)
{
    struct testnet net;
    begin(&net, 0);
    struct raft *one = led_by_one(&net);
    assert_int_equal(read_at(one, 5000), -SKEIN_EAGAIN); /* no beat was answered yet */
    beat(&net, 5000);
    assert_int_equal(read_at(one, 5000 + LEASE_NS - 1), 0);
    assert_int_equal(read_at(one, 5000 + LEASE_NS), -SKEIN_EAGAIN);
    /* Sent, and answered by nobody. */
    testnet_isolate(&net, 1, true);
    beat(&net, 5500);
    assert_int_equal(read_at(one, 5000 + LEASE_NS), -SKEIN_EAGAIN);
    /* Answered by one, which is a quorum with the leader itself. */
    net.cut[1][2] = net.cut[2][1] = false;
    beat(&net, 5600);
    assert_int_equal(read_at(one, 5600 + LEASE_NS - 1), 0);
    assert_int_equal(read_at(net.nodes[2].raft, 5600), -SKEIN_ENOTLEADER);
    testnet_deinit(&net);
}

static void
test_drift_shortens_it(void **state)
{
    struct testnet net;
    begin(&net, 100000); /* a tenth */
    struct raft *one = led_by_one(&net);
    beat(&net, 1000000);
    (void)state;
    /* One more millionth part is taken off for the rounding: nothing is left of such a short one.
     */
    assert_int_equal(read_at(one, 1000000), -SKEIN_EAGAIN);
    testnet_deinit(&net);

    begin(&net, 500000);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(&net, id);
    net.options.lease_ns = 2000000000;
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(&net, id);
    testnet_tick(&net, 10);
    one = led_by_one(&net);
    beat(&net, 5000000000);
    assert_int_equal(read_at(one, 5999000000), 0);
    assert_int_equal(read_at(one, 6000000000), -SKEIN_EAGAIN);
    testnet_deinit(&net);
}

static void
test_late_and_false_answers(void **state)
{
    struct testnet net;
    begin(&net, 0);
    struct raft *one = led_by_one(&net);
    beat(&net, 5000);
    struct raft_message m = testnet_message(RAFT_HEARTBEAT_RESPONSE, 2, 1, 1);
    m.index = 4000; /* late */
    assert_int_equal(step(&net, 1, m), 0);
    assert_int_equal(read_at(one, 5700), 0);
    m.index = 9000; /* of a beat that was never sent */
    assert_int_equal(step(&net, 1, m), 0);
    m.from = 3;
    assert_int_equal(step(&net, 1, m), 0);
    assert_int_equal(read_at(one, 9000), -SKEIN_EAGAIN);
    testnet_deinit(&net);
}

static void
test_row_27_void_after_handing_on(void **state)
{
    struct testnet net;
    begin(&net, 0);
    struct raft *one = led_by_one(&net);
    beat(&net, 5000);
    assert_int_equal(read_at(one, 5100), 0);
    assert_int_equal(raft_transfer(one, 2), 0);
    assert_int_equal(read_at(one, 5100), -SKEIN_EAGAIN);
    /* Given up: the order may still be under way. */
    testnet_collect(&net, 1);
    while (net.bag_count)
        testnet_lose(&net, 0);
    for (uint32_t i = 0; i < 12; i++)
        beat(&net, 6000 + i);
    assert_int_equal(testnet_status(&net, 1).transferee, RAFT_NONE);
    assert_int_equal(testnet_leader(&net), 1);
    assert_int_equal(read_at(one, 6012), -SKEIN_EAGAIN);
    testnet_deinit(&net);
}

/* What a voter has promised binds it in every term, and after a restart. */
static void
test_promise_outlives_terms_and_restarts(void **state)
{
    struct testnet net;
    begin(&net, 0);
    led_by_one(&net);
    beat(&net, 5000);
    struct raft *two = net.nodes[2].raft;
    /* A stray answer of a later term, and then somebody asks for a vote in it. */
    assert_int_equal(step(&net, 2, testnet_message(RAFT_VOTE_RESPONSE, 3, 2, 8)), 0);
    assert_int_equal(raft_term(two), 8);
    struct raft_message vote = testnet_message(RAFT_VOTE, 3, 2, 8);
    vote.index = 9;
    vote.log_term = 7;
    assert_int_equal(step(&net, 2, vote), 0);
    testnet_collect(&net, 2);
    testnet_sync(&net, 2, 10);
    assert_null(in_bag(&net, RAFT_VOTE_RESPONSE, 3));
    raft_campaign(two);
    raft_forget_leader(two);
    assert_int_equal(raft_role(two), RAFT_FOLLOWER);

    testnet_crash(&net, 2);
    testnet_start(&net, 2);
    vote.term = 9;
    assert_int_equal(step(&net, 2, vote), 0);
    assert_int_equal(raft_term(net.nodes[2].raft), 8);
    for (uint32_t i = 0; i < 10; i++)
        raft_tick(net.nodes[2].raft);
    assert_int_equal(step(&net, 2, vote), 0);
    assert_int_equal(testnet_status(&net, 2).hard_state.vote, 3);
    testnet_deinit(&net);
}

/* Partitions at random. Returns whether two members held a lease at once. */
static bool
two_leases(uint64_t seed, uint64_t lease_ns, uint64_t *held)
{
    struct testnet net;
    begin(&net, 0);
    for (uint64_t id = 1; id <= 3; id++)
        testnet_crash(&net, id);
    net.options.lease_ns = lease_ns;
    for (uint64_t id = 1; id <= 3; id++)
        testnet_start(&net, id);
    struct prng prng;
    prng_init(&prng, seed);
    bool two = false;
    for (uint64_t now_ns = 1000; now_ns < 60000; now_ns += TICK_NS) {
        for (uint64_t id = 1; id <= 3; id++)
            raft_clock(net.nodes[id].raft, now_ns);
        if (prng_chance(&prng, 1, 25))
            testnet_isolate(&net, 1 + prng_below(&prng, 3), prng_chance(&prng, 1, 2));
        testnet_tick(&net, 1);
        uint64_t holders = 0;
        for (uint64_t id = 1; id <= 3; id++)
            holders += read_at(net.nodes[id].raft, now_ns + TICK_NS - 1) == 0;
        *held += holders > 0;
        two |= holders > 1;
    }
    testnet_deinit(&net);
    return two;
}

static void
test_never_two_leases(void **state)
{
    uint64_t held = 0, unused = 0, found = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        assert_false(two_leases(seed, LEASE_NS, &held));
        /* Longer than what voters promise it is no lease: this test would notice. */
        found += two_leases(seed, 4 * LEASE_NS, &unused);
    }
    assert_true(held > 200 * 100);
    assert_true(found > 0);
}

static void
test_options(void **state)
{
    struct raft *raft;
    struct raft_options options = {.id = 1, .lease_ns = 5};
    assert_int_equal(raft_open(&raft, &options), -SKEIN_EINVALID); /* without check_quorum */
    options.check_quorum = true;
    options.drift_ppm = 500001;
    assert_int_equal(raft_open(&raft, &options), -SKEIN_EINVALID);
    options.drift_ppm = 0;
    options.lease_ns = UINT64_MAX;
    assert_int_equal(raft_open(&raft, &options), -SKEIN_EINVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_from_the_sending),
        cmocka_unit_test(test_drift_shortens_it),
        cmocka_unit_test(test_late_and_false_answers),
        cmocka_unit_test(test_row_27_void_after_handing_on),
        cmocka_unit_test(test_promise_outlives_terms_and_restarts),
        cmocka_unit_test(test_never_two_leases),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests_name("raft lease", tests, NULL, NULL);
}
