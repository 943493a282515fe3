/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LMDB_TABLE_H
#define STORE_LMDB_TABLE_H

#include "store/table.h"

/*
 * The table for data larger than memory (docs/design/0016-lmdb.md).
 *
 *      put, remove          get, cursors look from the top down
 *          |                      |
 *          v                      v
 *      active level     memory: what was put and what was removed since the last freeze
 *          |  persist freezes it
 *          v
 *      frozen level     memory: is being written, nobody changes it
 *          |  one write transaction on a helper thread: entries, counts and note together
 *          v
 *      base             LMDB, read through one read transaction that the shard holds; a new one
 *                       takes its place when the write transaction is durable
 *
 * A snapshot is a reference to the base's read transaction, to the frozen level, and a snapshot of
 * the active one. A read transaction keeps pages of its time from being used again: the file grows
 * while a snapshot is held and much is written.
 *
 * **Bytes under checksum.** Each entry has a CRC over its key and its value, checked by whatever
 * reads it; links of long keys and the table's record, too. LMDB's own pages have none: damage to
 * its tree may hide an entry from get (a cursor over everything counts and notices) or end in
 * an error, and with ill luck in a crash of the process.
 *
 * **Faults.** get and cursors read through a mapping: what is not in memory holds the shard up
 * until the disk answers, unless it was warmed before. A base read that took long is noticed, and
 * for a while warm reads ahead on a helper thread; when everything is in memory it does nothing.
 */

struct store_lmdb_options {
    const char *dir;           /* made when absent; locked by whoever opens */
    uint64_t map_bytes;        /* of address space at first; 0: 1 TiB. Grows by itself. */
    uint64_t memory_bytes_max; /* what relieve keeps the active level below; 0: 64 MiB */
};

/*
 * store_lmdb_open - the table in @options->dir, an empty one when there is none. @out_why: one line
 * on failure. **Runs on** a fiber; suspends.
 * **Returns** 0; -SKEIN_ECORRUPT; -SKEIN_EFORMAT; -errno.
 */
int store_lmdb_open(struct store_table **out_table, const struct store_lmdb_options *options,
                    char out_why[512]) SKEIN_MUST_CHECK;

#endif
