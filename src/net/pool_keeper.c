/* SPDX-License-Identifier: Apache-2.0 */
#include "net/pool_internal.h"

#define TURN_NS_MIN UINT64_C(10000000)
#define TURN_NS_MAX UINT64_C(1000000000)

/* Often enough that nothing is later than a quarter of its time. */
static uint64_t
turn_ns(const struct skein_pool_options *options)
{
    uint64_t least_ns = options->idle_ns_max;
    if (options->check_ns < least_ns)
        least_ns = options->check_ns;
    if (options->lifetime_ns_max < least_ns)
        least_ns = options->lifetime_ns_max;
    least_ns /= 4;
    if (least_ns < TURN_NS_MIN)
        return TURN_NS_MIN;
    return least_ns < TURN_NS_MAX ? least_ns : TURN_NS_MAX;
}

/* A connection that has been idle for longest comes first. */
static struct pool_conn *
find_idle(struct skein_pool *pool, bool (*is_due)(const struct skein_pool *pool,
                                                  const struct pool_conn *conn, uint64_t now_ns))
{
    uint64_t now_ns = skein_now_ns();
    list_for_each (target_link, &pool->targets) {
        struct pool_target *target = LIST_ENTRY(target_link, struct pool_target, link);
        for (struct skein_list *link = target->idle.prev; link != &target->idle;
             link = link->prev) {
            struct pool_conn *conn = LIST_ENTRY(link, struct pool_conn, link);
            if (is_due(pool, conn, now_ns))
                return conn;
        }
    }
    return NULL;
}

static bool
is_aged(const struct skein_pool *pool, const struct pool_conn *conn, uint64_t now_ns)
{
    return now_ns - conn->opened_ns >= pool->options.lifetime_ns_max;
}

static bool
is_idle_too_long(const struct skein_pool *pool, const struct pool_conn *conn, uint64_t now_ns)
{
    return now_ns - conn->idle_since_ns >= pool->options.idle_ns_max;
}

static bool
is_due_for_check(const struct skein_pool *pool, const struct pool_conn *conn, uint64_t now_ns)
{
    return now_ns - conn->checked_ns >= pool->options.check_ns;
}

static void
close_old_ones(struct skein_pool *pool)
{
    struct pool_conn *conn;
    while ((conn = find_idle(pool, is_aged))) {
        pool->stats.aged_count++;
        list_remove(&conn->link);
        pool_conn_close(pool, conn);
    }
    while (pool->open_count > pool->options.conn_count_min &&
           (conn = find_idle(pool, is_idle_too_long))) {
        pool->stats.idle_closed_count++;
        list_remove(&conn->link);
        pool_conn_close(pool, conn);
    }
}

static void
set_down(struct skein_pool *pool, struct pool_target *target, bool down)
{
    target->down = down;
    target->checked_ns = skein_now_ns();
    if (target->removed)
        return;
    int rc = skein_balancer_set_up(pool->balancer, target->id, !down);
    skein_assert(rc == 0);
}

/* One that fails its check says so of its target. */
static void
check_one(struct skein_pool *pool, struct pool_conn *conn)
{
    list_remove(&conn->link);
    conn->checked_ns = skein_now_ns();
    if (pool_conn_lives(pool, conn, true)) {
        if (pool->closed || conn->target->removed)
            pool_conn_close(pool, conn);
        else
            list_push_back(&conn->target->idle, &conn->link);
        return;
    }
    pool->stats.dead_count++;
    if (pool->options.check && !skein_cancelled())
        set_down(pool, conn->target, true);
    pool_conn_close(pool, conn);
}

static void
check_idle_ones(struct skein_pool *pool)
{
    struct pool_conn *conn;
    while (!skein_cancelled() && (conn = find_idle(pool, is_due_for_check)) &&
           skein_semaphore_try_acquire(&pool->places, 1)) {
        check_one(pool, conn);
        skein_semaphore_release(&pool->places, 1);
    }
}

static struct pool_target *
next_down(struct skein_pool *pool)
{
    uint64_t now_ns = skein_now_ns();
    list_for_each (link, &pool->targets) {
        struct pool_target *target = LIST_ENTRY(link, struct pool_target, link);
        if (target->down && !target->removed &&
            now_ns - target->checked_ns >= pool->options.check_ns)
            return target;
    }
    return NULL;
}

/* A connection to @target, checked, goes to the idle ones. **Returns** 0; else why not. */
static int
open_one(struct skein_pool *pool, struct pool_target *target)
{
    struct pool_conn *conn;
    int rc = pool_conn_open(pool, target, &conn, SKEIN_NEVER);
    if (rc < 0)
        return rc;
    conn->idle_since_ns = conn->opened_ns;
    if (!pool_conn_lives(pool, conn, true)) {
        pool->stats.dead_count++;
        pool_conn_close(pool, conn);
        return -SKEIN_ECLOSED;
    }
    pool_conn_rest(pool, conn);
    return 0;
}

/* With a place, so that there are never too many. The caller lets go of the target. */
static int
open_held(struct skein_pool *pool, struct pool_target *target)
{
    if (skein_cancelled() || !skein_semaphore_try_acquire(&pool->places, 1))
        return -SKEIN_ECANCELED;
    int rc = open_one(pool, target);
    skein_semaphore_release(&pool->places, 1);
    return rc;
}

static void
try_down_ones(struct skein_pool *pool)
{
    struct pool_target *target;
    while (pool->open_count < pool->options.conn_count_max && (target = next_down(pool))) {
        target->checked_ns = skein_now_ns();
        target->conn_count++;
        int rc = open_held(pool, target);
        if (rc == 0)
            set_down(pool, target, false);
        pool_target_let_go(target);
        if (rc == -SKEIN_ECANCELED)
            return;
    }
}

static struct pool_target *
with_fewest(struct skein_pool *pool)
{
    struct pool_target *fewest = NULL;
    list_for_each (link, &pool->targets) {
        struct pool_target *target = LIST_ENTRY(link, struct pool_target, link);
        bool may = !target->down && !target->removed;
        if (may && (!fewest || target->conn_count < fewest->conn_count))
            fewest = target;
    }
    return fewest;
}

/* As many as are to be kept; what fails is tried again in the next turn. */
static void
open_the_least(struct skein_pool *pool)
{
    struct pool_target *target;
    while (pool->open_count < pool->options.conn_count_min && (target = with_fewest(pool))) {
        target->conn_count++;
        int rc = open_held(pool, target);
        if (rc < 0 && rc != -SKEIN_ECANCELED)
            set_down(pool, target, true);
        pool_target_let_go(target);
        if (rc < 0)
            return;
    }
}

void
pool_keeper(void *arg)
{
    struct skein_pool *pool = arg;
    do {
        close_old_ones(pool);
        check_idle_ones(pool);
        try_down_ones(pool);
        open_the_least(pool);
    } while (skein_sleep(skein_deadline_in(turn_ns(&pool->options))) == 0);
}
