/* SPDX-License-Identifier: Apache-2.0 */
/* MULTI, EXEC and DISCARD: the commands of a transaction become one batch (kv/conn.h). */
#include <string.h>

#include "kv/command.h"
#include "kv/conn.h"
#include "kv/local.h"
#include "skein/error.h"

/* What stands around a command and an argument in a batch. */
#define FRAME_BYTES 4

void
kv_conn_multi_reset(struct kv_conn *conn)
{
    struct kv_conn_multi *multi = &conn->multi;
    skein_assert(conn->face->query_bytes >= multi->batch.count);
    conn->face->query_bytes -= multi->batch.count;
    wire_writer_deinit(&multi->batch);
    *multi = (struct kv_conn_multi){0};
}

/* The batch is of no use any more: its memory is given back before EXEC comes. */
static void
spoil(struct kv_conn *conn)
{
    kv_conn_multi_reset(conn);
    conn->multi.open = conn->multi.spoilt = true;
}

static size_t
batch_bytes(const struct kv_arg *argv, uint32_t argc)
{
    size_t bytes = FRAME_BYTES;
    for (uint32_t i = 0; i < argc; i++)
        bytes += FRAME_BYTES + argv[i].count;
    return bytes;
}

/* Is there room for it, here and on the node, and is it for the transaction's group? NULL: yes,
 * else why not. @group: -1: it is for several. */
static const char *
refusal(const struct kv_conn *conn, size_t bytes, int group)
{
    const struct kv_face *face = conn->face;
    uint64_t bytes_max = face->options.query_bytes_max;
    if (group < 0 || (conn->multi.count && (uint32_t)group != conn->multi.group))
        return KV_REPLY_CROSSSLOT;
    if (conn->multi.count == KV_CONN_MULTI_COMMANDS)
        return "ERR the transaction has too many commands";
    if (conn->multi.batch.count + bytes > bytes_max)
        return "ERR the transaction is larger than a command may be (--query-bytes-max)";
    if (face->query_bytes + bytes > bytes_max * KV_FACE_QUERY_COMMANDS_MAX)
        return "ERR the memory of this node for unfinished commands is used up";
    return NULL;
}

static void
queue(struct kv_conn *conn, const struct kv_command *command, const struct kv_arg *argv,
      uint32_t argc)
{
    struct kv_conn_multi *multi = &conn->multi;
    int group = kv_route_one(kv_route(command, argv, argc, conn->face->group_count));
    const char *why = refusal(conn, batch_bytes(argv, argc), group);
    if (why) {
        kv_reply_error(conn_buffer_out(conn), why);
        spoil(conn);
        return;
    }
    kv_reply_simple(conn_buffer_out(conn), "QUEUED");
    if (multi->spoilt)
        return;
    size_t before = multi->batch.count;
    if (!multi->count)
        kv_batch_begin(&multi->batch, &conn->face->options.limits);
    multi->group = (uint32_t)group;
    kv_batch_add(&multi->batch, argv, argc);
    conn->face->query_bytes += multi->batch.count - before;
    multi->count++;
    multi->write = multi->write || command->kind == KV_WRITE;
}

/* In a transaction these are carried out at once. */
static bool
ends_transaction(const struct kv_command *command)
{
    return command->local == kv_local_multi || command->local == kv_local_exec ||
           command->local == kv_local_discard || command->local == kv_local_quit ||
           command->local == kv_local_reset;
}

bool
kv_conn_multi_queue(struct kv_conn *conn, const struct kv_command *command, bool arity_ok,
                    const struct kv_arg *argv, uint32_t argc)
{
    if (command && command->local == kv_local_exec && !arity_ok) {
        kv_conn_multi_reset(conn);
        kv_reply_error(conn_buffer_out(conn), "EXECABORT Transaction discarded because of: wrong "
                                              "number of arguments for 'exec' command");
        return true;
    }
    if (!conn->multi.open || (arity_ok && ends_transaction(command)))
        return false;
    if (arity_ok && command->kind != KV_LOCAL) {
        queue(conn, command, argv, argc);
        return true;
    }
    if (!command)
        kv_reply_unknown_command(conn_buffer_out(conn), argv, argc);
    else if (!arity_ok)
        kv_reply_wrong_arity(conn_buffer_out(conn), command);
    else
        kv_reply_error(conn_buffer_out(conn), "ERR Command not allowed inside a transaction");
    spoil(conn);
    return true;
}

void
kv_local_multi(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (local->conn->multi.open) {
        kv_reply_error(local->out, "ERR MULTI calls can not be nested");
        return;
    }
    local->conn->multi.open = true;
    kv_reply_simple(local->out, "OK");
}

void
kv_local_discard(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (!local->conn->multi.open) {
        kv_reply_error(local->out, "ERR DISCARD without MULTI");
        return;
    }
    kv_conn_multi_reset(local->conn);
    kv_reply_simple(local->out, "OK");
}

/* What needs no batch; the rest: kv_conn_exec. */
void
kv_local_exec(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    const struct kv_conn_multi *multi = &local->conn->multi;
    if (!multi->open)
        kv_reply_error(local->out, "ERR EXEC without MULTI");
    else if (multi->spoilt)
        kv_reply_error(local->out, "EXECABORT Transaction discarded because of previous errors.");
    else
        kv_reply_array(local->out, 0);
    kv_conn_multi_reset(local->conn);
}

bool
kv_conn_is_exec(const struct kv_conn *conn, const struct kv_command *command)
{
    return command->local == kv_local_exec && conn->multi.count > 0;
}

void
kv_conn_exec(struct kv_conn *conn)
{
    struct kv_face *face = conn->face;
    uint32_t count = conn->multi.count;
    uint32_t group = conn->multi.group;
    bool write = conn->multi.write;
    size_t bytes = conn->multi.batch.count;
    struct bytes_buf *buf = bytes_try_new(bytes);
    struct bytes reply = {0}, batch = {0};
    if (buf) {
        memcpy(buf->data, conn->multi.batch.data, bytes);
        batch = bytes_of(buf, bytes);
    }
    kv_conn_multi_reset(conn);
    int rc = buf ? -SKEIN_EBUSY : -SKEIN_ENOMEM;
    if (buf && face->reply_bytes <= KV_FACE_REPLY_BYTES_MAX)
        rc = kv_conn_submit(conn, group, write, batch, &reply);
    bytes_unref(&batch);
    face->stats.batches++;
    if (rc < 0) {
        face->stats.failed_batches++;
        kv_conn_error(conn_buffer_out(conn), rc, !write, face->options.command_timeout_ns);
        return;
    }
    kv_reply_array(conn_buffer_out(conn), count);
    conn_buffer_reply(conn, reply);
}
