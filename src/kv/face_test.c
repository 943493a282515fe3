/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: over real sockets the face answers in order, turns pipelines into the right batches, never
 * says OK for what was not carried out, keeps its limits, and stops without losing a reply.
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

#define MS_NS UINT64_C(1000000)

static void
broken_streams_body(struct fake *fake)
{
    fake_exchange(fake, "*1\r\n$4\r\nPING\r\n*1\r\nx",
                  "+PONG\r\n-ERR Protocol error: expected '$', got 'x'\r\n");
    fake_exchange(fake, "*a\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n");
    fake_exchange(fake, "set k v\r\n*1\r\n$-3\r\n",
                  "+OK\r\n-ERR Protocol error: invalid bulk length\r\n");
    fake_exchange(fake, "set 'k\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n");
    fake_exchange(fake, "*2\r\n$3\r\nGET\r\n$5\r\nab", "");
    CHECK(&fake->check, fake->face->stats.protocol_errors == 4);
}

static void
broken_streams(void **state)
{
    assert_int_equal(fake_run(broken_streams_body, NULL), 0);
}

static void
batches_body(struct fake *fake)
{
    fake_exchange(fake, "get a\r\nget b\r\n", "$1\r\na\r\n$1\r\nb\r\n");
    CHECK(&fake->check, fake->batch_count == 1);
    CHECK(&fake->check, fake->batches[0].kind == REPLICA_READ && fake->batches[0].count == 2);

    fake_exchange(fake, "get a\r\nset b c\r\nget d\r\nmset e f\r\n",
                  "$1\r\na\r\n+OK\r\n$1\r\nd\r\n:3\r\n");
    CHECK(&fake->check, fake->batch_count == 2);
    CHECK(&fake->check, fake->batches[1].kind == REPLICA_WRITE && fake->batches[1].count == 4);
    for (int i = 0; i < 2; i++) {
        CHECK(&fake->check, fake->batches[i].limits.key_bytes_max == 3);
        CHECK(&fake->check, fake->batches[i].limits.value_bytes_max == 5);
        CHECK(&fake->check, fake->batches[i].limits.reply_bytes_max == 7);
    }

    fake_exchange(fake, "set b c\r\nping\r\nget d\r\nnone x\r\nget\r\nget e\r\nquit\r\nget f\r\n",
                  "+OK\r\n+PONG\r\n$1\r\nd\r\n-ERR unknown command 'none', with args beginning "
                  "with: 'x' \r\n-ERR wrong number of arguments for 'get' command\r\n$1\r\ne\r\n"
                  "+OK\r\n");
    CHECK(&fake->check, fake->batch_count == 5);
    CHECK(&fake->check, fake->batches[2].kind == REPLICA_WRITE);
    CHECK(&fake->check, fake->batches[3].kind == REPLICA_READ);
}

static void
batches(void **state)
{
    assert_int_equal(fake_run(batches_body, NULL), 0);
}

static void
long_pipeline_body(struct fake *fake)
{
    struct kv_client *client = fake_client(fake);
    const uint32_t count = 3000;
    for (uint32_t i = 0; i < count; i++) {
        char key[16];
        size_t bytes = (size_t)snprintf(key, sizeof(key), "k%u", i);
        struct kv_arg argv[] = {{(const uint8_t *)"get", 3}, {(const uint8_t *)key, bytes}};
        kv_client_send(client, argv, 2);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct kv_reply reply = {0};
        char key[16];
        size_t bytes = (size_t)snprintf(key, sizeof(key), "k%u", i);
        if (!CHECK(&fake->check, kv_client_receive(client, &reply, fake_soon()) == 0))
            break;
        CHECK(&fake->check, reply.text.count == bytes);
        CHECK(&fake->check, memcmp(reply.text.data, key, bytes) == 0);
        kv_reply_deinit(&reply);
    }
    kv_client_close(client);
    uint32_t commands = 0;
    for (uint32_t i = 0; i < fake->batch_count; i++) {
        commands += fake->batches[i].count;
        CHECK(&fake->check, fake->batches[i].count <= KV_CONN_BATCH_COMMANDS);
    }
    CHECK(&fake->check, commands == count);
}

static void
long_pipeline(void **state)
{
    assert_int_equal(fake_run(long_pipeline_body, NULL), 0);
}

