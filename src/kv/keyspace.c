/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/keyspace.h"

#include <string.h>

#include "base/mem.h"
#include "base/wire.h"
#include "skein/error.h"

#define KEY_HEAD_BYTES KEYSPACE_KEY_HEAD_BYTES
#define INDEX_HEAD_BYTES 9
#define EXPIRY_BYTES 8
#define USER_KEY_BYTES_MAX (STORE_KEY_BYTES_MAX - INDEX_HEAD_BYTES)
/* Values up to this are put together on the stack; the table copies them. */
#define SMALL_VALUE_BYTES 504

void
kv_keyspace_init(struct keyspace *keys, struct store_table *table)
{
    *keys = (struct keyspace){.table = table, .scratch = mem_alloc(STORE_KEY_BYTES_MAX)};
}

void
kv_keyspace_deinit(struct keyspace *keys)
{
    if (keys->table)
        keys->table->ops->close(keys->table);
    mem_free(keys->scratch);
    *keys = (struct keyspace){0};
}

static uint64_t
mix(uint64_t a)
{
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93u;
    a ^= a >> 29;
    a *= 0x9fb21c651e98df25u;
    return a ^ a >> 32;
}

/* Fixed for ever: it orders the table, and checkpoints are in its order. */
uint64_t
kv_keyspace_hash(struct kv_arg key)
{
    uint64_t state = 0x9e3779b97f4a7c15u ^ key.count;
    size_t at = 0;
    for (; key.count - at >= 8; at += 8)
        state = mix(state ^ wire_load(key.data + at, 8)) + 0x9e3779b97f4a7c15u;
    if (at < key.count)
        state = mix(state ^ wire_load(key.data + at, key.count - at)) + 0x9e3779b97f4a7c15u;
    uint64_t hash = mix(state) >> 16;
    return hash ? hash : 1;
}

