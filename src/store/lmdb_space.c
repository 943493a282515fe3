/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "skein/error.h"
#include "store/lmdb_int.h"

int
lmdb_code(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -SKEIN_ENOTFOUND;
    case MDB_VERSION_MISMATCH:
        return -SKEIN_EFORMAT;
    case MDB_MAP_FULL:
        return -SKEIN_ETOOBIG;
    case MDB_TXN_FULL:
        return -SKEIN_ENOMEM;
    case MDB_READERS_FULL:
        return -SKEIN_EBUSY;
    case MDB_PANIC:
        return -EIO;
    default:
        return rc > 0 ? -rc : -SKEIN_ECORRUPT;
    }
}

static void
store_space(uint8_t *to, uint64_t space)
{
    for (size_t i = 0; i < SPACE_BYTES; i++)
        to[i] = (uint8_t)(space >> (8 * (SPACE_BYTES - 1 - i)));
}

static uint64_t
load_space(const uint8_t *from)
{
    uint64_t space = 0;
    for (size_t i = 0; i < SPACE_BYTES; i++)
        space = space << 8 | from[i];
    return space;
}

MDB_val
lmdb_key_of(struct space_key *to, uint64_t space, const void *segment, size_t segment_bytes,
            bool is_link)
{
    skein_assert(segment_bytes <= SEGMENT_BYTES);
    skein_assert(!is_link || segment_bytes == SEGMENT_BYTES);
    store_space(to->bytes, space);
    if (segment_bytes)
        memcpy(to->bytes + SPACE_BYTES, segment, segment_bytes);
    to->count = SPACE_BYTES + segment_bytes;
    if (is_link)
        to->bytes[to->count++] = 0;
    return (MDB_val){to->count, to->bytes};
}

bool
lmdb_key_is_of(MDB_val key, uint64_t space)
{
    return key.mv_size >= SPACE_BYTES && load_space(key.mv_data) == space;
}

bool
lmdb_key_is_link(MDB_val key)
{
    return key.mv_size == SPACE_BYTES + LINK_BYTES;
}

static uint32_t
sum(struct bytes key, const void *value, size_t value_bytes)
{
    return crc32c(crc32c(0, key.data, key.count), value, value_bytes);
}

int
lmdb_entry_check(struct bytes key, MDB_val stored, struct bytes *out_value)
{
    if (stored.mv_size < ENTRY_CRC_BYTES)
        return -SKEIN_ECORRUPT;
    const uint8_t *value = (const uint8_t *)stored.mv_data + ENTRY_CRC_BYTES;
    size_t value_bytes = stored.mv_size - ENTRY_CRC_BYTES;
    if (wire_load(stored.mv_data, ENTRY_CRC_BYTES) != sum(key, value, value_bytes))
        return -SKEIN_ECORRUPT;
    *out_value = bytes_borrow(value, value_bytes);
    return 0;
}

int
lmdb_link_check(MDB_val key, MDB_val stored, uint64_t *out_space)
{
    struct bytes value;
    int rc = lmdb_entry_check(bytes_borrow(key.mv_data, key.mv_size), stored, &value);
    if (rc < 0)
        return rc;
    if (value.count != 8)
        return -SKEIN_ECORRUPT;
    *out_space = wire_load(value.data, 8);
    return *out_space < SPACE_FIRST ? -SKEIN_ECORRUPT : 0;
}

int
lmdb_entry_write(MDB_cursor *cursor, MDB_val at, struct bytes key, struct bytes value)
{
    MDB_val room = {ENTRY_CRC_BYTES + value.count, NULL};
    int rc = mdb_cursor_put(cursor, &at, &room, MDB_RESERVE);
    if (rc)
        return lmdb_code(rc);
    wire_store(room.mv_data, sum(key, value.data, value.count), ENTRY_CRC_BYTES);
    if (value.count)
        memcpy((uint8_t *)room.mv_data + ENTRY_CRC_BYTES, value.data, value.count);
    return 0;
}

/* The first @count bytes of @key are behind: the rest. */
static struct bytes
rest_of(struct bytes key, size_t count)
{
    return bytes_borrow(key.data + count, key.count - count);
}

int
lmdb_get(MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct bytes key, struct bytes *out_value)
{
    struct space_key buffer;
    MDB_val at, stored;
    struct bytes rest = key;
    uint64_t space = root;
    while (rest.count > SEGMENT_BYTES) {
        at = lmdb_key_of(&buffer, space, rest.data, SEGMENT_BYTES, true);
        int rc = lmdb_code(mdb_get(txn, dbi, &at, &stored));
        if (rc == 0)
            rc = lmdb_link_check(at, stored, &space);
        if (rc < 0)
            return rc;
        rest = rest_of(rest, SEGMENT_BYTES);
    }
    at = lmdb_key_of(&buffer, space, rest.data, rest.count, false);
    int rc = lmdb_code(mdb_get(txn, dbi, &at, &stored));
    return rc < 0 ? rc : lmdb_entry_check(key, stored, out_value);
}

static int
read_link(MDB_cursor *cursor, uint64_t space, const uint8_t *segment, uint64_t *out_space)
{
    struct space_key buffer;
    MDB_val stored, at = lmdb_key_of(&buffer, space, segment, SEGMENT_BYTES, true);
    int rc = lmdb_code(mdb_cursor_get(cursor, &at, &stored, MDB_SET));
    return rc < 0 ? rc : lmdb_link_check(at, stored, out_space);
}

