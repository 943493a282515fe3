/* SPDX-License-Identifier: Apache-2.0 */
/* The sending half: one fiber a peer that dials, says hello and writes what is queued. */
#include "replica/link_tcp_internal.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/wire.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "obs/log.h"
#include "skein/error.h"

/* Messages in one vectored send; two pieces each. */
#define BATCH_MAX 128

static void
report(struct link_tcp_outbound *out, int rc, const char *what)
{
    if (out->last_error == rc)
        return;
    out->last_error = rc;
    obs_log(OBS_WARN, "link", what, "node=%u to=%u error=%s", out->tcp->node, out->node,
            skein_error_name(rc));
}

static int
read_verdict(struct link_tcp_outbound *out, int handle, uint64_t deadline_ns)
{
    uint8_t frame[LINK_FRAME_HEADER_BYTES + 1];
    size_t have = 0;
    while (have < sizeof frame) {
        ssize_t n = skein_socket_recv(handle, frame + have, sizeof frame - have, deadline_ns);
        if (n <= 0)
            return n < 0 ? (int)n : -SKEIN_EEOF;
        have += (size_t)n;
    }
    const uint8_t *data = frame;
    struct link_frame_parser parser = {.limit_bytes = 1};
    struct bytes payload;
    int rc = link_frame_feed(&parser, &data, &have, &payload);
    link_frame_parser_deinit(&parser);
    if (rc <= 0)
        return -SKEIN_EPROTO;
    uint8_t verdict = payload.data[0];
    bytes_unref(&payload);
    if (verdict == LINK_WELCOME)
        return 0;
    if (out->last_error != -SKEIN_EIDENTITY)
        obs_log(OBS_ERROR, "link", "peer refuses this node", "node=%u to=%u why=\"%s\"",
                out->tcp->node, out->node,
                link_verdict_text(verdict < LINK_VERDICT_END ? verdict : LINK_VERDICT_END));
    out->last_error = -SKEIN_EIDENTITY;
    const struct replica_link_handler *handler = out->tcp->handler;
    if (verdict == LINK_WRONG_NODE && handler->on_refused)
        handler->on_refused(handler->owner, out->node);
    return -SKEIN_EIDENTITY;
}

static int
say_hello(struct link_tcp_outbound *out, int handle, uint64_t deadline_ns)
{
    struct link_hello hello = {.from = out->tcp->node, .to = out->node};
    snprintf(hello.name, sizeof hello.name, "%s", out->tcp->cluster_name);
    struct wire_writer frame = {0};
    wire_put_space(&frame, LINK_FRAME_HEADER_BYTES);
    link_hello_encode(&frame, &hello);
    link_frame_header(frame.data, frame.data + LINK_FRAME_HEADER_BYTES,
                      frame.count - LINK_FRAME_HEADER_BYTES);
    int rc = skein_socket_send(handle, frame.data, frame.count, deadline_ns);
    wire_writer_deinit(&frame);
    return rc < 0 ? rc : read_verdict(out, handle, deadline_ns);
}

/* The peer sends nothing after its verdict: whatever comes is the end of the connection. */
static void
watch(void *arg)
{
    struct link_tcp_outbound *out = arg;
    uint8_t byte;
    ssize_t n = skein_socket_recv(out->handle, &byte, 1, SKEIN_NEVER);
    if (n == -SKEIN_ECANCELED)
        return;
    out->broken = true;
    skein_wake_all(&out->wake);
}

static int
send_batch(struct link_tcp_outbound *out, struct link_tcp_message *batch, size_t count)
{
    struct iovec iov[2 * BATCH_MAX];
    for (size_t at = 0; at < count;) {
        int iov_count = 0;
        uint64_t bytes = 0;
        size_t first = at;
        for (; at < count && at - first < BATCH_MAX; at++) {
            struct link_tcp_message *message = &batch[at];
            iov[iov_count++] = (struct iovec){message->header, LINK_FRAME_HEADER_BYTES};
            iov[iov_count++] =
                (struct iovec){(void *)(uintptr_t)message->payload.data, message->payload.count};
            bytes += message->payload.count + LINK_FRAME_HEADER_BYTES;
        }
        int rc =
            skein_socket_sendv(out->handle, iov, iov_count, skein_deadline_in(LINK_TCP_SEND_NS));
        if (rc < 0)
            return rc;
        out->tcp->stats.sent += at - first;
        out->tcp->stats.sent_bytes += bytes;
    }
    return 0;
}

/* Everything queued is taken over and sent; meanwhile the queue fills anew. */
static int
write_queue(struct link_tcp_outbound *out)
{
    struct link_tcp_message *batch = NULL;
    size_t batch_capacity = 0;
    int rc = 0;
    while (rc == 0) {
        while (out->queue_count == 0 && !out->broken && rc == 0)
            rc = skein_wait(&out->wake, SKEIN_NEVER);
        if (out->broken)
            rc = -SKEIN_EEOF;
        if (rc < 0)
            break;
        struct link_tcp_message *taken = out->queue;
        size_t taken_capacity = out->queue_capacity, taken_count = out->queue_count;
        uint64_t taken_bytes = out->queue_bytes;
        out->queue = batch;
        out->queue_capacity = batch_capacity;
        out->queue_count = 0;
        batch = taken;
        batch_capacity = taken_capacity;
        rc = send_batch(out, batch, taken_count);
        out->queue_bytes -= taken_bytes;
        for (size_t i = 0; i < taken_count; i++)
            bytes_unref(&batch[i].payload);
    }
    mem_free(batch);
    return rc;
}

static int
serve(struct link_tcp_outbound *out, int handle)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    out->handle = handle;
    out->broken = false;
    int rc = skein_spawn(&scope, "link-watch", watch, out, SKEIN_STACK_SMALL);
    if (rc == 0) {
        out->connected = true;
        out->last_error = 0;
        obs_log(OBS_INFO, "link", "connected", "node=%u to=%u", out->tcp->node, out->node);
        rc = write_queue(out);
    }
    out->connected = false;
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    link_tcp_drop_queue(out, &out->tcp->stats.dropped_unconnected);
    if (rc != -SKEIN_ECANCELED)
        out->tcp->handler->on_lost(out->tcp->handler->owner, out->node);
    return rc;
}

static void
dial_again_and_again(struct link_tcp_outbound *out)
{
    uint64_t backoff_ns = LINK_TCP_BACKOFF_MIN_NS;
    while (!skein_cancelled()) {
        uint64_t deadline_ns = skein_deadline_in(LINK_TCP_HELLO_NS);
        int handle = skein_socket_connect(&out->addr, deadline_ns);
        int rc = handle;
        if (handle >= 0) {
            rc = say_hello(out, handle, deadline_ns);
            if (rc == 0) {
                backoff_ns = LINK_TCP_BACKOFF_MIN_NS;
                rc = serve(out, handle);
                report(out, rc, "connection lost");
            }
            skein_shield(true);
            skein_close(handle);
            skein_shield(false);
        }
        if (rc == -SKEIN_ECANCELED)
            return;
        report(out, rc, "cannot connect");
        uint64_t jitter_ns = skein_random() % (backoff_ns / 2 + 1);
        if (skein_sleep(skein_deadline_in(backoff_ns / 2 + jitter_ns)) < 0)
            return;
        backoff_ns =
            backoff_ns * 2 < LINK_TCP_BACKOFF_MAX_NS ? backoff_ns * 2 : LINK_TCP_BACKOFF_MAX_NS;
    }
}

void
link_tcp_dial(void *arg)
{
    struct link_tcp_outbound *out = arg;
    dial_again_and_again(out);
    out->ended = true;
}
