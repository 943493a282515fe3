/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kv/local.h"
#include "skein/shard.h"

#define SHOWN_BYTES_MAX 128

bool
kv_local_is(const struct kv_arg *arg, const char *word)
{
    return arg->count == strlen(word) &&
           strncasecmp((const char *)arg->data, word, arg->count) == 0;
}

bool
kv_local_name_ok(const struct kv_arg *arg)
{
    for (size_t i = 0; i < arg->count; i++)
        if (arg->data[i] < '!' || arg->data[i] > '~')
            return false;
    return arg->count <= KV_CONN_NAME_BYTES_MAX;
}

void
kv_local_set_name(char out[KV_CONN_NAME_BYTES_MAX + 1], const struct kv_arg *arg)
{
    skein_assert(arg->count <= KV_CONN_NAME_BYTES_MAX);
    memcpy(out, arg->data, arg->count);
    out[arg->count] = 0;
}

static int
shown_bytes(const struct kv_arg *arg)
{
    return arg->count < SHOWN_BYTES_MAX ? (int)arg->count : SHOWN_BYTES_MAX;
}

void
kv_local_unknown_subcommand(struct kv_local *local, const struct kv_arg *arg, const char *command)
{
    kv_reply_errorf(local->out, "ERR unknown subcommand '%.*s'. Try %s HELP.", shown_bytes(arg),
                    (const char *)arg->data, command);
}

void
kv_local_wrong_arity(struct kv_local *local, const char *command, const char *subcommand)
{
    kv_reply_errorf(local->out, "ERR wrong number of arguments for '%s|%s' command", command,
                    subcommand);
}

void
kv_local_help(struct kv_local *local, const char *const *lines, size_t count)
{
    kv_reply_array(local->out, count);
    for (size_t i = 0; i < count; i++)
        kv_reply_simple(local->out, lines[i]);
}

void
kv_local_printf(struct wire_writer *text, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    skein_assert(bytes >= 0);
    wire_put_raw(text, line, (size_t)bytes < sizeof(line) ? (size_t)bytes : sizeof(line) - 1);
}

void
kv_local_ping(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (argc > 2)
        kv_reply_wrong_arity(local->out, kv_command_find(argv[0]));
    else if (argc == 2)
        kv_reply_bulk(local->out, argv[1].data, argv[1].count);
    else
        kv_reply_simple(local->out, "PONG");
}

void
kv_local_echo(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    kv_reply_bulk(local->out, argv[1].data, argv[1].count);
}

void
kv_local_time(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    char text[24];
    uint64_t now_us = skein_wall_ns() / 1000;
    kv_reply_array(local->out, 2);
    int bytes = snprintf(text, sizeof(text), "%" PRIu64, now_us / 1000000);
    kv_reply_bulk(local->out, text, (size_t)bytes);
    bytes = snprintf(text, sizeof(text), "%" PRIu64, now_us % 1000000);
    kv_reply_bulk(local->out, text, (size_t)bytes);
}

/* As a connection is when it has been opened; what the client said of its library stays. */
void
kv_local_reset(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    struct kv_conn *conn = local->conn;
    kv_conn_multi_reset(conn);
    conn->name[0] = 0;
    conn->level = REPLICA_LINEARIZABLE;
    conn->stale_ns = 0;
    kv_reply_simple(local->out, "RESET");
}

void
kv_local_quit(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    local->conn->closing = true;
    kv_reply_simple(local->out, "OK");
}

void
kv_local_select(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    int64_t index;
    if (!kv_resp_integer(argv[1].data, argv[1].count, &index) || index < INT32_MIN ||
        index > INT32_MAX)
        kv_reply_error(local->out, "ERR value is not an integer or out of range");
    else if (index != 0)
        kv_reply_error(local->out, "ERR DB index is out of range");
    else
        kv_reply_simple(local->out, "OK");
}

/* The one user there is, who needs no password: as a Redis without users and passwords. */
static bool
is_user(const struct kv_arg *name)
{
    return name->count == 7 && memcmp(name->data, "default", 7) == 0;
}

static void
wrong_user(struct kv_local *local)
{
    kv_reply_error(local->out, "WRONGPASS invalid username-password pair or user is disabled.");
}

void
kv_local_auth(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (argc > 3)
        kv_reply_error(local->out, "ERR syntax error");
    else if (argc == 3 && is_user(&argv[1]))
        kv_reply_simple(local->out, "OK");
    else if (argc == 3)
        wrong_user(local);
    else
        kv_reply_error(local->out,
                       "ERR AUTH <password> called without any password configured for the "
                       "default user. Are you sure your configuration is correct?");
}

static void
put_text(struct wire_writer *out, const char *text)
{
    kv_reply_bulk(out, text, strlen(text));
}

static void
hello_reply(struct kv_local *local)
{
    struct wire_writer *out = local->out;
    kv_reply_array(out, 14);
    put_text(out, "server");
    put_text(out, "redis");
    put_text(out, "version");
    put_text(out, KV_REDIS_VERSION);
    put_text(out, "proto");
    kv_reply_integer(out, 2);
    put_text(out, "id");
    kv_reply_integer(out, (int64_t)local->conn->id);
    put_text(out, "mode");
    put_text(out, "standalone");
    put_text(out, "role");
    put_text(out, "master");
    put_text(out, "modules");
    kv_reply_array(out, 0);
}

/* The version first, then all options, and only then what they change, as Redis does. */
void
kv_local_hello(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    const struct kv_arg *name = NULL;
    int64_t version = 2;
    if (argc > 1 && !kv_resp_integer(argv[1].data, argv[1].count, &version)) {
        kv_reply_error(local->out, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version != 2) {
        kv_reply_error(local->out, "NOPROTO unsupported protocol version");
        return;
    }
    for (uint32_t i = 2; i < argc; i++) {
        if (kv_local_is(&argv[i], "auth") && i + 2 < argc) {
            if (!is_user(&argv[i + 1])) {
                wrong_user(local);
                return;
            }
            i += 2;
            continue;
        }
        if (!kv_local_is(&argv[i], "setname") || i + 1 >= argc) {
            kv_reply_errorf(local->out, "ERR Syntax error in HELLO option '%.*s'",
                            shown_bytes(&argv[i]), (const char *)argv[i].data);
            return;
        }
        name = &argv[++i];
        if (!kv_local_name_ok(name)) {
            kv_reply_error(local->out, "ERR Client names cannot contain spaces, newlines or "
                                       "special characters.");
            return;
        }
    }
    if (name)
        kv_local_set_name(local->conn->name, name);
    hello_reply(local);
}
