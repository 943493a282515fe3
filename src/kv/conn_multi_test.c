/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a transaction is one batch or nothing: what spoils it, what ends it, its limits, and that
 * its memory is given back however it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kv/conn.h"
#include "kv/face_fake.h"
#include "skein/error.h"

#define OK "+OK\r\n"
#define QUEUED "+QUEUED\r\n"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"
#define WRONG_EXEC                                                                       \
    "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' " \
    "command\r\n"
#define FORBIDDEN "-ERR Command not allowed inside a transaction\r\n"

static void
misuse_body(struct fake *fake)
{
    fake_exchange(fake, "exec\r\ndiscard\r\nmulti x\r\nexec x\r\n",
                  "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n"
                  "-ERR wrong number of arguments for 'multi' command\r\n" WRONG_EXEC);
    fake_exchange(fake, "multi\r\nset a b\r\nnone x\r\nset c d\r\nexec\r\nexec\r\n",
                  OK QUEUED
                  "-ERR unknown command 'none', with args beginning with: 'x' \r\n" QUEUED ABORTED
                  "-ERR EXEC without MULTI\r\n");
    fake_exchange(fake, "multi\r\nget\r\nexec\r\n",
                  OK "-ERR wrong number of arguments for 'get' command\r\n" ABORTED);
    fake_exchange(fake, "multi\r\nexec x\r\nexec\r\n", OK WRONG_EXEC "-ERR EXEC without MULTI\r\n");
    fake_exchange(fake, "multi\r\nping\r\nexec\r\nping\r\n", OK FORBIDDEN ABORTED "+PONG\r\n");
    fake_exchange(fake, "multi\r\nskein once 1 1 set a b\r\nskein snapshot\r\nexec\r\n",
                  OK FORBIDDEN FORBIDDEN ABORTED);
    CHECK(&fake->check, fake->batch_count == 0);
    CHECK(&fake->check, fake->face->query_bytes == 0 || fake->face->conn_count > 0);
}

static void
misuse(void **state)
{
    assert_int_equal(fake_run(misuse_body, NULL), 0);
}

