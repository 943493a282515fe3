/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_SHARDS_SUITE_H
#define TESTS_CONFORMANCE_SHARDS_SUITE_H

#include "core/check.h"

/*
 * What shards do for each other (skein/call.h, skein/service.h), whether they are threads or share
 * one in the simulator. A case runs as main_fn of a runtime of SHARDS_SUITE_COUNT shards.
 */

#define SHARDS_SUITE_COUNT 3

struct shards_suite_case {
    const char *name;
    void (*fn)(struct check *check);
};

/* All cases; ends with a NULL name. */
extern const struct shards_suite_case shards_suite_cases[];

/* A case as main_fn: @arg is a struct shards_suite_run. */
struct shards_suite_run {
    const struct shards_suite_case *suite_case;
    struct check check;
};
int shards_suite_main(void *arg);

#endif
