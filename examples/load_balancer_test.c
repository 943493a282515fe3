/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the load balancer spreads connections over two servers, passes bytes and ends both ways,
 * goes on when one server is gone, says so when none is, and ends at SIGTERM. argv[1]: it. */
#include "net/net_test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "skein/process.h"

#define SERVERS 2

static const char *program;

struct server {
    struct check *check;
    struct skein_endpoint at;
    struct skein_scope scope;
    int listener;
    unsigned count;
};

/* Answers what it reads, and the end by the end. */
static void
accept_and_echo(void *arg)
{
    struct server *server = arg;
    int handle;
    while ((handle = skein_socket_accept(server->listener, NULL, SKEIN_NEVER)) >= 0) {
        char data[64];
        ssize_t n;
        server->count++;
        while ((n = skein_socket_recv(handle, data, sizeof(data), net_test_soon())) > 0)
            CHECK(server->check, skein_socket_send(handle, data, (size_t)n, net_test_soon()) == 0);
        skein_close(handle);
    }
}

static void
start(struct server *server, struct check *check)
{
    *server = (struct server){.check = check};
    server->listener = skein_net_listen(&net_test_loopback, NULL);
    CHECK(check, skein_net_local(server->listener, &server->at) == 0);
    skein_scope_init(&server->scope);
    CHECK(check,
          skein_spawn(&server->scope, "server", accept_and_echo, server, SKEIN_STACK_SMALL) == 0);
}

static void
stop(struct server *server)
{
    skein_scope_cancel(&server->scope);
    skein_scope_join(&server->scope);
    skein_close(server->listener);
}

/* One connection through the balancer. Returns whether it was served. */
static bool
talk(struct check *check, const struct skein_endpoint *at)
{
    char data[16];
    size_t count = 0;
    ssize_t n;
    int handle = skein_net_connect(at, NULL, net_test_soon());
    if (!CHECK(check, handle >= 0))
        return false;
    int rc = skein_socket_send(handle, "hello", 5, net_test_soon());
    if (rc == 0)
        rc = skein_socket_shutdown(handle);
    while ((n = skein_socket_recv(handle, data + count, sizeof(data) - count, net_test_soon())) > 0)
        count += (size_t)n;
    CHECK(check, skein_close(handle) == 0);
    return rc == 0 && count == 5 && memcmp(data, "hello", 5) == 0;
}

static bool
read_address(struct check *check, struct skein_child *child, struct skein_endpoint *out)
{
    char line[256], why[128];
    size_t count = 0;
    while (count == 0 || line[count - 1] != '\n') {
        ssize_t n = skein_child_read(child, SKEIN_CHILD_STDOUT, line + count,
                                     sizeof(line) - 1 - count, net_test_soon());
        if (!CHECK(check, n > 0))
            return false;
        count += (size_t)n;
    }
    line[count - 1] = '\0';
    const char *prefix = "listening on ";
    return CHECK(check, strncmp(line, prefix, strlen(prefix)) == 0) &&
           CHECK(check, skein_net_parse(line + strlen(prefix), out, why) == 0);
}

static int
balances(void *arg)
{
    struct check *check = arg;
    struct server servers[SERVERS];
    char at[SERVERS][SKEIN_ENDPOINT_TEXT_BYTES];
    struct skein_endpoint front;
    struct skein_child *child;
    struct skein_child_status status;
    for (int i = 0; i < SERVERS; i++)
        start(&servers[i], check);
    const char *const argv[] = {program, "127.0.0.1:0", skein_net_format(&servers[0].at, at[0]),
                                skein_net_format(&servers[1].at, at[1]), NULL};
    struct skein_child_options options = {
        .path = program,
        .argv = argv,
        .streams = {SKEIN_CHILD_NULL, SKEIN_CHILD_PIPE, SKEIN_CHILD_INHERIT},
        .parent_death_signal = SIGKILL};
    if (!CHECK(check, skein_child_open(&child, &options) == 0))
        return 0;
    if (!read_address(check, child, &front))
        return 0;
    for (int i = 0; i < 20; i++)
        CHECK(check, talk(check, &front));
    CHECK(check, servers[0].count == 10 && servers[1].count == 10);
    stop(&servers[0]);
    for (int i = 0; i < 10; i++)
        CHECK(check, talk(check, &front));
    stop(&servers[1]);
    for (int i = 0; i < 5; i++)
        CHECK(check, !talk(check, &front));
    CHECK(check, skein_child_kill(child, SIGTERM) == 0);
    CHECK(check, skein_child_wait(child, &status, net_test_soon()) == 0);
    CHECK(check, status.exited && status.code == 0);
    skein_child_close(child);
    return 0;
}

static void
run_balances(void **state)
{
    net_test_run(balances);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(run_balances)};
    if (argc != 2)
        return 2;
    program = argv[1];
    return cmocka_run_group_tests_name("load balancer", tests, NULL, NULL);
}
