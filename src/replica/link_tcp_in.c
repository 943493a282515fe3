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

/* @out_answer: versions as the sender of the hello can read them. */
static void
judge(const struct link_tcp_conn *conn, struct bytes payload, struct link_answer *out_answer,
      uint32_t *out_node, uint16_t *out_version)
{
    const struct link_tcp *tcp = conn->tcp;
    struct link_hello hello;
    int rc = link_hello_decode(payload, &hello);
    *out_answer =
        (struct link_answer){rc == -SKEIN_EFORMAT ? LINK_WRONG_VERSION : LINK_VERDICT_END, {0, 0}};
    if (rc < 0)
        return;
    bool has_ranges = tcp->versions.max >= LINK_VERSION_RANGES;
    *out_version = link_versions_choose(tcp->versions, hello.versions);
    if (has_ranges && hello.versions.max >= LINK_VERSION_RANGES)
        out_answer->versions = tcp->versions;
    if (*out_version == 0 || (!has_ranges && hello.versions.max != tcp->versions.max)) {
        out_answer->verdict = LINK_WRONG_VERSION;
    } else if (strcmp(hello.name, tcp->cluster_name) != 0) {
        out_answer->verdict = LINK_WRONG_CLUSTER;
    } else if (hello.to != tcp->node || !link_tcp_find(conn->tcp, hello.from)) {
        out_answer->verdict = LINK_WRONG_NODE;
    } else {
        out_answer->verdict = LINK_WELCOME;
        *out_node = hello.from;
        if (out_answer->versions.max)
            out_answer->versions = (struct link_versions){*out_version, *out_version};
    }
}

/* The verdict goes back as one frame; a hello that is none gets no answer. */
static int
answer_hello(struct link_tcp_conn *conn, struct bytes payload)
{
    uint32_t node = 0;
    uint16_t version = 0;
    struct link_answer answer;
    judge(conn, payload, &answer, &node, &version);
    if (answer.verdict == LINK_VERDICT_END) {
        link_tcp_refuse(conn, "not a hello");
        return -SKEIN_EPROTO;
    }
    uint8_t frame[LINK_FRAME_HEADER_BYTES + LINK_ANSWER_BYTES_MAX];
    size_t count = link_answer_encode(frame + LINK_FRAME_HEADER_BYTES, &answer);
    link_frame_header(frame, frame + LINK_FRAME_HEADER_BYTES, count);
    int rc = skein_socket_send(conn->handle, frame, LINK_FRAME_HEADER_BYTES + count,
                               skein_deadline_in(LINK_TCP_HELLO_NS));
    if (rc < 0)
        return rc;
    if (answer.verdict != LINK_WELCOME) {
        link_tcp_refuse(conn, link_verdict_text(answer.verdict));
        return -SKEIN_EPROTO;
    }
    struct link_tcp_outbound *out = link_tcp_find(conn->tcp, node);
    if (!out)
        return -SKEIN_ECLOSED; /* dropped meanwhile */
    /* A dialler that connects again has given its older connection up. */
    link_tcp_cancel_inbound(conn->tcp, node, conn);
    link_tcp_conn_up(conn, out, false);
    conn->tcp->stats.welcomed_older += version < conn->tcp->versions.max;
    obs_log(OBS_INFO, "link", "peer connected", "node=%u from=%u version=%u", conn->tcp->node, node,
            version);
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
