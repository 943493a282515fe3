/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/machine.h"

#include "base/crc32c.h"
#include "base/mem.h"
#include "kv/exec.h"
#include "kv/machine_internal.h"
#include "skein/error.h"
#include "store/table_stream.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_HEAD_BYTES 25
/* Removed before a batch at the most, so that a crowd of expiries is spread over many. */
#define EXPIRE_COUNT_MAX 64
/* A batch's arguments beyond this are not kept allocated for the next. */
#define ARGV_KEPT_MAX 4096
/* What the machine puts before a key and before a value. */
#define KEY_OVERHEAD_BYTES 9
#define VALUE_OVERHEAD_BYTES 8

_Static_assert(KV_KEY_BYTES_MAX <= STORE_KEY_BYTES_MAX - KEY_OVERHEAD_BYTES, "keys fit the table");
_Static_assert(KV_VALUE_BYTES_MAX + VALUE_OVERHEAD_BYTES <= STORE_VALUE_BYTES_MAX,
               "values fit the table");

struct machine *
kv_machine_of(void *opaque)
{
    struct machine *machine = opaque;
    skein_assert(machine->magic == MACHINE_MAGIC);
    return machine;
}

void
kv_machine_close(void *opaque)
{
    if (!opaque)
        return;
    struct machine *machine = kv_machine_of(opaque);
    kv_keyspace_deinit(&machine->keys);
    mem_free(machine->argv);
    machine->magic = 0;
    mem_free(machine);
}

/* Every command of the batch can be decoded: 0 or -SKEIN_EPROTO. */
static int
check_batch(struct machine *machine, struct bytes batch)
{
    struct kv_batch_reader reader;
    uint32_t argc;
    int rc = kv_batch_open(&reader, batch);
    while (rc == 0)
        rc = kv_batch_next(&reader, &machine->argv, &machine->argv_capacity, &argc);
    return rc == -SKEIN_ENOTFOUND ? 0 : rc;
}

static void
run_command(struct machine *machine, struct kv_exec *exec, uint32_t argc, bool may_write)
{
    const struct kv_arg *argv = machine->argv;
    const struct kv_command *command = kv_data_command_find(argv[0]);
    size_t reply_start = exec->out ? exec->out->count : 0;
    exec->command = command;
    exec->too_large = false;
    if (!command) {
        if (exec->out)
            kv_reply_unknown_command(exec->out, argv, argc);
    } else if (!kv_command_arity_ok(command, argc)) {
        if (exec->out)
            kv_reply_wrong_arity(exec->out, command);
    } else if (command->kind == KV_WRITE && !may_write) {
        kv_exec_error(exec, "ERR a command that writes was sent as a query");
    } else if (command->kind == KV_WRITE || exec->out) {
        command->exec(exec, argv, argc);
    }
    if (exec->too_large) {
        exec->out->count = reply_start;
        kv_exec_reply_too_large(exec);
    }
}

/* The commands that can be read; -SKEIN_EPROTO: there was one that cannot. */
static int
run_batch(struct machine *machine, struct bytes batch, struct wire_writer *reply, bool may_write)
{
    struct kv_batch_reader reader;
    uint32_t argc;
    int rc = kv_batch_open(&reader, batch);
    if (rc < 0)
        return rc;
    size_t start = reply ? reply->count : 0;
    struct kv_exec exec = {.keys = &machine->keys,
                           .limits = &reader.limits,
                           .out = reply,
                           .out_bytes_max = start + reader.limits.reply_bytes_max};
    while ((rc = kv_batch_next(&reader, &machine->argv, &machine->argv_capacity, &argc)) == 0) {
        run_command(machine, &exec, argc, may_write);
        machine->commands_total += may_write;
    }
    if (machine->argv_capacity > ARGV_KEPT_MAX) {
        mem_free(machine->argv);
        machine->argv = NULL;
        machine->argv_capacity = 0;
    }
    return rc == -SKEIN_ENOTFOUND ? 0 : rc;
}

static void
reply_unreadable(struct wire_writer *reply)
{
    if (reply)
        kv_reply_error(reply, "ERR the batch cannot be read");
}

/* All of it or nothing: it is read to its end before any of it is carried out. */
void
kv_machine_apply(void *opaque, const struct replica_command *command, struct wire_writer *reply)
{
    struct machine *machine = kv_machine_of(opaque);
    kv_keyspace_advance(&machine->keys, command->time_ms);
    kv_keyspace_expire(&machine->keys, EXPIRE_COUNT_MAX);
    if (check_batch(machine, command->data) < 0 ||
        run_batch(machine, command->data, reply, true) < 0)
        reply_unreadable(reply);
}

/* A query changes nothing: what cannot be read is found on the way. */
void
kv_machine_query(void *opaque, const struct replica_command *command, struct wire_writer *reply)
{
    struct machine *machine = kv_machine_of(opaque);
    size_t start = reply ? reply->count : 0;
    if (run_batch(machine, command->data, reply, false) == 0)
        return;
    if (reply)
        reply->count = start;
    reply_unreadable(reply);
}

