/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/node_metrics.h"

#include "kv/machine.h"
#include "replica/replica.h"
#include "skein/metrics.h"
#include "skein/shard.h"

static struct kv_machine_stats
stats_of(const void *object)
{
    struct kv_machine_stats stats;
    /* The registry keeps its objects const; the machine is only looked at. */
    kv_machine_stats(replica_machine((struct replica *)(uintptr_t)object), &stats);
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
}
