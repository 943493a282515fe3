/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_CODEC_H
#define RAFT_CODEC_H

#include "base/bytes.h"
#include "base/wire.h"
#include "raft/raft.h"

/*
 * Bytes of messages, entries and configurations (docs/design/0003-peer-protocol.md). Little-endian,
 * fixed layouts, no padding. Decoders accept any bytes and never read past their end.
 */

/* raft_encode_message - append the bytes to @out. Never fails. */
void raft_encode_message(struct wire_writer *out, const struct raft_message *message);
/*
 * raft_decode_message - @frame holds exactly one message; entries' data are slices of @frame
 * (references).
 * **Ownership**: raft_message_deinit @out_message. **Returns** 0;
 * -SKEIN_EPROTO: not a message (and @out_message is empty); -SKEIN_ENOMEM: no memory for its
 * entries.
 */
int raft_decode_message(struct bytes frame, struct raft_message *out_message) SKEIN_MUST_CHECK;

/* Members, ascending; also stored beside a snapshot. Decoding refuses disorder, repetition and
 * RAFT_NONE. */
void raft_encode_config(struct wire_writer *out, const struct raft_config *config);
int raft_decode_config(struct wire_reader *in, struct raft_config *out_config) SKEIN_MUST_CHECK;
void raft_encode_config_change(struct wire_writer *out, const struct raft_config_change *change);
int raft_decode_config_change(struct bytes data,
                              struct raft_config_change *out_change) SKEIN_MUST_CHECK;

#endif
