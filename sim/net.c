/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/net.h"

#include <errno.h>
#include <string.h>

#include "sim/disk.h"
#include "sim/net_internal.h"
#include "skein/error.h"

#define PORT_FIRST_FREE 32768
#define CONNECT_TRIES_MAX 30

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct skein_addr
sim_host_addr(uint32_t number, uint16_t port)
{
    struct skein_addr addr = {.port = port};
    memcpy(addr.ip, mapped_prefix, sizeof(mapped_prefix));
    addr.ip[12] = 10;
    addr.ip[15] = (uint8_t)number;
    return addr;
}

struct sim_net *
sim_net_open(struct sim_world *world)
{
    struct sim_net *net = mem_zalloc(sizeof(*net));
    net->world = world;
    net->next_port = PORT_FIRST_FREE;
    net->options = (struct sim_net_options){.latency_ns_min = 50000,
                                            .latency_ns_max = 500000,
                                            .tail_per_mille = 5,
                                            .tail_ns_max = 50 * SIM_MS,
                                            .piece_bytes_max = 65536,
                                            .loss_per_mille = 10,
                                            .duplicate_per_mille = 5};
    list_init(&net->listeners);
    list_init(&net->conns);
    list_init(&net->datagrams);
    list_init(&net->packets);
    return net;
}

void
sim_net_close(struct sim_net *net)
{
    while (!list_is_empty(&net->conns))
        conn_free(LIST_ENTRY(net->conns.next, struct sim_conn, link));
    datagram_net_close(net);
    skein_assert(list_is_empty(&net->listeners));
    mem_free(net);
}

struct sim_net_options *
sim_net_options(struct sim_net *net)
{
    return &net->options;
}

void
sim_net_block(struct sim_net *net, uint32_t from, uint32_t to, bool blocked)
{
    net->blocked[from][to] = blocked;
}

void
sim_net_heal(struct sim_net *net)
{
    memset(net->blocked, 0, sizeof(net->blocked));
    memset(net->clogged_until_ns, 0, sizeof(net->clogged_until_ns));
}

void
sim_net_clog(struct sim_net *net, uint32_t from, uint32_t to, uint64_t until_ns)
{
    net->clogged_until_ns[from][to] = until_ns;
}

bool
sim_net_blocked(const struct sim_net *net, uint32_t from, uint32_t to)
{
    return net->blocked[from][to];
}

/* Heads before the first tail: half of the time 0, a quarter 1 ... */
static uint64_t
draw_heads(struct sim_net *net)
{
    return (uint64_t)__builtin_ctzll(sim_draw(net->world, 0, UINT64_MAX) | (uint64_t)1 << 20);
}

/* In whole numbers: the same with every compiler. */
static uint64_t
draw_shaped(struct sim_net *net)
{
    const struct sim_net_options *options = &net->options;
    uint64_t low = options->latency_ns_min, high = options->latency_ns_max, wide = high - low;
    switch (options->shape) {
    case SIM_NET_UNIFORM:
        return sim_draw(net->world, low, high);
    case SIM_NET_FIXED:
        return low + wide / 2;
    case SIM_NET_EXPONENTIAL: {
        uint64_t heads = draw_heads(net);
        return low + heads * (wide / 3) + sim_draw(net->world, 0, wide / 3);
    }
    case SIM_NET_HEAVY: {
        uint64_t heads = draw_heads(net);
        heads = heads < 12 ? heads : 12;
        return low + sim_draw(net->world, 0, (wide / 8) << heads);
    }
    case SIM_NET_TWO_PEAKS:
        if (sim_chance(net->world, 100))
            return high - sim_draw(net->world, 0, wide / 10);
        return low + sim_draw(net->world, 0, wide / 10);
    case SIM_NET_SHAPE_COUNT:
        break;
    }
    skein_unreachable();
}

