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
receive_all(int handle, uint8_t *to, size_t count, uint64_t deadline_ns)
{
    for (size_t have = 0; have < count;) {
        ssize_t n = skein_socket_recv(handle, to + have, count - have, deadline_ns);
        if (n <= 0)
            return n < 0 ? (int)n : -SKEIN_EEOF;
        have += (size_t)n;
    }
    return 0;
}

/* Messages may follow at once: so not a byte more than the answer. */
static int
receive_answer(int handle, struct link_answer *out_answer, uint64_t deadline_ns)
{
    uint8_t frame[LINK_FRAME_HEADER_BYTES + LINK_ANSWER_BYTES_MAX] = {0};
    int rc = receive_all(handle, frame, LINK_FRAME_HEADER_BYTES, deadline_ns);
    size_t count = (size_t)wire_load(frame, 4);
    if (rc == 0 && (count == 0 || count > LINK_ANSWER_BYTES_MAX))
        return -SKEIN_EPROTO;
    if (rc == 0)
        rc = receive_all(handle, frame + LINK_FRAME_HEADER_BYTES, count, deadline_ns);
    if (rc < 0)
        return rc;
    const uint8_t *data = frame;
    struct link_frame_parser parser = {.limit_bytes = LINK_ANSWER_BYTES_MAX};
    struct bytes payload;
    count += LINK_FRAME_HEADER_BYTES;
    rc = link_frame_feed(&parser, &data, &count, &payload);
    link_frame_parser_deinit(&parser);
    if (rc <= 0)
        return -SKEIN_EPROTO;
    rc = link_answer_decode(payload, out_answer);
    bytes_unref(&payload);
    return rc;
}

static void
report_refusal(struct link_tcp_outbound *out, const struct link_answer *answer)
{
    const struct link_versions *ours = &out->tcp->versions, *theirs = &answer->versions;
    if (out->last_error == -SKEIN_EIDENTITY)
        return;
    out->last_error = -SKEIN_EIDENTITY;
    obs_log(OBS_ERROR, "link", "peer refuses this node",
            "node=%u to=%u why=\"%s\" versions=%u-%u its_versions=%u-%u", out->tcp->node, out->node,
            link_verdict_text(answer->verdict), ours->min, ours->max, theirs->min, theirs->max);
}

/* -SKEIN_EFORMAT: it is of a build that knows no ranges: to be asked again in its own way. */
static int
read_verdict(struct link_tcp_outbound *out, int handle, const struct link_versions *said,
             uint64_t deadline_ns)
{
    struct link_answer answer;
    int rc = receive_answer(handle, &answer, deadline_ns);
    if (rc < 0)
        return rc;
    if (answer.verdict == LINK_WELCOME)
        return 0;
    if (answer.verdict == LINK_WRONG_VERSION && answer.versions.max == 0 &&
        said->max >= LINK_VERSION_RANGES && said->min < LINK_VERSION_RANGES)
        return -SKEIN_EFORMAT;
    report_refusal(out, &answer);
    const struct replica_link_handler *handler = out->tcp->handler;
    if (answer.verdict == LINK_WRONG_NODE && handler->on_refused)
        handler->on_refused(handler->owner, out->node);
    return -SKEIN_EIDENTITY;
}

static int
say_hello(struct link_tcp_outbound *out, int handle, uint64_t deadline_ns)
{
    struct link_hello hello = {
        .from = out->tcp->node, .to = out->node, .versions = out->tcp->versions};
    if (out->knows_no_ranges)
        hello.versions.max = LINK_VERSION_RANGES - 1;
    snprintf(hello.name, sizeof hello.name, "%s", out->tcp->cluster_name);
    struct wire_writer frame = {0};
    wire_put_space(&frame, LINK_FRAME_HEADER_BYTES);
    link_hello_encode(&frame, &hello);
    link_frame_header(frame.data, frame.data + LINK_FRAME_HEADER_BYTES,
                      frame.count - LINK_FRAME_HEADER_BYTES);
    int rc = skein_socket_send(handle, frame.data, frame.count, deadline_ns);
    wire_writer_deinit(&frame);
    if (rc == 0)
        rc = read_verdict(out, handle, &hello.versions, deadline_ns);
    /* The next connection asks anew: it may be of another build by then. */
    out->knows_no_ranges = rc == -SKEIN_EFORMAT;
    return rc;
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
        if (rc == -SKEIN_EFORMAT && out->knows_no_ranges)
            continue;
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
