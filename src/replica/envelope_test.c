/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: bytes of peers are decoded whole or refused; an id is taken once; an entry gives back what
 * was put in; frames come out of any cut of the stream, and a broken one ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/prng.h"
#include "raft/codec.h"
#include "replica/entry.h"
#include "replica/envelope.h"
#include "replica/link_frame.h"
#include "replica/window.h"
#include "skein/error.h"

static void
test_window(void **state)
{
    (void)state;
    struct window *window = mem_zalloc(sizeof *window);
    assert_true(window_take(window, 5));
    assert_false(window_take(window, 5));
    assert_true(window_take(window, 4));
    assert_true(window_take(window, 5 + WINDOW_IDS - 1));
    assert_false(window_take(window, 5));
    assert_true(window_take(window, 6));
    assert_false(window_take(window, 4));
    assert_true(window_take(window, 10 * WINDOW_IDS));
    assert_false(window_take(window, 7));
    assert_true(window_take(window, 10 * WINDOW_IDS - 1));
    assert_false(window_take(window, 10 * WINDOW_IDS));
    mem_free(window);
}

static void
test_entry(void **state)
{
    (void)state;
    struct entry_writer writer;
    struct entry_reader reader;
    entry_begin(&writer, ENTRY_HEADER_BYTES + 3 * 4 + 5, 77, 3);
    entry_add(&writer, bytes_borrow("abc", 3), false);
    entry_add(&writer, bytes_borrow("", 0), true);
    entry_add(&writer, bytes_borrow("de", 2), true);
    struct bytes data = entry_end(&writer);
    for (size_t count = 0; count < data.count; count++)
        assert_int_equal(entry_open(&reader, bytes_borrow(data.data, count)), -SKEIN_EPROTO);
    assert_int_equal(entry_open(&reader, data), 0);
    assert_int_equal(reader.time_ms, 77);
    bool in_session = true;
    assert_memory_equal(entry_next(&reader, &in_session).data, "abc", 3);
    assert_false(in_session);
    assert_int_equal(entry_next(&reader, &in_session).count, 0);
    assert_true(in_session);
    assert_memory_equal(entry_next(&reader, &in_session).data, "de", 2);
    assert_true(in_session);
    assert_int_equal(reader.left, 0);
    bytes_unref(&data);
}

static struct wire_writer
some_forwards(void)
{
    struct wire_writer out = {0};
    envelope_begin_items(&out, ENVELOPE_FORWARD, 9, 8);
    struct envelope_forward item = {.id = 1, .left_ns = 5, .command = bytes_borrow("xyz", 3)};
    envelope_add_forward(&out, &item);
    item.id = 2;
    item.kind = ENVELOPE_SESSION_WRITE;
    envelope_add_forward(&out, &item);
    return out;
}

static void
test_forwards(void **state)
{
    (void)state;
    struct wire_writer out = some_forwards();
    struct envelope_items items;
    struct envelope_forward item;
    for (size_t count = 0; count < out.count; count++)
        assert_true(envelope_check(bytes_borrow(out.data, count)) < 0);
    assert_int_equal(envelope_open_items(&items, bytes_borrow(out.data, out.count)), 0);
    assert_int_equal(items.token, 8);
    assert_int_equal(envelope_next_forward(&items, &item), 0);
    assert_int_equal(item.id, 1);
    assert_int_equal(envelope_next_forward(&items, &item), 0);
    assert_int_equal(item.kind, ENVELOPE_SESSION_WRITE);
    assert_memory_equal(item.command.data, "xyz", 3);
    assert_int_equal(envelope_next_forward(&items, &item), -SKEIN_ENOTFOUND);
    wire_writer_deinit(&out);
}

static void
test_rafts_of_two_groups(void **state)
{
    (void)state;
    struct wire_writer out = {0};
    struct envelope_rafts items;
    struct bytes body;
    uint32_t group;
    const uint8_t cluster[16] = {3, 4};
    envelope_begin_raft(&out, cluster);
    for (uint32_t i = 0; i < 2; i++)
        envelope_add_raft(&out, i * 70000,
                          &(struct raft_message){.type = RAFT_HEARTBEAT, .to = 5, .from = 6 + i});
    size_t one = ENVELOPE_RAFT_HEADER_BYTES + (out.count - ENVELOPE_RAFT_HEADER_BYTES) / 2;
    for (size_t count = 0; count < out.count; count++)
        assert_int_equal(envelope_check(bytes_borrow(out.data, count)),
                         count == ENVELOPE_RAFT_HEADER_BYTES || count == one ? 0 : -SKEIN_EPROTO);
    assert_int_equal(envelope_open_raft(&items, bytes_borrow(out.data, out.count)), 0);
    assert_memory_equal(items.cluster, cluster, sizeof cluster);
    for (uint32_t i = 0; i < 2; i++) {
        struct raft_message message;
        assert_int_equal(envelope_next_raft(&items, &group, &body), 0);
        assert_int_equal(group, i * 70000);
        assert_int_equal(raft_decode_message(body, &message), 0);
        assert_int_equal(message.from, 6 + i);
        raft_message_deinit(&message);
    }
    assert_int_equal(envelope_next_raft(&items, &group, &body), -SKEIN_ENOTFOUND);
    wire_writer_deinit(&out);
}

