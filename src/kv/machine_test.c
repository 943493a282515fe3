/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: every command's replies and errors are Redis' own, byte for byte; members agree; snapshots
 * carry all. */
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
#include "skein/error.h"

#define ARG_MAX 16
#define START_MS 1000000

struct bench {
    void *machine;
    struct kv_limits limits; /* of the batches */
    uint64_t time_ms;
    struct wire_writer reply;
};

static const struct kv_limits usual = {
    .key_bytes_max = 64 << 10, .value_bytes_max = 1 << 20, .reply_bytes_max = 64 << 20};

static struct bench
bench_open(void *config)
{
    struct bench bench = {.time_ms = START_MS, .limits = usual};
    assert_int_equal(kv_machine_ops.open(&bench.machine, config), 0);
    return bench;
}

static void
bench_close(struct bench *bench)
{
    kv_machine_ops.close(bench->machine);
    wire_writer_deinit(&bench->reply);
}

/* Words separated by spaces; '' is the empty one. */
static void
add_line(struct wire_writer *batch, const char *line)
{
    struct kv_arg argv[ARG_MAX];
    uint32_t argc = 0;
    while (*line) {
        size_t count = strcspn(line, " ");
        assert_true(argc < ARG_MAX);
        bool empty = count == 2 && !memcmp(line, "''", 2);
        argv[argc++] = (struct kv_arg){(const uint8_t *)line, empty ? 0 : count};
        line += count + (line[count] == ' ');
    }
    kv_batch_add(batch, argv, argc);
}

static void
run(struct bench *bench, struct wire_writer *batch, bool query)
{
    struct replica_command command = {.time_ms = bench->time_ms,
                                      .data = bytes_borrow(batch->data, batch->count)};
    bench->reply.count = 0;
    if (query)
        kv_machine_ops.query(bench->machine, &command, &bench->reply);
    else
        kv_machine_ops.apply(bench->machine, &command, &bench->reply);
    wire_put_u8(&bench->reply, 0);
    bench->reply.count--;
}

static const char *
call(struct bench *bench, const char *line, bool query)
{
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, &bench->limits);
    add_line(&batch, line);
    run(bench, &batch, query);
    wire_writer_deinit(&batch);
    return (const char *)bench->reply.data;
}

struct row {
    const char *line;
    const char *reply;
};

static void
check_rows(struct bench *bench, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *reply = call(bench, rows[i].line, false);
        size_t bytes = strlen(rows[i].reply);
        bool full = bytes >= 2 && !memcmp(rows[i].reply + bytes - 2, "\r\n", 2);
        if (strncmp(reply, rows[i].reply, bytes) || strcmp(reply + bytes, full ? "" : "\r\n")) {
            print_error("%s: %s, wanted %s\n", rows[i].line, reply, rows[i].reply);
            fail();
        }
    }
}
#define CHECK_ROWS(bench, rows) check_rows(bench, rows, BASE_COUNT_OF(rows))

#define NOT_INTEGER "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define OVERFLOW "-ERR increment or decrement would overflow"

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
            run(&bench, &batch, query);
            assert_string_equal((char *)bench.reply.data, "-ERR the batch cannot be read\r\n");
            wire_writer_deinit(&batch);
        }
    }
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, &usual);
    add_line(&batch, "set a 1");
    batch.count--;
    run(&bench, &batch, false);
    assert_string_equal(call(&bench, "dbsize", true), ":0\r\n");
    wire_writer_deinit(&batch);
    kv_batch_begin(&most, &maxima);
    run(&bench, &most, false);
    assert_string_equal((char *)bench.reply.data, "");
    wire_writer_deinit(&most);
    bench_close(&bench);
}

