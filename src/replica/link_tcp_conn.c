/* SPDX-License-Identifier: Apache-2.0 */
/* What dialled and accepted connections have in common. */
#include "base/mem.h"
#include "obs/log.h"
#include "replica/link_tcp_internal.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"

void
link_tcp_conn_init(struct link_tcp_conn *conn, struct link_tcp *tcp, struct skein_scope *scope,
                   int handle)
{
    *conn = (struct link_tcp_conn){.tcp = tcp, .scope = scope, .handle = handle};
    conn->parser.limit_bytes = LINK_HELLO_BYTES_MAX;
    conn->buffer = mem_alloc(LINK_TCP_RECEIVE_BYTES);
}

void
link_tcp_conn_deinit(struct link_tcp_conn *conn)
{
    link_frame_parser_deinit(&conn->parser);
    mem_free(conn->buffer);
    conn->buffer = NULL;
}

void
link_tcp_conn_up(struct link_tcp_conn *conn, struct link_tcp_outbound *out, bool dialled)
{
    conn->node = out->node;
    conn->parser.limit_bytes = REPLICA_MESSAGE_BYTES_MAX;
    if (dialled)
        out->dialled = conn;
    else
        out->accepted = conn;
    skein_wake_all(&out->wake);
}

struct link_tcp_conn *
link_tcp_carrier(const struct link_tcp_outbound *out)
{
    bool lower = out->tcp->node < out->node;
    struct link_tcp_conn *first = lower ? out->dialled : out->accepted;
    struct link_tcp_conn *second = lower ? out->accepted : out->dialled;
    return first ? first : second;
}

void
link_tcp_refuse(struct link_tcp_conn *conn, const char *why)
{
    conn->tcp->stats.refused++;
    obs_log(OBS_WARN, "link", "connection refused", "node=%u from=%u why=\"%s\"", conn->tcp->node,
            conn->node, why);
}

int
link_tcp_conn_take(struct link_tcp_conn *conn, const uint8_t *data, size_t count,
                   int (*on_hello)(struct link_tcp_conn *conn, struct bytes payload))
{
    struct link_tcp *tcp = conn->tcp;
    for (;;) {
        struct bytes payload;
        int rc = link_frame_feed(&conn->parser, &data, &count, &payload);
        if (rc < 0)
            link_tcp_refuse(conn, rc == -SKEIN_ETOOBIG  ? "an empty or too large frame"
                                  : rc == -SKEIN_ENOMEM ? "no memory for a frame"
                                                        : "a frame with a wrong checksum");
        if (rc <= 0)
            return rc;
        if (conn->node == 0) {
            rc = on_hello(conn, payload);
        } else {
            tcp->stats.received++;
            tcp->stats.received_bytes += payload.count + LINK_FRAME_HEADER_BYTES;
            tcp->handler->on_message(tcp->handler->owner, conn->node, payload);
        }
        bytes_unref(&payload);
        if (rc < 0)
            return rc;
    }
}

/* Who is sending on @conn: a peer that is dropped is not found by its number any more. */
static struct link_tcp_outbound *
writer_on(const struct link_tcp_conn *conn)
{
    list_for_each (link, &conn->tcp->outbounds) {
        struct link_tcp_outbound *out = LIST_ENTRY(link, struct link_tcp_outbound, link);
        if (out->writing == conn)
            return out;
    }
    return NULL;
}

static void
forget(const struct link_tcp_conn *conn)
{
    list_for_each (link, &conn->tcp->outbounds) {
        struct link_tcp_outbound *out = LIST_ENTRY(link, struct link_tcp_outbound, link);
        if (out->dialled == conn)
            out->dialled = NULL;
        if (out->accepted == conn)
            out->accepted = NULL;
    }
}

void
link_tcp_conn_close(struct link_tcp_conn *conn)
{
    struct link_tcp_outbound *out = conn->node ? link_tcp_find(conn->tcp, conn->node) : NULL;
    bool carried = out && link_tcp_carrier(out) == conn;
    skein_shield(true);
    forget(conn);
    if (writer_on(conn))
        (void)!skein_socket_shutdown(conn->handle);
    while ((out = writer_on(conn)))
        (void)!skein_wait(&out->idle, SKEIN_NEVER);
    skein_close(conn->handle);
    skein_shield(false);
    if (carried && !skein_cancelled())
        conn->tcp->handler->on_lost(conn->tcp->handler->owner, conn->node);
}
