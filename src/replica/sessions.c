/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/sessions.h"

#include <endian.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "replica/sessions_internal.h"
#include "skein/error.h"

/* Removed at one command at the most, so that a crowd of them is spread over many. */
#define EXPIRE_COUNT_MAX 16

static size_t
key_of(uint8_t key[SESSIONS_KEY_BYTES_MAX], uint64_t id)
{
    uint64_t big = htobe64(id);
    key[0] = 's';
    memcpy(key + 1, &big, 8);
    return 9;
}

static size_t
index_key_of(uint8_t key[SESSIONS_KEY_BYTES_MAX], uint64_t expiry_ms, uint64_t id)
{
    uint64_t big = htobe64(expiry_ms);
    key[0] = 'x';
    memcpy(key + 1, &big, 8);
    big = htobe64(id);
    memcpy(key + 9, &big, 8);
    return 17;
}

static void
put(struct sessions *sessions, const uint8_t *key, size_t key_bytes, struct bytes value)
{
    if (sessions->table->ops->put(sessions->table, key, key_bytes, value))
        mem_exhausted("out of memory while a committed command was applied");
}

static void
take_out(struct sessions *sessions, const uint8_t *key, size_t key_bytes)
{
    int rc = sessions->table->ops->remove(sessions->table, key, key_bytes);
    skein_assert(rc == 0);
}

struct bytes
sessions_encode(uint64_t id, uint64_t sequence, const void *command, size_t count)
{
    struct bytes_buf *buf = bytes_new(SESSIONS_HEAD_BYTES + count);
    wire_store(buf->data, id, 8);
    wire_store(buf->data + 8, sequence, 8);
    if (count)
        memcpy(buf->data + SESSIONS_HEAD_BYTES, command, count);
    return bytes_of(buf, SESSIONS_HEAD_BYTES + count);
}

int
sessions_open(struct sessions **out_sessions)
{
    struct sessions *sessions = mem_zalloc(sizeof(*sessions));
    int rc = store_memtable_open(&sessions->table);
    if (rc < 0)
        mem_free(sessions);
    else
        *out_sessions = sessions;
    return rc;
}

void
sessions_close(struct sessions *sessions)
{
    if (!sessions)
        return;
    sessions->table->ops->close(sessions->table);
    wire_writer_deinit(&sessions->scratch);
    mem_free(sessions);
}

/* Into sessions->record, whose views then lie in the table's value: 0 or -SKEIN_ENOTFOUND. */
static int
look_up(struct sessions *sessions, uint64_t id, struct bytes *out_value)
{
    uint8_t key[SESSIONS_KEY_BYTES_MAX];
    int rc = sessions->table->ops->get(sessions->table, key, key_of(key, id), out_value);
    if (rc < 0)
        return rc;
    rc = sessions_record_decode(*out_value, &sessions->record);
    skein_assert(rc == 0);
    return 0;
}

/* sessions->record becomes the session's. */
static void
write_back(struct sessions *sessions, uint64_t id)
{
    uint8_t key[SESSIONS_KEY_BYTES_MAX];
    sessions_record_encode(&sessions->scratch, &sessions->record);
    struct bytes value = bytes_copy(sessions->scratch.data, sessions->scratch.count);
    put(sessions, key, key_of(key, id), value);
    bytes_unref(&value);
}

/* The session of sessions->record goes. */
static void
drop(struct sessions *sessions, uint64_t id)
{
    uint8_t key[SESSIONS_KEY_BYTES_MAX];
    take_out(sessions, key, index_key_of(key, sessions->record.expiry_ms, id));
    take_out(sessions, key, key_of(key, id));
    sessions->stats.reply_bytes -= sessions_record_reply_bytes(&sessions->record);
    sessions->stats.count--;
}

