/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "net/metrics.h"
#include "net/pool_internal.h"

static bool
options_hold(const struct skein_pool_options *options)
{
    return options->conn_count_max >= 1 && options->conn_count_min <= options->conn_count_max &&
           options->idle_ns_max > 0 && options->lifetime_ns_max > 0 &&
           options->connect_ns_max > 0 && options->check_ns > 0 && options->net.backlog > 0 &&
           options->name;
}

int
skein_pool_open(struct skein_pool **out_pool, const struct skein_pool_options *options)
{
    struct skein_balancer_options balancing = SKEIN_BALANCER_OPTIONS_INIT;
    struct skein_breaker breaker;
    struct skein_retry_budget retry;
    balancing.kind = options->balancer;
    balancing.target_count_max = options->target_count_max;
    balancing.seed = skein_random();
    if (!options_hold(options) || skein_breaker_init(&breaker, &options->breaker, 0) < 0 ||
        skein_retry_init(&retry, &options->retry) < 0)
        return -SKEIN_EINVALID;
    struct skein_balancer *balancer;
    int rc = skein_balancer_open(&balancer, &balancing);
    if (rc < 0)
        return rc;
    struct skein_pool *pool = mem_zalloc(sizeof(*pool));
    pool->options = *options;
    pool->balancer = balancer;
    pool->retry = retry;
    list_init(&pool->targets);
    skein_semaphore_init(&pool->places, options->conn_count_max);
    skein_gate_init(&pool->gate);
    skein_scope_init(&pool->keeper_scope);
    rc = skein_spawn(&pool->keeper_scope, "pool-keeper", pool_keeper, pool, SKEIN_STACK_SMALL);
    if (rc < 0) {
        skein_balancer_close(balancer);
        mem_free(pool);
        return rc;
    }
    pool_metrics_open(pool);
    *out_pool = pool;
    return 0;
}

/* ---- targets ---- */

static struct pool_target *
find(struct skein_pool *pool, struct skein_target_id id)
{
    list_for_each (link, &pool->targets) {
        struct pool_target *target = LIST_ENTRY(link, struct pool_target, link);
        if (target->id.value == id.value && !target->removed)
            return target;
    }
    return NULL;
}

int
skein_pool_add(struct skein_pool *pool, struct skein_target_id id,
               const struct skein_endpoint *endpoint, uint32_t weight)
{
    int rc = skein_balancer_add(pool->balancer, id, weight);
    if (rc < 0)
        return rc;
    struct pool_target *target = mem_zalloc(sizeof(*target));
    target->id = id;
    target->endpoint = *endpoint;
    list_init(&target->idle);
    rc = skein_breaker_init(&target->breaker, &pool->options.breaker, skein_now_ns());
    skein_assert(rc == 0);
    list_push_back(&pool->targets, &target->link);
    pool_metrics_target(pool, target);
    return 0;
}

static void
drop_target(struct skein_pool *pool, struct pool_target *target)
{
    struct skein_list *link;
    target->removed = true;
    skein_breaker_metrics_remove(&target->breaker);
    target->conn_count++; /* so that it stays until this is done */
    while ((link = list_pop_front(&target->idle)))
        pool_conn_close(pool, LIST_ENTRY(link, struct pool_conn, link));
    pool_target_let_go(target);
}

int
skein_pool_remove(struct skein_pool *pool, struct skein_target_id id)
{
    struct pool_target *target = find(pool, id);
    if (!target)
        return -SKEIN_ENOTFOUND;
    int rc = skein_balancer_remove(pool->balancer, id);
    skein_assert(rc == 0);
    drop_target(pool, target);
    return 0;
}

/* ---- acquiring ---- */

/* Targets that one round tries. */
#define TRIED_MAX 32

/* One acquire's way through the targets. */
struct search {
    struct skein_pool *pool;
    const struct skein_ask *ask;
    struct skein_target_id avoid[TRIED_MAX];
    uint32_t avoid_count;
    uint64_t deadline_ns;
    int failure; /* the last one; 0: none yet */
};