static void
test_unknown_and_arity(void **state)
{
    static const struct row rows[] = {
        {"foo", "-ERR unknown command 'foo', with args beginning with: "},
        {"Foo a ''", "-ERR unknown command 'Foo', with args beginning with: 'a' '' "},
        {"ping", "-ERR unknown command 'ping', with args beginning with: "},
        {"get", "-ERR wrong number of arguments for 'get' command"},
        {"GET a b", "-ERR wrong number of arguments for 'get' command"},
        {"set a", "-ERR wrong number of arguments for 'set' command"},
        {"mset a", "-ERR wrong number of arguments for 'mset' command"},
        {"mset a 1 b", "-ERR wrong number of arguments for 'mset' command"},
        {"msetnx a 1 b", "-ERR wrong number of arguments for 'msetnx' command"},
        {"del", "-ERR wrong number of arguments for 'del' command"},
    };
    struct bench bench = bench_open(NULL);
    CHECK_ROWS(&bench, rows);
    assert_string_equal(call(&bench, "set a 1", true),
                        "-ERR a command that writes was sent as a query\r\n");
    assert_string_equal(call(&bench, "dbsize", true), ":0\r\n");
    bench_close(&bench);
}

static void
test_set(void **state)
{
    static const struct row rows[] = {
        {"set a 1 nx xx", SYNTAX},
        {"set a 1 ex", SYNTAX},
        {"set a 1 ex 10 px 10", SYNTAX},
        {"set a 1 keepttl ex 10", SYNTAX},
        {"set a 1 ex 10 keepttl", SYNTAX},
        {"set a 1 persist", SYNTAX},
        {"set a 1 what", SYNTAX},
        {"set a 1 ex abc", NOT_INTEGER},
        {"set a 1 ex 0", "-ERR invalid expire time in 'set' command"},
        {"set a 1 px -1", "-ERR invalid expire time in 'set' command"},
        {"set a 1 ex 9223372036854775807", "-ERR invalid expire time in 'set' command"},
        {"set a 1 px 9223372036854775807", "-ERR invalid expire time in 'set' command"},
        {"get a", "$-1"},
        {"set a 1 xx", "$-1"},
        {"SET a 1 NX", "+OK"},
        {"set a 2 nx", "$-1"},
        {"get a", "$1\r\n1\r\n"},
        {"set a 2 nx get", "$1\r\n1\r\n"},
        {"get a", "$1\r\n1\r\n"},
        {"set a 2 xx get", "$1\r\n1\r\n"},
        {"set a 3 get ex 10", "$1\r\n2\r\n"},
        {"ttl a", ":10"},
        {"set a 4 keepttl", "+OK"},
        {"pttl a", ":10000"},
        {"set a 5 ex 20 ex 30", "+OK"},
        {"ttl a", ":30"},
        {"set a 5", "+OK"},
        {"ttl a", ":-1"},
        {"set a 6 exat 1", "+OK"},
        {"get a", "$-1"},
        {"set a 6 pxat 1000001", "+OK"},
        {"pttl a", ":1"},
        {"set b 7 get", "$-1"},
        {"get b", "$1\r\n7\r\n"},
        {"set '' ''", "+OK"},
        {"get ''", "$0\r\n\r\n"},
        {"setnx b 1", ":0"},
        {"setnx c 1", ":1"},
        {"setex d 0 v", "-ERR invalid expire time in 'setex' command"},
        {"psetex d -1 v", "-ERR invalid expire time in 'psetex' command"},
        {"setex d 10 v", "+OK"},
        {"pttl d", ":10000"},
        {"psetex d 10 v", "+OK"},
        {"pttl d", ":10"},
        {"getset d w", "$1\r\nv\r\n"},
        {"pttl d", ":-1"},
        {"getset e w", "$-1"},
        {"getdel e", "$1\r\nw\r\n"},
        {"getdel e", "$-1"},
        {"getex d ex 0", "-ERR invalid expire time in 'getex' command"},
        {"getex d keepttl", SYNTAX},
        {"getex d ex 10 persist", SYNTAX},
        {"getex d ex 10", "$1\r\nw\r\n"},
        {"ttl d", ":10"},
        {"getex d", "$1\r\nw\r\n"},
        {"ttl d", ":10"},
        {"getex d persist", "$1\r\nw\r\n"},
        {"ttl d", ":-1"},
        {"getex d pxat 1", "$1\r\nw\r\n"},
        {"exists d", ":0"},
        {"getex none ex abc", "$-1"},
    };
    struct bench bench = bench_open(NULL);
    CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_strings_and_numbers(void **state)
{
    static const struct row rows[] = {
        {"incrby n abc", NOT_INTEGER},
        {"incrby n 01", NOT_INTEGER},
        {"incrby n +1", NOT_INTEGER},
        {"incrby n -0", NOT_INTEGER},
        {"incrby n ''", NOT_INTEGER},
        {"incrby n -", NOT_INTEGER},
        {"incrby n 9223372036854775808", NOT_INTEGER},
        {"incrby n -9223372036854775809", NOT_INTEGER},
        {"decrby n -9223372036854775808", "-ERR decrement would overflow"},
        {"exists n", ":0"},
        {"incr n", ":1"},
        {"decr n", ":0"},
        {"decrby n 5", ":-5"},
        {"incrby n -5", ":-10"},
        {"set n 9223372036854775807", "+OK"},
        {"incr n", OVERFLOW},
        {"incrby n 0", ":9223372036854775807"},
        {"set n -9223372036854775808", "+OK"},
        {"decr n", OVERFLOW},
        {"get n", "$20\r\n-9223372036854775808\r\n"},
        {"set n 1x", "+OK"},
        {"incr n", NOT_INTEGER},
        {"set n 5 ex 10", "+OK"},
        {"incr n", ":6"},
        {"ttl n", ":10"},
        {"append n 7", ":2"},
        {"ttl n", ":10"},
        {"get n", "$2\r\n67\r\n"},
        {"append m abc", ":3"},
        {"strlen m", ":3"},
        {"strlen none", ":0"},
        {"getrange m 0 -1", "$3\r\nabc\r\n"},
        {"getrange m -2 -1", "$2\r\nbc\r\n"},
        {"getrange m -100 100", "$3\r\nabc\r\n"},
        {"getrange m 2 1", "$0\r\n\r\n"},
        {"getrange m -1 -2", "$0\r\n\r\n"},
        {"getrange m -9223372036854775808 9223372036854775807", "$3\r\nabc\r\n"},
        {"getrange none 0 -1", "$0\r\n\r\n"},
        {"getrange m a 1", NOT_INTEGER},
        {"setrange m -1 x", "-ERR offset is out of range"},
        {"setrange m 1 XYZ", ":4"},
        {"get m", "$4\r\naXYZ\r\n"},
        {"setrange none 5 ''", ":0"},
        {"exists none", ":0"},
        {"setrange m 9223372036854775807 x",
         "-ERR value is larger than 1048576 bytes (--value-bytes-max)"},
        {"mset a 1 b 2 a 3", "+OK"},
        {"mget a none b a", "*4\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
        {"msetnx z 1 a 2", ":0"},
        {"exists z", ":0"},
        {"msetnx y 1 z 2", ":1"},
        {"exists a a none", ":2"},
        {"touch a none", ":1"},
        {"del a a none", ":1"},
        {"unlink b z", ":2"},
        {"type y", "+string"},
        {"type none", "+none"},
        {"flushall now", SYNTAX},
        {"flushall sync async", SYNTAX},
        {"flushall ASYNC", "+OK"},
        {"dbsize", ":0"},
        {"flushdb", "+OK"},
    };
    struct bench bench = bench_open(NULL);
    CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_expire_commands(void **state)
{
    static const struct row rows[] = {
        {"expire a abc", NOT_INTEGER},
        {"expire a 10 what", "-ERR Unsupported option what"},
        {"expire a abc nx xx",
         "-ERR NX and XX, GT or LT options at the same time are not compatible"},
        {"expire a 1 gt lt", "-ERR GT and LT options at the same time are not compatible"},
        {"expire a 9223372036854775807", "-ERR invalid expire time in 'expire' command"},
        {"pexpire a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"},
        {"expire a 10", ":0"},
        {"set a 1", "+OK"},
        {"expire a 10 xx", ":0"},
        {"expire a 10 gt", ":0"},
        {"expire a 10 lt", ":1"},
        {"expire a 20 nx", ":0"},
        {"expire a 20 lt", ":0"},
        {"expire a 20 gt", ":1"},
        {"expire a 20 gt", ":0"},
        {"ttl a", ":20"},
        {"pttl a", ":20000"},
        {"expiretime a", ":1020"},
        {"pexpiretime a", ":1020000"},
        {"pexpire a 1499", ":1"},
        {"ttl a", ":1"},
        {"pexpire a 1500", ":1"},
        {"ttl a", ":2"},
        {"persist a", ":1"},
        {"persist a", ":0"},
        {"persist none", ":0"},
        {"ttl a", ":-1"},
        {"ttl none", ":-2"},
        {"pttl none", ":-2"},
        {"expiretime none", ":-2"},
        {"expireat a 2000", ":1"},
        {"pttl a", ":1000000"},
        {"pexpireat a 1000001", ":1"},
        {"pttl a", ":1"},
        {"expire a -1", ":1"},
        {"exists a", ":0"},
        {"set a 1", "+OK"},
        {"pexpireat a 1000000", ":1"},
        {"exists a", ":0"},
    };
    struct bench bench = bench_open(NULL);
    CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_expired_is_absent_everywhere(void **state)
{
    struct bench bench = bench_open(NULL);
    struct kv_machine_stats stats;
    char line[64];
    for (int i = 0; i < 300; i++) {
        snprintf(line, sizeof(line), "set key:%d v px %d", i, i < 200 ? 10 : 20);
        assert_string_equal(call(&bench, line, false), "+OK\r\n");
    }
    assert_int_equal(kv_machine_next_expiry_ms(bench.machine), START_MS + 10);
    bench.time_ms += 9;
    assert_string_equal(call(&bench, "dbsize", false), ":300\r\n");
    bench.time_ms += 1;
    static const struct row rows[] = {
        {"dbsize", ":100"},     {"get key:199", "$-1"},   {"strlen key:199", ":0"},
        {"ttl key:199", ":-2"}, {"exists key:199", ":0"}, {"keys key:199", "*0"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
        assert_int_equal(
            strncmp(call(&bench, rows[i].line, i > 0), rows[i].reply, strlen(rows[i].reply)), 0);
    kv_machine_stats(bench.machine, &stats);
    assert_int_equal(stats.expired_total, 64);
    assert_int_equal(stats.key_count, 236);
    assert_string_equal(call(&bench, "del key:199", false), ":0\r\n");
    assert_string_equal(call(&bench, "set key:199 w nx", false), "+OK\r\n");
    assert_string_equal(call(&bench, "dbsize", false), ":101\r\n");
    /* Log time does not go back. */
    bench.time_ms = 1;
    assert_string_equal(call(&bench, "dbsize", false), ":101\r\n");
    bench.time_ms = START_MS + 20;
    for (int i = 0; i < 10; i++)
        assert_string_equal(call(&bench, "dbsize", false), ":1\r\n");
    kv_machine_stats(bench.machine, &stats);
    assert_int_equal(stats.key_count, 1);
    assert_int_equal(stats.expiring_key_count, 0);
    assert_int_equal(kv_machine_next_expiry_ms(bench.machine), UINT64_MAX);
    bench_close(&bench);
}

static void
test_limits(void **state)
{
    static const char key_error[] = "-ERR key is larger than 4 bytes (--key-bytes-max)";
    static const char value_error[] = "-ERR value is larger than 8 bytes (--value-bytes-max)";
    static const char reply_error[] = "-ERR reply is larger than 200 bytes (--reply-bytes-max)";
    const struct row rows[] = {
        {"set 12345 1", key_error},
        {"mset a 1 12345 1", key_error},
        {"exists a", ":0"},
        {"incr 12345", key_error},
        {"append 12345 1", key_error},
        {"get 12345", "$-1"},
        {"set a 123456789", value_error},
        {"set a 12345678", "+OK"},
        {"append a 9", value_error},
        {"setrange a 8 9", value_error},
        {"incrby n 999999999", value_error},
        {"get a", "$8\r\n12345678\r\n"},
        {"mget a a a a a a a a a a a a a a", reply_error},
    };
    struct bench bench = bench_open(NULL);
    bench.limits =
        (struct kv_limits){.key_bytes_max = 4, .value_bytes_max = 8, .reply_bytes_max = 200};
    CHECK_ROWS(&bench, rows);
    char line[32];
    for (int i = 0; i < 50; i++) {
        snprintf(line, sizeof(line), "set k%d 1", i);
        assert_string_equal(call(&bench, line, false), "+OK\r\n");
    }
    assert_int_equal(strncmp(call(&bench, "keys *", true), reply_error, strlen(reply_error)), 0);
    /* The rest of the batch goes on, and writes that return values have a budget that every member
     * counts alike. */
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, &bench.limits);
    add_line(&batch, "keys *");
    for (int i = 0; i < 60; i++)
        add_line(&batch, "getset a 12345678");
    add_line(&batch, "getdel a");
    run(&bench, &batch, false);
    char expected[8192];
    size_t used = (size_t)snprintf(expected, sizeof(expected), "%s\r\n", reply_error);
    for (int i = 0; i < 61; i++)
        used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s\r\n",
                                 i < 25 ? "$8\r\n12345678" : reply_error);
    assert_string_equal((char *)bench.reply.data, expected);
    assert_string_equal(call(&bench, "exists a", true), ":1\r\n");
    wire_writer_deinit(&batch);
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
    static const struct row rows[] = {
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
    CHECK_ROWS(&bench, rows);
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
        (void)call(&bench, line, false);
    }
    uint64_t cursor = 0;
    size_t steps = 0;
    do {
        snprintf(line, sizeof(line), "scan %llu count 20", (unsigned long long)cursor);
        (void)call(&bench, line, true);
        cursor = take_scan(&bench, seen, COUNT);
        assert_true(cursor < (uint64_t)1 << 53);
        /* Odd keys are removed and set again; even ones stay. */
        for (int i = 0; i < 20; i++) {
            int odd = (int)prng_below(&prng, COUNT / 2) * 2 + 1;
            snprintf(line, sizeof(line), "%s %s:num:%d v", i % 2 ? "set" : "del",
                     "a/very/long/common/beginning/that/is/longer/than/any/cursor/could/hold", odd);
            (void)call(&bench, line, false);
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
        (void)call(tape->meddle, "flushall", false);
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
        "set k%d v%d", "set k%d %d px 50", "set k%d %d ex 1",    "get k%d",
        "del k%d",     "incr k%d",         "append k%d x%d",     "expire k%d %d",
        "persist k%d", "getdel k%d",       "set k%d %d keepttl", "mset k%d 1 n 2",
        "keys k%d*",   "pexpire k%d %d",   "getset k%d %d",      "dbsize",
        "flushall",    "scan 0",           "bogus %d",           "getex k%d px %d",
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
    add_line(batch, line);
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
    run(with, &batch, false);
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
            apply_random(&with, &without, &usual, &prng);
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
        snprintf(of_one, sizeof(of_one), "%s", call(&with, "dbsize", true));
        assert_string_equal(of_one, call(&without, "dbsize", true));
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
        assert_string_equal(call(&with, "set k 12345", false), wanted);
        assert_string_equal(call(&without, "set k 12345", false), wanted);
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
        (void)call(&bench, line, false);
    }
    uint32_t before = kv_machine_checksum(bench.machine);
    struct tape tape = tape_new();
    tape.meddle = &bench;
    assert_int_equal(kv_machine_ops.snapshot_save(bench.machine, &tape.sink), 0);
    assert_string_equal(call(&bench, "dbsize", true), ":0\r\n");
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
    (void)call(&bench, "set a 1 px 5000", false);
    (void)call(&bench, "set b 2", false);
    struct tape tape = tape_new();
    assert_int_equal(kv_machine_ops.snapshot_save(bench.machine, &tape.sink), 0);
    size_t whole = tape.bytes.count, refused = 0;
    for (size_t i = 0; i < whole; i++) {
        tape.at = 0;
        tape.bytes.data[i] ^= 0x10;
        if (kv_machine_ops.snapshot_load(bench.machine, &tape.source)) {
            assert_string_equal(call(&bench, "dbsize", true), ":0\r\n");
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
        cmocka_unit_test(test_unknown_and_arity),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_strings_and_numbers),
        cmocka_unit_test(test_expire_commands),
        cmocka_unit_test(test_expired_is_absent_everywhere),
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