uint64_t
sim_net_latency_ns(struct sim_net *net, uint32_t from, uint32_t to)
{
    if (from == to)
        return LOOPBACK_NS;
    const struct sim_net_options *options = &net->options;
    uint64_t latency_ns = draw_shaped(net);
    if (sim_chance(net->world, options->tail_per_mille))
        latency_ns += sim_draw(net->world, 0, options->tail_ns_max);
    if (net->clogged_until_ns[from][to] > net->world->now_ns)
        latency_ns += net->clogged_until_ns[from][to] - net->world->now_ns;
    return latency_ns;
}

struct sim_host *
net_host_of(struct sim_net *net, struct sim_host *self, const struct skein_addr *addr)
{
    static const uint8_t any[16];
    static const uint8_t loopback6[16] = {[15] = 1};
    if (memcmp(addr->ip, any, 16) == 0 || memcmp(addr->ip, loopback6, 16) == 0)
        return self;
    if (memcmp(addr->ip, mapped_prefix, sizeof(mapped_prefix)) != 0)
        return NULL;
    if (addr->ip[12] == 127 || memcmp(addr->ip + 12, any, 4) == 0)
        return self;
    uint32_t number = addr->ip[15];
    bool known = addr->ip[12] == 10 && addr->ip[13] == 0 && addr->ip[14] == 0;
    return known && number >= 1 && number <= net->world->host_count ? net->world->hosts[number - 1]
                                                                    : NULL;
}

static struct sim_listener *
listener_find(struct sim_net *net, const struct sim_host *host, uint16_t port)
{
    list_for_each (link, &net->listeners) {
        struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);
        if (listener->host == host && !listener->is_unix && listener->addr.port == port)
            return listener;
    }
    return NULL;
}

static struct sim_listener *
listener_of(struct sim_net *net, const struct sim_host *host, const struct backend_op *op)
{
    if (!op->unix_addr)
        return listener_find(net, host, op->addr.port);
    list_for_each (link, &net->listeners) {
        struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);
        if (listener->host == host && listener->is_unix &&
            strncmp(listener->unix_addr.path, op->unix_addr->path, SKEIN_UNIX_PATH_BYTES) == 0)
            return listener;
    }
    return NULL;
}

/* Listeners with REUSEPORT share a port; which one a connection comes to is drawn. */
static struct sim_listener *
listener_draw(struct sim_net *net, const struct sim_host *host, const struct backend_op *op)
{
    struct sim_listener *first = listener_of(net, host, op);
    uint64_t count = 0;
    if (!first || first->is_unix)
        return first;
    list_for_each (link, &net->listeners) {
        const struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);
        count +=
            listener->host == host && !listener->is_unix && listener->addr.port == first->addr.port;
    }
    uint64_t drawn = count > 1 ? sim_draw(net->world, 1, count) : 1;
    list_for_each (link, &net->listeners) {
        struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);
        if (listener->host == host && !listener->is_unix &&
            listener->addr.port == first->addr.port && --drawn == 0)
            return listener;
    }
    return first;
}

bool
net_port_taken(struct sim_net *net, const struct sim_host *host, uint16_t port)
{
    list_for_each (link, &net->datagrams) {
        const struct sim_datagram *socket = LIST_ENTRY(link, struct sim_datagram, link);
        if (socket->host == host && !socket->is_unix && socket->addr.port == port)
            return true;
    }
    return false;
}

uint16_t
net_pick_port(struct sim_net *net, struct sim_host *host)
{
    do {
        net->next_port = net->next_port == UINT16_MAX ? PORT_FIRST_FREE : net->next_port + 1;
    } while (listener_find(net, host, net->next_port) || net_port_taken(net, host, net->next_port));
    return net->next_port;
}

