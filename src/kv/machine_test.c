/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what is no batch changes nothing; a SCAN finds what stays; members agree; snapshots carry
 * all. What single commands do: exec_test.c. */
#include "kv/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "kv/batch.h"
#include "kv/keyspace.h"
#include "kv/machine_bench.h"
#include "skein/error.h"

#define NOT_INTEGER "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"

/* 64 KiB, 1 MiB, 64 MiB. */
#define LIMITS "\0\0\1\0\0\0\x10\0\0\0\0\4"
#define BYTES(text)            \
    {                          \
        text, sizeof(text) - 1 \
    }

static void
test_unreadable_batches(void **state)
{
    static const struct {
        const char *bytes;
        size_t count;
    } rows[] = {
        BYTES(""),
        BYTES("\1"),
        BYTES("\1" LIMITS),
        BYTES("\1" LIMITS "\0\0\0"),
        BYTES("\2" LIMITS "\0\0\0\0"),
        BYTES("\1" LIMITS "\0\0\0\0x"),
        BYTES("\1" LIMITS "\1\0\0\0"),
        BYTES("\1" LIMITS "\1\0\0\0\0\0\0\0\0\0\0\0"),
        BYTES("\1" LIMITS "\1\0\0\0\xff\xff\xff\xff\0\0\0\0"),
        BYTES("\1" LIMITS "\1\0\0\0\1\0\0\0\xff\xff\xff\xff"),
        BYTES("\1" LIMITS "\xff\xff\xff\xff\1\0\0\0\0\0\0\0"),
        BYTES("\1" LIMITS "\2\0\0\0\1\0\0\0\x06\0\0\0dbsize\1\0\0\0\x09\0\0\0short"),
        /* One above each maximum. */
        BYTES("\1\1\0\1\0\0\0\x10\0\0\0\0\4\0\0\0\0"),
        BYTES("\1\0\0\1\0\xf9\xff\xff\x1f\0\0\0\4\0\0\0\0"),
        BYTES("\1\0\0\1\0\0\0\x10\0\1\0\0\x40\0\0\0\0"),
    };
    struct wire_writer most = {0};
    const struct kv_limits maxima = {KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, KV_REPLY_BYTES_MAX};
    struct bench bench = bench_open(NULL);
    for (int query = 0; query < 2; query++) {
        for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
            struct wire_writer batch = {0};
            wire_put_raw(&batch, rows[i].bytes, rows[i].count);
            bench_run(&bench, &batch, query);
            assert_string_equal((char *)bench.reply.data, "-ERR the batch cannot be read\r\n");
            wire_writer_deinit(&batch);
        }
    }
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, &bench_limits);
    bench_add_line(&batch, "set a 1");
    batch.count--;
    bench_run(&bench, &batch, false);
    assert_string_equal(bench_call(&bench, "dbsize", true), ":0\r\n");
    wire_writer_deinit(&batch);
    kv_batch_begin(&most, &maxima);
    bench_run(&bench, &most, false);
    assert_string_equal((char *)bench.reply.data, "");
    wire_writer_deinit(&most);
    bench_close(&bench);
}

/* Adds a key for each bulk of the reply's second array; returns the cursor. */
static uint64_t
take_scan(struct bench *bench, uint32_t *seen, size_t count)
{
    unsigned long long cursor = 0;
    char *at = (char *)bench->reply.data;
    assert_int_equal(sscanf(at, "*2\r\n$%*d\r\n%llu\r\n", &cursor), 1);
    while ((at = strstr(at, "num:"))) {
        size_t number = (size_t)strtoul(strrchr(strtok(at, "\r"), ':') + 1, NULL, 10);
        assert_true(number < count);
        seen[number]++;
        at += strlen(at) + 1;
    }
    return cursor;
}

