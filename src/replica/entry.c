/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/entry.h"

#include <string.h>

#include "base/wire.h"
#include "skein/error.h"

void
entry_begin(struct entry_writer *writer, size_t total_bytes, uint64_t time_ms, uint32_t count)
{
    skein_assert(total_bytes >= ENTRY_HEADER_BYTES);
    writer->buf = bytes_new(total_bytes);
    wire_store(writer->buf->data, time_ms, 8);
    wire_store(writer->buf->data + 8, count, 4);
    writer->count = ENTRY_HEADER_BYTES;
}

void
entry_add(struct entry_writer *writer, struct bytes command, bool in_session)
{
    skein_assert(command.count < ENTRY_IN_SESSION);
    skein_assert(writer->buf->capacity_bytes - writer->count >=
                 command.count + ENTRY_COMMAND_HEADER_BYTES);
    uint8_t *at = writer->buf->data + writer->count;
    wire_store(at, command.count | (in_session ? ENTRY_IN_SESSION : 0), 4);
    if (command.count)
        memcpy(at + ENTRY_COMMAND_HEADER_BYTES, command.data, command.count);
    writer->count += ENTRY_COMMAND_HEADER_BYTES + command.count;
}

struct bytes
entry_end(struct entry_writer *writer)
{
    struct bytes data = bytes_of(writer->buf, writer->count);
    writer->buf = NULL;
    return data;
}

int
entry_open(struct entry_reader *reader, struct bytes data)
{
    struct wire_reader in = wire_reader_of(data.data, data.count);
    uint64_t time_ms = wire_get_u64(&in);
    uint32_t count = wire_get_u32(&in);
    for (uint32_t i = 0; i < count && !in.failed; i++)
        wire_get_raw(&in, wire_get_u32(&in) & ~ENTRY_IN_SESSION);
    if (!wire_done(&in))
        return -SKEIN_EPROTO;
    *reader = (struct entry_reader){
        .data = data, .at = ENTRY_HEADER_BYTES, .left = count, .time_ms = time_ms};
    return 0;
}

struct bytes
entry_next(struct entry_reader *reader, bool *out_in_session)
{
    skein_assert(reader->left > 0);
    uint32_t head = (uint32_t)wire_load(reader->data.data + reader->at, 4);
    size_t count = head & ~ENTRY_IN_SESSION;
    *out_in_session = head & ENTRY_IN_SESSION;
    struct bytes command = {.buf = reader->data.buf,
                            .data = reader->data.data + reader->at + ENTRY_COMMAND_HEADER_BYTES,
                            .count = count};
    reader->at += ENTRY_COMMAND_HEADER_BYTES + count;
    reader->left--;
    return command;
}

uint64_t
entry_time_ms(struct bytes data)
{
    return data.count >= ENTRY_HEADER_BYTES ? wire_load(data.data, 8) : 0;
}