/* Cut anywhere, or with a byte behind it, it is refused. */
static void
check_whole(struct wire_writer *out)
{
    for (size_t count = 0; count < out->count; count++)
        assert_int_equal(envelope_check(bytes_borrow(out->data, count)), -SKEIN_EPROTO);
    assert_int_equal(envelope_check(bytes_borrow(out->data, out->count)), 0);
    wire_put_u8(out, 0);
    assert_int_equal(envelope_check(bytes_borrow(out->data, out->count)), -SKEIN_EPROTO);
}

static void
test_card(void **state)
{
    (void)state;
    struct wire_writer out = {0};
    const struct envelope_card card = {.rank = 3, .client = {.ip = {[15] = 1}, .port = 7001}};
    struct envelope_card back;
    envelope_put_card(&out, &card);
    assert_int_equal(envelope_get_card(bytes_borrow(out.data, out.count), &back), 0);
    assert_int_equal(back.rank, 3);
    assert_int_equal(back.client.port, 7001);
    assert_memory_equal(back.client.ip, card.client.ip, sizeof card.client.ip);
    check_whole(&out);
    out.count--;
    out.data[2] = RAFT_RANK_MAX + 1;
    assert_int_equal(envelope_check(bytes_borrow(out.data, out.count)), -SKEIN_EPROTO);
    wire_writer_deinit(&out);
}

static void
test_wish(void **state)
{
    (void)state;
    struct wire_writer out = {0};
    const struct envelope_wish wish = {.cluster = {3, 4},
                                       .term = 7,
                                       .id = 9,
                                       .state = 3,
                                       .failure = -SKEIN_ENOTLEADER,
                                       .note = "why not"};
    struct envelope_wish back;
    envelope_put_wish(&out, &wish);
    assert_int_equal(envelope_get_wish(bytes_borrow(out.data, out.count), &back), 0);
    assert_memory_equal(back.cluster, wish.cluster, sizeof wish.cluster);
    assert_int_equal(back.term, 7);
    assert_int_equal(back.id, 9);
    assert_int_equal(back.state, 3);
    assert_int_equal(back.failure, -SKEIN_ENOTLEADER);
    assert_string_equal(back.note, "why not");
    check_whole(&out);
    out.count--;
    out.data[out.count - 1] = '\n';
    assert_int_equal(envelope_check(bytes_borrow(out.data, out.count)), -SKEIN_EPROTO);
    wire_writer_deinit(&out);
}

static void
test_garbage(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    for (int i = 0; i < 50000; i++) {
        uint8_t data[200];
        size_t count = prng_below(&prng, sizeof data);
        prng_fill(&prng, data, count);
        if (count)
            data[0] = (uint8_t)prng_below(&prng, ENVELOPE_WISH + 2);
        (void)!envelope_check(bytes_borrow(data, count));
    }
}

static int
chunk_try(const struct envelope_chunk *chunk, struct envelope_chunk *out_chunk)
{
    struct wire_writer out = {0};
    envelope_put_chunk(&out, chunk);
    struct bytes frame = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    int rc = envelope_get_chunk(frame, out_chunk);
    if (rc == 0 && chunk->data.count)
        assert_memory_equal(out_chunk->data.data, chunk->data.data, chunk->data.count);
    if (rc == 0)
        assert_int_equal(out_chunk->data.count, chunk->data.count);
    bytes_unref(&frame);
    return rc;
}

