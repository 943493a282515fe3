/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_DEV_H
#define APP_DEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "skein/fiber.h"
#include "skein/process.h"
#include "kv/machine.h"
#include "replica/link.h"

/*
 * A local cluster under one foreground process.
 *
 *     skein dev --+-- fiber "node 1": fork, wait for the end, back off, fork again ...
 *                 |        skein serve --node 1 --listen 127.0.0.1:7001 --data DIR/node-1
 *                 +-- fiber "node 2" ...
 *                 +-- fiber "status": INFO of every node, once a second
 *                 +-- fiber "signals": Ctrl-C
 *
 * Each node is a process in a process group of its own, so that Ctrl-C reaches dev alone, and dies
 * with dev (PR_SET_PDEATHSIG), so that none is left behind by a kill -9 of dev. A node writes its
 * log to DIR/node-N.log, which is cut at 8 MiB (the newest MiB is kept in DIR/node-N.log.old).
 *
 *     starting --> running --ended--> waiting --backoff--> starting ...
 *                     |                  (--no-restart: down)
 *                     +--- Ctrl-C ---> stopped
 */

#define DEV_NODES_MAX REPLICA_NODES_MAX
/* Peers listen this far above their clients. */
#define DEV_PEER_PORT_OFFSET 100
/* And serve their metrics this far above. */
#define DEV_METRICS_PORT_OFFSET 200

struct dev_options {
    uint32_t nodes;
    uint32_t base_port;
    const char *data_dir;
    bool no_restart;
    enum kv_store store;
    uint32_t groups;
};

struct dev;

struct dev_node {
    struct dev *dev;
    uint32_t number; /* 1 .. nodes */
    pid_t pid;       /* 0: not running */
    struct skein_child *child;
    struct skein_child_status status; /* of the last run */
    struct skein_scope waiting;       /* the fiber that waits for the end of this run */
    uint64_t started_ns;
    uint32_t restarts;
    uint32_t backoff_ms;
    struct skein_waitq changed; /* it ended, or dev is stopping */
    char data_dir[4096];
    char log_path[4096 + 8];

    /* As of the last INFO. */
    bool answers;
    char phase[24], role[24], waiting_for[128];
    uint64_t term, commit, keys, ops;
};

struct dev {
    struct dev_options options;
    struct dev_node nodes[DEV_NODES_MAX];
    struct skein_waitq changed; /* stopping */
    struct skein_signals *signals;
    bool stopping;
    bool terminal;   /* standard output is one: the table is drawn */
    uint32_t drawn;  /* lines of it that stand on the screen */
    uint32_t leader; /* the last one announced; 0: none */
    bool greeted;
};

/* dev_node.c */
/* dev_node_init - names and paths. **Returns** 0; -ENAMETOOLONG. */
int dev_node_init(struct dev_node *node, struct dev *dev, uint32_t number) SKEIN_MUST_CHECK;
/* dev_node_run - the fiber of one node (arg: the dev_node): runs until dev is stopping. */
void dev_node_run(void *arg);
/* dev_node_kill - at once. */
void dev_node_kill(struct dev_node *node);

/* dev_log.c */
/* dev_log_open - the node's log, to be a child's standard error. **Returns** a descriptor, -errno.
 */
int dev_log_open(const struct dev_node *node) SKEIN_MUST_CHECK;
/* dev_log_trim - cut the log when it has grown too long. */
void dev_log_trim(const struct dev_node *node);
/* dev_log_tail - the log's last line, cut to fit; "" when there is none. Returns @out. */
const char *dev_log_tail(const struct dev_node *node, char *out, size_t out_bytes);

/* dev_status.c */
/* dev_status_run - the fiber that watches the nodes (arg: the dev). */
void dev_status_run(void *arg);

/* dev_screen.c */
/* dev_event - one line for the person, above the table when there is one. */
void dev_event(struct dev *dev, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* dev_draw - the table, on a terminal. */
void dev_draw(struct dev *dev);
/* dev_greet - how to talk to the cluster, once it has a leader. */
void dev_greet(struct dev *dev);

#endif
