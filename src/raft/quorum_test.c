/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what a configuration decides is what counting by hand says, for every ballot and many
 * indexes, joint or not, and members that do not vote change nothing. */
#include "raft/quorum.h"
#include "raft/test_util.h"

#include "base/prng.h"

#define NODES 5u

/* The members of @incoming and @outgoing (bit i: node i + 1), and a learner, node 9. */
static struct raft_config
config_of(unsigned incoming, unsigned outgoing)
{
    struct raft_config config = {0};
    for (unsigned i = 0; i < NODES; i++) {
        unsigned roles =
            (incoming >> i & 1 ? RAFT_VOTER : 0) | (outgoing >> i & 1 ? RAFT_OUTGOING : 0);
        if (!roles)
            continue;
        config.ids[config.count] = i + 1;
        config.roles[config.count++] = (uint8_t)roles;
    }
    config.ids[config.count] = 9;
    config.roles[config.count++] = RAFT_LEARNER;
    return config;
}

static bool
more_than_half(unsigned half, unsigned of)
{
    return !half ||
           (unsigned)__builtin_popcount(of & half) * 2 > (unsigned)__builtin_popcount(half);
}

/* @yes: nodes that grant, @no: that refuse. The learner always grants. */
static void
put_ballots(const struct raft_config *config, unsigned yes, unsigned no, enum raft_ballot *out)
{
    for (uint32_t i = 0; i < config->count; i++) {
        unsigned bit = 1u << (config->ids[i] - 1);
        out[i] = yes & bit  ? RAFT_BALLOT_GRANTED
                 : no & bit ? RAFT_BALLOT_REFUSED
                            : RAFT_BALLOT_NONE;
        if (config->ids[i] == 9)
            out[i] = RAFT_BALLOT_GRANTED;
    }
}

static void
test_nobody(void **state)
{
    struct raft_config config = {0};
    assert_int_equal(raft_quorum_vote(&config, NULL), RAFT_VOTE_WON);
    assert_true(raft_quorum_committed(&config, NULL) == UINT64_MAX);
    config = config_of(0, 0); /* a learner decides nothing */
    enum raft_ballot refused = RAFT_BALLOT_REFUSED;
    uint64_t index = 7;
    assert_int_equal(raft_quorum_vote(&config, &refused), RAFT_VOTE_WON);
    assert_true(raft_quorum_committed(&config, &index) == UINT64_MAX);
}

static void
test_every_vote(void **state)
{
    const unsigned all = 1u << NODES;
    for (unsigned incoming = 1; incoming < all; incoming++)
        for (unsigned outgoing = 0; outgoing < all; outgoing += 3)
            for (unsigned yes = 0; yes < all; yes++) {
                struct raft_config config = config_of(incoming, outgoing);
                enum raft_ballot ballots[RAFT_MEMBERS_MAX];
                unsigned no = (yes * 7 + incoming) % all & ~yes;
                bool won = more_than_half(incoming, yes) && more_than_half(outgoing, yes);
                bool winnable = more_than_half(incoming, ~no) && more_than_half(outgoing, ~no);
                enum raft_vote_result expected = won        ? RAFT_VOTE_WON
                                                 : winnable ? RAFT_VOTE_PENDING
                                                            : RAFT_VOTE_LOST;
                put_ballots(&config, yes, no, ballots);
                assert_int_equal(raft_quorum_vote(&config, ballots), expected);
            }
}

/* An index is committed when those who have it or more have won. */
static void
test_committed_is_won(void **state)
{
    struct prng prng;
    prng_init(&prng, 42);
    for (unsigned turn = 0; turn < 20000; turn++) {
        struct raft_config config =
            config_of((unsigned)prng_range(&prng, 1, 31), (unsigned)prng_range(&prng, 0, 31));
        uint64_t indexes[RAFT_MEMBERS_MAX];
        for (uint32_t i = 0; i < config.count; i++)
            indexes[i] = prng_range(&prng, 0, 6);
        uint64_t expected = 0;
        for (uint64_t index = 1; index <= 6; index++) {
            unsigned have = 0;
            for (uint32_t i = 0; i < config.count; i++)
                if (indexes[i] >= index && config.ids[i] <= NODES)
                    have |= 1u << (config.ids[i] - 1);
            enum raft_ballot ballots[RAFT_MEMBERS_MAX];
            put_ballots(&config, have, 0, ballots);
            if (raft_quorum_vote(&config, ballots) == RAFT_VOTE_WON)
                expected = index;
        }
        assert_int_equal(raft_quorum_committed(&config, indexes), expected);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_every_vote),
        cmocka_unit_test(test_committed_is_won),
    };
    return cmocka_run_group_tests_name("raft quorum", tests, NULL, NULL);
}