static void
test_scan_errors(void **state)
{
    static const struct bench_row rows[] = {
        {"scan abc", "-ERR invalid cursor"},
        {"scan ''", "-ERR invalid cursor"},
        {"scan -1", "-ERR invalid cursor"},
        {"scan 18446744073709551616", "-ERR invalid cursor"},
        {"scan 0 count", SYNTAX},
        {"scan 0 count 0", SYNTAX},
        {"scan 0 count abc", NOT_INTEGER},
        {"scan 0 what 1", SYNTAX},
        {"scan 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"set one 1", "+OK"},
        {"scan 0", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\none\r\n"},
        {"scan 18446744073709551615", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"scan 0 type string match o?e", "*2\r\n$1\r\n0\r\n*1\r\n$3\r\none\r\n"},
        {"scan 0 type hash", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"scan 0 match two", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"keys *", "*1\r\n$3\r\none\r\n"},
        {"keys one", "*1\r\n$3\r\none\r\n"},
        {"keys o[a-n]e", "*1\r\n$3\r\none\r\n"},
        {"keys \\one", "*1\r\n$3\r\none\r\n"},
        {"keys two", "*0"},
        {"keys ''", "*0"},
    };
    struct bench bench = bench_open(NULL);
    BENCH_CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

/* Keys with long common beginnings come and go while a scan is under way; those that stay are all
 * returned. */
static void
test_scan_returns_what_stays(void **state)
{
    enum { COUNT = 3000 };
    struct bench bench = bench_open(NULL);
    struct prng prng;
    uint32_t *seen = mem_zalloc(COUNT * sizeof(seen[0]));
    char line[160];
    prng_init(&prng, 3);
    for (int i = 0; i < COUNT; i++) {
        snprintf(line, sizeof(line), "set %s:num:%d v",
                 "a/very/long/common/beginning/that/is/longer/than/any/cursor/could/hold", i);
        (void)bench_call(&bench, line, false);
    }
    uint64_t cursor = 0;
    size_t steps = 0;
    do {
        snprintf(line, sizeof(line), "scan %llu count 20", (unsigned long long)cursor);
        (void)bench_call(&bench, line, true);
        cursor = take_scan(&bench, seen, COUNT);
        assert_true(cursor < (uint64_t)1 << 53);
        /* Odd keys are removed and set again; even ones stay. */
        for (int i = 0; i < 20; i++) {
            int odd = (int)prng_below(&prng, COUNT / 2) * 2 + 1;
            snprintf(line, sizeof(line), "%s %s:num:%d v", i % 2 ? "set" : "del",
                     "a/very/long/common/beginning/that/is/longer/than/any/cursor/could/hold", odd);
            (void)bench_call(&bench, line, false);
        }
        assert_true(++steps < COUNT);
    } while (cursor);
    for (int i = 0; i < COUNT; i += 2)
        assert_int_equal(seen[i], 1);
    assert_true(steps > COUNT / 2 / 21);
    mem_free(seen);
    bench_close(&bench);
}

struct tape {
    struct replica_sink sink;
    struct replica_source source;
    struct wire_writer bytes;
    size_t at;
    struct bench *meddle;
};

static int
tape_write(struct replica_sink *sink, const void *data, size_t count)
{
    struct tape *tape = BASE_CONTAINER_OF(sink, struct tape, sink);
    wire_put_raw(&tape->bytes, data, count);
    if (tape->meddle)
        (void)bench_call(tape->meddle, "flushall", false);
    return 0;
}

static int
tape_read(struct replica_source *source, void *data, size_t count)
{
    struct tape *tape = BASE_CONTAINER_OF(source, struct tape, source);
    if (tape->bytes.count - tape->at < count)
        return -SKEIN_EEOF;
    memcpy(data, tape->bytes.data + tape->at, count);
    tape->at += count;
    return 0;
}

static struct tape
tape_new(void)
{
    return (struct tape){.sink = {.write = tape_write}, .source = {.read = tape_read}};
}

static void
draw_command(struct prng *prng, struct wire_writer *batch)
{
    static const char *const lines[] = {
        "set k%d v%d",
        "set k%d %d px 50",
        "set k%d %d ex 1",
        "get k%d",
        "del k%d",
        "rename k%d k%d",
        "copy k%d k%d replace",
        "incrbyfloat k%d %d",
        "setbit k%d %d 1",
        "incr k%d",
        "append k%d x%d",
        "expire k%d %d",
        "persist k%d",
        "getdel k%d",
        "set k%d %d keepttl",
        "mset k%d 1 n 2",
        "keys k%d*",
        "pexpire k%d %d",
        "getset k%d %d",
        "dbsize",
        "flushall",
        "scan 0",
        "bogus %d",
        "getex k%d px %d",
    };
    char line[64];
    size_t which = prng_below(prng, BASE_COUNT_OF(lines));
    if (which == 16 && !prng_chance(prng, 1, 50))
        which = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(line, sizeof(line), lines[which], (int)prng_below(prng, 200),
             (int)prng_below(prng, 100));
#pragma GCC diagnostic pop
    bench_add_line(batch, line);
}

static void
apply_random(struct bench *with, struct bench *without, const struct kv_limits *limits,
             struct prng *prng)
{
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, limits);
    for (uint64_t n = prng_below(prng, 8); n > 0; n--)
        draw_command(prng, &batch);
    with->time_ms += prng_below(prng, 10);
    bench_run(with, &batch, false);
    struct replica_command command = {.time_ms = with->time_ms,
                                      .data = bytes_borrow(batch.data, batch.count)};
    kv_machine_ops.apply(without->machine, &command, NULL);
    wire_writer_deinit(&batch);
}

static void
check_equal(struct bench *a, struct bench *b)
{
    struct kv_machine_stats x, y;
    kv_machine_stats(a->machine, &x);
    kv_machine_stats(b->machine, &y);
    assert_int_equal(x.key_count, y.key_count);
    assert_int_equal(x.expiring_key_count, y.expiring_key_count);
    assert_int_equal(x.expired_total, y.expired_total);
    assert_int_equal(x.commands_total, y.commands_total);
    assert_int_equal(kv_machine_checksum(a->machine), kv_machine_checksum(b->machine));
    assert_int_equal(kv_machine_next_expiry_ms(a->machine), kv_machine_next_expiry_ms(b->machine));
}

static void
test_members_agree(void **state)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct bench with = bench_open(NULL), without = bench_open(NULL);
        struct prng prng;
        prng_init(&prng, seed);
        for (int i = 0; i < 3000; i++) {
            apply_random(&with, &without, &bench_limits, &prng);
            if (i % 100 == 0)
                check_equal(&with, &without);
            if (i % 1000 != 999)
                continue;
            struct tape tape = tape_new();
            assert_int_equal(kv_machine_ops.snapshot_save(with.machine, &tape.sink), 0);
            assert_int_equal(kv_machine_ops.snapshot_load(without.machine, &tape.source), 0);
            check_equal(&with, &without);
            wire_writer_deinit(&tape.bytes);
        }
        char of_one[32];
        snprintf(of_one, sizeof(of_one), "%s", bench_call(&with, "dbsize", true));
        assert_string_equal(of_one, bench_call(&without, "dbsize", true));
        bench_close(&with);
        bench_close(&without);
    }
}

