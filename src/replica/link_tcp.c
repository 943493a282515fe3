/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/link_tcp_internal.h"

#include <string.h>

#include "base/mem.h"
#include "net/listen.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/error.h"
#include "skein/group.h"

static struct link_tcp *
of_link(struct replica_link *link)
{
    return BASE_CONTAINER_OF(link, struct link_tcp, base);
}

struct link_tcp_outbound *
link_tcp_find(struct link_tcp *tcp, uint32_t node)
{
    list_for_each (link, &tcp->outbounds) {
        struct link_tcp_outbound *out = LIST_ENTRY(link, struct link_tcp_outbound, link);
        if (out->node == node && !out->gone)
            return out;
    }
    return NULL;
}

static int
start_dialler(struct link_tcp_outbound *out)
{
    int rc = skein_spawn_at(SKEIN_PRIORITY_CRITICAL, &out->scope, "link-dial", link_tcp_dial, out,
                            SKEIN_STACK_SMALL);
    out->live_count += rc == 0;
    if (rc == 0)
        rc = skein_spawn_at(SKEIN_PRIORITY_CRITICAL, &out->scope, "link-write", link_tcp_write, out,
                            SKEIN_STACK_SMALL);
    else
        return rc;
    out->live_count += rc == 0;
    if (rc < 0)
        skein_scope_cancel(&out->scope);
    return rc;
}

static int
start_fibers(struct link_tcp *tcp)
{
    int rc = skein_spawn_at(SKEIN_PRIORITY_CRITICAL, &tcp->scope, "link-accept", link_tcp_accept,
                            tcp, SKEIN_STACK_SMALL);
    list_for_each (link, &tcp->outbounds)
        if (rc == 0)
            rc = start_dialler(LIST_ENTRY(link, struct link_tcp_outbound, link));
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
    skein_acceptor_init(&tcp->acceptor, rc, UINT32_MAX);
    tcp->started = true;
    return start_fibers(tcp);
}

static int
tcp_send(struct replica_link *link, uint32_t node, struct bytes message)
{
    struct link_tcp *tcp = of_link(link);
    struct link_tcp_outbound *out = link_tcp_find(tcp, node);
    if (!out)
        return -SKEIN_ENOTFOUND;
    skein_assert(message.count >= 1 && message.count <= REPLICA_MESSAGE_BYTES_MAX);
    if (!link_tcp_carrier(out)) {
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
    struct link_tcp_outbound *out = link_tcp_find(of_link(link), node);
    return out && link_tcp_carrier(out);
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
free_outbound(struct link_tcp_outbound *out)
{
    skein_scope_join(&out->scope);
    link_tcp_drop_queue(out, &out->tcp->stats.dropped_unconnected);
    list_remove(&out->link);
    mem_free(out->queue);
    mem_free(out);
}

void
link_tcp_reap_outbounds(struct link_tcp *tcp)
{
    list_for_each_safe (link, &tcp->outbounds) {
        struct link_tcp_outbound *out = LIST_ENTRY(link, struct link_tcp_outbound, link);
        if (out->gone && out->live_count == 0)
            free_outbound(out);
    }
}

static struct link_tcp_outbound *
add_outbound(struct link_tcp *tcp, const struct replica_peer *peer)
{
    struct link_tcp_outbound *out = mem_zalloc(sizeof *out);
    out->tcp = tcp;
    out->node = peer->node;
    out->addr = peer->addr;
    skein_scope_init(&out->scope);
    skein_waitq_init(&out->wake);
    skein_waitq_init(&out->idle);
    list_push_back(&tcp->outbounds, &out->link);
    return out;
}

static void
tcp_drop_peer(struct replica_link *link, uint32_t node)
{
    struct link_tcp *tcp = of_link(link);
    struct link_tcp_outbound *out = link_tcp_find(tcp, node);
    if (!out)
        return;
    out->gone = true;
    out->accepted = NULL;
    skein_scope_cancel(&out->scope);
    link_tcp_cancel_inbound(tcp, node, NULL);
    link_tcp_reap_outbounds(tcp);
}

static int
tcp_set_peer(struct replica_link *link, const struct replica_peer *peer)
{
    struct link_tcp *tcp = of_link(link);
    struct link_tcp_outbound *out = link_tcp_find(tcp, peer->node);
    bool same = out && memcmp(out->addr.ip, peer->addr.ip, sizeof out->addr.ip) == 0 &&
                out->addr.port == peer->addr.port;
    if (same || peer->node == tcp->node)
        return 0;
    if (out)
        tcp_drop_peer(link, peer->node);
    out = add_outbound(tcp, peer);
    int rc = tcp->started ? start_dialler(out) : 0;
    out->gone = rc < 0;
    return rc;
}

static void
tcp_stop(struct replica_link *link)
{
    struct link_tcp *tcp = of_link(link);
    skein_shield(true);
    skein_scope_cancel(&tcp->scope);
    list_for_each (out, &tcp->outbounds)
        skein_scope_cancel(&LIST_ENTRY(out, struct link_tcp_outbound, link)->scope);
    skein_scope_join(&tcp->scope);
    link_tcp_end_inbounds(tcp);
    while (!list_is_empty(&tcp->outbounds))
        free_outbound(LIST_ENTRY(tcp->outbounds.next, struct link_tcp_outbound, link));
    if (tcp->started)
        skein_close(tcp->acceptor.listener);
    skein_shield(false);
    mem_free(tcp->cluster_name);
    mem_free(tcp);
}

static const struct replica_link_ops tcp_ops = {.name = "tcp",
                                                .start = tcp_start,
                                                .send = tcp_send,
                                                .connected = tcp_connected,
                                                .set_peer = tcp_set_peer,
                                                .drop_peer = tcp_drop_peer,
                                                .stats = tcp_stats,
                                                .stop = tcp_stop};

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
    struct link_versions versions = options->versions;
    if (versions.max == 0)
        versions = (struct link_versions){LINK_VERSION_MIN, LINK_VERSION_MAX};
    if (versions.min < LINK_VERSION_MIN || versions.min > versions.max ||
        versions.max > LINK_VERSION_MAX)
        return -SKEIN_EINVALID;
    struct link_tcp *tcp = mem_zalloc(sizeof *tcp);
    tcp->versions = versions;
    tcp->base.ops = &tcp_ops;
    tcp->cluster_name = mem_strdup(options->cluster_name);
    tcp->node = options->node;
    tcp->queue_bytes_max = options->queue_bytes_max;
    tcp->listen_addr = self->addr;
    skein_scope_init(&tcp->scope);
    list_init(&tcp->inbounds);
    list_init(&tcp->outbounds);
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (&options->peers[i] != self)
            (void)add_outbound(tcp, &options->peers[i]);
    *out_link = &tcp->base;
    return 0;
}
