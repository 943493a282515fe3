/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a read of each level sees what it promises by way of every node; without a majority only a
 * stale read is answered, and only while its bound can be shown; leases are refused unless they are
 * configured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wire.h"
#include "skein/shard.h"
#include "replica/replica_test_cluster.h"
#include "skein/error.h"

#define SECOND_NS UINT64_C(1000000000)

/* How often @id was applied, by way of @node. */
static int
read_at(struct test_cluster *cluster, uint32_t node, enum replica_level level, uint64_t stale_ns,
        uint64_t timeout_ns, uint32_t id, uint64_t *out_times)
{
    uint8_t command[4];
    struct bytes reply = {0};
    wire_store(command, id, 4);
    struct bytes data = bytes_copy(command, sizeof command);
    int rc = replica_read(cluster->nodes[node - 1].replica, level, stale_ns, data,
                          skein_deadline_in(timeout_ns), &reply);
    bytes_unref(&data);
    if (rc == 0) {
        skein_assert(reply.count == 8);
        *out_times = wire_load(reply.data, 8);
        bytes_unref(&reply);
    }
    return rc;
}

static void
every_node(struct test_cluster *cluster, enum replica_level level)
{
    for (uint32_t id = 1; id <= 30; id++) {
        uint64_t times = 0;
        int rc = test_write(cluster, 1 + id % 3, id);
        skein_assert(rc == 0);
        for (uint32_t node = 1; node <= 3; node++) {
            rc = read_at(cluster, node, level, 0, 10 * SECOND_NS, id, &times);
            skein_assert(rc == 0);
            skein_assert(times == 1);
        }
    }
}

static void
followers(struct test_cluster *cluster)
{
    uint64_t times;
    test_start_all(cluster);
    test_leader(cluster);
    every_node(cluster, REPLICA_FOLLOWER);
    for (uint32_t node = 1; node <= 3; node++)
        skein_assert(read_at(cluster, node, REPLICA_LEASE, 0, SECOND_NS, 1, &times) ==
                     -SKEIN_EREFUSED);
}

static void
leases(struct test_cluster *cluster)
{
    cluster->lease_drift_ppm = 1000;
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster);
    every_node(cluster, REPLICA_LEASE);
    skein_assert(test_status(cluster, leader).lease_reads > 0);
}

static void
without_majority(struct test_cluster *cluster)
{
    uint64_t times = 0;
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster), left = leader % 3 + 1;
    skein_assert(test_write(cluster, left, 7) == 0);
    /* Bound 0 has to ask, and what it learns counts for the reads behind it. */
    skein_assert(read_at(cluster, left, REPLICA_STALE, 0, 10 * SECOND_NS, 7, &times) == 0);
    skein_assert(times == 1);
    for (uint32_t node = 1; node <= 3; node++)
        if (node != left)
            test_cut(cluster, node);
    skein_assert(read_at(cluster, left, REPLICA_FOLLOWER, 0, SECOND_NS / 2, 7, &times) ==
                 -SKEIN_ENOLEADER);
    skein_assert(read_at(cluster, left, REPLICA_STALE, 1, SECOND_NS / 2, 7, &times) ==
                 -SKEIN_ESTALE);
    uint64_t before = test_status(cluster, left).stale_reads;
    skein_assert(read_at(cluster, left, REPLICA_STALE, 3600 * SECOND_NS, SECOND_NS, 7, &times) ==
                 0);
    skein_assert(times == 1);
    skein_assert(test_status(cluster, left).stale_reads == before + 1);
}

#define CASE(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(3, name);                \
    }
CASE(followers)
CASE(leases)
CASE(without_majority)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_followers),
        cmocka_unit_test(test_leases),
        cmocka_unit_test(test_without_majority),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
