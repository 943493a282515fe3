/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: under lost, repeated and reordered messages, partitions, slow disks, crashes that lose what
 * was not synced, compaction and membership changes, the five properties of Figure 3 hold; and once
 * everything is healed the group serves and converges. Every failure names its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "raft/confchange.h"
#include "raft/testnet.h"

#define STEPS 30000

static uint64_t
any_node(struct testnet *net, struct prng *prng)
{
    return prng_range(prng, 1, net->node_count);
}

static void
move_message(struct testnet *net, struct prng *prng)
{
    if (!net->bag_count)
        return;
    /* Mostly the oldest ones; sometimes any: reordering. */
    size_t reach = prng_chance(prng, 1, 8) ? net->bag_count : 1;
    size_t at = (size_t)prng_below(prng, reach);
    if (prng_chance(prng, 1, 30)) {
        testnet_lose(net, at);
        return;
    }
    if (prng_chance(prng, 1, 30) && net->bag[at].type != RAFT_APPEND) {
        struct raft_message again = net->bag[at];
        if (again.snapshot)
            again.snapshot = raft_snapshot_copy(again.snapshot);
        testnet_deliver(net, at);
        skein_assert(net->bag_count < net->bag_capacity);
        net->bag[net->bag_count++] = again;
        return;
    }
    testnet_deliver(net, at);
}

static void
crash_or_start(struct testnet *net, struct prng *prng)
{
    uint64_t id = any_node(net, prng);
    if (net->nodes[id].raft)
        testnet_crash(net, id);
    else
        testnet_start(net, id);
}

static void
heal(struct testnet *net)
{
    for (uint64_t a = 1; a <= net->node_count; a++)
        testnet_isolate(net, a, false);
    for (uint64_t id = 1; id <= net->node_count; id++)
        if (!net->nodes[id].raft)
            testnet_start(net, id);
}

/* Several at once, in every way; an empty change leaves what was entered explicitly. */
static void
change_members(struct testnet *net, struct prng *prng, struct raft *raft)
{
    static const enum raft_change_type types[] = {RAFT_CHANGE_ADD_VOTER, RAFT_CHANGE_ADD_VOTER,
                                                  RAFT_CHANGE_REMOVE, RAFT_CHANGE_ADD_LEARNER};
    struct raft_conf_change change = {.change_count = (uint32_t)prng_below(prng, 4)};
    for (uint32_t i = 0; i < change.change_count; i++)
        change.changes[i] = (struct raft_change){types[prng_below(prng, 4)], any_node(net, prng)};
    if (prng_chance(prng, 1, 2)) { /* the whole set at once: majorities that need not meet */
        change.change_count = net->node_count;
        for (uint32_t i = 0; i < net->node_count; i++)
            change.changes[i] = (struct raft_change){types[1 + prng_below(prng, 2)], i + 1};
    }
    if (change.change_count)
        change.transition = (enum raft_transition)prng_below(prng, RAFT_TRANSITION_END);
    change.v1 = change.change_count == 1 && !change.transition && prng_chance(prng, 1, 2);
    uint64_t index, term;
    (void)!raft_propose_config(raft, &change, &index, &term);
}

/* Two sides that do not hear each other. */
static void
split(struct testnet *net, struct prng *prng)
{
    uint64_t sides = prng_next(prng);
    for (uint64_t a = 1; a <= net->node_count; a++)
        for (uint64_t b = 1; b <= net->node_count; b++)
            net->cut[a][b] = (sides >> a & 1) != (sides >> b & 1);
}

static void
disturb(struct testnet *net, struct prng *prng)
{
    uint64_t id = any_node(net, prng);
    struct raft *raft = net->nodes[id].raft;
    switch (prng_below(prng, 12)) {
    case 0:
    case 1:
        crash_or_start(net, prng);
        break;
    case 2:
        net->cut[id][any_node(net, prng)] ^= true;
        break;
    case 3:
        testnet_isolate(net, id, prng_chance(prng, 1, 3));
        break;
    case 4:
        if (raft)
            testnet_compact(net, id, prng_below(prng, 4));
        break;
    case 5:
    case 6:
        heal(net);
        break;
    case 7:
        if (raft)
            (void)!raft_transfer(raft, prng_chance(prng, 1, 2) ? RAFT_NONE : any_node(net, prng));
        break;
    case 8:
    case 9:
    case 10:
        split(net, prng);
        break;
    default:
        if (raft && net->options.pre_vote) /* else the removed would disturb for ever */
            change_members(net, prng, raft);
        break;
    }
}

