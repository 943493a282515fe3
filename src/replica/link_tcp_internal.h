/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_LINK_TCP_INTERNAL_H
#define REPLICA_LINK_TCP_INTERNAL_H

#include "base/list.h"
#include "skein/fiber.h"
#include "skein/net.h"
#include "replica/link_frame.h"
#include "replica/link_tcp.h"

#define LINK_TCP_INBOUND_MAX 64u
#define LINK_TCP_RECEIVE_BYTES ((size_t)128 << 10)
#define LINK_TCP_HELLO_NS (5 * UINT64_C(1000000000))
#define LINK_TCP_SEND_NS (10 * UINT64_C(1000000000))
#define LINK_TCP_BACKOFF_MIN_NS (50 * UINT64_C(1000000))
#define LINK_TCP_BACKOFF_MAX_NS (1000 * UINT64_C(1000000))

struct link_tcp_message {
    uint8_t header[LINK_FRAME_HEADER_BYTES];
    struct bytes payload;
};

/*
 * One connection, dialled or accepted, once both sides know each other: it carries messages both
 * ways. A reader fiber owns it; the writer of the peer may be sending on it.
 */
struct link_tcp_conn {
    struct link_tcp *tcp;
    struct skein_scope *scope; /* the reader's: to cancel it alone */
    int handle;
    uint32_t node; /* 0 before the hello */
    struct link_frame_parser parser;
    uint8_t *buffer;
};

/* The way to one peer: what is queued for it, a fiber that dials it, one that writes. */
struct link_tcp_outbound {
    struct skein_list link;
    struct link_tcp *tcp;
    struct skein_scope scope; /* of both fibers */
    bool gone;                /* dropped: is no peer any more and ends */
    uint32_t live_count;      /* fibers */
    uint32_t node;
    struct skein_addr addr;
    struct link_tcp_conn *dialled, *accepted; /* that are up; NULL: none */
    struct link_tcp_conn *writing;            /* the writer is sending on it */
    struct link_tcp_message *queue;
    size_t queue_count;
    size_t queue_capacity;
    uint64_t queue_bytes;
    struct skein_waitq wake; /* the writer */
    struct skein_waitq idle; /* it has stopped writing on a connection */
    int last_error;          /* logged when it changes */
    bool knows_no_ranges;    /* it refused our hello: the next one is of the oldest version */
};

/* One accepted connection: a reader fiber in a scope of its own. */
struct link_tcp_inbound {
    struct skein_list link;
    struct skein_scope scope;
    struct link_tcp_conn conn;
    bool done;
};

struct link_tcp {
    struct replica_link base;
    char *cluster_name;
    uint32_t node;
    uint64_t queue_bytes_max;
    struct link_versions versions;
    struct skein_addr listen_addr;
    const struct replica_link_handler *handler;
    struct skein_scope scope;
    struct skein_acceptor acceptor; /* the limit is kept by refusing: a peer then tries again */
    bool started;
    struct skein_list outbounds;
    struct skein_list inbounds;
    uint32_t inbound_count;
    struct replica_link_stats stats;
};

/* ---- link_tcp_conn.c ---- */
void link_tcp_conn_init(struct link_tcp_conn *conn, struct link_tcp *tcp, struct skein_scope *scope,
                        int handle);
void link_tcp_conn_deinit(struct link_tcp_conn *conn);
/* link_tcp_conn_up - messages may go both ways from now on. */
void link_tcp_conn_up(struct link_tcp_conn *conn, struct link_tcp_outbound *out, bool dialled);
/* link_tcp_conn_take - frames out of @count bytes; before the hello, one goes to @on_hello.
 * Negative: the connection is to end. */
int link_tcp_conn_take(struct link_tcp_conn *conn, const uint8_t *data, size_t count,
                       int (*on_hello)(struct link_tcp_conn *conn, struct bytes payload));
/* link_tcp_conn_close - out of use, and closed when nobody writes on it. **Runs on** the reader. */
void link_tcp_conn_close(struct link_tcp_conn *conn);
/* link_tcp_carrier - the connection that messages for @out go by. Both sides prefer the one that
 * the lower node dialled, so that answers travel with acknowledgements; NULL: there is none. */
struct link_tcp_conn *link_tcp_carrier(const struct link_tcp_outbound *out);
void link_tcp_refuse(struct link_tcp_conn *conn, const char *why);

/* ---- link_tcp_write.c ---- */
/* link_tcp_write - the writer fiber of one outbound (arg). */
void link_tcp_write(void *arg);

/* link_tcp_dial - the fiber of one outbound (arg). */
void link_tcp_dial(void *arg);
/* link_tcp_accept - the fiber that accepts; arg: the struct link_tcp. */
void link_tcp_accept(void *arg);
/* link_tcp_end_inbounds - cancel, join and free every accepted connection. */
void link_tcp_end_inbounds(struct link_tcp *tcp);
/* link_tcp_find - the way to @node, or NULL. */
struct link_tcp_outbound *link_tcp_find(struct link_tcp *tcp, uint32_t node);
/* link_tcp_reap_outbounds - free those that are dropped and done. */
void link_tcp_reap_outbounds(struct link_tcp *tcp);
/* link_tcp_cancel_inbound - end the connections that @node dialled, but @except. */
void link_tcp_cancel_inbound(struct link_tcp *tcp, uint32_t node,
                             const struct link_tcp_conn *except);
/* link_tcp_drop_queue - forget what is queued; counted under @counter. */
void link_tcp_drop_queue(struct link_tcp_outbound *out, uint64_t *counter);

#endif
