/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: acknowledged writes are applied exactly once and survive restarts, checkpoints, the loss of
 * a leader and of a disk; reads by any node see them; a directory that cannot be trusted is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "skein/shard.h"
#include "obs/log.h"
#include "replica/replica_test_cluster.h"
#include "skein/error.h"

static void
one_node(struct test_cluster *cluster)
{
    test_start_all(cluster);
    test_write_ids(cluster, 1, 0, 50);
    test_expect_once(cluster, 1, 0, 50);
    test_stop(cluster, 1);
    test_start_all(cluster);
    test_expect_once(cluster, 1, 0, 50);
    test_write_ids(cluster, 1, 50, 60);
    test_cut(cluster, 1);
    test_start_all(cluster);
    test_expect_once(cluster, 1, 0, 60);
}

static bool
took_checkpoint(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).checkpoints_taken > 0;
}

static void
one_node_checkpoint(struct test_cluster *cluster)
{
    cluster->checkpoint_log_bytes = 20000;
    test_start_all(cluster);
    test_write_ids(cluster, 1, 0, 300);
    test_wait(cluster, took_checkpoint, 1);
    test_write_ids(cluster, 1, 300, 310);
    test_stop(cluster, 1);
    test_start_all(cluster);
    skein_assert(test_status(cluster, 1).checkpoint_index > 0);
    test_expect_once(cluster, 1, 0, 310);
}

static void
refuses(struct test_cluster *cluster)
{
    char why[512] = "", path[300];
    test_start_all(cluster);
    test_write_ids(cluster, 1, 0, 3);
    struct test_node first = cluster->nodes[0];
    int rc = test_start(cluster, 1, why);
    skein_assert(rc == -SKEIN_EBUSY);
    skein_assert(strstr(why, "another process") != NULL);
    cluster->nodes[0] = first;
    test_stop(cluster, 1);

    snprintf(path, sizeof path, "rm -rf '%s'/wal", cluster->nodes[0].dir);
    skein_assert(system(path) == 0);
    rc = test_start(cluster, 1, why);
    skein_assert(rc == -SKEIN_ECORRUPT);
    skein_assert(strstr(why, "the log is gone") != NULL);

    snprintf(path, sizeof path, "%s/identity", cluster->nodes[0].dir);
    unlink(path);
    snprintf(path, sizeof path, "mkdir '%s'/wal", cluster->nodes[0].dir);
    skein_assert(system(path) == 0);
    rc = test_start(cluster, 1, why);
    skein_assert(rc == -SKEIN_ECORRUPT);
    skein_assert(strstr(why, "identity is gone") != NULL);
}

struct writer {
    struct test_cluster *cluster;
    uint32_t node, from, count;
    bool done;
    uint32_t acknowledged;
    uint8_t outcome[8192]; /* 1: acknowledged, 2: unknown */
};

static void
writer_fiber(void *arg)
{
    struct writer *w = arg;
    for (uint32_t i = 0; i < w->count; i++) {
        int rc = test_write(w->cluster, w->node, w->from + i);
        skein_assert(rc == 0 || rc == -SKEIN_EUNKNOWN || rc == -SKEIN_ENOLEADER);
        w->outcome[i] = rc == 0 ? 1 : rc == -SKEIN_EUNKNOWN ? 2 : 0;
        w->acknowledged += rc == 0;
    }
    w->done = true;
}

static void
check_writer(const struct writer *w, uint32_t node)
{
    for (uint32_t i = 0; i < w->count; i++) {
        uint64_t times = 0;
        int rc = test_read(w->cluster, node, w->from + i, &times);
        skein_assert(rc == 0);
        skein_assert(w->outcome[i] == 1 ? times == 1 : times <= w->outcome[i] / 2);
    }
}

static void
three_nodes(struct test_cluster *cluster)
{
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster), other = leader % 3 + 1;
    test_write_ids(cluster, leader, 0, 50);
    test_write_ids(cluster, other, 50, 100);
    for (uint32_t node = 1; node <= 3; node++)
        test_expect_once(cluster, node, 0, 100);
    test_stop_all(cluster);
    test_start_all(cluster);
    test_expect_once(cluster, 2, 0, 100);
    test_write_ids(cluster, 3, 100, 110);
}

