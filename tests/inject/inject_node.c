/* SPDX-License-Identifier: Apache-2.0 */
/* A whole node of the store, alone: it opens, elects itself, serves a while, and stops. */
#include "inject/inject.h"
#include "kv/node.h"
#include "net/addr.h"
#include "replica/link_tcp.h"
#include "sim/net.h"

#define SECOND 1000000000ull

static int
serve_a_while(const struct kv_node_options *options)
{
    char why[512];
    struct kv_node *node;
    int rc = kv_node_open(&node, options, why);
    if (rc < 0)
        return rc;
    rc = skein_sleep(skein_deadline_in(3 * SECOND));
    kv_node_stop(node);
    return rc;
}

static int
node_main(void *arg)
{
    struct kv_node_options options;
    (void)arg;
    kv_node_options_init(&options);
    struct replica_peer peer = {.node = 1, .addr = sim_host_addr(1, 7000)};
    options.listen = sim_host_addr(1, 6379);
    options.replica.cluster_name = "inject";
    options.replica.node = 1;
    options.replica.peers = &peer;
    options.replica.peer_count = 1;
    options.replica.data_dir = "/case/node";
    options.shutdown_timeout_ns = 2 * SECOND;
    const struct link_tcp_options link_options = {.cluster_name = "inject",
                                                  .node = 1,
                                                  .peers = &peer,
                                                  .peer_count = 1,
                                                  .queue_bytes_max = 1u << 20};
    int rc = link_tcp_open(&options.replica.link, &link_options);
    return rc < 0 ? rc : serve_a_while(&options);
}

const struct inject_case inject_node_case = {"node", node_main, NULL, true};
