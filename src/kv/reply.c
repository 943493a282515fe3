/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/decimal.h"
#include "kv/command.h"

/* What of an unknown command is shown, as in Redis. */
#define SHOWN_BYTES_MAX 128

static void
put_number(struct wire_writer *out, char kind, int64_t value)
{
    char text[DECIMAL_BYTES_MAX + 4] = {kind, '-'};
    size_t bytes = value < 0 ? 2 : 1;
    bytes += decimal_put(text + bytes, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    text[bytes++] = '\r';
    text[bytes++] = '\n';
    wire_put_raw(out, text, bytes);
}

static void
put_line(struct wire_writer *out, char kind, const char *text, size_t count)
{
    uint8_t *p = wire_put_space(out, count + 3);
    *p++ = (uint8_t)kind;
    for (size_t i = 0; i < count; i++)
        *p++ = text[i] == '\r' || text[i] == '\n' ? ' ' : (uint8_t)text[i];
    *p++ = '\r';
    *p = '\n';
}

void
kv_reply_simple(struct wire_writer *out, const char *text)
{
    put_line(out, '+', text, strlen(text));
}

void
kv_reply_error(struct wire_writer *out, const char *text)
{
    put_line(out, '-', text, strlen(text));
}

void
kv_reply_errorf(struct wire_writer *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    skein_assert(bytes >= 0);
    put_line(out, '-', text, strlen(text));
}

void
kv_reply_integer(struct wire_writer *out, int64_t value)
{
    put_number(out, ':', value);
}

void
kv_reply_bulk(struct wire_writer *out, const void *data, size_t count)
{
    put_number(out, '$', (int64_t)count);
    wire_put_raw(out, data, count);
    wire_put_raw(out, "\r\n", 2);
}

void
kv_reply_null(struct wire_writer *out)
{
    wire_put_raw(out, "$-1\r\n", 5);
}

void
kv_reply_array(struct wire_writer *out, uint64_t count)
{
    put_number(out, '*', (int64_t)count);
}

static int
shown_bytes(size_t count, size_t left)
{
    return (int)(count < left ? count : left);
}

void
kv_reply_unknown_command(struct wire_writer *out, const struct kv_arg *argv, uint32_t argc)
{
    char args[SHOWN_BYTES_MAX * 2] = "";
    size_t used = 0;
    for (uint32_t i = 1; i < argc && used < SHOWN_BYTES_MAX; i++) {
        int bytes = snprintf(args + used, sizeof(args) - used, "'%.*s' ",
                             shown_bytes(argv[i].count, SHOWN_BYTES_MAX - used),
                             (const char *)argv[i].data);
        used += (size_t)bytes;
    }
    kv_reply_errorf(out, "ERR unknown command '%.*s', with args beginning with: %s",
                    shown_bytes(argv[0].count, SHOWN_BYTES_MAX), (const char *)argv[0].data, args);
}

void
kv_reply_wrong_arity(struct wire_writer *out, const struct kv_command *command)
{
    kv_reply_errorf(out, "ERR wrong number of arguments for '%s' command", command->name);
}

void
kv_reply_too_large(struct wire_writer *out, const struct kv_limits *limits)
{
    kv_reply_errorf(out, "ERR reply is larger than %" PRIu64 " bytes (--reply-bytes-max)",
                    limits->reply_bytes_max);
}
