/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a write in a session is applied once, whatever node it is sent to again, across restarts,
 * checkpoints, snapshots for followers and the loss of leaders; and its reply is the first one's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "skein/shard.h"
#include "replica/members.h"
#include "replica/replica_test_cluster.h"
#include "skein/error.h"

#define SECOND_NS UINT64_C(1000000000)
#define TTL_MS 600000u

static uint64_t
open_session(struct test_cluster *cluster, uint32_t node)
{
    uint64_t session = 0;
    int rc = replica_session_open(cluster->nodes[node - 1].replica, TTL_MS,
                                  skein_deadline_in(10 * SECOND_NS), &session);
    skein_assert(rc == 0);
    skein_assert(session != 0);
    return session;
}

static void
expect_times(struct test_cluster *cluster, uint32_t node, uint32_t id, uint64_t times)
{
    uint64_t found = UINT64_MAX;
    int rc = test_read(cluster, node, id, &found);
    skein_assert(rc == 0);
    skein_assert(found == times);
}

static void
arguments(struct test_cluster *cluster)
{
    uint64_t total, session;
    struct replica *replica;
    test_start_all(cluster);
    replica = cluster->nodes[0].replica;
    uint64_t deadline_ns = skein_deadline_in(10 * SECOND_NS);
    skein_assert(test_write_once(cluster, 1, 0, 1, 5, &total) == -SKEIN_EINVALID);
    skein_assert(test_write_once(cluster, 1, 9, 0, 5, &total) == -SKEIN_EINVALID);
    skein_assert(test_write_once(cluster, 1, 9, UINT64_MAX, 5, &total) == -SKEIN_EINVALID);
    skein_assert(test_write_once(cluster, 1, 9, 1, 5, &total) == -SKEIN_ESESSION);
    skein_assert(replica_session_open(replica, 0, deadline_ns, &session) == -SKEIN_EINVALID);
    skein_assert(replica_session_open(replica, UINT64_MAX, deadline_ns, &session) ==
                 -SKEIN_EINVALID);
    skein_assert(replica_session_close(replica, 0, deadline_ns) == -SKEIN_EINVALID);
    expect_times(cluster, 1, 5, 0);
    session = open_session(cluster, 1);
    skein_assert(test_write_once(cluster, 1, session, 1, 5, &total) == 0);
    skein_assert(replica_session_close(replica, session, deadline_ns) == 0);
    skein_assert(test_write_once(cluster, 1, session, 1, 5, &total) == -SKEIN_ESESSION);
    expect_times(cluster, 1, 5, 1);
}

static void
every_node(struct test_cluster *cluster)
{
    uint64_t total, first;
    test_start_all(cluster);
    test_leader(cluster);
    uint64_t session = open_session(cluster, 2);
    for (uint64_t q = 1; q <= 20; q++) {
        int rc = test_write_once(cluster, 1 + q % 3, session, q, (uint32_t)q, &first);
        skein_assert(rc == 0);
        for (uint32_t node = 1; node <= 3; node++) {
            rc = test_write_once(cluster, node, session, q, (uint32_t)q, &total);
            skein_assert(rc == 0);
            skein_assert(total == first);
        }
    }
    for (uint32_t id = 1; id <= 20; id++)
        expect_times(cluster, 3, id, 1);
}

static bool
took_checkpoint(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).checkpoints_taken > 0;
}

static void
write_plain(struct test_cluster *cluster, uint32_t node, uint32_t from, uint32_t to)
{
    for (uint32_t id = from; id < to; id++) {
        int rc = test_write(cluster, node, id);
        skein_assert(rc == 0);
    }
}

/* What a checkpoint and what the log behind it holds. */
static void
restarted(struct test_cluster *cluster)
{
    uint64_t first, second, total;
    cluster->checkpoint_log_bytes = 20000;
    test_start_all(cluster);
    uint64_t session = open_session(cluster, 1);
    skein_assert(test_write_once(cluster, 1, session, 1, 7, &first) == 0);
    write_plain(cluster, 1, 100, 300);
    test_wait(cluster, took_checkpoint, 1);
    skein_assert(test_write_once(cluster, 1, session, 2, 8, &second) == 0);
    test_cut(cluster, 1);
    test_start_all(cluster);
    skein_assert(test_status(cluster, 1).checkpoint_index > 0);
    skein_assert(test_write_once(cluster, 1, session, 1, 7, &total) == 0 && total == first);
    skein_assert(test_write_once(cluster, 1, session, 2, 8, &total) == 0 && total == second);
    expect_times(cluster, 1, 7, 1);
    expect_times(cluster, 1, 8, 1);
}