static void
act(struct testnet *net, struct prng *prng, uint64_t step)
{
    uint64_t id = any_node(net, prng);
    struct raft *raft = net->nodes[id].raft;
    uint64_t drawn = prng_below(prng, 100);
    if (drawn < 50) {
        move_message(net, prng);
    } else if (drawn < 66) {
        testnet_collect(net, id);
    } else if (drawn < 80) {
        testnet_sync(net, id, 1);
    } else if (drawn < 91) {
        if (raft)
            raft_tick(raft);
    } else if (drawn < 97) {
        char text[32];
        snprintf(text, sizeof(text), "v%llu", (unsigned long long)step);
        if (raft)
            (void)testnet_propose(net, id, text);
    } else if (drawn < 98) {
        uint64_t leader = testnet_leader(net);
        if (raft && prng_chance(prng, 1, 2))
            (void)!raft_read_index(raft, step + 1);
        else if (leader && net->options.pre_vote && prng_chance(prng, 1, 2))
            change_members(net, prng, net->nodes[leader].raft);
    } else if (raft && net->nodes[id].write_count && prng_chance(prng, 1, 3)) {
        /* The moment in which what was not synced shows: down and up again. */
        testnet_crash(net, id);
        testnet_start(net, id);
    } else if (prng_chance(prng, 1, 8)) {
        disturb(net, prng);
    }
}

static bool
serves(struct testnet *net)
{
    uint64_t leader = testnet_leader(net);
    return leader && testnet_propose(net, leader, "after") == 0;
}

static bool
has_converged(struct testnet *net)
{
    uint64_t leader = testnet_leader(net);
    if (!leader)
        return false;
    struct raft_status status = testnet_status(net, leader);
    for (uint32_t i = 0; i < status.config.count; i++)
        if (testnet_commit(net, status.config.ids[i]) != net->truth_count)
            return false;
    return true;
}

static void
run_seed(uint64_t seed)
{
    struct testnet net;
    struct prng prng;
    prng_init(&prng, seed);
    uint32_t nodes = (uint32_t)prng_range(&prng, 1, 6);
    testnet_init(&net, nodes, nodes > 4 ? nodes - 1 : nodes, seed);
    /* Wilder groups, too: without the leases of votes elections are many. */
    bool wild = seed % 2;
    net.options.pre_vote = net.options.check_quorum = !wild;
    net.options.election_ticks = wild ? 3 : 10;
    net.options.quiesce_ticks = seed % 7 == 0 ? 4 : 0;
    net.options.lease_ns = !wild && seed % 3 == 0 ? 100 : 0;
    net.options.eager_sends = seed % 5 == 0;
    for (uint64_t id = 1; id <= nodes; id++) {
        testnet_crash(&net, id);
        testnet_start(&net, id);
    }
    for (uint64_t step = 0; step < STEPS; step++) {
        act(&net, &prng, step);
        if (step % 64 == 0)
            testnet_check(&net);
    }
    size_t before = net.truth_count;
    heal(&net);
    bool served = false;
    bool converged = false;
    for (uint32_t i = 0; i < 100 && !converged; i++) {
        testnet_tick(&net, 20);
        served = served || serves(&net);
        testnet_tick(&net, 2);
        converged = served && has_converged(&net);
    }
    if (!converged)
        fail_msg("seed %llu: %s", (unsigned long long)seed, served ? "apart" : "does not serve");
    testnet_check(&net);
    assert_true(net.truth_count > before);
    testnet_deinit(&net);
}

static void
test_seeds(void **state)
{
    const char *only = getenv("RAFT_SEED");
    uint64_t from = only ? strtoull(only, NULL, 10) : 1;
    const char *count = getenv("RAFT_SEEDS");
    uint64_t to = only ? from : count ? strtoull(count, NULL, 10) : 200;
    for (uint64_t seed = from; seed <= to; seed++) {
        fprintf(stderr, "replay with RAFT_SEED=%llu\r", (unsigned long long)seed);
        run_seed(seed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests_name("raft random", tests, NULL, NULL);
}
