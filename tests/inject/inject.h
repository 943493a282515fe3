/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Faults of the program's own making, injected into it while it runs in the simulator.
 *
 *   shuffle    ready fibers run in a random order, calls that may suspend do       it has to work
 *   cancel     main is cancelled at the n-th suspension of any fiber               it has to end,
 *   allocate   the n-th allocation that may fail does                              and free all
 *
 * A case is the main of a simulated host with an empty disk. Each combination of case, seed and
 * point is a run of its own, and deterministic; a failure prints the command that repeats it.
 */

struct inject_case {
    const char *name;
    /* Returns 0 when all went as it should; with an injected fault anything. */
    int (*main_fn)(void *arg);
    void *arg;
    bool robust;              /* it ends in order whatever fails in it */
    bool dies_without_memory; /* as it should: a committed command cannot be skipped */
    unsigned shard_count;     /* 0: a shard alone, without a runtime */
};

enum inject_kind { INJECT_NOTHING, INJECT_SHUFFLE, INJECT_CANCEL, INJECT_ALLOCATE };

struct inject_plan {
    const struct inject_case *one;
    uint64_t seed;
    enum inject_kind kind;
    uint64_t point; /* of CANCEL and ALLOCATE: from 1 */
};

struct inject_outcome {
    bool finished; /* within a simulated hour */
    int result;
    size_t leaked_bytes;
    uint64_t suspension_count;
    uint64_t allocation_count; /* of those that may fail */
};

/* inject_run - one run. */
struct inject_outcome inject_run(const struct inject_plan *plan);

/* The cases. */
extern const struct inject_case inject_mixed_case;
extern const struct inject_case inject_node_case;
extern const struct inject_case inject_clients_case;
extern const struct inject_case inject_io_case;
extern const struct inject_case inject_net_case;
extern const struct inject_case inject_shards_case;
extern const struct inject_case inject_memory_case;
extern const struct inject_case inject_listener_case;
/* inject_backend_case - the case of the backends' conformance suite with that index; its name is
 * NULL after the last. They check results and use them, so they are shuffled only. */
struct inject_case inject_backend_case(size_t index);

#endif
