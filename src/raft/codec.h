/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_CODEC_H
#define RAFT_CODEC_H

#include "base/bytes.h"
#include "base/wire.h"
#include "raft/confchange.h"
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

/* Who takes part; it travels with a snapshot. Decoding refuses what is not valid
 * (raft_config_valid). */
void raft_encode_config(struct wire_writer *out, const struct raft_config *config);
int raft_decode_config(struct wire_reader *in, struct raft_config *out_config) SKEIN_MUST_CHECK;

/* raft_encode_conf_change - the data of an entry of type RAFT_ENTRY_CONFIG (@change->v1) or
 * RAFT_ENTRY_CONFIG_V2. */
void raft_encode_conf_change(struct wire_writer *out, const struct raft_conf_change *change);
/* raft_decode_conf_change - @type, @data: the entry's. **Ownership**: the context is borrowed from
 * @data. **Returns** 0; -SKEIN_EPROTO: no change looks like this (@out_change is then undefined).
 */
int raft_decode_conf_change(enum raft_entry_type type, struct bytes data,
                            struct raft_conf_change *out_change) SKEIN_MUST_CHECK;

#endif