static void
big_values_body(struct fake *fake)
{
    struct kv_client *client = fake_client(fake);
    const size_t bytes = (size_t)1 << 20;
    uint8_t *value = mem_zalloc(bytes);
    for (int i = 0; i < 3; i++) {
        struct kv_arg argv[] = {
            {(const uint8_t *)"set", 3}, {(const uint8_t *)"k", 1}, {value, bytes}};
        kv_client_send(client, argv, 3);
    }
    struct kv_arg get[] = {{(const uint8_t *)"get", 3}, {value, bytes}};
    kv_client_send(client, get, 2);
    for (int i = 0; i < 4; i++) {
        struct kv_reply reply = {0};
        CHECK(&fake->check, kv_client_receive(client, &reply, fake_soon()) == 0);
        CHECK(&fake->check, reply.text.count == (i < 3 ? 2 : bytes));
        kv_reply_deinit(&reply);
    }
    CHECK(&fake->check, fake->batch_count == 4);
    kv_client_close(client);
    mem_free(value);
    struct wire_writer request = {0};
    wire_put_raw(&request, "*2\r\n$3\r\nget\r\n$4194305\r\n", 24);
    wire_put_u8(&request, 0);
    fake_exchange(fake, (char *)request.data, "-ERR Protocol error: invalid bulk length\r\n");
    wire_writer_deinit(&request);
}

static void
big_values(void **state)
{
    assert_int_equal(fake_run(big_values_body, NULL), 0);
}

/* "word\r\n" of each reply, joined: "UNKNOWN NOLEADER ". */
static void
expect_errors(struct fake *fake, int rc, const char *request, const char *const *words,
              size_t word_count)
{
    size_t count;
    fake->rc = rc;
    int handle = fake_connect(fake);
    CHECK(&fake->check, skein_socket_send(handle, request, strlen(request), fake_soon()) == 0);
    CHECK(&fake->check, skein_socket_shutdown(handle) == 0);
    char *got = fake_read_all(handle, &count);
    skein_close(handle);
    char *line = got;
    for (size_t i = 0; i < word_count; i++) {
        CHECK(&fake->check, strncmp(line, words[i], strlen(words[i])) == 0);
        char *end = strstr(line, "\r\n");
        if (!CHECK(&fake->check, end != NULL))
            break;
        line = end + 2;
    }
    CHECK(&fake->check, *line == 0);
    mem_free(got);
    fake->rc = 0;
}

static void
errors_body(struct fake *fake)
{
    static const struct {
        int rc;
        const char *words[3];
    } rows[] = {
        {-SKEIN_EUNKNOWN, {"-NOLEADER ", "-UNKNOWN ", "-NOLEADER "}},
        {-SKEIN_ENOLEADER,
         {"-NOLEADER no leader within 5000 ms; the command was not applied, try again",
          "-NOLEADER ", "-NOLEADER "}},
        {-SKEIN_EBUSY, {"-BUSY ", "-BUSY ", "-BUSY "}},
        {-SKEIN_ETOOBIG, {"-ERR the command is larger than", "-ERR ", "-ERR "}},
        {-SKEIN_ELATCHED, {"-DISKFAILED ", "-DISKFAILED ", "-DISKFAILED "}},
        {-SKEIN_ECLOSED, {"-STOPPING ", "-STOPPING ", "-STOPPING "}},
        {-SKEIN_ECANCELED, {"-NOLEADER ", "-UNKNOWN ", "-NOLEADER "}},
        {-SKEIN_ENOMEM, {"-ERR ", "-ERR ", "-ERR "}},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        expect_errors(fake, rows[i].rc, "get a\r\nset a b\r\nget b\r\n", rows[i].words, 3);
        expect_errors(fake, rows[i].rc, "get a\r\n", rows[i].words, 1);
    }
    fake_exchange(fake, "set a b\r\n", "+OK\r\n");
}

static void
errors(void **state)
{
    assert_int_equal(fake_run(errors_body, NULL), 0);
}

static void
two_clients(struct kv_face_options *options)
{
    options->client_count_max = 2;
}

static bool
no_clients(struct fake *fake)
{
    return fake->face->conn_count == 0;
}

static void
client_limit_body(struct fake *fake)
{
    struct kv_client *one = fake_client(fake), *two = fake_client(fake);
    static const char *const ping[] = {"PING"};
    struct kv_reply reply = {0};
    CHECK(&fake->check, kv_client_call(one, &reply, fake_soon(), 1, ping) == 0);
    kv_reply_deinit(&reply);
    CHECK(&fake->check, kv_client_call(two, &reply, fake_soon(), 1, ping) == 0);
    kv_reply_deinit(&reply);
    fake_exchange(fake, "", "-ERR max number of clients reached\r\n");
    CHECK(&fake->check, fake->face->stats.rejected == 1);
    kv_client_close(one);
    kv_client_close(two);
    fake_yield_until(no_clients, fake);
    fake_exchange(fake, "PING\r\n", "+PONG\r\n");
}

