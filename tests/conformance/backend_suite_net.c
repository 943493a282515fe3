/* SPDX-License-Identifier: Apache-2.0 */
/* The suite's cases about options, datagrams and Unix sockets. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "conformance/backend_suite.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/net.h"

#define NO_HANDLE 1000000
#define MILLISECOND_NS 1000000ull

static const struct skein_endpoint loopback = {
    .addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}},
};

static uint64_t
soon(void)
{
    return skein_deadline_in(5000 * MILLISECOND_NS);
}

static struct skein_endpoint
unix_in(const struct backend_suite_run *run, const char *name)
{
    struct skein_endpoint endpoint = {.is_unix = true};
    snprintf(endpoint.unix_addr.path, SKEIN_UNIX_PATH_BYTES, "%s/%s", run->directory, name);
    return endpoint;
}

void
backend_suite_bad_sockets(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_endpoint endpoint;
    struct skein_credentials credentials;
    struct iovec iov = {(char *)(uintptr_t) "x", 1};
    struct skein_datagram message = {.iov = &iov, .iov_count = 1};
    int64_t value;
    CHECK(check, skein_net_set(NO_HANDLE, SKEIN_SOCKET_NODELAY, 1) == -EBADF);
    CHECK(check, skein_net_get(NO_HANDLE, SKEIN_SOCKET_NODELAY, &value) == -EBADF);
    CHECK(check, skein_net_local(NO_HANDLE, &endpoint) == -EBADF);
    CHECK(check, skein_net_peer(NO_HANDLE, &endpoint) == -EBADF);
    CHECK(check, skein_net_credentials(NO_HANDLE, &credentials) == -EBADF);
    CHECK(check, skein_net_wait(NO_HANDLE, SKEIN_READABLE, soon()) == -EBADF);
    CHECK(check, skein_datagram_send(NO_HANDLE, &message, 1, soon()) == -EBADF);
    CHECK(check, skein_datagram_recv(NO_HANDLE, &message, 1, soon()) == -EBADF);
    CHECK(check, skein_datagram_recv(NO_HANDLE, &message, 0, soon()) == -SKEIN_EINVALID);
    CHECK(check, skein_datagram_join(NO_HANDLE, &loopback.addr, 0) == -EBADF ||
                     skein_datagram_join(NO_HANDLE, &loopback.addr, 0) == -EINVAL);
    char byte;
    CHECK(check, skein_socket_recv(NO_HANDLE, &byte, 1, soon()) == -EBADF);
    CHECK(check, skein_socket_send(NO_HANDLE, "x", 1, soon()) == -EBADF);
    CHECK(check, skein_socket_accept(NO_HANDLE, NULL, soon()) == -EBADF);
    CHECK(check, skein_close(NO_HANDLE) == -EBADF);
}

void
backend_suite_options(struct backend_suite_run *run)
{
    static const struct skein_socket_option given[] = {{SKEIN_SOCKET_KEEPALIVE, 1},
                                                       {SKEIN_SOCKET_KEEPALIVE_IDLE_S, 33}};
    static const struct skein_socket_option bad[] = {
        {SKEIN_SOCKET_NODELAY, 2},     {SKEIN_SOCKET_KEEPALIVE_COUNT, 0}, {SKEIN_SOCKET_TOS, 256},
        {SKEIN_SOCKET_LINGER_S, -2},   {SKEIN_SOCKET_ERROR, 0},           {SKEIN_SOCKET_MARK, -1},
        {SKEIN_SOCKET_OPTION_COUNT, 0}};
    struct check *check = &run->check;
    struct skein_net_options options = SKEIN_NET_OPTIONS_INIT;
    struct skein_endpoint at;
    int64_t value = 0;
    int listener = skein_net_listen(&loopback, &options);
    CHECK(check, skein_net_local(listener, &at) == 0 && at.addr.port != 0);
    options.options = given;
    options.option_count = 2;
    int client = skein_net_connect(&at, &options, soon());
    int server = skein_socket_accept(listener, NULL, soon());
    if (!CHECK(check, listener >= 0 && client >= 0 && server >= 0))
        return;
    CHECK(check, skein_net_get(client, SKEIN_SOCKET_KEEPALIVE_IDLE_S, &value) == 0 && value == 33);
    CHECK(check, skein_net_get(client, SKEIN_SOCKET_NODELAY, &value) == 0 && value == 1);
    CHECK(check, skein_net_set(client, SKEIN_SOCKET_NODELAY, 0) == 0);
    CHECK(check, skein_net_get(client, SKEIN_SOCKET_NODELAY, &value) == 0 && value == 0);
    CHECK(check, skein_net_get(client, SKEIN_SOCKET_LINGER_S, &value) == 0 && value == -1);
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++)
        CHECK(check, skein_net_set(client, bad[i].name, bad[i].value) == -SKEIN_EINVALID);
    options.options = bad;
    CHECK(check, skein_net_connect(&at, &options, soon()) == -SKEIN_EINVALID);
    CHECK(check, skein_net_listen(&loopback, &options) == -SKEIN_EINVALID);
    CHECK(check, skein_datagram_open(&loopback, NULL, &options) == -SKEIN_EINVALID);
    options.backlog = 0;
    CHECK(check, skein_net_listen(&loopback, &options) == -SKEIN_EINVALID);
    /* Ends agree about who they are. */
    struct skein_endpoint local, peer;
    CHECK(check, skein_net_local(client, &local) == 0 && skein_net_peer(server, &peer) == 0);
    CHECK(check, local.addr.port == peer.addr.port && !local.is_unix);
    CHECK(check, skein_net_peer(listener, &peer) == -ENOTCONN);
    CHECK(check, skein_net_wait(client, SKEIN_WRITABLE, soon()) == 0);
    CHECK(check, skein_net_wait(client, SKEIN_READABLE, skein_deadline_in(MILLISECOND_NS)) ==
                     -SKEIN_ETIMEDOUT);
    /* Lingering 0 s means: reset. */
    char byte;
    CHECK(check, skein_net_set(server, SKEIN_SOCKET_LINGER_S, 0) == 0);
    CHECK(check, skein_close(server) == 0);
    CHECK(check, skein_socket_recv(client, &byte, 1, soon()) == -ECONNRESET);
    CHECK(check, skein_close(client) == 0);
    CHECK(check, skein_close(listener) == 0);
}

