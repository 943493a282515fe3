/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/service.h"

#include "base/assert.h"
#include "base/mem.h"

struct instance {
    void *local; /* allocated on its shard */
    struct skein_scope scope;
    uint64_t invoked_count; /* invocations that run */
    struct skein_waitq idle;
    bool closed;
};

struct skein_service {
    const struct skein_service_ops *ops;
    void *start_arg;
    unsigned count;
    struct instance **instances; /* each written and used by its shard; NULL: not started */
};

static struct instance *
here(const struct skein_service *service)
{
    return service->instances[skein_shard_index()];
}

static void
free_instance(struct skein_service *service)
{
    struct instance *instance = here(service);
    service->instances[skein_shard_index()] = NULL;
    mem_free(instance->local);
    mem_free(instance);
}

static int64_t
start_here(void *arg)
{
    struct skein_service *service = arg;
    struct instance *instance = mem_zalloc(sizeof(*instance));
    instance->local = mem_zalloc(service->ops->bytes);
    skein_scope_init(&instance->scope);
    skein_waitq_init(&instance->idle);
    service->instances[skein_shard_index()] = instance;
    int rc = service->ops->start(instance->local, &instance->scope, service->start_arg);
    skein_assert(rc <= 0);
    if (rc == 0)
        return 0;
    skein_scope_cancel(&instance->scope);
    skein_scope_join(&instance->scope);
    free_instance(service);
    return rc;
}

static int64_t
close_here(void *arg)
{
    struct instance *instance = here(arg);
    instance->closed = true;
    skein_shield(true);
    while (instance->invoked_count > 0) {
        int rc = skein_wait(&instance->idle, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    skein_shield(false);
    return 0;
}

static int64_t
stop_here(void *arg)
{
    struct skein_service *service = arg;
    struct instance *instance = here(service);
    skein_scope_cancel(&instance->scope);
    skein_scope_join(&instance->scope);
    if (service->ops->stop)
        service->ops->stop(instance->local);
    free_instance(service);
    return 0;
}

/* From @count - 1 down to 0. */
static void
stop_first(struct skein_service *service, unsigned count)
{
    skein_shield(true);
    for (unsigned i = count; i-- > 0;) {
        int64_t rc = skein_call(i, stop_here, service, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
    skein_shield(false);
    mem_free(service->instances);
    mem_free(service);
}

int
skein_service_start(struct skein_service **out_service, const struct skein_service_ops *ops,
                    void *arg)
{
    skein_assert(ops->start != NULL);
    struct skein_service *service = mem_zalloc(sizeof(*service));
    service->ops = ops;
    service->start_arg = arg;
    service->count = skein_shard_count();
    service->instances = mem_zalloc(service->count * sizeof(service->instances[0]));
    for (unsigned i = 0; i < service->count; i++) {
        int64_t rc = skein_call(i, start_here, service, SKEIN_NEVER);
        if (rc < 0) {
            stop_first(service, i);
            return (int)rc;
        }
    }
    *out_service = service;
    return 0;
}

void *
skein_service_local(const struct skein_service *service)
{
    return here(service)->local;
}

struct invocation {
    struct skein_service *service;
    int64_t (*fn)(void *local, void *arg);
    void *arg;
};

static int64_t
invoke_here(void *arg)
{
    const struct invocation *invocation = arg;
    struct instance *instance = here(invocation->service);
    if (!instance || instance->closed)
        return -SKEIN_ECLOSED;
    instance->invoked_count++;
    int64_t result = invocation->fn(instance->local, invocation->arg);
    if (--instance->invoked_count == 0)
        skein_wake_all(&instance->idle);
    return result;
}

int64_t
skein_service_invoke_on(struct skein_service *service, unsigned shard,
                        int64_t (*fn)(void *local, void *arg), void *arg, uint64_t deadline_ns)
{
    struct invocation invocation = {.service = service, .fn = fn, .arg = arg};
    return skein_call(shard, invoke_here, &invocation, deadline_ns);
}

int
skein_service_invoke_all(struct skein_service *service, int64_t (*fn)(void *local, void *arg),
                         void *arg, int64_t *out_results, uint64_t deadline_ns)
{
    struct invocation invocation = {.service = service, .fn = fn, .arg = arg};
    return skein_call_all(invoke_here, &invocation, out_results, deadline_ns);
}

void
skein_service_stop(struct skein_service *service)
{
    if (!service)
        return;
    skein_shield(true);
    int rc = skein_call_all(close_here, service, NULL, SKEIN_NEVER);
    skein_shield(false);
    skein_assert(rc == 0);
    stop_first(service, service->count);
}
