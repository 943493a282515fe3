/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_PEERS_H
#define REPLICA_PEERS_H

#include "replica/link.h"

/* The nodes of a cluster, as a person writes them: "1=127.0.0.1:7101,2=127.0.0.1:7102". */
struct replica_peers {
    struct replica_peer list[REPLICA_NODES_MAX];
    uint32_t count;
};

/* replica_peers_parse - numbers 1 to 65535 and addresses with ports, each once.
 * **Returns** 0; -SKEIN_EINVALID, with what was expected and where in @out_why. */
int replica_peers_parse(const char *text, struct replica_peers *out_peers,
                        char out_why[256]) SKEIN_MUST_CHECK;

#endif
