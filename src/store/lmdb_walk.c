/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "skein/error.h"
#include "store/lmdb_int.h"

/* Move to the first entry >= @at. */
static int
seek(struct lmdb_walk *walk, MDB_val at, MDB_val *out_key, MDB_val *out_value)
{
    *out_key = at;
    return lmdb_code(mdb_cursor_get(walk->cursor, out_key, out_value, MDB_SET_RANGE));
}

/* Behind the link that led into the space that has ended. */
static int
leave_space(struct lmdb_walk *walk, MDB_val *out_key, MDB_val *out_value)
{
    struct space_key buffer;
    walk->depth--;
    MDB_val at = lmdb_key_of(&buffer, walk->spaces[walk->depth],
                             walk->key + walk->depth * SEGMENT_BYTES, SEGMENT_BYTES, true);
    buffer.bytes[at.mv_size - 1] = 1;
    return seek(walk, at, out_key, out_value);
}

static int
enter_link(struct lmdb_walk *walk, MDB_val *key, MDB_val *value)
{
    struct space_key buffer;
    uint64_t child;
    int rc = lmdb_link_check(*key, *value, &child);
    if (rc < 0)
        return rc;
    if (walk->depth + 1 >= SPACE_DEPTH_MAX)
        return -SKEIN_ECORRUPT;
    memcpy(walk->key + walk->depth * SEGMENT_BYTES, (uint8_t *)key->mv_data + SPACE_BYTES,
           SEGMENT_BYTES);
    walk->spaces[++walk->depth] = child;
    return seek(walk, lmdb_key_of(&buffer, child, NULL, 0, false), key, value);
}

static int
take_entry(struct lmdb_walk *walk, MDB_val key, MDB_val value)
{
    size_t before = walk->depth * SEGMENT_BYTES, own = key.mv_size - SPACE_BYTES;
    if (own > SEGMENT_BYTES)
        return -SKEIN_ECORRUPT;
    if (own)
        memcpy(walk->key + before, (uint8_t *)key.mv_data + SPACE_BYTES, own);
    walk->at_key = bytes_borrow(walk->key, before + own);
    return lmdb_entry_check(walk->at_key, value, &walk->at_value);
}

/* From where the cursor is, over links and ends of spaces, to an entry. */
static int
settle(struct lmdb_walk *walk, int rc, MDB_val key, MDB_val value)
{
    for (;;) {
        if (rc < 0 && rc != -SKEIN_ENOTFOUND)
            return rc;
        if (rc < 0 || !lmdb_key_is_of(key, walk->spaces[walk->depth])) {
            if (walk->depth == 0)
                return -SKEIN_ENOTFOUND;
            rc = leave_space(walk, &key, &value);
        } else if (lmdb_key_is_link(key)) {
            rc = enter_link(walk, &key, &value);
            if (rc < 0 && rc != -SKEIN_ENOTFOUND)
                return rc;
        } else {
            return take_entry(walk, key, value);
        }
    }
}

/* Down the links of @key as far as there are any, then to the first entry that is not below it. */
static int
find(struct lmdb_walk *walk, struct bytes key)
{
    struct space_key buffer;
    MDB_val at, found, value;
    while (key.count > SEGMENT_BYTES) {
        at = lmdb_key_of(&buffer, walk->spaces[walk->depth], key.data, SEGMENT_BYTES, true);
        int rc = seek(walk, at, &found, &value);
        bool is_there = rc == 0 && found.mv_size == at.mv_size &&
                        memcmp(found.mv_data, at.mv_data, at.mv_size) == 0;
        uint64_t child;
        if (!is_there)
            return settle(walk, rc, found, value);
        rc = lmdb_link_check(found, value, &child);
        if (rc < 0)
            return rc;
        if (walk->depth + 1 >= SPACE_DEPTH_MAX)
            return -SKEIN_ECORRUPT;
        memcpy(walk->key + walk->depth * SEGMENT_BYTES, key.data, SEGMENT_BYTES);
        walk->spaces[++walk->depth] = child;
        key = bytes_borrow(key.data + SEGMENT_BYTES, key.count - SEGMENT_BYTES);
    }
    at = lmdb_key_of(&buffer, walk->spaces[walk->depth], key.data, key.count, false);
    int rc = seek(walk, at, &found, &value);
    return settle(walk, rc, found, value);
}

void
lmdb_walk_open(struct lmdb_walk *walk, MDB_txn *txn, MDB_dbi dbi, uint64_t root, struct bytes key)
{
    *walk = (struct lmdb_walk){.rc = -SKEIN_ENOTFOUND};
    if (root == 0)
        return;
    walk->rc = lmdb_code(mdb_cursor_open(txn, dbi, &walk->cursor));
    if (walk->rc < 0) {
        walk->cursor = NULL;
        return;
    }
    walk->key = mem_alloc(SPACE_DEPTH_MAX * SEGMENT_BYTES);
    walk->spaces[0] = root;
    walk->rc = find(walk, key);
}

void
lmdb_walk_next(struct lmdb_walk *walk)
{
    MDB_val key, value;
    skein_assert(walk->rc == 0);
    int rc = lmdb_code(mdb_cursor_get(walk->cursor, &key, &value, MDB_NEXT));
    walk->rc = settle(walk, rc, key, value);
}

void
lmdb_walk_close(struct lmdb_walk *walk)
{
    if (walk->cursor)
        mdb_cursor_close(walk->cursor);
    mem_free(walk->key);
    *walk = (struct lmdb_walk){0};
}
