/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_METRICS_H
#define NET_METRICS_H

/*
 * The rows under which resolvers, pools, balancers and breakers stand in their shard's metrics
 * (skein/metrics.h). The figures themselves are counted in the objects. **Runs on** the object's
 * shard, all of these.
 */

struct pool_target;
struct skein_dns;
struct skein_pool;

void dns_metrics_open(const struct skein_dns *dns);
void dns_metrics_close(const struct skein_dns *dns);
/* pool_metrics_open - the pool and its balancer, as options.name. */
void pool_metrics_open(const struct skein_pool *pool);
void pool_metrics_close(const struct skein_pool *pool);
/* pool_metrics_target - its breaker, as "NAME/TARGET"; skein_breaker_metrics_remove ends it. */
void pool_metrics_target(const struct skein_pool *pool, const struct pool_target *target);

#endif
