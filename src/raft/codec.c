/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/codec.h"
#include "raft/internal.h"

/*
 *   message: type u8, reject u8, from, to, term, index, log_term, commit, reject_hint, context (u64
 * each), then RAFT_SNAPSHOT, RAFT_STORAGE_APPENDED: snapshot; RAFT_APPEND, RAFT_PROPOSE: count u32,
 * entries
 *   entry:   type u8, term u64, index u64, count u32, data
 *   config:  codec_config.c
 */
#define ENTRY_HEAD_BYTES 21

static bool
has_snapshot(enum raft_message_type type)
{
    return type == RAFT_SNAPSHOT || type == RAFT_STORAGE_APPENDED;
}

static bool
has_entries(enum raft_message_type type)
{
    return type == RAFT_APPEND || type == RAFT_PROPOSE;
}

static void
encode_entries(struct wire_writer *out, const struct raft_message *m)
{
    skein_assert(m->entry_count <= UINT32_MAX);
    wire_put_u32(out, (uint32_t)m->entry_count);
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        skein_assert(e->data.count <= UINT32_MAX);
        wire_put_u8(out, (uint8_t)e->type);
        wire_put_u64(out, e->term);
        wire_put_u64(out, e->index);
        wire_put_u32(out, (uint32_t)e->data.count);
        wire_put_raw(out, e->data.data, e->data.count);
    }
}

void
raft_encode_message(struct wire_writer *out, const struct raft_message *m)
{
    wire_put_u8(out, (uint8_t)m->type);
    wire_put_u8(out, m->reject);
    wire_put_u64(out, m->from);
    wire_put_u64(out, m->to);
    wire_put_u64(out, m->term);
    wire_put_u64(out, m->index);
    wire_put_u64(out, m->log_term);
    wire_put_u64(out, m->commit);
    wire_put_u64(out, m->reject_hint);
    wire_put_u64(out, m->context);
    if (has_snapshot(m->type)) {
        static const struct raft_snapshot none;
        const struct raft_snapshot *snapshot = m->snapshot ? m->snapshot : &none;
        wire_put_u64(out, snapshot->index);
        wire_put_u64(out, snapshot->term);
        raft_encode_config(out, &snapshot->config);
    } else if (has_entries(m->type)) {
        encode_entries(out, m);
    }
}

static int
decode_entries(struct wire_reader *in, struct bytes frame, struct raft_message *m)
{
    uint32_t count = wire_get_u32(in);
    if (in->failed || count > wire_left(in) / ENTRY_HEAD_BYTES)
        return -SKEIN_EPROTO;
    if (!count)
        return 0;
    m->entries = mem_try_alloc(count * sizeof(*m->entries));
    if (!m->entries)
        return -SKEIN_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct raft_entry e = {0};
        uint8_t type = wire_get_u8(in);
        e.type = (enum raft_entry_type)type;
        e.term = wire_get_u64(in);
        e.index = wire_get_u64(in);
        uint32_t bytes = wire_get_u32(in);
        const uint8_t *data = wire_get_raw(in, bytes);
        if (in->failed || type >= RAFT_ENTRY_TYPE_END)
            return -SKEIN_EPROTO;
        e.data = bytes_slice(frame, (size_t)(data - frame.data), bytes);
        m->entries[m->entry_count++] = e;
    }
    return 0;
}

static int
decode(struct bytes frame, struct raft_message *m)
{
    struct wire_reader in = wire_reader_of(frame.data, frame.count);
    uint8_t type = wire_get_u8(&in);
    uint8_t reject = wire_get_u8(&in);
    if (in.failed || type == 0 || type >= RAFT_MESSAGE_TYPE_END || reject > 1)
        return -SKEIN_EPROTO;
    m->type = (enum raft_message_type)type;
    m->reject = reject;
    m->from = wire_get_u64(&in);
    m->to = wire_get_u64(&in);
    m->term = wire_get_u64(&in);
    m->index = wire_get_u64(&in);
    m->log_term = wire_get_u64(&in);
    m->commit = wire_get_u64(&in);
    m->reject_hint = wire_get_u64(&in);
    m->context = wire_get_u64(&in);
    int rc = 0;
    if (has_snapshot(m->type)) {
        m->snapshot = mem_zalloc(sizeof(*m->snapshot));
        m->snapshot->index = wire_get_u64(&in);
        m->snapshot->term = wire_get_u64(&in);
        rc = raft_decode_config(&in, &m->snapshot->config);
    } else if (has_entries(m->type)) {
        rc = decode_entries(&in, frame, m);
    }
    if (rc)
        return rc;
    return wire_done(&in) ? 0 : -SKEIN_EPROTO;
}

int
raft_decode_message(struct bytes frame, struct raft_message *out_message)
{
    struct raft_message m = {0};
    int rc = decode(frame, &m);
    if (rc) {
        raft_message_deinit(&m);
        m = (struct raft_message){0};
    }
    *out_message = m;
    return rc;
}
