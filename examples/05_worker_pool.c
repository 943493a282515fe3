/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of workers over all shards: how many primes are there below each number of the input? Two
 * jobs at a time run on a shard; whoever is free takes the next one; answers come in the order of
 * the questions, and at the end how many jobs each shard has done.
 *
 *     seq 10000 10000 200000 | 05_worker_pool SHARDS        SHARDS: 0 for all processors
 */
#include <stdio.h>
#include <stdlib.h>

#include "skein/core.h"

#define JOBS_EACH 2
#define NUMBER_MAX 100000000u
#define JOB_COUNT_MAX 1000

struct job {
    uint64_t number;
    int64_t prime_count; /* the answer, or a negative code */
    unsigned shard;      /* who did it */
    struct skein_channel *free_shards;
};

/* On a worker's shard. Yields, so that two jobs share it and a cancellation would be heard. */
static int64_t
count_primes(void *arg)
{
    const struct job *job = arg;
    int64_t count = 0;
    for (uint64_t n = 2; n < job->number; n++) {
        uint64_t divisor = 2;
        while (divisor * divisor <= n && n % divisor != 0)
            divisor++;
        count += divisor * divisor > n;
        if (n % 1024 == 0)
            skein_yield();
        if (skein_cancelled())
            return -SKEIN_ECANCELED;
    }
    return count;
}

/* A fiber of shard 0 for each job: waits for a shard that is free, and has it work. */
static void
run_job(void *arg)
{
    struct job *job = arg;
    int rc = skein_channel_recv(job->free_shards, &job->shard, SKEIN_NEVER);
    job->prime_count = rc < 0 ? rc : skein_call(job->shard, count_primes, job, SKEIN_NEVER);
    if (rc == 0)
        (void)!skein_channel_try_send(job->free_shards, &job->shard);
}

static int
run_jobs(struct skein_channel *free_shards)
{
    static struct job jobs[JOB_COUNT_MAX];
    struct skein_scope scope;
    unsigned long long number;
    int done[256] = {0};
    int rc = 0;
    int count = 0;
    skein_scope_init(&scope);
    while (rc == 0 && count < JOB_COUNT_MAX && scanf("%llu", &number) == 1) {
        struct job *job = &jobs[count++];
        *job = (struct job){.number = number, .free_shards = free_shards};
        rc = number > NUMBER_MAX ? -SKEIN_EINVALID
                                 : skein_spawn(&scope, "job", run_job, job, SKEIN_STACK_SMALL);
    }
    skein_scope_join(&scope);
    for (int i = 0; rc == 0 && i < count; i++) {
        if (jobs[i].prime_count < 0)
            return (int)jobs[i].prime_count;
        printf("%llu: %lld\n", (unsigned long long)jobs[i].number, (long long)jobs[i].prime_count);
        done[jobs[i].shard]++;
    }
    for (unsigned i = 0; rc == 0 && i < skein_shard_count(); i++)
        printf("shard %u did %d\n", i, done[i]);
    return rc;
}

static int
run_pool(void *arg)
{
    struct skein_channel free_shards = {0};
    unsigned count = skein_shard_count() * JOBS_EACH;
    int rc = skein_channel_init(&free_shards, sizeof(unsigned), count);
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = skein_channel_try_send(&free_shards, &(unsigned){i % skein_shard_count()});
    if (rc == 0)
        rc = run_jobs(&free_shards);
    skein_channel_deinit(&free_shards);
    return rc;
}

int
main(int argc, char **argv)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    char why[SKEIN_WHY_BYTES] = "usage: 05_worker_pool SHARDS < NUMBERS";
    char *end = NULL;
    int result = 0;
    options.shard_count = argc == 2 ? (unsigned)strtoul(argv[1], &end, 10) : 0;
    int rc = end && end != argv[1] && *end == '\0'
                 ? skein_runtime_run(&options, run_pool, NULL, &result, why)
                 : -SKEIN_EINVALID;
    if (rc < 0 || result < 0)
        fprintf(stderr, "05_worker_pool: %s\n", rc < 0 ? why : skein_error_text(result));
    return rc < 0 || result < 0;
}
