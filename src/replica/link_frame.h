/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_LINK_FRAME_H
#define REPLICA_LINK_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Frames on a byte stream between two nodes: pure, for link_tcp and its fuzzer.
 *
 *   u32 bytes | u32 crc32c of the payload | payload
 *
 * A frame has 1 to `limit_bytes` bytes. Memory grows with the bytes that have arrived, not with
 * what a header claims. Each payload gets a buffer of its own: a log entry that is kept keeps
 * nothing else alive.
 */

#define LINK_FRAME_HEADER_BYTES 8u

/* Zeroed with a limit set is a parser at the start of a stream. */
struct link_frame_parser {
    uint32_t limit_bytes;
    uint8_t header[LINK_FRAME_HEADER_BYTES];
    uint32_t header_count;
    struct bytes_buf *buf;
    size_t count;
};

/*
 * link_frame_feed - take bytes off the front of (*data, *count) up to the end of one frame.
 * **Ownership**: bytes_unref @out_payload when 1 comes back.
 * **Returns** 1: a frame; 0: all bytes are taken, more have to follow; -SKEIN_ETOOBIG: an empty or
 * too large frame; -SKEIN_ECORRUPT: its checksum is wrong; -SKEIN_ENOMEM. After a failure the
 * stream is of no use.
 */
int link_frame_feed(struct link_frame_parser *parser, const uint8_t **data, size_t *count,
                    struct bytes *out_payload) SKEIN_MUST_CHECK;
void link_frame_parser_deinit(struct link_frame_parser *parser);
void link_frame_header(uint8_t out_header[LINK_FRAME_HEADER_BYTES], const void *payload,
                       size_t count);

/* The first frame of a dialler. u64 magic | u16 version | u32 from | u32 to | u8 name bytes | name
 */
#define LINK_HELLO_BYTES_MAX 128u
#define LINK_HELLO_VERSION 3u /* 1: nothing came back on a connection */
struct link_hello {
    uint32_t from;
    uint32_t to;
    char name[65];
};
struct wire_writer;
void link_hello_encode(struct wire_writer *out, const struct link_hello *hello);
/* link_hello_decode - -SKEIN_EPROTO: not a hello; -SKEIN_EFORMAT: of another version. */
int link_hello_decode(struct bytes payload, struct link_hello *out_hello) SKEIN_MUST_CHECK;

/* The answer, one byte. */
enum link_verdict {
    LINK_WELCOME,
    LINK_WRONG_VERSION,
    LINK_WRONG_CLUSTER,
    LINK_WRONG_NODE,
    LINK_VERDICT_END
};
const char *link_verdict_text(enum link_verdict verdict);

#endif
