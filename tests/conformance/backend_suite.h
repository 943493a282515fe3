/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_BACKEND_SUITE_H
#define TESTS_CONFORMANCE_BACKEND_SUITE_H

#include <stddef.h>

#include "core/check.h"

/*
 * What every implementation of core/backend.h has to do, seen through skein/io.h. A case runs as
 * the first fiber of a shard of the world under test:
 *
 *     for each case:  world->run(world, case)  ->  a fresh directory, a shard, skein_shard_run or
 *                                                  turns, then backend_suite_case_run in the fiber
 */

struct backend_suite_run {
    struct check check;
    const char
        *directory; /* exists, is empty, is this case's alone; a path without a final slash */
};

struct backend_suite_case {
    const char *name;
    void (*fn)(struct backend_suite_run *run);
};

/* Those of backend_suite_file.c. */
void backend_suite_vectored_files(struct backend_suite_run *run);
void backend_suite_allocation(struct backend_suite_run *run);
void backend_suite_durable_names(struct backend_suite_run *run);
void backend_suite_bad_handles(struct backend_suite_run *run);
void backend_suite_files_to_sockets(struct backend_suite_run *run);
void backend_suite_watches(struct backend_suite_run *run);
/* Those of backend_suite_stream.c. */
void backend_suite_file_streams(struct backend_suite_run *run);
void backend_suite_file_stream_errors(struct backend_suite_run *run);
void backend_suite_maps(struct backend_suite_run *run);
/* Those of backend_suite_net.c. */
void backend_suite_bad_sockets(struct backend_suite_run *run);
void backend_suite_options(struct backend_suite_run *run);
void backend_suite_datagrams(struct backend_suite_run *run);
void backend_suite_unix_streams(struct backend_suite_run *run);
void backend_suite_unix_backlog(struct backend_suite_run *run);
void backend_suite_unix_datagrams_full(struct backend_suite_run *run);
void backend_suite_unix_datagrams(struct backend_suite_run *run);

/* All cases; ends with a NULL name. */
extern const struct backend_suite_case backend_suite_cases[];

struct backend_suite_world {
    /* Run @main_fn(@arg) as the first fiber of a shard until the shard is finished; returns what
     * @main_fn returned. The shard's backend is the one under test. */
    int (*run)(struct backend_suite_world *world, int (*main_fn)(void *arg), void *arg);
    const char *directory; /* see struct backend_suite_run */
};

/* backend_suite_case_run - one case in a world. **Returns** how many checks failed. */
unsigned backend_suite_case_run(struct backend_suite_world *world,
                                const struct backend_suite_case *suite_case);

#endif
