/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_LINK_H
#define REPLICA_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "core/backend.h"

/*
 * The seam between replicas: delivers *authenticated peer, message*.
 *
 * A link carries whole messages between the nodes of one cluster, at most once, not necessarily in
 * order, possibly never. What it vouches for is who sent a message: `from` in on_message is the
 * peer's authenticated number, whatever the message itself claims. Implementations:
 * replica/link_tcp (connections; plain, loopback by default) and sim/.
 *
 * Bounds: each peer has a queue limited in bytes; what does not fit is dropped, counted and
 * reported by -SKEIN_EAGAIN. The peers may change while it runs; calls of neither kind suspend but
 * start and stop.
 */

#define REPLICA_NODES_MAX 15
/* The largest message; larger frames end the connection. */
#define REPLICA_MESSAGE_BYTES_MAX (64u << 20)

struct replica_peer {
    uint32_t node; /* 1 to 65535 */
    struct skein_addr addr;
};

struct replica_link;

struct replica_link_handler {
    void *owner;
    /* A message from the authenticated @from. @message is borrowed (take a reference to keep it).
     * Called on the shard, from a fiber of the link; must not suspend. */
    void (*on_message)(void *owner, uint32_t from, struct bytes message);
    /* What was sent to @node lately may be lost (a connection broke, a queue was full). */
    void (*on_lost)(void *owner, uint32_t node);
    /* @node was reached and answers that it does not know this node. NULL: nobody asks. */
    void (*on_refused)(void *owner, uint32_t node);
};

struct replica_link_stats {
    uint64_t sent, received; /* messages */
    uint64_t sent_bytes, received_bytes;
    uint64_t dropped_queue_full, dropped_unconnected,
        refused; /* refused: handshakes and frames that broke the protocol */
    /* Connections accepted from nodes that speak an older version of the protocol than this one. */
    uint64_t welcomed_older;
};

struct replica_link_ops {
    const char *name;
    /* start - begin to listen, dial and deliver to @handler (borrowed until stop returns). May
     * suspend. */
    int (*start)(struct replica_link *link, const struct replica_link_handler *handler);
    /* send - queue one message for @node; takes a reference of its own. 0, -SKEIN_EAGAIN (queue
     * full), -SKEIN_ENOTFOUND. */
    int (*send)(struct replica_link *link, uint32_t node, struct bytes message);
    /* connected - whether a message sent now has a way. */
    bool (*connected)(struct replica_link *link, uint32_t node);
    /* set_peer - @peer is one from now on, or has another address now. Before start and after.
     * 0, or what starting a fiber gives. */
    int (*set_peer)(struct replica_link *link, const struct replica_peer *peer);
    /* drop_peer - @node is none any more: its connections end, what is queued for it is dropped,
     * and it is refused. Unknown: nothing happens. */
    void (*drop_peer)(struct replica_link *link, uint32_t node);
    void (*stats)(struct replica_link *link, struct replica_link_stats *out_stats);
    /* stop - deliver nothing more, end every fiber of the link, free it. Suspends. */
    void (*stop)(struct replica_link *link);
};

/* Every implementation begins with this. */
struct replica_link {
    const struct replica_link_ops *ops;
};

#endif
