/* SPDX-License-Identifier: Apache-2.0 */
#include "core/internal.h"
#include "core/pool.h"
#include "skein/metrics.h"

static int64_t
read_uptime(const void *object)
{
    const struct skein_shard *shard = object;
    return (int64_t)(shard->backend->ops->now_ns(shard->backend) - shard->stats.opened_ns);
}

static int64_t
read_timers(const void *object)
{
    return (int64_t)((const struct skein_shard *)object)->timers.count;
}

/* A shard that never allocated has no heap. */
static const struct skein_memory_stats *
memory_of(const void *object)
{
    static const struct skein_memory_stats none;
    const struct skein_shard *shard = object;
    return shard->pool ? &shard->pool->stats : &none;
}

#define READ_MEMORY(FIELD)                          \
    static int64_t read_##FIELD(const void *object) \
    {                                               \
        return (int64_t)memory_of(object)->FIELD;   \
    }
READ_MEMORY(used_bytes)
READ_MEMORY(held_bytes)
READ_MEMORY(alloc_count)
READ_MEMORY(free_count)
READ_MEMORY(remote_free_count)
READ_MEMORY(refused_count)

static const struct skein_metric memory_rows[] = {
    {"skein_memory_used_bytes", "In objects of the shard's heap.", SKEIN_GAUGE,
     .read = read_used_bytes},
    {"skein_memory_held_bytes", "What the heap has taken from the machine.", SKEIN_GAUGE,
     .read = read_held_bytes},
    {"skein_memory_allocations_total", "Objects allocated.", SKEIN_COUNTER,
     .read = read_alloc_count},
    {"skein_memory_frees_total", "Objects freed.", SKEIN_COUNTER, .read = read_free_count},
    {"skein_memory_remote_frees_total", "Of these, by another shard.", SKEIN_COUNTER,
     .read = read_remote_free_count},
    {"skein_memory_refused_total", "Allocations refused: the heap's limit.", SKEIN_COUNTER,
     .read = read_refused_count},
};

