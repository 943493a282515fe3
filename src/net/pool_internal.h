/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_POOL_INTERNAL_H
#define NET_POOL_INTERNAL_H

#include "base/list.h"
#include "skein/fiber.h"
#include "skein/pool.h"
#include "skein/sync.h"

/*
 * pool.c: opening, targets, acquire and release. pool_conn.c: one connection, from connect to
 * close. pool_keeper.c: what happens meanwhile.
 *
 * open_count counts connections that are idle, in use, being connected or checked. A place
 * (semaphore) is held by whoever acquired or is acquiring, and by the keeper while it opens or
 * checks one; so who has a place and finds conn_count_max open finds an idle one among them, and
 * closes it first.
 */

struct pool_target {
    struct skein_list link;
    struct skein_target_id id;
    struct skein_endpoint endpoint;
    struct skein_breaker breaker;
    struct skein_list idle; /* struct pool_conn; the one used last in front */
    uint32_t conn_count;    /* all of its connections, and those who look at it meanwhile */
    bool removed;           /* goes with its last connection */
    bool down;              /* the keeper found it so, and tries it */
    uint64_t checked_ns;    /* while down: when it was tried last */
};

struct pool_conn {
    struct skein_list link; /* in idle, while it is */
    struct pool_target *target;
    int handle;
    uint64_t opened_ns, idle_since_ns, checked_ns;
    struct skein_pick pick; /* while in use */
    struct skein_breaker_pass pass;
};

struct skein_pool {
    struct skein_pool_options options;
    struct skein_balancer *balancer;
    struct skein_list targets;
    struct skein_retry_budget retry;
    struct skein_semaphore places;
    struct skein_gate gate;
    bool closed;
    uint32_t open_count, waiting_count;
    struct skein_scope keeper_scope;
    struct skein_pool_stats stats;
};

/* pool_target_let_go - one less; a removed target goes with its last. */
void pool_target_let_go(struct pool_target *target);
/* pool_conn_open - connect and greet. **Returns** 0; else the target's error. */
int pool_conn_open(struct skein_pool *pool, struct pool_target *target, struct pool_conn **out_conn,
                   uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* pool_conn_close - not idle any more. May free the target, when it was removed. */
void pool_conn_close(struct skein_pool *pool, struct pool_conn *conn);
/* pool_conn_lives - nothing has come and it is not closed; with @check, and it passes the check. */
bool pool_conn_lives(struct skein_pool *pool, struct pool_conn *conn, bool check);
/* pool_conn_rest - put it among the idle ones, or close it. */
void pool_conn_rest(struct skein_pool *pool, struct pool_conn *conn);
uint32_t pool_idle_count(const struct skein_pool *pool);
/* pool_make_room - close idle connections until one more may be opened; a target's own last. */
void pool_make_room(struct skein_pool *pool);

/* pool_keeper - the keeper's fiber. @arg: the pool. */
void pool_keeper(void *arg);

#endif
