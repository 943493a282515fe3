/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "sim/net_internal.h"

static void on_arrival(struct sim_event *event);

struct sim_conn *
conn_new(struct sim_net *net, struct sim_host *client, struct sim_host *server)
{
    struct sim_conn *conn = mem_zalloc(sizeof(*conn));
    conn->net = net;
    for (int i = 0; i < 2; i++) {
        struct sim_end *end = &conn->ends[i];
        end->conn = conn;
        end->host = i == 0 ? client : server;
        end->peer = &conn->ends[1 - i];
        end->arrival = (struct sim_event){.fire = on_arrival, .owner = end};
        list_init(&end->out);
    }
    list_push_back(&net->conns, &conn->link);
    return conn;
}

void
conn_free(struct sim_conn *conn)
{
    for (int i = 0; i < 2; i++) {
        struct sim_end *end = &conn->ends[i];
        struct skein_list *link;
        sim_event_cancel(conn->net->world, &end->arrival);
        list_remove(&end->accept_link);
        while ((link = list_pop_front(&end->out)))
            mem_free(LIST_ENTRY(link, struct segment, link));
        mem_free(end->rx);
    }
    list_remove(&conn->link);
    mem_free(conn);
}

/* Put a segment on its way from @end to its peer. */
static void
push_segment(struct sim_end *end, enum segment_kind kind, struct segment *segment)
{
    struct sim_net *net = end->conn->net;
    if (end->peer->gone && kind != SEGMENT_DATA) {
        mem_free(segment);
        return;
    }
    if (!segment)
        segment = mem_zalloc(sizeof(*segment));
    segment->kind = kind;
    segment->at_ns =
        net->world->now_ns + sim_net_latency_ns(net, end->host->number, end->peer->host->number);
    if (segment->at_ns < end->last_at_ns)
        segment->at_ns = end->last_at_ns;
    end->last_at_ns = segment->at_ns;
    end->out_bytes += segment->bytes;
    list_push_back(&end->out, &segment->link);
    if (end->arrival.slot == 0)
        sim_event_at(net->world, &end->arrival, segment->at_ns);
}

static void
fail_ops(struct sim_end *end, int code)
{
    if (end->recv_op)
        sim_op_finish(end->recv_op, code, CALL_NS);
    if (end->send_op)
        sim_op_finish(end->send_op, code, CALL_NS);
}

static void
break_end(struct sim_end *end)
{
    if (end->gone || end->reset)
        return;
    end->reset = true;
    fail_ops(end, -ECONNRESET);
}

static void
finish_recv(struct sim_end *end)
{
    struct sim_op *sop = end->recv_op;
    struct sim_world *world = end->conn->net->world;
    size_t ready = end->rx_count - end->rx_at;
    if (!sop || (ready == 0 && !end->rx_ended))
        return;
    if (sop->op->kind == BACKEND_POLL) {
        sim_op_finish(sop, 0, CALL_NS);
        return;
    }
    size_t take = (size_t)sim_draw(world, 1, end->conn->net->options.piece_bytes_max);
    take = take < ready ? take : ready;
    size_t given = 0;
    for (int v = 0; v < sop->op->iov_count && given < take; v++) {
        size_t n = sop->op->iov[v].iov_len;
        n = n < take - given ? n : take - given;
        memcpy(sop->op->iov[v].iov_base, end->rx + end->rx_at, n);
        end->rx_at += n;
        given += n;
    }
    if (end->rx_at == end->rx_count)
        end->rx_at = end->rx_count = 0;
    sim_op_finish(sop, (int64_t)given, CALL_NS);
}

static size_t
window_left(const struct sim_end *end)
{
    size_t used = end->out_bytes + (end->peer->rx_count - end->peer->rx_at);
    return used < WINDOW_BYTES ? WINDOW_BYTES - used : 0;
}

static void
finish_send(struct sim_end *end)
{
    struct sim_op *sop = end->send_op;
    struct sim_world *world = end->conn->net->world;
    size_t space = window_left(end);
    if (!sop || space == 0)
        return;
    size_t bytes = 0;
    for (int v = 0; v < sop->op->iov_count; v++)
        bytes += sop->op->iov[v].iov_len;
    size_t piece = (size_t)sim_draw(world, 1, end->conn->net->options.piece_bytes_max);
    piece = piece > bytes / 8 ? piece : bytes / 8 + 1;
    space = space < piece ? space : piece;
    bytes = bytes < space ? bytes : space;
    if (bytes > 0) {
        struct segment *segment = mem_zalloc(sizeof(*segment) + bytes);
        for (int v = 0; v < sop->op->iov_count && segment->bytes < bytes; v++) {
            size_t n = sop->op->iov[v].iov_len;
            n = n < bytes - segment->bytes ? n : bytes - segment->bytes;
            if (n > 0)
                memcpy(segment->data + segment->bytes, sop->op->iov[v].iov_base, n);
            segment->bytes += n;
        }
        push_segment(end, SEGMENT_DATA, segment);
    }
    sim_op_finish(sop, (int64_t)bytes, CALL_NS);
}

