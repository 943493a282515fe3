/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_NODE_H
#define KV_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/fiber.h"
#include "kv/machine.h"
#include "obs/log.h"
#include "replica/replica.h"

/*
 * A whole node of the store: replica + machine + the RESP face. `skein serve` and the simulator run
 * this same function.
 */

struct kv_node_options {
    struct replica_options
        replica; /* link, peers, data_dir ...; machine_* are filled in by the node */
    /* Keys belong to all of replica.group_count groups, at most KV_GROUPS_MAX, by their slots
     * (kv/route.h). False: the port serves group 0 alone. */
    bool route_keys;
    enum kv_store store;      /* where the keys are; of the data directory, for good */
    struct skein_addr listen; /* clients; port 0 picks a free one */
    /* Where they are told to connect when this node leads. Port 0: at listen, unless that is every
     * address of the machine. */
    struct skein_addr advertise;
    struct kv_limits limits;      /* of the commands that come in by this node, on every member */
    uint64_t command_timeout_ns;  /* 5 s: how long a client's command may wait for a leader and its
                                     outcome */
    uint32_t client_count_max;    /* 10000: more connections are refused with an error */
    uint64_t query_bytes_max;     /* 32 MiB: of one client's unparsed command */
    uint64_t shutdown_timeout_ns; /* 5 s */
    bool allow_plaintext;         /* peers that are not on loopback may be added */
    bool metrics;                 /* serve them over HTTP (kv/scrape.h) on ... */
    struct skein_addr metrics_listen;
};
/* kv_node_options_init - the defaults. */
void kv_node_options_init(struct kv_node_options *options);

struct kv_node;

/*
 * kv_node_open - open the replica, then listen. @out_why: one line on failure. **Ownership**: the
 * link is taken, also on failure. **Returns** as replica_open and net_listen.
 */
int kv_node_open(struct kv_node **out_node, const struct kv_node_options *options,
                 char out_why[512]) SKEIN_MUST_CHECK;
struct replica *kv_node_replica(struct kv_node *node);
/* kv_node_addr - where clients connect. */
struct skein_addr kv_node_addr(const struct kv_node *node);
/* kv_node_metrics_addr - where metrics are served; all zeros: nowhere. */
struct skein_addr kv_node_metrics_addr(const struct kv_node *node);
/* kv_node_wait - park until the replica failed (its code; why in @out_why) or the fiber is
 * cancelled. */
int kv_node_wait(struct kv_node *node, char out_why[512]);
/*
 * The node's end in steps, in this order, for skein_shutdown (skein/process.h); each once. Those
 * with a deadline suspend, and return -SKEIN_ETIMEDOUT when something was cut off at it.
 */
/* kv_node_stop_accepting - no more clients; those that wait for a command are closed. */
void kv_node_stop_accepting(struct kv_node *node);
/* kv_node_drain - wait for the commands under way, then close the clients. */
int kv_node_drain(struct kv_node *node, uint64_t deadline_ns);
/* kv_node_stop_timers - keys expire no more by this node's doing. Suspends. */
void kv_node_stop_timers(struct kv_node *node);
/* kv_node_stop_metrics - they are not served any more. Suspends. */
void kv_node_stop_metrics(struct kv_node *node);
/* kv_node_stop_replica - hand leadership over, stop it, close the log. Suspends. */
void kv_node_stop_replica(struct kv_node *node, uint64_t deadline_ns);
/* kv_node_close - free what is left. Suspends. */
void kv_node_close(struct kv_node *node);

/* kv_node_stop - all of it: stop accepting, let commands under way finish (within
 * shutdown_timeout_ns), close the clients, stop the replica, free. */
void kv_node_stop(struct kv_node *node);

#endif
