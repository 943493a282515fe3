/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a node that needs a snapshot gets it whatever breaks: the receiver, the sender, the disk
 * under either; it goes on where it had come to when it is the same file; no more is sent than is
 * permitted, to no more at a time; and while it is loaded the node answers, appends and expires
 * requests as always.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "disk/checkpoint.h"
#include "replica/replica_test_cluster.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/file.h"
#include "skein/shard.h"

#define SECOND_NS UINT64_C(1000000000)
/* A checkpoint of the test machine: header, nine blocks, footer. */
#define FILE_BYTES_MIN sizeof(struct test_machine)

static bool
took_checkpoint(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).checkpoints_taken > 0;
}

static bool
has_installed(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).snapshots_installed > 0;
}

static bool
has_caught_up(struct test_cluster *cluster, uint64_t node)
{
    uint32_t leader = test_leader(cluster);
    return test_machine(cluster, (uint32_t)node)->total == test_machine(cluster, leader)->total;
}

static uint64_t
received_bytes(struct test_cluster *cluster, uint32_t node)
{
    const struct snapshot_receive *receive = &cluster->nodes[node - 1].replica->receive;
    return receive->receiver ? checkpoint_receive_offset(receive->receiver) : 0;
}

static bool
has_some(struct test_cluster *cluster, uint64_t node)
{
    return received_bytes(cluster, (uint32_t)node) > 2 * FILE_BYTES_MIN / 4;
}

/* Three nodes, and one of them, which does not lead, has an empty disk and is not started: it needs
 * a snapshot. No checkpoint comes after this, so there is one file. */
static uint32_t
empty_one(struct test_cluster *cluster)
{
    cluster->checkpoint_log_bytes = 90000;
    test_start_all(cluster);
    uint32_t leader = test_leader(cluster), lost = leader % cluster->count + 1;
    test_write_ids(cluster, leader, 0, 400);
    test_wait(cluster, took_checkpoint, leader);
    test_stop(cluster, lost);
    test_empty(cluster, lost);
    return lost;
}

static void
start(struct test_cluster *cluster, uint32_t node)
{
    char why[512];
    int rc = test_start(cluster, node, why);
    skein_assert(rc == 0);
}

/* The receiver's process ends in the middle; the next one goes on there. */
static void
receiver_goes(struct test_cluster *cluster)
{
    cluster->snapshot_bytes_per_second = 400000;
    uint32_t lost = empty_one(cluster);
    start(cluster, lost);
    test_wait(cluster, has_some, lost);
    uint64_t had = received_bytes(cluster, lost);
    test_cut(cluster, lost);
    start(cluster, lost);
    test_wait(cluster, has_installed, lost);
    struct replica_status status = test_status(cluster, lost);
    skein_assert(status.snapshots_resumed == 1);
    const struct snapshot_receive *receive = &cluster->nodes[lost - 1].replica->receive;
    /* What was verified was not sent twice: blocks have 64 KiB. */
    uint64_t sent = 0;
    for (uint32_t node = 1; node <= 3; node++)
        sent += test_status(cluster, node).snapshot_bytes_sent;
    skein_assert(had > 2 * (64u << 10));
    skein_assert(sent < receive->file.file_bytes + 6 * (256u << 10));
    test_wait(cluster, has_caught_up, lost);
    test_expect_once(cluster, lost, 0, 400);
}

/* No more than the rate leaves the node, and everybody else is served meanwhile. */
static void
throttled(struct test_cluster *cluster)
{
    cluster->snapshot_bytes_per_second = 150000;
    uint32_t lost = empty_one(cluster);
    uint64_t begun_ns = skein_now_ns();
    start(cluster, lost);
    uint32_t written = 0;
    for (; !has_installed(cluster, lost) && written < 100; written++)
        test_write_ids(cluster, test_leader(cluster), 1000 + written, 1001 + written);
    skein_assert(written > 10);
    test_wait(cluster, has_installed, lost);
    /* The first burst has 256 KiB. */
    double took_s = (double)(skein_now_ns() - begun_ns) / 1e9;
    skein_assert(took_s >= (double)(FILE_BYTES_MIN - (256u << 10)) / 150000);
    test_wait(cluster, has_caught_up, lost);
    test_expect_once(cluster, lost, 1000, 1000 + written);
}

/* While the machine is loaded the node takes part: it appends, and hands on what its clients want.
 */