static void
start_over(struct search *search)
{
    search->avoid_count = 0;
    for (uint32_t i = 0; search->ask && i < search->ask->avoid_count; i++)
        search->avoid[search->avoid_count++] = search->ask->avoid[i];
}

/* An idle connection of the target that lives; NULL: none does. */
static struct pool_conn *
take_idle(struct skein_pool *pool, struct pool_target *target)
{
    while (!list_is_empty(&target->idle)) {
        struct pool_conn *conn = LIST_ENTRY(target->idle.next, struct pool_conn, link);
        uint64_t idle_ns = skein_now_ns() - conn->idle_since_ns;
        list_remove(&conn->link);
        if (idle_ns < pool->options.trust_ns || pool_conn_lives(pool, conn, false))
            return conn;
        pool->stats.dead_count++;
        pool_conn_close(pool, conn);
    }
    return NULL;
}

/* Use @target, which was picked and whose breaker let us pass. The target is held by a count, as it
 * may be removed while this waits. */
static int
connect_to(struct search *search, struct pool_target *target, struct pool_conn **out_conn)
{
    struct skein_pool *pool = search->pool;
    struct pool_conn *conn = take_idle(pool, target);
    if (conn) {
        pool->stats.reused_count++;
        *out_conn = conn;
        return 0;
    }
    pool_make_room(pool);
    return pool_conn_open(pool, target, out_conn, search->deadline_ns);
}

static int
try_target(struct search *search, struct pool_target *target, const struct skein_pick *pick,
           struct pool_conn **out_conn)
{
    struct skein_breaker_pass pass;
    int rc = skein_breaker_allow(&target->breaker, &pass, skein_now_ns());
    if (rc < 0)
        return rc;
    target->conn_count++;
    rc = connect_to(search, target, out_conn);
    uint64_t now_ns = skein_now_ns();
    if (rc == 0) {
        (*out_conn)->pick = *pick;
        (*out_conn)->pass = pass;
    } else {
        bool ours = rc == -SKEIN_ECANCELED || now_ns >= search->deadline_ns;
        skein_breaker_report(&target->breaker, &pass,
                             ours ? SKEIN_OUTCOME_NONE : SKEIN_OUTCOME_FAILED, now_ns);
    }
    pool_target_let_go(target);
    return rc;
}

/* Once over the targets, until one gives a connection. */
static int
search_once(struct search *search, struct pool_conn **out_conn)
{
    struct skein_pool *pool = search->pool;
    for (;;) {
        struct skein_ask ask = {.key = search->ask ? search->ask->key : 0,
                                .avoid = search->avoid,
                                .avoid_count = search->avoid_count};
        struct skein_pick pick;
        int rc = skein_balancer_pick(pool->balancer, &ask, &pick, skein_now_ns());
        if (rc < 0)
            return search->failure ? search->failure : rc;
        struct pool_target *target = find(pool, pick.target);
        skein_assert(target != NULL);
        rc = try_target(search, target, &pick, out_conn);
        if (rc == 0)
            return 0;
        skein_balancer_done(pool->balancer, &pick, false, skein_now_ns());
        if (rc == -SKEIN_ECANCELED || skein_now_ns() >= search->deadline_ns ||
            search->avoid_count == TRIED_MAX)
            return rc;
        search->failure = rc;
        search->avoid[search->avoid_count++] = pick.target;
    }
}

/* Rounds over the targets, with pauses, as far as the budget goes. */
static int
search_targets(struct search *search, struct pool_conn **out_conn)
{
    struct skein_pool *pool = search->pool;
    skein_retry_call(&pool->retry);
    for (uint32_t round = 0;; round++) {
        uint64_t delay_ns;
        start_over(search);
        int rc = search_once(search, out_conn);
        bool hopeless = rc == 0 || rc == -SKEIN_ENOTFOUND || rc == -SKEIN_EBUSY ||
                        rc == -SKEIN_ECANCELED || pool->closed ||
                        skein_now_ns() >= search->deadline_ns;
        if (hopeless || skein_retry_take(&pool->retry, round, skein_random(), &delay_ns) < 0)
            return rc;
        pool->stats.retry_count++;
        uint64_t until_ns = skein_deadline_in(delay_ns);
        if (until_ns >= search->deadline_ns)
            return rc;
        rc = skein_sleep(until_ns);
        if (rc < 0)
            return rc;
    }
}

