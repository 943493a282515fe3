/* SPDX-License-Identifier: Apache-2.0 */
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/mailbox_port.h"
#include "skein/metrics.h"

static const struct skein_metric rows[] = {
    {"skein_mailbox_sent_total", "Calls, messages and answers sent to other shards.", SKEIN_COUNTER,
     SKEIN_FIELD(struct shard_port, stats.sent_count)},
    {"skein_mailbox_received_total", "Of these, received.", SKEIN_COUNTER,
     SKEIN_FIELD(struct shard_port, stats.received_count)},
    {"skein_mailbox_full_total", "Messages and posts refused: the ring was full.", SKEIN_COUNTER,
     SKEIN_FIELD(struct shard_port, stats.full_count)},
    {"skein_mailbox_wakes_total", "Sleeping shards that were woken for a message.", SKEIN_COUNTER,
     SKEIN_FIELD(struct shard_port, stats.wake_count)},
    {"skein_shard_sleeps_total", "Times a shard went to sleep.", SKEIN_COUNTER,
     SKEIN_FIELD(struct shard_port, stats.sleep_count)},
    {"skein_shard_polls_total", "Times a shard polled instead of sleeping, and something came.",
     SKEIN_COUNTER, SKEIN_FIELD(struct shard_port, stats.poll_count)},
};

struct skein_runtime *
group_open(unsigned count, uint32_t call_count_max, enum port_fence fence)
{
    skein_assert(count >= 1 && count <= SHARD_COUNT_MAX);
    struct skein_runtime *group = mem_zalloc(sizeof(*group));
    group->count = count;
    group->call_count_max = call_count_max ? call_count_max : CALL_COUNT_DEFAULT;
    if (fence == PORT_FENCE_MEMBARRIER &&
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) < 0)
        fence = PORT_FENCE_BOTH;
    group->fence = fence;
    return group;
}

void
group_close(struct skein_runtime *group)
{
    if (!group)
        return;
    for (unsigned i = 0; i < group->count; i++)
        skein_assert(group->ports[i] == NULL);
    mem_free(group);
}

static void
peer_open(const struct skein_runtime *group, struct port_peer *peer)
{
    uint32_t count = group->call_count_max;
    list_init(&peer->calls);
    list_init(&peer->cancels);
    list_init(&peer->replies);
    skein_waitq_init(&peer->room);
    peer->in.ring = mailbox_ring_open();
    peer->calls_there = mem_zalloc(count * sizeof(peer->calls_there[0]));
    peer->served = mem_zalloc(count * sizeof(peer->served[0]));
    peer->free_ids = mem_alloc(count * sizeof(peer->free_ids[0]));
    peer->free_id_count = count;
    for (uint32_t i = 0; i < count; i++)
        peer->free_ids[i] = count - 1 - i;
}

struct shard_port *
port_open(struct skein_runtime *group, unsigned index, struct skein_shard *shard,
          uint32_t inbox_count_max)
{
    skein_assert(index < group->count);
    skein_assert(group->ports[index] == NULL);
    struct shard_port *port = mem_alloc_aligned(128, sizeof(*port));
    memset(port, 0, sizeof(*port));
    port->group = group;
    port->index = index;
    port->shard = shard;
    skein_scope_init(&port->served_scope);
    list_init(&port->served_free);
    inbox_init(&port->inbox, inbox_count_max ? inbox_count_max : INBOX_COUNT_DEFAULT);
    port->peers = mem_zalloc(group->count * sizeof(port->peers[0]));
    for (unsigned i = 0; i < group->count; i++)
        peer_open(group, &port->peers[i]);
    group->ports[index] = port;
    shard->port = port;
    /* A registry that is full has counted it. */
    (void)!skein_metrics_add(shard->metrics, port, rows, BASE_COUNT_OF(rows), NULL, 0);
    return port;
}

void
port_connect(struct shard_port *port)
{
    for (unsigned i = 0; i < port->group->count; i++)
        port->peers[i].out.ring = port->group->ports[i]->peers[port->index].in.ring;
}

void
port_drain(struct shard_port *port)
{
    for (unsigned i = 0; i < port->group->count; i++)
        mailbox_abandon(&port->peers[i].out);
    struct inbox_cell cell;
    while (inbox_take(&port->inbox, &cell))
        cell.fn(cell.arg);
    struct port_return *node;
    while ((node = port->returned)) {
        port->returned = node->next;
        node->fn(node);
    }
}

void
port_close(struct shard_port *port)
{
    if (!port)
        return;
    skein_assert(port->served_scope.live_count == 0);
    for (unsigned i = 0; i < port->group->count; i++) {
        struct port_peer *peer = &port->peers[i];
        skein_assert(list_is_empty(&peer->calls));
        mailbox_ring_close(peer->in.ring);
        mem_free(peer->calls_there);
        mem_free(peer->served);
        mem_free(peer->free_ids);
    }
    serve_close(port);
    inbox_deinit(&port->inbox);
    mem_free(port->peers);
    skein_metrics_remove(port->shard->metrics, port);
    port->group->ports[port->index] = NULL;
    port->shard->port = NULL;
    mem_free(port);
}

struct shard_port *
port_current(void)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    return shard->port;
}
