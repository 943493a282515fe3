/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a checkpoint that somebody waits for is taken in the end, whatever stands in its way at
 * first; one that cannot be written costs nothing but itself; and what the log keeps behind one is
 * what was asked for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "disk/checkpoint.h"
#include "replica/backup.h"
#include "replica/replica_test_cluster.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/file.h"
#include "skein/shard.h"

#define SECOND_NS UINT64_C(1000000000)

static struct replica *
start_with(struct test_cluster *cluster, uint32_t count)
{
    test_start_all(cluster);
    skein_assert(test_leader(cluster) == 1);
    test_write_ids(cluster, 1, 0, count);
    return cluster->nodes[0].replica;
}

static bool
has_begun(struct test_cluster *cluster, uint64_t arg)
{
    (void)arg;
    return cluster->nodes[0].replica->checkpoint_busy;
}

static bool
has_file(struct test_cluster *cluster, uint64_t index)
{
    return cluster->nodes[0].replica->file_index >= index;
}

/* A directory stands where the next file is to be written. */
static void
obstacle_of(const struct replica *replica, char out_path[4100])
{
    char path[4000];
    checkpoint_path(replica->dir, replica->applied_index, path, sizeof path);
    snprintf(out_path, 4100, "%s.tmp", path);
}

static void
wanted_and_failed(struct test_cluster *cluster)
{
    char path[4100];
    struct replica *replica = start_with(cluster, 10);
    obstacle_of(replica, path);
    skein_assert(mkdir(path, 0755) == 0);
    scrub_on_rot(replica->host, 0);
    test_wait(cluster, has_begun, 0);
    skein_assert(replica->file_index == 0);
    skein_assert(test_write(cluster, 1, 10) == 0); /* it goes on, and the next file is another */
    test_wait(cluster, has_file, 1);
    skein_assert(rmdir(path) == 0);
    test_cut(cluster, 1);
    (void)start_with(cluster, 0);
    skein_assert(test_machine(cluster, 1)->total == 11);
}

struct seen {
    uint64_t done_bytes, all_bytes;
    uint32_t count;
};

static void
see(void *owner, const char *what, uint64_t done_bytes, uint64_t all_bytes)
{
    struct seen *seen = owner;
    skein_assert(strcmp(what, "verified") == 0);
    skein_assert(done_bytes > seen->done_bytes && done_bytes < all_bytes);
    *seen = (struct seen){done_bytes, all_bytes, seen->count + 1};
}

/* Whoever waits for a backup gets it, or is told at its deadline. */
static void
backup_waits(struct test_cluster *cluster)
{
    char path[4100], why[512];
    struct replica_backup_file file;
    struct checkpoint_info info;
    struct replica *replica = start_with(cluster, 10);
    obstacle_of(replica, path);
    skein_assert(mkdir(path, 0755) == 0);
    int rc = replica_backup(replica, skein_deadline_in(SECOND_NS / 10), &file);
    skein_assert(rc == -SKEIN_ETIMEDOUT);
    skein_assert(rmdir(path) == 0);
    skein_assert(replica_backup(replica, skein_deadline_in(20 * SECOND_NS), &file) == 0);
    skein_assert(file.index == replica->applied_index);
    /* The next one takes its place, and this one can be read all the same. */
    skein_assert(test_write(cluster, 1, 10) == 0);
    struct replica_backup_file next;
    skein_assert(replica_backup(replica, skein_deadline_in(20 * SECOND_NS), &next) == 0);
    skein_assert(next.index > file.index);
    uint64_t bytes = 0;
    skein_assert(skein_file_size(file.handle, &bytes) == 0 && bytes == file.bytes);
    checkpoint_path(replica->dir, file.index, path, sizeof path);
    skein_assert(access(path, F_OK) != 0);
    checkpoint_path(replica->dir, next.index, path, sizeof path);
    struct seen seen = {0};
    struct backup_progress progress = {see, &seen};
    rc = backup_verify(path, &progress, &info, why);
    skein_assert(rc == 0 && info.snapshot.index == next.index);
    skein_assert(seen.count > 1 && seen.all_bytes == next.bytes);
    skein_assert(seen.done_bytes > sizeof(struct test_machine));
    replica_backup_close(replica, &file);
    replica_backup_close(replica, &next);
    skein_assert(replica->host->backups_open == 0);
}

static void
log_is_kept(struct test_cluster *cluster)
{
    cluster->keep_log_bytes = 3000;
    struct replica *replica = start_with(cluster, 100);
    uint64_t end = replica->applied_index, bytes = replica->log_bytes;
    uint64_t from = checkpoint_keep_from(replica, end, bytes);
    skein_assert(from < end && from > end - 30); /* an entry has some 350 bytes */
    skein_assert(checkpoint_keep_from(replica, end, bytes + 3000) == end + 1);
    checkpoint_forget_marks(replica, end + 1);
    skein_assert(replica->mark_count == 0);
    skein_assert(checkpoint_keep_from(replica, end, bytes) == end + 1);
    skein_assert(!checkpoint_is_time(replica));
    skein_assert(checkpoint_interval_end_ns(replica) == SKEIN_NEVER);
}

#define CASE(name)                        \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(1, name);                \
    }
CASE(backup_waits)
CASE(log_is_kept)
CASE(wanted_and_failed)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backup_waits),
        cmocka_unit_test(test_log_is_kept),
        cmocka_unit_test(test_wanted_and_failed),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
