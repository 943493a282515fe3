/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the client tells apart a server that ends, breaks the protocol, says nothing or is not
 * there; after a failure it stays unusable; replies cut into pieces arrive whole.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "kv/face_fake.h"
#include "skein/error.h"

#define MS_NS UINT64_C(1000000)

/* A server for one client: takes a request, sends these pieces, then ends or keeps silent. */
struct server {
    struct fake *fake;
    int listener;
    struct skein_addr addr;
    const char *pieces[3];
    bool silent;
};

static void
server_main(void *arg)
{
    struct server *server = arg;
    char request[256];
    struct skein_addr peer;
    int handle = skein_socket_accept(server->listener, &peer, fake_soon());
    if (!CHECK(&server->fake->check, handle >= 0))
        return;
    CHECK(&server->fake->check,
          skein_socket_recv(handle, request, sizeof(request), fake_soon()) > 0);
    for (size_t i = 0; i < BASE_COUNT_OF(server->pieces) && server->pieces[i]; i++) {
        const char *piece = server->pieces[i];
        CHECK(&server->fake->check,
              skein_socket_send(handle, piece, strlen(piece), fake_soon()) == 0);
        skein_yield();
    }
    if (server->silent)
        CHECK(&server->fake->check, skein_socket_recv(handle, request, 1, fake_soon()) == 0);
    skein_close(handle);
}

/* What a client gets that calls PING on @server; a reply is put into @out_reply. */
static int
call_server(struct fake *fake, struct server *server, uint64_t timeout_ns,
            struct kv_reply *out_reply)
{
    static const char *const ping[] = {"PING"};
    struct skein_scope scope;
    struct kv_client *client = NULL;
    struct kv_reply again = {0};
    server->fake = fake;
    server->listener = skein_socket_listen(&fake->options.listen, 8);
    CHECK(&fake->check, server->listener >= 0);
    CHECK(&fake->check, skein_socket_local_addr(server->listener, &server->addr) == 0);
    skein_scope_init(&scope);
    int rc = skein_spawn(&scope, "server", server_main, server, SKEIN_STACK_SMALL);
    CHECK(&fake->check, rc == 0);
    CHECK(&fake->check, kv_client_connect(&client, &server->addr, fake_soon()) == 0);
    rc = kv_client_call(client, out_reply, skein_deadline_in(timeout_ns), 1, ping);
    if (rc < 0)
        CHECK(&fake->check, kv_client_call(client, &again, fake_soon(), 1, ping) == -SKEIN_ECLOSED);
    kv_client_close(client);
    skein_scope_join(&scope);
    skein_close(server->listener);
    return rc;
}

static void
failures_body(struct fake *fake)
{
    struct kv_reply reply = {0};
    struct server ends = {.pieces = {"$5\r\nab"}};
    CHECK(&fake->check, call_server(fake, &ends, 2000 * MS_NS, &reply) == -SKEIN_EEOF);
    struct server breaks = {.pieces = {"+O", "K", "\n"}};
    CHECK(&fake->check, call_server(fake, &breaks, 2000 * MS_NS, &reply) == -SKEIN_EPROTO);
    struct server silent = {.silent = true};
    CHECK(&fake->check, call_server(fake, &silent, 20 * MS_NS, &reply) == -SKEIN_ETIMEDOUT);
    struct kv_client *client = NULL;
    CHECK(&fake->check, kv_client_connect(&client, &silent.addr, fake_soon()) == -ECONNREFUSED);
    CHECK(&fake->check, client == NULL);
    kv_client_close(NULL);
}

static void
failures(void **state)
{
    assert_int_equal(fake_run(failures_body, NULL), 0);
}

static void
pieces_body(struct fake *fake)
{
    struct kv_reply reply = {0};
    struct server server = {.pieces = {"*2\r\n$3\r", "\nab", "c\r\n:7\r\n"}};
    CHECK(&fake->check, call_server(fake, &server, 2000 * MS_NS, &reply) == 0);
    CHECK(&fake->check, reply.element_count == 2 && reply.elements[1].integer == 7);
    CHECK(&fake->check, memcmp(reply.elements[0].text.data, "abc", 3) == 0);
    kv_reply_deinit(&reply);
}

static void
pieces(void **state)
{
    assert_int_equal(fake_run(pieces_body, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures),
        cmocka_unit_test(pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