static struct skein_datagram
outgoing(struct iovec *iov, const char *text, const struct skein_endpoint *to)
{
    *iov = (struct iovec){(char *)(uintptr_t)text, strlen(text)};
    return (struct skein_datagram){
        .iov = iov, .iov_count = 1, .has_addr = to != NULL, .addr = to ? to->addr : loopback.addr};
}

static void
take_all(struct backend_suite_run *run, int handle, int count, const struct skein_endpoint *from)
{
    char bytes[4][8];
    struct iovec iovs[4];
    struct skein_datagram messages[4];
    int got = 0;
    memset(messages, 0, sizeof(messages));
    for (int i = 0; i < 4; i++) {
        iovs[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
        messages[i] = (struct skein_datagram){.iov = &iovs[i], .iov_count = 1};
    }
    unsigned seen = 0;
    while (got < count) {
        int rc = skein_datagram_recv(handle, messages, 4, soon());
        if (!CHECK(&run->check, rc >= 1))
            return;
        got += rc;
        for (int i = 0; i < rc; i++) {
            seen |= 1u << (bytes[i][0] - 'a');
            CHECK(&run->check, messages[i].has_addr);
            CHECK(&run->check, messages[i].addr.port == from->addr.port);
            CHECK(&run->check, messages[i].truncated == (messages[i].bytes > 8));
            CHECK(&run->check, messages[i].bytes == (bytes[i][0] == 'c' ? 10 : 1));
        }
    }
    CHECK(&run->check, got == count && seen == (1u << count) - 1);
}

void
backend_suite_datagrams(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_endpoint a_at, b_at;
    struct iovec iovs[3];
    char byte;
    struct iovec byte_iov = {&byte, 1};
    struct skein_datagram in = {.iov = &byte_iov, .iov_count = 1};
    int a = skein_datagram_open(&loopback, NULL, NULL);
    if (!CHECK(check, a >= 0 && skein_net_local(a, &a_at) == 0))
        return;
    int b = skein_datagram_open(&loopback, &a_at, NULL);
    if (!CHECK(check, b >= 0 && skein_net_local(b, &b_at) == 0))
        return;
    CHECK(check, a_at.addr.port != 0 && b_at.addr.port != a_at.addr.port);
    CHECK(check, skein_datagram_open(&a_at, NULL, NULL) == -EADDRINUSE);
    CHECK(check,
          skein_datagram_recv(a, &in, 1, skein_deadline_in(MILLISECOND_NS)) == -SKEIN_ETIMEDOUT);
    struct skein_datagram out[3] = {outgoing(&iovs[0], "a", NULL), outgoing(&iovs[1], "b", NULL),
                                    outgoing(&iovs[2], "c234567890", NULL)};
    CHECK(check, skein_datagram_send(b, out, 3, soon()) == 3);
    take_all(run, a, 3, &b_at);
    out[0] = outgoing(&iovs[0], "a", NULL);
    CHECK(check, skein_datagram_send(a, out, 1, soon()) == -EDESTADDRREQ);
    out[0] = outgoing(&iovs[0], "a", &b_at);
    CHECK(check, skein_datagram_send(a, out, 1, soon()) == 1);
    take_all(run, b, 1, &a_at);
    /* An empty datagram is one. */
    out[0].iov_count = 0;
    CHECK(check, skein_datagram_send(a, out, 1, soon()) == 1);
    CHECK(check, skein_datagram_recv(b, &in, 1, soon()) == 1 && in.bytes == 0);
    /* Nobody there any more: a connected socket is told, once. */
    CHECK(check, skein_close(a) == 0);
    out[0] = outgoing(&iovs[0], "a", NULL);
    CHECK(check, skein_datagram_send(b, out, 1, soon()) == 1);
    CHECK(check, skein_datagram_recv(b, &in, 1, soon()) == -ECONNREFUSED);
    CHECK(check,
          skein_datagram_recv(b, &in, 1, skein_deadline_in(MILLISECOND_NS)) == -SKEIN_ETIMEDOUT);
    CHECK(check, skein_close(b) == 0);
}

void
backend_suite_unix_streams(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_endpoint at = unix_in(run, "stream"), absent = unix_in(run, "absent"), name;
    struct skein_credentials credentials = {.user_id = 77777};
    char data[8];
    CHECK(check, skein_net_connect(&absent, NULL, soon()) == -ENOENT);
    int listener = skein_net_listen(&at, NULL);
    if (!CHECK(check, listener >= 0))
        return;
    CHECK(check, skein_net_listen(&at, NULL) == -EADDRINUSE);
    int client = skein_net_connect(&at, NULL, soon());
    int server = skein_socket_accept(listener, NULL, soon());
    if (!CHECK(check, client >= 0 && server >= 0))
        return;
    CHECK(check, skein_net_peer(client, &name) == 0 && name.is_unix);
    CHECK(check, strcmp(name.unix_addr.path, at.unix_addr.path) == 0);
    CHECK(check, skein_net_peer(server, &name) == 0 && name.is_unix);
    CHECK(check, name.unix_addr.path[0] == '\0');
    CHECK(check, skein_net_local(listener, &name) == 0 && name.is_unix);
    CHECK(check, skein_net_credentials(server, &credentials) == 0);
    CHECK(check, credentials.process_id > 0 && credentials.user_id != 77777);
    CHECK(check, skein_socket_send(client, "hello", 5, soon()) == 0);
    CHECK(check, skein_socket_shutdown(client) == 0);
    size_t count = 0;
    ssize_t n;
    while ((n = skein_socket_recv(server, data, sizeof(data), soon())) > 0)
        count += (size_t)n;
    CHECK(check, n == 0 && count == 5);
    CHECK(check, skein_socket_send(server, "y", 1, soon()) == 0);
    CHECK(check, skein_socket_recv(client, data, 1, soon()) == 1 && data[0] == 'y');
    CHECK(check, skein_close(client) == 0);
    CHECK(check, skein_close(server) == 0);
    CHECK(check, skein_close(listener) == 0);
}

/* A Unix listener whose backlog is full makes a connect wait, as TCP's does. */
void
backend_suite_unix_backlog(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_endpoint at = unix_in(run, "full");
    struct skein_net_options options = SKEIN_NET_OPTIONS_INIT;
    int clients[8], count = 0, rc = 0;
    options.backlog = 1;
    int listener = skein_net_listen(&at, &options);
    while (count < 8 && rc >= 0) {
        /* There is room for the first, however slow the world is. */
        uint64_t patience_ns = count == 0 ? 5000 * MILLISECOND_NS : 20 * MILLISECOND_NS;
        rc = skein_net_connect(&at, NULL, skein_deadline_in(patience_ns));
        if (rc >= 0)
            clients[count++] = rc;
    }
    CHECK(check, rc == -SKEIN_ETIMEDOUT);
    int server = skein_socket_accept(listener, NULL, soon());
    CHECK(check, server >= 0 && skein_close(server) == 0);
    rc = skein_net_connect(&at, NULL, soon());
    CHECK(check, rc >= 0 && skein_close(rc) == 0);
    while (count > 0)
        CHECK(check, skein_close(clients[--count]) == 0);
    CHECK(check, skein_close(listener) == 0);
}

void
backend_suite_unix_datagrams(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_endpoint a_at = unix_in(run, "a"), b_at = unix_in(run, "b");
    struct skein_unix_addr from = {""};
    struct iovec iov;
    char byte = 0;
    struct iovec byte_iov = {&byte, 1};
    struct skein_datagram in = {.iov = &byte_iov, .iov_count = 1, .unix_addr = &from};
    int a = skein_datagram_open(&a_at, NULL, NULL);
    int b = skein_datagram_open(&b_at, NULL, NULL);
    if (!CHECK(check, a >= 0 && b >= 0))
        return;
    struct skein_datagram out = outgoing(&iov, "q", &a_at);
    CHECK(check, skein_datagram_send(b, &out, 1, soon()) == -SKEIN_EINVALID);
    out.unix_addr = &a_at.unix_addr;
    CHECK(check, skein_datagram_send(b, &out, 1, soon()) == 1);
    CHECK(check, skein_datagram_recv(a, &in, 1, soon()) == 1);
    CHECK(check, byte == 'q' && strcmp(from.path, b_at.unix_addr.path) == 0);
    struct skein_unix_addr absent = unix_in(run, "absent").unix_addr;
    out.unix_addr = &absent;
    CHECK(check, skein_datagram_send(b, &out, 1, soon()) == -ENOENT);
    CHECK(check, skein_close(a) == 0);
    CHECK(check, skein_close(b) == 0);
}

/* Sends to a Unix socket that is full wait, and go on when it is read. */
void
backend_suite_unix_datagrams_full(struct backend_suite_run *run)
{
    struct check *check = &run->check;
    struct skein_endpoint a_at = unix_in(run, "fa"), b_at = unix_in(run, "fb");
    static char data[4096];
    struct iovec iov = {data, sizeof(data)};
    struct skein_datagram out = {
        .iov = &iov, .iov_count = 1, .has_addr = true, .unix_addr = &a_at.unix_addr};
    struct skein_datagram in = {.iov = &iov, .iov_count = 1};
    int a = skein_datagram_open(&a_at, NULL, NULL);
    int b = skein_datagram_open(&b_at, NULL, NULL);
    int count = 0, rc = 1;
    for (; count < 2000 && rc == 1; count += rc == 1)
        rc = skein_datagram_send(b, &out, 1, skein_deadline_in(20 * MILLISECOND_NS));
    CHECK(check, rc == -SKEIN_ETIMEDOUT && count > 0);
    for (int i = 0; i < count; i++)
        CHECK(check, skein_datagram_recv(a, &in, 1, soon()) == 1 && in.bytes == sizeof(data));
    CHECK(check, skein_datagram_send(b, &out, 1, soon()) == 1);
    CHECK(check, skein_close(a) == 0 && skein_close(b) == 0);
}
