/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a round of reads asks a bare quorum of peers that answer, and everybody as soon as it
 * cannot tell who does; a tick's heartbeats go to all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "replica/state.h"

#define VOTERS 5u

/* Node 1 of five, leading. */
static void
make(struct host *host, struct replica *replica)
{
    uint64_t ids[VOTERS];
    *host = (struct host){.peer_count = VOTERS - 1, .raft_id = genesis_raft_id(1, 7)};
    *replica = (struct replica){.host = host};
    for (uint32_t node = 1; node <= VOTERS; node++) {
        ids[node - 1] = genesis_raft_id(node, 7);
        if (node > 1)
            host->peers[node - 2].node = node;
    }
    replica->config = raft_config_of(ids, VOTERS);
}

static uint32_t
asked(struct replica *replica, uint64_t context)
{
    uint32_t mask = 0;
    for (uint32_t node = 2; node <= VOTERS; node++) {
        struct raft_message message = {
            .type = RAFT_HEARTBEAT, .to = genesis_raft_id(node, 7), .context = context};
        if (!read_round_spares(replica, &message))
            mask |= 1u << node;
    }
    return mask;
}

static void
tick(struct replica *replica, uint32_t first, uint32_t second, uint32_t third)
{
    read_round_on_tick(replica);
    assert_int_equal(asked(replica, 9), 0x3c);
    replica->beat_for_all = false;
    const uint32_t nodes[] = {first, second, third};
    for (size_t i = 0; i < 3; i++)
        if (nodes[i] != 0)
            read_round_on_answer(replica, nodes[i]);
}

static void
test_a_quorum_of_the_soonest(void **state)
{
    struct host host;
    struct replica replica;
    make(&host, &replica);
    tick(&replica, 4, 2, 5);
    tick(&replica, 3, 3, 5);
    assert_int_equal(asked(&replica, 9), 1u << 4 | 1u << 2);
    tick(&replica, 0, 0, 0);
    assert_int_equal(asked(&replica, 9), 1u << 3 | 1u << 5);
}

static void
test_everybody_when_too_few_answer(void **state)
{
    struct host host;
    struct replica replica;
    make(&host, &replica);
    tick(&replica, 4, 0, 0);
    tick(&replica, 4, 4, 4);
    assert_int_equal(asked(&replica, 9), 0x3c);
    tick(&replica, 2, 99, 4);
    assert_int_equal(asked(&replica, 9), 0x3c);
}

static void
test_a_lost_link_is_not_counted_on(void **state)
{
    struct host host;
    struct replica replica;
    make(&host, &replica);
    tick(&replica, 4, 2, 5);
    tick(&replica, 4, 2, 5);
    read_round_on_lost(&replica, 2);
    assert_int_equal(asked(&replica, 9), 1u << 2 | 1u << 5);
}

static void
test_only_a_reads_heartbeats_are_spared(void **state)
{
    struct host host;
    struct replica replica;
    make(&host, &replica);
    tick(&replica, 4, 2, 5);
    tick(&replica, 4, 2, 5);
    assert_int_equal(asked(&replica, 0), 0x3c);
    struct raft_message append = {.type = RAFT_APPEND, .to = genesis_raft_id(3, 7), .context = 9};
    assert_false(read_round_spares(&replica, &append));
    struct raft_message stranger = {
        .type = RAFT_HEARTBEAT, .to = genesis_raft_id(77, 7), .context = 9};
    assert_false(read_round_spares(&replica, &stranger));
}

static void
test_a_joint_configuration_asks_everybody(void **state)
{
    struct host host;
    struct replica replica;
    make(&host, &replica);
    tick(&replica, 4, 2, 5);
    tick(&replica, 4, 2, 5);
    replica.config.roles[2] |= RAFT_OUTGOING;
    assert_int_equal(asked(&replica, 9), 0x3c);
}

static void
test_a_leader_without_a_vote_needs_one_more(void **state)
{
    struct host host;
    struct replica replica;
    make(&host, &replica);
    tick(&replica, 4, 2, 5);
    tick(&replica, 4, 2, 5);
    replica.config.roles[0] = RAFT_LEARNER;
    assert_int_equal(asked(&replica, 9), 1u << 4 | 1u << 2 | 1u << 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quorum_of_the_soonest),
        cmocka_unit_test(test_everybody_when_too_few_answer),
        cmocka_unit_test(test_a_lost_link_is_not_counted_on),
        cmocka_unit_test(test_a_joint_configuration_asks_everybody),
        cmocka_unit_test(test_a_leader_without_a_vote_needs_one_more),
        cmocka_unit_test(test_only_a_reads_heartbeats_are_spared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
