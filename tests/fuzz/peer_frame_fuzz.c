/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: what a peer's connection may bring. Bytes become frames, a first frame is a hello,
 * each payload a message of some kind, a raft message among them. Frames are rebuilt around each
 * payload so that the checksum does not stand between the fuzzer and the decoders.
 */
#include <stdint.h>

#include "base/wire.h"
#include "replica/envelope.h"
#include "replica/link_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void
try_payload(const uint8_t *data, size_t count)
{
    struct bytes payload = bytes_copy(data, count);
    struct link_hello hello;
    (void)!link_hello_decode(payload, &hello);
    (void)!envelope_check(payload);
    bytes_unref(&payload);
}

static void
try_stream(const uint8_t *data, size_t count)
{
    struct link_frame_parser parser = {.limit_bytes = 1u << 20};
    struct bytes payload;
    while (link_frame_feed(&parser, &data, &count, &payload) == 1) {
        try_payload(payload.data, payload.count);
        bytes_unref(&payload);
    }
    link_frame_parser_deinit(&parser);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count == 0)
        return 0;
    try_stream(data, count);
    struct wire_writer out = {0};
    wire_put_space(&out, LINK_FRAME_HEADER_BYTES);
    wire_put_raw(&out, data, count);
    link_frame_header(out.data, data, count);
    try_stream(out.data, out.count);
    wire_writer_deinit(&out);
    return 0;
}