static bool
installed_snapshot(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).snapshots_installed > 0;
}

static bool
leads(struct test_cluster *cluster, uint64_t node)
{
    return replica_leads(cluster->nodes[node - 1].replica);
}

/* A follower that was given the state as a snapshot leads, and knows what was written before. */
static void
by_snapshot(struct test_cluster *cluster)
{
    uint64_t first, total;
    char why[512];
    cluster->checkpoint_log_bytes = 20000;
    cluster->keep_log_bytes = 1;
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster), late = leader % 3 + 1;
    uint64_t session = open_session(cluster, leader);
    test_stop(cluster, late);
    skein_assert(test_write_once(cluster, leader, session, 1, 7, &first) == 0);
    write_plain(cluster, leader, 100, 400);
    skein_assert(test_start(cluster, late, why) == 0);
    test_wait(cluster, installed_snapshot, late);
    while (!leads(cluster, late)) {
        leader = test_leader(cluster);
        if (leader != late)
            (void)!replica_transfer(cluster->nodes[leader - 1].replica, late, why);
        skein_assert(skein_sleep(skein_deadline_in(SECOND_NS / 20)) == 0);
    }
    skein_assert(test_write_once(cluster, late, session, 1, 7, &total) == 0);
    skein_assert(total == first);
    expect_times(cluster, late, 7, 1);
}

struct client {
    struct test_cluster *cluster;
    uint32_t from;
    uint32_t acknowledged;
    bool done;
};

/* Writes until each is acknowledged, by way of whichever node is there. */
static void
client_fiber(void *arg)
{
    struct client *client = arg;
    struct test_cluster *cluster = client->cluster;
    uint64_t session = open_session(cluster, 1), total;
    uint32_t node = 1;
    for (uint64_t q = 1; q <= 300; q++) {
        int rc = -1;
        while (rc != 0) {
            node = node % 3 + 1;
            if (!cluster->nodes[node - 1].replica)
                continue;
            rc = test_write_once(cluster, node, session, q, client->from + (uint32_t)q, &total);
            skein_assert(rc == 0 || rc == -SKEIN_EUNKNOWN || rc == -SKEIN_ENOLEADER ||
                         rc == -SKEIN_ECLOSED);
        }
        client->acknowledged++;
    }
    client->done = true;
}

static void
leaders_go(struct test_cluster *cluster)
{
    struct client clients[4];
    struct skein_scope scope;
    test_start_all(cluster);
    test_leader(cluster);
    skein_scope_init(&scope);
    for (uint32_t i = 0; i < 4; i++) {
        clients[i] = (struct client){.cluster = cluster, .from = 1000 * (i + 1)};
        int rc = skein_spawn(&scope, "client", client_fiber, &clients[i], SKEIN_STACK_LARGE);
        skein_assert(rc == 0);
    }
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t want = clients[0].acknowledged + 20;
        while (clients[0].acknowledged < want && !clients[0].done)
            skein_assert(skein_sleep(skein_deadline_in(SECOND_NS / 100)) == 0);
        uint32_t leader = test_leader(cluster);
        struct test_node *node = &cluster->nodes[leader - 1];
        struct replica *replica = node->replica;
        node->replica = NULL; /* nobody begins anything there from now on */
        replica_stop(replica, skein_now_ns());
        test_start_all(cluster);
    }
    skein_scope_join(&scope);
    uint32_t leader = test_leader(cluster);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t q = 1; q <= 300; q++)
            expect_times(cluster, leader, clients[i].from + q, 1);
}

#define CASE(name, count)                 \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(count, name);            \
    }
CASE(arguments, 1)
CASE(every_node, 3)
CASE(restarted, 1)
CASE(by_snapshot, 3)
CASE(leaders_go, 3)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),  cmocka_unit_test(test_every_node),
        cmocka_unit_test(test_restarted),  cmocka_unit_test(test_by_snapshot),
        cmocka_unit_test(test_leaders_go),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