static void
deliver(struct sim_end *from, struct segment *segment)
{
    struct sim_end *to = from->peer;
    if (segment->kind == SEGMENT_RESET) {
        break_end(to);
    } else if (segment->kind == SEGMENT_END) {
        to->rx_ended = true;
        finish_recv(to);
    } else {
        if (to->rx_capacity - to->rx_count < segment->bytes) {
            if (to->rx_at < to->rx_count)
                memmove(to->rx, to->rx + to->rx_at, to->rx_count - to->rx_at);
            to->rx_count -= to->rx_at;
            to->rx_at = 0;
            while (to->rx_capacity - to->rx_count < segment->bytes)
                to->rx_capacity = to->rx_capacity ? 2 * to->rx_capacity : 4096;
            to->rx = mem_realloc(to->rx, to->rx_capacity);
        }
        memcpy(to->rx + to->rx_count, segment->data, segment->bytes);
        to->rx_count += segment->bytes;
        finish_recv(to);
    }
}

/* Whether the head of @from's queue cannot arrive now; then it is tried later, or the connection
 * breaks. */
static bool
stalled(struct sim_end *from)
{
    struct sim_end *to = from->peer;
    struct sim_net *net = from->conn->net;
    uint32_t a = from->host->number, b = to->host->number;
    bool no_way = sim_net_blocked(net, a, b) || sim_net_blocked(net, b, a);
    if (to->gone && to->host->state == SIM_HOST_UP && !no_way) {
        break_end(from); /* the other side knows nothing of this connection */
        return true;
    }
    if (!no_way && !to->gone) {
        from->stalled_since_ns = 0;
        return false;
    }
    uint64_t now_ns = net->world->now_ns;
    if (from->stalled_since_ns == 0)
        from->stalled_since_ns = now_ns;
    if (now_ns - from->stalled_since_ns < RESET_AFTER_NS) {
        sim_event_at(net->world, &from->arrival, now_ns + RETRY_NS);
        return true;
    }
    break_end(from);
    if (from->gone && !to->gone)
        break_end(to);
    return true;
}

static void
on_arrival(struct sim_event *event)
{
    struct sim_end *from = event->owner;
    if (stalled(from))
        return;
    struct segment *segment = LIST_ENTRY(list_pop_front(&from->out), struct segment, link);
    from->out_bytes -= segment->bytes;
    sim_trace_event(&from->conn->net->world->trace, from->host->number, "net.segment",
                    from->peer->host->number, (uint64_t)segment->kind, segment->bytes);
    deliver(from, segment);
    mem_free(segment);
    finish_send(from);
    if (!list_is_empty(&from->out))
        sim_event_at(from->conn->net->world, event,
                     LIST_ENTRY(from->out.next, struct segment, link)->at_ns);
}

void
end_recv(struct sim_end *end, struct sim_op *sop)
{
    if (end->reset) {
        sim_op_finish(sop, sop->op->kind == BACKEND_POLL ? 0 : -ECONNRESET, CALL_NS);
        return;
    }
    if (end->recv_op) {
        sim_op_finish(sop, -EBUSY, CALL_NS);
        return;
    }
    sop->waiting = true;
    sop->slot = &end->recv_op;
    end->recv_op = sop;
    finish_recv(end);
    finish_send(end->peer); /* the window has opened */
}

void
end_send(struct sim_end *end, struct sim_op *sop)
{
    if (end->reset || end->tx_ended) {
        sim_op_finish(sop, end->reset ? -ECONNRESET : -EPIPE, CALL_NS);
        return;
    }
    if (end->send_op) {
        sim_op_finish(sop, -EBUSY, CALL_NS);
        return;
    }
    sop->waiting = true;
    sop->slot = &end->send_op;
    end->send_op = sop;
    finish_send(end);
}

void
end_shutdown(struct sim_end *end)
{
    if (end->tx_ended || end->reset)
        return;
    end->tx_ended = true;
    push_segment(end, SEGMENT_END, NULL);
}

void
end_leave(struct sim_end *end, bool silent)
{
    if (end->gone)
        return;
    fail_ops(end, -ECONNRESET);
    bool unread = end->rx_count > end->rx_at;
    if (!silent && !end->reset) {
        if (unread || end->options.values[SKEIN_SOCKET_LINGER_S] == 0)
            push_segment(end, SEGMENT_RESET, NULL);
        else
            end_shutdown(end);
    }
    end->gone = true;
    list_remove(&end->accept_link);
    if (end->peer->gone)
        conn_free(end->conn);
}
