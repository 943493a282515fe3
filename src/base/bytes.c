/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <string.h>

#include "base/mem.h"

static struct bytes_buf *
fill_in(struct bytes_buf *buf, size_t capacity_bytes)
{
    *buf = (struct bytes_buf){.refs = 1, .capacity_bytes = capacity_bytes};
    return buf;
}

struct bytes_buf *
bytes_try_new(size_t capacity_bytes)
{
    struct bytes_buf *buf = mem_try_alloc(sizeof(*buf) + capacity_bytes);
    return buf ? fill_in(buf, capacity_bytes) : NULL;
}

struct bytes_buf *
bytes_new(size_t capacity_bytes)
{
    return fill_in(mem_alloc(sizeof(struct bytes_buf) + capacity_bytes), capacity_bytes);
}

struct bytes
bytes_of(struct bytes_buf *buf, size_t count)
{
    skein_assert(count <= buf->capacity_bytes);
    return (struct bytes){.buf = buf, .data = buf->data, .count = count};
}

struct bytes
bytes_copy(const void *data, size_t count)
{
    struct bytes_buf *buf = bytes_new(count);
    if (count)
        memcpy(buf->data, data, count);
    return bytes_of(buf, count);
}

struct bytes
bytes_borrow(const void *data, size_t count)
{
    return (struct bytes){.data = data, .count = count};
}

struct bytes
bytes_ref(struct bytes view)
{
    if (view.buf)
        view.buf->refs++;
    return view;
}

struct bytes
bytes_slice(struct bytes view, size_t offset, size_t count)
{
    skein_assert(offset <= view.count);
    skein_assert(count <= view.count - offset);
    bytes_ref(view);
    return (struct bytes){.buf = view.buf, .data = view.data + offset, .count = count};
}

void
bytes_unref(struct bytes *view)
{
    struct bytes_buf *buf = view->buf;
    *view = (struct bytes){0};
    if (!buf)
        return;
    skein_assert(buf->refs > 0);
    if (--buf->refs > 0)
        return;
    if (buf->capacity_bytes != BYTES_OWNED) {
        mem_free(buf);
        return;
    }
    struct bytes_owned *owned = BASE_CONTAINER_OF(buf, struct bytes_owned, buf);
    owned->drop(owned);
}
