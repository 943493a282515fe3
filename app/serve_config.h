/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_SERVE_CONFIG_H
#define APP_SERVE_CONFIG_H

#include "app/flags.h"
#include "kv/node.h"
#include "replica/peers.h"
#include "skein/backend.h"

/*
 * What `skein serve` is told. The rows of its flags fill the node's options in place, so a flag
 * that is parsed is a flag that counts.
 */

/* Where metrics are served, if anywhere. */
struct serve_metrics {
    bool on;
    struct skein_addr addr;
};

struct serve_config {
    struct kv_node_options node;
    struct replica_peers peers;
    struct skein_log_levels log_levels;
    struct serve_metrics metrics;
    const char *io_properties; /* a file of skein iotune; NULL: none */
    struct skein_backend_options backend;
    bool allow_plaintext; /* peers or clients that are not on loopback */
};

extern const struct flags_command serve_command;

/* serve_parse_peers - "1=127.0.0.1:7101,2=127.0.0.1:7102": numbers 1 to 65535, each once. */
flags_parse_fn serve_parse_peers;
flags_parse_fn serve_parse_levels;
flags_parse_fn serve_parse_metrics;
flags_parse_fn serve_parse_backend;
flags_parse_fn serve_parse_store;
flags_parse_fn serve_parse_gather;
/* serve_parse_advertise - an address with a port that somebody else can connect to. */
flags_parse_fn serve_parse_advertise;
/* serve_parse_priority - 0 to REPLICA_RANK_MAX, into a rank: the other way round. */
flags_parse_fn serve_parse_priority;

/*
 * serve_config_check - what no row can see alone: the node is among its peers, limits fit each
 * other, plain text stays on loopback.
 * **Returns** 0; -SKEIN_EINVALID with a line for a person in @out_why.
 */
int serve_config_check(struct serve_config *config, char out_why[256]) SKEIN_MUST_CHECK;

#endif
