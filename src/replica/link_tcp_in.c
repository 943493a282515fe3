/* SPDX-License-Identifier: Apache-2.0 */
/* The receiving half: accepted connections, their hello, and the frames that follow. */
#include "replica/link_tcp_internal.h"

#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "obs/log.h"
#include "skein/error.h"

void
link_tcp_cancel_inbound(struct link_tcp *tcp, uint32_t node, const struct link_tcp_conn *except)
{
    list_for_each (link, &tcp->inbounds) {
        struct link_tcp_inbound *in = LIST_ENTRY(link, struct link_tcp_inbound, link);
        if (&in->conn != except && in->conn.node == node)
            skein_scope_cancel(&in->scope);
    }
}

static enum link_verdict
judge(const struct link_tcp_conn *conn, struct bytes payload, uint32_t *out_node)
{
    struct link_hello hello;
    int rc = link_hello_decode(payload, &hello);
    if (rc == -SKEIN_EFORMAT)
        return LINK_WRONG_VERSION;
    if (rc < 0)
        return LINK_VERDICT_END;
    if (strcmp(hello.name, conn->tcp->cluster_name) != 0)
        return LINK_WRONG_CLUSTER;
    if (hello.to != conn->tcp->node || !link_tcp_find(conn->tcp, hello.from))
        return LINK_WRONG_NODE;
    *out_node = hello.from;
    return LINK_WELCOME;
}

/* The verdict goes back as one frame; a hello that is none gets no answer. */
static int
answer_hello(struct link_tcp_conn *conn, struct bytes payload)
{
    uint32_t node = 0;
    enum link_verdict verdict = judge(conn, payload, &node);
    if (verdict == LINK_VERDICT_END) {
        link_tcp_refuse(conn, "not a hello");
        return -SKEIN_EPROTO;
    }
    uint8_t frame[LINK_FRAME_HEADER_BYTES + 1];
    frame[LINK_FRAME_HEADER_BYTES] = (uint8_t)verdict;
    link_frame_header(frame, frame + LINK_FRAME_HEADER_BYTES, 1);
    int rc =
        skein_socket_send(conn->handle, frame, sizeof frame, skein_deadline_in(LINK_TCP_HELLO_NS));
    if (rc < 0)
        return rc;
    if (verdict != LINK_WELCOME) {
        link_tcp_refuse(conn, link_verdict_text(verdict));
        return -SKEIN_EPROTO;
    }
    struct link_tcp_outbound *out = link_tcp_find(conn->tcp, node);
    if (!out)
        return -SKEIN_ECLOSED; /* dropped meanwhile */
    /* A dialler that connects again has given its older connection up. */
    link_tcp_cancel_inbound(conn->tcp, node, conn);
    link_tcp_conn_up(conn, out, false);
    obs_log(OBS_INFO, "link", "peer connected", "node=%u from=%u", conn->tcp->node, node);
    return 0;
}

static void
read_inbound(void *arg)
{
    struct link_tcp_inbound *in = arg;
    struct link_tcp_conn *conn = &in->conn;
    uint64_t hello_deadline_ns = skein_deadline_in(LINK_TCP_HELLO_NS);
    for (;;) {
        uint64_t deadline_ns = conn->node ? SKEIN_NEVER : hello_deadline_ns;
        ssize_t n =
            skein_socket_recv(conn->handle, conn->buffer, LINK_TCP_RECEIVE_BYTES, deadline_ns);
        if (n == -SKEIN_ETIMEDOUT)
            link_tcp_refuse(conn, "no hello in time");
        if (n <= 0 || link_tcp_conn_take(conn, conn->buffer, (size_t)n, answer_hello) < 0)
            break;
    }
    link_tcp_conn_close(conn);
    skein_acceptor_release(&conn->tcp->acceptor);
    in->done = true;
}

static void
free_inbound(struct link_tcp *tcp, struct link_tcp_inbound *in)
{
    skein_scope_join(&in->scope);
    list_remove(&in->link);
    tcp->inbound_count--;
    link_tcp_conn_deinit(&in->conn);
    mem_free(in);
}

static void
reap(struct link_tcp *tcp)
{
    list_for_each_safe (link, &tcp->inbounds) {
        struct link_tcp_inbound *in = LIST_ENTRY(link, struct link_tcp_inbound, link);
        if (in->done)
            free_inbound(tcp, in);
    }
}

static void
begin_inbound(struct link_tcp *tcp, int handle)
{
    struct link_tcp_inbound *in = mem_zalloc(sizeof *in);
    skein_scope_init(&in->scope);
    link_tcp_conn_init(&in->conn, tcp, &in->scope, handle);
    list_push_back(&tcp->inbounds, &in->link);
    tcp->inbound_count++;
    int rc = skein_spawn(&in->scope, "link-read", read_inbound, in, SKEIN_STACK_SMALL);
    if (rc < 0) {
        skein_close(handle);
        skein_acceptor_release(&tcp->acceptor);
        in->done = true;
    }
}

void
link_tcp_accept(void *arg)
{
    struct link_tcp *tcp = arg;
    int handle;
    while ((handle = skein_acceptor_accept(&tcp->acceptor, NULL, SKEIN_NEVER)) >= 0) {
        reap(tcp);
        link_tcp_reap_outbounds(tcp);
        if (!skein_cancelled() && tcp->inbound_count < LINK_TCP_INBOUND_MAX) {
            begin_inbound(tcp, handle);
            continue;
        }
        tcp->stats.refused++;
        skein_acceptor_release(&tcp->acceptor);
        skein_close(handle);
    }
}

void
link_tcp_end_inbounds(struct link_tcp *tcp)
{
    list_for_each (link, &tcp->inbounds)
        skein_scope_cancel(&LIST_ENTRY(link, struct link_tcp_inbound, link)->scope);
    while (!list_is_empty(&tcp->inbounds))
        free_inbound(tcp, LIST_ENTRY(tcp->inbounds.next, struct link_tcp_inbound, link));
}
