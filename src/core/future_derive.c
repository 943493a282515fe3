/* SPDX-License-Identifier: Apache-2.0 */
#include "core/future.h"

static struct skein_future *
derive(void *arg, void (*drop)(void *value), size_t hook_count,
       void (*on_source)(struct skein_future *future, struct future_hook *hook))
{
    struct skein_future *future = future_new(hook_count, drop);
    future->on_source = on_source;
    future->arg = arg;
    return future;
}

/* The source's result is the future's; the source keeps the value. */
static void
pass_on(struct skein_future *future, const struct skein_future *source)
{
    skein_assert(future->drop == NULL || source->value == NULL);
    future_settle(future, source->rc, source->value);
}

static void
map_source(struct skein_future *future, struct future_hook *hook)
{
    void *value = NULL;
    int rc = hook->source->rc;
    if (rc == 0)
        rc = future->fn.map(future->arg, hook->source->value, &value);
    future_settle(future, rc < 0 ? rc : 0, rc < 0 ? NULL : value);
}

struct skein_future *
skein_future_map(struct skein_future *future, int (*fn)(void *arg, void *value, void **out_value),
                 void *arg, void (*drop)(void *value))
{
    struct skein_future *mapped = derive(arg, drop, 1, map_source);
    mapped->fn.map = fn;
    future_hook_on(&mapped->sources[0], future, mapped);
    return mapped;
}

static void
recover_source(struct skein_future *future, struct future_hook *hook)
{
    void *value = NULL;
    int rc = hook->source->rc;
    if (rc == 0) {
        future->drop = NULL; /* it stays the source's */
        pass_on(future, hook->source);
        return;
    }
    rc = future->fn.recover(future->arg, rc, &value);
    future_settle(future, rc < 0 ? rc : 0, rc < 0 ? NULL : value);
}

struct skein_future *
skein_future_recover(struct skein_future *future, int (*fn)(void *arg, int rc, void **out_value),
                     void *arg, void (*drop)(void *value))
{
    struct skein_future *recovered = derive(arg, drop, 1, recover_source);
    recovered->fn.recover = fn;
    future_hook_on(&recovered->sources[0], future, recovered);
    return recovered;
}

static void
then_source(struct skein_future *future, struct future_hook *hook)
{
    if (hook == &future->sources[1] || hook->source->rc < 0) {
        pass_on(future, hook->source);
        return;
    }
    struct skein_future *next = future->fn.then(future->arg, hook->source->value);
    if (!next) {
        future_settle(future, 0, NULL);
        return;
    }
    if (future->complete) /* fn cancelled it */
        skein_future_cancel(next);
    else
        future_hook_on(&future->sources[1], next, future);
    skein_future_unref(next);
}

struct skein_future *
skein_future_then(struct skein_future *future, struct skein_future *(*fn)(void *arg, void *value),
                  void *arg)
{
    struct skein_future *after = derive(arg, NULL, 2, then_source);
    after->fn.then = fn;
    future_hook_on(&after->sources[0], future, after);
    return after;
}

static void
timeout_source(struct skein_future *future, struct future_hook *hook)
{
    pass_on(future, hook->source);
}

static void
timeout_settled(struct skein_future *future)
{
    timer_disarm(&future->shard->timers, &future->timer);
}

static void
timeout_fired(struct skein_timer_node *timer)
{
    struct skein_future *future = BASE_CONTAINER_OF(timer, struct skein_future, timer);
    struct skein_future *source = skein_future_ref(future->sources[0].source);
    future_settle(future, -SKEIN_ETIMEDOUT, NULL);
    skein_future_cancel(source);
    skein_future_unref(source);
}

struct skein_future *
skein_future_timeout(struct skein_future *future, uint64_t deadline_ns)
{
    struct skein_future *limited = derive(NULL, NULL, 1, timeout_source);
    limited->on_settled = timeout_settled;
    if (deadline_ns != SKEIN_NEVER)
        timer_arm(&limited->shard->timers, &limited->timer, deadline_ns, timeout_fired);
    future_hook_on(&limited->sources[0], future, limited);
    return limited;
}

static void
all_source(struct skein_future *future, struct future_hook *hook)
{
    (void)hook;
    skein_assert(future->pending_count > 0);
    if (--future->pending_count > 0)
        return;
    int rc = 0;
    for (size_t i = 0; i < future->hook_count && rc == 0; i++)
        rc = future->sources[i].source->rc;
    future_settle(future, rc, NULL);
}

struct skein_future *
skein_future_when_all(struct skein_future *const *futures, size_t count)
{
    struct skein_future *all = derive(NULL, NULL, count, all_source);
    all->pending_count = count + 1; /* one until all are hooked on */
    for (size_t i = 0; i < count; i++)
        future_hook_on(&all->sources[i], futures[i], all);
    all_source(all, NULL);
    return all;
}

static void
any_source(struct skein_future *future, struct future_hook *hook)
{
    future_settle(future, 0, hook->source);
}

struct skein_future *
skein_future_when_any(struct skein_future *const *futures, size_t count)
{
    struct skein_future *any = derive(NULL, NULL, count, any_source);
    if (count == 0)
        future_settle(any, -SKEIN_EINVALID, NULL);
    for (size_t i = 0; i < count; i++)
        if (!any->complete)
            future_hook_on(&any->sources[i], futures[i], any);
    return any;
}
