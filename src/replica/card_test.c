/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: whoever has the best rank of those that are up comes to lead, with no write lost or refused
 * on the way, and every node knows where the leader's clients connect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "replica/replica_test_cluster.h"
#include "skein/error.h"
#include "skein/shard.h"

static bool
leads(struct test_cluster *cluster, uint64_t node)
{
    return replica_leads(cluster->nodes[node - 1].replica);
}

static void
write_on(struct test_cluster *cluster, uint32_t node, uint32_t first, uint32_t count)
{
    for (uint32_t id = first; id < first + count; id++)
        skein_assert(test_write(cluster, node, id) == 0);
}

static void
best_rank_leads(struct test_cluster *cluster)
{
    char why[512];
    uint64_t times;
    cluster->ranks[0] = 2;
    cluster->ranks[1] = 1;
    /* The others elect one of them before the best one is there. */
    skein_assert(test_start(cluster, 1, why) == 0);
    skein_assert(test_start(cluster, 2, why) == 0);
    skein_assert(test_start(cluster, 3, why) == 0);
    test_wait(cluster, leads, 3);
    write_on(cluster, 1, 1, 20);
    test_stop(cluster, 3);
    test_wait(cluster, leads, 2);
    write_on(cluster, 1, 21, 20);
    skein_assert(test_start(cluster, 3, why) == 0);
    uint32_t id = 41;
    for (; !leads(cluster, 3); id++)
        skein_assert(test_write(cluster, 1, id) == 0);
    write_on(cluster, 2, id, 20);
    for (uint32_t i = 1; i < id + 20; i++) {
        skein_assert(test_read(cluster, 1, i, &times) == 0);
        skein_assert(times == 1);
    }
    /* And stays. */
    skein_assert(skein_sleep(skein_deadline_in(UINT64_C(600000000))) == 0);
    skein_assert(leads(cluster, 3));
}

static bool
all_know(struct test_cluster *cluster, uint64_t port)
{
    for (uint32_t node = 1; node <= cluster->count; node++)
        if (test_status(cluster, node).leader_client.port != port)
            return false;
    return true;
}

static void
clients_are_told(struct test_cluster *cluster)
{
    cluster->ranks[1] = cluster->ranks[2] = 1;
    test_start_all(cluster);
    test_wait(cluster, leads, 1);
    skein_assert(test_status(cluster, 2).leader_client.port == 0);
    for (uint32_t node = 1; node <= 3; node++) {
        const struct skein_addr addr = {.ip = {[15] = 1}, .port = (uint16_t)(7000 + node)};
        replica_advertise(cluster->nodes[node - 1].replica, &addr);
    }
    test_wait(cluster, all_know, 7001);
    test_cut(cluster, 1);
    uint32_t leader = test_leader(cluster);
    for (uint32_t node = 2; node <= 3; node++)
        skein_assert(test_status(cluster, node).leader_client.port == 7000 + leader);
}

#define CASE(name, count)                 \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(count, name);            \
    }
CASE(best_rank_leads, 3)
CASE(clients_are_told, 3)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_rank_leads),
        cmocka_unit_test(test_clients_are_told),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
