/* SPDX-License-Identifier: Apache-2.0 */
#include "core/call.h"

#include "base/mem.h"
#include "core/internal.h"

static void
finish(struct call *call, int64_t result)
{
    call->state = CALL_DONE;
    call->result = result;
    call->done(call);
}

static bool
can_send(struct port_peer *peer)
{
    return peer->free_id_count > 0 && mailbox_has_room(&peer->out);
}

static void
send(struct port_peer *peer, struct call *call)
{
    call->id = peer->free_ids[--peer->free_id_count];
    call->state = CALL_THERE;
    peer->calls_there[call->id] = call;
    mailbox_push(&peer->out, MAILBOX_CALL, (uintptr_t)call->fn, call->arg,
                 (uint64_t)call->group_tag << 32 | call->id);
}

void
call_start(struct shard_port *port, struct call *call)
{
    skein_assert(call->shard < port->group->count);
    struct port_peer *peer = &port->peers[call->shard];
    call->port = port;
    call->state = CALL_QUEUED;
    call->group_tag = group_tag(port->shard);
    if (list_is_empty(&peer->calls) && can_send(peer))
        send(peer, call);
    else
        list_push_back(&peer->calls, &call->link);
}

void
call_cancel(struct call *call)
{
    struct port_peer *peer = &call->port->peers[call->shard];
    if (call->cancel_asked || call->state == CALL_DONE)
        return;
    call->cancel_asked = true;
    if (call->state == CALL_QUEUED) {
        list_remove(&call->link);
        finish(call, -SKEIN_ECANCELED);
    } else {
        list_push_back(&peer->cancels, &call->link);
    }
}

void
call_flush(struct shard_port *port, unsigned to)
{
    struct port_peer *peer = &port->peers[to];
    while (!list_is_empty(&peer->cancels) && mailbox_has_room(&peer->out)) {
        struct call *call = LIST_ENTRY(list_pop_front(&peer->cancels), struct call, link);
        mailbox_push(&peer->out, MAILBOX_CANCEL, 0, NULL, call->id);
    }
    while (!list_is_empty(&peer->calls) && can_send(peer))
        send(peer, LIST_ENTRY(list_pop_front(&peer->calls), struct call, link));
}

void
call_reply(struct shard_port *port, unsigned from, uint32_t id, int64_t result)
{
    struct port_peer *peer = &port->peers[from];
    skein_assert(id < port->group->call_count_max);
    struct call *call = peer->calls_there[id];
    skein_assert(call != NULL);
    peer->calls_there[id] = NULL;
    peer->free_ids[peer->free_id_count++] = id;
    list_remove(&call->link); /* from `cancels` */
    finish(call, result);
}

/* ---- skein_call and skein_call_all: a fiber that waits for a few calls ---- */

struct call_wait {
    struct skein_fiber *fiber;
    struct call *calls;
    unsigned count;
    unsigned pending_count;
    int reason; /* why they were cancelled; 0: they were not */
};

static void
one_done(struct call *call)
{
    struct call_wait *wait = call->owner;
    skein_assert(wait->pending_count > 0);
    if (--wait->pending_count == 0)
        fiber_ready(wait->fiber, 0);
}

static void
interrupted(struct skein_fiber *fiber, int reason)
{
    struct call_wait *wait = fiber->interrupt_arg;
    if (wait->reason != 0)
        return;
    wait->reason = reason;
    /* With the last one the fiber is ready, and `wait` still there: it runs later. */
    for (unsigned i = 0; i < wait->count; i++)
        call_cancel(&wait->calls[i]);
}

/* Parks until all are done. A cancelled call's result says why it was cancelled. */
static void
wait_for(struct shard_port *port, struct call *calls, unsigned count, uint64_t deadline_ns)
{
    struct call_wait wait = {
        .fiber = skein_fiber_self(), .calls = calls, .count = count, .pending_count = count};
    for (unsigned i = 0; i < count; i++) {
        calls[i].done = one_done;
        calls[i].owner = &wait;
        call_start(port, &calls[i]);
    }
    int rc = fiber_park(deadline_ns, interrupted, &wait);
    skein_assert(rc == 0);
    for (unsigned i = 0; i < count && wait.reason != 0; i++)
        if (calls[i].result == -SKEIN_ECANCELED)
            calls[i].result = wait.reason;
}

int64_t
skein_call(unsigned shard, int64_t (*fn)(void *arg), void *arg, uint64_t deadline_ns)
{
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    struct call call = {.fn = fn, .arg = arg, .shard = shard};
    wait_for(port, &call, 1, deadline_ns);
    return call.result;
}

int
skein_call_all(int64_t (*fn)(void *arg), void *arg, int64_t *out_results, uint64_t deadline_ns)
{
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    unsigned count = port->group->count;
    if (skein_cancelled())
        return -SKEIN_ECANCELED;
    struct call *calls = mem_zalloc(count * sizeof(calls[0]));
    for (unsigned i = 0; i < count; i++) {
        calls[i].fn = fn;
        calls[i].arg = arg;
        calls[i].shard = i;
    }
    wait_for(port, calls, count, deadline_ns);
    int64_t rc = 0;
    for (unsigned i = count; i-- > 0;) {
        if (out_results)
            out_results[i] = calls[i].result;
        if (calls[i].result < 0)
            rc = calls[i].result;
    }
    mem_free(calls);
    return (int)rc;
}

int
skein_map_reduce(int64_t (*map)(void *arg), void *arg,
                 int64_t (*reduce)(int64_t so_far, int64_t result), int64_t initial,
                 int64_t *out_value, uint64_t deadline_ns)
{
    unsigned count = skein_shard_count();
    int64_t *results = mem_alloc(count * sizeof(results[0]));
    int rc = skein_call_all(map, arg, results, deadline_ns);
    int64_t value = initial;
    for (unsigned i = 0; i < count && rc == 0; i++)
        value = reduce(value, results[i]);
    mem_free(results);
    if (rc == 0)
        *out_value = value;
    return rc;
}
