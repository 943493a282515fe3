/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a sequence is carried out once and answered the same ever after, or refused with the
 * reason; sessions end by log time and never sooner; memory is bounded; a checkpoint holds them as
 * they were when it began, and damaged bytes are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "replica/sessions.h"
#include "skein/error.h"

#define TTL_MS 10000u

static int
send(struct sessions *sessions, uint64_t id, uint64_t sequence, const void *body, size_t count,
     uint64_t time_ms, struct bytes *out_kept)
{
    struct bytes command, data = sessions_encode(id, sequence, body, count);
    int rc = sessions_take(sessions, data, time_ms, &command, out_kept);
    if (rc == 1) {
        assert_int_equal(command.count, count);
        assert_memory_equal(command.data, body, count);
    }
    bytes_unref(&data);
    return rc;
}

static int
open_one(struct sessions *sessions, uint64_t id, uint64_t ttl_ms, uint64_t time_ms)
{
    uint8_t ttl[8];
    struct bytes kept;
    wire_store(ttl, ttl_ms, 8);
    return send(sessions, id, SESSIONS_OPEN, ttl, 8, time_ms, &kept);
}

/* Carry out @sequence, with @count times 'r' as its reply. */
static int
write_one(struct sessions *sessions, uint64_t id, uint64_t sequence, size_t count, uint64_t time_ms)
{
    struct bytes kept;
    int rc = send(sessions, id, sequence, "command", 7, time_ms, &kept);
    if (rc == 1) {
        char *reply = mem_alloc(count + 1);
        memset(reply, 'r', count + 1);
        sessions_keep(sessions, reply, count);
        mem_free(reply);
        return 1;
    }
    if (rc == 0)
        assert_int_equal(kept.count, count);
    bytes_unref(&kept);
    return rc;
}

static void
once(void **state)
{
    (void)state;
    struct sessions *s;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(write_one(s, 7, 1, 3, 100), -SKEIN_ESESSION);
    assert_int_equal(open_one(s, 7, TTL_MS, 100), 0);
    assert_int_equal(open_one(s, 7, TTL_MS, 100), 0);
    assert_int_equal(write_one(s, 7, 1, 3, 100), 1);
    assert_int_equal(write_one(s, 7, 1, 3, 100), 0);
    assert_int_equal(write_one(s, 8, 1, 3, 100), -SKEIN_ESESSION);
    assert_int_equal(open_one(s, 7, TTL_MS, 100), 0); /* a late copy does not begin it anew */
    assert_int_equal(write_one(s, 7, 1, 3, 100), 0);
    struct bytes kept;
    assert_int_equal(send(s, 7, SESSIONS_CLOSE, "", 0, 100, &kept), 0);
    assert_int_equal(send(s, 7, SESSIONS_CLOSE, "", 0, 100, &kept), 0);
    assert_int_equal(write_one(s, 7, 1, 3, 100), -SKEIN_ESESSION);
    struct sessions_stats stats;
    sessions_stats(s, &stats);
    assert_int_equal(stats.count, 0);
    assert_int_equal(stats.reply_bytes, 0);
    sessions_close(s);
}

static void
nonsense(void **state)
{
    (void)state;
    struct sessions *s;
    struct bytes command, kept;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(sessions_take(s, bytes_borrow("short", 5), 1, &command, &kept),
                     -SKEIN_EINVALID);
    assert_int_equal(send(s, 0, 1, "x", 1, 1, &kept), -SKEIN_EINVALID);
    assert_int_equal(send(s, 7, SESSIONS_OPEN, "1234567", 7, 1, &kept), -SKEIN_EINVALID);
    assert_int_equal(open_one(s, 7, 0, 1), -SKEIN_EINVALID);
    assert_int_equal(open_one(s, 7, SESSIONS_TTL_MS_MIN - 1, 1), -SKEIN_EINVALID);
    assert_int_equal(open_one(s, 7, SESSIONS_TTL_MS_MAX + 1ull, 1), -SKEIN_EINVALID);
    assert_int_equal(open_one(s, 7, UINT64_MAX, 1), -SKEIN_EINVALID);
    assert_int_equal(open_one(s, 7, SESSIONS_TTL_MS_MAX, 1), 0);
    sessions_close(s);
}