/* Nodes with different flags make batches by turns; two members, opened with different ones, stay
 * alike. */
static void
test_limits_of_the_batch_decide(void **state)
{
    struct kv_limits own[] = {{.key_bytes_max = 2, .value_bytes_max = 2, .reply_bytes_max = 64},
                              {.key_bytes_max = 4, .value_bytes_max = 9, .reply_bytes_max = 4},
                              {.key_bytes_max = 3, .value_bytes_max = 3, .reply_bytes_max = 1024}};
    struct bench with = bench_open(NULL), without = bench_open(NULL);
    struct prng prng;
    prng_init(&prng, 9);
    for (int i = 0; i < 3000; i++) {
        apply_random(&with, &without, &own[i % 3], &prng);
        check_equal(&with, &without);
    }
    /* Each node's own limits, on both. */
    for (int i = 0; i < 2; i++) {
        with.limits = without.limits = own[i];
        const char *wanted =
            i ? "+OK\r\n" : "-ERR value is larger than 2 bytes (--value-bytes-max)\r\n";
        assert_string_equal(bench_call(&with, "set k 12345", false), wanted);
        assert_string_equal(bench_call(&without, "set k 12345", false), wanted);
        check_equal(&with, &without);
    }
    bench_close(&with);
    bench_close(&without);
}

