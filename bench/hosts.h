/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HOSTS_H
#define BENCH_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

/* Between the parent of bench/hosts.c and its nodes (bench/hosts_node.c). */

#define HOSTS_NODES 3u
#define HOSTS_QUIESCE_TICKS 20u

struct hosts_options {
    uint32_t group_count;
    uint32_t write_count; /* of all nodes; each write is followed by a read */
    uint32_t tick_ms, quiesce_ticks;
    uint16_t peer_ports[HOSTS_NODES];
    uint32_t node;
    char data_dir[224];
    int port_pipe; /* where the node writes the port of its control connection, a uint16_t */
};

enum hosts_outcome { HOSTS_DONE, HOSTS_FAILED, HOSTS_UNKNOWN };

/* One operation, by the machine's monotonic clock. */
struct hosts_record {
    uint64_t call_ns, return_ns;
    uint64_t value;    /* written; never 0 */
    uint64_t observed; /* read, or there before the write; 0: nothing yet */
    uint32_t group;
    uint8_t is_read;
    uint8_t outcome; /* enum hosts_outcome */
    uint16_t unused;
};

/*
 * hosts_node_run - one node until it is told to stop. On its control connection, a line each:
 *   formed -> groups whose leader it knows          cpu -> nanoseconds of processor time so far
 *   load   -> how many records, then struct hosts_record   stop -> nothing, and the node ends
 * Returns the exit status of the process.
 */
int hosts_node_run(struct hosts_options *options);

#endif
