/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints of a machine that keeps its state on disk itself (replica/machine.h). Its note is a
 * checkpoint file's header and the sessions, as in such a file: what is the replica's of a state.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "disk/checkpoint_block.h"
#include "disk/explain.h"
#include "replica/entry.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/shard.h"

/* In place of the machine: it writes its own state. */
static int
save_nothing(void *machine, struct replica_sink *sink)
{
    return 0;
}

static int
load_nothing(void *machine, struct replica_source *source)
{
    return 0;
}

static const struct replica_machine_ops no_machine = {
    .name = "none", .snapshot_save = save_nothing, .snapshot_load = load_nothing};

struct note_sink {
    struct replica_sink base;
    struct wire_writer out;
};

static int
write_note(struct replica_sink *sink, const void *data, size_t count)
{
    wire_put_raw(&BASE_CONTAINER_OF(sink, struct note_sink, base)->out, data, count);
    return 0;
}

struct note_source {
    struct replica_source base;
    struct wire_reader in;
};

static int
read_note(struct replica_source *source, void *data, size_t count)
{
    struct note_source *note = BASE_CONTAINER_OF(source, struct note_source, base);
    const uint8_t *bytes = wire_get_raw(&note->in, count);
    if (!bytes)
        return -SKEIN_EEOF;
    memcpy(data, bytes, count);
    return 0;
}

bool
persist_is_machines(const struct replica *replica)
{
    return replica->host->options.machine_ops->persist != NULL;
}

int
persist_take(struct replica *replica, const struct checkpoint_info *info)
{
    struct note_sink note = {.base.write = write_note};
    uint8_t unit[CHECKPOINT_UNIT_BYTES];
    replica->persist_wanted = false;
    replica->checkpoint_log_bytes = replica->log_bytes;
    checkpoint_header_encode(unit, info);
    wire_put_raw(&note.out, unit, sizeof unit);
    int rc = sessions_save(replica->sessions, &no_machine, NULL, &note.base);
    if (rc == 0)
        rc = replica->host->options.machine_ops->persist(
            replica->machine, bytes_borrow(note.out.data, note.out.count));
    wire_writer_deinit(&note.out);
    if (rc < 0) {
        char why[512];
        disk_explain(rc, "the state cannot be written any more in", replica->host->data_dir, why);
        host_fail(replica->host, rc, "%s", why);
    }
    return rc;
}

static int
read_state(struct replica *replica, struct bytes note, struct checkpoint_info *out_info)
{
    struct note_source source = {.base.read = read_note,
                                 .in = wire_reader_of(note.data, note.count)};
    struct roster roster = {0};
    uint32_t seed, version;
    const uint8_t *unit = wire_get_raw(&source.in, CHECKPOINT_UNIT_BYTES);
    if (!unit)
        return -SKEIN_ECORRUPT;
    int rc = checkpoint_header_decode(unit, out_info, &seed, &version);
    if (rc == 0 && memcmp(out_info->cluster, replica->host->identity.map.cluster, 16) != 0)
        rc = -SKEIN_EIDENTITY;
    if (rc == 0 && out_info->note_bytes)
        rc = roster_decode(bytes_borrow(out_info->note, out_info->note_bytes), &roster);
    if (rc == 0)
        rc = sessions_load(replica->sessions, &no_machine, NULL, &source.base);
    if (rc == 0 && !wire_done(&source.in))
        rc = -SKEIN_ECORRUPT;
    if (rc == 0)
        load_stand_at(replica, out_info, &roster);
    return rc;
}

int
persist_load(struct replica *replica, struct checkpoint_info *out_info, char out_why[512])
{
    struct bytes note = {0};
    if (!persist_is_machines(replica))
        return -SKEIN_ENOTFOUND;
    int rc = replica->host->options.machine_ops->note(replica->machine, &note);
    if (rc == 0)
        rc = read_state(replica, note, out_info);
    bytes_unref(&note);
    if (rc == -SKEIN_EIDENTITY)
        snprintf(out_why, 512,
                 "%.300s: the table belongs to another cluster than the rest of the directory; put "
                 "the right one back, or empty the directory to join again with a new disk",
                 replica->host->data_dir);
    else if (rc < 0 && rc != -SKEIN_ENOTFOUND)
        disk_explain(rc, "the table's note cannot be read in", replica->host->data_dir, out_why);
    return rc;
}

bool
persist_machine_failed(struct replica *replica)
{
    const struct replica_machine_ops *ops = replica->host->options.machine_ops;
    char why[512] = "";
    int rc = ops->failure ? ops->failure(replica->machine, why) : 0;
    if (rc < 0)
        host_fail(replica->host, rc, "%s", why);
    return rc < 0;
}

/* ---- prepare ---- */

static void
ahead_add(struct replica_ahead *ahead, struct bytes command)
{
    mem_grow(&ahead->list, &ahead->capacity, ahead->count, sizeof(ahead->list[0]));
    ahead->list[ahead->count++] = bytes_ref(command);
}

/* The references are needed: whoever asked may give up while the machine reads. */
static void
prepare(struct replica *replica)
{
    const struct replica_machine_ops *ops = replica->host->options.machine_ops;
    struct replica_ahead *ahead = &replica->host->ahead;
    if (ahead->count > 0 && ops->prepare(replica->machine, ahead->list, ahead->count)) {
        replica->persist_wanted = true;
        checkpoint_signal(replica);
    }
    for (size_t i = 0; i < ahead->count; i++)
        bytes_unref(&ahead->list[i]);
    ahead->count = 0;
}

static void
add_entry(struct replica_ahead *ahead, const struct raft_entry *entry)
{
    struct entry_reader reader;
    if (entry->type != RAFT_ENTRY_NORMAL || entry->data.count == 0 ||
        entry_open(&reader, entry->data) < 0)
        return;
    while (reader.left > 0) {
        bool in_session;
        struct bytes command = entry_next(&reader, &in_session);
        if (in_session && command.count < SESSIONS_HEAD_BYTES)
            continue;
        size_t head = in_session ? SESSIONS_HEAD_BYTES : 0;
        command.data += head;
        command.count -= head;
        ahead_add(ahead, command);
    }
}

void
persist_prepare_entry(struct replica *replica, const struct raft_entry *entry)
{
    if (!replica->host->options.machine_ops->prepare)
        return;
    add_entry(&replica->host->ahead, entry);
    prepare(replica);
}

void
persist_prepare_reads(struct replica *replica)
{
    if (!replica->host->options.machine_ops->prepare)
        return;
    list_for_each (link, &replica->reads) {
        struct read_batch *batch = LIST_ENTRY(link, struct read_batch, link);
        if (batch->index == 0 || batch->index > replica->applied_index)
            continue;
        list_for_each (one, &batch->requests)
            ahead_add(&replica->host->ahead, LIST_ENTRY(one, struct request, link)->command);
    }
    prepare(replica);
}
