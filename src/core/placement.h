/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_PLACEMENT_H
#define CORE_PLACEMENT_H

#include <stdbool.h>

#include "skein/runtime.h"

/*
 * Which processor each shard gets.
 *
 * Read, below a root directory (a fake one in tests):
 *   /proc/self/status                                        Cpus_allowed_list: the cpuset
 *   /sys/devices/system/node/online, nodeN/cpulist           NUMA nodes; none: one node
 *   /sys/devices/system/cpu/cpuN/topology/thread_siblings_list   who shares a core; none: nobody
 *
 * All of it is text from outside: what cannot be understood is an error with the file's name.
 */

#define PLACEMENT_CPU_MAX 1024u
#define PLACEMENT_NODE_MAX 64u

struct placement_cpu {
    unsigned number;
    unsigned node;
    unsigned thread; /* 0: the first hardware thread of its core, 1: the second ... */
};

struct placement {
    unsigned cpu_count;
    unsigned node_count; /* nodes that have a processor we may use */
    struct placement_cpu cpus[PLACEMENT_CPU_MAX];
};

/*
 * placement_list_parse - "0-3,8" into a set; spaces at the end are ignored.
 * @out_set: one bool for each number below @count_max. **Returns** how many numbers are in it;
 * -SKEIN_EINVALID: not such a list, empty, or a number is too high.
 */
int placement_list_parse(const char *text, bool *out_set, unsigned count_max) SKEIN_MUST_CHECK;

/*
 * placement_read - the processors the process may use, by number.
 * @root: "" or a directory that stands for /. @cpus: a list that narrows them down, or NULL.
 * **Returns** 0; -SKEIN_EINVALID with the reason in @out_why: a list or a file makes no sense, or
 * @cpus names a processor that the process may not use.
 */
int placement_read(struct placement *out_placement, const char *root, const char *cpus,
                   char out_why[SKEIN_WHY_BYTES]) SKEIN_MUST_CHECK;

/* placement_order - sort: first threads of cores before second ones, then by node (@spread: nodes
 * in turn), then by number. Shard i gets cpus[i % cpu_count]. */
void placement_order(struct placement *placement, bool spread);

/* placement_memory_node - the node to which the memory of a shard on @cpu is bound; -1: there is no
 * choice. */
int placement_memory_node(const struct placement *placement, struct placement_cpu cpu);

#endif
