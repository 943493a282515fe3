/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the replies and errors of the machine's commands are Redis' own, byte for byte, with every
 * option and at the edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kv/machine_bench.h"

#define NOT_INTEGER "-ERR value is not an integer or out of range"
#define SYNTAX "-ERR syntax error"
#define OVERFLOW "-ERR increment or decrement would overflow"

static void
test_unknown_and_arity(void **state)
{
    static const struct bench_row rows[] = {
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
    BENCH_CHECK_ROWS(&bench, rows);
    assert_string_equal(bench_call(&bench, "set a 1", true),
                        "-ERR a command that writes was sent as a query\r\n");
    assert_string_equal(bench_call(&bench, "dbsize", true), ":0\r\n");
    bench_close(&bench);
}

static void
test_set(void **state)
{
    static const struct bench_row rows[] = {
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
    BENCH_CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_strings_and_numbers(void **state)
{
    static const struct bench_row rows[] = {
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
    BENCH_CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_floats(void **state)
{
    static const char not_float[] = "-ERR value is not a valid float";
    static const char too_large[] = "-ERR value has more than 21 digits before the point";
    const struct bench_row rows[] = {
        {"incrbyfloat f", "-ERR wrong number of arguments for 'incrbyfloat' command"},
        {"incrbyfloat f ''", not_float},
        {"incrbyfloat f .", not_float},
        {"incrbyfloat f -", not_float},
        {"incrbyfloat f 1e", not_float},
        {"incrbyfloat f 1e+", not_float},
        {"incrbyfloat f 1.2.3", not_float},
        {"incrbyfloat f 0x10", not_float},
        {"incrbyfloat f nan", not_float},
        {"incrbyfloat f inf", not_float},
        {"incrbyfloat f 1000000000000000000000", too_large},
        {"incrbyfloat f 1e21", too_large},
        {"incrbyfloat f 1e99999999999999999999", too_large},
        {"exists f", ":0"},
        {"incrbyfloat f 0", "$1\r\n0\r\n"},
        {"incrbyfloat f 0.1", "$3\r\n0.1\r\n"},
        {"incrbyfloat f 0.2", "$3\r\n0.3\r\n"},
        {"incrbyfloat f -.3", "$1\r\n0\r\n"},
        {"incrbyfloat f -5.0e-1", "$4\r\n-0.5\r\n"},
        {"incrbyfloat f 1E3", "$5\r\n999.5\r\n"},
        {"incrbyfloat f +00000000000000000000000000.5", "$4\r\n1000\r\n"},
        {"incrbyfloat f 0e99999999999999999999", "$4\r\n1000\r\n"},
        {"incrbyfloat f 1e-99999999999999999999", "$4\r\n1000\r\n"},
        {"incrbyfloat f 0.00000000000000001", "$22\r\n1000.00000000000000001\r\n"},
        {"incrbyfloat f 0.000000000000000004", "$22\r\n1000.00000000000000001\r\n"},
        {"incrbyfloat f 0.000000000000000005", "$22\r\n1000.00000000000000002\r\n"},
        {"set f 999999999999999999999.99999999999999999 ex 10", "+OK"},
        {"incrbyfloat f 0.00000000000000001", too_large},
        {"incrbyfloat f -1", "$39\r\n999999999999999999998.99999999999999999\r\n"},
        {"ttl f", ":10"},
        {"set f 999999999999999999999.999999999999999995", "+OK"},
        {"incrbyfloat f 0", too_large},
        {"set f x", "+OK"},
        {"incrbyfloat f 1", not_float},
        {"set n 10", "+OK"},
        {"incrbyfloat n 1.0", "$2\r\n11\r\n"},
        {"incr n", ":12"},
    };
    struct bench bench = bench_open(NULL);
    BENCH_CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_bits(void **state)
{
    static const char bad_offset[] = "-ERR bit offset is not an integer or out of range";
    static const char bad_bit[] = "-ERR bit is not an integer or out of range";
    const struct bench_row rows[] = {
        {"getbit b -1", bad_offset},
        {"getbit b 4294967296", bad_offset},
        {"getbit b 4294967295", ":0"},
        {"setbit b x 1", bad_offset},
        {"setbit b 0 2", bad_bit},
        {"setbit b 0 -1", bad_bit},
        {"setbit b 8388608 1", "-ERR value is larger than 1048576 bytes (--value-bytes-max)"},
        {"exists b", ":0"},
        {"bitcount b 0", ":0"},
        {"setbit b 7 1", ":0"},
        {"get b", "$1\r\n\1\r\n"},
        {"setbit b 7 1", ":1"},
        {"setbit b 8 1", ":0"},
        {"strlen b", ":2"},
        {"getbit b 8", ":1"},
        {"getbit b 16", ":0"},
        {"setbit b 8 0", ":1"},
        {"strlen b", ":2"},
        {"set b foobar ex 10", "+OK"},
        {"bitcount b", ":26"},
        {"bitcount b 0", SYNTAX},
        {"bitcount b 0 0", ":4"},
        {"bitcount b 1 1 byte", ":6"},
        {"bitcount b 5 30 BIT", ":17"},
        {"bitcount b -2 -1", ":7"},
        {"bitcount b -1 -2", ":0"},
        {"bitcount b 3 2", ":0"},
        {"bitcount b -100 100", ":26"},
        {"bitcount b 0 0 bits", SYNTAX},
        {"bitcount b 0 0 bit bit", SYNTAX},
        {"bitcount b -9223372036854775808 9223372036854775807 bit", ":26"},
        {"bitcount b a 1", NOT_INTEGER},
        {"setbit b 0 1", ":0"},
        {"ttl b", ":10"},
        {"setbit edge 8388607 1", ":0"},
        {"strlen edge", ":1048576"},
    };
    struct bench bench = bench_open(NULL);
    BENCH_CHECK_ROWS(&bench, rows);
    bench_close(&bench);
}

static void
test_renaming(void **state)
{
    static const struct bench_row rows[] = {
        {"rename a b", "-ERR no such key"},
        {"rename a a", "-ERR no such key"},
        {"renamenx a b", "-ERR no such key"},
        {"copy a b", ":0"},
        {"copy a a", "-ERR source and destination objects are the same"},
        {"copy a b replac", SYNTAX},
        {"copy a b db", SYNTAX},
        {"copy a b db x", NOT_INTEGER},
        {"copy a b db 1", "-ERR DB index is out of range"},
        {"copy a b db 2147483648",
         "-ERR value is out of range, value must between -2147483648 and 2147483647"},
        {"set a 1 ex 10", "+OK"},
        {"set b 2 ex 20", "+OK"},
        {"rename a a", "+OK"},
        {"renamenx a a", ":0"},
        {"renamenx a b", ":0"},
        {"get b", "$1\r\n2\r\n"},
        {"rename a b", "+OK"},
        {"exists a", ":0"},
        {"get b", "$1\r\n1\r\n"},
        {"ttl b", ":10"},
        {"renamenx b c", ":1"},
        {"ttl c", ":10"},
        {"copy c d db 0", ":1"},
        {"ttl d", ":10"},
        {"persist d", ":1"},
        {"copy d c", ":0"},
        {"copy d c REPLACE", ":1"},
        {"ttl c", ":-1"},
        {"dbsize", ":2"},
    };
    struct bench bench = bench_open(NULL);
    BENCH_CHECK_ROWS(&bench, rows);
    bench.limits.key_bytes_max = 4;
    static const char key_error[] = "-ERR key is larger than 4 bytes (--key-bytes-max)";
    const struct bench_row limited[] = {
        {"rename c 12345", key_error},
        {"renamenx c 12345", key_error},
        {"copy c 12345", key_error},
        {"dbsize", ":2"},
    };
    BENCH_CHECK_ROWS(&bench, limited);
    bench_close(&bench);
}

static void
test_expire_commands(void **state)
{
    static const struct bench_row rows[] = {
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
    BENCH_CHECK_ROWS(&bench, rows);
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
        assert_string_equal(bench_call(&bench, line, false), "+OK\r\n");
    }
    assert_int_equal(kv_machine_next_expiry_ms(bench.machine), BENCH_START_MS + 10);
    bench.time_ms += 9;
    assert_string_equal(bench_call(&bench, "dbsize", false), ":300\r\n");
    bench.time_ms += 1;
    static const struct bench_row rows[] = {
        {"dbsize", ":100"},     {"get key:199", "$-1"},   {"strlen key:199", ":0"},
        {"ttl key:199", ":-2"}, {"exists key:199", ":0"}, {"keys key:199", "*0"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
        assert_int_equal(
            strncmp(bench_call(&bench, rows[i].line, i > 0), rows[i].reply, strlen(rows[i].reply)),
            0);
    kv_machine_stats(bench.machine, &stats);
    assert_int_equal(stats.expired_total, 64);
    assert_int_equal(stats.key_count, 236);
    assert_string_equal(bench_call(&bench, "del key:199", false), ":0\r\n");
    assert_string_equal(bench_call(&bench, "set key:199 w nx", false), "+OK\r\n");
    assert_string_equal(bench_call(&bench, "dbsize", false), ":101\r\n");
    /* Log time does not go back. */
    bench.time_ms = 1;
    assert_string_equal(bench_call(&bench, "dbsize", false), ":101\r\n");
    bench.time_ms = BENCH_START_MS + 20;
    for (int i = 0; i < 10; i++)
        assert_string_equal(bench_call(&bench, "dbsize", false), ":1\r\n");
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
    const struct bench_row rows[] = {
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
    BENCH_CHECK_ROWS(&bench, rows);
    char line[32];
    for (int i = 0; i < 50; i++) {
        snprintf(line, sizeof(line), "set k%d 1", i);
        assert_string_equal(bench_call(&bench, line, false), "+OK\r\n");
    }
    assert_int_equal(strncmp(bench_call(&bench, "keys *", true), reply_error, strlen(reply_error)),
                     0);
    /* The rest of the batch goes on, and writes that return values have a budget that every member
     * counts alike. */
    struct wire_writer batch = {0};
    kv_batch_begin(&batch, &bench.limits);
    bench_add_line(&batch, "keys *");
    for (int i = 0; i < 60; i++)
        bench_add_line(&batch, "getset a 12345678");
    bench_add_line(&batch, "getdel a");
    bench_run(&bench, &batch, false);
    char expected[8192];
    size_t used = (size_t)snprintf(expected, sizeof(expected), "%s\r\n", reply_error);
    for (int i = 0; i < 61; i++)
        used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%s\r\n",
                                 i < 25 ? "$8\r\n12345678" : reply_error);
    assert_string_equal((char *)bench.reply.data, expected);
    assert_string_equal(bench_call(&bench, "exists a", true), ":1\r\n");
    wire_writer_deinit(&batch);
    bench_close(&bench);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_and_arity),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_strings_and_numbers),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_renaming),
        cmocka_unit_test(test_expire_commands),
        cmocka_unit_test(test_expired_is_absent_everywhere),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
