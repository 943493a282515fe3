/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, dialling, pools, datagrams and Unix sockets, with a name server and an echo server beside
 * them. Whatever is cut off, every handle is closed: the next one opened has the number that the
 * first had.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "inject/inject.h"
#include "net/dns_fake.h"
#include "skein/core.h"

#define CLIENTS 3
#define SECOND_NS 1000000000ull

static const struct skein_endpoint loopback = {
    .addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
};

struct net_case {
    struct check check;
    struct dns_fake fake;
    struct skein_endpoint echo_at;
    struct skein_scope servers, clients;
    struct skein_pool *pool;
    int listener;
    int rc; /* the first that failed */
};

static uint64_t
soon(void)
{
    return skein_deadline_in(20 * SECOND_NS);
}

/* One connection after another: a pool's keeper may check one while it is served. */
static void
echo(void *arg)
{
    int handle = (int)(intptr_t)arg;
    char byte;
    while (skein_socket_recv(handle, &byte, 1, SKEIN_NEVER) == 1)
        if (skein_socket_send(handle, &byte, 1, SKEIN_NEVER) < 0)
            break;
    skein_close(handle);
}

static void
serve(void *arg)
{
    struct net_case *net = arg;
    int handle;
    while ((handle = skein_socket_accept(net->listener, NULL, SKEIN_NEVER)) >= 0)
        if (skein_spawn(&net->servers, "echo", echo, (void *)(intptr_t)handle, SKEIN_STACK_SMALL) <
            0)
            skein_close(handle);
}

static int
names(struct net_case *net)
{
    static const char *const known[] = {"www.test", "far.test", "large.test", "wrongid.test"};
    struct skein_dns_options options = SKEIN_DNS_OPTIONS_INIT;
    struct skein_dns_entry entry = {"echo", loopback.addr};
    struct skein_dns_addresses out;
    struct skein_dns_services services;
    struct skein_dns *dns;
    char name[SKEIN_DNS_NAME_BYTES];
    options.servers = &net->fake.addr;
    options.server_count = 1;
    options.entries = &entry;
    options.entry_count = 1;
    int rc = skein_dns_open(&dns, &options);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < BASE_COUNT_OF(known); i++)
        rc = skein_dns_lookup(dns, known[i], SKEIN_DNS_ANY, &out, soon());
    if (rc == 0 && skein_dns_lookup(dns, "missing.test", SKEIN_DNS_V4, &out, soon()) == 0)
        rc = -SKEIN_EEXIST;
    if (rc == 0)
        rc = skein_dns_service(dns, "_svc._tcp.test", &services, soon());
    if (rc == 0)
        rc = skein_dns_reverse(dns, &net->fake.addr, name, soon());
    if (rc == 0)
        rc = skein_dial(dns, "echo", net->echo_at.addr.port, soon());
    if (rc >= 0)
        rc = skein_close(rc);
    skein_dns_close(dns);
    return rc;
}

static void
use_pool(void *arg)
{
    struct net_case *net = arg;
    for (int i = 0; i < 4 && net->rc == 0; i++) {
        struct skein_pool_conn conn;
        char byte = 'b';
        int rc = skein_pool_acquire(net->pool, NULL, &conn, soon());
        if (rc == 0) {
            rc = skein_socket_send(conn.handle, &byte, 1, soon());
            if (rc == 0)
                rc = skein_socket_recv(conn.handle, &byte, 1, soon()) == 1 ? 0 : -SKEIN_EEOF;
            skein_pool_release(net->pool, &conn, rc == 0 ? SKEIN_OUTCOME_OK : SKEIN_OUTCOME_NONE);
        }
        if (rc < 0)
            net->rc = rc;
    }
}