static void
loads_beside(struct test_cluster *cluster)
{
    uint32_t lost = empty_one(cluster), leader = test_leader(cluster), third = 6 - leader - lost;
    cluster->load_held = true;
    start(cluster, lost);
    struct replica *replica = cluster->nodes[lost - 1].replica;
    for (int i = 0; i < 2000 && !replica->load; i++) {
        int rc = skein_sleep(skein_deadline_in(SECOND_NS / 200));
        skein_assert(rc == 0);
    }
    skein_assert(replica->load != NULL);
    /* A majority needs its log now, and its state does not matter yet. */
    test_stop(cluster, third);
    test_write_ids(cluster, leader, 2000, 2020);
    test_write_ids(cluster, lost, 2020, 2040);
    test_expect_once(cluster, lost, 2000, 2040);
    skein_assert(replica->load != NULL);
    skein_assert(test_status(cluster, lost).snapshots_installed == 0);
    /* Nobody reads what is half there, and nobody writes it into a file. */
    skein_assert(test_machine(cluster, lost)->total < 440);
    replica->checkpoint_wanted = true;
    checkpoint_signal(replica);
    int rc = skein_sleep(skein_deadline_in(SECOND_NS / 10));
    skein_assert(rc == 0 && test_status(cluster, lost).checkpoints_taken == 0);
    cluster->load_held = false;
    skein_wake_all(&cluster->load_wake);
    test_wait(cluster, has_caught_up, lost);
    skein_assert(test_status(cluster, lost).snapshots_installed == 1);
    test_wait(cluster, took_checkpoint, lost);
    test_expect_once(cluster, lost, 0, 400);
    start(cluster, third);
    test_wait(cluster, has_caught_up, third);
}

/* The process ends while it loads: the next one begins with the same file. */
static void
load_cut_off(struct test_cluster *cluster)
{
    uint32_t lost = empty_one(cluster);
    cluster->load_held = true;
    start(cluster, lost);
    struct replica *replica = cluster->nodes[lost - 1].replica;
    for (int i = 0; i < 2000 && !replica->load; i++) {
        int rc = skein_sleep(skein_deadline_in(SECOND_NS / 200));
        skein_assert(rc == 0);
    }
    test_write_ids(cluster, test_leader(cluster), 3000, 3010);
    test_cut(cluster, lost);
    cluster->load_held = false;
    start(cluster, lost);
    test_wait(cluster, has_caught_up, lost);
    skein_assert(test_status(cluster, lost).snapshots_installed == 0);
    test_expect_once(cluster, lost, 3000, 3010);
}

static bool
both_installed(struct test_cluster *cluster, uint64_t leader)
{
    uint32_t count = 0;
    skein_assert(cluster->nodes[leader - 1].replica->host->sends_active <= 1);
    for (uint32_t node = 1; node <= cluster->count; node++)
        count += has_installed(cluster, node);
    return count == 2;
}

/* Two need one, and one gets it at a time. */
static void
one_at_a_time(struct test_cluster *cluster)
{
    cluster->snapshot_sends_max = 1;
    cluster->snapshot_bytes_per_second = 1000000;
    uint32_t one = empty_one(cluster), leader = test_leader(cluster);
    uint32_t two = one % 5 + 1 == leader ? leader % 5 + 1 : one % 5 + 1;
    test_stop(cluster, two);
    test_empty(cluster, two);
    start(cluster, one);
    start(cluster, two);
    test_wait(cluster, both_installed, leader);
    test_wait(cluster, has_caught_up, one);
    test_wait(cluster, has_caught_up, two);
}

static bool
is_sending(struct test_cluster *cluster, uint64_t leader)
{
    return cluster->nodes[leader - 1].replica->host->sends_active == 1;
}

/* Who gets one dies meanwhile, and the next one's does not wait until that is given up. */
static void
silence_gives_way(struct test_cluster *cluster)
{
    cluster->snapshot_sends_max = 1;
    cluster->snapshot_bytes_per_second = 100000;
    uint32_t one = empty_one(cluster), leader = test_leader(cluster);
    uint32_t two = one % 5 + 1 == leader ? leader % 5 + 1 : one % 5 + 1;
    test_stop(cluster, two);
    test_empty(cluster, two);
    start(cluster, one);
    test_wait(cluster, is_sending, leader);
    test_cut(cluster, one);
    start(cluster, two);
    test_wait(cluster, has_installed, two);
    const struct host *host = cluster->nodes[leader - 1].replica->host;
    skein_assert(host->sends_active == 1 && host->sends_silent == 1);
}

/* The leader takes checkpoint after checkpoint while one is sent. Who keeps the log behind it needs
 * one transfer; who does not needs the next. */
