/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_LISTENER_H
#define SKEIN_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/net.h"
#include "skein/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A TCP listener on every shard.
 *
 *   kernel: SO_REUSEPORT, a hash of the addresses picks the shard
 *      | accept
 *      v
 *   shard a -- its live connections within the slack of the emptiest shard's? --> served here
 *      |  no: it is skewed
 *      +-- hand over: the handle, before anything was received from it --> served on that shard
 *
 * The hash is blind to how many connections live where: a handful of clients, or many behind few
 * addresses, end up on one shard. So a shard that has more live connections than the emptiest one
 * by more than 1 + a sixteenth of that gives new ones away. An even load is never moved.
 *
 * Every connection is served in a fiber of its own; when serve returns the handle is closed.
 */

struct skein_listener;

struct skein_listener_options {
    struct skein_endpoint endpoint;            /* port 0: the first shard picks one; no Unix path */
    const struct skein_socket_option *options; /* beside REUSEPORT; borrowed for the start */
    int option_count;
    int backlog;             /* of each shard; 0: 128 */
    uint32_t live_count_max; /* of each shard; then connections wait outside; 0: 10000 */
    bool share;              /* other programs may listen on the port, too (a rolling restart) */
    bool keep;               /* serve where the kernel put it, whatever the skew */
    /* In a fiber of the serving shard; cancelled when the listener stops. @peer: the other end. */
    void (*serve)(void *arg, int handle, const struct skein_addr *peer);
    void *arg;
    enum skein_stack_class stack;
    const char *name; /* in the metrics: listener="NAME"; borrowed; NULL: its address */
};

/*
 * skein_listener_start - listen on every shard.
 * **Runs on** a fiber of a runtime, suspends. **Returns** 0; as skein_net_listen (-EADDRINUSE: also
 * when who listens there would share the port, unless `share` is set); -SKEIN_EINVALID:
 * a Unix path, or more than 15 options; -SKEIN_EAGAIN, -ENOMEM: no fiber to be had.
 */
int skein_listener_start(struct skein_listener **out_listener,
                         const struct skein_listener_options *options) SKEIN_MUST_CHECK;

/* skein_listener_port - the port it listens on. */
uint16_t skein_listener_port(const struct skein_listener *listener);

struct skein_listener_stats {
    uint64_t accepted_count; /* taken from the kernel here */
    uint64_t given_count;    /* of these, handed to another shard */
    uint64_t served_count;   /* served here, live ones too, wherever they were accepted */
    uint64_t live_count;     /* being served here now */
    uint64_t refused_count;  /* closed unserved, for lack of a fiber or of memory */
    uint64_t pause_count;    /* see skein_acceptor */
};

/* skein_listener_stats_read - @out_stats: one for each shard. **Runs on** a fiber, suspends.
 * **Returns** 0; as skein_call_all. */
int skein_listener_stats_read(struct skein_listener *listener,
                              struct skein_listener_stats *out_stats) SKEIN_MUST_CHECK;

/*
 * skein_listener_imbalance - the balance figure: by how many per cent of an even share the busiest
 * shard has served more than that. 0: even; 100 on two shards: one served everything.
 * Pure; 0 when nothing was served.
 */
uint32_t skein_listener_imbalance(const struct skein_listener_stats *stats, unsigned shard_count);

/*
 * skein_listener_stop - stop accepting everywhere, let what is being handed over arrive, then
 * cancel the fibers that serve and wait for them. NULL is allowed. **Runs on** the shard that
 * started it, suspends; not cut short by cancellation.
 */
void skein_listener_stop(struct skein_listener *listener);

#ifdef __cplusplus
}
#endif

#endif