static void
test_chunk(void **state)
{
    (void)state;
    struct envelope_chunk got;
    struct envelope_chunk chunk = {.transfer = 3,
                                   .term = 7,
                                   .snapshot = {.index = 5, .term = 2},
                                   .file = {5, 10, 0xabcdef01, 0x23456789},
                                   .offset = 6,
                                   .data = bytes_borrow("1234", 4)};
    chunk.snapshot.config = raft_config_of((uint64_t[]){9}, 1);
    assert_int_equal(chunk_try(&chunk, &got), 0);
    assert_int_equal(got.snapshot.config.ids[0], 9);
    assert_int_equal(got.term, 7);
    assert_true(checkpoint_identity_equal(&got.file, &chunk.file));
    chunk.offset = 7; /* beyond its file */
    assert_int_equal(chunk_try(&chunk, &got), -SKEIN_EPROTO);
    chunk.data.count = 0; /* no question either */
    assert_int_equal(chunk_try(&chunk, &got), -SKEIN_EPROTO);
    chunk.offset = 0;
    assert_int_equal(chunk_try(&chunk, &got), 0);
    chunk.file.file_bytes = 0;
    assert_int_equal(chunk_try(&chunk, &got), -SKEIN_EPROTO);
}

static void
test_ack(void **state)
{
    (void)state;
    struct envelope_ack got;
    for (int at = ENVELOPE_ACK_MORE; at <= ENVELOPE_ACK_BUSY + 1; at++) {
        struct wire_writer out = {0};
        struct envelope_ack ack = {
            .transfer = 8, .offset = 9, .state = (enum envelope_ack_state)at};
        envelope_put_ack(&out, &ack);
        int rc = envelope_get_ack(bytes_borrow(out.data, out.count), &got);
        assert_int_equal(rc, at <= ENVELOPE_ACK_BUSY ? 0 : -SKEIN_EPROTO);
        assert_int_equal(envelope_get_ack(bytes_borrow(out.data, out.count - 1), &got),
                         -SKEIN_EPROTO);
        wire_writer_deinit(&out);
        if (rc == 0)
            assert_int_equal(got.state, at);
    }
}

static void
put_frame(struct wire_writer *out, const void *payload, size_t count)
{
    uint8_t header[LINK_FRAME_HEADER_BYTES];
    link_frame_header(header, payload, count);
    wire_put_raw(out, header, sizeof header);
    wire_put_raw(out, payload, count);
}

static void
test_frames(void **state)
{
    (void)state;
    struct wire_writer out = {0};
    struct prng prng;
    static uint8_t big[200000];
    prng_init(&prng, 3);
    prng_fill(&prng, big, sizeof big);
    for (int i = 0; i < 20; i++)
        put_frame(&out, big, 1 + prng_below(&prng, i % 5 == 0 ? sizeof big : 100));
    for (int turn = 0; turn < 20; turn++) {
        struct link_frame_parser parser = {.limit_bytes = sizeof big};
        int frames = 0;
        for (size_t at = 0; at < out.count;) {
            size_t count = 1 + prng_below(&prng, turn % 2 ? 50 : 100000);
            count = count < out.count - at ? count : out.count - at;
            const uint8_t *data = out.data + at;
            at += count;
            struct bytes payload;
            int rc;
            while ((rc = link_frame_feed(&parser, &data, &count, &payload)) == 1) {
                assert_memory_equal(payload.data, big, payload.count);
                bytes_unref(&payload);
                frames++;
            }
            assert_int_equal(rc, 0);
        }
        assert_int_equal(frames, 20);
        link_frame_parser_deinit(&parser);
    }
    wire_writer_deinit(&out);
}

static int
feed(const uint8_t *data, size_t count)
{
    struct link_frame_parser parser = {.limit_bytes = 100};
    struct bytes payload;
    int rc = link_frame_feed(&parser, &data, &count, &payload);
    if (rc == 1)
        bytes_unref(&payload);
    link_frame_parser_deinit(&parser);
    return rc;
}

static void
test_broken_frames(void **state)
{
    (void)state;
    struct wire_writer out = {0};
    put_frame(&out, "hello", 5);
    assert_int_equal(feed(out.data, out.count), 1);
    out.data[9] ^= 1;
    assert_int_equal(feed(out.data, out.count), -SKEIN_ECORRUPT);
    wire_store(out.data, 0, 4);
    assert_int_equal(feed(out.data, out.count), -SKEIN_ETOOBIG);
    wire_store(out.data, 101, 4);
    assert_int_equal(feed(out.data, out.count), -SKEIN_ETOOBIG);
    wire_writer_deinit(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_card),
        cmocka_unit_test(test_wish),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_broken_frames),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_forwards),
        cmocka_unit_test(test_chunk),
        cmocka_unit_test(test_ack),
        cmocka_unit_test(test_rafts_of_two_groups),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
