/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_MACHINE_INTERNAL_H
#define KV_MACHINE_INTERNAL_H

#include "kv/keyspace.h"
#include "kv/machine.h"

/* The inside of the built-in machine, shared by kv/machine*.c. */

#define MACHINE_MAGIC 0x6b766d6163686e65u

struct machine {
    uint64_t magic;
    struct keyspace keys;
    uint64_t commands_total;
    struct kv_arg *argv;
    size_t argv_capacity;
};

struct machine *kv_machine_of(void *opaque);

/* machine.c: what it does on any table. */
void kv_machine_close(void *opaque);
void kv_machine_apply(void *opaque, const struct replica_command *command,
                      struct wire_writer *reply);
void kv_machine_query(void *opaque, const struct replica_command *command,
                      struct wire_writer *reply);
int kv_machine_snapshot_save(void *opaque, struct replica_sink *sink);
int kv_machine_snapshot_load(void *opaque, struct replica_source *source);

/* machine_prepare.c */
typedef void kv_machine_key_fn(void *owner, struct kv_arg key);
/* kv_machine_each_key - the keys that the commands of these batches name, in order; what cannot be
 * read is left out. */
void kv_machine_each_key(struct machine *machine, const struct bytes *commands, size_t count,
                         kv_machine_key_fn *visit, void *owner);
bool kv_machine_prepare(void *opaque, const struct bytes *commands, size_t count);

/* machine_disk.c: what it does on a table that keeps itself on disk. */
/*
 * The note of such a table: u8 version | u64 time_ms | u64 expired_total | u64 commands_total |
 * u64 expiring_count | the replica's note.
 */
/* kv_machine_restore - the machine's part of the note. 0; -SKEIN_ENOTFOUND: there is none;
 * -SKEIN_EFORMAT; a code of the table. */
int kv_machine_restore(struct machine *machine) SKEIN_MUST_CHECK;
bool kv_machine_disk_prepare(void *opaque, const struct bytes *commands, size_t count);
int kv_machine_persist(void *opaque, struct bytes note);
int kv_machine_note(void *opaque, struct bytes *out_note);

#endif
