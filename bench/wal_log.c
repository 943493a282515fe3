/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One log beside fio doing the same writes, in turn, several times: appends of one entry at a time,
 * each durable before the next, that make up one block or sixteen; segments of 64 MiB, a checkpoint
 * each 64 MiB; measured from when the first segment is used again. fio: O_DIRECT, O_DSYNC, in
 * sequence over a filled file of 64 MiB.
 *
 *     bench_wal_log [--dir DIR] [--seconds S] [--json]
 *
 * Also: what went to the disk for each byte of the log (new segments are filled or used again).
 */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/disk.h"
#include "bench/series.h"
#include "disk/wal_frame.h"
#include "skein/fiber.h"
#include "skein/shard.h"

#define SEGMENT_BYTES (64u << 20)
#define KIND_COUNT 2

static const uint32_t kind_blocks[KIND_COUNT] = {1, 16};
static const char *const kind_names[KIND_COUNT] = {"block_4k", "blocks_64k"};

struct bench {
    char dir[300];
    double seconds;
    bool json;
    struct series ours[KIND_COUNT], fio[KIND_COUNT];
    uint64_t write_bytes, fill_bytes;
};

struct run {
    struct bench *bench;
    uint32_t blocks;
    double rate;
    uint64_t index;
    struct skein_waitq q;
    int status; /* 1: under way */
};

/* ---- ours ---- */

static void
on_durable(struct wal_write *write, int status)
{
    struct run *run = write->owner;
    run->status = status;
    skein_wake_all(&run->q);
}

/* At least until @end_ns, and until so many segments were used again. Returns the appends. */
static uint64_t
append_until(struct run *run, struct wal *wal, uint32_t blocks, uint64_t end_ns,
             uint64_t recycled_count)
{
    struct wal_stats stats = {0};
    size_t bytes = (size_t)blocks * WAL_PAYLOAD_BYTES - WAL_FRAME_HEAD_BYTES - WAL_ENTRY_HEAD_BYTES;
    struct bytes_buf *data = bytes_new(bytes);
    memset(data->data, 'w', bytes);
    uint64_t first = run->index, checkpoint = SEGMENT_BYTES / (blocks * WAL_BLOCK_BYTES);
    struct raft_entry entry = {.term = 1, .data = bytes_of(data, bytes)};
    struct wal_write write = {
        .entries = &entry, .entry_count = 1, .sync = true, .on_durable = on_durable, .owner = run};
    while (skein_now_ns() < end_ns || stats.recycled_count < recycled_count) {
        wal_stats(wal, &stats);
        entry.index = ++run->index;
        run->status = 1;
        int rc = wal_submit(wal, &write);
        while (rc == 0 && run->status == 1)
            rc = skein_wait(&run->q, SKEIN_NEVER);
        if (rc < 0 || run->status < 0)
            die("append", rc < 0 ? rc : run->status);
        if (entry.index % checkpoint == 0)
            wal_compact(wal, 0, entry.index, 1);
    }
    bytes_unref(&entry.data);
    return run->index - first;
}

static int
run_main(void *arg)
{
    struct run *run = arg;
    char why[512] = "";
    struct wal *wal;
    struct skein_scope scope;
    struct wal_recovery recovery;
    struct wal_stats warm, stats;
    struct wal_options options = {.dir = run->bench->dir,
                                  .identity = {.cluster = "bench", .node = 1},
                                  .segment_bytes = SEGMENT_BYTES,
                                  .queue_bytes_max = SEGMENT_BYTES};
    skein_scope_init(&scope);
    skein_waitq_init(&run->q);
    int rc = wal_open(&wal, &options, &scope, &recovery, why);
    if (rc < 0)
        die(why, rc);
    wal_recovery_deinit(&recovery);
    (void)append_until(run, wal, 16, 0, 1);
    wal_stats(wal, &warm);
    uint64_t begin_ns = skein_now_ns();
    uint64_t count =
        append_until(run, wal, run->blocks, begin_ns + (uint64_t)(run->bench->seconds * 1e9), 0);
    run->rate = (double)count * 1e9 / (double)(skein_now_ns() - begin_ns);
    wal_stats(wal, &stats);
    run->bench->write_bytes += stats.write_bytes - warm.write_bytes;
    run->bench->fill_bytes += stats.fill_bytes - warm.fill_bytes;
    wal_close(wal);
    skein_scope_join(&scope);
    wal_free(wal);
    return 0;
}

