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

uint16_t
link_versions_choose(struct link_versions ours, struct link_versions theirs)
{
    uint16_t highest = ours.max < theirs.max ? ours.max : theirs.max;
    uint16_t lowest = ours.min > theirs.min ? ours.min : theirs.min;
    return highest >= lowest ? highest : 0;
}

void
link_hello_encode(struct wire_writer *out, const struct link_hello *hello)
{
    size_t name_bytes = strlen(hello->name);
    skein_assert(hello->versions.min >= 1);
    skein_assert(hello->versions.max >= hello->versions.min);
    wire_put_raw(out, magic, sizeof magic);
    wire_put_u16(out, hello->versions.max);
    wire_put_u32(out, hello->from);
    wire_put_u32(out, hello->to);
    wire_put_u8(out, (uint8_t)name_bytes);
    wire_put_raw(out, hello->name, name_bytes);
    if (hello->versions.max >= LINK_VERSION_RANGES)
        wire_put_u16(out, hello->versions.min);
}

int
link_hello_decode(struct bytes payload, struct link_hello *out_hello)
{
    struct link_hello hello = {0};
    struct wire_reader in = wire_reader_of(payload.data, payload.count);
    const uint8_t *got = wire_get_raw(&in, sizeof magic);
    if (!got || memcmp(got, magic, sizeof magic) != 0)
        return -SKEIN_EPROTO;
    hello.versions.max = hello.versions.min = wire_get_u16(&in);
    if (hello.versions.max < LINK_VERSION_MIN)
        return in.failed ? -SKEIN_EPROTO : -SKEIN_EFORMAT;
    hello.from = wire_get_u32(&in);
    hello.to = wire_get_u32(&in);
    uint8_t name_bytes = wire_get_u8(&in);
    const uint8_t *name = wire_get_raw(&in, name_bytes);
    if (hello.versions.max >= LINK_VERSION_RANGES)
        hello.versions.min = wire_get_u16(&in);
    bool whole = hello.versions.max > LINK_VERSION_MAX ? !in.failed : wire_done(&in);
    if (!whole || name_bytes == 0 || name_bytes >= sizeof hello.name || hello.versions.min == 0 ||
        hello.versions.min > hello.versions.max)
        return -SKEIN_EPROTO;
    memcpy(hello.name, name, name_bytes);
    *out_hello = hello;
    return 0;
}

size_t
link_answer_encode(uint8_t out[LINK_ANSWER_BYTES_MAX], const struct link_answer *answer)
{
    out[0] = (uint8_t)answer->verdict;
    if (answer->versions.max == 0)
        return 1;
    wire_store(out + 1, answer->versions.min, 2);
    wire_store(out + 3, answer->versions.max, 2);
    return LINK_ANSWER_BYTES_MAX;
}

int
link_answer_decode(struct bytes payload, struct link_answer *out_answer)
{
    struct link_answer answer = {0};
    struct wire_reader in = wire_reader_of(payload.data, payload.count);
    uint8_t verdict = wire_get_u8(&in);
    answer.verdict = verdict < LINK_VERDICT_END ? (enum link_verdict)verdict : LINK_VERDICT_END;
    if (payload.count > 1) {
        answer.versions.min = wire_get_u16(&in);
        answer.versions.max = wire_get_u16(&in);
        if (answer.versions.min == 0 || answer.versions.min > answer.versions.max)
            return -SKEIN_EPROTO;
    }
    if (!wire_done(&in))
        return -SKEIN_EPROTO;
    *out_answer = answer;
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
