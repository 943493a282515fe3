/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_TEST_CLUSTER_H
#define REPLICA_TEST_CLUSTER_H

#include "skein/fiber.h"
#include "replica/link_tcp.h"
#include "replica/replica.h"

/*
 * What the replica's tests share: a shard on a real ring, directories of their own, up to three
 * nodes on that shard over loopback, and a machine that counts how often each number was applied
 * (so that a lost and a repeated write are both seen). Checks inside fibers are skein_assert: they
 * name file and line.
 */

#define TEST_IDS 65536u

struct test_machine {
    uint64_t total;
    uint64_t time_ms;
    uint64_t seen[TEST_IDS];
};
extern const struct replica_machine_ops test_machine_ops;

struct test_node {
    struct replica *replica; /* NULL: not running */
    char dir[256];
};

struct test_cluster {
    char root[128];
    struct replica_peer peers[REPLICA_NODES_MAX];
    struct test_node nodes[REPLICA_NODES_MAX];
    uint32_t count;
    uint32_t founder_count; /* the first members; 0: all. The others are started with all in their
                               list */
    uint32_t group_count;   /* 0: 1 */
    uint32_t quiesce_ticks; /* 0: never */
    uint64_t checkpoint_log_bytes;
    uint64_t keep_log_bytes;
    uint32_t lease_drift_ppm;
    uint32_t ranks[REPLICA_NODES_MAX]; /* of election */
    uint64_t scrub_period_ns;
    uint64_t checkpoint_entries, checkpoint_interval_ns;
    uint32_t checkpoints_kept;
    uint64_t catchup_log_bytes;
    uint64_t snapshot_bytes_per_second;
    uint32_t snapshot_sends_max;
    struct skein_waitq load_wake;
    bool load_held; /* machines stay in the middle of loading */
};

/* test_prepare - where the logs go (SKEIN_TEST_LOG: all of them), and which tests run
 * (SKEIN_TEST_FILTER). */
void test_prepare(void);

/* test_run - @fn(@cluster) as the main fiber of a shard, with @count nodes that are not started. */
void test_run(uint32_t count, void (*fn)(struct test_cluster *cluster));

int test_start(struct test_cluster *cluster, uint32_t node, char out_why[512]);
void test_start_all(struct test_cluster *cluster);
/* test_stop - gracefully. test_cut - with a deadline that has passed. */
void test_stop(struct test_cluster *cluster, uint32_t node);
void test_cut(struct test_cluster *cluster, uint32_t node);
void test_stop_all(struct test_cluster *cluster);
/* test_empty - remove the data directory of a stopped node. */
void test_empty(struct test_cluster *cluster, uint32_t node);
struct test_machine *test_machine(struct test_cluster *cluster, uint32_t node);
struct replica_status test_status(struct test_cluster *cluster, uint32_t node);

/* test_leader - wait for one that is ready to serve; its number. */
uint32_t test_leader(struct test_cluster *cluster);
/* test_wait - until @done(@cluster, @arg), at most 20 s. */
void test_wait(struct test_cluster *cluster,
               bool (*done)(struct test_cluster *cluster, uint64_t arg), uint64_t arg);

/* test_write - apply @id by way of @node. 0 or the submit's code. */
int test_write(struct test_cluster *cluster, uint32_t node, uint32_t id);
/* test_write_once - the same in a session. */
int test_write_once(struct test_cluster *cluster, uint32_t node, uint64_t session,
                    uint64_t sequence, uint32_t id, uint64_t *out_total);
/* test_read - how often @id was applied, linearizably, by way of @node. */
int test_read(struct test_cluster *cluster, uint32_t node, uint32_t id, uint64_t *out_times);
/* test_write_ids, test_expect_once - the ids from @from to @to - 1, by way of @node: all are
 * written; each was applied once. */
void test_write_ids(struct test_cluster *cluster, uint32_t node, uint32_t from, uint32_t to);
void test_expect_once(struct test_cluster *cluster, uint32_t node, uint32_t from, uint32_t to);

#endif
