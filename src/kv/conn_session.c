/* SPDX-License-Identifier: Apache-2.0 */
/* SKEIN SESSION and SKEIN ONCE: writes that are carried out once (kv/conn.h). */
#include <inttypes.h>
#include <stdio.h>

#include "kv/command.h"
#include "kv/conn.h"
#include "kv/local.h"
#include "replica/sessions.h"
#include "skein/shard.h"

#define TTL_MS 600000
#define ID_DIGITS 16u
/* SKEIN ONCE <session> <sequence> <command> */
#define ONCE_ARGC_MIN 5u

static uint64_t
deadline(const struct kv_conn *conn)
{
    return skein_deadline_in(conn->face->options.command_timeout_ns);
}

static bool
parse_id(const struct kv_arg *arg, uint64_t *out_id)
{
    uint64_t id = 0;
    for (size_t i = 0; i < arg->count; i++) {
        uint8_t c = arg->data[i];
        bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!letter && (c < '0' || c > '9'))
            return false;
        id = id << 4 | (uint64_t)(letter ? (c | 0x20) - 'a' + 10 : c - '0');
    }
    *out_id = id;
    return arg->count == ID_DIGITS && id != 0;
}

static void
open_session(struct kv_conn *conn, const struct kv_arg *argv, uint32_t argc)
{
    int64_t ttl_ms = TTL_MS;
    uint64_t id;
    char text[ID_DIGITS + 1];
    if (argc == 1 && (!kv_resp_integer(argv[0].data, argv[0].count, &ttl_ms) ||
                      ttl_ms < SESSIONS_TTL_MS_MIN || ttl_ms > SESSIONS_TTL_MS_MAX)) {
        kv_reply_errorf(conn_buffer_out(conn),
                        "ERR a session's time is %u to %u milliseconds without use",
                        SESSIONS_TTL_MS_MIN, SESSIONS_TTL_MS_MAX);
        return;
    }
    struct kv_face *face = conn->face;
    struct replica *replica = face->options.replica;
    int rc = face->group_count > 1
                 ? replica_session_open_all(replica, (uint64_t)ttl_ms, deadline(conn), &id)
                 : replica_session_open(replica, (uint64_t)ttl_ms, deadline(conn), &id);
    if (rc < 0) {
        kv_conn_error(conn_buffer_out(conn), rc, false, conn->face->options.command_timeout_ns);
        return;
    }
    snprintf(text, sizeof(text), "%016" PRIx64, id);
    kv_reply_bulk(conn_buffer_out(conn), text, ID_DIGITS);
}

static void
close_session(struct kv_conn *conn, const struct kv_arg *argv)
{
    uint64_t id;
    if (!parse_id(&argv[0], &id)) {
        kv_reply_error(conn_buffer_out(conn), "ERR a session has 16 hexadecimal digits");
        return;
    }
    struct replica *replica = conn->face->options.replica;
    int rc = conn->face->group_count > 1 ? replica_session_close_all(replica, id, deadline(conn))
                                         : replica_session_close(replica, id, deadline(conn));
    if (rc < 0)
        kv_conn_error(conn_buffer_out(conn), rc, false, conn->face->options.command_timeout_ns);
    else
        kv_reply_simple(conn_buffer_out(conn), "OK");
}

/* NULL: it is no write, and answered. */
static const struct kv_command *
find_write(struct kv_conn *conn, const struct kv_arg *argv, uint32_t argc)
{
    const struct kv_command *command = kv_command_find(argv[0]);
    struct wire_writer *out = conn_buffer_out(conn);
    if (!command)
        kv_reply_unknown_command(out, argv, argc);
    else if (!kv_command_arity_ok(command, argc))
        kv_reply_wrong_arity(out, command);
    else if (command->kind != KV_WRITE)
        kv_reply_errorf(out, "ERR '%s' writes nothing: it needs no session", command->name);
    else
        return command;
    return NULL;
}

/* The write, as a batch of its own, in @group. */
static void
submit_once(struct kv_conn *conn, uint32_t group, uint64_t id, uint64_t sequence,
            const struct kv_arg *argv, uint32_t argc)
{
    struct kv_face *face = conn->face;
    struct wire_writer out = {0};
    struct bytes batch, reply = {0};
    int rc = -SKEIN_EBUSY;
    uint64_t begun_ns = skein_now_ns();
    kv_batch_begin(&out, &face->options.limits);
    kv_batch_add(&out, argv, argc);
    batch = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    if (face->reply_bytes <= KV_FACE_REPLY_BYTES_MAX)
        rc = replica_submit_once(kv_face_group(face, group), id, sequence, batch, deadline(conn),
                                 &reply);
    bytes_unref(&batch);
    kv_face_metrics_batch(face, true, skein_now_ns() - begun_ns);
    face->stats.batches++;
    face->stats.failed_batches += rc < 0;
    if (rc < 0)
        kv_conn_error(conn_buffer_out(conn), rc, false, face->options.command_timeout_ns);
    else
        conn_buffer_reply(conn, reply);
}

static void
once(struct kv_conn *conn, const struct kv_arg *argv, uint32_t argc)
{
    uint64_t id;
    int64_t sequence;
    if (!parse_id(&argv[0], &id) || !kv_resp_integer(argv[1].data, argv[1].count, &sequence) ||
        sequence < 1) {
        kv_reply_error(conn_buffer_out(conn), "ERR SKEIN ONCE takes a session of 16 hexadecimal "
                                              "digits, a sequence from 1 on, and a command");
        return;
    }
    argv += 2;
    argc -= 2;
    const struct kv_command *command = find_write(conn, argv, argc);
    if (!command)
        return;
    kv_face_metrics_command(conn->face, command);
    int group = kv_route_one(kv_route(command, argv, argc, conn->face->group_count));
    if (group < 0)
        kv_conn_spread(conn, id, (uint64_t)sequence, command, argv, argc);
    else
        submit_once(conn, (uint32_t)group, id, (uint64_t)sequence, argv, argc);
}

bool
kv_conn_is_session(const struct kv_arg *argv, uint32_t argc)
{
    return argc >= 2 && kv_local_is(&argv[0], "skein") &&
           (kv_local_is(&argv[1], "session") || kv_local_is(&argv[1], "once"));
}

void
kv_conn_session(struct kv_conn *conn, const struct kv_arg *argv, uint32_t argc)
{
    struct kv_local local = {.face = conn->face, .conn = conn, .out = conn_buffer_out(conn)};
    if (kv_local_is(&argv[1], "once") && argc >= ONCE_ARGC_MIN)
        once(conn, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "once"))
        kv_local_wrong_arity(&local, "skein", "once");
    else if (argc >= 3 && argc <= 4 && kv_local_is(&argv[2], "open"))
        open_session(conn, argv + 3, argc - 3);
    else if (argc == 4 && kv_local_is(&argv[2], "close"))
        close_session(conn, argv + 3);
    else
        kv_reply_error(local.out, "ERR SKEIN SESSION takes OPEN [milliseconds] or CLOSE <session>");
}
