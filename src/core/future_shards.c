/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/future.h"
#include "skein/call.h"

/* ---- a call as a future ---- */

struct future_call {
    unsigned shard;
    int (*fn)(void *arg, void **out_value);
    void *arg;
    void *value;
};

static int64_t
run_there(void *arg)
{
    struct future_call *call = arg;
    return call->fn(call->arg, &call->value);
}

static int
call_and_wait(void *arg, void **out_value)
{
    struct future_call call = *(struct future_call *)arg;
    mem_free(arg);
    int64_t rc = skein_call(call.shard, run_there, &call, SKEIN_NEVER);
    *out_value = call.value;
    return (int)rc;
}

int
skein_future_call(struct skein_future **out_future, struct skein_scope *scope, unsigned shard,
                  int (*fn)(void *arg, void **out_value), void *arg, void (*drop)(void *value))
{
    struct future_call *call = mem_alloc(sizeof(*call));
    *call = (struct future_call){.shard = shard, .fn = fn, .arg = arg};
    int rc = skein_future_spawn(out_future, scope, "future-call", call_and_wait, call,
                                SKEIN_STACK_SMALL, drop);
    if (rc < 0)
        mem_free(call);
    return rc;
}

/* ---- a promise that travels ---- */

struct skein_remote_promise {
    struct skein_promise promise;
    struct skein_foreign *foreign; /* brings this record home */
    int rc;
    void *value;
};

static void
is_home(void *object)
{
    struct skein_remote_promise *remote = object;
    skein_promise_complete(&remote->promise, remote->rc, remote->value);
    mem_free(remote);
}

struct skein_remote_promise *
skein_promise_share(struct skein_promise *promise)
{
    skein_assert(promise->future != NULL);
    struct skein_remote_promise *remote = mem_zalloc(sizeof(*remote));
    remote->promise = *promise;
    remote->foreign = skein_foreign_open(remote, is_home);
    promise->future = NULL;
    return remote;
}

void
skein_remote_promise_complete(struct skein_remote_promise *remote, int rc, void *value)
{
    skein_assert(rc <= 0);
    remote->rc = rc;
    remote->value = rc < 0 ? NULL : value;
    skein_foreign_drop(remote->foreign);
}
