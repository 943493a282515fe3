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

static void
refuse(struct link_tcp_inbound *in, const char *why)
{
    in->tcp->stats.refused++;
    obs_log(OBS_WARN, "link", "connection refused", "node=%u from=%u why=\"%s\"", in->tcp->node,
            in->node, why);
}

void
link_tcp_cancel_inbound(struct link_tcp *tcp, uint32_t node, const struct link_tcp_inbound *except)
{
    list_for_each (link, &tcp->inbounds) {
        struct link_tcp_inbound *in = LIST_ENTRY(link, struct link_tcp_inbound, link);
        if (in != except && in->node == node)
            skein_scope_cancel(&in->scope);
    }
}

static enum link_verdict
judge(struct link_tcp_inbound *in, struct bytes payload)
{
    struct link_hello hello;
    int rc = link_hello_decode(payload, &hello);
    if (rc == -SKEIN_EFORMAT)
        return LINK_WRONG_VERSION;
    if (rc < 0)
        return LINK_VERDICT_END;
    if (strcmp(hello.name, in->tcp->cluster_name) != 0)
        return LINK_WRONG_CLUSTER;
    if (hello.to != in->tcp->node || !link_tcp_find(in->tcp, hello.from))
        return LINK_WRONG_NODE;
    in->node = hello.from;
    return LINK_WELCOME;
}

/* The verdict goes back as one frame; a hello that is none gets no answer. */
static int
answer_hello(struct link_tcp_inbound *in, struct bytes payload)
{
    enum link_verdict verdict = judge(in, payload);
    if (verdict == LINK_VERDICT_END) {
        refuse(in, "not a hello");
        return -SKEIN_EPROTO;
    }
    uint8_t frame[LINK_FRAME_HEADER_BYTES + 1];
    frame[LINK_FRAME_HEADER_BYTES] = (uint8_t)verdict;
    link_frame_header(frame, frame + LINK_FRAME_HEADER_BYTES, 1);
    int rc =
        skein_socket_send(in->handle, frame, sizeof frame, skein_deadline_in(LINK_TCP_HELLO_NS));
    if (rc < 0)
        return rc;
    if (verdict != LINK_WELCOME) {
        refuse(in, link_verdict_text(verdict));
        return -SKEIN_EPROTO;
    }
    in->parser.limit_bytes = REPLICA_MESSAGE_BYTES_MAX;
    /* A dialler that connects again has given its older connection up. */
    link_tcp_cancel_inbound(in->tcp, in->node, in);
    obs_log(OBS_INFO, "link", "peer connected", "node=%u from=%u", in->tcp->node, in->node);
    return 0;
}

static int
take_frames(struct link_tcp_inbound *in, const uint8_t *data, size_t count)
{
    struct link_tcp *tcp = in->tcp;
    for (;;) {
        struct bytes payload;
        int rc = link_frame_feed(&in->parser, &data, &count, &payload);
        if (rc < 0)
            refuse(in, rc == -SKEIN_ETOOBIG  ? "an empty or too large frame"
                       : rc == -SKEIN_ENOMEM ? "no memory for a frame"
                                             : "a frame with a wrong checksum");
        if (rc <= 0)
            return rc;
        if (in->node == 0) {
            rc = answer_hello(in, payload);
        } else {
            tcp->stats.received++;
            tcp->stats.received_bytes += payload.count + LINK_FRAME_HEADER_BYTES;
            tcp->handler->on_message(tcp->handler->owner, in->node, payload);
        }
        bytes_unref(&payload);
        if (rc < 0)
            return rc;
    }
}

static void
read_inbound(void *arg)
{
    struct link_tcp_inbound *in = arg;
    uint64_t hello_deadline_ns = skein_deadline_in(LINK_TCP_HELLO_NS);
    for (;;) {
        uint64_t deadline_ns = in->node ? SKEIN_NEVER : hello_deadline_ns;
        ssize_t n = skein_socket_recv(in->handle, in->buffer, LINK_TCP_RECEIVE_BYTES, deadline_ns);
        if (n == -SKEIN_ETIMEDOUT)
            refuse(in, "no hello in time");
        if (n <= 0 || take_frames(in, in->buffer, (size_t)n) < 0)
            break;
    }
    skein_shield(true);
    skein_close(in->handle);
    skein_shield(false);
    in->done = true;
}

static void
free_inbound(struct link_tcp_inbound *in)
{
    skein_scope_join(&in->scope);
    list_remove(&in->link);
    in->tcp->inbound_count--;
    link_frame_parser_deinit(&in->parser);
    mem_free(in->buffer);
    mem_free(in);
}

static void
reap(struct link_tcp *tcp)
{
    list_for_each_safe (link, &tcp->inbounds) {
        struct link_tcp_inbound *in = LIST_ENTRY(link, struct link_tcp_inbound, link);
        if (in->done)
            free_inbound(in);
    }
}

static void
begin_inbound(struct link_tcp *tcp, int handle)
{
    struct link_tcp_inbound *in = mem_zalloc(sizeof *in);
    in->tcp = tcp;
    in->handle = handle;
    in->parser.limit_bytes = LINK_HELLO_BYTES_MAX;
    in->buffer = mem_alloc(LINK_TCP_RECEIVE_BYTES);
    skein_scope_init(&in->scope);
    list_push_back(&tcp->inbounds, &in->link);
    tcp->inbound_count++;
    int rc = skein_spawn(&in->scope, "link-read", read_inbound, in, SKEIN_STACK_SMALL);
    if (rc < 0) {
        skein_close(handle);
        in->done = true;
    }
}

void
link_tcp_accept(void *arg)
{
    struct link_tcp *tcp = arg;
    while (!skein_cancelled()) {
        struct skein_addr peer;
        int rc = skein_socket_accept(tcp->listener, &peer, SKEIN_NEVER);
        if (rc == -SKEIN_ECANCELED)
            return;
        reap(tcp);
        link_tcp_reap_outbounds(tcp);
        if (rc >= 0 && tcp->inbound_count < LINK_TCP_INBOUND_MAX) {
            begin_inbound(tcp, rc);
        } else if (rc >= 0) {
            tcp->stats.refused++;
            skein_close(rc);
        } else if (skein_sleep(skein_deadline_in(LINK_TCP_BACKOFF_MIN_NS)) < 0) {
            return;
        }
    }
}

void
link_tcp_end_inbounds(struct link_tcp *tcp)
{
    list_for_each (link, &tcp->inbounds)
        skein_scope_cancel(&LIST_ENTRY(link, struct link_tcp_inbound, link)->scope);
    while (!list_is_empty(&tcp->inbounds))
        free_inbound(LIST_ENTRY(tcp->inbounds.next, struct link_tcp_inbound, link));
}
