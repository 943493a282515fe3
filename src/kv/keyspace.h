/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_KEYSPACE_H
#define KV_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "kv/batch.h"
#include "store/table.h"

/*
 * The keys of the store: a table, the index of expiries, and log time.
 *
 *   'k' hash(6, big-endian) key      -> u64 expiry (ms of log time, little-endian; 0: never) |
 * value 'x' expiry(8, big-endian) key    -> empty
 *
 * **Why the hash stands before the key.** SCAN's cursor is a number that clients keep as a double,
 * and it has to name a place in the keyspace that stays where it is while keys come and go, on
 * every member, without memory of the scan. In the order of the keys' own bytes no number can (keys
 * share long beginnings, ranks shift). In the order of a fixed 48-bit hash the hash itself can: a
 * step returns all keys with hashes in [cursor, next cursor), so a full SCAN returns every key that
 * was there throughout, across leader changes, however long the common beginnings are. Keys with
 * one hash are returned in one step. The hash also makes the first bytes of a table key
 * distinguish, so lookups compare few keys. Price: KEYS and SCAN are in no useful order, as in
 * Redis.
 *
 * **Failure.** When the table fails (memory is out, a checksum does not match) the keyspace is not
 * what the log says any more. The first code stays in failure, every call goes on without a crash,
 * and nothing they say counts: the machine reports it before anybody is answered. An error as a
 * reply would not do: a member that skipped a committed write would differ from the others.
 *
 * **Time.** A key whose expiry is not after log time is absent for every function below, whether or
 * not it has been removed. Invariant: the 'x' entries are exactly the expiries of the 'k' entries.
 */

#define KEYSPACE_HASH_BYTES 6
#define KEYSPACE_KEY_HEAD_BYTES (1 + KEYSPACE_HASH_BYTES)
#define KEYSPACE_HASH_MAX (((uint64_t)1 << 48) - 1)

struct keyspace {
    struct store_table *table;
    uint64_t time_ms;
    uint64_t expiring_count; /* 'x' entries */
    uint64_t expired_total;  /* removed because of their expiry, by kv_keyspace_expire */
    /* A memo for kv_keyspace_count: of the 'x' entries, how many are at or before counted_ms. */
    uint64_t counted_ms;
    uint64_t counted;
    uint8_t *scratch; /* table keys are put together here */
    int failure;      /* the table's first code that was none of the expected; 0: none */
};

struct keyspace_entry {
    struct bytes held; /* a reference: what value points into */
    const uint8_t *value;
    size_t value_bytes;
    uint64_t expiry_ms; /* 0: never */
};

/* kv_keyspace_init - **Ownership**: takes @table, which is closed by deinit. */
void kv_keyspace_init(struct keyspace *keys, struct store_table *table);
void kv_keyspace_deinit(struct keyspace *keys);

/* kv_keyspace_hash - 1 .. KEYSPACE_HASH_MAX. */
uint64_t kv_keyspace_hash(struct kv_arg key);
/* kv_keyspace_table_key - the table key of @key, which may be stored; @to: KEYSPACE_KEY_HEAD_BYTES
 * and the key. Returns its bytes. */
size_t kv_keyspace_table_key(struct kv_arg key, uint8_t *to);
/* kv_keyspace_table_key_begin - its first @room_bytes bytes at the most. */
size_t kv_keyspace_table_key_begin(struct kv_arg key, uint8_t *to, size_t room_bytes);
/* kv_keyspace_advance - log time never goes back. */
void kv_keyspace_advance(struct keyspace *keys, uint64_t time_ms);
/* kv_keyspace_expire - remove at most @count_max keys that have expired, in the order of the index.
 */
void kv_keyspace_expire(struct keyspace *keys, size_t count_max);

/* kv_keyspace_get - false: absent. **Ownership**: kv_keyspace_entry_deinit when true. */
bool kv_keyspace_get(struct keyspace *keys, struct kv_arg key, struct keyspace_entry *out_entry);
void kv_keyspace_entry_deinit(struct keyspace_entry *entry);
bool kv_keyspace_has(struct keyspace *keys, struct kv_arg key);
/* kv_keyspace_put - the value is @head followed by @tail. */
void kv_keyspace_put(struct keyspace *keys, struct kv_arg key, struct kv_arg head,
                     struct kv_arg tail, uint64_t expiry_ms);
/* kv_keyspace_remove - false: it was absent. */
bool kv_keyspace_remove(struct keyspace *keys, struct kv_arg key);
void kv_keyspace_clear(struct keyspace *keys);

/* kv_keyspace_count - keys present. Amortised O(1): each expiry is counted once. */
uint64_t kv_keyspace_count(struct keyspace *keys);
/* kv_keyspace_next_expiry_ms - UINT64_MAX: none. */
uint64_t kv_keyspace_next_expiry_ms(struct keyspace *keys);

/* The keys present, in the order of the hash. No change to the keyspace while one is open. */
struct keyspace_cursor {
    struct keyspace *keys;
    struct store_cursor *cursor;
};
struct keyspace_item {
    uint64_t hash;
    struct kv_arg key;
    struct kv_arg value;
    uint64_t expiry_ms;
};
/* kv_keyspace_cursor_open - at the first key with a hash >= @hash. */
void kv_keyspace_cursor_open(struct keyspace *keys, struct keyspace_cursor *cursor, uint64_t hash);
/* kv_keyspace_cursor_next - false at the end. */
bool kv_keyspace_cursor_next(struct keyspace_cursor *cursor, struct keyspace_item *out_item);
void kv_keyspace_cursor_close(struct keyspace_cursor *cursor);

/*
 * kv_keyspace_check_entry - one entry of a table that is being loaded, in order: is it well formed,
 * and does an 'x' entry belong to a 'k' entry? @expiring_count: how many 'k' entries expire so far,
 * updated. **Returns** 0 or -SKEIN_ECORRUPT. When all entries passed, the table is consistent if
 * the 'x' entries were as many.
 */
int kv_keyspace_check_entry(struct keyspace *keys, struct bytes key, struct bytes value,
                            uint64_t *expiring_count) SKEIN_MUST_CHECK;

#endif
