/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_ROUTE_H
#define KV_ROUTE_H

#include <stdint.h>

#include "kv/command.h"

/*
 * Which group a key belongs to (docs/design/0022-the-store-on-groups.md).
 *
 *   key --> {tag} of it, if it has one --> CRC16 mod 16384: its slot --> slot x groups / 16384
 *
 * Slots are Redis Cluster's, so that keys which its users made to meet in one slot by a {tag} meet
 * here in one group. A group has a contiguous range of slots; the ranges differ by one at most.
 */

#define KV_SLOT_COUNT 16384u
/* SCAN's cursor names the group in 5 bits above the 48 of a place (kv/keyspace.h): together they
 * are a whole number that a double holds, as clients keep it. */
#define KV_GROUPS_MAX 32u

/* kv_slot - of @key. Redis Cluster specification, "Hash tags". */
uint32_t kv_slot(struct kv_arg key);
/* kv_slot_group - of @slot, below KV_SLOT_COUNT, among @group_count, 1 to KV_GROUPS_MAX. */
uint32_t kv_slot_group(uint32_t slot, uint32_t group_count);

/* The groups of a command as bits; kv_route_one: the one group whose bit is set alone, or -1. */
typedef uint32_t kv_groups;
/* kv_route - where the keys of a command of the machine belong; all groups when it names no key.
 * @argv, @argc: kv_command_arity_ok. */
kv_groups kv_route(const struct kv_command *command, const struct kv_arg *argv, uint32_t argc,
                   uint32_t group_count);
static inline int
kv_route_one(kv_groups groups)
{
    return groups && !(groups & (groups - 1)) ? __builtin_ctz(groups) : -1;
}
/* kv_route_all - the groups 0 to @group_count - 1. */
static inline kv_groups
kv_route_all(uint32_t group_count)
{
    return (kv_groups)((UINT64_C(1) << group_count) - 1);
}

#endif
