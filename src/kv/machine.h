/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_MACHINE_H
#define KV_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "kv/batch.h"
#include "replica/machine.h"
#include "store/table.h"

/*
 * The built-in machine: binary-safe keys to values with expiry, in one ordered table.
 *
 *   'k' hash (6 bytes) key           -> u64 expiry (log time in ms; 0: never) | value
 *   'x' expiry (big-endian) key      -> empty: what expires when, in order
 *
 * Why the hash: kv/keyspace.h.
 *
 * A key is absent from the moment log time reaches its expiry. apply removes what has expired, a
 * bounded number each time, in the order of the 'x' keys: the same on every member.
 */

/* Where the table is. Members may differ in it: what they reply does not. */
enum kv_store {
    KV_STORE_MEMORY, /* all in memory; checkpoints are files */
    KV_STORE_LMDB    /* larger than memory, in data_dir/KV_TABLE_DIR (store/lmdb_table.h) */
};
#define KV_TABLE_DIR "table"
int kv_store_parse(const char *text, enum kv_store *out_store) SKEIN_MUST_CHECK;
const char *kv_store_name(enum kv_store store);

/* For replica_open; the second with KV_STORE_LMDB. Whatever decides about a command comes with the
 * batch (kv/batch.h), so that members cannot differ by their flags. */
extern const struct replica_machine_ops kv_machine_ops;
extern const struct replica_machine_ops kv_machine_disk_ops;

/*
 * The machine's config; NULL: KV_STORE_MEMORY. A data directory is of the store that it was begun
 * with: open refuses another with -SKEIN_EIDENTITY. The directory exists, and is locked.
 */
struct kv_machine_config {
    enum kv_store store;
    const char *data_dir;
    uint64_t memory_bytes_max; /* KV_STORE_LMDB: changes held in memory, twice; 0: its default */
    char *out_why;             /* 512 bytes: why open failed; used by open alone */
};

struct kv_machine_stats {
    uint64_t key_count; /* not expired ones and those not yet removed */
    uint64_t expiring_key_count;
    uint64_t expired_total;
    uint64_t commands_total; /* applied */
    struct store_stats table;
    bool on_disk;
    struct store_disk_stats disk;
};
void kv_machine_stats(void *machine, struct kv_machine_stats *out_stats);

/* kv_machine_next_expiry_ms - the earliest expiry, UINT64_MAX: none. The leader proposes an empty
 * batch when its wall clock has passed it (kv/expire.c), so that log time moves on. */
uint64_t kv_machine_next_expiry_ms(void *machine);

/* kv_machine_checksum - over all keys, values and expiries in order, for the simulator's oracles.
 */
uint32_t kv_machine_checksum(void *machine);

#endif
