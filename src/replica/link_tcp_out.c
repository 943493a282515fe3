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

struct dialled {
    struct link_tcp_conn conn;
    struct skein_waitq over;
    bool done;
    int rc;
};

static int
no_hello(struct link_tcp_conn *conn, struct bytes payload)
{
    (void)conn;
    (void)payload;
    return -SKEIN_EPROTO;
}

static void
read_dialled(void *arg)
{
    struct dialled *dialled = arg;
    struct link_tcp_conn *conn = &dialled->conn;
    ssize_t n;
    do {
        n = skein_socket_recv(conn->handle, conn->buffer, LINK_TCP_RECEIVE_BYTES, SKEIN_NEVER);
        dialled->rc = n < 0 ? (int)n : -SKEIN_EEOF;
    } while (n > 0 && link_tcp_conn_take(conn, conn->buffer, (size_t)n, no_hello) == 0);
    dialled->done = true;
    skein_wake_all(&dialled->over);
}

static int
serve(struct link_tcp_outbound *out, int handle)
{
    struct skein_scope scope;
    struct dialled dialled = {0};
    skein_scope_init(&scope);
    skein_waitq_init(&dialled.over);
    link_tcp_conn_init(&dialled.conn, out->tcp, &scope, handle);
    link_tcp_conn_up(&dialled.conn, out, true);
    int rc = skein_spawn(&scope, "link-read", read_dialled, &dialled, SKEIN_STACK_SMALL);
    if (rc == 0) {
        out->last_error = 0;
        obs_log(OBS_INFO, "link", "connected", "node=%u to=%u", out->tcp->node, out->node);
    }
    while (rc == 0 && !dialled.done)
        rc = skein_wait(&dialled.over, SKEIN_NEVER);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    link_tcp_conn_close(&dialled.conn);
    link_tcp_conn_deinit(&dialled.conn);
    return rc < 0 ? rc : dialled.rc;
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
                if (rc != -SKEIN_ECANCELED || !skein_cancelled())
                    report(out, rc, "connection lost");
            } else {
                skein_shield(true);
                skein_close(handle);
                skein_shield(false);
            }
        }
        if (skein_cancelled())
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
    out->live_count--;
}
