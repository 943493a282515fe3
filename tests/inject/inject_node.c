/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole node of the store, alone: it opens, elects itself and stops; and the same with two
 * clients, of which one is connected to the end. Undisturbed every command is answered as it has to
 * be.
 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "inject/inject.h"
#include "kv/node.h"
#include "net/addr.h"
#include "replica/link_tcp.h"
#include "sim/net.h"

#define SECOND 1000000000ull

#define LARGE_BYTES 40000

struct client {
    struct skein_addr addr;
    int rc;
};

/* Send @command, and expect @reply. */
static int
ask(int handle, const char *command, const char *reply)
{
    char got[128];
    size_t count = 0;
    size_t bytes = strlen(reply);
    skein_assert(bytes < sizeof(got));
    int rc = skein_socket_send(handle, command, strlen(command), skein_deadline_in(9 * SECOND));
    while (rc == 0 && count < bytes) {
        ssize_t n =
            skein_socket_recv(handle, got + count, bytes - count, skein_deadline_in(9 * SECOND));
        if (n <= 0)
            return n < 0 ? (int)n : -SKEIN_EEOF;
        count += (size_t)n;
    }
    return rc < 0 ? rc : memcmp(got, reply, bytes) == 0 ? 0 : -SKEIN_EPROTO;
}

static int
ask_large(int handle)
{
    char *command = mem_alloc(LARGE_BYTES + 100);
    size_t at =
        (size_t)snprintf(command, 100, "*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n", LARGE_BYTES);
    memset(command + at, 'x', LARGE_BYTES);
    memcpy(command + at + LARGE_BYTES, "\r\n", 3);
    int rc = ask(handle, command, "+OK\r\n");
    mem_free(command);
    return rc < 0 ? rc : ask(handle, "STRLEN large\r\n", ":40000\r\n");
}

static void
talk(void *arg)
{
    struct client *client = arg;
    int handle = skein_socket_connect(&client->addr, skein_deadline_in(5 * SECOND));
    int rc = handle < 0 ? handle : 0;
    if (rc == 0)
        rc = ask(handle, "SET a 1\r\n", "+OK\r\n");
    if (rc == 0)
        rc = ask(handle, "INCR a\r\nINCR a\r\nGET a\r\nDEL a b\r\n",
                 ":2\r\n:3\r\n$1\r\n3\r\n:1\r\n");
    if (rc == 0)
        rc = ask_large(handle);
    if (rc == 0)
        rc = ask(handle, "NONSENSE\r\n", "-ERR ");
    if (handle >= 0)
        skein_close(handle);
    client->rc = rc;
}

/* Connected until the node or the test ends it. */
static void
stay(void *arg)
{
    struct client *client = arg;
    char byte;
    int handle = skein_socket_connect(&client->addr, skein_deadline_in(5 * SECOND));
    if (handle < 0)
        return;
    if (ask(handle, "PING\r\n", "+PONG\r\n") == 0)
        (void)!skein_socket_recv(handle, &byte, 1, SKEIN_NEVER);
    skein_close(handle);
}

static int
serve_a_while(const struct kv_node_options *options, bool clients)
{
    char why[512];
    struct kv_node *node;
    struct skein_scope scope;
    int rc = kv_node_open(&node, options, why);
    if (rc < 0)
        return rc;
    struct client client = {.addr = kv_node_addr(node), .rc = 0};
    skein_scope_init(&scope);
    if (clients)
        rc = skein_spawn(&scope, "talk", talk, &client, SKEIN_STACK_SMALL);
    if (rc == 0 && clients)
        rc = skein_spawn(&scope, "stay", stay, &client, SKEIN_STACK_SMALL);
    int slept = skein_sleep(skein_deadline_in(3 * SECOND));
    kv_node_stop(node);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    return rc < 0 ? rc : slept < 0 ? slept : client.rc;
}

static int
node_main(void *arg)
{
    struct kv_node_options options;
    kv_node_options_init(&options);
    struct replica_peer peer = {.node = 1, .addr = sim_host_addr(1, 7000)};
    options.listen = sim_host_addr(1, 6379);
    options.replica.cluster_name = "inject";
    options.replica.node = 1;
    options.replica.peers = &peer;
    options.replica.peer_count = 1;
    options.replica.data_dir = "/case/node";
    options.shutdown_timeout_ns = 2 * SECOND;
    const struct link_tcp_options link_options = {.cluster_name = "inject",
                                                  .node = 1,
                                                  .peers = &peer,
                                                  .peer_count = 1,
                                                  .queue_bytes_max = 1u << 20};
    int rc = link_tcp_open(&options.replica.link, &link_options);
    return rc < 0 ? rc : serve_a_while(&options, arg != NULL);
}

static const bool with_clients = true;

const struct inject_case inject_clients_case = {.name = "clients",
                                                .main_fn = node_main,
                                                .arg = (void *)(uintptr_t)&with_clients,
                                                .robust = true,
                                                .dies_without_memory = true};
const struct inject_case inject_node_case = {.name = "node", .main_fn = node_main, .robust = true};
