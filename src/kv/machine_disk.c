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

/* The table keys that are to be read. */
struct warming {
    struct bytes keys[WARM_KEYS_MAX];
    size_t count;
    struct wire_writer room; /* of the keys' bytes */
    size_t at[WARM_KEYS_MAX];
};

static void
add_key(void *owner, struct kv_arg key)
{
    struct warming *warming = owner;
    if (warming->count == WARM_KEYS_MAX || key.count > KV_KEY_BYTES_MAX)
        return;
    warming->at[warming->count] = warming->room.count;
    size_t bytes = kv_keyspace_table_key(
        key, wire_put_space(&warming->room, KEYSPACE_KEY_HEAD_BYTES + key.count));
    warming->keys[warming->count++].count = bytes;
}

bool
kv_machine_disk_prepare(void *opaque, const struct bytes *commands, size_t count)
{
    struct machine *machine = kv_machine_of(opaque);
    struct store_table *table = machine->keys.table;
    int rc = table->ops->disk->relieve(table);
    if (rc < 0 && machine->keys.failure == 0)
        machine->keys.failure = rc;
    if (!table->ops->disk->is_cold(table))
        return rc > 0;
    struct warming *warming = mem_zalloc(sizeof(*warming));
    kv_machine_each_key(machine, commands, count, add_key, warming);
    for (size_t i = 0; i < warming->count; i++)
        warming->keys[i].data = warming->room.data + warming->at[i];
    table->ops->disk->warm(table, warming->keys, warming->count);
    wire_writer_deinit(&warming->room);
    mem_free(warming);
    return rc > 0;
}
