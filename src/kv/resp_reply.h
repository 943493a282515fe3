/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_RESP_REPLY_H
#define KV_RESP_REPLY_H

#include <stddef.h>
#include <stdint.h>

#include "kv/client.h"

/*
 * The RESP2 reply parser of the client: pure, in two passes.
 *
 *   bytes --> kv_reply_scan: where does one whole reply end? (incremental) --> kv_reply_build
 *
 * Nothing is allocated before all of the reply has been received, so what a server claims costs
 * nothing. Limits: arrays nest at most KV_REPLY_DEPTH_MAX deep; a reply has at most the given
 * bytes.
 */

#define KV_REPLY_DEPTH_MAX 16

/* Zeroed: at the start of a reply. */
struct kv_reply_scan {
    size_t position;
    size_t scanned;                    /* no newline before here */
    uint32_t depth;                    /* arrays that are open */
    uint64_t left[KV_REPLY_DEPTH_MAX]; /* elements to come, of each */
};

/*
 * kv_reply_scan - look for the end of the reply that starts at @data; call again with more bytes.
 * **Returns** 1: it ends at @scan->position; 0: more bytes are needed; -SKEIN_EPROTO;
 * -SKEIN_ETOOBIG: larger than @reply_bytes_max.
 */
int kv_reply_scan(struct kv_reply_scan *scan, const uint8_t *data, size_t count,
                  size_t reply_bytes_max) SKEIN_MUST_CHECK;

/*
 * kv_reply_build - the reply in the @count bytes that kv_reply_scan accepted.
 * **Ownership**: kv_reply_deinit frees @out_reply. **Returns** 0 or -SKEIN_ENOMEM.
 */
int kv_reply_build(const uint8_t *data, size_t count, struct kv_reply *out_reply) SKEIN_MUST_CHECK;

#endif
