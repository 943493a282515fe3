/* SPDX-License-Identifier: Apache-2.0 */
/* Before commands are carried out: the keys they are about are looked at all together. */
#include "kv/exec.h"
#include "kv/machine_internal.h"
#include "skein/error.h"

/* Handed to the table at once, and what of a key counts. */
#define PREFETCH_KEYS_MAX 64u
#define PREFETCH_KEY_BYTES_MAX 64u

static void
visit_command(const struct kv_arg *argv, uint32_t argc, kv_machine_key_fn *visit, void *owner)
{
    const struct kv_command *command = kv_data_command_find(argv[0]);
    if (!command || command->key_step == 0 || !kv_command_arity_ok(command, argc))
        return;
    uint32_t last = command->last_key < 0 ? argc - 1 : (uint32_t)command->last_key;
    for (uint32_t i = (uint32_t)command->first_key; i <= last; i += (uint32_t)command->key_step)
        visit(owner, argv[i]);
}

void
kv_machine_each_key(struct machine *machine, const struct bytes *commands, size_t count,
                    kv_machine_key_fn *visit, void *owner)
{
    for (size_t i = 0; i < count; i++) {
        struct kv_batch_reader reader;
        uint32_t argc;
        int rc = kv_batch_open(&reader, commands[i]);
        while (rc == 0) {
            rc = kv_batch_next(&reader, &machine->argv, &machine->argv_capacity, &argc);
            if (rc == 0)
                visit_command(machine->argv, argc, visit, owner);
        }
    }
}

struct prefetching {
    struct store_table *table;
    struct bytes keys[PREFETCH_KEYS_MAX];
    uint8_t room[PREFETCH_KEYS_MAX][PREFETCH_KEY_BYTES_MAX];
    size_t count;
};

static void
prefetch(struct prefetching *prefetching)
{
    prefetching->table->ops->prefetch(prefetching->table, prefetching->keys, prefetching->count);
    prefetching->count = 0;
}

static void
add_key(void *owner, struct kv_arg key)
{
    struct prefetching *prefetching = owner;
    uint8_t *room = prefetching->room[prefetching->count];
    size_t bytes = kv_keyspace_table_key_begin(key, room, PREFETCH_KEY_BYTES_MAX);
    prefetching->keys[prefetching->count++] = bytes_borrow(room, bytes);
    if (prefetching->count == PREFETCH_KEYS_MAX)
        prefetch(prefetching);
}

bool
kv_machine_prepare(void *opaque, const struct bytes *commands, size_t count)
{
    struct machine *machine = kv_machine_of(opaque);
    struct prefetching prefetching;
    prefetching.table = machine->keys.table;
    prefetching.count = 0;
    kv_machine_each_key(machine, commands, count, add_key, &prefetching);
    if (prefetching.count > 0)
        prefetch(&prefetching);
    return false;
}