/* In any order within the window; below it, nothing is carried out any more. */
static void
window(void **state)
{
    (void)state;
    struct sessions *s;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(open_one(s, 7, TTL_MS, 1), 0);
    for (uint64_t q = 2 + SESSIONS_WINDOW; q > 2; q--)
        assert_int_equal(write_one(s, 7, q, q, 1), 1);
    for (uint64_t q = 3; q < 3 + SESSIONS_WINDOW; q++)
        assert_int_equal(write_one(s, 7, q, q, 1), 0);
    /* 2 is new, and the lowest of too many: carried out, and not to be told from 1 any more. */
    assert_int_equal(write_one(s, 7, 2, 2, 1), 1);
    assert_int_equal(write_one(s, 7, 2, 2, 1), -SKEIN_EREPEATED);
    assert_int_equal(write_one(s, 7, 1, 1, 1), -SKEIN_EREPEATED);
    assert_int_equal(write_one(s, 7, 3, 3, 1), 0);
    assert_int_equal(write_one(s, 7, UINT64_MAX - 1, 5, 1), 1);
    assert_int_equal(write_one(s, 7, 3, 3, 1), -SKEIN_EREPEATED);
    assert_int_equal(write_one(s, 7, 4, 4, 1), 0);
    sessions_close(s);
}

static void
replies_are_bounded(void **state)
{
    (void)state;
    struct sessions *s;
    struct sessions_stats stats;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(open_one(s, 1, TTL_MS, 1), 0);
    assert_int_equal(write_one(s, 1, 1, SESSIONS_REPLY_BYTES_MAX, 1), 1);
    assert_int_equal(write_one(s, 1, 1, SESSIONS_REPLY_BYTES_MAX, 1), 0);
    assert_int_equal(write_one(s, 1, 2, SESSIONS_REPLY_BYTES_MAX + 1, 1), 1);
    assert_int_equal(write_one(s, 1, 2, 0, 1), -SKEIN_EREPEATED);
    assert_int_equal(write_one(s, 1, 1, SESSIONS_REPLY_BYTES_MAX, 1), 0);
    assert_int_equal(write_one(s, 1, 3, 1, 1), 1); /* pushes the first one out */
    assert_int_equal(write_one(s, 1, 1, 0, 1), -SKEIN_EREPEATED);
    uint64_t sessions = SESSIONS_REPLY_BYTES_ALL_MAX / SESSIONS_REPLY_BYTES_MAX;
    for (uint64_t id = 2; id < sessions + 2; id++) {
        assert_int_equal(open_one(s, id, TTL_MS, 1), 0);
        assert_int_equal(write_one(s, id, 1, SESSIONS_REPLY_BYTES_MAX, 1), 1);
    }
    sessions_stats(s, &stats);
    assert_true(stats.reply_bytes <= SESSIONS_REPLY_BYTES_ALL_MAX);
    assert_int_equal(write_one(s, sessions, 1, SESSIONS_REPLY_BYTES_MAX, 1), 0);
    assert_int_equal(write_one(s, sessions + 1, 1, 0, 1), -SKEIN_EREPEATED);
    sessions_close(s);
}

static void
expiry(void **state)
{
    (void)state;
    struct sessions *s;
    struct sessions_stats stats;
    const uint64_t most = TTL_MS + TTL_MS / 8;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(open_one(s, 7, TTL_MS, 1000), 0);
    assert_int_equal(open_one(s, 8, TTL_MS, 1000), 0);
    assert_int_equal(write_one(s, 7, 1, 2, 1000 + most - 1), 1);
    assert_int_equal(write_one(s, 8, 1, 2, 1000 + most), -SKEIN_ESESSION);
    /* The use of 7 moved its end. */
    assert_int_equal(write_one(s, 7, 1, 2, 1000 + most - 1 + TTL_MS), 0);
    sessions_stats(s, &stats);
    assert_int_equal(stats.count, 1);
    assert_int_equal(stats.expired, 1);
    assert_int_equal(write_one(s, 7, 1, 2, 1000 + 4 * most), -SKEIN_ESESSION);
    sessions_stats(s, &stats);
    assert_int_equal(stats.count, 0);
    assert_int_equal(stats.reply_bytes, 0);
    sessions_close(s);
}

