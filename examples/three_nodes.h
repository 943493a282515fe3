/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXAMPLES_THREE_NODES_H
#define EXAMPLES_THREE_NODES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "skein/core.h"
#include "skein/replica.h"
#include "skein/runtime.h"

/*
 * Three nodes of one cluster in one process, on loopback, for examples that show a machine at work.
 * In earnest each is a process of its own, as in 07_counter.c.
 */

#define SECOND_NS UINT64_C(1000000000)

struct three_nodes {
    struct skein_replica *node[3];
    const struct skein_machine_ops *machine;
    const char *dir;
    char peers[128];
};

static inline int
three_nodes_start(struct three_nodes *nodes, unsigned i)
{
    char data_dir[256], why[SKEIN_REPLICA_WHY_BYTES];
    snprintf(data_dir, sizeof data_dir, "%s/%u", nodes->dir, i + 1);
    struct skein_replica_options options = {.cluster_name = "example",
                                            .node = i + 1,
                                            .peers = nodes->peers,
                                            .data_dir = data_dir,
                                            .machine = nodes->machine,
                                            .tick_ns = SECOND_NS / 50,
                                            .segment_bytes = 1 << 20};
    int rc = skein_replica_open(&nodes->node[i], &options, why);
    if (rc < 0)
        fprintf(stderr, "node %u: %s\n", i + 1, why);
    return rc;
}

static inline void
three_nodes_stop(struct three_nodes *nodes, unsigned i)
{
    skein_replica_stop(nodes->node[i], skein_deadline_in(SECOND_NS));
    nodes->node[i] = NULL;
}

/* @argv: DIR PORT; the nodes talk on PORT, PORT + 1 and PORT + 2. Runs @main_fn with @nodes open.
 */
static inline int
three_nodes_open(struct three_nodes *nodes, const struct skein_machine_ops *machine, char **argv)
{
    int port = atoi(argv[2]);
    *nodes = (struct three_nodes){.machine = machine, .dir = argv[1]};
    mkdir(argv[1], 0755);
    snprintf(nodes->peers, sizeof nodes->peers, "1=127.0.0.1:%d,2=127.0.0.1:%d,3=127.0.0.1:%d",
             port, port + 1, port + 2);
    int rc = 0;
    for (unsigned i = 0; i < 3 && rc == 0; i++)
        rc = three_nodes_start(nodes, i);
    return rc;
}

static inline int
three_nodes_run(int argc, char **argv, int (*main_fn)(void *arg))
{
    struct skein_runtime_options options = {.shard_count = 1};
    char why[SKEIN_WHY_BYTES] = "usage: DIR PORT";
    int result = 64;
    if (argc != 3 || skein_runtime_run(&options, main_fn, argv, &result, why) < 0)
        fprintf(stderr, "%s: %s\n", argv[0], why);
    return result;
}

#endif
