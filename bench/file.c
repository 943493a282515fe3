/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files beside fio's io_uring engine, with the same options, in turn, several times:
 *   read    4 KiB at random, O_DIRECT, 32 under way
 *   write   128 KiB in sequence, O_DIRECT, fdatasync after each
 *
 *     bench_file [--dir DIR] [--seconds S] [--repeats N] [--file-mib N] [--json]
 *
 * Ours: one shard, fibers that call skein_file_pread and skein_file_pwrite.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench/disk.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"

#define READ_BYTES 4096
#define READ_DEPTH 32
#define WRITE_BYTES (128 << 10)
#define REPEAT_COUNT_MAX 25

enum kind { KIND_READ, KIND_WRITE, KIND_COUNT };

static const char *const kind_names[] = {"read 4 KiB x 32", "write 128 KiB + sync"};

struct bench {
    const char *dir;
    char path[512];
    double seconds;
    int repeat_count;
    uint64_t file_bytes;
    bool json;
    double ours[KIND_COUNT][REPEAT_COUNT_MAX], fio[KIND_COUNT][REPEAT_COUNT_MAX];
};

/* ---- ours ---- */

struct run {
    const struct bench *bench;
    enum kind kind;
    int handle;
    uint64_t end_ns, count;
    double rate;
};

static void
read_at_random(void *arg)
{
    struct run *run = arg;
    char *block = mem_alloc_aligned(4096, READ_BYTES);
    uint64_t block_count = run->bench->file_bytes / READ_BYTES, random = skein_random() | 1;
    while (skein_now_ns() < run->end_ns) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        ssize_t n =
            skein_file_pread(run->handle, block, READ_BYTES, random % block_count * READ_BYTES);
        if (n != READ_BYTES)
            die("read", n < 0 ? (int)n : -EIO);
        run->count++;
    }
    mem_free(block);
}

static void
write_in_sequence(struct run *run)
{
    char *block = mem_alloc_aligned(4096, WRITE_BYTES);
    uint64_t offset = 0;
    memset(block, 'w', WRITE_BYTES);
    while (skein_now_ns() < run->end_ns) {
        int rc = skein_file_pwrite(run->handle, block, WRITE_BYTES, offset, 0);
        if (rc == 0)
            rc = skein_file_sync(run->handle, SKEIN_FILE_DATA_ONLY);
        if (rc < 0)
            die("write", rc);
        offset = (offset + WRITE_BYTES) % run->bench->file_bytes;
        run->count++;
    }
    mem_free(block);
}

static int
run_main(void *arg)
{
    struct run *run = arg;
    uint64_t begin_ns = skein_now_ns();
    run->end_ns = begin_ns + (uint64_t)(run->bench->seconds * 1e9);
    run->handle = skein_file_open(run->bench->path, SKEIN_FILE_RDWR | SKEIN_FILE_DIRECT, 0);
    if (run->handle < 0)
        die(run->bench->path, run->handle);
    if (run->kind == KIND_READ) {
        struct skein_scope scope;
        skein_scope_init(&scope);
        for (int i = 0; i < READ_DEPTH; i++)
            if (skein_spawn(&scope, "read", read_at_random, run, SKEIN_STACK_SMALL) < 0)
                die("fibers", -ENOMEM);
        skein_scope_join(&scope);
    } else {
        write_in_sequence(run);
    }
    run->rate = (double)run->count * 1e9 / (double)(skein_now_ns() - begin_ns);
    return skein_close(run->handle);
}

static double
measure_ours(const struct bench *bench, enum kind kind)
{
    struct run run = {.bench = bench, .kind = kind};
    run_on_shard(run_main, &run);
    return run.rate;
}

/* ---- fio ---- */

/* The field of fio's terse format (version 3) that holds the rate, from 1. */
static const int fio_rate_fields[] = {8, 49};

