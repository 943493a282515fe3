/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "kv/caller.h"
#include "sim/cluster.h"

/* Between the clients (workload.c) and what they ask (workload_draw.c). */

#define PIPELINE_MAX 8
#define WORKLOAD_ARGC_MAX 5
#define WORKLOAD_VALUE_BYTES_MAX 4096
/* Keys of an epoch are left alone (but for reads) when the next one begins, so that operations
 * whose outcome is unknown do not pile up on one key: the checker's cost grows with them. */
#define WORKLOAD_EPOCH_NS (6 * SIM_SECOND)
#define WORKLOAD_EPOCH_UNKNOWN_MAX 12
#define WORKLOAD_REGISTERS 3
#define WORKLOAD_COUNTERS 1
#define WORKLOAD_LISTS 1
#define WORKLOAD_KEYS (WORKLOAD_REGISTERS + WORKLOAD_COUNTERS + WORKLOAD_LISTS)

struct workload_op {
    enum skein_linear_kind kind;
    bool recorded;  /* in the history; else only noise (keys that expire) */
    bool wants_old; /* SET .. GET */
    size_t number;  /* in the history */
    char key[32];
    char arg[WORKLOAD_VALUE_BYTES_MAX + 1];
    struct kv_arg argv[WORKLOAD_ARGC_MAX];
    uint32_t argc;
};

struct sim_client {
    struct sim_cluster *cluster;
    uint32_t number; /* from 1 */
    uint32_t node;   /* where it is, or was last */
    uint32_t group;  /* whose port it is, or was last, connected to */
    struct kv_client *connection;
    enum replica_level level; /* of the connection's reads */
    uint64_t stale_ns;
    bool last_reads;                           /* linearizable from now on */
    struct kv_caller *callers[SIM_GROUPS_MAX]; /* for what is carried out once, by group */
    uint64_t value_sequence;
    uint64_t done_count, mark_count;
    struct workload_op ops[PIPELINE_MAX];
};

/* workload_draw - the next @count commands, for the client's group: each has keys of its own. */
void workload_draw(struct sim_client *client, uint32_t count);
/* workload_read - a GET of key @key of the client's group (below workload_key_count: all that were
 * ever used in a group). */
void workload_read(struct sim_client *client, uint32_t key);
uint32_t workload_key_count(const struct sim_cluster *cluster);

#endif
