/* SPDX-License-Identifier: Apache-2.0 */
/* Calls at the end of the shard that is called. */
#include "base/mem.h"
#include "core/internal.h"
#include "core/mailbox_port.h"

struct port_served {
    struct skein_list link; /* among the free ones, or among those whose answer wants room */
    struct shard_port *port;
    struct skein_fiber *fiber; /* once it runs */
    int64_t (*fn)(void *arg);
    void *arg;
    int64_t result;
    /* A local one has a handler, the others a number at the shard `from`. */
    void (*done)(void *owner, int64_t result);
    void *owner;
    unsigned from;
    uint32_t id;
    bool cancelled;
};

/* Records are kept: their number is bounded by the credits of all shards together. */
static struct port_served *
acquire(struct shard_port *port)
{
    struct skein_list *link = list_pop_front(&port->served_free);
    struct port_served *served =
        link ? LIST_ENTRY(link, struct port_served, link) : mem_alloc(sizeof(*served));
    *served = (struct port_served){.port = port};
    return served;
}

static void
release(struct port_served *served)
{
    list_push_front(&served->port->served_free, &served->link);
}

static void
send_reply(struct port_peer *peer, struct port_served *served)
{
    mailbox_push(&peer->out, MAILBOX_REPLY, (uint64_t)served->result, NULL, served->id);
    release(served);
}

static void
finish(struct port_served *served, int64_t result)
{
    struct port_peer *peer = &served->port->peers[served->from];
    served->result = result;
    if (served->done) {
        served->done(served->owner, result);
        release(served);
        return;
    }
    peer->served[served->id] = NULL;
    if (list_is_empty(&peer->replies) && mailbox_has_room(&peer->out))
        send_reply(peer, served);
    else
        list_push_back(&peer->replies, &served->link);
}

void
serve_flush(struct shard_port *port, unsigned to)
{
    struct port_peer *peer = &port->peers[to];
    while (!list_is_empty(&peer->replies) && mailbox_has_room(&peer->out))
        send_reply(peer, LIST_ENTRY(list_pop_front(&peer->replies), struct port_served, link));
}

static void
served_fiber(void *arg)
{
    struct port_served *served = arg;
    served->fiber = skein_fiber_self();
    if (served->cancelled)
        fiber_cancel(served->fiber);
    finish(served, served->fn(served->arg));
}

static int
begin(struct shard_port *port, struct port_served *served)
{
    if (port->closing)
        return -SKEIN_ECLOSED;
    return fiber_spawn(port->shard, &port->served_scope, "call", served_fiber, served,
                       SKEIN_STACK_SMALL);
}

void
serve_call(struct shard_port *port, unsigned from, const struct mailbox_item *item)
{
    struct port_served *served = acquire(port);
    served->from = from;
    served->id = (uint32_t)item->tag;
    served->fn = (int64_t(*)(void *))(uintptr_t)item->word;
    served->arg = item->arg;
    skein_assert(served->id < port->group->call_count_max);
    skein_assert(port->peers[from].served[served->id] == NULL);
    port->peers[from].served[served->id] = served;
    /* Under the caller's scheduling group. */
    port->shard->sched.spawn_in = group_of_tag(port->shard, (uint32_t)(item->tag >> 32));
    int rc = begin(port, served);
    port->shard->sched.spawn_in = NULL;
    if (rc < 0)
        finish(served, rc);
}

void
serve_cancel(struct shard_port *port, unsigned from, uint32_t id)
{
    skein_assert(id < port->group->call_count_max);
    struct port_served *served = port->peers[from].served[id];
    if (!served)
        return; /* its answer is on the way */
    served->cancelled = true;
    if (served->fiber)
        fiber_cancel(served->fiber);
}

int
serve_local(struct shard_port *port, int64_t (*fn)(void *arg), void *arg,
            void (*done)(void *owner, int64_t result), void *owner)
{
    struct port_served *served = acquire(port);
    served->fn = fn;
    served->arg = arg;
    served->done = done;
    served->owner = owner;
    int rc = begin(port, served);
    if (rc < 0)
        release(served);
    return rc;
}

void
serve_stop(struct shard_port *port)
{
    port->closing = true;
    skein_scope_cancel(&port->served_scope);
    skein_scope_join(&port->served_scope);
}

void
serve_close(struct shard_port *port)
{
    struct skein_list *link;
    while ((link = list_pop_front(&port->served_free)))
        mem_free(LIST_ENTRY(link, struct port_served, link));
}