static int
add_link(MDB_cursor *cursor, uint64_t space, const uint8_t *segment, uint64_t target)
{
    struct space_key buffer;
    uint8_t number[8];
    MDB_val at = lmdb_key_of(&buffer, space, segment, SEGMENT_BYTES, true);
    wire_store(number, target, 8);
    return lmdb_entry_write(cursor, at, bytes_borrow(at.mv_data, at.mv_size),
                            bytes_borrow(number, sizeof(number)));
}

int
lmdb_put(MDB_cursor *cursor, uint64_t root, struct bytes key, struct bytes value,
         uint64_t *next_space)
{
    struct space_key buffer;
    struct bytes rest = key;
    uint64_t space = root, child;
    while (rest.count > SEGMENT_BYTES) {
        int rc = read_link(cursor, space, rest.data, &child);
        if (rc == -SKEIN_ENOTFOUND) {
            child = (*next_space)++;
            rc = add_link(cursor, space, rest.data, child);
        }
        if (rc < 0)
            return rc;
        space = child;
        rest = rest_of(rest, SEGMENT_BYTES);
    }
    return lmdb_entry_write(cursor, lmdb_key_of(&buffer, space, rest.data, rest.count, false), key,
                            value);
}

/* Whether @space has no entry. 1: yes. */
static int
is_empty(MDB_cursor *cursor, uint64_t space)
{
    struct space_key buffer;
    MDB_val stored, at = lmdb_key_of(&buffer, space, NULL, 0, false);
    int rc = lmdb_code(mdb_cursor_get(cursor, &at, &stored, MDB_SET_RANGE));
    if (rc == -SKEIN_ENOTFOUND)
        return 1;
    return rc < 0 ? rc : !lmdb_key_is_of(at, space);
}

static int
delete_at(MDB_cursor *cursor, MDB_val at)
{
    MDB_val stored;
    int rc = mdb_cursor_get(cursor, &at, &stored, MDB_SET);
    return lmdb_code(rc ? rc : mdb_cursor_del(cursor, 0));
}

int
lmdb_remove(MDB_cursor *cursor, uint64_t root, struct bytes key)
{
    struct space_key buffer;
    uint64_t spaces[SPACE_DEPTH_MAX];
    size_t depth = 0;
    struct bytes rest = key;
    spaces[0] = root;
    while (rest.count > SEGMENT_BYTES) {
        int rc = read_link(cursor, spaces[depth], rest.data, &spaces[depth + 1]);
        if (rc < 0)
            return rc;
        depth++;
        rest = rest_of(rest, SEGMENT_BYTES);
    }
    int rc = delete_at(cursor, lmdb_key_of(&buffer, spaces[depth], rest.data, rest.count, false));
    while (rc == 0 && depth > 0) {
        rc = is_empty(cursor, spaces[depth]);
        if (rc <= 0)
            return rc;
        depth--;
        rc = delete_at(cursor, lmdb_key_of(&buffer, spaces[depth], key.data + depth * SEGMENT_BYTES,
                                           SEGMENT_BYTES, true));
    }
    return rc;
}

int
lmdb_discard(MDB_cursor *cursor, uint64_t space)
{
    struct space_key buffer;
    uint8_t number[SPACE_BYTES];
    skein_assert(space >= SPACE_FIRST);
    store_space(number, space);
    MDB_val none = {0, NULL};
    MDB_val at = lmdb_key_of(&buffer, SPACE_GARBAGE, number, sizeof(number), false);
    return lmdb_code(mdb_cursor_put(cursor, &at, &none, 0));
}

/* One entry of a discarded space less, or the space itself when it has none. -SKEIN_ENOTFOUND:
 * there is none. */
static int
sweep_one(MDB_cursor *cursor)
{
    struct space_key buffer;
    MDB_val stored, at = lmdb_key_of(&buffer, SPACE_GARBAGE, NULL, 0, false);
    int rc = lmdb_code(mdb_cursor_get(cursor, &at, &stored, MDB_SET_RANGE));
    if (rc < 0)
        return rc;
    if (!lmdb_key_is_of(at, SPACE_GARBAGE))
        return -SKEIN_ENOTFOUND;
    if (at.mv_size != SPACE_BYTES + SPACE_BYTES)
        return -SKEIN_ECORRUPT;
    uint64_t child, space = load_space((uint8_t *)at.mv_data + SPACE_BYTES);
    at = lmdb_key_of(&buffer, space, NULL, 0, false);
    rc = lmdb_code(mdb_cursor_get(cursor, &at, &stored, MDB_SET_RANGE));
    if (rc < 0 && rc != -SKEIN_ENOTFOUND)
        return rc;
    if (rc == 0 && lmdb_key_is_of(at, space)) {
        if (!lmdb_key_is_link(at))
            return lmdb_code(mdb_cursor_del(cursor, 0));
        rc = lmdb_link_check(at, stored, &child);
        if (rc == 0)
            rc = lmdb_code(mdb_cursor_del(cursor, 0));
        return rc < 0 ? rc : lmdb_discard(cursor, child);
    }
    uint8_t number[SPACE_BYTES];
    store_space(number, space);
    return delete_at(cursor, lmdb_key_of(&buffer, SPACE_GARBAGE, number, sizeof(number), false));
}

int
lmdb_sweep(MDB_cursor *cursor, uint64_t count_max)
{
    int rc = 0;
    for (uint64_t i = 0; i < count_max && rc == 0; i++)
        rc = sweep_one(cursor);
    return rc == -SKEIN_ENOTFOUND ? 0 : rc;
}
