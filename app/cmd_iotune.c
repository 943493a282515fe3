/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/flags.h"
#include "app/world.h"
#include "base/mem.h"
#include "base/prng.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/io.h"

/*
 * Measures what a disk can do: a file is written in sequence, read in sequence, read and written at
 * random, each for a part of the time with many operations under way, past the page cache. Writes
 * are durable ones (DSYNC), as the log's are.
 */

#define FILE_NAME "skein-iotune.tmp"
#define BIG_BYTES ((size_t)1 << 20)
#define SMALL_BYTES ((size_t)4096)
#define BIG_DEPTH 4
#define SMALL_DEPTH 32
#define PART_COUNT 4
#define SECOND_NS UINT64_C(1000000000)

struct iotune_options {
    const char *dir;
    const char *out;
    uint64_t file_bytes;
    uint64_t duration_ns;
};

struct iotune {
    struct iotune_options options;
    char path[4096 + sizeof(FILE_NAME) + 1];
    int handle;
    struct prng random;
    /* of the part that is measured */
    bool write, sequential;
    size_t block_bytes;
    uint64_t next, until_ns, done;
    int failure;
};

static const struct flags_row rows[] = {
    {"dir", "DIR", NULL, "A folder on the disk: a file is made there and removed again.",
     flags_parse_text, FLAGS_FIELD(struct iotune_options, dir), .max = 4096, .required = true},
    {"out", "FILE", "skein-io.properties",
     "Where the result goes, for skein serve --io-properties. An old one is replaced.",
     flags_parse_text, FLAGS_FIELD(struct iotune_options, out), .max = 4000},
    {"file-bytes", "BYTES", "256M",
     "Size of the file: larger than the cache of the disk for a true figure.", flags_parse_bytes,
     FLAGS_FIELD(struct iotune_options, file_bytes), 16 << 20, UINT64_C(1) << 40},
    {"seconds", "N", "20", "How long to measure, after the file is written.", flags_parse_number,
     FLAGS_FIELD(struct iotune_options, duration_ns), 1, 3600, SECOND_NS},
};

static const struct flags_command iotune_command = {
    .name = "iotune",
    .usage = "--dir DIR [OPTION...]",
    .summary = "measure a disk, for skein serve --io-properties",
    .details = "Measure while nothing else uses the disk. Exit status: 0; 1 on a failure, which is "
               "named.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
};

static int
one_operation(struct iotune *tune, void *data)
{
    uint64_t blocks = tune->options.file_bytes / tune->block_bytes;
    uint64_t block = tune->sequential ? tune->next++ % blocks : prng_below(&tune->random, blocks);
    uint64_t offset = block * tune->block_bytes;
    if (tune->write)
        return skein_file_pwrite(tune->handle, data, tune->block_bytes, offset, SKEIN_FILE_DSYNC);
    ssize_t n = skein_file_pread(tune->handle, data, tune->block_bytes, offset);
    if (n < 0)
        return (int)n;
    return (size_t)n == tune->block_bytes ? 0 : -SKEIN_EEOF;
}

static void
worker(void *arg)
{
    struct iotune *tune = arg;
    uint8_t *data = mem_alloc_aligned(SMALL_BYTES, tune->block_bytes);
    prng_fill(&tune->random, data, tune->block_bytes); /* what compresses is no measure */
    while (tune->failure == 0 && skein_now_ns() < tune->until_ns) {
        int rc = one_operation(tune, data);
        if (rc < 0)
            tune->failure = rc;
        else
            tune->done++;
    }
    mem_free(data);
}

/* Operations a second, at least 1. */
static int
measure(struct iotune *tune, bool write, bool sequential, uint64_t *out_rate)
{
    struct skein_scope scope;
    int depth = sequential ? BIG_DEPTH : SMALL_DEPTH, rc = 0;
    tune->write = write;
    tune->sequential = sequential;
    tune->block_bytes = sequential ? BIG_BYTES : SMALL_BYTES;
    tune->next = tune->done = 0;
    uint64_t begun_ns = skein_now_ns();
    tune->until_ns = begun_ns + tune->options.duration_ns / PART_COUNT;
    skein_scope_init(&scope);
    for (int i = 0; i < depth && rc == 0; i++)
        rc = skein_spawn(&scope, "iotune", worker, tune, SKEIN_STACK_SMALL);
    skein_scope_join(&scope);
    if (rc == 0)
        rc = tune->failure;
    double seconds = (double)(skein_now_ns() - begun_ns) / (double)SECOND_NS;
    uint64_t rate = (uint64_t)((double)tune->done / seconds);
    *out_rate = rate > 0 ? rate : 1;
    return rc;
}

