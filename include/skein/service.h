/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_SERVICE_H
#define SKEIN_SERVICE_H

#include <stddef.h>
#include <stdint.h>

#include "skein/call.h"
#include "skein/fiber.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A sharded service: one instance of something on every shard, each touched by its own shard only.
 *
 *     static const struct skein_service_ops counter_ops = {
 *         .bytes = sizeof(struct counter), .start = counter_start, .stop = counter_stop};
 *
 *     skein_service_start(&counters, &counter_ops, &config);
 *     struct counter *mine = skein_service_local(counters);
 *     skein_service_invoke_on(counters, 2, counter_add, &five, deadline_ns);
 *     skein_service_stop(counters);
 *
 *   start: shard 0, 1, 2 ... one after the other; when one fails, those that have started stop
 *   stop:  all instances stop being invoked -> what runs in them is waited for -> the last shard
 *          first, each instance's scope is cancelled and joined, then its stop is called
 *
 * An instance has a scope for the fibers it starts: they end before its memory goes.
 */

struct skein_service;

struct skein_service_ops {
    size_t bytes; /* of an instance; zeroed before start */
    /* In a fiber of the instance's shard. @scope: for its fibers. Returns 0 or a negative code. */
    int (*start)(void *local, struct skein_scope *scope, void *arg);
    /* The same shard; its fibers have ended. NULL: nothing to do. */
    void (*stop)(void *local);
};

/*
 * skein_service_start - an instance on every shard; @ops is borrowed for the service's life.
 * **Runs on** a fiber of any shard, suspends. **Returns** 0; what start returned where it failed
 * first; as skein_call.
 */
int skein_service_start(struct skein_service **out_service, const struct skein_service_ops *ops,
                        void *arg) SKEIN_MUST_CHECK;

/* skein_service_local - this shard's instance. **Runs on** any shard; does not suspend. */
void *skein_service_local(const struct skein_service *service);

/*
 * skein_service_invoke_on - @fn(instance, @arg) in a fiber of shard @shard.
 * **Runs on** a fiber of any shard, suspends. **Returns** as skein_call; -SKEIN_ECLOSED: the
 * service is stopping.
 */
int64_t skein_service_invoke_on(struct skein_service *service, unsigned shard,
                                int64_t (*fn)(void *local, void *arg), void *arg,
                                uint64_t deadline_ns);

/* skein_service_invoke_all - the same on every shard at once. @out_results, **Returns**: as
 * skein_call_all. */
int skein_service_invoke_all(struct skein_service *service, int64_t (*fn)(void *local, void *arg),
                             void *arg, int64_t *out_results,
                             uint64_t deadline_ns) SKEIN_MUST_CHECK;

/*
 * skein_service_stop - every instance stops; the service is gone. NULL is allowed. Not cut short by
 * cancellation. **Runs on** the shard that started it, in a fiber that is not the service's,
 * suspends.
 */
void skein_service_stop(struct skein_service *service);

#ifdef __cplusplus
}
#endif

#endif
