/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_NET_INTERNAL_H
#define SIM_NET_INTERNAL_H

#include "sim/backend.h"
#include "sim/net.h"

/* Shared by net.c (hosts, listeners, ops) and net_stream.c (connections). */

#define WINDOW_BYTES (256u << 10)
#define RETRY_NS (200 * SIM_MS)
#define RESET_AFTER_NS (6 * SIM_SECOND)
#define BACKLOG_MAX 128

enum segment_kind { SEGMENT_DATA, SEGMENT_END, SEGMENT_RESET };

struct segment {
    struct skein_list link;
    enum segment_kind kind;
    uint64_t at_ns;
    size_t bytes;
    uint8_t data[];
};

struct sim_conn;

/* One end of a connection. */
struct sim_end {
    struct sim_conn *conn;
    struct sim_host *host;
    struct sim_end *peer;
    int handle; /* 0: waits to be accepted, or to be handed to a connect */
    struct skein_addr addr;
    uint8_t *rx; /* received and not read: rx[rx_at .. rx_count) */
    size_t rx_at, rx_count, rx_capacity;
    bool rx_ended, reset; /* the peer's end came; the connection broke */
    bool tx_ended;        /* shut down */
    bool gone;            /* closed, or its process died */
    struct sim_op *recv_op, *send_op;
    struct skein_list out; /* struct segment on the way to the peer */
    size_t out_bytes;
    uint64_t stalled_since_ns; /* 0: not */
    uint64_t last_at_ns;
    struct sim_event arrival;
    struct skein_list accept_link;
};

struct sim_conn {
    struct skein_list link;
    struct sim_net *net;
    struct sim_end ends[2];
};

struct sim_listener {
    struct skein_list link;
    struct sim_host *host;
    struct skein_addr addr;
    struct skein_list accepts; /* struct sim_end */
    int accept_count, backlog;
    struct sim_op *accept_op;
};

struct sim_net {
    struct sim_world *world;
    struct sim_net_options options;
    struct skein_list listeners, conns;
    uint16_t next_port;
    bool blocked[SIM_HOST_MAX + 1][SIM_HOST_MAX + 1];
};

struct sim_conn *conn_new(struct sim_net *net, struct sim_host *client, struct sim_host *server);
/* end_leave - the end's owner is done with it. @silent: the peer is not told. May free the
 * connection. */
void end_leave(struct sim_end *end, bool silent);
void end_recv(struct sim_end *end, struct sim_op *sop);
void end_send(struct sim_end *end, struct sim_op *sop);
void end_shutdown(struct sim_end *end);
void conn_free(struct sim_conn *conn);

#endif
