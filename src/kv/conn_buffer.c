/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "skein/fiber.h"
#include "skein/socket.h"
#include "kv/conn.h"
#include "skein/error.h"

#define IN_BYTES_MIN ((size_t)4 << 10)
/* A buffer of commands is at least so big, and not kept when it is bigger. */
#define COMMAND_BYTES ((size_t)512)

int
conn_buffer_room(struct kv_conn *conn)
{
    if (conn->in_begin == conn->in_end)
        conn->in_begin = conn->in_end = 0;
    if (conn->in_end < conn->in_capacity)
        return 0;
    if (conn->in_begin) {
        memmove(conn->in, conn->in + conn->in_begin, conn->in_end - conn->in_begin);
        conn->in_end -= conn->in_begin;
        conn->in_begin = 0;
        return 0;
    }
    struct kv_face *face = conn->face;
    size_t wanted = conn->in_capacity ? conn->in_capacity * 2 : IN_BYTES_MIN;
    uint64_t total = face->query_bytes + wanted - conn->in_capacity;
    if (wanted > KV_CONN_IDLE_BYTES &&
        total > face->options.query_bytes_max * KV_FACE_QUERY_COMMANDS_MAX)
        return -SKEIN_ENOMEM;
    uint8_t *grown = mem_try_realloc(conn->in, wanted);
    if (!grown)
        return -SKEIN_ENOMEM;
    face->query_bytes = total;
    conn->in = grown;
    conn->in_capacity = wanted;
    return 0;
}

bool
conn_buffer_is_big(const struct kv_conn *conn)
{
    return conn->in_capacity > KV_CONN_IDLE_BYTES || conn->out.capacity > KV_CONN_IDLE_BYTES;
}

static void
drop_in(struct kv_conn *conn)
{
    skein_assert(conn->face->query_bytes >= conn->in_capacity);
    conn->face->query_bytes -= conn->in_capacity;
    mem_free(conn->in);
    conn->in = NULL;
    conn->in_begin = conn->in_end = conn->in_capacity = 0;
}

static void
drop_pending(struct kv_conn *conn)
{
    bytes_unref(&conn->reply);
    conn->out.count = 0;
}

void
conn_buffer_shrink(struct kv_conn *conn)
{
    skein_assert(!conn_buffer_pending(conn));
    if (conn->out.capacity > KV_CONN_IDLE_BYTES)
        wire_writer_deinit(&conn->out);
    if (conn->in_begin < conn->in_end)
        return;
    if (conn->in_capacity > KV_CONN_IDLE_BYTES)
        drop_in(conn);
    kv_resp_shrink(&conn->parser);
}

void
conn_buffer_deinit(struct kv_conn *conn)
{
    drop_pending(conn);
    wire_writer_deinit(&conn->out);
    drop_in(conn);
    mem_free(conn->command);
}

struct bytes_buf *
conn_buffer_command(struct kv_conn *conn, size_t bytes)
{
    struct bytes_buf *kept = conn->command;
    if (!kept || bytes > COMMAND_BYTES)
        return bytes_try_new(bytes > COMMAND_BYTES ? bytes : COMMAND_BYTES);
    conn->command = NULL;
    return kept;
}

void
conn_buffer_command_done(struct kv_conn *conn, struct bytes *command)
{
    struct bytes_buf *buf = command->buf;
    if (conn->command || !buf || buf->refs > 1 || buf->capacity_bytes > COMMAND_BYTES) {
        bytes_unref(command);
        return;
    }
    conn->command = buf;
    *command = (struct bytes){0};
}

struct wire_writer *
conn_buffer_out(struct kv_conn *conn)
{
    if (conn->reply.count) {
        skein_assert(!conn->out.count);
        wire_put_raw(&conn->out, conn->reply.data, conn->reply.count);
        bytes_unref(&conn->reply);
    }
    return &conn->out;
}

void
conn_buffer_reply(struct kv_conn *conn, struct bytes reply)
{
    if (!conn_buffer_pending(conn)) {
        conn->reply = reply;
        return;
    }
    wire_put_raw(conn_buffer_out(conn), reply.data, reply.count);
    bytes_unref(&reply);
}

size_t
conn_buffer_pending(const struct kv_conn *conn)
{
    return conn->reply.count + conn->out.count;
}

int
conn_buffer_send(struct kv_conn *conn, uint64_t deadline_ns)
{
    struct kv_face *face = conn->face;
    size_t bytes = conn_buffer_pending(conn);
    if (!bytes)
        return 0;
    const uint8_t *data = conn->reply.count ? conn->reply.data : conn->out.data;
    face->reply_bytes += bytes;
    int rc = skein_socket_send(conn->handle, data, bytes, deadline_ns);
    face->reply_bytes -= bytes;
    drop_pending(conn);
    if (rc == 0)
        face->stats.output_bytes += bytes;
    return rc;
}