static int64_t
do_listen(struct sim_net *net, struct sim_op *sop)
{
    struct sim_host *host = sop->host;
    const struct backend_op *op = sop->op;
    struct skein_addr addr = op->addr;
    struct sim_socket_options options;
    int rc = options_init(&options, op, true);
    if (rc < 0)
        return rc;
    if (!op->unix_addr && net_host_of(net, host, &addr) != host)
        return -EADDRNOTAVAIL;
    const struct sim_listener *other =
        op->unix_addr || addr.port != 0 ? listener_of(net, host, op) : NULL;
    bool shared = other && !other->is_unix && other->options.values[SKEIN_SOCKET_REUSEPORT] &&
                  options.values[SKEIN_SOCKET_REUSEPORT];
    if (other && !shared)
        return -EADDRINUSE;
    if (!op->unix_addr && addr.port == 0)
        addr.port = net_pick_port(net, host);
    int handle = sim_handle_new(&host->backend, SIM_HANDLE_LISTENER);
    if (handle < 0)
        return handle;
    struct sim_listener *listener = mem_zalloc(sizeof(*listener));
    *listener = (struct sim_listener){
        .host = host, .addr = addr, .backlog = op->backlog, .options = options};
    listener->is_unix = op->unix_addr != NULL;
    if (op->unix_addr)
        listener->unix_addr = *op->unix_addr;
    if (listener->backlog < 1 || listener->backlog > BACKLOG_MAX)
        listener->backlog = BACKLOG_MAX;
    list_init(&listener->accepts);
    list_push_back(&net->listeners, &listener->link);
    sim_handle_get(&host->backend, handle, SIM_HANDLE_LISTENER)->listener = listener;
    return handle;
}

static void
listener_free(struct sim_listener *listener, bool silent)
{
    if (listener->accept_op)
        sim_op_finish(listener->accept_op, -ECONNRESET, CALL_NS);
    while (!list_is_empty(&listener->accepts))
        end_leave(LIST_ENTRY(listener->accepts.next, struct sim_end, accept_link), silent);
    list_remove(&listener->link);
    mem_free(listener);
}

static int
end_handle(struct sim_end *end)
{
    int handle = sim_handle_new(&end->host->backend, SIM_HANDLE_END);
    if (handle < 0)
        return handle;
    sim_handle_get(&end->host->backend, handle, SIM_HANDLE_END)->end = end;
    end->handle = handle;
    return handle;
}

static void
finish_accept(struct sim_listener *listener)
{
    struct sim_op *sop = listener->accept_op;
    if (!sop || list_is_empty(&listener->accepts))
        return;
    struct sim_end *end =
        LIST_ENTRY(list_pop_front(&listener->accepts), struct sim_end, accept_link);
    listener->accept_count--;
    sop->op->addr = end->peer->addr;
    if (sop->op->unix_addr)
        sop->op->unix_addr->path[0] = '\0';
    sim_op_finish(sop, end_handle(end), CALL_NS);
}

static void
connect_again(struct sim_op *sop, uint64_t delay_ns)
{
    struct sim_world *world = sop->host->world;
    if (++sop->tries > CONNECT_TRIES_MAX)
        sim_op_finish(sop, -ETIMEDOUT, CALL_NS);
    else
        sim_event_at(world, &sop->event, world->now_ns + delay_ns);
}

/* The first packet of a connection arrives (or does not). */
static void
try_connect(struct sim_net *net, struct sim_op *sop)
{
    struct sim_host *client = sop->host;
    const struct backend_op *op = sop->op;
    struct sim_host *server = op->unix_addr ? client : net_host_of(net, client, &op->addr);
    if (!server) {
        sim_op_finish(sop, -EHOSTUNREACH, CALL_NS);
        return;
    }
    if (sim_net_blocked(net, client->number, server->number) ||
        sim_net_blocked(net, server->number, client->number)) {
        connect_again(sop, SIM_SECOND);
        return;
    }
    uint64_t back_ns = sim_net_latency_ns(net, server->number, client->number);
    struct sim_listener *listener = listener_draw(net, server, op);
    if (!listener) {
        sim_op_finish(sop, op->unix_addr ? -ENOENT : -ECONNREFUSED, back_ns);
        return;
    }
    if (listener->accept_count >= listener->backlog) {
        connect_again(sop, RETRY_NS);
        return;
    }
    struct sim_socket_options options;
    int rc = options_init(&options, op, true);
    if (rc < 0) {
        sim_op_finish(sop, rc, CALL_NS);
        return;
    }
    struct sim_conn *conn = conn_new(net, client, server);
    conn->ends[0].options = options;
    conn->ends[1].options = listener->options;
    conn->ends[0].is_unix = conn->ends[1].is_unix = listener->is_unix;
    conn->ends[1].unix_addr = listener->unix_addr;
    if (!listener->is_unix)
        conn->ends[0].addr = sim_host_addr(client->number, net_pick_port(net, client));
    conn->ends[1].addr = listener->addr;
    int handle = end_handle(&conn->ends[0]);
    if (handle < 0) {
        conn_free(conn);
        sim_op_finish(sop, handle, CALL_NS);
        return;
    }
    list_push_back(&listener->accepts, &conn->ends[1].accept_link);
    listener->accept_count++;
    sim_op_finish(sop, handle, back_ns);
    finish_accept(listener);
}