static void
behind(struct test_cluster *cluster, uint64_t catchup_log_bytes, bool once)
{
    cluster->catchup_log_bytes = catchup_log_bytes;
    cluster->snapshot_bytes_per_second = 200000;
    cluster->checkpoint_entries = 5;
    uint32_t lost = empty_one(cluster), leader = test_leader(cluster);
    uint64_t before = test_status(cluster, leader).checkpoints_taken;
    start(cluster, lost);
    uint32_t written = 0;
    for (; !has_installed(cluster, lost); written++)
        test_write_ids(cluster, leader, 4000 + written, 4001 + written);
    test_wait(cluster, has_caught_up, lost);
    skein_assert(test_status(cluster, leader).checkpoints_taken > before + 1);
    uint64_t sent = test_status(cluster, leader).snapshots_sent;
    skein_assert(once ? sent == 1 : sent > 1);
    test_expect_once(cluster, lost, 4000, 4000 + written);
}

static void
behind_with_log(struct test_cluster *cluster)
{
    behind(cluster, 64u << 20, true);
}

static void
behind_without_log(struct test_cluster *cluster)
{
    behind(cluster, 0, false);
}

static uint64_t
taken(struct test_cluster *cluster)
{
    return test_status(cluster, 1).checkpoints_taken;
}

static void
by_entries(struct test_cluster *cluster)
{
    cluster->checkpoint_entries = 20;
    test_start_all(cluster);
    uint32_t id = 0;
    test_write_ids(cluster, 1, id, id + 1);
    while (test_status(cluster, 1).raft.applied < 19) {
        skein_assert(taken(cluster) == 0);
        id++;
        test_write_ids(cluster, 1, id, id + 1);
    }
    int rc = skein_sleep(skein_deadline_in(SECOND_NS / 10));
    skein_assert(rc == 0 && taken(cluster) == 0);
    test_write_ids(cluster, 1, id + 1, id + 2);
    test_wait(cluster, took_checkpoint, 1);
    skein_assert(test_status(cluster, 1).checkpoint_index == 20);
}

static bool
took_two(struct test_cluster *cluster, uint64_t node)
{
    return test_status(cluster, (uint32_t)node).checkpoints_taken == 2;
}

static void
by_time(struct test_cluster *cluster)
{
    cluster->checkpoint_interval_ns = SECOND_NS / 5;
    uint64_t begun_ns = skein_now_ns();
    test_start_all(cluster);
    test_write_ids(cluster, 1, 0, 1);
    test_wait(cluster, took_checkpoint, 1);
    skein_assert(skein_now_ns() - begun_ns >= SECOND_NS / 5);
    /* Nothing new: none, however long. */
    int rc = skein_sleep(skein_deadline_in(SECOND_NS / 2));
    skein_assert(rc == 0 && taken(cluster) == 1);
    test_write_ids(cluster, 1, 1, 2);
    test_wait(cluster, took_two, 1);
}

static bool
three_files(struct test_cluster *cluster, uint64_t node)
{
    struct skein_names names;
    uint32_t count = 0;
    int rc = skein_file_list(cluster->nodes[node - 1].dir, &names);
    skein_assert(rc == 0);
    for (size_t i = 0; i < names.count; i++)
        count += strncmp(names.names[i], "checkpoint-", 11) == 0;
    skein_names_deinit(&names);
    return count == 3;
}

static void
kept(struct test_cluster *cluster)
{
    cluster->checkpoint_entries = 3;
    cluster->checkpoints_kept = 3;
    test_start_all(cluster);
    uint32_t id = 0;
    for (; taken(cluster) <= 3 && id < 10000; id += 20)
        test_write_ids(cluster, 1, id, id + 20);
    skein_assert(taken(cluster) > 3);
    test_wait(cluster, three_files, 1);
    test_stop(cluster, 1);
    test_start_all(cluster);
    test_expect_once(cluster, 1, 0, id);
}

#define CASE(name, count)                 \
    static void test_##name(void **state) \
    {                                     \
        (void)state;                      \
        test_run(count, name);            \
    }
CASE(receiver_goes, 3)
CASE(throttled, 3)
CASE(loads_beside, 3)
CASE(load_cut_off, 3)
CASE(one_at_a_time, 5)
CASE(silence_gives_way, 5)
CASE(behind_with_log, 3)
CASE(behind_without_log, 3)
CASE(by_entries, 1)
CASE(by_time, 1)
CASE(kept, 1)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receiver_goes),
        cmocka_unit_test(test_throttled),
        cmocka_unit_test(test_loads_beside),
        cmocka_unit_test(test_load_cut_off),
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_silence_gives_way),
        cmocka_unit_test(test_behind_with_log),
        cmocka_unit_test(test_behind_without_log),
        cmocka_unit_test(test_by_entries),
        cmocka_unit_test(test_by_time),
        cmocka_unit_test(test_kept),
    };
    test_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
