/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three shards: calls to each other one way and nested, with deadlines that pass, a fold over all,
 * futures of calls, promises kept elsewhere, and a service with an instance and a fiber on each.
 */
#include "base/assert.h"
#include "inject/inject.h"
#include "skein/core.h"
#include "skein/service.h"

#define SHARDS 3
#define MS 1000000ull

struct instance {
    struct skein_waitq changed;
    int64_t value;
};

struct shards_case {
    struct skein_scope scope;
    struct skein_service *service;
    struct skein_remote_promise *remote; /* NULL: it was kept */
    uint64_t started_count, stopped_count;
    int rc; /* the first that failed */
};

static void
note(struct shards_case *c, int64_t rc)
{
    if (rc < 0 && c->rc == 0)
        c->rc = (int)rc;
}

static void
keep(void *arg)
{
    struct instance *instance = arg;
    while (skein_wait(&instance->changed, SKEIN_NEVER) == 0)
        instance->value++;
}

static int
start_instance(void *local, struct skein_scope *scope, void *arg)
{
    struct instance *instance = local;
    struct shards_case *c = arg;
    skein_waitq_init(&instance->changed);
    int rc = skein_spawn(scope, "keep", keep, instance, SKEIN_STACK_SMALL);
    c->started_count += rc == 0;
    return rc;
}

static struct shards_case *stopping; /* written while shards take turns */

static void
stop_instance(void *local)
{
    (void)local;
    stopping->stopped_count++;
}

static const struct skein_service_ops service_ops = {
    .bytes = sizeof(struct instance), .start = start_instance, .stop = stop_instance};

static int64_t
bump(void *local, void *arg)
{
    struct instance *instance = local;
    (void)arg;
    skein_wake_one(&instance->changed);
    return skein_sleep(skein_deadline_in(MS));
}

static int64_t
index_there(void *arg)
{
    int rc = skein_sleep(skein_deadline_in(*(const uint64_t *)arg));
    return rc < 0 ? rc : (int64_t)skein_shard_index();
}

/* There, call back here. */
static int64_t
nested(void *arg)
{
    return skein_call(0, index_there, arg, SKEIN_NEVER);
}

static int64_t
add(int64_t so_far, int64_t result)
{
    return so_far + result;
}

static void
calls(void *arg)
{
    struct shards_case *c = arg;
    uint64_t short_ns = MS;
    uint64_t long_ns = 1000 * MS;
    int64_t sum = 0;
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        int64_t rc = skein_call(shard, index_there, &short_ns, SKEIN_NEVER);
        note(c, rc < 0 ? rc : rc == (int64_t)shard ? 0 : -SKEIN_EPROTO);
        note(c, skein_call(shard, nested, &short_ns, SKEIN_NEVER));
        rc = skein_call(shard, index_there, &long_ns, skein_deadline_in(5 * MS));
        note(c, rc == -SKEIN_ETIMEDOUT ? 0 : rc < 0 ? rc : -SKEIN_EPROTO);
    }
    int rc = skein_map_reduce(index_there, &short_ns, add, 0, &sum, SKEIN_NEVER);
    note(c, rc < 0 ? rc : sum == 0 + 1 + 2 ? 0 : -SKEIN_EPROTO);
}

static int
index_as_value(void *arg, void **out_value)
{
    int64_t rc = index_there(arg);
    *out_value = rc < 0 ? NULL : (char *)arg + rc;
    return rc < 0 ? (int)rc : 0;
}

static int64_t
keep_promise(void *arg)
{
    struct shards_case *c = arg;
    struct skein_remote_promise *remote = c->remote;
    c->remote = NULL;
    int rc = skein_sleep(skein_deadline_in(2 * MS));
    skein_remote_promise_complete(remote, rc, c);
    return rc;
}

static void
futures(void *arg)
{
    struct shards_case *c = arg;
    uint64_t delay_ns = 3 * MS;
    struct skein_future *future = NULL;
    struct skein_promise promise;
    void *value = NULL;
    int rc = skein_future_call(&future, &c->scope, 2, index_as_value, &delay_ns, NULL);
    note(c, rc);
    if (rc == 0) {
        rc = skein_future_wait(future, SKEIN_NEVER, &value);
        note(c, rc == 0 && value != (char *)&delay_ns + 2 ? -SKEIN_EPROTO : rc);
        /* The call looks at delay_ns until it has ended. */
        skein_shield(true);
        (void)!skein_future_wait(future, SKEIN_NEVER, NULL);
        skein_shield(false);
    }
    skein_future_unref(future);
    skein_promise_open(&promise, NULL);
    future = skein_promise_future(&promise);
    c->remote = skein_promise_share(&promise);
    note(c, skein_call(1, keep_promise, c, SKEIN_NEVER));
    if (c->remote) /* the call did not begin */
        skein_remote_promise_complete(c->remote, -SKEIN_ECLOSED, NULL);
    note(c, skein_future_wait(future, skein_deadline_in(100 * MS), &value));
    skein_future_unref(future);
}

static int
shards_main(void *arg)
{
    struct shards_case c = {.rc = 0};
    (void)arg;
    stopping = &c;
    skein_scope_init(&c.scope);
    int rc = skein_service_start(&c.service, &service_ops, &c);
    if (rc < 0)
        return rc;
    note(&c, skein_spawn(&c.scope, "calls", calls, &c, SKEIN_STACK_SMALL));
    note(&c, skein_spawn(&c.scope, "futures", futures, &c, SKEIN_STACK_SMALL));
    note(&c, skein_service_invoke_on(c.service, 1, bump, NULL, SKEIN_NEVER));
    note(&c, skein_service_invoke_all(c.service, bump, NULL, NULL, SKEIN_NEVER));
    skein_scope_join(&c.scope);
    skein_service_stop(c.service);
    skein_assert(c.stopped_count == c.started_count);
    return c.rc;
}

const struct inject_case inject_shards_case = {
    .name = "shards", .main_fn = shards_main, .robust = true, .shard_count = SHARDS};
