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

/*
 * Versions of the protocol, so that a cluster goes over to a newer build node by node. Each side
 * says the range it speaks, and the two use the highest version that is in both:
 *
 *   dialler [3, 4] -- hello 4, from 3 ---> [3, 4]   welcome: 4
 *   dialler [3, 4] -- hello 4, from 3 ---> [3, 3]   another version (it knows no ranges)
 *                  -- hello 3 -----------> [3, 3]   welcome, on a new connection
 *   dialler [3, 4] -- hello 4, from 3 ---> [5, 6]   another version: 5 to 6
 *
 * 3: what there was before there were ranges: a hello of exactly this version, an answer of one
 *    byte. 4: the hello says what the oldest is, the answer which version it is. Every later hello
 *    begins like that of version 4.
 */
#define LINK_VERSION_MIN 3u /* 1: nothing came back on a connection; 2: no groups */
#define LINK_VERSION_MAX 4u
#define LINK_VERSION_RANGES 4u

struct link_versions {
    uint16_t min, max; /* from 1; both 0: not said */
};
/* link_versions_choose - the highest that is in both; 0: none. */
uint16_t link_versions_choose(struct link_versions ours, struct link_versions theirs);

/* The first frame of a dialler. u64 magic | u16 highest version | u32 from | u32 to |
 * u8 name bytes | name | from version 4 on: u16 lowest version, and what later ones add */
#define LINK_HELLO_BYTES_MAX 128u
struct link_hello {
    uint32_t from;
    uint32_t to;
    char name[65];
    struct link_versions versions;
};
struct wire_writer;
void link_hello_encode(struct wire_writer *out, const struct link_hello *hello);
/* link_hello_decode - -SKEIN_EPROTO: not a hello; -SKEIN_EFORMAT: of a version below
 * LINK_VERSION_MIN. */
int link_hello_decode(struct bytes payload, struct link_hello *out_hello) SKEIN_MUST_CHECK;

/* The answer. u8 verdict | to a hello of version 4 or later: u16 lowest | u16 highest version: of a
 * welcome both are the one that is used, else what the answering side speaks */
#define LINK_ANSWER_BYTES_MAX 5u
enum link_verdict {
    LINK_WELCOME,
    LINK_WRONG_VERSION,
    LINK_WRONG_CLUSTER,
    LINK_WRONG_NODE,
    LINK_VERDICT_END
};
const char *link_verdict_text(enum link_verdict verdict);
struct link_answer {
    enum link_verdict verdict;
    struct link_versions versions; /* {0, 0}: the answer is one byte */
};
/* link_answer_encode - **Returns** how many bytes of @out. */
size_t link_answer_encode(uint8_t out[LINK_ANSWER_BYTES_MAX], const struct link_answer *answer);
/* link_answer_decode - -SKEIN_EPROTO: not an answer. A verdict that this build does not know is
 * LINK_VERDICT_END. */
int link_answer_decode(struct bytes payload, struct link_answer *out_answer) SKEIN_MUST_CHECK;

#endif
