/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: damage that comes up while a node runs is found, in its checkpoint file and in its log, and
 * is gone before the node is started again: without peers, and with nothing lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "disk/checkpoint.h"
#include "replica/replica_test_cluster.h"
#include "replica/state.h"

#define SECOND_NS UINT64_C(1000000000)

static void
flip(const char *path, long offset)
{
    FILE *file = fopen(path, "r+");
    skein_assert(file != NULL);
    skein_assert(fseek(file, offset, SEEK_SET) == 0);
    int byte = fgetc(file);
    skein_assert(byte != EOF && fseek(file, offset, SEEK_SET) == 0);
    skein_assert(fputc(byte ^ 4, file) != EOF && fclose(file) == 0);
}

static bool
file_found(struct test_cluster *cluster, uint64_t before)
{
    struct replica_status status = test_status(cluster, 1);
    return status.scrub_findings > 0 && status.checkpoints_taken > before;
}

static bool
block_found(struct test_cluster *cluster, uint64_t findings)
{
    struct wal_stats stats;
    wal_stats(cluster->nodes[0].replica->host->wal, &stats);
    return stats.scrub_findings >= findings;
}

static bool
segments_at_most(struct test_cluster *cluster, uint64_t count)
{
    struct wal_stats stats;
    wal_stats(cluster->nodes[0].replica->host->wal, &stats);
    return stats.segment_count <= count;
}

static bool
has_file(struct test_cluster *cluster, uint64_t arg)
{
    (void)arg;
    return cluster->nodes[0].replica->file_index > 0 && !cluster->nodes[0].replica->checkpoint_busy;
}

static void
found_and_mended(struct test_cluster *cluster)
{
    char path[4096];
    cluster->checkpoint_log_bytes = 40000;
    cluster->scrub_period_ns = SECOND_NS / 5;
    test_start_all(cluster);
    skein_assert(test_leader(cluster) == 1);
    test_write_ids(cluster, 1, 0, 300);
    test_wait(cluster, has_file, 0);
    const struct replica *replica = cluster->nodes[0].replica;
    uint64_t taken = test_status(cluster, 1).checkpoints_taken;
    checkpoint_path(replica->host->data_dir, replica->file_index, path, sizeof path);
    flip(path, 9000);
    test_wait(cluster, file_found, taken);
    test_wait(cluster, segments_at_most, 1);
    int number = 0;
    do {
        snprintf(path, sizeof path, "%s/%08d.wal", replica->host->wal_dir, ++number);
    } while (access(path, F_OK) != 0);
    flip(path, 4096 + 50); /* in the carry of the segment that is written */
    test_wait(cluster, block_found, 1);
    skein_assert(test_write(cluster, 1, 300) == 0);
    test_wait(cluster, segments_at_most, 1);
    test_stop(cluster, 1);
    char why[512];
    skein_assert(test_start(cluster, 1, why) == 0);
    skein_assert(test_leader(cluster) == 1);
    skein_assert(test_status(cluster, 1).repairs == 0);
    test_expect_once(cluster, 1, 0, 301);
}

static void
test_found_and_mended(void **state)
{
    (void)state;
    test_run(1, found_and_mended);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found_and_mended)};
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
