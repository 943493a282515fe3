/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"
#include "core/future.h"

#include "base/mem.h"

#define FUTURE_MAGIC 0x736b667574757265ull

struct skein_future *
future_new(size_t hook_count, void (*drop)(void *value))
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    struct skein_future *future =
        mem_zalloc(sizeof(*future) + hook_count * sizeof(future->sources[0]));
    future->magic = FUTURE_MAGIC;
    future->shard = shard;
    future->ref_count = 2;
    future->drop = drop;
    future->hook_count = hook_count;
    shard->stats.futures_made++;
    shard->stats.futures_live++;
    skein_waitq_init(&future->waiters);
    list_init(&future->hooks);
    return future;
}

/* Those who wait for a future that has become complete learn of it. */
static void
deliver(struct skein_future *future)
{
    struct skein_list *link;
    future->delivered = true;
    if (future->on_settled)
        future->on_settled(future);
    skein_wake_all(&future->waiters);
    while ((link = list_pop_front(&future->hooks))) {
        struct future_hook *hook = LIST_ENTRY(link, struct future_hook, link);
        if (!hook->target->complete)
            hook->target->on_source(hook->target, hook);
    }
}

static void
destroy(struct skein_future *future)
{
    skein_assert(future->complete);
    skein_assert(list_is_empty(&future->waiters.waiters));
    if (future->value && future->drop)
        future->drop(future->value);
    for (size_t i = 0; i < future->hook_count; i++) {
        list_remove(&future->sources[i].link);
        skein_future_unref(future->sources[i].source);
    }
    skein_assert(future->shard->stats.futures_live > 0);
    future->shard->stats.futures_live--;
    future->magic = 0;
    mem_free(future);
}

/* Work off what there is to do, unless a caller further up is at it. */
static void
work_off(struct skein_shard *shard)
{
    struct skein_list *link;
    if (shard->future_working)
        return;
    shard->future_working = true;
    while ((link = list_pop_front(&shard->future_work))) {
        struct skein_future *future = LIST_ENTRY(link, struct skein_future, work_link);
        if (future->delivered) {
            destroy(future);
            continue;
        }
        deliver(future);
        skein_future_unref(future); /* the pending one's own */
    }
    shard->future_working = false;
}

static void
queue_work(struct skein_future *future)
{
    list_push_back(&future->shard->future_work, &future->work_link);
    work_off(future->shard);
}

void
future_settle(struct skein_future *future, int rc, void *value)
{
    skein_assert(future->magic == FUTURE_MAGIC);
    skein_assert(rc <= 0);
    skein_assert(rc == 0 || value == NULL);
    if (future->complete) {
        if (value && future->drop)
            future->drop(value);
        return;
    }
    future->shard->stats.futures_failed += rc < 0;
    future->complete = true;
    future->rc = rc;
    future->value = value;
    queue_work(future);
}

void
future_hook_on(struct future_hook *hook, struct skein_future *source, struct skein_future *target)
{
    *hook = (struct future_hook){.source = skein_future_ref(source), .target = target};
    if (source->delivered)
        target->on_source(target, hook);
    else
        list_push_back(&source->hooks, &hook->link);
}

struct skein_future *
skein_future_ref(struct skein_future *future)
{
    skein_assert(future->magic == FUTURE_MAGIC);
    skein_assert(future->shard == skein_shard_current());
    future->ref_count++;
    return future;
}

void
skein_future_unref(struct skein_future *future)
{
    if (!future)
        return;
    skein_assert(future->magic == FUTURE_MAGIC);
    skein_assert(future->ref_count > 0);
    if (--future->ref_count == 0)
        queue_work(future);
}

bool
skein_future_is_complete(const struct skein_future *future)
{
    return future->complete;
}

int
skein_future_result(const struct skein_future *future, void **out_value)
{
    skein_assert(future->complete);
    if (out_value && future->rc == 0)
        *out_value = future->value;
    return future->rc;
}

int
skein_future_wait(struct skein_future *future, uint64_t deadline_ns, void **out_value)
{
    chaos_point();
    skein_assert(future->magic == FUTURE_MAGIC);
    if (!future->complete) {
        int rc = wait_counted(&future->waiters, WAIT_FUTURE, deadline_ns);
        if (rc < 0)
            return rc;
    }
    return skein_future_result(future, out_value);
}

void
skein_future_cancel(struct skein_future *future)
{
    skein_assert(future->magic == FUTURE_MAGIC);
    if (future->complete || future->cancelling)
        return;
    struct skein_future *last = skein_future_ref(future);
    future->cancelling = true;
    /* Settled from the sources up would call maps; so each is settled before its sources. */
    for (struct skein_future *next = future; next;) {
        for (size_t i = 0; i < next->hook_count && !next->complete; i++) {
            struct skein_future *source = next->sources[i].source;
            if (!source || source->complete || source->cancelling)
                continue;
            source->cancelling = true;
            last = last->cancel_next = skein_future_ref(source);
        }
        if (!next->complete && next->on_cancel)
            next->on_cancel(next->on_cancel_arg);
        if (!next->complete)
            future_settle(next, -SKEIN_ECANCELED, NULL);
        struct skein_future *done = next;
        next = done->cancel_next;
        done->cancel_next = NULL;
        skein_future_unref(done);
    }
}
