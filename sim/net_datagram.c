/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "sim/net_internal.h"
#include "skein/error.h"

#define DATAGRAM_BYTES_MAX 65507
/* A Unix socket that is full is looked at again. */
#define FULL_RETRY_NS (1 * SIM_MS)

struct sim_packet {
    struct skein_list link; /* net->packets; then a socket's rx */
    struct sim_event event;
    struct sim_net *net;
    struct sim_host *from_host, *to_host;
    struct skein_endpoint from;
    struct skein_endpoint to;
    bool answers; /* nobody there is told to the sender */
    size_t bytes;
    uint8_t data[];
};

static bool
is_group(const struct skein_addr *addr)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(addr->ip, mapped, sizeof(mapped)) == 0)
        return addr->ip[12] >= 224 && addr->ip[12] <= 239;
    return addr->ip[0] == 0xff;
}

static bool
has_name(const struct sim_datagram *socket, const struct skein_endpoint *name)
{
    if (socket->is_unix != name->is_unix)
        return false;
    if (socket->is_unix)
        return strncmp(socket->unix_addr.path, name->unix_addr.path, SKEIN_UNIX_PATH_BYTES) == 0;
    return socket->addr.port == name->addr.port;
}

static struct sim_datagram *
find(struct sim_net *net, const struct sim_host *host, const struct skein_endpoint *name)
{
    list_for_each (link, &net->datagrams) {
        struct sim_datagram *socket = LIST_ENTRY(link, struct sim_datagram, link);
        if (socket->host == host && has_name(socket, name))
            return socket;
    }
    return NULL;
}

static bool
in_group(const struct sim_datagram *socket, const struct skein_addr *group)
{
    for (int i = 0; i < socket->group_count; i++)
        if (memcmp(socket->groups[i], group->ip, 16) == 0)
            return true;
    return false;
}

static struct sim_datagram *
socket_of(struct sim_op *sop)
{
    struct sim_handle *found =
        sim_handle_get(&sop->host->backend, sop->op->handle, SIM_HANDLE_DATAGRAM);
    return found ? found->datagram : NULL;
}

static void
wake(struct sim_datagram *socket)
{
    if (socket->poll_op)
        sim_op_finish(socket->poll_op, 0, CALL_NS);
}

/* ---- opening and closing ---- */

static int64_t
do_open(struct sim_net *net, struct sim_op *sop)
{
    const struct backend_op *op = sop->op;
    struct sim_socket_options options;
    struct skein_endpoint local = {.is_unix = op->unix_addr != NULL, .addr = op->addr};
    int rc = options_init(&options, op, false);
    if (rc < 0)
        return rc;
    if (op->unix_addr)
        local.unix_addr = *op->unix_addr;
    else if (net_host_of(net, sop->host, &local.addr) != sop->host)
        return -EADDRNOTAVAIL;
    bool named = local.is_unix ? local.unix_addr.path[0] != '\0' : local.addr.port != 0;
    if (named && find(net, sop->host, &local))
        return -EADDRINUSE;
    if (!local.is_unix && !named)
        local.addr.port = net_pick_port(net, sop->host);
    int handle = sim_handle_new(&sop->host->backend, SIM_HANDLE_DATAGRAM);
    if (handle < 0)
        return handle;
    struct sim_datagram *socket = mem_zalloc(sizeof(*socket));
    socket->net = net;
    socket->host = sop->host;
    socket->is_unix = local.is_unix;
    socket->addr = local.addr;
    socket->unix_addr = local.unix_addr;
    socket->options = options;
    socket->has_peer = op->peer != NULL;
    if (op->peer)
        socket->peer = *op->peer;
    list_init(&socket->rx);
    list_push_back(&net->datagrams, &socket->link);
    sim_handle_get(&sop->host->backend, handle, SIM_HANDLE_DATAGRAM)->datagram = socket;
    return handle;
}

void
datagram_close(struct sim_datagram *socket)
{
    struct skein_list *link;
    if (socket->poll_op)
        sim_op_finish(socket->poll_op, -SKEIN_ECANCELED, CALL_NS);
    while ((link = list_pop_front(&socket->rx)))
        mem_free(LIST_ENTRY(link, struct sim_packet, link));
    list_remove(&socket->link);
    mem_free(socket);
}

void
datagram_host_down(struct sim_net *net, const struct sim_host *host)
{
    list_for_each_safe (link, &net->datagrams) {
        struct sim_datagram *socket = LIST_ENTRY(link, struct sim_datagram, link);
        if (socket->host == host)
            datagram_close(socket);
    }
}

static void
packet_free(struct sim_packet *packet)
{
    sim_event_cancel(packet->net->world, &packet->event);
    list_remove(&packet->link);
    mem_free(packet);
}

void
datagram_net_close(struct sim_net *net)
{
    skein_assert(list_is_empty(&net->datagrams));
    while (!list_is_empty(&net->packets))
        packet_free(LIST_ENTRY(net->packets.next, struct sim_packet, link));
}

/* ---- on the way ---- */