/* The session whose time is over first. */
static bool
first_to_go(struct sessions *sessions, uint64_t *out_expiry_ms, uint64_t *out_id)
{
    struct store_cursor *cursor = sessions->table->ops->cursor_open(sessions->table, NULL, "x", 1);
    struct bytes key, value;
    bool found = sessions->table->ops->cursor_next(cursor, &key, &value) == 0;
    if (found) {
        memcpy(out_expiry_ms, key.data + 1, 8);
        memcpy(out_id, key.data + 9, 8);
        *out_expiry_ms = be64toh(*out_expiry_ms);
        *out_id = be64toh(*out_id);
    }
    sessions->table->ops->cursor_close(cursor);
    return found;
}

static void
drop_first(struct sessions *sessions, uint64_t id)
{
    struct bytes value = {0};
    int rc = look_up(sessions, id, &value);
    skein_assert(rc == 0);
    drop(sessions, id);
    bytes_unref(&value);
    sessions->stats.expired++;
}

static void
expire(struct sessions *sessions, uint64_t time_ms)
{
    uint64_t expiry_ms = 0, id;
    if (time_ms < sessions->soonest_ms)
        return;
    for (uint32_t i = 0; i < EXPIRE_COUNT_MAX && expiry_ms <= time_ms; i++) {
        if (!first_to_go(sessions, &expiry_ms, &id))
            expiry_ms = UINT64_MAX;
        else if (expiry_ms <= time_ms)
            drop_first(sessions, id);
    }
    sessions->soonest_ms = expiry_ms;
}

/* When sessions->record was used last, or up to an eighth of its ttl before that. */
static bool
is_idle(const struct sessions_record *record, uint64_t time_ms)
{
    uint64_t used_ms = record->expiry_ms - record->ttl_ms - record->ttl_ms / 8;
    return time_ms >= used_ms + record->ttl_ms / 8 + SESSIONS_IDLE_MS;
}

static int
make_room(struct sessions *sessions, uint64_t time_ms)
{
    uint64_t expiry_ms, id;
    struct bytes value = {0};
    if (sessions->stats.count < SESSIONS_COUNT_MAX)
        return 0;
    bool found = first_to_go(sessions, &expiry_ms, &id);
    skein_assert(found);
    int rc = look_up(sessions, id, &value);
    skein_assert(rc == 0);
    bool idle = is_idle(&sessions->record, time_ms);
    bytes_unref(&value);
    if (!idle)
        return -SKEIN_EBUSY;
    drop_first(sessions, id);
    return 0;
}

static void
move_expiry(struct sessions *sessions, uint64_t id, uint64_t time_ms)
{
    struct sessions_record *record = &sessions->record;
    uint8_t key[SESSIONS_KEY_BYTES_MAX];
    if (record->expiry_ms)
        take_out(sessions, key, index_key_of(key, record->expiry_ms, id));
    record->expiry_ms = time_ms + record->ttl_ms + record->ttl_ms / 8;
    if (record->expiry_ms < sessions->soonest_ms)
        sessions->soonest_ms = record->expiry_ms;
    put(sessions, key, index_key_of(key, record->expiry_ms, id), (struct bytes){0});
}

/* A session that is there already was opened by an earlier copy of the same command. */
static int
open_one(struct sessions *sessions, uint64_t id, struct bytes body, uint64_t time_ms)
{
    struct bytes value = {0};
    uint64_t ttl_ms = body.count == 8 ? wire_load(body.data, 8) : 0;
    if (ttl_ms < SESSIONS_TTL_MS_MIN || ttl_ms > SESSIONS_TTL_MS_MAX)
        return -SKEIN_EINVALID;
    int rc = look_up(sessions, id, &value);
    bytes_unref(&value);
    if (rc == 0)
        return 0;
    rc = make_room(sessions, time_ms);
    if (rc < 0)
        return rc;
    sessions->record = (struct sessions_record){.ttl_ms = ttl_ms};
    move_expiry(sessions, id, time_ms);
    write_back(sessions, id);
    sessions->stats.count++;
    sessions->stats.opened++;
    return 0;
}

