/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/resp_reply.h"

#include <string.h>

#include "skein/error.h"
#include "kv/resp.h"

/* One line "+text\r\n", ":1\r\n", "$3\r\n" or "*2\r\n" at *@position, which is moved behind it. */
static int
take_line(const uint8_t *data, size_t count, size_t *position, size_t *scanned, struct kv_arg *line)
{
    size_t from = *scanned > *position ? *scanned : *position;
    const uint8_t *newline = from < count ? memchr(data + from, '\n', count - from) : NULL;
    *scanned = count;
    if (!newline)
        return 0;
    size_t bytes = (size_t)(newline - data) - *position;
    if (bytes < 2 || newline[-1] != '\r')
        return -SKEIN_EPROTO;
    *line = (struct kv_arg){.data = data + *position, .count = bytes - 1};
    *position += bytes + 1;
    *scanned = *position;
    return 1;
}

static int
line_number(const struct kv_arg *line, int64_t *out_value)
{
    return kv_resp_integer(line->data + 1, line->count - 1, out_value) ? 0 : -SKEIN_EPROTO;
}

/* One element; an array's header opens a level. */
static int
scan_element(struct kv_reply_scan *scan, const uint8_t *data, size_t count, size_t bytes_max)
{
    struct kv_arg line;
    size_t position = scan->position;
    int rc = take_line(data, count, &position, &scan->scanned, &line);
    if (rc <= 0)
        return rc;
    int64_t value = 0;
    switch (line.data[0]) {
    case '+':
    case '-':
        break;
    case ':':
        if (line_number(&line, &value) < 0)
            return -SKEIN_EPROTO;
        break;
    case '$':
        if (line_number(&line, &value) < 0 || value < -1)
            return -SKEIN_EPROTO;
        if (value < 0)
            break;
        if ((uint64_t)value > bytes_max)
            return -SKEIN_ETOOBIG;
        if (count - position < (size_t)value + 2) {
            scan->scanned = 0;
            return 0;
        }
        position += (size_t)value + 2;
        if (data[position - 2] != '\r' || data[position - 1] != '\n')
            return -SKEIN_EPROTO;
        break;
    case '*':
        if (line_number(&line, &value) < 0 || value < -1)
            return -SKEIN_EPROTO;
        if (value > 0 && scan->depth == KV_REPLY_DEPTH_MAX)
            return -SKEIN_EPROTO;
        if (value > 0)
            scan->left[scan->depth++] = (uint64_t)value + 1;
        break;
    default:
        return -SKEIN_EPROTO;
    }
    scan->position = position;
    return 1;
}

int
kv_reply_scan(struct kv_reply_scan *scan, const uint8_t *data, size_t count, size_t reply_bytes_max)
{
    for (;;) {
        int rc = scan_element(scan, data, count, reply_bytes_max);
        if (rc == 0 && count > reply_bytes_max)
            return -SKEIN_ETOOBIG;
        if (rc <= 0)
            return rc;
        if (scan->position > reply_bytes_max)
            return -SKEIN_ETOOBIG;
        /* What was just read completes an element of the innermost array; a full one completes one
         * of the array around it. A header counted itself as one element more. */
        while (scan->depth && --scan->left[scan->depth - 1] == 0)
            scan->depth--;
        if (!scan->depth)
            return 1;
    }
}

static int
build_text(struct kv_reply *reply, const uint8_t *data, size_t count)
{
    struct bytes_buf *buf = bytes_try_new(count);
    if (!buf)
        return -SKEIN_ENOMEM;
    if (count)
        memcpy(buf->data, data, count);
    reply->text = bytes_of(buf, count);
    return 0;
}

/* One level of the builder: an array being filled. */
struct level {
    struct kv_reply *elements;
    size_t left;
};

static int
build_element(struct kv_reply *reply, const uint8_t *data, size_t count, size_t *position)
{
    struct kv_arg line;
    size_t scanned = *position;
    int rc = take_line(data, count, position, &scanned, &line);
    skein_assert(rc == 1);
    int64_t value = 0;
    switch (line.data[0]) {
    case '+':
    case '-':
        reply->type = line.data[0] == '+' ? KV_REPLY_SIMPLE : KV_REPLY_ERROR;
        return build_text(reply, line.data + 1, line.count - 1);
    case ':':
        reply->type = KV_REPLY_INTEGER;
        return line_number(&line, &reply->integer);
    case '$':
        rc = line_number(&line, &value);
        skein_assert(rc == 0);
        reply->type = value < 0 ? KV_REPLY_NULL : KV_REPLY_BULK;
        if (value < 0)
            return 0;
        *position += (size_t)value + 2;
        return build_text(reply, data + *position - value - 2, (size_t)value);
    default:
        rc = line_number(&line, &value);
        skein_assert(rc == 0);
        reply->type = value < 0 ? KV_REPLY_NULL : KV_REPLY_ARRAY;
        if (value <= 0)
            return 0;
        reply->elements = mem_try_alloc((size_t)value * sizeof(struct kv_reply));
        if (!reply->elements)
            return -SKEIN_ENOMEM;
        memset(reply->elements, 0, (size_t)value * sizeof(struct kv_reply));
        reply->element_count = (size_t)value;
        return 0;
    }
}

int
kv_reply_build(const uint8_t *data, size_t count, struct kv_reply *out_reply)
{
    struct kv_reply root = {0};
    struct level levels[KV_REPLY_DEPTH_MAX + 1] = {{.elements = &root, .left = 1}};
    uint32_t depth = 1;
    size_t position = 0;
    while (depth) {
        struct level *level = &levels[depth - 1];
        if (!level->left) {
            depth--;
            continue;
        }
        struct kv_reply *reply = level->elements++;
        level->left--;
        int rc = build_element(reply, data, count, &position);
        if (rc < 0) {
            kv_reply_deinit(&root);
            return rc;
        }
        if (reply->element_count) {
            skein_assert(depth <= KV_REPLY_DEPTH_MAX);
            levels[depth++] =
                (struct level){.elements = reply->elements, .left = reply->element_count};
        }
    }
    skein_assert(position == count);
    *out_reply = root;
    return 0;
}

/* Depth is bounded by KV_REPLY_DEPTH_MAX, so is this recursion. */
void
kv_reply_deinit(struct kv_reply *reply)
{
    for (size_t i = 0; i < reply->element_count; i++)
        kv_reply_deinit(&reply->elements[i]);
    mem_free(reply->elements);
    bytes_unref(&reply->text);
    *reply = (struct kv_reply){0};
}
