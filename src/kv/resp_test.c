/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a stream of requests gives the same commands, then the same error, however it is cut into
 * pieces; broken streams end with Redis' texts; what is claimed and not sent costs no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/prng.h"
#include "kv/resp.h"
#include "skein/error.h"

#define LIMIT_BYTES ((size_t)1 << 20)

/* All that came out of a stream, as text: "[GET|k]" a command, "!text" an error. */
struct outcome {
    struct wire_writer text;
};

/* Give @count bytes to a parser, @step at a time, in a buffer that moves at each step. */
static void
run(struct outcome *outcome, const void *stream, size_t count, size_t step)
{
    struct kv_resp parser;
    kv_resp_init(&parser, LIMIT_BYTES);
    *outcome = (struct outcome){0};
    size_t begin = 0;
    int rc = 0;
    for (size_t end = 0; rc >= 0 && end < count;) {
        end = count - end < step ? count : end + step;
        uint8_t *copy = mem_alloc(end - begin + 1);
        memcpy(copy, (const uint8_t *)stream + begin, end - begin);
        size_t used = 0, consumed;
        while ((rc = kv_resp_next(&parser, copy + used, end - begin - used, &consumed)) == 1) {
            assert_true(parser.argc > 0);
            wire_put_u8(&outcome->text, '[');
            for (uint32_t i = 0; i < parser.argc; i++) {
                wire_put_raw(&outcome->text, "|", i > 0);
                wire_put_raw(&outcome->text, parser.argv[i].data, parser.argv[i].count);
            }
            wire_put_u8(&outcome->text, ']');
            used += consumed;
        }
        begin += used + consumed;
        mem_free(copy);
    }
    if (rc < 0) {
        wire_put_u8(&outcome->text, '!');
        wire_put_raw(&outcome->text, parser.error, strlen(parser.error));
    }
    kv_resp_deinit(&parser);
}

static void
expect_bytes(const void *stream, size_t count, const char *wanted)
{
    struct outcome whole;
    run(&whole, stream, count, count);
    assert_int_equal(whole.text.count, strlen(wanted));
    assert_memory_equal(whole.text.data, wanted, whole.text.count);
    for (size_t step = 1; step < count && step < 80; step++) {
        struct outcome cut;
        run(&cut, stream, count, step);
        assert_int_equal(cut.text.count, whole.text.count);
        assert_memory_equal(cut.text.data, whole.text.data, whole.text.count);
        wire_writer_deinit(&cut.text);
    }
    wire_writer_deinit(&whole.text);
}

static void
expect(const char *stream, const char *wanted)
{
    expect_bytes(stream, strlen(stream), wanted);
}

static void
broken_headers(void **state)
{
    expect("*x\r\n", "!ERR Protocol error: invalid multibulk length");
    expect("*\r\n", "!ERR Protocol error: invalid multibulk length");
    expect("*3\n", "!ERR Protocol error: invalid multibulk length");
    expect("*1048577\r\n", "!ERR Protocol error: invalid multibulk length");
    expect("*99999999999999999999\r\n", "!ERR Protocol error: invalid multibulk length");
    expect("*+1\r\n", "!ERR Protocol error: invalid multibulk length");
    expect("*1\r\nGET\r\n", "!ERR Protocol error: expected '$', got 'G'");
    expect("*1\r\n\r\n", "!ERR Protocol error: expected '$', got ' '");
    expect("*1\r\n$-1\r\n", "!ERR Protocol error: invalid bulk length");
    expect("*1\r\n$x\r\n", "!ERR Protocol error: invalid bulk length");
    expect("*1\r\n$536870912\r\n", "!ERR Protocol error: invalid bulk length");
    expect("*1\r\n$2\r\nabcd\r\n", "!ERR Protocol error: expected CRLF after bulk string");
    expect("*1\r\n$2\r\nab\rd", "!ERR Protocol error: expected CRLF after bulk string");
}

static void
commands_before_an_error_count(void **state)
{
    expect("*1\r\n$4\r\nPING\r\n*1\r\n:", "[PING]!ERR Protocol error: expected '$', got ':'");
    expect("PING\r\nSET \"a\r\n", "[PING]!ERR Protocol error: unbalanced quotes in request");
}

static void
long_lines(void **state)
{
    size_t count = KV_RESP_LINE_BYTES_MAX + 10;
    char *line = mem_alloc(count);
    memset(line, 'a', count);
    expect_bytes(line, count, "!ERR Protocol error: too big inline request");
    line[0] = '*';
    expect_bytes(line, count, "!ERR Protocol error: too big mbulk count string");
    memcpy(line, "*1\r\n$", 5);
    expect_bytes(line, count, "!ERR Protocol error: too big bulk count string");
    mem_free(line);
}

