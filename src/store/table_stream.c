/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table_stream.h"

#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "skein/error.h"

#define ENTRY_HEAD_BYTES 8
/* A chunk's length word: just begun. */
#define EMPTY_CHUNK_BYTES 4
/* Values from here on go to the sink by themselves instead of through the chunk's buffer. */
#define VALUE_DIRECT_BYTES (32u << 10)

struct saver {
    table_stream_write_fn write;
    void *context;
    struct wire_writer chunk; /* the chunk's length word first */
};

/* Write the chunk, and behind it @tail, which belongs to it. */
static int
flush(struct saver *saver, struct bytes tail)
{
    size_t body = saver->chunk.count - EMPTY_CHUNK_BYTES + tail.count;
    if (body == 0)
        return 0;
    skein_assert(body <= UINT32_MAX);
    wire_store(saver->chunk.data, body, 4);
    int rc = saver->write(saver->context, saver->chunk.data, saver->chunk.count);
    if (rc == 0 && tail.count)
        rc = saver->write(saver->context, tail.data, tail.count);
    saver->chunk.count = EMPTY_CHUNK_BYTES;
    return rc;
}

static int
save_entry(struct saver *saver, struct bytes key, struct bytes value)
{
    struct wire_writer *chunk = &saver->chunk;
    wire_put_u32(chunk, (uint32_t)key.count);
    wire_put_u32(chunk, (uint32_t)value.count);
    wire_put_raw(chunk, key.data, key.count);
    if (value.count >= VALUE_DIRECT_BYTES)
        return flush(saver, value);
    wire_put_raw(chunk, value.data, value.count);
    return chunk->count >= TABLE_STREAM_CHUNK_BYTES ? flush(saver, (struct bytes){0}) : 0;
}

int
table_stream_save(struct store_table *table, struct store_snapshot *snapshot,
                  table_stream_write_fn write, void *context)
{
    struct saver saver = {.write = write, .context = context};
    struct store_cursor *cursor = table->ops->cursor_open(table, snapshot, NULL, 0);
    struct bytes key, value;
    uint64_t key_count = 0;
    int rc = 0;
    wire_put_u32(&saver.chunk, 0);
    while (rc == 0) {
        rc = table->ops->cursor_next(cursor, &key, &value);
        if (rc == -SKEIN_ENOTFOUND)
            break;
        if (rc == 0)
            rc = save_entry(&saver, key, value);
        key_count++;
        if (rc == 0 && saver.chunk.count == EMPTY_CHUNK_BYTES && table->ops->disk &&
            table->ops->disk->is_cold(table))
            table->ops->disk->warm_from(table, key, 2 * TABLE_STREAM_CHUNK_BYTES);
    }
    if (rc == -SKEIN_ENOTFOUND)
        rc = key_count == table->ops->snapshot_key_count(snapshot) ? 0 : -SKEIN_ECORRUPT;
    if (rc == 0)
        rc = flush(&saver, (struct bytes){0});
    if (rc == 0) {
        uint8_t end[12] = {0};
        wire_store(end + 4, key_count, 8);
        rc = write(context, end, sizeof(end));
    }
    table->ops->cursor_close(cursor);
    wire_writer_deinit(&saver.chunk);
    return rc;
}

struct loader {
    struct store_table *table;
    const struct table_stream_limits *limits;
    table_stream_check_fn check;
    void *context;
    uint8_t *chunk;
    size_t chunk_capacity;
    uint8_t *last_key; /* of the chunk before: keys must ascend across chunks too */
    size_t last_key_bytes;
    uint64_t key_count;
};

static bool
is_ascending(struct bytes a, struct bytes b)
{
    size_t common = a.count < b.count ? a.count : b.count;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order < 0 || (order == 0 && a.count < b.count);
}

static int
load_entry(struct loader *loader, struct wire_reader *in, struct bytes *last)
{
    size_t key_bytes = wire_get_u32(in);
    size_t value_bytes = wire_get_u32(in);
    struct bytes key = bytes_borrow(wire_get_raw(in, key_bytes), key_bytes);
    struct bytes value = bytes_borrow(wire_get_raw(in, value_bytes), value_bytes);
    if (in->failed || key_bytes > loader->limits->key_bytes_max ||
        value_bytes > loader->limits->value_bytes_max)
        return -SKEIN_ECORRUPT;
    if (loader->key_count > 0 && !is_ascending(*last, key))
        return -SKEIN_ECORRUPT;
    int rc = loader->table->ops->put(loader->table, key.data, key.count, value);
    if (rc == 0 && loader->check)
        rc = loader->check(loader->context, key, value);
    *last = key;
    loader->key_count++;
    return rc;
}

static int
load_chunk(struct loader *loader, size_t chunk_bytes)
{
    struct wire_reader in = wire_reader_of(loader->chunk, chunk_bytes);
    struct bytes last = bytes_borrow(loader->last_key, loader->last_key_bytes);
    int rc = 0;
    while (rc == 0 && wire_left(&in) > 0)
        rc = load_entry(loader, &in, &last);
    if (rc)
        return rc;
    memcpy(loader->last_key, last.data, last.count);
    loader->last_key_bytes = last.count;
    return 0;
}

static int
make_room(struct loader *loader, size_t chunk_bytes)
{
    size_t limit = TABLE_STREAM_CHUNK_BYTES + ENTRY_HEAD_BYTES + loader->limits->key_bytes_max +
                   loader->limits->value_bytes_max;
    if (chunk_bytes > limit)
        return -SKEIN_ECORRUPT;
    if (chunk_bytes <= loader->chunk_capacity)
        return 0;
    mem_free(loader->chunk);
    loader->chunk_capacity = 0;
    loader->chunk = mem_try_alloc(chunk_bytes);
    if (!loader->chunk)
        return -SKEIN_ENOMEM;
    loader->chunk_capacity = chunk_bytes;
    return 0;
}

static int
load_all(struct loader *loader, table_stream_read_fn read)
{
    uint8_t word[8];
    for (;;) {
        int rc = read(loader->context, word, 4);
        if (rc)
            return rc;
        size_t chunk_bytes = (size_t)wire_load(word, 4);
        if (chunk_bytes == 0)
            break;
        rc = make_room(loader, chunk_bytes);
        if (rc == 0)
            rc = read(loader->context, loader->chunk, chunk_bytes);
        if (rc == 0)
            rc = load_chunk(loader, chunk_bytes);
        if (rc)
            return rc;
    }
    int rc = read(loader->context, word, 8);
    if (rc)
        return rc;
    return wire_load(word, 8) == loader->key_count ? 0 : -SKEIN_ECORRUPT;
}

int
table_stream_load(struct store_table *table, const struct table_stream_limits *limits,
                  table_stream_read_fn read, table_stream_check_fn check, void *context)
{
    skein_assert(limits->key_bytes_max <= STORE_KEY_BYTES_MAX);
    skein_assert(limits->value_bytes_max <= STORE_VALUE_BYTES_MAX);
    struct loader loader = {.table = table, .limits = limits, .check = check, .context = context};
    loader.last_key = mem_alloc(STORE_KEY_BYTES_MAX);
    int rc = load_all(&loader, read);
    mem_free(loader.last_key);
    mem_free(loader.chunk);
    return rc;
}
