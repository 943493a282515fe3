/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_BATCH_H
#define KV_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/wire.h"

/*
 * A batch: what a client's pipeline becomes on its way to the machine, one replica command.
 * (docs/design/0006-kv-commands.md)
 *
 *   u8 version = 1 | u32 key_bytes_max | u32 value_bytes_max | u32 reply_bytes_max |
 *   u32 count | count x ( u32 argc | argc x ( u32 bytes | bytes ) )
 *
 * The reply to a batch is the RESP2 replies of its commands, one after another, ready to be sent.
 * Each command is atomic; a batch is applied without another batch in between.
 *
 * **Limits.** Whether a write takes place depends on them, so they cannot be each member's own: the
 * node that makes a batch writes its limits into it, and every member carries the batch out under
 * those. A batch that names more than the maxima below is no batch.
 */

struct kv_limits {
    uint64_t key_bytes_max;   /* 64 KiB */
    uint64_t value_bytes_max; /* 1 MiB */
    uint64_t reply_bytes_max; /* 64 MiB: of one batch; a command whose reply would not fit is
                                 answered by an error */
};

/* What a node may ask for. A value and its expiry are one value of the table (store/table.h). */
#define KV_KEY_BYTES_MAX (64u << 10)
#define KV_VALUE_BYTES_MAX ((512u << 20) - 8)
#define KV_REPLY_BYTES_MAX (1u << 30)
/* kv_limits_ok - within the maxima. */
bool kv_limits_ok(const struct kv_limits *limits);

struct kv_arg {
    const uint8_t *data;
    size_t count;
};

#define KV_BATCH_VERSION 1
/* Arguments of one command at the most. */
#define KV_ARGC_MAX (1u << 20)

/* kv_batch_begin - an empty batch in @out. @limits: of the node that makes it, kv_limits_ok. */
void kv_batch_begin(struct wire_writer *out, const struct kv_limits *limits);
void kv_batch_add(struct wire_writer *out, const struct kv_arg *argv, uint32_t argc);
/* kv_batch_count - commands so far in a batch under construction. */
uint32_t kv_batch_count(const struct wire_writer *out);

/* Decoding: bytes from a peer or the log. */
struct kv_batch_reader {
    struct wire_reader in;
    struct kv_limits limits;
    uint32_t left;
};
/* kv_batch_open - -SKEIN_EPROTO: not a batch. */
int kv_batch_open(struct kv_batch_reader *reader, struct bytes batch) SKEIN_MUST_CHECK;
/* kv_batch_next - 0 and the next command's arguments (views into the batch, in *@argv, grown with
 * mem_realloc; the caller frees it), -SKEIN_ENOTFOUND at the end, -SKEIN_EPROTO. */
int kv_batch_next(struct kv_batch_reader *reader, struct kv_arg **argv, size_t *argv_capacity,
                  uint32_t *out_argc) SKEIN_MUST_CHECK;

#endif
