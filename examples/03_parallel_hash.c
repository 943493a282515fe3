/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes of files, every shard at work: shard i of n reads blocks i, i + n, i + 2n ... of 1 MiB and
 * hashes each (FNV-1a, 64 bits); the hash of a file is that of its blocks' hashes, so it does not
 * depend on how many shards there are.
 *
 *     03_parallel_hash SHARDS FILE...        SHARDS: 0 for all processors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "skein/core.h"

#define BLOCK_BYTES ((uint64_t)1 << 20)
#define BLOCK_COUNT_MAX ((uint64_t)1 << 24)

struct job {
    const char *path;
    uint64_t bytes;
    uint64_t block_count;
    uint64_t *hashes; /* each written by the shard whose block it is */
};

static uint64_t
hash(const uint8_t *data, size_t count)
{
    uint64_t value = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        value = (value ^ data[i]) * 0x100000001b3u;
    return value;
}

static int
hash_blocks(const struct job *job, int file, uint8_t *buffer)
{
    for (uint64_t i = skein_shard_index(); i < job->block_count; i += skein_shard_count()) {
        uint64_t left = job->bytes - i * BLOCK_BYTES;
        size_t want = left < BLOCK_BYTES ? (size_t)left : (size_t)BLOCK_BYTES;
        ssize_t got = skein_file_pread(file, buffer, want, i * BLOCK_BYTES);
        if (got < 0)
            return (int)got;
        if ((size_t)got < want)
            return -SKEIN_EEOF; /* it has become shorter */
        job->hashes[i] = hash(buffer, want);
    }
    return 0;
}

/* On every shard at once. */
static int64_t
hash_part(void *arg)
{
    const struct job *job = arg;
    uint8_t *buffer = skein_alloc_aligned(4096, BLOCK_BYTES);
    if (!buffer)
        return -ENOMEM;
    int file = skein_file_open(job->path, SKEIN_FILE_RDONLY, 0);
    int rc = file < 0 ? file : hash_blocks(job, file, buffer);
    if (file >= 0)
        (void)!skein_close(file);
    skein_free(buffer);
    return rc;
}

static int
hash_file(const char *path)
{
    struct skein_stat stat;
    struct job job = {.path = path};
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return rc;
    job.bytes = stat.size_bytes;
    job.block_count = (job.bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    if (job.block_count > BLOCK_COUNT_MAX)
        return -SKEIN_ETOOBIG;
    job.hashes = skein_alloc(job.block_count * sizeof(job.hashes[0]));
    if (!job.hashes)
        return -ENOMEM;
    rc = skein_call_all(hash_part, &job, NULL, SKEIN_NEVER);
    if (rc == 0) {
        const uint8_t *hashes = (const uint8_t *)job.hashes;
        printf("%016" PRIx64 "  %s\n", hash(hashes, job.block_count * sizeof(job.hashes[0])), path);
    }
    skein_free(job.hashes);
    return rc;
}

static int
hash_files(void *arg)
{
    int status = 0;
    for (char **path = arg; *path; path++) {
        int rc = hash_file(*path);
        if (rc < 0) {
            fprintf(stderr, "03_parallel_hash: %s: %s\n", *path, skein_error_text(rc));
            status = 1;
        }
    }
    return status;
}

int
main(int argc, char **argv)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES] = "usage: 03_parallel_hash SHARDS FILE...";
    char *end = NULL;
    int status = 1;
    unsigned long shards = argc >= 3 ? strtoul(argv[1], &end, 10) : 0;
    options.shard_count = (unsigned)shards;
    int rc = end && end != argv[1] && *end == '\0' && shards <= 256
                 ? skein_runtime_run(&options, hash_files, argv + 2, &status, why)
                 : -SKEIN_EINVALID;
    if (rc < 0)
        fprintf(stderr, "03_parallel_hash: %s\n", why);
    return rc < 0 ? 2 : status;
}
