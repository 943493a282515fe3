/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: groups of one process share log, link and directory and nothing else: each has its own
 * entries, leader, state and checkpoint, across restarts, the loss of a node and of a disk, awake
 * and asleep; a directory of another number of groups is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/wire.h"
#include "obs/log.h"
#include "replica/replica_test_cluster.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

#define GROUPS 6u
#define SECOND_NS UINT64_C(1000000000)

static int
carry_out(struct test_cluster *cluster, uint32_t node, uint32_t group, enum replica_kind kind,
          uint32_t id, uint64_t *out_value)
{
    struct replica *replica = replica_group(cluster->nodes[node - 1].replica, group);
    uint8_t command[4];
    struct bytes reply = {0};
    wire_store(command, id, 4);
    int rc = replica_submit(replica, kind, bytes_borrow(command, 4),
                            skein_deadline_in(20 * SECOND_NS), &reply);
    if (rc == 0)
        *out_value = wire_load(reply.data, 8);
    bytes_unref(&reply);
    return rc;
}

/* Number @id goes into group @id modulo GROUPS, by way of any node. */
static void
write_ids(struct test_cluster *cluster, uint32_t from, uint32_t to, uint32_t without)
{
    for (uint32_t id = from; id < to; id++) {
        uint32_t node = id % cluster->count + 1;
        uint64_t total;
        if (node == without)
            node = node % cluster->count + 1;
        int rc = carry_out(cluster, node, id % GROUPS, REPLICA_WRITE, id, &total);
        skein_assert(rc == 0);
    }
}

static void
expect_ids(struct test_cluster *cluster, uint32_t node, uint32_t to)
{
    for (uint32_t id = 0; id < to; id++)
        for (uint32_t group = 0; group < GROUPS; group++) {
            uint64_t times = 0;
            int rc = carry_out(cluster, node, group, REPLICA_READ, id, &times);
            skein_assert(rc == 0);
            skein_assert(times == (id % GROUPS == group));
        }
}

static bool
has_all(struct test_cluster *cluster, uint64_t node)
{
    for (uint32_t group = 0; group < GROUPS; group++) {
        struct replica *replica = replica_group(cluster->nodes[node - 1].replica, group);
        for (uint32_t other = 1; other <= cluster->count; other++) {
            struct replica *peer = replica_group(cluster->nodes[other - 1].replica, group);
            if (replica->phase != REPLICA_RUNNING || replica->applied_index < peer->applied_index)
                return false;
        }
    }
    return true;
}

static void
one_node(struct test_cluster *cluster)
{
    char why[512];
    cluster->group_count = GROUPS;
    test_start_all(cluster);
    skein_assert(replica_group_count(cluster->nodes[0].replica) == GROUPS);
    skein_assert(!replica_group(cluster->nodes[0].replica, GROUPS));
    write_ids(cluster, 0, 30, 0);
    test_cut(cluster, 1);
    test_start_all(cluster);
    expect_ids(cluster, 1, 30);
    test_stop(cluster, 1);
    cluster->group_count = GROUPS + 1;
    skein_assert(test_start(cluster, 1, why) == -SKEIN_EIDENTITY);
    skein_assert(strstr(why, "founded with 6 groups"));
    cluster->group_count = REPLICA_GROUPS_MAX + 1;
    skein_assert(test_start(cluster, 1, why) == -SKEIN_EINVALID);
    cluster->group_count = UINT32_MAX; /* nothing is made of them */
    skein_assert(test_start(cluster, 1, why) == -SKEIN_EINVALID);
    cluster->group_count = GROUPS;
    test_start_all(cluster);
    expect_ids(cluster, 1, 30);
}

static void
three_nodes(struct test_cluster *cluster)
{
    cluster->group_count = GROUPS;
    cluster->checkpoint_log_bytes = 1000; /* each group takes several */
    test_start_all(cluster);
    write_ids(cluster, 0, 120, 0);
    expect_ids(cluster, 2, 24);
    test_cut(cluster, 3);
    write_ids(cluster, 120, 180, 3);
    test_start_all(cluster);
    test_wait(cluster, has_all, 3);
    for (uint32_t group = 0; group < GROUPS; group++)
        skein_assert(replica_group(cluster->nodes[0].replica, group)->checkpoint_index > 0);
    test_stop(cluster, 2);
    test_empty(cluster, 2);
    test_start_all(cluster);
    test_wait(cluster, has_all, 2);
    write_ids(cluster, 180, 200, 0);
    test_stop_all(cluster);
    test_start_all(cluster);
    expect_ids(cluster, 2, 30);
}

static bool
all_asleep(struct test_cluster *cluster, uint64_t without)
{
    for (uint32_t node = 1; node <= cluster->count; node++)
        for (uint32_t group = 0; node != without && group < GROUPS; group++) {
            const struct replica *replica = replica_group(cluster->nodes[node - 1].replica, group);
            if (!replica->raft || !raft_asleep(replica->raft) || replica->awake)
                return false;
        }
    return true;
}

static bool
none_led_by(struct test_cluster *cluster, uint64_t lost)
{
    for (uint32_t node = 1; node <= cluster->count; node++)
        for (uint32_t group = 0; node != lost && group < GROUPS; group++) {
            const struct replica *replica = replica_group(cluster->nodes[node - 1].replica, group);
            uint32_t leader = replica_raft_node(raft_leader(replica->raft));
            if (leader == 0 || leader == lost)
                return false;
        }
    return true;
}

static void
asleep(struct test_cluster *cluster)
{
    cluster->group_count = GROUPS;
    cluster->quiesce_ticks = 5;
    test_start_all(cluster);
    write_ids(cluster, 0, 12, 0);
    test_wait(cluster, all_asleep, 0);
    /* Longer than an election takes: they stay asleep, as the hosts hear of each other. */
    (void)!skein_sleep(skein_deadline_in(SECOND_NS));
    skein_assert(all_asleep(cluster, 0));
    expect_ids(cluster, 3, 12);
    test_wait(cluster, all_asleep, 0);
    uint32_t lost =
        replica_raft_node(raft_leader(replica_group(cluster->nodes[0].replica, 3)->raft));
    test_cut(cluster, lost);
    /* Nobody asks for anything: the silence of the node is what wakes its groups. */
    test_wait(cluster, none_led_by, lost);
    write_ids(cluster, 12, 24, lost);
    test_start_all(cluster);
    expect_ids(cluster, lost, 24);
    test_wait(cluster, all_asleep, 0);
}

static void
test_one_node(void **state)
{
    (void)state;
    test_run(1, one_node);
}

static void
test_three_nodes(void **state)
{
    (void)state;
    test_run(3, three_nodes);
}

static void
test_asleep(void **state)
{
    (void)state;
    test_run(3, asleep);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_node),
        cmocka_unit_test(test_three_nodes),
        cmocka_unit_test(test_asleep),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
