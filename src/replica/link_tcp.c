/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/link_tcp_internal.h"

#include <string.h>

#include "base/mem.h"
#include "net/listen.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/error.h"

static struct link_tcp *
of_link(struct replica_link *link)
{
    return BASE_CONTAINER_OF(link, struct link_tcp, base);
}

static struct link_tcp_outbound *
find_outbound(struct link_tcp *tcp, uint32_t node)
{
    for (uint32_t i = 0; i < tcp->outbound_count; i++)
        if (tcp->outbounds[i].node == node)
            return &tcp->outbounds[i];
    return NULL;
}

static int
start_fibers(struct link_tcp *tcp)
{
    int rc = skein_spawn(&tcp->scope, "link-accept", link_tcp_accept, tcp, SKEIN_STACK_SMALL);
    for (uint32_t i = 0; rc == 0 && i < tcp->outbound_count; i++)
        rc = skein_spawn(&tcp->scope, "link-dial", link_tcp_dial, &tcp->outbounds[i],
                         SKEIN_STACK_SMALL);
    return rc;
}

static int
tcp_start(struct replica_link *link, const struct replica_link_handler *handler)
{
    struct link_tcp *tcp = of_link(link);
    skein_assert(!tcp->started);
    tcp->handler = handler;
    int rc = net_listen(&tcp->listen_addr, 64);
    if (rc < 0)
        return rc;
    tcp->listener = rc;
    tcp->started = true;
    return start_fibers(tcp);
}

static int
tcp_send(struct replica_link *link, uint32_t node, struct bytes message)
{
    struct link_tcp *tcp = of_link(link);
    struct link_tcp_outbound *out = find_outbound(tcp, node);
    if (!out)
        return -SKEIN_ENOTFOUND;
    skein_assert(message.count >= 1 && message.count <= REPLICA_MESSAGE_BYTES_MAX);
    if (!out->connected) {
        tcp->stats.dropped_unconnected++;
        return -SKEIN_EAGAIN;
    }
    uint64_t cost = message.count + sizeof(struct link_tcp_message);
    if (out->queue_count > 0 && out->queue_bytes + cost > tcp->queue_bytes_max) {
        tcp->stats.dropped_queue_full++;
        return -SKEIN_EAGAIN;
    }
    mem_grow(&out->queue, &out->queue_capacity, out->queue_count, sizeof *out->queue);
    struct link_tcp_message *slot = &out->queue[out->queue_count++];
    link_frame_header(slot->header, message.data, message.count);
    slot->payload = bytes_ref(message);
    out->queue_bytes += cost;
    skein_wake_all(&out->wake);
    return 0;
}

static bool
tcp_connected(struct replica_link *link, uint32_t node)
{
    struct link_tcp_outbound *out = find_outbound(of_link(link), node);
    return out && out->connected;
}

static void
tcp_stats(struct replica_link *link, struct replica_link_stats *out_stats)
{
    *out_stats = of_link(link)->stats;
}

void
link_tcp_drop_queue(struct link_tcp_outbound *out, uint64_t *counter)
{
    for (size_t i = 0; i < out->queue_count; i++)
        bytes_unref(&out->queue[i].payload);
    *counter += out->queue_count;
    out->queue_count = 0;
    out->queue_bytes = 0;
}

static void
tcp_stop(struct replica_link *link)
{
    struct link_tcp *tcp = of_link(link);
    skein_shield(true);
    skein_scope_cancel(&tcp->scope);
    skein_scope_join(&tcp->scope);
    link_tcp_end_inbounds(tcp);
    if (tcp->started)
        skein_close(tcp->listener);
    skein_shield(false);
    for (uint32_t i = 0; i < tcp->outbound_count; i++) {
        link_tcp_drop_queue(&tcp->outbounds[i], &tcp->stats.dropped_unconnected);
        mem_free(tcp->outbounds[i].queue);
    }
    mem_free(tcp->outbounds);
    mem_free(tcp->cluster_name);
    mem_free(tcp);
}

static const struct replica_link_ops tcp_ops = {.name = "tcp",
                                                .start = tcp_start,
                                                .send = tcp_send,
                                                .connected = tcp_connected,
                                                .stats = tcp_stats,
                                                .stop = tcp_stop};

static void
add_outbound(struct link_tcp *tcp, const struct replica_peer *peer)
{
    struct link_tcp_outbound *out = &tcp->outbounds[tcp->outbound_count++];
    *out = (struct link_tcp_outbound){
        .tcp = tcp, .node = peer->node, .addr = peer->addr, .handle = -1};
    skein_waitq_init(&out->wake);
}

int
link_tcp_open(struct replica_link **out_link, const struct link_tcp_options *options)
{
    const struct replica_peer *self = NULL;
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (options->peers[i].node == options->node)
            self = &options->peers[i];
    size_t name_bytes = strlen(options->cluster_name);
    if (!self || options->peer_count > REPLICA_NODES_MAX || name_bytes == 0 || name_bytes > 64)
        return -SKEIN_EINVALID;
    struct link_tcp *tcp = mem_zalloc(sizeof *tcp);
    tcp->base.ops = &tcp_ops;
    tcp->cluster_name = mem_strdup(options->cluster_name);
    tcp->node = options->node;
    tcp->queue_bytes_max = options->queue_bytes_max;
    tcp->listen_addr = self->addr;
    skein_scope_init(&tcp->scope);
    list_init(&tcp->inbounds);
    tcp->outbounds = mem_zalloc(sizeof *tcp->outbounds * options->peer_count);
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (&options->peers[i] != self)
            add_outbound(tcp, &options->peers[i]);
    *out_link = &tcp->base;
    return 0;
}
