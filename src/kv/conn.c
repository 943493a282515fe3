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

static int
send_pending(struct kv_conn *conn)
{
    return conn_buffer_send(conn, skein_coarse_now_ns() + conn->face->options.send_timeout_ns);
}

int
kv_conn_submit(struct kv_conn *conn, uint32_t group, bool write, struct bytes command,
               struct bytes *out_reply)
{
    struct kv_face *face = conn->face;
    struct replica *replica = kv_face_group(face, group);
    uint64_t begun_ns = skein_coarse_now_ns();
    uint64_t deadline_ns = begun_ns + face->options.command_timeout_ns;
    int rc =
        write ? replica_submit(replica, REPLICA_WRITE, command, deadline_ns, out_reply)
              : replica_read(replica, conn->level, conn->stale_ns, command, deadline_ns, out_reply);
    kv_face_metrics_batch(face, write, skein_coarse_now_ns() - begun_ns);
    return rc;
}

struct bytes
kv_conn_take_batch(struct kv_face *face, uint32_t group, struct bytes_buf *buf)
{
    struct wire_writer *batch = &face->batches[group];
    struct bytes command = {0};
    if (buf) {
        memcpy(buf->data, batch->data, batch->count);
        command = bytes_of(buf, batch->count);
    }
    batch->count = 0;
    if (batch->capacity > 4 * KV_CONN_BATCH_BYTES)
        wire_writer_deinit(batch);
    return command;
}

/* All commands are for one group: its reply goes out as it came. */
static void
submit_one(struct kv_conn *conn, const struct kv_turn *turn)
{
    struct kv_face *face = conn->face;
    uint32_t group = (uint32_t)kv_route_one(turn->groups);
    struct bytes_buf *buf = conn_buffer_command(conn, face->batches[group].count);
    struct bytes reply = {0}, command = kv_conn_take_batch(face, group, buf);
    int rc = buf ? -SKEIN_EBUSY : -SKEIN_ENOMEM;
    if (buf && face->reply_bytes <= KV_FACE_REPLY_BYTES_MAX)
        rc = kv_conn_submit(conn, group, turn->writes != 0, command, &reply);
    conn_buffer_command_done(conn, &command);
    face->stats.batches++;
    if (rc == 0) {
        conn_buffer_reply(conn, reply);
        return;
    }
    face->stats.failed_batches++;
    for (uint32_t i = 0; i < turn->count; i++)
        kv_conn_error(conn_buffer_out(conn), rc, turn->reads[i / 64] >> (i % 64) & 1,
                      face->options.command_timeout_ns);
}

/* Without group_of, which is written before it is read. */
static void
begin_turn(struct kv_turn *turn)
{
    turn->count = 0;
    turn->groups = turn->writes = 0;
    memset(turn->reads, 0, sizeof(turn->reads));
}

/* Submit the batches and take their replies. */
static int
end_turn(struct kv_conn *conn, struct kv_turn *turn)
{
    int rc = 0;
    if (!turn->count)
        return 0;
    if (kv_route_one(turn->groups) >= 0)
        submit_one(conn, turn);
    else
        rc = kv_conn_submit_turn(conn, turn);
    begin_turn(turn);
    return rc == 0 && conn_buffer_pending(conn) > SEND_BYTES_SOON ? send_pending(conn) : rc;
}

static int
add_to_turn(struct kv_conn *conn, struct kv_turn *turn, enum kv_command_kind kind, uint32_t group)
{
    struct kv_face *face = conn->face;
    struct wire_writer *batch = &face->batches[group];
    const struct kv_resp *parser = &conn->parser;
    size_t bytes = 4;
    for (uint32_t i = 0; i < parser->argc; i++)
        bytes += 4 + parser->argv[i].count;
    if (turn->count == KV_CONN_BATCH_COMMANDS ||
        (batch->count && batch->count + bytes > KV_CONN_BATCH_BYTES)) {
        int rc = end_turn(conn, turn);
        if (rc < 0)
            return rc;
    }
    kv_groups bit = UINT32_C(1) << group;
    if (!(turn->groups & bit)) {
        skein_assert(!batch->count);
        kv_batch_begin(batch, &face->options.limits);
        turn->groups |= bit;
    }
    kv_batch_add(batch, parser->argv, parser->argc);
    if (kind == KV_WRITE)
        turn->writes |= bit;
    else
        turn->reads[turn->count / 64] |= UINT64_C(1) << (turn->count % 64);
    if (face->group_count > 1)
        turn->group_of[turn->count] = (uint8_t)group;
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

/* A command of the machine: into the turn, or, when it is for several groups, behind it. */
static int
handle_data(struct kv_conn *conn, struct kv_turn *turn, const struct kv_command *command)
{
    const struct kv_resp *parser = &conn->parser;
    uint32_t group_count = conn->face->group_count;
    kv_groups groups = kv_route(command, parser->argv, parser->argc, group_count);
    int one = kv_route_one(groups);
    if (one >= 0)
        return add_to_turn(conn, turn, command->kind, (uint32_t)one);
    int rc = end_turn(conn, turn);
    if (rc < 0)
        return rc;
    kv_conn_spread(conn, 0, 0, command, parser->argv, parser->argc);
    return conn_buffer_pending(conn) > SEND_BYTES_SOON ? send_pending(conn) : 0;
}

static int
handle_command(struct kv_conn *conn, struct kv_turn *turn)
{
    const struct kv_resp *parser = &conn->parser;
    const struct kv_command *command = kv_command_find(parser->argv[0]);
    bool arity_ok = command && kv_command_arity_ok(command, parser->argc);
    conn->commands++;
    conn->last = command ? command : conn->last;
    kv_face_count_command(conn->face, conn->active_ns);
    kv_face_metrics_command(conn->face, command);
    if (arity_ok && command->kind != KV_LOCAL && !conn->multi.open)
        return handle_data(conn, turn, command);
    int rc = end_turn(conn, turn);
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
    struct kv_turn turn;
    begin_turn(&turn);
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
    /* The batches are shared: they are left empty whatever happened. */
    int flushed = end_turn(conn, &turn);
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