static int
take_place(struct skein_pool *pool, uint64_t deadline_ns)
{
    if (skein_semaphore_try_acquire(&pool->places, 1))
        return 0;
    if (pool->closed)
        return -SKEIN_ECLOSED;
    if (pool->waiting_count >= pool->options.waiter_count_max) {
        pool->stats.refused_count++;
        return -SKEIN_EAGAIN;
    }
    pool->waiting_count++;
    int rc = skein_semaphore_acquire(&pool->places, 1, deadline_ns);
    pool->waiting_count--;
    return rc;
}

int
skein_pool_acquire(struct skein_pool *pool, const struct skein_ask *ask,
                   struct skein_pool_conn *out_conn, uint64_t deadline_ns)
{
    struct pool_conn *conn = NULL;
    if (ask && ask->avoid_count > TRIED_MAX)
        return -SKEIN_EINVALID;
    int rc = skein_gate_enter(&pool->gate);
    if (rc < 0)
        return rc;
    rc = take_place(pool, deadline_ns);
    if (rc < 0) {
        skein_gate_leave(&pool->gate);
        return rc;
    }
    struct search search = {.pool = pool, .ask = ask, .deadline_ns = deadline_ns};
    rc = search_targets(&search, &conn);
    if (rc < 0) {
        skein_semaphore_release(&pool->places, 1);
        skein_gate_leave(&pool->gate);
        return rc;
    }
    pool->stats.acquired_count++;
    *out_conn =
        (struct skein_pool_conn){.handle = conn->handle, .target = conn->target->id, .owned = conn};
    return 0;
}

void
skein_pool_release(struct skein_pool *pool, struct skein_pool_conn *handed,
                   enum skein_outcome outcome)
{
    struct pool_conn *conn = handed->owned;
    skein_assert(conn != NULL);
    uint64_t now_ns = skein_now_ns();
    *handed = (struct skein_pool_conn){.handle = -1};
    skein_breaker_report(&conn->target->breaker, &conn->pass, outcome, now_ns);
    skein_balancer_done(pool->balancer, &conn->pick, outcome != SKEIN_OUTCOME_FAILED, now_ns);
    conn->idle_since_ns = now_ns;
    if (outcome == SKEIN_OUTCOME_OK)
        pool_conn_rest(pool, conn);
    else
        pool_conn_close(pool, conn);
    skein_semaphore_release(&pool->places, 1);
    skein_gate_leave(&pool->gate);
}

/* ---- closing ---- */

int
skein_pool_drain(struct skein_pool *pool, uint64_t deadline_ns)
{
    pool->closed = true;
    skein_semaphore_close(&pool->places);
    return skein_gate_close(&pool->gate, deadline_ns);
}

void
skein_pool_close(struct skein_pool *pool)
{
    if (!pool)
        return;
    skein_shield(true);
    int rc = skein_pool_drain(pool, SKEIN_NEVER);
    skein_assert(rc == 0);
    skein_scope_cancel(&pool->keeper_scope);
    skein_scope_join(&pool->keeper_scope);
    while (!list_is_empty(&pool->targets))
        drop_target(pool, LIST_ENTRY(pool->targets.next, struct pool_target, link));
    skein_assert(pool->open_count == 0);
    pool_metrics_close(pool);
    skein_balancer_close(pool->balancer);
    mem_free(pool);
    skein_shield(false);
}

void
skein_pool_stats_read(const struct skein_pool *pool, struct skein_pool_stats *out_stats)
{
    *out_stats = pool->stats;
    out_stats->open_count = pool->open_count;
    out_stats->idle_count = pool_idle_count(pool);
    out_stats->waiting_count = pool->waiting_count;
}
