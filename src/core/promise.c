/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/future.h"

void
skein_promise_open(struct skein_promise *promise, void (*drop)(void *value))
{
    promise->future = future_new(0, drop);
}

struct skein_future *
skein_promise_future(const struct skein_promise *promise)
{
    skein_assert(promise->future != NULL);
    return skein_future_ref(promise->future);
}

void
skein_promise_complete(struct skein_promise *promise, int rc, void *value)
{
    struct skein_future *future = promise->future;
    skein_assert(future != NULL);
    promise->future = NULL;
    future->on_cancel = NULL;
    future_settle(future, rc, value);
    skein_future_unref(future);
}

void
skein_promise_on_cancel(struct skein_promise *promise, void (*fn)(void *arg), void *arg)
{
    skein_assert(promise->future != NULL);
    promise->future->on_cancel = fn;
    promise->future->on_cancel_arg = arg;
}

void
skein_promise_close(struct skein_promise *promise)
{
    if (promise->future)
        skein_promise_complete(promise, -SKEIN_ECLOSED, NULL);
}

/* ---- a fiber's result ---- */

struct spawned {
    struct skein_promise promise;
    struct skein_task task;
    int (*fn)(void *arg, void **out_value);
    void *arg;
};

static void
cancel_fiber(void *arg)
{
    struct spawned *spawned = arg;
    skein_task_cancel(&spawned->task);
}

static int
run_spawned(void *arg)
{
    struct spawned *spawned = arg;
    void *value = NULL;
    int rc = spawned->fn(spawned->arg, &value);
    skein_promise_complete(&spawned->promise, rc < 0 ? rc : 0, rc < 0 ? NULL : value);
    return 0;
}

/* The record outlives the task's last look at it: it is the fiber's own datum. */
static const struct skein_local record_key = {mem_free};

static int
run_and_free(void *arg)
{
    skein_local_set(&record_key, arg);
    return run_spawned(arg);
}

int
skein_future_spawn(struct skein_future **out_future, struct skein_scope *scope, const char *name,
                   int (*fn)(void *arg, void **out_value), void *arg,
                   enum skein_stack_class stack_class, void (*drop)(void *value))
{
    struct spawned *spawned = mem_zalloc(sizeof(*spawned));
    spawned->fn = fn;
    spawned->arg = arg;
    int rc = skein_task_spawn(&spawned->task, scope, name, run_and_free, spawned, stack_class);
    if (rc < 0) {
        mem_free(spawned);
        return rc;
    }
    skein_promise_open(&spawned->promise, drop);
    skein_promise_on_cancel(&spawned->promise, cancel_fiber, spawned);
    *out_future = skein_promise_future(&spawned->promise);
    return 0;
}