static void
client_limit(void **state)
{
    assert_int_equal(fake_run(client_limit_body, two_clients), 0);
}

static void
impatient(struct kv_face_options *options)
{
    options->send_timeout_ns = 20 * MS_NS;
}

/* A client that asks for much and reads nothing is closed; another is served meanwhile. */
static void
slow_reader_body(struct fake *fake)
{
    int handle = fake_connect(fake);
    static const char request[] = "big 60000000\r\nping\r\n";
    CHECK(&fake->check, skein_socket_send(handle, request, sizeof(request) - 1, fake_soon()) == 0);
    fake_exchange(fake, "PING\r\n", "+PONG\r\n");
    fake_yield_until(no_clients, fake);
    CHECK(&fake->check, fake->face->reply_bytes == 0);
    skein_close(handle);
}

static void
slow_reader(void **state)
{
    assert_int_equal(fake_run(slow_reader_body, impatient), 0);
}

struct stopper {
    struct fake *fake;
    uint64_t deadline_ns;
};

static void
stopper_main(void *arg)
{
    struct stopper *stopper = arg;
    kv_face_stop(stopper->fake->face, stopper->deadline_ns);
    stopper->fake->face = NULL;
}

static bool
one_waits(struct fake *fake)
{
    return fake->waiting == 1;
}

static bool
two_clients_came(struct fake *fake)
{
    return fake->face->conn_count == 2;
}

/* One client is idle, one has a batch under way and more commands behind it. */
static void
stop_with_batch(struct fake *fake, uint64_t deadline_ns, bool open_gate, const char *wanted)
{
    size_t count;
    struct skein_scope scope;
    struct stopper stopper = {.fake = fake, .deadline_ns = deadline_ns};
    skein_scope_init(&scope);
    fake->closed = true;
    int idle = fake_connect(fake);
    int busy = fake_connect(fake);
    fake_yield_until(two_clients_came, fake);
    CHECK(&fake->check, skein_socket_send(busy, "set a b\r\nping\r\n", 15, fake_soon()) == 0);
    fake_yield_until(one_waits, fake);
    int rc = skein_spawn(&scope, "stopper", stopper_main, &stopper, SKEIN_STACK_SMALL);
    CHECK(&fake->check, rc == 0);
    char *got = fake_read_all(idle, &count);
    CHECK(&fake->check, count == 0);
    mem_free(got);
    skein_close(idle);
    if (open_gate) {
        fake->closed = false;
        skein_wake_all(&fake->gate_q);
    }
    got = fake_read_all(busy, &count);
    CHECK(&fake->check, strncmp(got, wanted, strlen(wanted)) == 0);
    mem_free(got);
    skein_close(busy);
    skein_scope_join(&scope);
    CHECK(&fake->check, fake->face == NULL);
}

static void
stop_finishes_batch_body(struct fake *fake)
{
    stop_with_batch(fake, fake_soon(), true, "+OK\r\n");
}

static void
stop_cuts_off_body(struct fake *fake)
{
    stop_with_batch(fake, skein_deadline_in(20 * MS_NS), false, "");
}

static void
stop(void **state)
{
    assert_int_equal(fake_run(stop_finishes_batch_body, NULL), 0);
    assert_int_equal(fake_run(stop_cuts_off_body, NULL), 0);
}

static void
port_in_use_body(struct fake *fake)
{
    struct kv_face_options options = fake->options;
    struct kv_face *second = NULL;
    char why[512] = "";
    options.listen = fake->face->addr;
    CHECK(&fake->check, kv_face_open(&second, &options, why) < 0);
    CHECK(&fake->check, strstr(why, "cannot listen for clients on 127.0.0.1:") == why);
    CHECK(&fake->check, strstr(why, "choose another") != NULL);
    CHECK(&fake->check, second == NULL);
}

static void
port_in_use(void **state)
{
    assert_int_equal(fake_run(port_in_use_body, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_streams), cmocka_unit_test(port_in_use), cmocka_unit_test(errors),
        cmocka_unit_test(client_limit),   cmocka_unit_test(slow_reader), cmocka_unit_test(batches),
        cmocka_unit_test(long_pipeline),  cmocka_unit_test(big_values),  cmocka_unit_test(stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
