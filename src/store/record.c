/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store/node.h"
#include "store/table.h"

/* A referenced buffer may be this much larger than the part that is wanted. */
static bool
is_worth_referencing(struct bytes value)
{
    return value.buf && value.count > RECORD_INLINE_MAX &&
           value.buf->capacity_bytes <= 2 * value.count + 64;
}

struct record *
record_new(const void *key, size_t key_bytes, struct bytes value)
{
    skein_assert(key_bytes <= STORE_KEY_BYTES_MAX);
    skein_assert(value.count <= STORE_VALUE_BYTES_MAX);
    bool external = is_worth_referencing(value);
    size_t value_room = external ? sizeof(struct bytes) : value.count;
    struct bytes_buf *buf = bytes_try_new(sizeof(struct record) + key_bytes + value_room);
    if (!buf)
        return NULL;
    struct record *record = (struct record *)(void *)buf->data;
    *record = (struct record){.node_refs = 1,
                              .key_bytes = (uint32_t)key_bytes,
                              .value_bytes = external ? RECORD_EXTERNAL : (uint32_t)value.count};
    uint8_t *at = record->data;
    if (external) {
        struct bytes held = bytes_ref(value);
        memcpy(at, &held, sizeof(held));
        at += sizeof(held);
    }
    if (key_bytes)
        memcpy(at, key, key_bytes);
    if (!external && value.count)
        memcpy(at + key_bytes, value.data, value.count);
    return record;
}

bool
record_overwrite(struct record *record, struct bytes value)
{
    struct bytes_buf *buf = record_buf(record);
    if (record->value_bytes == RECORD_EXTERNAL || record->node_refs > 1 || buf->refs > 1)
        return false;
    if (is_worth_referencing(value))
        return false;
    size_t room = buf->capacity_bytes - sizeof(*record) - record->key_bytes;
    if (value.count > room || value.count < room / 2)
        return false;
    if (value.count)
        memmove(record->data + record->key_bytes, value.data, value.count);
    record->value_bytes = (uint32_t)value.count;
    return true;
}

struct bytes
record_value(const struct record *record)
{
    const struct bytes *external = record_external(record);
    if (external)
        return *external;
    return (struct bytes){.buf = record_buf(record),
                          .data = record->data + record->key_bytes,
                          .count = record->value_bytes};
}

size_t
record_memory_bytes(const struct record *record)
{
    const struct bytes *external = record_external(record);
    size_t own = sizeof(struct bytes_buf) + record_buf(record)->capacity_bytes;
    return own + (external ? sizeof(struct bytes_buf) + external->buf->capacity_bytes : 0);
}

void
record_free(struct record *record)
{
    skein_assert(record->node_refs == 0);
    struct bytes *external = record_external(record);
    if (external)
        bytes_unref(external);
    struct bytes own = {.buf = record_buf(record)};
    bytes_unref(&own);
}