static int64_t
do_close(struct sim_op *sop)
{
    struct sim_backend *backend = &sop->host->backend;
    int handle = sop->op->handle;
    struct sim_handle *found;
    if ((found = sim_handle_get(backend, handle, SIM_HANDLE_FILE)))
        sim_disk_release(sop->host->disk, found->inode, found->locked);
    else if ((found = sim_handle_get(backend, handle, SIM_HANDLE_LISTENER)))
        listener_free(found->listener, false);
    else if ((found = sim_handle_get(backend, handle, SIM_HANDLE_END)))
        end_leave(found->end, false);
    else if ((found = sim_handle_get(backend, handle, SIM_HANDLE_DATAGRAM)))
        datagram_close(found->datagram);
    else
        return -EBADF;
    sim_handle_free(backend, handle);
    return 0;
}

static void
do_accept(struct sim_op *sop)
{
    struct sim_handle *found =
        sim_handle_get(&sop->host->backend, sop->op->handle, SIM_HANDLE_LISTENER);
    if (!found || found->listener->accept_op) {
        sim_op_finish(sop, found ? -EBUSY : -EBADF, CALL_NS);
        return;
    }
    sop->waiting = true;
    sop->slot = &found->listener->accept_op;
    found->listener->accept_op = sop;
    finish_accept(found->listener);
}

static int64_t
tell_name(struct backend_op *op, const struct skein_addr *addr, bool is_unix,
          const struct skein_unix_addr *unix_addr)
{
    op->addr = *addr;
    if (op->unix_addr)
        *op->unix_addr = is_unix ? *unix_addr : (struct skein_unix_addr){""};
    return is_unix;
}

static int64_t
do_local(struct backend_op *op, struct sim_backend *backend)
{
    struct sim_handle *found;
    if ((found = sim_handle_get(backend, op->handle, SIM_HANDLE_LISTENER))) {
        const struct sim_listener *listener = found->listener;
        return tell_name(op, &listener->addr, listener->is_unix, &listener->unix_addr);
    }
    if ((found = sim_handle_get(backend, op->handle, SIM_HANDLE_DATAGRAM))) {
        const struct sim_datagram *socket = found->datagram;
        return tell_name(op, &socket->addr, socket->is_unix, &socket->unix_addr);
    }
    found = sim_handle_get(backend, op->handle, SIM_HANDLE_END);
    if (!found)
        return -EBADF;
    return tell_name(op, &found->end->addr, found->end->is_unix, &found->end->unix_addr);
}

static int64_t
do_peer(struct backend_op *op, struct sim_backend *backend)
{
    struct sim_handle *found;
    if ((found = sim_handle_get(backend, op->handle, SIM_HANDLE_END))) {
        const struct sim_end *peer = found->end->peer;
        return tell_name(op, &peer->addr, peer->is_unix, &peer->unix_addr);
    }
    if ((found = sim_handle_get(backend, op->handle, SIM_HANDLE_DATAGRAM))) {
        const struct sim_datagram *socket = found->datagram;
        if (!socket->has_peer)
            return -ENOTCONN;
        return tell_name(op, &socket->peer.addr, socket->peer.is_unix, &socket->peer.unix_addr);
    }
    return sim_handle_get(backend, op->handle, SIM_HANDLE_LISTENER) ? -ENOTCONN : -EBADF;
}

