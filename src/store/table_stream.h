/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TABLE_STREAM_H
#define STORE_TABLE_STREAM_H

#include "store/table.h"

/*
 * A table as a stream of bytes: what checkpoints and snapshots for followers consist of.
 *
 *   chunk*  u32 chunk_bytes > 0 | ( u32 key_bytes | u32 value_bytes | key | value )*
 *   end     u32 0 | u64 key count
 *
 * Numbers are little-endian, keys strictly ascending. A chunk is closed when it reaches
 * TABLE_STREAM_CHUNK_BYTES, so it is longer only by its last entry. The stream has no checksum of
 * its own: what carries it (a checkpoint, a peer's frames) has.
 */

#define TABLE_STREAM_CHUNK_BYTES (64u << 10)

/* Both may suspend the fiber. write: 0 or a code that ends the saving. */
typedef int (*table_stream_write_fn)(void *context, const void *data, size_t count);
/* read: exactly @count bytes, or a code that ends the loading (-SKEIN_EEOF, -SKEIN_ECORRUPT ...).
 */
typedef int (*table_stream_read_fn)(void *context, void *data, size_t count);
/* check: called for each entry after it was put, in key order; 0, or a code that ends the loading.
 */
typedef int (*table_stream_check_fn)(void *context, struct bytes key, struct bytes value);

/*
 * table_stream_save - write all of @snapshot, which the caller keeps until this returns; the table
 * may be changed meanwhile. **Runs on**: a fiber; suspends only inside @write, and while a table on
 * disk reads ahead. **Returns** 0 or
 * @write's code; the cursor's; -SKEIN_ECORRUPT: there were fewer or more keys than the table knows.
 */
int table_stream_save(struct store_table *table, struct store_snapshot *snapshot,
                      table_stream_write_fn write, void *context) SKEIN_MUST_CHECK;

struct table_stream_limits {
    size_t key_bytes_max;   /* at most STORE_KEY_BYTES_MAX */
    size_t value_bytes_max; /* at most STORE_VALUE_BYTES_MAX */
};

/*
 * table_stream_load - put every entry of a stream into the empty @table. Holds one chunk in memory.
 * @check: may be NULL. **Returns** 0; -SKEIN_ECORRUPT: the bytes contradict themselves or a limit;
 * -SKEIN_EEOF: the source ended early; -SKEIN_ENOMEM; @read's and @check's codes. After a failure
 * the table holds a part: clear it.
 */
int table_stream_load(struct store_table *table, const struct table_stream_limits *limits,
                      table_stream_read_fn read, table_stream_check_fn check,
                      void *context) SKEIN_MUST_CHECK;

#endif
