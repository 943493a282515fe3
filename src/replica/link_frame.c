/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/link_frame.h"

#include <string.h>

#include "base/crc32c.h"
#include "base/wire.h"
#include "skein/error.h"

#define GROW_FROM_BYTES ((size_t)64 << 10)

static const uint8_t magic[8] = {'S', 'K', 'E', 'I', 'N', 'P', 'E', 'R'};

void
link_frame_header(uint8_t out_header[LINK_FRAME_HEADER_BYTES], const void *payload, size_t count)
{
    wire_store(out_header, count, 4);
    wire_store(out_header + 4, crc32c(0, payload, count), 4);
}

static size_t
min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int
make_room(struct link_frame_parser *parser, size_t want)
{
    size_t capacity = parser->buf ? parser->buf->capacity_bytes : 0;
    if (parser->buf && parser->count < capacity)
        return 0;
    size_t next = capacity ? capacity * 2 : GROW_FROM_BYTES;
    struct bytes_buf *buf = bytes_try_new(min_size(next, want));
    if (!buf)
        return -SKEIN_ENOMEM;
    if (parser->buf) {
        memcpy(buf->data, parser->buf->data, parser->count);
        struct bytes old = bytes_of(parser->buf, parser->count);
        bytes_unref(&old);
    }
    parser->buf = buf;
    return 0;
}

static void
take(void *to, const uint8_t **data, size_t *count, size_t take_count)
{
    memcpy(to, *data, take_count);
    *data += take_count;
    *count -= take_count;
}

int
link_frame_feed(struct link_frame_parser *parser, const uint8_t **data, size_t *count,
                struct bytes *out_payload)
{
    if (parser->header_count < LINK_FRAME_HEADER_BYTES) {
        size_t n = min_size(*count, LINK_FRAME_HEADER_BYTES - parser->header_count);
        if (n)
            take(parser->header + parser->header_count, data, count, n);
        parser->header_count += (uint32_t)n;
        if (parser->header_count < LINK_FRAME_HEADER_BYTES)
            return 0;
    }
    size_t want = (size_t)wire_load(parser->header, 4);
    if (want == 0 || want > parser->limit_bytes)
        return -SKEIN_ETOOBIG;
    while (parser->count<want && * count> 0) {
        if (make_room(parser, want) < 0)
            return -SKEIN_ENOMEM;
        size_t n = min_size(*count, parser->buf->capacity_bytes - parser->count);
        take(parser->buf->data + parser->count, data, count, n);
        parser->count += n;
    }
    if (parser->count < want)
        return 0;
    if (crc32c(0, parser->buf->data, want) != wire_load(parser->header + 4, 4))
        return -SKEIN_ECORRUPT;
    *out_payload = bytes_of(parser->buf, want);
    parser->buf = NULL;
    parser->count = 0;
    parser->header_count = 0;
    return 1;
}

void
link_frame_parser_deinit(struct link_frame_parser *parser)
{
    if (parser->buf) {
        struct bytes rest = bytes_of(parser->buf, parser->count);
        bytes_unref(&rest);
    }
    parser->buf = NULL;
    parser->count = 0;
    parser->header_count = 0;
}

void
link_hello_encode(struct wire_writer *out, const struct link_hello *hello)
{
    size_t name_bytes = strlen(hello->name);
    wire_put_raw(out, magic, sizeof magic);
    wire_put_u16(out, LINK_HELLO_VERSION);
    wire_put_u32(out, hello->from);
    wire_put_u32(out, hello->to);
    wire_put_u8(out, (uint8_t)name_bytes);
    wire_put_raw(out, hello->name, name_bytes);
}

int
link_hello_decode(struct bytes payload, struct link_hello *out_hello)
{
    struct link_hello hello = {0};
    struct wire_reader in = wire_reader_of(payload.data, payload.count);
    const uint8_t *got = wire_get_raw(&in, sizeof magic);
    if (!got || memcmp(got, magic, sizeof magic) != 0)
        return -SKEIN_EPROTO;
    if (wire_get_u16(&in) != LINK_HELLO_VERSION)
        return -SKEIN_EFORMAT;
    hello.from = wire_get_u32(&in);
    hello.to = wire_get_u32(&in);
    uint8_t name_bytes = wire_get_u8(&in);
    const uint8_t *name = wire_get_raw(&in, name_bytes);
    if (!wire_done(&in) || name_bytes == 0 || name_bytes >= sizeof hello.name)
        return -SKEIN_EPROTO;
    memcpy(hello.name, name, name_bytes);
    *out_hello = hello;
    return 0;
}

const char *
link_verdict_text(enum link_verdict verdict)
{
    switch (verdict) {
    case LINK_WELCOME:
        return "welcome";
    case LINK_WRONG_VERSION:
        return "it speaks another version of the peer protocol";
    case LINK_WRONG_CLUSTER:
        return "it belongs to a cluster of another name";
    case LINK_WRONG_NODE:
        return "its node number, or the one it expects here, is not the configured one";
    case LINK_VERDICT_END:
        break;
    }
    return "it gave an unknown answer";
}