static int
write_to_sink(void *context, const void *data, size_t count)
{
    struct replica_sink *sink = context;
    return sink->write(sink, data, count);
}

int
kv_machine_snapshot_save(void *opaque, struct replica_sink *sink)
{
    struct machine *machine = kv_machine_of(opaque);
    struct store_table *table = machine->keys.table;
    uint8_t head[SNAPSHOT_HEAD_BYTES] = {SNAPSHOT_VERSION};
    if (machine->keys.failure)
        return machine->keys.failure;
    wire_store(head + 1, machine->keys.time_ms, 8);
    wire_store(head + 9, machine->keys.expired_total, 8);
    wire_store(head + 17, machine->commands_total, 8);
    struct store_snapshot *snapshot = table->ops->snapshot_take(table);
    int rc = sink->write(sink, head, sizeof(head));
    if (rc == 0)
        rc = table_stream_save(table, snapshot, write_to_sink, sink);
    table->ops->snapshot_release(snapshot);
    return rc;
}

struct loading {
    struct machine *machine;
    struct replica_source *source;
    uint64_t expiring_count; /* 'k' entries with an expiry */
};

static int
read_from_source(void *context, void *data, size_t count)
{
    struct loading *loading = context;
    return loading->source->read(loading->source, data, count);
}

static int
check_loaded(void *context, struct bytes key, struct bytes value)
{
    struct loading *loading = context;
    struct store_table *table = loading->machine->keys.table;
    int rc = kv_keyspace_check_entry(&loading->machine->keys, key, value, &loading->expiring_count);
    if (rc == 0 && table->ops->disk)
        rc = table->ops->disk->relieve(table);
    return rc < 0 ? rc : 0;
}

static void
make_empty(struct machine *machine)
{
    kv_keyspace_clear(&machine->keys);
    machine->keys.time_ms = 0;
    machine->keys.counted_ms = 0;
    machine->keys.expired_total = 0;
    machine->commands_total = 0;
}

static int
load(struct machine *machine, struct replica_source *source)
{
    const struct table_stream_limits limits = {.key_bytes_max = STORE_KEY_BYTES_MAX,
                                               .value_bytes_max = STORE_VALUE_BYTES_MAX};
    struct loading loading = {.machine = machine, .source = source};
    uint8_t head[SNAPSHOT_HEAD_BYTES];
    int rc = source->read(source, head, sizeof(head));
    if (rc)
        return rc;
    if (head[0] != SNAPSHOT_VERSION)
        return -SKEIN_EFORMAT;
    rc = table_stream_load(machine->keys.table, &limits, read_from_source, check_loaded, &loading);
    if (rc)
        return rc;
    if (machine->keys.expiring_count != loading.expiring_count)
        return -SKEIN_ECORRUPT;
    machine->keys.time_ms = wire_load(head + 1, 8);
    machine->keys.expired_total = wire_load(head + 9, 8);
    machine->commands_total = wire_load(head + 17, 8);
    return 0;
}

int
kv_machine_snapshot_load(void *opaque, struct replica_source *source)
{
    struct machine *machine = kv_machine_of(opaque);
    make_empty(machine);
    int rc = load(machine, source);
    if (rc)
        make_empty(machine);
    return rc;
}

void
kv_machine_stats(void *opaque, struct kv_machine_stats *out_stats)
{
    struct machine *machine = kv_machine_of(opaque);
    struct keyspace *keys = &machine->keys;
    *out_stats = (struct kv_machine_stats){.expiring_key_count = keys->expiring_count,
                                           .expired_total = keys->expired_total,
                                           .commands_total = machine->commands_total};
    keys->table->ops->stats(keys->table, &out_stats->table);
    out_stats->on_disk = keys->table->ops->disk != NULL;
    if (out_stats->on_disk)
        keys->table->ops->disk->stats(keys->table, &out_stats->disk);
    out_stats->key_count = out_stats->table.key_count - keys->expiring_count;
}

uint64_t
kv_machine_next_expiry_ms(void *opaque)
{
    return kv_keyspace_next_expiry_ms(&kv_machine_of(opaque)->keys);
}

uint32_t
kv_machine_checksum(void *opaque)
{
    struct store_table *table = kv_machine_of(opaque)->keys.table;
    struct store_cursor *cursor = table->ops->cursor_open(table, NULL, "k", 1);
    struct bytes key, value;
    uint32_t sum = 0;
    while (table->ops->cursor_next(cursor, &key, &value) == 0) {
        uint8_t counts[16];
        wire_store(counts, key.count, 8);
        wire_store(counts + 8, value.count, 8);
        sum = crc32c(sum, counts, sizeof(counts));
        sum = crc32c(sum, key.data, key.count);
        sum = crc32c(sum, value.data, value.count);
    }
    table->ops->cursor_close(cursor);
    return sum;
}