/* A host's processes are one to the simulator: 1, of user 0. */
static int64_t
do_credentials(struct backend_op *op, struct sim_backend *backend)
{
    const struct sim_handle *found = sim_handle_get(backend, op->handle, SIM_HANDLE_END);
    if (!found)
        return sim_handle_get(backend, op->handle, SIM_HANDLE_LISTENER) ? -EOPNOTSUPP : -EBADF;
    if (!found->end->is_unix)
        return -EOPNOTSUPP;
    *op->credentials = (struct skein_credentials){.process_id = 1};
    return 0;
}

static void
do_stream(struct sim_op *sop)
{
    struct sim_handle *found = sim_handle_get(&sop->host->backend, sop->op->handle, SIM_HANDLE_END);
    if (!found) {
        sim_op_finish(sop, -EBADF, CALL_NS);
        return;
    }
    if (sop->op->kind == BACKEND_POLL && (sop->op->flags & SKEIN_WRITABLE)) {
        sim_op_finish(sop, 0, CALL_NS);
    } else if (sop->op->kind == BACKEND_RECV || sop->op->kind == BACKEND_POLL) {
        end_recv(found->end, sop);
    } else if (sop->op->kind == BACKEND_SEND) {
        end_send(found->end, sop);
    } else {
        end_shutdown(found->end);
        sim_op_finish(sop, 0, CALL_NS);
    }
}

void
sim_net_submit(struct sim_net *net, struct sim_op *sop)
{
    enum backend_op_kind kind = sop->op->kind;
    if (kind == BACKEND_CONNECT) {
        sop->waiting = true;
        sim_event_at(net->world, &sop->event,
                     net->world->now_ns + sim_net_latency_ns(net, sop->host->number, 0));
    } else if (kind == BACKEND_ACCEPT) {
        do_accept(sop);
    } else if (kind == BACKEND_LISTEN) {
        sim_op_finish(sop, do_listen(net, sop), CALL_NS);
    } else if (kind == BACKEND_LOCAL) {
        sim_op_finish(sop, do_local(sop->op, &sop->host->backend), CALL_NS);
    } else if (kind == BACKEND_PEER) {
        sim_op_finish(sop, do_peer(sop->op, &sop->host->backend), CALL_NS);
    } else if (kind == BACKEND_CREDENTIALS) {
        sim_op_finish(sop, do_credentials(sop->op, &sop->host->backend), CALL_NS);
    } else if (kind == BACKEND_SET_OPTIONS || kind == BACKEND_GET_OPTION) {
        options_submit(sop);
    } else if (datagram_is_op(kind)) {
        datagram_submit(net, sop);
    } else if (kind == BACKEND_POLL && datagram_poll(sop)) {
        return;
    } else if (kind == BACKEND_CLOSE) {
        sim_op_finish(sop, do_close(sop), CALL_NS);
    } else {
        do_stream(sop);
    }
}

void
sim_net_connect(struct sim_net *net, struct sim_op *sop)
{
    try_connect(net, sop);
}

void
sim_net_host_down(struct sim_net *net, struct sim_host *host, bool silent)
{
    datagram_host_down(net, host);
    list_for_each_safe (link, &net->listeners) {
        struct sim_listener *listener = LIST_ENTRY(link, struct sim_listener, link);
        if (listener->host == host)
            listener_free(listener, silent);
    }
    list_for_each_safe (link, &net->conns) {
        struct sim_conn *conn = LIST_ENTRY(link, struct sim_conn, link);
        int mine = conn->ends[0].host == host && !conn->ends[0].gone ? 0 : 1;
        bool both = conn->ends[0].host == host && conn->ends[1].host == host;
        if (both && !conn->ends[0].gone && !conn->ends[1].gone)
            end_leave(&conn->ends[mine++], silent);
        if (conn->ends[mine].host == host)
            end_leave(&conn->ends[mine], silent);
    }
}