static void
store_big_endian(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static uint64_t
load_big_endian(const uint8_t *from, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

size_t
kv_keyspace_table_key_begin(struct kv_arg key, uint8_t *to, size_t room_bytes)
{
    size_t count = room_bytes - KEY_HEAD_BYTES;
    if (count > key.count)
        count = key.count;
    to[0] = 'k';
    store_big_endian(to + 1, kv_keyspace_hash(key), KEYSPACE_HASH_BYTES);
    if (count)
        memcpy(to + KEY_HEAD_BYTES, key.data, count);
    return KEY_HEAD_BYTES + count;
}

size_t
kv_keyspace_table_key(struct kv_arg key, uint8_t *to)
{
    return kv_keyspace_table_key_begin(key, to, SIZE_MAX);
}

/* The table key of a user's key, in scratch; 0: longer than any key can be. */
static size_t
make_key(struct keyspace *keys, struct kv_arg key)
{
    return key.count > USER_KEY_BYTES_MAX ? 0 : kv_keyspace_table_key(key, keys->scratch);
}

static size_t
make_index_key(struct keyspace *keys, uint64_t expiry_ms, struct kv_arg key)
{
    keys->scratch[0] = 'x';
    store_big_endian(keys->scratch + 1, expiry_ms, 8);
    if (key.count)
        memcpy(keys->scratch + INDEX_HEAD_BYTES, key.data, key.count);
    return INDEX_HEAD_BYTES + key.count;
}

/* @rc is one of the table's expected codes, or the keyspace has failed. */
static void
note_failure(struct keyspace *keys, int rc)
{
    if (rc < 0 && rc != -SKEIN_ENOTFOUND && keys->failure == 0)
        keys->failure = rc;
}

static int
table_get(struct keyspace *keys, size_t key_bytes, struct bytes *out_value)
{
    int rc = keys->table->ops->get(keys->table, keys->scratch, key_bytes, out_value);
    note_failure(keys, rc);
    return rc;
}

static int
cursor_next(struct keyspace *keys, struct store_cursor *cursor, struct bytes *out_key,
            struct bytes *out_value)
{
    int rc = keys->table->ops->cursor_next(cursor, out_key, out_value);
    note_failure(keys, rc);
    return rc;
}

static void
table_put(struct keyspace *keys, size_t key_bytes, struct bytes value)
{
    note_failure(keys, keys->table->ops->put(keys->table, keys->scratch, key_bytes, value));
}

static void
table_remove(struct keyspace *keys, size_t key_bytes)
{
    int rc = keys->table->ops->remove(keys->table, keys->scratch, key_bytes);
    note_failure(keys, rc);
    skein_assert(rc == 0 || keys->failure);
}

/* The expiry under the table key in scratch, removed or not; false: no such key. */
static bool
stored_expiry(struct keyspace *keys, size_t key_bytes, uint64_t *out_expiry_ms)
{
    struct bytes stored;
    if (table_get(keys, key_bytes, &stored))
        return false;
    *out_expiry_ms = wire_load(stored.data, EXPIRY_BYTES);
    bytes_unref(&stored);
    return true;
}

static void
index_add(struct keyspace *keys, uint64_t expiry_ms, struct kv_arg key)
{
    table_put(keys, make_index_key(keys, expiry_ms, key), (struct bytes){0});
    keys->expiring_count++;
    keys->counted += expiry_ms <= keys->counted_ms;
}

static void
index_remove(struct keyspace *keys, uint64_t expiry_ms, struct kv_arg key)
{
    table_remove(keys, make_index_key(keys, expiry_ms, key));
    keys->expiring_count--;
    keys->counted -= expiry_ms <= keys->counted_ms;
}

static bool
is_expired(const struct keyspace *keys, uint64_t expiry_ms)
{
    return expiry_ms != 0 && expiry_ms <= keys->time_ms;
}

void
kv_keyspace_advance(struct keyspace *keys, uint64_t time_ms)
{
    if (time_ms > keys->time_ms)
        keys->time_ms = time_ms;
}

bool
kv_keyspace_get(struct keyspace *keys, struct kv_arg key, struct keyspace_entry *out_entry)
{
    struct bytes stored;
    size_t key_bytes = make_key(keys, key);
    if (!key_bytes || table_get(keys, key_bytes, &stored))
        return false;
    uint64_t expiry_ms = wire_load(stored.data, EXPIRY_BYTES);
    if (is_expired(keys, expiry_ms)) {
        bytes_unref(&stored);
        return false;
    }
    *out_entry = (struct keyspace_entry){.held = stored,
                                         .value = stored.data + EXPIRY_BYTES,
                                         .value_bytes = stored.count - EXPIRY_BYTES,
                                         .expiry_ms = expiry_ms};
    return true;
}

void
kv_keyspace_entry_deinit(struct keyspace_entry *entry)
{
    bytes_unref(&entry->held);
    *entry = (struct keyspace_entry){0};
}

bool
kv_keyspace_has(struct keyspace *keys, struct kv_arg key)
{
    struct keyspace_entry entry;
    if (!kv_keyspace_get(keys, key, &entry))
        return false;
    kv_keyspace_entry_deinit(&entry);
    return true;
}

static void
write_value(uint8_t *to, uint64_t expiry_ms, struct kv_arg head, struct kv_arg tail)
{
    wire_store(to, expiry_ms, EXPIRY_BYTES);
    if (head.count)
        memcpy(to + EXPIRY_BYTES, head.data, head.count);
    if (tail.count)
        memcpy(to + EXPIRY_BYTES + head.count, tail.data, tail.count);
}

void
kv_keyspace_put(struct keyspace *keys, struct kv_arg key, struct kv_arg head, struct kv_arg tail,
                uint64_t expiry_ms)
{
    uint64_t old_expiry_ms = 0;
    size_t value_bytes = head.count + tail.count;
    size_t key_bytes = make_key(keys, key);
    skein_assert(key_bytes > 0);
    if (keys->expiring_count > 0)
        (void)stored_expiry(keys, key_bytes, &old_expiry_ms);
    if (value_bytes <= SMALL_VALUE_BYTES) {
        uint8_t small[EXPIRY_BYTES + SMALL_VALUE_BYTES];
        write_value(small, expiry_ms, head, tail);
        table_put(keys, key_bytes, bytes_borrow(small, EXPIRY_BYTES + value_bytes));
    } else {
        struct bytes_buf *buf = bytes_try_new(EXPIRY_BYTES + value_bytes);
        if (!buf) {
            note_failure(keys, -SKEIN_ENOMEM);
            return;
        }
        struct bytes value = bytes_of(buf, EXPIRY_BYTES + value_bytes);
        write_value(value.buf->data, expiry_ms, head, tail);
        table_put(keys, key_bytes, value);
        bytes_unref(&value);
    }
    if (old_expiry_ms == expiry_ms)
        return;
    if (old_expiry_ms)
        index_remove(keys, old_expiry_ms, key);
    if (expiry_ms)
        index_add(keys, expiry_ms, key);
}

static void
remove_stored(struct keyspace *keys, struct kv_arg key, uint64_t expiry_ms)
{
    table_remove(keys, make_key(keys, key));
    if (expiry_ms)
        index_remove(keys, expiry_ms, key);
}

bool
kv_keyspace_remove(struct keyspace *keys, struct kv_arg key)
{
    uint64_t expiry_ms;
    size_t key_bytes = make_key(keys, key);
    if (!key_bytes || !stored_expiry(keys, key_bytes, &expiry_ms) || is_expired(keys, expiry_ms))
        return false;
    remove_stored(keys, key, expiry_ms);
    return true;
}

void
kv_keyspace_clear(struct keyspace *keys)
{
    keys->table->ops->clear(keys->table);
    keys->expiring_count = 0;
    keys->counted = 0;
}

/* The first 'x' entry from (@expiry_ms, "") on. */
static struct store_cursor *
open_index(struct keyspace *keys, uint64_t expiry_ms)
{
    size_t key_bytes = make_index_key(keys, expiry_ms, (struct kv_arg){0});
    return keys->table->ops->cursor_open(keys->table, NULL, keys->scratch, key_bytes);
}

void
kv_keyspace_expire(struct keyspace *keys, size_t count_max)
{
    struct bytes index_key, unused;
    uint8_t *copy = NULL;
    for (size_t i = 0; i < count_max && keys->expiring_count > 0; i++) {
        struct store_cursor *cursor = open_index(keys, 0);
        int rc = cursor_next(keys, cursor, &index_key, &unused);
        skein_assert(rc == 0 || keys->failure);
        if (rc < 0) {
            keys->table->ops->cursor_close(cursor);
            break;
        }
        uint64_t expiry_ms = load_big_endian(index_key.data + 1, 8);
        bool expired = is_expired(keys, expiry_ms);
        struct kv_arg key = {.count = index_key.count - INDEX_HEAD_BYTES};
        if (expired) {
            copy = mem_realloc(copy, key.count);
            memcpy(copy, index_key.data + INDEX_HEAD_BYTES, key.count);
            key.data = copy;
        }
        keys->table->ops->cursor_close(cursor);
        if (!expired)
            break;
        remove_stored(keys, key, expiry_ms);
        keys->expired_total++;
    }
    mem_free(copy);
}

uint64_t
kv_keyspace_count(struct keyspace *keys)
{
    if (keys->expiring_count > 0 && keys->counted_ms < keys->time_ms) {
        struct bytes key, unused;
        struct store_cursor *cursor = open_index(keys, keys->counted_ms + 1);
        while (cursor_next(keys, cursor, &key, &unused) == 0 &&
               load_big_endian(key.data + 1, 8) <= keys->time_ms)
            keys->counted++;
        keys->table->ops->cursor_close(cursor);
    }
    keys->counted_ms = keys->time_ms;
    struct store_stats stats;
    keys->table->ops->stats(keys->table, &stats);
    return stats.key_count - keys->expiring_count - keys->counted;
}

uint64_t
kv_keyspace_next_expiry_ms(struct keyspace *keys)
{
    struct bytes key, unused;
    if (keys->expiring_count == 0)
        return UINT64_MAX;
    struct store_cursor *cursor = open_index(keys, 0);
    int rc = cursor_next(keys, cursor, &key, &unused);
    uint64_t expiry_ms = rc == 0 ? load_big_endian(key.data + 1, 8) : UINT64_MAX;
    keys->table->ops->cursor_close(cursor);
    return expiry_ms;
}

void
kv_keyspace_cursor_open(struct keyspace *keys, struct keyspace_cursor *cursor, uint64_t hash)
{
    uint8_t from[KEY_HEAD_BYTES] = {'k'};
    store_big_endian(from + 1, hash, KEYSPACE_HASH_BYTES);
    cursor->keys = keys;
    cursor->cursor = keys->table->ops->cursor_open(keys->table, NULL, from, sizeof(from));
}

bool
kv_keyspace_cursor_next(struct keyspace_cursor *cursor, struct keyspace_item *out_item)
{
    struct bytes key, value;
    struct keyspace *keys = cursor->keys;
    while (cursor_next(keys, cursor->cursor, &key, &value) == 0) {
        if (key.data[0] != 'k')
            return false;
        uint64_t expiry_ms = wire_load(value.data, EXPIRY_BYTES);
        if (is_expired(keys, expiry_ms))
            continue;
        *out_item =
            (struct keyspace_item){.hash = load_big_endian(key.data + 1, KEYSPACE_HASH_BYTES),
                                   .key = {key.data + KEY_HEAD_BYTES, key.count - KEY_HEAD_BYTES},
                                   .value = {value.data + EXPIRY_BYTES, value.count - EXPIRY_BYTES},
                                   .expiry_ms = expiry_ms};
        return true;
    }
    return false;
}

void
kv_keyspace_cursor_close(struct keyspace_cursor *cursor)
{
    cursor->keys->table->ops->cursor_close(cursor->cursor);
    cursor->cursor = NULL;
}

int
kv_keyspace_check_entry(struct keyspace *keys, struct bytes key, struct bytes value,
                        uint64_t *expiring_count)
{
    if (key.count >= KEY_HEAD_BYTES && key.data[0] == 'k') {
        struct kv_arg user = {key.data + KEY_HEAD_BYTES, key.count - KEY_HEAD_BYTES};
        if (value.count < EXPIRY_BYTES || user.count > USER_KEY_BYTES_MAX)
            return -SKEIN_ECORRUPT;
        if (load_big_endian(key.data + 1, KEYSPACE_HASH_BYTES) != kv_keyspace_hash(user))
            return -SKEIN_ECORRUPT;
        *expiring_count += wire_load(value.data, EXPIRY_BYTES) != 0;
        return 0;
    }
    if (key.count < INDEX_HEAD_BYTES || key.data[0] != 'x' || value.count > 0)
        return -SKEIN_ECORRUPT;
    uint64_t expiry_ms = load_big_endian(key.data + 1, 8), stored_ms;
    struct kv_arg user = {key.data + INDEX_HEAD_BYTES, key.count - INDEX_HEAD_BYTES};
    if (expiry_ms == 0 || !stored_expiry(keys, make_key(keys, user), &stored_ms) ||
        stored_ms != expiry_ms)
        return -SKEIN_ECORRUPT;
    keys->expiring_count++;
    return 0;
}
