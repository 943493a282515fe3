/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "replica/sessions_internal.h"
#include "skein/error.h"

#define NOT_KEPT UINT32_MAX

int
sessions_record_decode(struct bytes value, struct sessions_record *out_record)
{
    struct wire_reader in = wire_reader_of(value.data, value.count);
    out_record->expiry_ms = wire_get_u64(&in);
    out_record->ttl_ms = wire_get_u64(&in);
    out_record->floor = wire_get_u64(&in);
    out_record->count = wire_get_u32(&in);
    out_record->value = value;
    if (in.failed || out_record->count > SESSIONS_WINDOW ||
        out_record->ttl_ms < SESSIONS_TTL_MS_MIN || out_record->ttl_ms > SESSIONS_TTL_MS_MAX)
        return -SKEIN_ECORRUPT;
    uint64_t last = out_record->floor;
    for (uint32_t i = 0; i < out_record->count; i++) {
        struct sessions_kept *kept = &out_record->kept[i];
        *kept = (struct sessions_kept){.sequence = wire_get_u64(&in)};
        uint32_t count = wire_get_u32(&in);
        kept->has_reply = count != NOT_KEPT;
        if (kept->has_reply)
            kept->reply = bytes_borrow(wire_get_raw(&in, count), count);
        if (in.failed || kept->sequence <= last || kept->sequence == SESSIONS_CLOSE)
            return -SKEIN_ECORRUPT;
        last = kept->sequence;
    }
    bool fits = sessions_record_reply_bytes(out_record) <= SESSIONS_REPLY_BYTES_MAX;
    return wire_done(&in) && fits ? 0 : -SKEIN_ECORRUPT;
}

void
sessions_record_encode(struct wire_writer *out, const struct sessions_record *record)
{
    out->count = 0;
    wire_put_u64(out, record->expiry_ms);
    wire_put_u64(out, record->ttl_ms);
    wire_put_u64(out, record->floor);
    wire_put_u32(out, record->count);
    for (uint32_t i = 0; i < record->count; i++) {
        const struct sessions_kept *kept = &record->kept[i];
        wire_put_u64(out, kept->sequence);
        wire_put_u32(out, kept->has_reply ? (uint32_t)kept->reply.count : NOT_KEPT);
        if (kept->has_reply)
            wire_put_raw(out, kept->reply.data, kept->reply.count);
    }
}

uint64_t
sessions_record_reply_bytes(const struct sessions_record *record)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < record->count; i++)
        bytes += record->kept[i].reply.count;
    return bytes;
}

const struct sessions_kept *
sessions_record_find(const struct sessions_record *record, uint64_t sequence)
{
    for (uint32_t i = record->count; i > 0; i--)
        if (record->kept[i - 1].sequence == sequence)
            return &record->kept[i - 1];
    return NULL;
}

static void
drop_lowest(struct sessions_record *record)
{
    record->floor = record->kept[0].sequence;
    record->count--;
    memmove(record->kept, record->kept + 1, record->count * sizeof(record->kept[0]));
}

void
sessions_record_add(struct sessions_record *record, const struct sessions_kept *kept)
{
    skein_assert(kept->sequence > record->floor && record->count <= SESSIONS_WINDOW);
    skein_assert(kept->reply.count <= SESSIONS_REPLY_BYTES_MAX);
    uint32_t at = record->count;
    for (; at > 0 && record->kept[at - 1].sequence > kept->sequence; at--)
        record->kept[at] = record->kept[at - 1];
    record->kept[at] = *kept;
    record->count++;
    while (record->count > SESSIONS_WINDOW ||
           sessions_record_reply_bytes(record) > SESSIONS_REPLY_BYTES_MAX)
        drop_lowest(record);
}
