/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "net/pool_internal.h"
#include "skein/file.h"

static uint64_t
attempt_deadline(const struct skein_pool *pool, uint64_t deadline_ns)
{
    uint64_t own_ns = skein_deadline_in(pool->options.connect_ns_max);
    return own_ns < deadline_ns ? own_ns : deadline_ns;
}

void
pool_target_let_go(struct pool_target *target)
{
    skein_assert(target->conn_count > 0);
    target->conn_count--;
    if (!target->removed || target->conn_count > 0)
        return;
    list_remove(&target->link);
    mem_free(target);
}

static void
forget(struct skein_pool *pool, struct pool_target *target)
{
    skein_assert(pool->open_count > 0);
    pool->open_count--;
    pool_target_let_go(target);
}

int
pool_conn_open(struct skein_pool *pool, struct pool_target *target, struct pool_conn **out_conn,
               uint64_t deadline_ns)
{
    pool->open_count++;
    target->conn_count++;
    pool->stats.connect_count++;
    deadline_ns = attempt_deadline(pool, deadline_ns);
    int rc = skein_net_connect(&target->endpoint, &pool->options.net, deadline_ns);
    int handle = rc;
    if (rc >= 0)
        rc = pool->options.greet ? pool->options.greet(pool->options.arg, handle, deadline_ns) : 0;
    if (rc < 0) {
        pool->stats.connect_failed_count++;
        if (handle >= 0)
            skein_close(handle);
        forget(pool, target);
        return rc;
    }
    struct pool_conn *conn = mem_zalloc(sizeof(*conn));
    conn->target = target;
    conn->handle = handle;
    conn->opened_ns = conn->checked_ns = skein_now_ns();
    *out_conn = conn;
    return 0;
}

void
pool_conn_close(struct skein_pool *pool, struct pool_conn *conn)
{
    skein_assert(!list_is_linked(&conn->link));
    int handle = conn->handle;
    forget(pool, conn->target);
    mem_free(conn);
    skein_close(handle);
}

bool
pool_conn_lives(struct skein_pool *pool, struct pool_conn *conn, bool check)
{
    /* Readable without having been asked: the end, or words nobody wants. */
    if (skein_net_wait(conn->handle, SKEIN_READABLE, skein_now_ns()) != -SKEIN_ETIMEDOUT)
        return false;
    if (!check || !pool->options.check)
        return true;
    uint64_t deadline_ns = attempt_deadline(pool, SKEIN_NEVER);
    return pool->options.check(pool->options.arg, conn->handle, deadline_ns) == 0;
}

void
pool_conn_rest(struct skein_pool *pool, struct pool_conn *conn)
{
    uint64_t now_ns = skein_now_ns();
    if (pool->closed || conn->target->removed) {
        pool_conn_close(pool, conn);
    } else if (now_ns - conn->opened_ns >= pool->options.lifetime_ns_max) {
        pool->stats.aged_count++;
        pool_conn_close(pool, conn);
    } else {
        list_push_front(&conn->target->idle, &conn->link);
    }
}

uint32_t
pool_idle_count(const struct skein_pool *pool)
{
    uint32_t count = 0;
    list_for_each (target_link, &pool->targets) {
        const struct pool_target *target = LIST_ENTRY(target_link, struct pool_target, link);
        list_for_each (link, &target->idle)
            count++;
    }
    return count;
}

/* The idle connection that has been idle for longest. */
static struct pool_conn *
oldest_idle(const struct skein_pool *pool)
{
    struct pool_conn *oldest = NULL;
    list_for_each (link, &pool->targets) {
        const struct pool_target *target = LIST_ENTRY(link, struct pool_target, link);
        if (list_is_empty(&target->idle))
            continue;
        struct pool_conn *conn = LIST_ENTRY(target->idle.prev, struct pool_conn, link);
        if (!oldest || conn->idle_since_ns < oldest->idle_since_ns)
            oldest = conn;
    }
    return oldest;
}

void
pool_make_room(struct skein_pool *pool)
{
    while (pool->open_count >= pool->options.conn_count_max) {
        struct pool_conn *conn = oldest_idle(pool);
        if (!conn)
            return;
        list_remove(&conn->link);
        pool_conn_close(pool, conn);
    }
}