static double
measure_fio(const struct bench *bench, enum kind kind)
{
    char command[1600];
    snprintf(command, sizeof(command),
             "fio --name=bench --filename='%s' --size=%llu --ioengine=io_uring --direct=1 "
             "--runtime=%dms --time_based --norandommap --randrepeat=0 --minimal %s",
             bench->path, (unsigned long long)bench->file_bytes, (int)(bench->seconds * 1000),
             kind == KIND_READ ? "--rw=randread --bs=4k --iodepth=32"
                               : "--rw=write --bs=128k --iodepth=1 --fdatasync=1");
    return fio_rate(command, fio_rate_fields[kind]);
}

/* ---- the report ---- */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void
report(struct bench *bench)
{
    int count = bench->repeat_count;
    for (int k = 0; k < KIND_COUNT; k++) {
        double *ours = bench->ours[k], *fio = bench->fio[k];
        qsort(ours, (size_t)count, sizeof(*ours), compare);
        qsort(fio, (size_t)count, sizeof(*fio), compare);
        double ratio = ours[count / 2] / fio[count / 2];
        if (bench->json)
            printf("%s{\"case\":\"%s\",\"ours\":%.0f,\"ours_min\":%.0f,\"ours_max\":%.0f,"
                   "\"fio\":%.0f,\"fio_min\":%.0f,\"fio_max\":%.0f,\"ratio\":%.3f}%s",
                   k == 0 ? "{\"bench\":\"file\",\"unit\":\"ops_per_second\",\"cases\":[" : ",",
                   kind_names[k], ours[count / 2], ours[0], ours[count - 1], fio[count / 2], fio[0],
                   fio[count - 1], ratio, k == KIND_COUNT - 1 ? "]}\n" : "");
        else
            printf("%-22s ours %8.0f/s (%.0f - %.0f)   fio %8.0f/s (%.0f - %.0f)   ratio %.2f\n",
                   kind_names[k], ours[count / 2], ours[0], ours[count - 1], fio[count / 2], fio[0],
                   fio[count - 1], ratio);
    }
}

/* A file without holes: reads of holes never reach the disk. */
static void
make_file(const struct bench *bench)
{
    char *block = mem_alloc_aligned(4096, 1 << 20);
    FILE *file = fopen(bench->path, "w");
    if (!file)
        die(bench->path, -errno);
    for (size_t i = 0; i < 1 << 20; i++)
        block[i] = (char)(i * 31);
    for (uint64_t done = 0; done < bench->file_bytes; done += 1 << 20)
        if (fwrite(block, 1 << 20, 1, file) != 1)
            die(bench->path, -errno);
    if (fflush(file) != 0 || fsync(fileno(file)) < 0 || fclose(file) != 0)
        die(bench->path, -errno);
    mem_free(block);
}

static void
read_options(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},     {"seconds", required_argument, NULL, 's'},
        {"repeats", required_argument, NULL, 'r'}, {"file-mib", required_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},          {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            bench->dir = optarg;
        else if (option == 's')
            bench->seconds = atof(optarg);
        else if (option == 'r')
            bench->repeat_count = atoi(optarg);
        else if (option == 'f')
            bench->file_bytes = strtoull(optarg, NULL, 10) << 20;
        else if (option == 'j')
            bench->json = true;
        else
            optind = argc + 1;
    }
    if (optind == argc && bench->seconds > 0 && bench->repeat_count >= 1 &&
        bench->repeat_count <= REPEAT_COUNT_MAX && bench->file_bytes > 0)
        return;
    fprintf(stderr, "usage: bench_file [--dir DIR] [--seconds S] [--repeats N] [--file-mib N] "
                    "[--json]\n");
    exit(2);
}

int
main(int argc, char **argv)
{
    static struct bench bench = {
        .dir = "/tmp", .seconds = 1, .repeat_count = 7, .file_bytes = (uint64_t)512 << 20};
    read_options(&bench, argc, argv);
    snprintf(bench.path, sizeof(bench.path), "%s/skein-bench-file.%d", bench.dir, (int)getpid());
    make_file(&bench);
    for (int r = 0; r < bench.repeat_count; r++)
        for (int k = 0; k < KIND_COUNT; k++) {
            bench.ours[k][r] = measure_ours(&bench, (enum kind)k);
            bench.fio[k][r] = measure_fio(&bench, (enum kind)k);
        }
    unlink(bench.path);
    report(&bench);
    return 0;
}
