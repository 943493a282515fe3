/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_DISK_H
#define BENCH_DISK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skein/backend.h"
#include "skein/error.h"
#include "skein/shard.h"

/* What the programs that measure a disk beside fio share. */

static inline void
die(const char *what, int rc)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, skein_error_text(rc));
    exit(1);
}

/* run_on_shard - @fn(@arg) as the main fiber of one shard on io_uring. */
static inline void
run_on_shard(int (*fn)(void *arg), void *arg)
{
    struct skein_shard_options options = {.stacks = skein_stack_pool_open()};
    struct skein_backend_options wanted = {.kind = SKEIN_BACKEND_IO_URING};
    struct skein_backend_choice choice;
    struct skein_shard *shard = NULL;
    int rc = skein_backend_open(&options.backend, &wanted, &choice);
    if (rc == 0)
        rc = skein_shard_open(&shard, &options);
    if (rc == 0)
        rc = skein_shard_run(shard, fn, arg);
    if (rc < 0)
        die("shard", rc);
    skein_shard_close(shard);
    skein_backend_close(options.backend);
    skein_stack_pool_close(options.stacks);
}

/* fio_rate - what @command, a fio with --minimal (terse format, version 3), says in its @field,
 * from 1. Ends the program when there is no fio or no number. */
static inline double
fio_rate(const char *command, int field)
{
    char line[8192];
    FILE *pipe = popen(command, "r");
    char *at = pipe ? fgets(line, sizeof(line), pipe) : NULL;
    if (!pipe || pclose(pipe) != 0 || !at)
        die("fio does not run (package fio)", -ENOENT);
    for (int i = 1; at && i < field; i++) {
        at = strchr(at, ';');
        at = at ? at + 1 : NULL;
    }
    double rate = at ? atof(at) : 0;
    if (rate <= 0)
        die("fio's output cannot be understood", -EINVAL);
    return rate;
}

#endif