static void
batches_body(struct fake *fake)
{
    fake_exchange(fake, "get a\r\nmulti\r\nset a b\r\nmulti\r\nget c\r\nexec\r\nget d\r\n",
                  "$1\r\na\r\n" OK QUEUED "-ERR MULTI calls can not be nested\r\n" QUEUED
                  "*2\r\n+OK\r\n$1\r\nc\r\n$1\r\nd\r\n");
    CHECK(&fake->check, fake->batch_count == 3);
    CHECK(&fake->check, fake->batches[1].kind == REPLICA_WRITE && fake->batches[1].count == 2);
    CHECK(&fake->check, fake->batches[1].limits.key_bytes_max == 3);
    fake_exchange(fake, "skein read follower\r\nmulti\r\nget a\r\nget b\r\nexec\r\n",
                  OK OK QUEUED QUEUED "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    CHECK(&fake->check, fake->batch_count == 4);
    CHECK(&fake->check, fake->batches[3].kind == REPLICA_READ && fake->batches[3].count == 2);
    CHECK(&fake->check, fake->level == REPLICA_FOLLOWER);
    fake_exchange(fake, "multi\r\nexec\r\n", OK "*0\r\n");
    fake_exchange(fake, "multi\r\nset a b\r\ndiscard\r\nexec\r\n",
                  OK QUEUED OK "-ERR EXEC without MULTI\r\n");
    fake_exchange(fake, "multi\r\nset a b\r\nreset\r\nget c\r\n",
                  OK QUEUED "+RESET\r\n$1\r\nc\r\n");
    fake_exchange(fake, "multi\r\nset a b\r\nquit\r\n", OK QUEUED OK);
    fake_exchange(fake, "multi\r\nset a b\r\n", OK QUEUED);
    CHECK(&fake->check, fake->batch_count == 5);
}

static void
batches(void **state)
{
    assert_int_equal(fake_run(batches_body, NULL), 0);
}

static void
errors_body(struct fake *fake)
{
    fake->rc = -SKEIN_EUNKNOWN;
    fake_exchange(fake, "multi\r\nset a b\r\nget c\r\nexec\r\nexec\r\n",
                  OK QUEUED QUEUED
                  "-UNKNOWN the outcome of this write is unknown (no answer in time, or the leader "
                  "or the way to it was lost); it may or may not have been applied\r\n"
                  "-ERR EXEC without MULTI\r\n");
    fake->rc = -SKEIN_ENOLEADER;
    fake_exchange(fake, "multi\r\nget c\r\nexec\r\n",
                  OK QUEUED "-NOLEADER no leader within 5000 ms; the command was not applied, try "
                            "again\r\n");
    CHECK(&fake->check, fake->face->stats.failed_batches == 2);
}

static void
errors(void **state)
{
    assert_int_equal(fake_run(errors_body, NULL), 0);
}

static bool
no_clients(struct fake *fake)
{
    return fake->face->conn_count == 0;
}

/* Values of a megabyte, of which four are more than query_bytes_max (kv/face_fake.c). */
static void
limit_body(struct fake *fake)
{
    static const char *const multi[] = {"MULTI"}, *const exec[] = {"EXEC"};
    struct kv_client *client = fake_client(fake);
    struct kv_reply reply = {0};
    const size_t bytes = (size_t)1 << 20;
    uint8_t *value = mem_zalloc(bytes);
    struct kv_arg set[] = {{(const uint8_t *)"set", 3}, {(const uint8_t *)"k", 1}, {value, bytes}};
    CHECK(&fake->check, kv_client_call(client, &reply, fake_soon(), 1, multi) == 0);
    kv_reply_deinit(&reply);
    for (int i = 0; i < 5; i++) {
        kv_client_send(client, set, 3);
        CHECK(&fake->check, kv_client_receive(client, &reply, fake_soon()) == 0);
        CHECK(&fake->check, reply.type == (i == 3 ? KV_REPLY_ERROR : KV_REPLY_SIMPLE));
        kv_reply_deinit(&reply);
        CHECK(&fake->check, fake->face->query_bytes < bytes * 6);
    }
    CHECK(&fake->check, kv_client_call(client, &reply, fake_soon(), 1, exec) == 0);
    CHECK(&fake->check,
          reply.type == KV_REPLY_ERROR && memcmp(reply.text.data, "EXECABORT", 9) == 0);
    kv_reply_deinit(&reply);
    CHECK(&fake->check, fake->batch_count == 0);
    kv_client_close(client);
    mem_free(value);
    fake_yield_until(no_clients, fake);
    CHECK(&fake->check, fake->face->query_bytes == 0);
}

static void
limit(void **state)
{
    assert_int_equal(fake_run(limit_body, NULL), 0);
}

static void
count_body(struct fake *fake)
{
    struct wire_writer request = {0};
    size_t count, aborts = 0;
    int handle = fake_connect(fake);
    wire_put_raw(&request, "multi\r\n", 7);
    for (uint32_t i = 0; i <= KV_CONN_MULTI_COMMANDS; i++)
        wire_put_raw(&request, "get a\r\n", 7);
    wire_put_raw(&request, "exec\r\n", 6);
    CHECK(&fake->check, skein_socket_send(handle, request.data, request.count, fake_soon()) == 0);
    CHECK(&fake->check, skein_socket_shutdown(handle) == 0);
    char *got = fake_read_all(handle, &count);
    aborts += strstr(got, "-ERR the transaction has too many commands\r\n" ABORTED) != NULL;
    CHECK(&fake->check, aborts == 1 && fake->batch_count == 0);
    mem_free(got);
    skein_close(handle);
    wire_writer_deinit(&request);
}

static void
count(void **state)
{
    assert_int_equal(fake_run(count_body, NULL), 0);
}

#define FLOOD 300000u

struct flood {
    struct fake *fake;
    int handle;
};

/* A value that makes the connection's buffer large, then what is shorter than its reply. */
static void
send_flood(void *arg)
{
    struct flood *flood = arg;
    const size_t value_bytes = (size_t)2 << 20;
    struct wire_writer request = {0};
    char head[64];
    int count =
        snprintf(head, sizeof head, "multi\r\n*3\r\n$3\r\nset\r\n$1\r\nk\r\n$%zu\r\n", value_bytes);
    wire_put_raw(&request, head, (size_t)count);
    memset(wire_put_space(&request, value_bytes), 'v', value_bytes);
    wire_put_raw(&request, "\r\n", 2);
    for (uint32_t i = 0; i < FLOOD; i++)
        wire_put_raw(&request, "x\n", 2);
    CHECK(&flood->fake->check,
          skein_socket_send(flood->handle, request.data, request.count, fake_soon()) == 0);
    wire_writer_deinit(&request);
}

/* Replies go before they gather, those of a transaction and of commands in it, too. */
static void
flood_body(struct fake *fake)
{
    struct skein_scope scope;
    struct flood flood = {fake, fake_connect(fake)};
    uint8_t buffer[4096];
    uint32_t lines = 0;
    skein_scope_init(&scope);
    CHECK(&fake->check, skein_spawn(&scope, "flood", send_flood, &flood, SKEIN_STACK_SMALL) == 0);
    while (lines < FLOOD + 2) {
        ssize_t n = skein_socket_recv(flood.handle, buffer, sizeof buffer, fake_soon());
        if (!CHECK(&fake->check, n > 0))
            break;
        for (ssize_t i = 0; i < n; i++)
            lines += buffer[i] == '\n';
    }
    skein_scope_join(&scope);
    struct kv_conn *conn = LIST_ENTRY(fake->face->conns.next, struct kv_conn, link);
    CHECK(&fake->check, conn->out.capacity <= (size_t)1 << 20);
    skein_close(flood.handle);
}

static void
flood(void **state)
{
    assert_int_equal(fake_run(flood_body, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse), cmocka_unit_test(batches), cmocka_unit_test(errors),
        cmocka_unit_test(limit),  cmocka_unit_test(count),   cmocka_unit_test(flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