/* Full of sessions in use: no other. As soon as one is idle it makes room. */
static void
full(void **state)
{
    (void)state;
    struct sessions *s;
    struct sessions_stats stats;
    const uint64_t ttl_ms = SESSIONS_TTL_MS_MAX, idle_ms = ttl_ms / 8 + SESSIONS_IDLE_MS;
    assert_int_equal(sessions_open(&s), 0);
    for (uint64_t id = 1; id <= SESSIONS_COUNT_MAX; id++)
        assert_int_equal(open_one(s, id, ttl_ms, 1 + (id > 1)), 0);
    assert_int_equal(open_one(s, SESSIONS_COUNT_MAX + 1, ttl_ms, 2), -SKEIN_EBUSY);
    assert_int_equal(open_one(s, 5, ttl_ms, 2), 0); /* it is there */
    assert_int_equal(open_one(s, SESSIONS_COUNT_MAX + 1, ttl_ms, idle_ms), -SKEIN_EBUSY);
    assert_int_equal(open_one(s, SESSIONS_COUNT_MAX + 1, ttl_ms, 1 + idle_ms), 0);
    assert_int_equal(write_one(s, 1, 1, 2, 1 + idle_ms), -SKEIN_ESESSION);
    assert_int_equal(write_one(s, 2, 1, 2, 1 + idle_ms), 1);
    sessions_stats(s, &stats);
    assert_int_equal(stats.count, SESSIONS_COUNT_MAX);
    sessions_close(s);
}

/* ---- streams ---- */

struct buffer {
    struct replica_sink sink;
    struct replica_source source;
    struct wire_writer out;
    size_t at;
};

static int
buffer_write(struct replica_sink *sink, const void *data, size_t count)
{
    wire_put_raw(&BASE_CONTAINER_OF(sink, struct buffer, sink)->out, data, count);
    return 0;
}

static int
buffer_read(struct replica_source *source, void *data, size_t count)
{
    struct buffer *buffer = BASE_CONTAINER_OF(source, struct buffer, source);
    if (buffer->out.count - buffer->at < count)
        return -SKEIN_EEOF;
    memcpy(data, buffer->out.data + buffer->at, count);
    buffer->at += count;
    return 0;
}

static struct sessions *changed_while_saving;

static int
machine_save(void *machine, struct replica_sink *sink)
{
    uint8_t byte = *(uint8_t *)machine;
    /* Commands go on when the first byte is written, and change the sessions. */
    if (changed_while_saving)
        assert_int_equal(write_one(changed_while_saving, 7, 99, 4, 2), 1);
    return byte ? sink->write(sink, &byte, 1) : 0;
}

static int
machine_load(void *machine, struct replica_source *source)
{
    int rc = source->read(source, machine, 1);
    return rc == -SKEIN_EEOF ? 0 : rc;
}

static const struct replica_machine_ops byte_ops = {.snapshot_save = machine_save,
                                                    .snapshot_load = machine_load};

static void
fill(struct sessions *s)
{
    for (uint64_t id = 5; id < 300; id++) {
        assert_int_equal(open_one(s, id, TTL_MS, id), 0);
        for (uint64_t q = 1; q < 6; q++)
            assert_int_equal(write_one(s, id, q, (size_t)(q * 7), id), 1);
    }
    assert_int_equal(write_one(s, 9, 9, SESSIONS_REPLY_BYTES_MAX + 1, 300), 1);
}