/* An answer of the host: nobody listens. */
static void
refuse(struct sim_packet *packet)
{
    struct sim_datagram *sender = find(packet->net, packet->from_host, &packet->from);
    if (packet->answers && sender && sender->has_peer) {
        sender->pending_error = -ECONNREFUSED;
        wake(sender);
    }
    packet_free(packet);
}

static bool
accepts(const struct sim_datagram *socket, const struct sim_packet *packet)
{
    size_t max_bytes = 2 * (size_t)socket->options.values[SKEIN_SOCKET_RECV_BUFFER_BYTES];
    if (socket->is_unix) /* there was room when it was sent, and nothing is lost on the way */
        return true;
    if (socket->rx_bytes + packet->bytes > max_bytes)
        return false;
    if (!socket->has_peer)
        return true;
    return socket->peer.addr.port == packet->from.addr.port &&
           net_host_of(packet->net, socket->host, &socket->peer.addr) == packet->from_host;
}

static void
on_arrival(struct sim_event *event)
{
    struct sim_packet *packet = event->owner;
    struct sim_net *net = packet->net;
    uint32_t from = packet->from_host->number, to = packet->to_host->number;
    struct sim_datagram *socket = find(net, packet->to_host, &packet->to);
    bool lost = from != to && (sim_net_blocked(net, from, to) ||
                               sim_chance(net->world, net->options.loss_per_mille));
    sim_trace_event(&net->world->trace, from, "net.datagram", to, packet->bytes, lost);
    if (!lost && !socket) {
        refuse(packet);
        return;
    }
    if (lost || !accepts(socket, packet)) {
        packet_free(packet);
        return;
    }
    list_remove(&packet->link);
    list_push_back(&socket->rx, &packet->link);
    socket->rx_bytes += packet->bytes;
    wake(socket);
}

static void
post(struct sim_datagram *from, struct sim_host *to_host, const struct skein_endpoint *to,
     const uint8_t *data, size_t bytes)
{
    struct sim_net *net = from->net;
    struct sim_packet *packet = mem_zalloc(sizeof(*packet) + bytes);
    packet->event = (struct sim_event){.fire = on_arrival, .owner = packet};
    packet->net = net;
    packet->from_host = from->host;
    packet->to_host = to_host;
    packet->from = (struct skein_endpoint){
        .is_unix = from->is_unix, .addr = from->addr, .unix_addr = from->unix_addr};
    if (!from->is_unix)
        packet->from.addr = sim_host_addr(from->host->number, from->addr.port);
    if (!from->is_unix && from->host == to_host && to->addr.ip[12] == 127)
        memcpy(packet->from.addr.ip, to->addr.ip, 16);
    packet->to = *to;
    packet->answers = from->has_peer;
    packet->bytes = bytes;
    memcpy(packet->data, data, bytes);
    list_push_back(&net->packets, &packet->link);
    uint64_t latency_ns = sim_net_latency_ns(net, from->host->number, to_host->number);
    sim_event_at(net->world, &packet->event, net->world->now_ns + latency_ns);
}

/* Once to everybody it is for; between hosts now and then twice. */
static void
post_to_all(struct sim_datagram *from, const struct skein_endpoint *to, const uint8_t *data,
            size_t bytes)
{
    struct sim_net *net = from->net;
    if (!to->is_unix && is_group(&to->addr)) {
        list_for_each (link, &net->datagrams) {
            struct sim_datagram *socket = LIST_ENTRY(link, struct sim_datagram, link);
            if (has_name(socket, to) && in_group(socket, &to->addr))
                post(from, socket->host, to, data, bytes);
        }
        return;
    }
    struct sim_host *host = to->is_unix ? from->host : net_host_of(net, from->host, &to->addr);
    if (!host)
        return;
    post(from, host, to, data, bytes);
    if (host != from->host && sim_chance(net->world, net->options.duplicate_per_mille))
        post(from, host, to, data, bytes);
}

/* ---- sending and receiving ---- */

static int
send_one(struct sim_datagram *socket, const struct skein_datagram *message)
{
    static uint8_t empty;
    struct skein_endpoint to = socket->peer;
    size_t bytes = 0, at = 0;
    if (!message->has_addr && !socket->has_peer)
        return -EDESTADDRREQ;
    if (message->has_addr) {
        to = (struct skein_endpoint){.is_unix = socket->is_unix, .addr = message->addr};
        if (socket->is_unix && !message->unix_addr)
            return -SKEIN_EINVALID;
        if (socket->is_unix)
            to.unix_addr = *message->unix_addr;
    }
    for (int v = 0; v < message->iov_count; v++)
        bytes += message->iov[v].iov_len;
    if (bytes > DATAGRAM_BYTES_MAX)
        return -EMSGSIZE;
    if (socket->is_unix) {
        const struct sim_datagram *peer = find(socket->net, socket->host, &to);
        if (!peer)
            return -ENOENT;
        if (peer->rx_bytes + bytes >
            2 * (size_t)peer->options.values[SKEIN_SOCKET_RECV_BUFFER_BYTES])
            return -EAGAIN;
    }
    uint8_t *data = bytes ? mem_alloc(bytes) : &empty;
    for (int v = 0; v < message->iov_count; v++) {
        memcpy(data + at, message->iov[v].iov_base, message->iov[v].iov_len);
        at += message->iov[v].iov_len;
    }
    size_t piece = message->segment_bytes ? message->segment_bytes : bytes;
    at = 0;
    do {
        size_t n = bytes - at < piece ? bytes - at : piece;
        post_to_all(socket, &to, data + at, n);
        at += n;
    } while (at < bytes);
    if (data != &empty)
        mem_free(data);
    return 0;
}