static void
test_save_while_applying(void **state)
{
    struct bench bench = bench_open(NULL), loaded = bench_open(NULL);
    char line[64];
    for (int i = 0; i < 5000; i++) {
        snprintf(line, sizeof(line), "set key:%d %d px %d", i, i, i + 1);
        (void)bench_call(&bench, line, false);
    }
    uint32_t before = kv_machine_checksum(bench.machine);
    struct tape tape = tape_new();
    tape.meddle = &bench;
    assert_int_equal(kv_machine_ops.snapshot_save(bench.machine, &tape.sink), 0);
    assert_string_equal(bench_call(&bench, "dbsize", true), ":0\r\n");
    assert_int_equal(kv_machine_ops.snapshot_load(loaded.machine, &tape.source), 0);
    assert_int_equal(kv_machine_checksum(loaded.machine), before);
    wire_writer_deinit(&tape.bytes);
    bench_close(&bench);
    bench_close(&loaded);
}

/* Every single damaged byte of a small snapshot is refused or harmless to memory, and refusal
 * leaves nothing. */
static void
test_damaged_snapshots(void **state)
{
    struct bench bench = bench_open(NULL);
    (void)bench_call(&bench, "set a 1 px 5000", false);
    (void)bench_call(&bench, "set b 2", false);
    struct tape tape = tape_new();
    assert_int_equal(kv_machine_ops.snapshot_save(bench.machine, &tape.sink), 0);
    size_t whole = tape.bytes.count, refused = 0;
    for (size_t i = 0; i < whole; i++) {
        tape.at = 0;
        tape.bytes.data[i] ^= 0x10;
        if (kv_machine_ops.snapshot_load(bench.machine, &tape.source)) {
            assert_string_equal(bench_call(&bench, "dbsize", true), ":0\r\n");
            refused++;
        }
        tape.bytes.data[i] ^= 0x10;
    }
    /* Not refused: the counters in the head, and the bytes of a value or of an expiry that stays
     * none. */
    assert_true(refused > whole / 2);
    for (size_t count = 0; count < whole; count++) {
        tape.at = 0;
        tape.bytes.count = count;
        assert_int_equal(kv_machine_ops.snapshot_load(bench.machine, &tape.source), -SKEIN_EEOF);
    }
    tape.at = 0;
    tape.bytes.count = whole;
    tape.bytes.data[0] = 2;
    assert_int_equal(kv_machine_ops.snapshot_load(bench.machine, &tape.source), -SKEIN_EFORMAT);
    wire_writer_deinit(&tape.bytes);
    bench_close(&bench);
}

/* The order of the table is fixed for ever: checkpoints are written in it. */
static void
test_hash_is_fixed(void **state)
{
    struct kv_arg empty = {0}, key = {(const uint8_t *)"key:000000001234", 16};
    assert_true(kv_keyspace_hash(empty) <= KEYSPACE_HASH_MAX);
    assert_int_equal(kv_keyspace_hash(empty), UINT64_C(0xb1dcc844eb64));
    assert_int_equal(kv_keyspace_hash(key), UINT64_C(0x054f256193f2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreadable_batches),
        cmocka_unit_test(test_scan_errors),
        cmocka_unit_test(test_scan_returns_what_stays),
        cmocka_unit_test(test_members_agree),
        cmocka_unit_test(test_limits_of_the_batch_decide),
        cmocka_unit_test(test_save_while_applying),
        cmocka_unit_test(test_damaged_snapshots),
        cmocka_unit_test(test_hash_is_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
