/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "skein/bytes.h"
#include "skein/memory.h"

/* In one piece: the record, then the bytes. */
static void
drop_alloc(struct bytes_owned *owned)
{
    skein_free(owned);
}

int
skein_bytes_alloc(size_t count, struct skein_bytes *out_bytes, uint8_t **out_data)
{
    if (count > SIZE_MAX - sizeof(struct bytes_owned))
        return -ENOMEM;
    struct bytes_owned *owned = skein_alloc(sizeof(*owned) + count);
    if (!owned)
        return -ENOMEM;
    *owned =
        (struct bytes_owned){.buf = {.refs = 1, .capacity_bytes = BYTES_OWNED}, .drop = drop_alloc};
    *out_data = (uint8_t *)(owned + 1);
    *out_bytes = (struct skein_bytes){.buf = &owned->buf, .data = *out_data, .count = count};
    return 0;
}

int
skein_bytes_copy(const void *data, size_t count, struct skein_bytes *out_bytes)
{
    uint8_t *to;
    int rc = skein_bytes_alloc(count, out_bytes, &to);
    if (rc == 0 && count > 0)
        memcpy(to, data, count);
    return rc;
}

/* The bytes lie elsewhere. */
struct wrapper {
    struct bytes_owned owned; /* first */
    void (*drop)(void *context);
};

static void
drop_wrapper(struct bytes_owned *owned)
{
    struct wrapper *wrapper = BASE_CONTAINER_OF(owned, struct wrapper, owned);
    wrapper->drop(owned->context);
    skein_free(wrapper);
}

int
skein_bytes_wrap(const void *data, size_t count, void (*drop)(void *context), void *context,
                 struct skein_bytes *out_bytes)
{
    skein_assert(drop != NULL);
    struct wrapper *wrapper = skein_alloc(sizeof(*wrapper));
    if (!wrapper)
        return -ENOMEM;
    *wrapper = (struct wrapper){.owned = {.buf = {.refs = 1, .capacity_bytes = BYTES_OWNED},
                                          .drop = drop_wrapper,
                                          .context = context},
                                .drop = drop};
    *out_bytes = (struct skein_bytes){.buf = &wrapper->owned.buf, .data = data, .count = count};
    return 0;
}

struct skein_bytes
skein_bytes_static(const void *data, size_t count)
{
    return (struct skein_bytes){.data = data, .count = count};
}

struct skein_bytes
skein_bytes_ref(struct skein_bytes bytes)
{
    return bytes_to_public(bytes_ref(bytes_of_public(bytes)));
}

void
skein_bytes_unref(struct skein_bytes *bytes)
{
    struct bytes view = bytes_of_public(*bytes);
    *bytes = (struct skein_bytes){0};
    bytes_unref(&view);
}

struct skein_bytes
skein_bytes_slice(struct skein_bytes bytes, size_t offset, size_t count)
{
    return bytes_to_public(bytes_slice(bytes_of_public(bytes), offset, count));
}

struct skein_bytes
skein_bytes_split(struct skein_bytes *bytes, size_t count)
{
    if (count >= bytes->count) {
        struct skein_bytes whole = *bytes;
        *bytes = (struct skein_bytes){0};
        return whole;
    }
    struct skein_bytes front = skein_bytes_slice(*bytes, 0, count);
    bytes->data += count;
    bytes->count -= count;
    return front;
}

bool
skein_bytes_join(struct skein_bytes *bytes, struct skein_bytes *next)
{
    if (bytes->buf != next->buf || bytes->data + bytes->count != next->data)
        return false;
    bytes->count += next->count;
    skein_bytes_unref(next);
    return true;
}

bool
skein_bytes_equal(struct skein_bytes a, struct skein_bytes b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.data, b.data, a.count) == 0);
}
