/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_ENTRY_H
#define REPLICA_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * What a normal log entry of a replica holds: commands that were proposed together.
 *
 *   u64 log time in ms | u32 count | count x ( u32 bytes | command )
 *
 * The highest bit of bytes: the command is one in a session (replica/sessions.h). Little-endian; an
 * entry without any byte is a new leader's no-op. docs/design/0003-peer-protocol.md.
 */

#define ENTRY_HEADER_BYTES 12u
#define ENTRY_COMMAND_HEADER_BYTES 4u
#define ENTRY_IN_SESSION (UINT32_C(1) << 31)
/* Commands are put into one entry up to here; a single larger one gets an entry of its own. */
#define ENTRY_BYTES_MAX (1u << 20)

/* An entry under construction: its size is known before, so that its buffer is allocated once. */
struct entry_writer {
    struct bytes_buf *buf;
    size_t count;
};

void entry_begin(struct entry_writer *writer, size_t total_bytes, uint64_t time_ms, uint32_t count);
void entry_add(struct entry_writer *writer, struct bytes command, bool in_session);
/* entry_end - **Ownership**: the caller's reference. */
struct bytes entry_end(struct entry_writer *writer);

struct entry_reader {
    struct bytes data;
    size_t at;
    uint32_t left;
    uint64_t time_ms;
};

/* entry_open - **Returns** 0; -SKEIN_EPROTO: the bytes are no entry (all of them are checked here,
 * so that an entry is carried out whole or not at all, the same on every member). */
int entry_open(struct entry_reader *reader, struct bytes data) SKEIN_MUST_CHECK;
/* entry_next - the next command: a view without a reference of its own, in @data's buffer.
 * @reader->left > 0. */
struct bytes entry_next(struct entry_reader *reader, bool *out_in_session);
/* entry_time_ms - the log time of @data, 0 when it is too short to have one. */
uint64_t entry_time_ms(struct bytes data);

#endif