static void
saved_and_loaded(void **state)
{
    (void)state;
    struct buffer buffer = {.sink.write = buffer_write, .source.read = buffer_read};
    struct sessions *s, *t;
    struct sessions_stats before, after;
    uint8_t machine = 42, other = 0;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(sessions_open(&t), 0);
    fill(s);
    assert_int_equal(open_one(t, 4711, TTL_MS, 1), 0);
    sessions_stats(s, &before);
    uint32_t sum = sessions_checksum(s);
    changed_while_saving = s;
    assert_int_equal(sessions_save(s, &byte_ops, &machine, &buffer.sink), 0);
    changed_while_saving = NULL;
    assert_int_not_equal(sessions_checksum(s), sum);
    assert_int_equal(sessions_load(t, &byte_ops, &other, &buffer.source), 0);
    assert_int_equal(other, 42);
    assert_int_equal(buffer.at, buffer.out.count);
    assert_int_equal(sessions_checksum(t), sum);
    sessions_stats(t, &after);
    assert_int_equal(after.count, before.count);
    assert_int_equal(after.reply_bytes, before.reply_bytes);
    assert_int_equal(write_one(t, 4711, 1, 1, 300), -SKEIN_ESESSION);
    assert_int_equal(write_one(t, 9, 9, 1, 300), -SKEIN_EREPEATED);
    assert_int_equal(write_one(t, 200, 3, 21, 300), 0);
    assert_int_equal(write_one(t, 200, 6, 21, 300), 1);
    wire_writer_deinit(&buffer.out);
    sessions_close(s);
    sessions_close(t);
}

/* A machine that writes nothing has sessions all the same. */
static void
machine_without_bytes(void **state)
{
    (void)state;
    struct buffer buffer = {.sink.write = buffer_write, .source.read = buffer_read};
    struct sessions *s;
    uint8_t machine = 0;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(open_one(s, 5, TTL_MS, 1), 0);
    assert_int_equal(sessions_save(s, &byte_ops, &machine, &buffer.sink), 0);
    assert_int_equal(sessions_load(s, &byte_ops, &machine, &buffer.source), 0);
    assert_int_equal(write_one(s, 5, 1, 1, 1), 1);
    wire_writer_deinit(&buffer.out);
    sessions_close(s);
}

/* Any byte changed, any length: refused or another valid table, never a crash. */
static void
damaged_streams(void **state)
{
    (void)state;
    struct buffer good = {.sink.write = buffer_write};
    struct sessions *s, *t;
    uint8_t machine = 42, other = 0;
    assert_int_equal(sessions_open(&s), 0);
    assert_int_equal(sessions_open(&t), 0);
    for (uint64_t id = 5; id < 9; id++) {
        assert_int_equal(open_one(s, id, TTL_MS, 1), 0);
        assert_int_equal(write_one(s, id, 1, 3, 1), 1);
    }
    assert_int_equal(sessions_save(s, &byte_ops, &machine, &good.sink), 0);
    uint32_t sum = sessions_checksum(s);
    for (size_t at = 0; at + 1 < good.out.count; at++) {
        struct buffer bad = {.source.read = buffer_read};
        wire_put_raw(&bad.out, good.out.data, good.out.count);
        bad.out.data[at] ^= 0x41;
        int rc = sessions_load(t, &byte_ops, &other, &bad.source);
        assert_true(rc < 0 || sessions_checksum(t) != sum);
        bad.at = 0;
        bad.out.data[at] ^= 0x41;
        bad.out.count = at;
        assert_true(sessions_load(t, &byte_ops, &other, &bad.source) < 0);
        wire_writer_deinit(&bad.out);
    }
    struct buffer old = {.source.read = buffer_read};
    wire_put_raw(&old.out, "a machine's own bytes", 20);
    assert_int_equal(sessions_load(t, &byte_ops, &other, &old.source), -SKEIN_EFORMAT);
    wire_writer_deinit(&old.out);
    wire_writer_deinit(&good.out);
    sessions_close(s);
    sessions_close(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(once),
        cmocka_unit_test(nonsense),
        cmocka_unit_test(window),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(expiry),
        cmocka_unit_test(full),
        cmocka_unit_test(saved_and_loaded),
        cmocka_unit_test(machine_without_bytes),
        cmocka_unit_test(damaged_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
