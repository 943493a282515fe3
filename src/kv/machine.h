/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_MACHINE_H
#define KV_MACHINE_H

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

/* For replica_open. It takes no config: whatever decides about a command comes with the batch
 * (kv/batch.h), so that members cannot differ by their flags. */
extern const struct replica_machine_ops kv_machine_ops;

struct kv_machine_stats {
    uint64_t key_count; /* not expired ones and those not yet removed */
    uint64_t expiring_key_count;
    uint64_t expired_total;
    uint64_t commands_total; /* applied */
    struct store_stats table;
};
void kv_machine_stats(void *machine, struct kv_machine_stats *out_stats);

/* kv_machine_next_expiry_ms - the earliest expiry, UINT64_MAX: none. The leader proposes an empty
 * batch when its wall clock has passed it (kv/expire.c), so that log time moves on. */
uint64_t kv_machine_next_expiry_ms(void *machine);

/* kv_machine_checksum - over all keys, values and expiries in order, for the simulator's oracles.
 */
uint32_t kv_machine_checksum(void *machine);

#endif
