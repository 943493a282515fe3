/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/conn.h"

#include <string.h>

#include "skein/fiber.h"
#include "skein/timer.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "kv/command.h"
#include "kv/local.h"
#include "skein/error.h"

#define SECOND_NS UINT64_C(1000000000)
#define SEND_BYTES_SOON ((size_t)256 << 10)
#define LINGER_BYTES_MAX ((size_t)1 << 20)

/* What is known of the batch under construction in face->batch. */
struct turn {
    uint32_t count;
    bool write;
    uint64_t reads[KV_CONN_BATCH_COMMANDS / 64]; /* bit: this command is a READ */
};

static int
send_pending(struct kv_conn *conn)
{
    return conn_buffer_send(conn, skein_coarse_now_ns() + conn->face->options.send_timeout_ns);
}

static void
answer_all(struct kv_conn *conn, const struct turn *turn, int rc)
{
    uint64_t timeout_ns = conn->face->options.command_timeout_ns;
    conn->face->stats.failed_batches++;
    for (uint32_t i = 0; i < turn->count; i++)
        kv_conn_error(conn_buffer_out(conn), rc, turn->reads[i / 64] >> (i % 64) & 1, timeout_ns);
}

int
kv_conn_submit(struct kv_conn *conn, bool write, struct bytes command, struct bytes *out_reply)
{
    struct kv_face *face = conn->face;
    uint64_t begun_ns = skein_coarse_now_ns();
    uint64_t deadline_ns = begun_ns + face->options.command_timeout_ns;
    int rc = write ? replica_submit(face->options.replica, REPLICA_WRITE, command, deadline_ns,
                                    out_reply)
                   : replica_read(face->options.replica, conn->level, conn->stale_ns, command,
                                  deadline_ns, out_reply);
    kv_face_metrics_batch(face, write, skein_coarse_now_ns() - begun_ns);
    return rc;
}

/* Submit the batch and take its replies. */
static int
flush_batch(struct kv_conn *conn, struct turn *turn)
{
    struct kv_face *face = conn->face;
    if (!turn->count)
        return 0;
    struct turn sent = *turn;
    *turn = (struct turn){0};
    struct bytes_buf *buf = conn_buffer_command(conn, face->batch.count);
    struct bytes command = {0}, reply = {0};
    if (buf) {
        memcpy(buf->data, face->batch.data, face->batch.count);
        command = bytes_of(buf, face->batch.count);
    }
    face->batch.count = 0;
    if (face->batch.capacity > 4 * KV_CONN_BATCH_BYTES)
        wire_writer_deinit(&face->batch);
    int rc = buf ? -SKEIN_EBUSY : -SKEIN_ENOMEM;
    if (buf && face->reply_bytes <= KV_FACE_REPLY_BYTES_MAX)
        rc = kv_conn_submit(conn, sent.write, command, &reply);
    conn_buffer_command_done(conn, &command);
    face->stats.batches++;
    if (rc < 0)
        answer_all(conn, &sent, rc);
    else
        conn_buffer_reply(conn, reply);
    return conn_buffer_pending(conn) > SEND_BYTES_SOON ? send_pending(conn) : 0;
}

static int
add_to_batch(struct kv_conn *conn, struct turn *turn, enum kv_command_kind kind)
{
    struct wire_writer *batch = &conn->face->batch;
    const struct kv_resp *parser = &conn->parser;
    size_t bytes = 4;
    for (uint32_t i = 0; i < parser->argc; i++)
        bytes += 4 + parser->argv[i].count;
    if (turn->count == KV_CONN_BATCH_COMMANDS ||
        (turn->count && batch->count + bytes > KV_CONN_BATCH_BYTES)) {
        int rc = flush_batch(conn, turn);
        if (rc < 0)
            return rc;
    }
    if (!turn->count) {
        skein_assert(!batch->count);
        kv_batch_begin(batch, &conn->face->options.limits);
    }
    kv_batch_add(batch, parser->argv, parser->argc);
    if (kind == KV_WRITE)
        turn->write = true;
    else
        turn->reads[turn->count / 64] |= UINT64_C(1) << (turn->count % 64);
    turn->count++;
    return 0;
}

/* Not part of a batch. Suspends. */
static int
carry_out(struct kv_conn *conn, const struct kv_command *command, bool arity_ok)
{
    const struct kv_arg *argv = conn->parser.argv;
    uint32_t argc = conn->parser.argc;
    if (kv_conn_multi_queue(conn, command, arity_ok, argv, argc))
        return 0;
    struct kv_local local = {.face = conn->face, .conn = conn, .out = conn_buffer_out(conn)};
    if (!command)
        kv_reply_unknown_command(local.out, argv, argc);
    else if (!arity_ok)
        kv_reply_wrong_arity(local.out, command);
    else if (kv_conn_is_exec(conn, command))
        kv_conn_exec(conn);
    else if (kv_conn_is_snapshot(argv, argc))
        return kv_conn_send_snapshot(conn);
    else if (kv_conn_is_session(argv, argc))
        kv_conn_session(conn, argv, argc);
    else
        command->local(&local, argv, argc);
    return 0;
}

