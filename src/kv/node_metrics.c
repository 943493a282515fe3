/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/node_metrics.h"

#include "kv/group_stats.h"
#include "replica/replica.h"
#include "skein/metrics.h"
#include "skein/shard.h"

static struct kv_machine_stats
stats_of(const void *object)
{
    struct kv_machine_stats stats;
    /* The registry keeps its objects const; the machines are only looked at. */
    struct replica *replica = (struct replica *)(uintptr_t)object;
    kv_group_stats(replica, replica_group_count(replica), &stats);
    return stats;
}

static int64_t
read_keys(const void *object)
{
    return (int64_t)stats_of(object).key_count;
}

static int64_t
read_expiring(const void *object)
{
    return (int64_t)stats_of(object).expiring_key_count;
}

static int64_t
read_expired(const void *object)
{
    return (int64_t)stats_of(object).expired_total;
}

static int64_t
read_applied(const void *object)
{
    return (int64_t)stats_of(object).commands_total;
}

static int64_t
read_memory(const void *object)
{
    return (int64_t)stats_of(object).table.memory_bytes;
}

static int64_t
read_data(const void *object)
{
    return (int64_t)stats_of(object).table.data_bytes;
}

static int64_t
read_file(const void *object)
{
    return (int64_t)stats_of(object).disk.file_bytes;
}

static int64_t
read_unwritten(const void *object)
{
    struct store_disk_stats disk = stats_of(object).disk;
    return (int64_t)(disk.active_bytes + disk.frozen_bytes);
}

static int64_t
read_flushes(const void *object)
{
    return (int64_t)stats_of(object).disk.flush_total;
}

static int64_t
read_warmed(const void *object)
{
    return (int64_t)stats_of(object).disk.warm_total;
}

static int64_t
read_slow(const void *object)
{
    return (int64_t)stats_of(object).disk.slow_read_total;
}

/* With a table on disk (store/table.h). */
static const struct skein_metric disk_rows[] = {
    {"skein_kv_table_file_bytes", "The table's file.", SKEIN_GAUGE, .read = read_file},
    {"skein_kv_table_unwritten_bytes", "Memory of changes that are not in the file yet.",
     SKEIN_GAUGE, .read = read_unwritten},
    {"skein_kv_table_flushes_total", "Transactions that wrote changes to the file.", SKEIN_COUNTER,
     .read = read_flushes},
    {"skein_kv_table_warmed_total", "Keys that a helper thread read ahead.", SKEIN_COUNTER,
     .read = read_warmed},
    {"skein_kv_table_slow_reads_total", "Reads of the file that held the shard up.", SKEIN_COUNTER,
     .read = read_slow},
};

static const struct skein_metric rows[] = {
    {"skein_kv_keys", "Keys in the store.", SKEIN_GAUGE, .read = read_keys},
    {"skein_kv_keys_expiring", "Keys with an expiry.", SKEIN_GAUGE, .read = read_expiring},
    {"skein_kv_keys_expired_total", "Keys removed because they expired.", SKEIN_COUNTER,
     .read = read_expired},
    {"skein_kv_commands_applied_total", "Commands carried out by the state machine.", SKEIN_COUNTER,
     .read = read_applied},
    {"skein_kv_memory_bytes", "Memory of the table.", SKEIN_GAUGE, .read = read_memory},
    {"skein_kv_data_bytes", "Keys and values in the table.", SKEIN_GAUGE, .read = read_data},
};

void
kv_node_metrics_open(struct replica *replica)
{
    (void)!skein_metrics_add(skein_shard_metrics(), replica, rows, BASE_COUNT_OF(rows), NULL, 0);
    if (stats_of(replica).on_disk)
        (void)!skein_metrics_add(skein_shard_metrics(), replica, disk_rows,
                                 BASE_COUNT_OF(disk_rows), NULL, 0);
}
