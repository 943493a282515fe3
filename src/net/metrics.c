/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of net are called in the metrics. A registry that is full has counted what it
 * refused; the part works all the same. */
#include "net/metrics.h"

#include <stdio.h>

#include "base/assert.h"
#include "net/balancer.h"
#include "net/dns_internal.h"
#include "net/pool_internal.h"
#include "skein/metrics.h"
#include "skein/shard.h"

/* ---- names ---- */

static const struct skein_metric dns_rows[] = {
    {"skein_dns_queries_total", "Questions put to name servers.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_dns, stats.query_count)},
    {"skein_dns_messages_total", "Messages sent to name servers.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_dns, stats.message_count)},
    {"skein_dns_hits_total", "Questions answered by the cache, or by one that was under way.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_dns, stats.hit_count)},
    {"skein_dns_lies_total", "Answers dropped: not to what was asked, or not an answer.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_dns, stats.lie_count)},
    {"skein_dns_tcp_total", "Questions asked again over TCP.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_dns, stats.tcp_count)},
    {"skein_dns_timeouts_total", "Name servers that did not answer in time.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_dns, stats.timeout_count)},
    {"skein_dns_evicted_total", "Answers dropped from the cache for want of room.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_dns, stats.evicted_count)},
    {"skein_dns_cached", "Answers in the cache.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_dns, cached_count)},
};

void
dns_metrics_open(const struct skein_dns *dns)
{
    (void)!skein_metrics_add(skein_shard_metrics(), dns, dns_rows, BASE_COUNT_OF(dns_rows), NULL,
                             0);
}

void
dns_metrics_close(const struct skein_dns *dns)
{
    skein_metrics_remove(skein_shard_metrics(), dns);
}

/* ---- pools ---- */

static int64_t
read_idle(const void *object)
{
    return (int64_t)pool_idle_count(object);
}

static const struct skein_metric pool_rows[] = {
    {"skein_pool_connections", "Connections of the pool that are open.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_pool, open_count)},
    {"skein_pool_connections_idle", "Of these, not in use.", SKEIN_GAUGE, .read = read_idle},
    {"skein_pool_waiting", "Fibers that wait for a connection.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_pool, waiting_count)},
    {"skein_pool_acquired_total", "Connections handed out.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.acquired_count)},
    {"skein_pool_reused_total", "Of these, open already.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.reused_count)},
    {"skein_pool_connects_total", "Attempts to connect.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.connect_count)},
    {"skein_pool_connects_failed_total", "Of these, failed.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.connect_failed_count)},
    {"skein_pool_closed_idle_total", "Connections closed: unused for too long.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.idle_closed_count)},
    {"skein_pool_closed_aged_total", "Connections closed: too old.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.aged_count)},
    {"skein_pool_closed_dead_total", "Connections closed: the peer had, or their check failed.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_pool, stats.dead_count)},
    {"skein_pool_retries_total", "Rounds over the targets after the first.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.retry_count)},
    {"skein_pool_refused_total", "Callers refused: too many wait.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_pool, stats.refused_count)},
};

void
pool_metrics_open(const struct skein_pool *pool)
{
    struct skein_label label = {"pool", pool->options.name};
    (void)!skein_metrics_add(skein_shard_metrics(), pool, pool_rows, BASE_COUNT_OF(pool_rows),
                             &label, 1);
    (void)!skein_balancer_metrics_add(pool->balancer, pool->options.name);
}

void
pool_metrics_close(const struct skein_pool *pool)
{
    skein_balancer_metrics_remove(pool->balancer);
    skein_metrics_remove(skein_shard_metrics(), pool);
}

void
pool_metrics_target(const struct skein_pool *pool, const struct pool_target *target)
{
    char name[SKEIN_LABEL_BYTES_MAX];
    snprintf(name, sizeof(name), "%s/%u", pool->options.name, target->id.value);
    (void)!skein_breaker_metrics_add(&target->breaker, name);
}

/* ---- balancers ---- */

static int64_t
read_up(const void *object)
{
    const struct skein_balancer *balancer = object;
    int64_t count = 0;
    for (uint32_t i = 0; i < balancer->target_count; i++)
        count += balancer->targets[i].up;
    return count;
}

static int64_t
read_outstanding(const void *object)
{
    const struct skein_balancer *balancer = object;
    int64_t count = 0;
    for (uint32_t i = 0; i < balancer->target_count; i++)
        count += balancer->targets[i].outstanding_count;
    return count;
}

static const struct skein_metric balancer_rows[] = {
    {"skein_balancer_targets", "Targets of the balancer.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_balancer, target_count)},
    {"skein_balancer_targets_up", "Of these, up.", SKEIN_GAUGE, .read = read_up},
    {"skein_balancer_outstanding", "Requests that were given a target and have not ended.",
     SKEIN_GAUGE, .read = read_outstanding},
    {"skein_balancer_picks_total", "Requests that were given a target.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_balancer, pick_count)},
    {"skein_balancer_picks_failed_total",
     "Picks that found no target that is up and was not tried.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_balancer, no_target_count)},
};

int
skein_balancer_metrics_add(const struct skein_balancer *balancer, const char *name)
{
    struct skein_label label = {"balancer", name};
    return skein_metrics_add(skein_shard_metrics(), balancer, balancer_rows,
                             BASE_COUNT_OF(balancer_rows), &label, 1);
}

void
skein_balancer_metrics_remove(const struct skein_balancer *balancer)
{
    skein_metrics_remove(skein_shard_metrics(), balancer);
}

/* ---- breakers ---- */

static int64_t
read_open(const void *object)
{
    return skein_breaker_now(object, skein_now_ns()) == SKEIN_BREAKER_OPEN;
}

static const struct skein_metric breaker_rows[] = {
    {"skein_breaker_open", "1 while calls are refused.", SKEIN_GAUGE, .read = read_open},
    {"skein_breaker_allowed_total", "Calls that were allowed.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_breaker, allowed_count)},
    {"skein_breaker_refused_total", "Calls that were not.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_breaker, refused_count)},
    {"skein_breaker_opened_total", "Times the breaker opened.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_breaker, opened_count)},
};

int
skein_breaker_metrics_add(const struct skein_breaker *breaker, const char *name)
{
    struct skein_label label = {"breaker", name};
    return skein_metrics_add(skein_shard_metrics(), breaker, breaker_rows,
                             BASE_COUNT_OF(breaker_rows), &label, 1);
}

void
skein_breaker_metrics_remove(const struct skein_breaker *breaker)
{
    skein_metrics_remove(skein_shard_metrics(), breaker);
}
