/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_NET_INTERNAL_H
#define SIM_NET_INTERNAL_H

#include "sim/backend.h"
#include "sim/net.h"

/* Shared by net.c (hosts, listeners, ops), net_stream.c (connections) and net_datagram.c. */

#define WINDOW_BYTES (256u << 10)
#define CALL_NS 2000 /* a socket call that need not wait */
#define LOOPBACK_NS 10000
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

/* The options of a socket: kept and read back; LINGER_S 0, buffers of datagrams and PACKET_INFO do
 * something. */
struct sim_socket_options {
    int64_t values[SKEIN_SOCKET_OPTION_COUNT];
};

struct sim_conn;

/* One end of a connection. */
struct sim_end {
    struct sim_conn *conn;
    struct sim_host *host;
    struct sim_end *peer;
    int handle; /* 0: waits to be accepted, or to be handed to a connect */
    struct skein_addr addr;
    struct skein_unix_addr unix_addr;
    bool is_unix;
    struct sim_socket_options options;
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
    struct skein_unix_addr unix_addr;
    bool is_unix;
    struct sim_socket_options options;
    struct skein_list accepts; /* struct sim_end */
    int accept_count, backlog;
    struct sim_op *accept_op;
};

#define GROUP_COUNT_MAX 20

struct sim_datagram {
    struct skein_list link;
    struct sim_net *net;
    struct sim_host *host;
    struct skein_addr addr;
    struct skein_unix_addr unix_addr;
    bool is_unix;
    bool has_peer;
    struct skein_endpoint peer;
    struct sim_socket_options options;
    uint8_t groups[GROUP_COUNT_MAX][16];
    int group_count;
    int pending_error;    /* -errno of an earlier send; told once */
    struct skein_list rx; /* struct sim_packet */
    size_t rx_bytes;
    struct sim_op *poll_op;
};

struct sim_net {
    struct sim_world *world;
    struct sim_net_options options;
    struct skein_list listeners, conns, datagrams;
    struct skein_list packets; /* on the way */
    uint16_t next_port;
    bool blocked[SIM_HOST_MAX + 1][SIM_HOST_MAX + 1];
    uint64_t clogged_until_ns[SIM_HOST_MAX + 1][SIM_HOST_MAX + 1];
};

struct sim_conn *conn_new(struct sim_net *net, struct sim_host *client, struct sim_host *server);
/* end_leave - the end's owner is done with it. @silent: the peer is not told. May free the
 * connection. */
void end_leave(struct sim_end *end, bool silent);
void end_recv(struct sim_end *end, struct sim_op *sop);
void end_send(struct sim_end *end, struct sim_op *sop);
void end_shutdown(struct sim_end *end);
void conn_free(struct sim_conn *conn);

/* net.c: the host an address means to @self; NULL: nobody's. */
struct sim_host *net_host_of(struct sim_net *net, struct sim_host *self,
                             const struct skein_addr *addr);
bool net_port_taken(struct sim_net *net, const struct sim_host *host, uint16_t port);
uint16_t net_pick_port(struct sim_net *net, struct sim_host *host);

/* net_options.c: as a new socket has them, then what @op asks for. **Returns** 0, -SKEIN_EINVALID.
 */
int options_init(struct sim_socket_options *options, const struct backend_op *op,
                 bool is_stream) SKEIN_MUST_CHECK;
/* options_submit - SET_OPTIONS or GET_OPTION of any socket. */
void options_submit(struct sim_op *sop);

/* net_datagram.c */
bool datagram_is_op(enum backend_op_kind kind);
void datagram_submit(struct sim_net *net, struct sim_op *sop);
/* datagram_poll - Returns false: the handle is no datagram socket's. */
bool datagram_poll(struct sim_op *sop);
void datagram_close(struct sim_datagram *socket);
void datagram_host_down(struct sim_net *net, const struct sim_host *host);
void datagram_net_close(struct sim_net *net);

#endif