static void
remove_dir(const struct bench *bench)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", bench->dir);
    if (system(command) != 0)
        die(bench->dir, -EIO);
}

static double
measure_ours(struct bench *bench, uint32_t blocks)
{
    struct run run = {.bench = bench, .blocks = blocks};
    run_on_shard(run_main, &run);
    remove_dir(bench);
    return run.rate;
}

/* ---- fio ---- */

static double
measure_fio(const struct bench *bench, uint32_t blocks)
{
    /* The field of fio's terse format (version 3) that holds the rate of the writes, from 1. */
    enum { RATE_FIELD = 49 };
    char command[1024];
    snprintf(command, sizeof command,
             "fio --name=wal --filename='%s.fio' --size=%u --ioengine=io_uring --direct=1 "
             "--sync=dsync --rw=write --bs=%u --iodepth=1 --overwrite=1 --time_based "
             "--runtime=%dms --minimal",
             bench->dir, SEGMENT_BYTES, blocks * WAL_BLOCK_BYTES, (int)(bench->seconds * 1000));
    return fio_rate(command, RATE_FIELD);
}

/* ---- the report ---- */

static void
report(struct bench *bench)
{
    double disk = (double)(bench->write_bytes + bench->fill_bytes) / (double)bench->write_bytes;
    fputs(bench->json ? "{" : "", stdout);
    for (int k = 0; k < KIND_COUNT; k++) {
        char name[64];
        double ours = series_median(&bench->ours[k]), fio = series_median(&bench->fio[k]);
        if (!bench->json) {
            printf("%-12s ours %8.0f/s (%.0f-%.0f)   fio %8.0f/s (%.0f-%.0f)   ratio %.2f, at "
                   "least 0.9: %s\n",
                   kind_names[k], ours, bench->ours[k].values[0],
                   bench->ours[k].values[SERIES_REPEATS - 1], fio, bench->fio[k].values[0],
                   bench->fio[k].values[SERIES_REPEATS - 1], ours / fio,
                   ours >= 0.9 * fio ? "met" : "missed");
            continue;
        }
        snprintf(name, sizeof name, "%s_ours", kind_names[k]);
        series_print_json(name, &bench->ours[k]);
        snprintf(name, sizeof name, "%s_fio", kind_names[k]);
        printf(", ");
        series_print_json(name, &bench->fio[k]);
        printf(", ");
    }
    if (bench->json)
        printf("\"disk_bytes_per_log_byte\": %.3f}\n", disk);
    else
        printf("%.2f bytes to the disk for each byte of the log\n", disk);
}

int
main(int argc, char **argv)
{
    static struct bench bench = {.seconds = 1};
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    const char *dir = "/tmp";
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            dir = optarg;
        else if (option == 's')
            bench.seconds = atof(optarg);
        else if (option == 'j')
            bench.json = true;
        else
            optind = argc + 1;
    }
    if (optind != argc || bench.seconds <= 0) {
        fprintf(stderr, "usage: bench_wal_log [--dir DIR] [--seconds S] [--json]\n");
        return 64;
    }
    snprintf(bench.dir, sizeof bench.dir, "%.200s/bench-wal-%d", dir, (int)getpid());
    for (int repeat = 0; repeat < SERIES_REPEATS; repeat++) {
        for (int k = 0; k < KIND_COUNT; k++) {
            series_add(&bench.ours[k], measure_ours(&bench, kind_blocks[k]));
            series_add(&bench.fio[k], measure_fio(&bench, kind_blocks[k]));
        }
    }
    strcat(bench.dir, ".fio");
    remove_dir(&bench);
    report(&bench);
    return 0;
}