static int
handle_command(struct kv_conn *conn, struct turn *turn)
{
    const struct kv_resp *parser = &conn->parser;
    const struct kv_command *command = kv_command_find(parser->argv[0]);
    bool arity_ok = command && kv_command_arity_ok(command, parser->argc);
    conn->commands++;
    conn->last = command ? command : conn->last;
    kv_face_count_command(conn->face, conn->active_ns);
    kv_face_metrics_command(conn->face, command);
    if (arity_ok && command->kind != KV_LOCAL && !conn->multi.open)
        return add_to_batch(conn, turn, command->kind);
    int rc = flush_batch(conn, turn);
    if (rc == 0)
        rc = carry_out(conn, command, arity_ok);
    if (rc < 0)
        return rc;
    /* Replies are longer than commands may be: they do not gather. */
    return conn_buffer_pending(conn) > SEND_BYTES_SOON ? send_pending(conn) : 0;
}

/* Everything that has been received: commands, then what is wrong with the stream, if anything. */
static int
handle_received(struct kv_conn *conn)
{
    struct turn turn = {0};
    int rc = 0;
    int parsed = 1;
    while (!conn->closing && (!conn->face->stopping || turn.count)) {
        size_t consumed;
        parsed = kv_resp_next(&conn->parser, conn->in + conn->in_begin,
                              conn->in_end - conn->in_begin, &consumed);
        conn->in_begin += consumed;
        if (parsed <= 0)
            break;
        rc = handle_command(conn, &turn);
        if (rc < 0)
            break;
    }
    /* The batch is shared: it is left empty whatever happened. */
    int flushed = flush_batch(conn, &turn);
    if (rc == 0)
        rc = flushed;
    if (rc == 0 && parsed < 0) {
        conn->face->stats.protocol_errors++;
        conn->closing = true;
        kv_reply_error(conn_buffer_out(conn), conn->parser.error);
    }
    return rc < 0 ? rc : send_pending(conn);
}

/* Bytes received, 0 at the end of the stream. A big buffer is given back after an idle second. */
static ssize_t
receive(struct kv_conn *conn)
{
    int rc = conn_buffer_room(conn);
    if (rc < 0) {
        kv_reply_error(conn_buffer_out(conn),
                       "ERR the memory of this node for unfinished commands is used up");
        return send_pending(conn) < 0 ? rc : 0;
    }
    bool big = conn_buffer_is_big(conn);
    conn->receiving = true;
    ssize_t n =
        skein_socket_recv(conn->handle, conn->in + conn->in_end, conn->in_capacity - conn->in_end,
                          big ? skein_deadline_in(SECOND_NS) : SKEIN_NEVER);
    if (n == -SKEIN_ETIMEDOUT) {
        conn->receiving = false;
        conn_buffer_shrink(conn);
        rc = conn_buffer_room(conn);
        if (rc < 0)
            return rc;
        conn->receiving = true;
        n = skein_socket_recv(conn->handle, conn->in + conn->in_end,
                              conn->in_capacity - conn->in_end, SKEIN_NEVER);
    }
    conn->receiving = false;
    if (n > 0) {
        conn->in_end += (size_t)n;
        conn->face->stats.input_bytes += (uint64_t)n;
        conn->active_ns = skein_coarse_now_ns();
    }
    return n;
}

/* Closing with bytes unread resets the connection and can take the last replies with it: send the
 * end, then read what the client still had under way, for a short while. */
static void
linger(struct kv_conn *conn)
{
    uint64_t deadline_ns = skein_deadline_in(SECOND_NS);
    size_t left = LINGER_BYTES_MAX;
    if (skein_socket_shutdown(conn->handle) < 0)
        return;
    conn->in_begin = conn->in_end = 0;
    conn->receiving = true;
    while (left && conn->in_capacity) {
        ssize_t n = skein_socket_recv(conn->handle, conn->in, conn->in_capacity, deadline_ns);
        if (n <= 0)
            break;
        left -= (size_t)n < left ? (size_t)n : left;
    }
    conn->receiving = false;
}

static void
conn_main(void *arg)
{
    struct kv_conn *conn = arg;
    struct kv_face *face = conn->face;
    ssize_t n = 1;
    int rc = 0;
    while (!conn->closing && !face->stopping && rc == 0 && (n = receive(conn)) > 0)
        rc = handle_received(conn);
    if (rc == 0 && n > 0)
        linger(conn);
    skein_close(conn->handle);
    kv_conn_multi_reset(conn);
    conn_buffer_deinit(conn);
    kv_resp_deinit(&conn->parser);
    face->conn_count--;
    skein_acceptor_release(&face->acceptor);
    list_remove(&conn->link);
    list_push_back(&face->done, &conn->link);
    skein_wake_one(&face->reaper_q);
}

int
kv_conn_open(struct kv_face *face, int handle, const struct skein_addr *peer)
{
    struct kv_conn *conn = mem_zalloc(sizeof(*conn));
    conn->face = face;
    conn->handle = handle;
    conn->peer = *peer;
    conn->opened_ns = conn->active_ns = skein_coarse_now_ns();
    kv_resp_init(&conn->parser, face->options.query_bytes_max);
    skein_scope_init(&conn->scope);
    int rc = skein_spawn(&conn->scope, "client", conn_main, conn, SKEIN_STACK_SMALL);
    if (rc < 0) {
        mem_free(conn);
        return rc;
    }
    conn->id = ++face->next_id;
    face->conn_count++;
    list_push_back(&face->conns, &conn->link);
    return 0;
}