/* Every byte is written once, so that reads come from the disk and writes allocate nothing. */
static int
fill_file(struct iotune *tune)
{
    uint8_t *data = mem_alloc_aligned(SMALL_BYTES, BIG_BYTES);
    int rc = 0;
    tune->options.file_bytes -= tune->options.file_bytes % BIG_BYTES;
    for (uint64_t at = 0; at < tune->options.file_bytes && rc == 0; at += BIG_BYTES) {
        prng_fill(&tune->random, data, BIG_BYTES);
        rc = skein_file_pwrite(tune->handle, data, BIG_BYTES, at, 0);
    }
    mem_free(data);
    return rc == 0 ? skein_file_sync(tune->handle, 0) : rc;
}

static int
measure_all(struct iotune *tune, struct skein_io_properties *out)
{
    uint64_t read_rate = 0, write_rate = 0;
    int rc = fill_file(tune);
    if (rc == 0)
        rc = measure(tune, true, true, &write_rate);
    if (rc == 0)
        rc = measure(tune, false, true, &read_rate);
    if (rc == 0)
        rc = measure(tune, false, false, &out->read_iops);
    if (rc == 0)
        rc = measure(tune, true, false, &out->write_iops);
    out->read_bytes_per_second = read_rate * BIG_BYTES;
    out->write_bytes_per_second = write_rate * BIG_BYTES;
    return rc;
}

/* Whole or not at all: written beside it, then renamed. */
static int
write_result(const struct iotune *tune, const struct skein_io_properties *properties)
{
    char text[SKEIN_IO_TEXT_BYTES_MAX], beside[4096 + 8];
    size_t bytes = skein_io_properties_text(properties, text);
    snprintf(beside, sizeof(beside), "%s.new", tune->options.out);
    int handle =
        skein_file_open(beside, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC, 0644);
    if (handle < 0)
        return handle;
    int rc = skein_file_pwrite(handle, text, bytes, 0, 0);
    if (rc == 0)
        rc = skein_file_sync(handle, 0);
    skein_close(handle);
    return rc == 0 ? skein_file_rename(beside, tune->options.out) : rc;
}

static int
fail(const char *what, int rc)
{
    fprintf(stderr, "skein iotune: %s: %s\n", what, skein_error_text(rc));
    return 1;
}

static int
iotune_main(void *arg)
{
    struct iotune *tune = arg;
    struct skein_io_properties properties = {0};
    snprintf(tune->path, sizeof(tune->path), "%s/%s", tune->options.dir, FILE_NAME);
    prng_init(&tune->random, skein_random());
    tune->handle = skein_file_open(
        tune->path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE | SKEIN_FILE_TRUNC | SKEIN_FILE_DIRECT,
        0600);
    if (tune->handle < 0)
        return fail(tune->path, tune->handle);
    int rc = measure_all(tune, &properties);
    skein_close(tune->handle);
    int removed = skein_file_unlink(tune->path, 0);
    if (rc < 0 || removed < 0)
        return fail(tune->path, rc < 0 ? rc : removed);
    printf("reads    %8" PRIu64 " a second of 4 KiB, %6" PRIu64 " MiB/s in sequence\n"
           "writes   %8" PRIu64 " a second of 4 KiB, %6" PRIu64 " MiB/s in sequence (durable)\n",
           properties.read_iops, properties.read_bytes_per_second / BIG_BYTES,
           properties.write_iops, properties.write_bytes_per_second / BIG_BYTES);
    rc = write_result(tune, &properties);
    if (rc < 0)
        return fail(tune->options.out, rc);
    printf("skein serve --io-properties %s\n", tune->options.out);
    return 0;
}

int
cmd_iotune(int argc, char **argv)
{
    struct iotune tune = {.failure = 0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&iotune_command, argc - 1, argv + 1, &tune.options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    return world_run("iotune", iotune_main, &tune);
}