static int
take_error(struct sim_datagram *socket)
{
    int rc = socket->pending_error;
    socket->pending_error = 0;
    return rc;
}

static int64_t
do_send(struct sim_datagram *socket, const struct backend_op *op)
{
    if (socket->pending_error)
        return take_error(socket);
    for (int i = 0; i < op->message_count; i++) {
        int rc = send_one(socket, &op->messages[i]);
        if (rc < 0)
            return i > 0 ? i : rc;
    }
    return op->message_count;
}

static void
recv_one(struct sim_datagram *socket, struct skein_datagram *message)
{
    struct sim_packet *packet = LIST_ENTRY(list_pop_front(&socket->rx), struct sim_packet, link);
    size_t at = 0;
    for (int v = 0; v < message->iov_count && at < packet->bytes; v++) {
        size_t n = message->iov[v].iov_len;
        n = n < packet->bytes - at ? n : packet->bytes - at;
        memcpy(message->iov[v].iov_base, packet->data + at, n);
        at += n;
    }
    bool named = !packet->from.is_unix || packet->from.unix_addr.path[0] != '\0';
    bool info = socket->options.values[SKEIN_SOCKET_PACKET_INFO] == 1 && !socket->is_unix;
    message->bytes = packet->bytes;
    message->truncated = at < packet->bytes;
    message->has_addr = named;
    message->addr = packet->from.addr;
    if (message->unix_addr)
        *message->unix_addr = packet->from.unix_addr;
    message->has_local = info;
    message->local = (struct skein_addr){0};
    if (info)
        memcpy(message->local.ip, packet->to.addr.ip, 16);
    message->interface_index = info ? 1 : 0;
    message->segment_bytes = 0;
    socket->rx_bytes -= packet->bytes;
    mem_free(packet);
}

static int64_t
do_recv(struct sim_datagram *socket, const struct backend_op *op)
{
    int count = 0;
    if (socket->pending_error)
        return take_error(socket);
    while (count < op->message_count && !list_is_empty(&socket->rx))
        recv_one(socket, &op->messages[count++]);
    return count > 0 ? count : -EAGAIN;
}

static int64_t
do_group(struct sim_datagram *socket, const struct backend_op *op)
{
    if (socket->is_unix || !is_group(&op->addr))
        return -EINVAL;
    if (op->mode > 1)
        return -ENODEV;
    bool there = in_group(socket, &op->addr);
    if (op->kind == BACKEND_JOIN) {
        if (there || socket->group_count == GROUP_COUNT_MAX)
            return there ? -EADDRINUSE : -ENOBUFS;
        memcpy(socket->groups[socket->group_count++], op->addr.ip, 16);
        return 0;
    }
    if (!there)
        return -EADDRNOTAVAIL;
    int i = 0;
    while (memcmp(socket->groups[i], op->addr.ip, 16) != 0)
        i++;
    memcpy(socket->groups[i], socket->groups[--socket->group_count], 16);
    return 0;
}

/* ---- what net.c calls ---- */

bool
datagram_is_op(enum backend_op_kind kind)
{
    return kind == BACKEND_DATAGRAM || kind == BACKEND_JOIN || kind == BACKEND_LEAVE ||
           kind == BACKEND_SEND_MESSAGES || kind == BACKEND_RECV_MESSAGES;
}

void
datagram_submit(struct sim_net *net, struct sim_op *sop)
{
    const struct backend_op *op = sop->op;
    int64_t result;
    struct sim_datagram *socket = socket_of(sop);
    if (op->kind == BACKEND_DATAGRAM)
        result = do_open(net, sop);
    else if (!socket)
        result = -EBADF;
    else if (op->kind == BACKEND_SEND_MESSAGES)
        result = do_send(socket, op);
    else if (op->kind == BACKEND_RECV_MESSAGES)
        result = do_recv(socket, op);
    else
        result = do_group(socket, op);
    sim_op_finish(sop, result, CALL_NS);
}

bool
datagram_poll(struct sim_op *sop)
{
    struct sim_datagram *socket = socket_of(sop);
    if (!socket)
        return false;
    bool readable =
        (sop->op->flags & SKEIN_READABLE) && (!list_is_empty(&socket->rx) || socket->pending_error);
    if (readable || (sop->op->flags & SKEIN_WRITABLE)) {
        bool retry = !readable && socket->is_unix;
        sim_op_finish(sop, 0, retry ? FULL_RETRY_NS : CALL_NS);
    } else if (socket->poll_op) {
        sim_op_finish(sop, -EBUSY, CALL_NS);
    } else {
        sop->waiting = true;
        sop->slot = &socket->poll_op;
        socket->poll_op = sop;
    }
    return true;
}
