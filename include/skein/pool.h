/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_POOL_H
#define SKEIN_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/balancer.h"
#include "skein/breaker.h"
#include "skein/error.h"
#include "skein/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Connections to several back ends, kept and shared.
 *
 *                    a place free? else wait, FIFO        balancer, breaker of each target
 *   acquire(ask) -------------------------> place -------------------------> target
 *      ^                                                                       | idle one, still
 *      |             fails: the next target;                                   | alive? else
 *      |             none left: back off, again                                v connect
 *      +---- a connection <----------------------------------------------------+
 *
 *   release(OK) ---> idle ---> reused; or closed: idle for too long, too old, found dead
 *   release(FAILED) -> closed, and counted against its target
 *
 * A keeper fiber closes what is too old, opens what conn_count_min asks for, checks idle
 * connections each check_ns, and tries targets that were found down until they are up again.
 *
 * Bounds: connections open at any time, idle and in use, conn_count_max; fibers waiting,
 * waiter_count_max; targets, target_count_max. Nobody who waits is overtaken.
 *
 * **Runs on** one shard, in fibers; what has a deadline suspends. The same in the simulator.
 */

struct skein_pool;

struct skein_pool_options {
    uint32_t conn_count_min; /* kept open although idle */
    uint32_t conn_count_max; /* >= 1, >= conn_count_min */
    uint32_t waiter_count_max;
    uint32_t target_count_max; /* 1 to SKEIN_BALANCER_TARGETS_MAX */
    uint64_t idle_ns_max;      /* idle for longer: closed, down to conn_count_min; > 0 */
    uint64_t lifetime_ns_max;  /* older: closed, when it is idle; > 0 */
    uint64_t connect_ns_max;   /* of one attempt, and of one check; > 0 */
    uint64_t check_ns;         /* between two checks of an idle connection or a down target; > 0 */
    uint64_t trust_ns;         /* idle for less: taken without asking whether it still lives */
    enum skein_balancer_kind balancer;
    struct skein_breaker_options breaker; /* of each target */
    struct skein_retry_options retry;     /* rounds over the targets, of one acquire */
    struct skein_net_options net;         /* of the sockets */
    /* A connection's first words (a greeting, a login). **Returns** 0, else it is closed and counts
     * as failed. NULL: none. */
    int (*greet)(void *arg, int handle, uint64_t deadline_ns);
    /* Does an idle connection work? **Returns** 0; else it is closed. NULL: it has to be open, with
     * nothing to read. */
    int (*check)(void *arg, int handle, uint64_t deadline_ns);
    void *arg;
    const char *name; /* in the metrics: pool="NAME", breaker="NAME/TARGET"; borrowed */
};

#define SKEIN_POOL_OPTIONS_INIT                                                           \
    {                                                                                     \
        0, 64, 1024, 64, 60000000000ull, 3600000000000ull, 5000000000ull, 10000000000ull, \
            100000000ull, SKEIN_BALANCER_LEAST_CONNECTIONS, SKEIN_BREAKER_OPTIONS_INIT,   \
            SKEIN_RETRY_OPTIONS_INIT, SKEIN_NET_OPTIONS_INIT, NULL, NULL, NULL, "pool",   \
    }

/* An acquired connection: given back with skein_pool_release, exactly once. */
struct skein_pool_conn {
    int handle;
    struct skein_target_id target;
    void *owned; /* the pool's */
};

/*
 * skein_pool_open - a pool without targets, and its keeper.
 * **Ownership**: the caller's, until skein_pool_close. **Returns** 0; -SKEIN_EINVALID: an option is
 * out of its range; else as skein_spawn.
 */
int skein_pool_open(struct skein_pool **out_pool,
                    const struct skein_pool_options *options) SKEIN_MUST_CHECK;

/* skein_pool_add - a target. **Returns** as skein_balancer_add. */
int skein_pool_add(struct skein_pool *pool, struct skein_target_id target,
                   const struct skein_endpoint *endpoint, uint32_t weight) SKEIN_MUST_CHECK;
/* skein_pool_remove - its idle connections are closed now, those in use when they come back.
 * **Returns** 0; -SKEIN_ENOTFOUND. */
int skein_pool_remove(struct skein_pool *pool, struct skein_target_id target) SKEIN_MUST_CHECK;

/*
 * skein_pool_acquire - a connection to a target that @ask (NULL: any) may have. One round tries at
 * most 32 targets, those that @ask avoids included.
 * **Returns** 0; -SKEIN_EAGAIN: waiter_count_max wait; -SKEIN_ENOTFOUND: there is no target, or
 * none is up; -SKEIN_EBUSY: the breakers of all are open; -SKEIN_EINVALID: @ask avoids more than
 * 32; -SKEIN_ECLOSED: drained or closed; -SKEIN_ETIMEDOUT; -SKEIN_ECANCELED; else the last target's
 * error (-ECONNREFUSED ...).
 */
int skein_pool_acquire(struct skein_pool *pool, const struct skein_ask *ask,
                       struct skein_pool_conn *out_conn, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_pool_release - @outcome: OK: whole and between two requests, it is kept; FAILED: closed,
 * the target's fault; NONE: closed, nobody's fault. Does not fail. */
void skein_pool_release(struct skein_pool *pool, struct skein_pool_conn *conn,
                        enum skein_outcome outcome);

/* skein_pool_drain - no acquire succeeds from now on, those who wait get -SKEIN_ECLOSED; wait until
 * all connections are back. May be called again. **Returns** 0; -SKEIN_ETIMEDOUT: some are out. */
int skein_pool_drain(struct skein_pool *pool, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_pool_close - every connection is back. @pool may be NULL. */
void skein_pool_close(struct skein_pool *pool);

struct skein_pool_stats {
    uint32_t open_count, idle_count, waiting_count; /* now */
    uint64_t acquired_count, reused_count;
    uint64_t connect_count, connect_failed_count;
    uint64_t idle_closed_count; /* unused for too long */
    uint64_t aged_count;        /* too old */
    uint64_t dead_count;        /* found closed by the peer, or failing its check */
    uint64_t retry_count;       /* rounds after the first */
    uint64_t refused_count;     /* too many waiting */
};
void skein_pool_stats_read(const struct skein_pool *pool, struct skein_pool_stats *out_stats);

#ifdef __cplusplus
}
#endif

#endif