static int
close_one(struct sessions *sessions, uint64_t id)
{
    struct bytes value = {0};
    if (look_up(sessions, id, &value) == 0)
        drop(sessions, id);
    bytes_unref(&value);
    return 0;
}

/* A write in a session; @out_kept as in sessions_take. */
static int
take_write(struct sessions *sessions, uint64_t id, uint64_t sequence, uint64_t time_ms,
           struct bytes *out_kept)
{
    struct sessions_record *record = &sessions->record;
    struct bytes value = {0};
    int rc = look_up(sessions, id, &value);
    if (rc < 0 || record->expiry_ms <= time_ms) {
        bytes_unref(&value);
        return -SKEIN_ESESSION;
    }
    const struct sessions_kept *kept = sessions_record_find(record, sequence);
    bool repeated = kept || sequence <= record->floor;
    sessions->stats.repeated += repeated;
    if (kept && kept->has_reply)
        *out_kept = bytes_copy(kept->reply.data, kept->reply.count);
    bool has_reply = kept && kept->has_reply;
    if (record->expiry_ms - time_ms < record->ttl_ms) {
        move_expiry(sessions, id, time_ms);
        write_back(sessions, id);
    }
    bytes_unref(&value);
    sessions->taken_id = id;
    sessions->taken_sequence = sequence;
    if (repeated)
        return has_reply ? 0 : -SKEIN_EREPEATED;
    return 1;
}

int
sessions_take(struct sessions *sessions, struct bytes data, uint64_t time_ms,
              struct bytes *out_command, struct bytes *out_kept)
{
    *out_kept = (struct bytes){0};
    expire(sessions, time_ms);
    if (data.count < SESSIONS_HEAD_BYTES)
        return -SKEIN_EINVALID;
    uint64_t id = wire_load(data.data, 8), sequence = wire_load(data.data + 8, 8);
    struct bytes body = {.buf = data.buf,
                         .data = data.data + SESSIONS_HEAD_BYTES,
                         .count = data.count - SESSIONS_HEAD_BYTES};
    *out_command = body;
    if (id == 0)
        return -SKEIN_EINVALID;
    if (sequence == SESSIONS_OPEN)
        return open_one(sessions, id, body, time_ms);
    if (sequence == SESSIONS_CLOSE)
        return close_one(sessions, id);
    return take_write(sessions, id, sequence, time_ms, out_kept);
}

void
sessions_keep(struct sessions *sessions, const void *reply, size_t count)
{
    struct bytes value = {0};
    struct sessions_kept kept = {.sequence = sessions->taken_sequence};
    int rc = look_up(sessions, sessions->taken_id, &value);
    skein_assert(rc == 0);
    uint64_t before = sessions_record_reply_bytes(&sessions->record);
    if (count <= SESSIONS_REPLY_BYTES_MAX &&
        count <= SESSIONS_REPLY_BYTES_ALL_MAX - sessions->stats.reply_bytes) {
        kept.has_reply = true;
        kept.reply = bytes_borrow(reply, count);
    }
    sessions_record_add(&sessions->record, &kept);
    sessions->stats.reply_bytes += sessions_record_reply_bytes(&sessions->record) - before;
    write_back(sessions, sessions->taken_id);
    bytes_unref(&value);
}

void
sessions_stats(const struct sessions *sessions, struct sessions_stats *out_stats)
{
    *out_stats = sessions->stats;
}

uint32_t
sessions_checksum(struct sessions *sessions)
{
    struct store_cursor *cursor = sessions->table->ops->cursor_open(sessions->table, NULL, "", 0);
    struct bytes key, value;
    uint32_t sum = 0;
    while (sessions->table->ops->cursor_next(cursor, &key, &value) == 0) {
        uint8_t counts[16];
        wire_store(counts, key.count, 8);
        wire_store(counts + 8, value.count, 8);
        sum = crc32c(sum, counts, sizeof(counts));
        sum = crc32c(sum, key.data, key.count);
        sum = crc32c(sum, value.data, value.count);
    }
    sessions->table->ops->cursor_close(cursor);
    return sum;
}
