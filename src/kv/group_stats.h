/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_GROUP_STATS_H
#define KV_GROUP_STATS_H

#include "kv/machine.h"
#include "replica/replica.h"

/* kv_group_stats - the figures of the machines of the groups 0 to @group_count - 1 of @replica's
 * process, together; 1: of @replica alone. */
void kv_group_stats(struct replica *replica, uint32_t group_count,
                    struct kv_machine_stats *out_stats);

#endif