static const struct skein_metric rows[] = {
    {"skein_fibers", "Fibers that live.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_shard, fiber_count)},
    {"skein_fibers_spawned_total", "Fibers started.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.spawns)},
    {"skein_fiber_switches_total", "Times a fiber was switched to.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.switches)},
    {"skein_shard_turns_total", "Rounds of the shard: fibers, completions, timers.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.turns)},
    {"skein_shard_sleep_seconds_total", "Time in which the shard waited for something to happen.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_shard, stats.sleep_ns), .decimals = 9},
    {"skein_shard_uptime_seconds", "Time since the shard was opened.", SKEIN_GAUGE, .decimals = 9,
     .read = read_uptime, .merge = SKEIN_MERGE_MAX},
    {"skein_timers", "Timers armed.", SKEIN_GAUGE, .read = read_timers},
    {"skein_timers_fired_total", "Deadlines that passed while a fiber waited.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.timers_fired)},
    {"skein_futures", "Futures that somebody holds or that are pending.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_shard, stats.futures_live)},
    {"skein_futures_made_total", "Futures made, those that others derive included.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.futures_made)},
    {"skein_futures_failed_total", "Futures that ended in an error or were cancelled.",
     SKEIN_COUNTER, SKEIN_FIELD(struct skein_shard, stats.futures_failed)},
    {"skein_children", "Child processes that are open.", SKEIN_GAUGE,
     SKEIN_FIELD(struct skein_shard, stats.children_live)},
    {"skein_children_started_total", "Child processes started.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.children_started)},
    {"skein_children_failed_total", "Child processes that could not be started.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.children_failed)},
    {"skein_signals_total", "Signals delivered as events.", SKEIN_COUNTER,
     SKEIN_FIELD(struct skein_shard, stats.signals)},
};

static const struct skein_metric op_row = {"skein_io_operations_total",
                                           "Operations handed to the backend, by kind.",
                                           SKEIN_COUNTER, 0, sizeof(uint64_t)};

static const struct skein_metric errors_row = {
    "skein_io_errors_total", "Operations that ended in an error, by kind (cancelled ones: none).",
    SKEIN_COUNTER, 0, sizeof(uint64_t)};

static const struct skein_metric bytes_row = {"skein_io_bytes_total",
                                              "Bytes read, written, received and sent.",
                                              SKEIN_COUNTER, 0, sizeof(uint64_t)};

static const char *const op_names[SHARD_OP_KINDS] = {
    [BACKEND_OPEN] = "open",
    [BACKEND_CLOSE] = "close",
    [BACKEND_READ] = "read",
    [BACKEND_WRITE] = "write",
    [BACKEND_SYNC] = "sync",
    [BACKEND_ALLOCATE] = "allocate",
    [BACKEND_TRUNCATE] = "truncate",
    [BACKEND_STAT] = "stat",
    [BACKEND_RENAME] = "rename",
    [BACKEND_UNLINK] = "unlink",
    [BACKEND_MKDIR] = "mkdir",
    [BACKEND_LIST] = "list",
    [BACKEND_LOCK] = "lock",
    [BACKEND_LISTEN] = "listen",
    [BACKEND_LOCAL] = "local",
    [BACKEND_ACCEPT] = "accept",
    [BACKEND_CONNECT] = "connect",
    [BACKEND_RECV] = "recv",
    [BACKEND_SEND] = "send",
    [BACKEND_SHUTDOWN] = "shutdown",
    [BACKEND_SET_OPTIONS] = "set_options",
    [BACKEND_GET_OPTION] = "get_option",
    [BACKEND_PEER] = "peer",
    [BACKEND_CREDENTIALS] = "credentials",
    [BACKEND_DATAGRAM] = "datagram",
    [BACKEND_JOIN] = "join",
    [BACKEND_LEAVE] = "leave",
    [BACKEND_SEND_MESSAGES] = "send_messages",
    [BACKEND_RECV_MESSAGES] = "recv_messages",
    [BACKEND_POLL] = "poll",
    [BACKEND_WORK] = "work",
    [BACKEND_ALIGNMENT] = "alignment",
    [BACKEND_SEND_FILE] = "send_file",
    [BACKEND_MAP] = "map",
    [BACKEND_WATCH_OPEN] = "watch_open",
    [BACKEND_WATCH_ADD] = "watch_add",
    [BACKEND_WATCH_REMOVE] = "watch_remove",
    [BACKEND_WATCH_READ] = "watch_read",
};

static int
add_operations(struct skein_shard *shard)
{
    int rc = 0;
    for (size_t i = 0; i < SHARD_OP_KINDS && rc == 0; i++) {
        struct skein_label label = {"kind", op_names[i]};
        skein_assert(op_names[i] != NULL);
        rc = skein_metrics_add(shard->metrics, &shard->stats.ops[i], &op_row, 1, &label, 1);
        if (rc == 0)
            rc = skein_metrics_add(shard->metrics, &shard->stats.op_errors[i], &errors_row, 1,
                                   &label, 1);
        if (rc == 0 && (SHARD_OP_MOVES_BYTES >> i & 1))
            rc = skein_metrics_add(shard->metrics, &shard->stats.op_bytes[i], &bytes_row, 1, &label,
                                   1);
    }
    return rc;
}

static const struct skein_metric wait_rows[] = {
    {"skein_waits_total", "Times a fiber had to wait, by what for.", SKEIN_COUNTER,
     SKEIN_FIELD(struct wait_stats, count)},
    {"skein_waits_given_up_total", "Of these, ended by a deadline or a cancellation.",
     SKEIN_COUNTER, SKEIN_FIELD(struct wait_stats, gave_up)},
    {"skein_wait_seconds_total", "Time waited; what ends in the turn it began in counts nothing.",
     SKEIN_COUNTER, SKEIN_FIELD(struct wait_stats, ns), .decimals = 9},
    {"skein_waiting", "Fibers that wait now.", SKEIN_GAUGE,
     SKEIN_FIELD(struct wait_stats, waiting)},
};

static const char *const wait_names[] = {
    [WAIT_ABORT] = "abort",
    [WAIT_BARRIER] = "barrier",
    [WAIT_CHANNEL] = "channel",
    [WAIT_COND] = "condition",
    [WAIT_FUTURE] = "future",
    [WAIT_GATE] = "gate",
    [WAIT_MUTEX] = "mutex",
    [WAIT_ONCE] = "once",
    [WAIT_READ_AHEAD] = "read_ahead",
    [WAIT_RWLOCK] = "rwlock",
    [WAIT_SEMAPHORE] = "semaphore",
    [WAIT_WAITGROUP] = "waitgroup",
    [WAIT_WRITE_BEHIND] = "write_behind",
};
_Static_assert(BASE_COUNT_OF(wait_names) == WAIT_KINDS, "a name for each");

static int
add_waits(struct skein_shard *shard)
{
    int rc = 0;
    for (size_t i = 0; i < WAIT_KINDS && rc == 0; i++) {
        struct skein_label label = {"on", wait_names[i]};
        rc = skein_metrics_add(shard->metrics, &shard->stats.waits[i], wait_rows,
                               BASE_COUNT_OF(wait_rows), &label, 1);
    }
    return rc;
}

void
shard_metrics_open(struct skein_shard *shard)
{
    shard->stats.opened_ns = shard->backend->ops->now_ns(shard->backend);
    shard->metrics = skein_metrics_open(NULL);
    int rc = skein_metrics_add(shard->metrics, shard, rows, BASE_COUNT_OF(rows), NULL, 0);
    if (rc == 0)
        rc = skein_metrics_add(shard->metrics, shard, memory_rows, BASE_COUNT_OF(memory_rows), NULL,
                               0);
    if (rc == 0)
        rc = stack_metrics_add(shard->stacks, shard->metrics);
    if (rc == 0)
        rc = add_operations(shard);
    if (rc == 0)
        rc = add_waits(shard);
    skein_assert(rc == 0);
}

struct skein_metrics *
skein_shard_metrics(void)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    return shard->metrics;
}
