/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "core/backend.h"
#include "sim/world.h"

/*
 * The network: byte streams between hosts, and who can reach whom.
 *
 *   send --> segments in order --latency--> receive buffer --> recv (drawn pieces)
 *               |                   |
 *               |                   +-- no way: tried again, after RESET_AFTER_NS the connection
 * breaks
 *               +-- window full: send waits
 *
 * Datagrams come one by one with a latency of their own, so they may overtake each other; between
 * hosts they get lost and doubled too. Unix sockets are a host's own and are told apart by name; a
 * name is free when its socket is closed (no file stays).
 *
 * A process that dies resets its connections; a machine that loses power says nothing, and its
 * peers find out when they send, or never. Host n is 10.0.0.n; 127.0.0.1 is the host itself.
 */

struct sim_op;

/* How latencies lie between the least and the most. */
enum sim_net_shape {
    SIM_NET_UNIFORM,
    SIM_NET_FIXED,       /* in the middle, always */
    SIM_NET_EXPONENTIAL, /* most are near the least, a few beyond the most */
    SIM_NET_HEAVY,       /* as Pareto's: few are very late */
    SIM_NET_TWO_PEAKS,   /* near the least; one in ten near the most */
    SIM_NET_SHAPE_COUNT
};

struct sim_net_options {
    enum sim_net_shape shape;
    uint64_t latency_ns_min, latency_ns_max;
    uint32_t tail_per_mille; /* of segments and messages come up to tail_ns_max later */
    uint64_t tail_ns_max;
    uint64_t piece_bytes_max;                     /* of one recv or send */
    uint32_t loss_per_mille, duplicate_per_mille; /* of datagrams between hosts */
};

struct sim_net *sim_net_open(struct sim_world *world);
void sim_net_close(struct sim_net *net);
struct sim_net_options *sim_net_options(struct sim_net *net);

/* sim_net_block - nothing gets from host @from to host @to (one way) until unblocked. */
void sim_net_block(struct sim_net *net, uint32_t from, uint32_t to, bool blocked);
/* sim_net_clog - what is sent from @from to @to arrives after @until_ns. */
void sim_net_clog(struct sim_net *net, uint32_t from, uint32_t to, uint64_t until_ns);
/* sim_net_heal - nothing is blocked or clogged any more. */
void sim_net_heal(struct sim_net *net);
bool sim_net_blocked(const struct sim_net *net, uint32_t from, uint32_t to);
/* sim_net_latency_ns - of one message, drawn. */
uint64_t sim_net_latency_ns(struct sim_net *net, uint32_t from, uint32_t to);

struct skein_addr sim_host_addr(uint32_t number, uint16_t port);

/* sim_net_submit - a socket op (also CLOSE, of files too). */
void sim_net_submit(struct sim_net *net, struct sim_op *sop);
/* sim_net_connect - a CONNECT op's next attempt. */
void sim_net_connect(struct sim_net *net, struct sim_op *sop);
/* sim_net_host_down - the host's sockets are gone. @silent: nobody is told. */
void sim_net_host_down(struct sim_net *net, struct sim_host *host, bool silent);

#endif
