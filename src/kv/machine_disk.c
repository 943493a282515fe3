/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/wire.h"
#include "kv/exec.h"
#include "kv/machine_internal.h"
#include "skein/error.h"

#define NOTE_VERSION 1
#define NOTE_HEAD_BYTES 33u
/* A value is stored behind its key's hash and before its expiry: one read ahead for each key. */
#define WARM_KEYS_MAX 4096u

int
kv_machine_persist(void *opaque, struct bytes note)
{
    struct machine *machine = kv_machine_of(opaque);
    struct store_table *table = machine->keys.table;
    struct wire_writer out = {0};
    if (machine->keys.failure)
        return machine->keys.failure;
    wire_put_u8(&out, NOTE_VERSION);
    wire_put_u64(&out, machine->keys.time_ms);
    wire_put_u64(&out, machine->keys.expired_total);
    wire_put_u64(&out, machine->commands_total);
    wire_put_u64(&out, machine->keys.expiring_count);
    skein_assert(out.count == NOTE_HEAD_BYTES);
    wire_put_raw(&out, note.data, note.count);
    int rc = table->ops->disk->persist(table, bytes_borrow(out.data, out.count));
    wire_writer_deinit(&out);
    return rc;
}

int
kv_machine_note(void *opaque, struct bytes *out_note)
{
    struct store_table *table = kv_machine_of(opaque)->keys.table;
    struct bytes note;
    int rc = table->ops->disk->note(table, &note);
    if (rc < 0)
        return rc;
    if (note.count >= NOTE_HEAD_BYTES)
        *out_note = bytes_slice(note, NOTE_HEAD_BYTES, note.count - NOTE_HEAD_BYTES);
    else
        rc = -SKEIN_ECORRUPT;
    bytes_unref(&note);
    return rc;
}

int
kv_machine_restore(struct machine *machine)
{
    struct store_table *table = machine->keys.table;
    struct bytes note;
    int rc = table->ops->disk->note(table, &note);
    if (rc < 0)
        return rc;
    struct wire_reader in = wire_reader_of(note.data, note.count);
    uint8_t version = wire_get_u8(&in);
    machine->keys.time_ms = wire_get_u64(&in);
    machine->keys.expired_total = wire_get_u64(&in);
    machine->commands_total = wire_get_u64(&in);
    machine->keys.expiring_count = wire_get_u64(&in);
    rc = in.failed ? -SKEIN_ECORRUPT : version == NOTE_VERSION ? 0 : -SKEIN_EFORMAT;
    bytes_unref(&note);
    return rc;
}

/* The table keys that a batch's commands read. */
struct warming {
    struct bytes keys[WARM_KEYS_MAX];
    size_t count;
    struct wire_writer room; /* of the keys' bytes */
    size_t at[WARM_KEYS_MAX];
};

static void
add_key(struct warming *warming, struct kv_arg key)
{
    if (warming->count == WARM_KEYS_MAX || key.count > KV_KEY_BYTES_MAX)
        return;
    warming->at[warming->count] = warming->room.count;
    size_t bytes = kv_keyspace_table_key(
        key, wire_put_space(&warming->room, KEYSPACE_KEY_HEAD_BYTES + key.count));
    warming->keys[warming->count++].count = bytes;
}

static void
add_command(struct warming *warming, const struct kv_arg *argv, uint32_t argc)
{
    const struct kv_command *command = kv_data_command_find(argv[0]);
    if (!command || command->key_step == 0 || !kv_command_arity_ok(command, argc))
        return;
    uint32_t last = command->last_key < 0 ? argc - 1 : (uint32_t)command->last_key;
    for (uint32_t i = (uint32_t)command->first_key; i <= last; i += (uint32_t)command->key_step)
        add_key(warming, argv[i]);
}

static void
add_batch(struct machine *machine, struct warming *warming, struct bytes batch)
{
    struct kv_batch_reader reader;
    uint32_t argc;
    int rc = kv_batch_open(&reader, batch);
    while (rc == 0) {
        rc = kv_batch_next(&reader, &machine->argv, &machine->argv_capacity, &argc);
        if (rc == 0)
            add_command(warming, machine->argv, argc);
    }
}

bool
kv_machine_prepare(void *opaque, const struct bytes *commands, size_t count)
{
    struct machine *machine = kv_machine_of(opaque);
    struct store_table *table = machine->keys.table;
    int rc = table->ops->disk->relieve(table);
    if (rc < 0 && machine->keys.failure == 0)
        machine->keys.failure = rc;
    if (!table->ops->disk->is_cold(table))
        return rc > 0;
    struct warming *warming = mem_zalloc(sizeof(*warming));
    for (size_t i = 0; i < count; i++)
        add_batch(machine, warming, commands[i]);
    for (size_t i = 0; i < warming->count; i++)
        warming->keys[i].data = warming->room.data + warming->at[i];
    table->ops->disk->warm(table, warming->keys, warming->count);
    wire_writer_deinit(&warming->room);
    mem_free(warming);
    return rc > 0;
}
