/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/group_stats.h"

static void
add(struct kv_machine_stats *to, const struct kv_machine_stats *from)
{
    to->key_count += from->key_count;
    to->expiring_key_count += from->expiring_key_count;
    to->expired_total += from->expired_total;
    to->commands_total += from->commands_total;
    to->table.key_count += from->table.key_count;
    to->table.data_bytes += from->table.data_bytes;
    to->table.memory_bytes += from->table.memory_bytes;
    to->table.snapshot_count += from->table.snapshot_count;
    to->on_disk |= from->on_disk;
    to->disk.active_bytes += from->disk.active_bytes;
    to->disk.frozen_bytes += from->disk.frozen_bytes;
    to->disk.file_bytes += from->disk.file_bytes;
    to->disk.flush_total += from->disk.flush_total;
    to->disk.warm_total += from->disk.warm_total;
    to->disk.slow_read_total += from->disk.slow_read_total;
}

void
kv_group_stats(struct replica *replica, uint32_t group_count, struct kv_machine_stats *out_stats)
{
    *out_stats = (struct kv_machine_stats){0};
    for (uint32_t i = 0; i < group_count; i++) {
        struct kv_machine_stats one;
        struct replica *group = group_count > 1 ? replica_group(replica, i) : replica;
        kv_machine_stats(replica_machine(group), &one);
        add(out_stats, &one);
    }
}