static void
leader_goes(struct test_cluster *cluster)
{
    static struct writer w;
    struct skein_scope scope;
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster), other = leader % 3 + 1;
    w = (struct writer){.cluster = cluster, .node = other, .from = 1000, .count = 2000};
    skein_scope_init(&scope);
    int rc = skein_spawn(&scope, "writer", writer_fiber, &w, SKEIN_STACK_SMALL);
    skein_assert(rc == 0);
    test_write_ids(cluster, leader % 3 + 1, 0, 20);
    test_cut(cluster, leader);
    uint32_t next = test_leader(cluster);
    skein_assert(next != leader);
    skein_scope_join(&scope);
    check_writer(&w, next);
    test_expect_once(cluster, other, 0, 20);
    skein_assert(w.acknowledged >= 1000);
    test_start_all(cluster);
    test_expect_once(cluster, leader, 0, 20);
}

#define STOP_WRITERS 8

/* Both other nodes have writes under way with the leader all the time: when it is stopped in good
 * order each is answered, by it or by the next one. */
static void
leader_stops(struct test_cluster *cluster)
{
    static struct writer w[STOP_WRITERS];
    test_start_all(cluster);
    for (uint32_t round = 0; round < 3; round++) {
        struct skein_scope scope;
        uint32_t leader = test_leader(cluster);
        skein_scope_init(&scope);
        for (uint32_t i = 0; i < STOP_WRITERS; i++) {
            w[i] = (struct writer){.cluster = cluster,
                                   .node = (leader + i % 2) % 3 + 1,
                                   .from = (round * STOP_WRITERS + i) * 200,
                                   .count = 200};
            int rc = skein_spawn(&scope, "writer", writer_fiber, &w[i], SKEIN_STACK_SMALL);
            skein_assert(rc == 0);
        }
        while (w[0].acknowledged < 20)
            skein_yield();
        test_stop(cluster, leader);
        skein_assert(!w[0].done);
        skein_scope_join(&scope);
        for (uint32_t i = 0; i < STOP_WRITERS; i++) {
            skein_assert(w[i].acknowledged == w[i].count);
            check_writer(&w[i], w[i].node);
        }
        test_start_all(cluster);
    }
}

static bool
is_running(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).phase == REPLICA_RUNNING;
}

static bool
has_caught_up(struct test_cluster *cluster, uint64_t node)
{
    uint32_t leader = test_leader(cluster);
    return test_machine(cluster, (uint32_t)node)->total == test_machine(cluster, leader)->total;
}

static void
emptied(struct test_cluster *cluster, bool by_snapshot)
{
    static struct writer w;
    struct skein_scope scope;
    cluster->checkpoint_log_bytes = by_snapshot ? 40000 : 0;
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster), lost = leader % 3 + 1;
    test_write_ids(cluster, leader, 0, 400);
    if (by_snapshot)
        test_wait(cluster, took_checkpoint, leader);
    test_stop(cluster, lost);
    test_empty(cluster, lost);
    w = (struct writer){.cluster = cluster, .node = leader, .from = 1000, .count = 3000};
    skein_scope_init(&scope);
    int rc = skein_spawn(&scope, "writer", writer_fiber, &w, SKEIN_STACK_SMALL);
    skein_assert(rc == 0);
    test_start_all(cluster);
    test_wait(cluster, is_running, lost);
    skein_scope_join(&scope);
    test_wait(cluster, has_caught_up, lost);
    skein_assert(w.acknowledged == w.count);
    skein_assert(!by_snapshot || test_status(cluster, lost).snapshots_installed > 0);
    test_expect_once(cluster, lost, 0, 400);
    check_writer(&w, lost);
    /* The new disk is a full member: it makes the quorum when another node is away. */
    uint32_t third = 6 - leader - lost;
    test_stop(cluster, third);
    test_write_ids(cluster, lost, 5000, 5020);
    test_stop_all(cluster);
    test_start_all(cluster);
    test_expect_once(cluster, lost, 5000, 5020);
    test_expect_once(cluster, lost, 0, 400);
}

static void
emptied_by_snapshot(struct test_cluster *cluster)
{
    emptied(cluster, true);
}

static void
emptied_by_appends(struct test_cluster *cluster)
{
    emptied(cluster, false);
}

#define CASE(name, count)                 \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(count, name);            \
    }
CASE(refuses, 1)
CASE(one_node, 1)
CASE(one_node_checkpoint, 1)
CASE(three_nodes, 3)
CASE(leader_goes, 3)
CASE(leader_stops, 3)
CASE(emptied_by_snapshot, 3)
CASE(emptied_by_appends, 3)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_one_node),
        cmocka_unit_test(test_one_node_checkpoint),
        cmocka_unit_test(test_three_nodes),
        cmocka_unit_test(test_leader_goes),
        cmocka_unit_test(test_leader_stops),
        cmocka_unit_test(test_emptied_by_snapshot),
        cmocka_unit_test(test_emptied_by_appends),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
