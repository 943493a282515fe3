/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mailbox_port.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/pool.h"

#define INBOX_TAKE_COUNT_MAX 64u

/* A full fence. ThreadSanitizer knows no fences, but read-modify-writes. */
static void
full_fence(void)
{
#ifdef CONTEXT_TSAN
    static uint32_t word;
    __atomic_fetch_add(&word, 0, __ATOMIC_SEQ_CST);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* The sender's side of the handshake. */
static void
light_fence(const struct skein_runtime *group)
{
    if (group->fence == PORT_FENCE_BOTH)
        full_fence();
    else
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* The sleeper's. */
static void
heavy_fence(struct skein_runtime *group)
{
    if (group->fence == PORT_FENCE_BOTH)
        full_fence();
    else if (group->fence == PORT_FENCE_MEMBARRIER)
        skein_assert(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
}

static void
wake_if_asleep(struct shard_port *to)
{
    if (!__atomic_load_n(&to->sleeping, __ATOMIC_RELAXED))
        return;
    if (__atomic_exchange_n(&to->sleeping, 0, __ATOMIC_ACQ_REL))
        to->shard->backend->ops->wake(to->shard->backend);
}

void
port_wake(struct shard_port *from, struct shard_port *to)
{
    light_fence(from->group);
    if (!__atomic_load_n(&to->sleeping, __ATOMIC_RELAXED))
        return;
    from->stats.wake_count++;
    wake_if_asleep(to);
}

void
port_give_back(struct shard_port *home, struct port_return *node)
{
    node->next = __atomic_load_n(&home->returned, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&home->returned, &node->next, node, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
    full_fence();
    wake_if_asleep(home);
}

int
port_post_foreign(struct shard_port *port, void (*fn)(void *arg), void *arg)
{
    int rc = inbox_enter(&port->inbox);
    if (rc < 0)
        return rc;
    rc = inbox_push(&port->inbox, fn, arg);
    if (rc == 0) {
        full_fence();
        wake_if_asleep(port);
    }
    inbox_leave(&port->inbox);
    return rc;
}

static uint32_t
flush_peer(struct shard_port *port, unsigned to)
{
    struct port_peer *peer = &port->peers[to];
    uint32_t moved_count = 0;
    if (peer->out.home_count > 0 || !list_is_empty(&peer->room.waiters))
        moved_count = mailbox_reclaim(&peer->out);
    if (!list_is_empty(&peer->replies))
        serve_flush(port, to);
    if (!list_is_empty(&peer->cancels) || !list_is_empty(&peer->calls))
        call_flush(port, to);
    if (peer->out.batch_count > 0)
        mailbox_flush(&peer->out);
    if (peer->out.told != peer->out.tail) {
        port->stats.sent_count += peer->out.tail - peer->out.told;
        peer->out.told = peer->out.tail;
        if (to != port->index)
            port_wake(port, port->group->ports[to]);
    }
    if (!list_is_empty(&peer->room.waiters) && mailbox_has_room(&peer->out))
        skein_wake_all(&peer->room);
    return moved_count;
}

static void
arrived(struct shard_port *port, unsigned from, const struct mailbox_item *item)
{
    struct skein_message *message = item->arg;
    switch ((enum mailbox_kind)item->stamp) {
    case MAILBOX_POST:
        ((void (*)(void *))(uintptr_t)item->word)(item->arg);
        break;
    case MAILBOX_MESSAGE:
        message->run(message);
        break;
    case MAILBOX_CALL:
        serve_call(port, from, item);
        break;
    case MAILBOX_CANCEL:
        serve_cancel(port, from, (uint32_t)item->tag);
        break;
    case MAILBOX_REPLY:
        call_reply(port, from, (uint32_t)item->tag, (int64_t)item->word);
        break;
    }
}

static uint32_t
receive(struct shard_port *port, unsigned from)
{
    struct mailbox_in *in = &port->peers[from].in;
    struct mailbox_item item;
    uint32_t count = 0;
    while (count < MAILBOX_SLOT_COUNT && mailbox_take(in, &item)) {
        arrived(port, from, &item);
        if (++count % MAILBOX_BATCH_COUNT == 0)
            mailbox_release(in);
    }
    if (count == 0)
        return 0;
    mailbox_release(in);
    port->stats.received_count += count;
    if (from == port->index)
        return count;
    light_fence(port->group);
    if (__atomic_load_n(&in->ring->wanted, __ATOMIC_RELAXED)) {
        __atomic_store_n(&in->ring->wanted, 0, __ATOMIC_RELAXED);
        port_wake(port, port->group->ports[from]);
    }
    return count;
}

/* In the order in which they were given back. */
static uint32_t
take_returned(struct shard_port *port)
{
    if (!__atomic_load_n(&port->returned, __ATOMIC_RELAXED))
        return 0;
    struct port_return *newest = __atomic_exchange_n(&port->returned, NULL, __ATOMIC_ACQUIRE);
    struct port_return *oldest = NULL;
    while (newest) {
        struct port_return *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    uint32_t count = 0;
    for (; oldest; count++) {
        struct port_return *next = oldest->next;
        oldest->fn(oldest);
        oldest = next;
    }
    return count;
}

static uint32_t
take_inbox(struct shard_port *port)
{
    struct inbox_cell cell;
    uint32_t count = 0;
    for (; count < INBOX_TAKE_COUNT_MAX && inbox_take(&port->inbox, &cell); count++)
        cell.fn(cell.arg);
    return count;
}

bool
port_turn(struct shard_port *port)
{
    uint32_t moved_count = 0;
    for (unsigned i = 0; i < port->group->count; i++)
        moved_count += flush_peer(port, i);
    for (unsigned i = 0; i < port->group->count; i++)
        moved_count += receive(port, i);
    moved_count += take_inbox(port);
    moved_count += take_returned(port);
    if (port->shard->pool && pool_has_remote(port->shard->pool))
        pool_take_remote(port->shard->pool);
    return moved_count > 0;
}

static bool
something_came(const struct shard_port *port)
{
    for (unsigned i = 0; i < port->group->count; i++) {
        const struct port_peer *peer = &port->peers[i];
        const struct mailbox_ring *ring = peer->out.ring;
        if (!mailbox_is_empty(&peer->in))
            return true;
        if (__atomic_load_n(&ring->wanted, __ATOMIC_RELAXED) &&
            __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) != peer->out.reclaimed)
            return true;
    }
    return !inbox_is_empty(&port->inbox) || __atomic_load_n(&port->returned, __ATOMIC_RELAXED);
}

bool
port_rest(struct shard_port *port)
{
    for (unsigned i = 0; i < port->group->count; i++) {
        struct port_peer *peer = &port->peers[i];
        bool wants = peer->out.batch_count > 0 || peer->out.home_count > 0 ||
                     !list_is_empty(&peer->replies) || !list_is_empty(&peer->cancels) ||
                     !list_is_empty(&peer->room.waiters);
        if (wants)
            __atomic_store_n(&peer->out.ring->wanted, 1, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&port->sleeping, 1, __ATOMIC_RELAXED);
    heavy_fence(port->group);
    if (something_came(port)) {
        port_awake(port);
        return false;
    }
    port->stats.sleep_count++;
    return true;
}

void
port_awake(struct shard_port *port)
{
    __atomic_store_n(&port->sleeping, 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < port->group->count; i++) {
        struct mailbox_ring *ring = port->peers[i].out.ring;
        if (__atomic_load_n(&ring->wanted, __ATOMIC_RELAXED))
            __atomic_store_n(&ring->wanted, 0, __ATOMIC_RELAXED);
    }
}
