/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/batch.h"

#include "skein/error.h"

/* Where the count stands; the commands follow. */
#define COUNT_OFFSET 13
#define HEADER_BYTES 17

bool
kv_limits_ok(const struct kv_limits *limits)
{
    return limits->key_bytes_max <= KV_KEY_BYTES_MAX &&
           limits->value_bytes_max <= KV_VALUE_BYTES_MAX &&
           limits->reply_bytes_max <= KV_REPLY_BYTES_MAX;
}

void
kv_batch_begin(struct wire_writer *out, const struct kv_limits *limits)
{
    skein_assert(kv_limits_ok(limits));
    out->count = 0;
    wire_put_u8(out, KV_BATCH_VERSION);
    wire_put_u32(out, (uint32_t)limits->key_bytes_max);
    wire_put_u32(out, (uint32_t)limits->value_bytes_max);
    wire_put_u32(out, (uint32_t)limits->reply_bytes_max);
    wire_put_u32(out, 0);
}

void
kv_batch_add(struct wire_writer *out, const struct kv_arg *argv, uint32_t argc)
{
    skein_assert(out->count >= HEADER_BYTES);
    skein_assert(argc > 0 && argc <= KV_ARGC_MAX);
    wire_put_u32(out, argc);
    for (uint32_t i = 0; i < argc; i++) {
        skein_assert(argv[i].count <= UINT32_MAX);
        wire_put_u32(out, (uint32_t)argv[i].count);
        wire_put_raw(out, argv[i].data, argv[i].count);
    }
    wire_store(out->data + COUNT_OFFSET, wire_load(out->data + COUNT_OFFSET, 4) + 1, 4);
}

uint32_t
kv_batch_count(const struct wire_writer *out)
{
    return out->count < HEADER_BYTES ? 0 : (uint32_t)wire_load(out->data + COUNT_OFFSET, 4);
}

int
kv_batch_open(struct kv_batch_reader *reader, struct bytes batch)
{
    struct wire_reader in = wire_reader_of(batch.data, batch.count);
    uint8_t version = wire_get_u8(&in);
    struct kv_limits limits;
    limits.key_bytes_max = wire_get_u32(&in);
    limits.value_bytes_max = wire_get_u32(&in);
    limits.reply_bytes_max = wire_get_u32(&in);
    uint32_t count = wire_get_u32(&in);
    /* A command has at least eight bytes: argc and one empty argument. */
    if (in.failed || version != KV_BATCH_VERSION || !kv_limits_ok(&limits) ||
        count > wire_left(&in) / 8)
        return -SKEIN_EPROTO;
    *reader = (struct kv_batch_reader){.in = in, .limits = limits, .left = count};
    return 0;
}

int
kv_batch_next(struct kv_batch_reader *reader, struct kv_arg **argv, size_t *argv_capacity,
              uint32_t *out_argc)
{
    if (!reader->left)
        return wire_done(&reader->in) ? -SKEIN_ENOTFOUND : -SKEIN_EPROTO;
    uint32_t argc = wire_get_u32(&reader->in);
    if (reader->in.failed || !argc || argc > KV_ARGC_MAX || argc > wire_left(&reader->in) / 4)
        return -SKEIN_EPROTO;
    if (argc > *argv_capacity) {
        *argv = mem_realloc(*argv, argc * sizeof(**argv));
        *argv_capacity = argc;
    }
    for (uint32_t i = 0; i < argc; i++) {
        uint32_t bytes = wire_get_u32(&reader->in);
        const uint8_t *data = wire_get_raw(&reader->in, bytes);
        (*argv)[i] = (struct kv_arg){.data = data, .count = bytes};
    }
    if (reader->in.failed)
        return -SKEIN_EPROTO;
    reader->left--;
    *out_argc = argc;
    return 0;
}