/* Many arguments, each within the limit of one, together above the limit of a command. */
static void
large_command(void **state)
{
    struct wire_writer out = {0};
    wire_put_raw(&out, "*3\r\n", 4);
    for (int i = 0; i < 2; i++) {
        wire_put_raw(&out, "$600000\r\n", 9);
        memset(wire_put_space(&out, 600000), 'v', 600000);
        wire_put_raw(&out, "\r\n", 2);
    }
    const char *wanted = "!ERR Protocol error: command is larger than 1048576 bytes";
    for (size_t step = 4093; step <= out.count; step *= 7) {
        struct outcome outcome;
        run(&outcome, out.data, out.count, step);
        assert_int_equal(outcome.text.count, strlen(wanted));
        assert_memory_equal(outcome.text.data, wanted, strlen(wanted));
        wire_writer_deinit(&outcome.text);
    }
    wire_writer_deinit(&out);
}

static void
claims_cost_nothing(void **state)
{
    static const char claim[] = "*1048576\r\n$1000000\r\nabc";
    struct kv_resp parser;
    size_t consumed;
    kv_resp_init(&parser, LIMIT_BYTES);
    int rc = kv_resp_next(&parser, (const uint8_t *)claim, sizeof(claim) - 1, &consumed);
    assert_int_equal(rc, 0);
    assert_int_equal(consumed, 0);
    assert_true(parser.argv_capacity <= 64);
    assert_int_equal(parser.scratch.capacity, 0);
    kv_resp_deinit(&parser);
}

static void
pipelines(void **state)
{
    expect("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n",
           "[GET|k][SET||a\r\nb]");
    expect("*0\r\n*-1\r\n\r\n\n*1\r\n$1\r\nx\r\n  \r\n", "[x]");
    expect("*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n", "[PING][PING][PING]");
}

static void
inline_quoting(void **state)
{
    expect("SET k \"a b\"\n", "[SET|k|a b]");
    expect("  SET\tk   v  \r\n", "[SET|k|v]");
    expect("a \"\\x41\\x4a\\n\\t\\q\\\\\\\"\"\r\n", "[a|AJ\n\tq\\\"]");
    expect("a 'it\\'s \\n'\r\n", "[a|it's \\n]");
    expect("a \"\" ''\r\n", "[a||]");
    expect("foo\"bar\"\r\n", "[foobar]");
    expect("a \"\\xZZ\"\r\n", "[a|xZZ]");
    expect("a \"b\"c\r\n", "!ERR Protocol error: unbalanced quotes in request");
    expect("a 'b'c\r\n", "!ERR Protocol error: unbalanced quotes in request");
    expect("a 'b\r\n", "!ERR Protocol error: unbalanced quotes in request");
    expect("a \"b\\\"\r\n", "!ERR Protocol error: unbalanced quotes in request");
    expect_bytes("a b\0c d\r\n", 9, "[a|b]");
}

static void
integers(void **state)
{
    int64_t value = 7;
    static const char *const wrong[] = {"",
                                        "-",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "01",
                                        "-0",
                                        "0x1",
                                        "1a",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999"};
    for (size_t i = 0; i < BASE_COUNT_OF(wrong); i++)
        assert_false(kv_resp_integer(wrong[i], strlen(wrong[i]), &value));
    assert_int_equal(value, 7);
    assert_true(kv_resp_integer("0", 1, &value) && value == 0);
    assert_true(kv_resp_integer("-12", 3, &value) && value == -12);
    assert_true(kv_resp_integer("9223372036854775807", 19, &value) && value == INT64_MAX);
    assert_true(kv_resp_integer("-9223372036854775808", 20, &value) && value == INT64_MIN);
}

/* Streams of random pieces of protocol: cut anywhere, the outcome is that of the whole. */
static void
random_streams(void **state)
{
    static const char *const pieces[] = {
        "*1\r\n", "*2\r\n",    "$3\r\n",      "abc\r\n",     "$0\r\n\r\n",
        "\r\n",   "GET k\r\n", "\"q",         "'",           "$-1\r\n",
        "*",      "\n",        "$1\r\nx\r\n", "$1\r\nx\r\n", "*1\r\n$2\r\nab\r\n",
        "\r"};
    struct prng prng;
    prng_init(&prng, 42);
    for (int round = 0; round < 3000; round++) {
        struct wire_writer stream = {0};
        for (uint64_t i = prng_range(&prng, 1, 12); i; i--) {
            const char *piece = pieces[prng_below(&prng, BASE_COUNT_OF(pieces))];
            wire_put_raw(&stream, piece, strlen(piece));
        }
        struct outcome whole, cut;
        run(&whole, stream.data, stream.count, stream.count);
        run(&cut, stream.data, stream.count, (size_t)prng_range(&prng, 1, 7));
        assert_int_equal(cut.text.count, whole.text.count);
        if (whole.text.count)
            assert_memory_equal(cut.text.data, whole.text.data, whole.text.count);
        wire_writer_deinit(&whole.text);
        wire_writer_deinit(&cut.text);
        wire_writer_deinit(&stream);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_headers),      cmocka_unit_test(commands_before_an_error_count),
        cmocka_unit_test(long_lines),          cmocka_unit_test(large_command),
        cmocka_unit_test(claims_cost_nothing), cmocka_unit_test(pipelines),
        cmocka_unit_test(inline_quoting),      cmocka_unit_test(integers),
        cmocka_unit_test(random_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
