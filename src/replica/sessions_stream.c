/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions in checkpoints: in front of the machine's bytes, of the same moment. */
#include <endian.h>
#include <string.h>

#include "base/mutation.h"
#include "replica/sessions_internal.h"
#include "skein/error.h"
#include "store/table_stream.h"

#define MAGIC "SKEINSE1"
#define MAGIC_BYTES 8u
/* More than a record of SESSIONS_WINDOW sequences with all the bytes they may have. */
#define VALUE_BYTES_MAX (SESSIONS_REPLY_BYTES_MAX + 1024)

/* The machine captures its state before its first byte, and writing may suspend: so the sessions,
 * captured before, are written when that byte comes. */
struct save {
    struct replica_sink base;
    struct replica_sink *inner;
    struct store_table *table;
    struct store_snapshot *snapshot;
    bool written;
};

static int
write_inner(void *context, const void *data, size_t count)
{
    struct save *save = context;
    return save->inner->write(save->inner, data, count);
}

static int
write_sessions(struct save *save)
{
    /* No chunk, no key. */
    static const uint8_t nothing[12];
    save->written = true;
    int rc = write_inner(save, MAGIC, MAGIC_BYTES);
    if (rc == 0 && mutation_on(MUTATION_SESSIONS_FORGOTTEN))
        return write_inner(save, nothing, sizeof(nothing));
    return rc == 0 ? table_stream_save(save->table, save->snapshot, write_inner, save) : rc;
}

static int
write_machine(struct replica_sink *sink, const void *data, size_t count)
{
    struct save *save = BASE_CONTAINER_OF(sink, struct save, base);
    int rc = save->written ? 0 : write_sessions(save);
    return rc == 0 ? write_inner(save, data, count) : rc;
}

int
sessions_save(struct sessions *sessions, const struct replica_machine_ops *ops, void *machine,
              struct replica_sink *sink)
{
    struct store_table *table = sessions->table;
    struct save save = {.base.write = write_machine,
                        .inner = sink,
                        .table = table,
                        .snapshot = table->ops->snapshot_take(table)};
    int rc = ops->snapshot_save(machine, &save.base);
    if (rc == 0 && !save.written)
        rc = write_sessions(&save);
    table->ops->snapshot_release(save.snapshot);
    return rc;
}

struct loading {
    struct replica_source *source;
    struct sessions *sessions;
    uint64_t index_count;
};

static int
read_source(void *context, void *data, size_t count)
{
    struct loading *loading = context;
    return loading->source->read(loading->source, data, count);
}

/* The sessions come before the index: each entry of the index belongs to one, and there are as many
 * of these as of those. */
static int
check_entry(void *context, struct bytes key, struct bytes value)
{
    struct loading *loading = context;
    struct sessions *sessions = loading->sessions;
    if (key.count == 9 && key.data[0] == 's') {
        if (sessions_record_decode(value, &sessions->record) < 0)
            return -SKEIN_ECORRUPT;
        sessions->stats.count++;
        sessions->stats.reply_bytes += sessions_record_reply_bytes(&sessions->record);
        bool fits = sessions->stats.count <= SESSIONS_COUNT_MAX &&
                    sessions->stats.reply_bytes <= SESSIONS_REPLY_BYTES_ALL_MAX;
        return fits ? 0 : -SKEIN_ECORRUPT;
    }
    uint8_t session_key[9] = {'s'};
    struct bytes record = {0};
    uint64_t expiry_ms;
    if (key.count != 17 || key.data[0] != 'x' || value.count)
        return -SKEIN_ECORRUPT;
    memcpy(&expiry_ms, key.data + 1, 8);
    memcpy(session_key + 1, key.data + 9, 8);
    loading->index_count++;
    int rc = sessions->table->ops->get(sessions->table, session_key, 9, &record);
    if (rc == 0)
        rc = sessions_record_decode(record, &sessions->record);
    bool fits = rc == 0 && sessions->record.expiry_ms == be64toh(expiry_ms);
    bytes_unref(&record);
    return fits ? 0 : -SKEIN_ECORRUPT;
}

static void
empty_all(struct sessions *sessions)
{
    sessions->table->ops->clear(sessions->table);
    sessions->stats.count = sessions->stats.reply_bytes = sessions->soonest_ms = 0;
}

static int
load_sessions(struct sessions *sessions, struct replica_source *source)
{
    const struct table_stream_limits limits = {.key_bytes_max = SESSIONS_KEY_BYTES_MAX,
                                               .value_bytes_max = VALUE_BYTES_MAX};
    struct loading loading = {.source = source, .sessions = sessions};
    uint8_t magic[MAGIC_BYTES];
    int rc = source->read(source, magic, MAGIC_BYTES);
    if (rc == 0 && memcmp(magic, MAGIC, MAGIC_BYTES) != 0)
        rc = -SKEIN_EFORMAT;
    if (rc == 0)
        rc = table_stream_load(sessions->table, &limits, read_source, check_entry, &loading);
    if (rc == 0 && loading.index_count != sessions->stats.count)
        rc = -SKEIN_ECORRUPT;
    return rc;
}

int
sessions_load(struct sessions *sessions, const struct replica_machine_ops *ops, void *machine,
              struct replica_source *source)
{
    empty_all(sessions);
    int rc = load_sessions(sessions, source);
    return rc == 0 ? ops->snapshot_load(machine, source) : rc;
}
