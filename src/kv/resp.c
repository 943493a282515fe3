/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/resp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "skein/error.h"

#define ARGV_KEPT 1024
#define SCRATCH_BYTES_KEPT 4096

void
kv_resp_init(struct kv_resp *parser, size_t command_bytes_max)
{
    *parser = (struct kv_resp){.command_bytes_max = command_bytes_max, .bulk_bytes = -1};
}

void
kv_resp_deinit(struct kv_resp *parser)
{
    mem_free(parser->argv);
    parser->argv = NULL;
    parser->argc = 0;
    parser->argv_capacity = 0;
    wire_writer_deinit(&parser->scratch);
}

void
kv_resp_shrink(struct kv_resp *parser)
{
    if (parser->argc_wanted)
        return;
    if (parser->argv_capacity > ARGV_KEPT) {
        mem_free(parser->argv);
        parser->argv = NULL;
        parser->argc = 0;
        parser->argv_capacity = 0;
    }
    if (parser->scratch.capacity > SCRATCH_BYTES_KEPT)
        wire_writer_deinit(&parser->scratch);
}

bool
kv_resp_integer(const void *text, size_t count, int64_t *out_value)
{
    const uint8_t *p = text;
    bool negative = count > 0 && p[0] == '-';
    size_t i = negative;
    if (count - i == 0 || count - i > 19)
        return false;
    if (p[i] == '0' && (count - i > 1 || negative))
        return false;
    uint64_t value = 0;
    for (; i < count; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(p[i] - '0');
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *out_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static int
broken(struct kv_resp *parser, const char *text)
{
    parser->broken = true;
    if (text != parser->error)
        snprintf(parser->error, sizeof(parser->error), "ERR Protocol error: %s", text);
    return -SKEIN_EPROTO;
}

/* A line from `position`: 1 and its bytes without the newline, 0: not all there, or an error. */
static int
take_line(struct kv_resp *parser, const uint8_t *data, size_t count, const char *too_big,
          size_t *out_bytes)
{
    size_t from = parser->scanned > parser->position ? parser->scanned : parser->position;
    size_t end = parser->position + KV_RESP_LINE_BYTES_MAX;
    if (end > count)
        end = count;
    const uint8_t *newline = from < end ? memchr(data + from, '\n', end - from) : NULL;
    parser->scanned = newline ? (size_t)(newline - data) + 1 : end;
    if (!newline)
        return end - parser->position < KV_RESP_LINE_BYTES_MAX ? 0 : broken(parser, too_big);
    *out_bytes = (size_t)(newline - data) - parser->position;
    return 1;
}

/* The number of a header line "*3\r": false when it is not one. */
static bool
header_number(const uint8_t *line, size_t bytes, int64_t *out_value)
{
    return bytes >= 3 && line[bytes - 1] == '\r' && kv_resp_integer(line + 1, bytes - 2, out_value);
}

/* *3\r\n: 1 when argc_wanted is known (0: an empty array, consumed). */
static int
begin_multibulk(struct kv_resp *parser, const uint8_t *data, size_t count)
{
    size_t bytes;
    int rc = take_line(parser, data, count, "too big mbulk count string", &bytes);
    if (rc <= 0)
        return rc;
    int64_t argc;
    if (!header_number(data + parser->position, bytes, &argc) || argc > KV_ARGC_MAX)
        return broken(parser, "invalid multibulk length");
    parser->position += bytes + 1;
    parser->argc = 0;
    parser->argc_wanted = argc > 0 ? (uint32_t)argc : 0;
    parser->bulk_bytes = -1;
    return 1;
}

static int
begin_bulk(struct kv_resp *parser, const uint8_t *data, size_t count)
{
    if (parser->position == count)
        return 0;
    uint8_t first = data[parser->position];
    if (first != '$') {
        char text[40];
        snprintf(text, sizeof(text), "expected '$', got '%c'", first < ' ' ? ' ' : first);
        return broken(parser, text);
    }
    size_t bytes;
    int rc = take_line(parser, data, count, "too big bulk count string", &bytes);
    if (rc <= 0)
        return rc;
    int64_t bulk;
    if (!header_number(data + parser->position, bytes, &bulk) || bulk < 0 ||
        (uint64_t)bulk > parser->command_bytes_max)
        return broken(parser, "invalid bulk length");
    parser->position += bytes + 1;
    parser->bulk_bytes = bulk;
    return 1;
}

static int
end_bulk(struct kv_resp *parser, const uint8_t *data, size_t count)
{
    size_t bytes = (size_t)parser->bulk_bytes;
    size_t left = count - parser->position;
    if (left > bytes && data[parser->position + bytes] != '\r')
        return broken(parser, "expected CRLF after bulk string");
    if (left < bytes + 2)
        return 0;
    if (data[parser->position + bytes + 1] != '\n')
        return broken(parser, "expected CRLF after bulk string");
    mem_grow(&parser->argv, &parser->argv_capacity, parser->argc, sizeof(parser->argv[0]));
    /* An offset until the command is complete: the buffer may move. */
    parser->argv[parser->argc++] =
        (struct kv_arg){.data = (const uint8_t *)(uintptr_t)parser->position, .count = bytes};
    parser->position += bytes + 2;
    parser->bulk_bytes = -1;
    return 1;
}

static int
next_multibulk(struct kv_resp *parser, const uint8_t *data, size_t count)
{
    int rc = 1;
    if (!parser->argc_wanted)
        rc = begin_multibulk(parser, data, count);
    while (rc > 0 && parser->argc < parser->argc_wanted) {
        if (parser->bulk_bytes < 0)
            rc = begin_bulk(parser, data, count);
        if (rc > 0 && parser->position + (size_t)parser->bulk_bytes > parser->command_bytes_max) {
            snprintf(parser->error, sizeof(parser->error),
                     "ERR Protocol error: command is larger than %zu bytes",
                     parser->command_bytes_max);
            return broken(parser, parser->error);
        }
        if (rc > 0)
            rc = end_bulk(parser, data, count);
    }
    if (rc <= 0)
        return rc;
    for (uint32_t i = 0; i < parser->argc; i++)
        parser->argv[i].data = data + (uintptr_t)parser->argv[i].data;
    return 1;
}

static int
next_inline(struct kv_resp *parser, const uint8_t *data, size_t count)
{
    size_t bytes;
    int rc = take_line(parser, data, count, "too big inline request", &bytes);
    if (rc <= 0)
        return rc;
    size_t text_bytes = bytes > 0 && data[parser->position + bytes - 1] == '\r' ? bytes - 1 : bytes;
    rc = kv_resp_split_line(parser, data + parser->position, text_bytes);
    if (rc == -SKEIN_EPROTO)
        return broken(parser, "unbalanced quotes in request");
    if (rc < 0)
        return rc;
    parser->position += bytes + 1;
    return 1;
}

int
kv_resp_next(struct kv_resp *parser, const uint8_t *data, size_t count, size_t *out_consumed)
{
    size_t consumed = 0;
    *out_consumed = 0;
    if (parser->broken)
        return -SKEIN_EPROTO;
    for (;;) {
        int rc = 0;
        if (parser->argc_wanted || (count > consumed && data[consumed] == '*'))
            rc = next_multibulk(parser, data + consumed, count - consumed);
        else if (count > consumed)
            rc = next_inline(parser, data + consumed, count - consumed);
        if (rc <= 0) {
            *out_consumed = consumed;
            return rc;
        }
        consumed += parser->position;
        parser->position = 0;
        parser->scanned = 0;
        parser->argc_wanted = 0;
        if (parser->argc) {
            *out_consumed = consumed;
            return 1;
        }
    }
}