/* Three clients on two places, one of two targets dead. */
static int
pools(struct net_case *net)
{
    struct skein_pool_options options = SKEIN_POOL_OPTIONS_INIT;
    struct skein_endpoint dead = loopback;
    options.conn_count_min = 1;
    options.conn_count_max = 2;
    dead.addr.port = 1;
    int rc = skein_pool_open(&net->pool, &options);
    if (rc < 0)
        return rc;
    rc = skein_pool_add(net->pool, (struct skein_target_id){1}, &net->echo_at, 1);
    if (rc == 0)
        rc = skein_pool_add(net->pool, (struct skein_target_id){2}, &dead, 1);
    skein_scope_init(&net->clients);
    for (int i = 0; i < CLIENTS && rc == 0; i++)
        rc = skein_spawn(&net->clients, "client", use_pool, net, SKEIN_STACK_SMALL);
    if (skein_cancelled())
        skein_scope_cancel(&net->clients);
    skein_scope_join(&net->clients);
    if (rc == 0)
        rc = skein_pool_drain(net->pool, soon());
    skein_pool_close(net->pool);
    return rc < 0 ? rc : net->rc;
}

static int
unix_stream(void)
{
    struct skein_endpoint at = {.is_unix = true, .unix_addr = {"/case/socket"}};
    char byte = 'u';
    int client = -1, server = -1;
    int listener = skein_net_listen(&at, NULL);
    int rc = listener;
    if (rc >= 0)
        rc = client = skein_net_connect(&at, NULL, soon());
    if (rc >= 0)
        rc = server = skein_socket_accept(listener, NULL, soon());
    if (rc >= 0)
        rc = skein_socket_send(client, &byte, 1, soon());
    if (rc >= 0)
        rc = (int)skein_socket_recv(server, &byte, 1, soon());
    for (int i = 0; i < 3; i++) {
        int handle = i == 0 ? listener : i == 1 ? client : server;
        if (handle >= 0)
            skein_close(handle);
    }
    return rc < 0 ? rc : 0;
}

static int
datagrams(void)
{
    struct skein_endpoint at;
    char byte = 'd';
    struct iovec iov = {&byte, 1};
    struct skein_datagram message = {.iov = &iov, .iov_count = 1};
    int from = -1, to = skein_datagram_open(&loopback, NULL, NULL);
    int rc = to < 0 ? to : skein_net_local(to, &at);
    if (rc == 0)
        rc = from = skein_datagram_open(&loopback, &at, NULL);
    if (rc >= 0)
        rc = skein_datagram_send(from, &message, 1, soon());
    if (rc >= 0)
        rc = skein_datagram_recv(to, &message, 1, soon());
    if (to >= 0)
        skein_close(to);
    if (from >= 0)
        skein_close(from);
    return rc < 0 ? rc : 0;
}

/* Which handle comes next: the lowest that is free. */
static int
probe(void)
{
    int handle = skein_datagram_open(&loopback, NULL, NULL);
    skein_assert(handle >= 0);
    skein_close(handle);
    return handle;
}

static int
net_main(void *arg)
{
    struct net_case net = {.rc = 0};
    (void)arg;
    skein_shield(true);
    int first = probe();
    bool up = dns_fake_open(&net.fake, &net.check);
    net.listener = skein_net_listen(&loopback, NULL);
    skein_scope_init(&net.servers);
    int rc = up && net.listener >= 0 ? skein_net_local(net.listener, &net.echo_at) : -EIO;
    if (rc == 0)
        rc = skein_spawn(&net.servers, "serve", serve, &net, SKEIN_STACK_SMALL);
    skein_shield(false);
    if (rc == 0)
        rc = names(&net);
    if (rc == 0)
        rc = pools(&net);
    if (rc == 0)
        rc = unix_stream();
    if (rc == 0)
        rc = datagrams();
    skein_shield(true);
    skein_scope_cancel(&net.servers);
    skein_scope_join(&net.servers);
    skein_close(net.listener);
    dns_fake_close(&net.fake);
    skein_assert(probe() == first);
    skein_shield(false);
    return rc == 0 && net.check.failed_count > 0 ? -SKEIN_EPROTO : rc;
}

const struct inject_case inject_net_case = {"net", net_main, NULL, true};
