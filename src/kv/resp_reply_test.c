/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the client reads every RESP2 reply, cut anywhere; refuses what is none, what nests too deep
 * and what is too large; a claimed size allocates nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "kv/resp_reply.h"
#include "skein/error.h"

#define LIMIT_BYTES ((size_t)1 << 16)

/* Scan, given one more byte each time; what the scan says in the end. */
static int
scan(const char *text, size_t count, size_t *out_bytes)
{
    struct kv_reply_scan cut = {0}, whole = {0};
    int rc = 0;
    for (size_t end = 1; rc == 0 && end <= count; end++)
        rc = kv_reply_scan(&cut, (const uint8_t *)text, end, LIMIT_BYTES);
    assert_int_equal(kv_reply_scan(&whole, (const uint8_t *)text, count, LIMIT_BYTES), rc);
    if (rc == 1)
        assert_int_equal(cut.position, whole.position);
    *out_bytes = whole.position;
    return rc;
}

static void
expect_refused(const char *text, int wanted)
{
    size_t bytes;
    assert_int_equal(scan(text, strlen(text), &bytes), wanted);
}

static void
build(const char *text, struct kv_reply *out_reply)
{
    size_t bytes;
    assert_int_equal(scan(text, strlen(text), &bytes), 1);
    assert_int_equal(bytes, strlen(text));
    assert_int_equal(kv_reply_build((const uint8_t *)text, bytes, out_reply), 0);
}

static void
refuses(void **state)
{
    expect_refused("x\r\n", -SKEIN_EPROTO);
    expect_refused("\r\n", -SKEIN_EPROTO);
    expect_refused("\n", -SKEIN_EPROTO);
    expect_refused("+OK\n", -SKEIN_EPROTO);
    expect_refused(":\r\n", -SKEIN_EPROTO);
    expect_refused(":1a\r\n", -SKEIN_EPROTO);
    expect_refused("$-2\r\n", -SKEIN_EPROTO);
    expect_refused("$2\r\nabc\r\n", -SKEIN_EPROTO);
    expect_refused("*-2\r\n", -SKEIN_EPROTO);
    expect_refused("*2\r\n:1\r\n%1\r\n", -SKEIN_EPROTO);
    expect_refused("$99999999\r\n", -SKEIN_ETOOBIG);
    expect_refused("*1\r\n$5\r\nabc", 0);
}

static void
depth(void **state)
{
    char text[4 * (KV_REPLY_DEPTH_MAX + 1) + 5] = "";
    for (int i = 0; i < KV_REPLY_DEPTH_MAX; i++)
        strcat(text, "*1\r\n");
    struct kv_reply reply;
    strcat(text, ":7\r\n");
    build(text, &reply);
    const struct kv_reply *inner = &reply;
    for (int i = 0; i < KV_REPLY_DEPTH_MAX; i++)
        inner = inner->elements;
    assert_int_equal(inner->integer, 7);
    kv_reply_deinit(&reply);

    memmove(text + 4, text, strlen(text) - 3);
    memcpy(text, "*1\r\n", 4);
    expect_refused(text, -SKEIN_EPROTO);
}

static void
endless(void **state)
{
    struct kv_reply_scan state_of = {0};
    uint8_t *line = mem_alloc(LIMIT_BYTES + 1);
    memset(line, '+', LIMIT_BYTES + 1);
    assert_int_equal(kv_reply_scan(&state_of, line, LIMIT_BYTES, LIMIT_BYTES), 0);
    assert_int_equal(kv_reply_scan(&state_of, line, LIMIT_BYTES + 1, LIMIT_BYTES), -SKEIN_ETOOBIG);
    mem_free(line);
}

static void
replies(void **state)
{
    struct kv_reply reply;
    build("+OK\r\n", &reply);
    assert_int_equal(reply.type, KV_REPLY_SIMPLE);
    assert_memory_equal(reply.text.data, "OK", reply.text.count);
    kv_reply_deinit(&reply);
    kv_reply_deinit(&reply);
    build("-ERR x\r\n", &reply);
    assert_int_equal(reply.type, KV_REPLY_ERROR);
    assert_int_equal(reply.text.count, 5);
    kv_reply_deinit(&reply);
    build("$-1\r\n", &reply);
    assert_int_equal(reply.type, KV_REPLY_NULL);
    build("*-1\r\n", &reply);
    assert_int_equal(reply.type, KV_REPLY_NULL);
    build("*0\r\n", &reply);
    assert_int_equal(reply.type, KV_REPLY_ARRAY);
    assert_int_equal(reply.element_count, 0);
}

static void
nested(void **state)
{
    struct kv_reply reply;
    build("*4\r\n:-5\r\n*2\r\n$3\r\na\r\n\r\n$0\r\n\r\n*0\r\n+x\r\n", &reply);
    assert_int_equal(reply.element_count, 4);
    assert_int_equal(reply.elements[0].integer, -5);
    assert_int_equal(reply.elements[1].element_count, 2);
    assert_memory_equal(reply.elements[1].elements[0].text.data, "a\r\n", 3);
    assert_int_equal(reply.elements[1].elements[1].text.count, 0);
    assert_int_equal(reply.elements[2].type, KV_REPLY_ARRAY);
    assert_memory_equal(reply.elements[3].text.data, "x", 1);
    kv_reply_deinit(&reply);
}

/* What follows a reply is left for the next one. */
static void
pipelined(void **state)
{
    struct kv_reply_scan first = {0};
    assert_int_equal(kv_reply_scan(&first, (const uint8_t *)":1\r\n:2\r\n", 8, LIMIT_BYTES), 1);
    assert_int_equal(first.position, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses), cmocka_unit_test(depth),  cmocka_unit_test(endless),
        cmocka_unit_test(replies), cmocka_unit_test(nested), cmocka_unit_test(pipelined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
