/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what the kernel does with sockets' options, batches of datagrams and Unix paths is what
 * skein/net.h says. What all backends do alike is in the conformance suite. */
#include "net/net_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct link {
    int listener, client, server;
};

static bool
open_link(struct check *check, struct link *link, const struct skein_net_options *options)
{
    struct skein_endpoint at;
    link->listener = skein_net_listen(&net_test_loopback, options);
    if (!CHECK(check, link->listener >= 0 && skein_net_local(link->listener, &at) == 0))
        return false;
    link->client = skein_net_connect(&at, NULL, net_test_soon());
    link->server = skein_socket_accept(link->listener, NULL, net_test_soon());
    return CHECK(check, link->client >= 0 && link->server >= 0);
}

static void
close_link(struct check *check, struct link *link)
{
    CHECK(check, skein_close(link->client) == 0);
    CHECK(check, skein_close(link->server) == 0);
    CHECK(check, skein_close(link->listener) == 0);
}

struct expected {
    struct skein_socket_option set;
    int64_t read_min, read_max; /* what the kernel made of it */
};

static void
set_and_read(struct check *check, int handle, const struct expected *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -77;
        int rc = skein_net_set(handle, rows[i].set.name, rows[i].set.value);
        if (rc == -EPERM && rows[i].set.name == SKEIN_SOCKET_MARK)
            continue; /* not ours to set here */
        bool ok = rc == 0 && skein_net_get(handle, rows[i].set.name, &value) == 0 &&
                  value >= rows[i].read_min && value <= rows[i].read_max;
        if (!CHECK(check, ok))
            fprintf(stderr, "option %d: rc %d, read %lld\n", rows[i].set.name, rc,
                    (long long)value);
    }
}

static int
stream_options(void *arg)
{
    static const struct expected rows[] = {
        {{SKEIN_SOCKET_NODELAY, 0}, 0, 0},
        {{SKEIN_SOCKET_KEEPALIVE, 1}, 1, 1},
        {{SKEIN_SOCKET_KEEPALIVE_IDLE_S, 11}, 11, 11},
        {{SKEIN_SOCKET_KEEPALIVE_INTERVAL_S, 12}, 12, 12},
        {{SKEIN_SOCKET_KEEPALIVE_COUNT, 13}, 13, 13},
        {{SKEIN_SOCKET_RECV_BUFFER_BYTES, 50000}, 50000, 50000},
        {{SKEIN_SOCKET_SEND_BUFFER_BYTES, 60000}, 60000, 60000},
        {{SKEIN_SOCKET_LINGER_S, 7}, 7, 7},
        {{SKEIN_SOCKET_LINGER_S, -1}, -1, -1},
        {{SKEIN_SOCKET_REUSEADDR, 1}, 1, 1},
        {{SKEIN_SOCKET_QUICKACK, 0}, 0, 0},
        {{SKEIN_SOCKET_QUICKACK, 1}, 1, 1},
        {{SKEIN_SOCKET_USER_TIMEOUT_MS, 4321}, 4321, 4321},
        {{SKEIN_SOCKET_TOS, 0x48}, 0x48, 0x48},
        {{SKEIN_SOCKET_MARK, 0xdeadbeef}, 0xdeadbeef, 0xdeadbeef},
        {{SKEIN_SOCKET_HOP_LIMIT, 9}, 9, 9},
    };
    static const struct skein_socket_option listening[] = {
        {SKEIN_SOCKET_REUSEPORT, 1}, {SKEIN_SOCKET_FASTOPEN, 16}, {SKEIN_SOCKET_DEFER_ACCEPT_S, 0}};
    static const struct expected listener_rows[] = {{{SKEIN_SOCKET_FASTOPEN, 20}, 20, 20},
                                                    {{SKEIN_SOCKET_DEFER_ACCEPT_S, 3}, 3, 10}};
    struct skein_net_options options = SKEIN_NET_OPTIONS_INIT;
    struct skein_endpoint at;
    struct link link;
    int64_t value;
    options.options = listening;
    options.option_count = 3;
    if (!open_link(arg, &link, &options))
        return 0;
    set_and_read(arg, link.client, rows, BASE_COUNT_OF(rows));
    CHECK(arg, skein_net_get(link.listener, SKEIN_SOCKET_REUSEPORT, &value) == 0 && value == 1);
    CHECK(arg, skein_net_get(link.listener, SKEIN_SOCKET_FASTOPEN, &value) == 0 && value == 16);
    set_and_read(arg, link.listener, listener_rows, BASE_COUNT_OF(listener_rows));
    CHECK(arg, skein_net_local(link.listener, &at) == 0);
    int second = skein_net_listen(&at, &options);
    CHECK(arg, second >= 0); /* REUSEPORT */
    CHECK(arg, skein_close(second) == 0);
    CHECK(arg, skein_net_listen(&at, NULL) == -EADDRINUSE);
    close_link(arg, &link);
    return 0;
}

static int
fast_open(void *arg)
{
    static const struct skein_socket_option connecting[] = {{SKEIN_SOCKET_FASTOPEN_CONNECT, 1}};
    struct skein_net_options options = {.options = connecting, .option_count = 1};
    struct skein_endpoint at;
    int64_t value = 0;
    char byte;
    int listener = skein_net_listen(&net_test_loopback, NULL);
    CHECK(arg, skein_net_local(listener, &at) == 0);
    int client = skein_net_connect(&at, &options, net_test_soon());
    if (!CHECK(arg, client >= 0))
        return 0;
    CHECK(arg, skein_net_get(client, SKEIN_SOCKET_FASTOPEN_CONNECT, &value) == 0 && value == 1);
    CHECK(arg, skein_socket_send(client, "f", 1, net_test_soon()) == 0);
    int server = skein_socket_accept(listener, NULL, net_test_soon());
    CHECK(arg, skein_socket_recv(server, &byte, 1, net_test_soon()) == 1 && byte == 'f');
    CHECK(arg, skein_close(server) == 0);
    CHECK(arg, skein_close(client) == 0);
    CHECK(arg, skein_close(listener) == 0);
    return 0;
}

static int
v6_only(void *arg)
{
    struct skein_socket_option option = {SKEIN_SOCKET_V6ONLY, 1};
    struct skein_net_options options = SKEIN_NET_OPTIONS_INIT;
    struct skein_endpoint any6 = {.is_unix = false}, any4 = net_test_loopback;
    int64_t value = 0;
    options.options = &option;
    options.option_count = 1;
    int six = skein_net_listen(&any6, &options);
    if (!CHECK(arg, six >= 0 && skein_net_local(six, &any6) == 0))
        return 0;
    CHECK(arg, skein_net_get(six, SKEIN_SOCKET_V6ONLY, &value) == 0 && value == 1);
    any4.addr.port = any6.addr.port;
    int four = skein_net_listen(&any4, NULL);
    CHECK(arg, four >= 0);
    CHECK(arg, skein_close(four) == 0);
    CHECK(arg, skein_close(six) == 0);
    option.value = 0;
    six = skein_net_listen(&any6, &options);
    CHECK(arg, six >= 0);
    CHECK(arg, skein_net_listen(&any4, NULL) == -EADDRINUSE);
    CHECK(arg, skein_close(six) == 0);
    return 0;
}

/* ---- datagrams ---- */

static int
gso_and_gro(void *arg)
{
    struct check *check = arg;
    char out[1000], in[16][2000];
    struct iovec out_iov = {out, sizeof(out)}, iovs[16];
    struct skein_datagram messages[16];
    struct skein_endpoint at;
    for (int gro = 0; gro < 2; gro++) {
        int to = skein_datagram_open(&net_test_loopback, NULL, NULL);
        CHECK(check, skein_net_local(to, &at) == 0);
        int from = skein_datagram_open(&net_test_loopback, &at, NULL);
        if (!CHECK(check, to >= 0 && from >= 0))
            return 0;
        if (gro)
            CHECK(check, skein_net_set(to, SKEIN_SOCKET_GRO, 1) == 0);
        memset(out, 'o', sizeof(out));
        struct skein_datagram message = {.iov = &out_iov, .iov_count = 1, .segment_bytes = 100};
        CHECK(check, skein_datagram_send(from, &message, 1, net_test_soon()) == 1);
        for (int i = 0; i < 16; i++) {
            iovs[i] = (struct iovec){in[i], sizeof(in[i])};
            messages[i] = (struct skein_datagram){.iov = &iovs[i], .iov_count = 1};
        }
        int count = 0;
        size_t bytes = 0;
        while (bytes < sizeof(out)) {
            int rc = skein_datagram_recv(to, messages, 16, net_test_soon());
            if (!CHECK(check, rc > 0))
                return 0;
            for (int i = 0; i < rc; i++) {
                bytes += messages[i].bytes;
                CHECK(check, !messages[i].truncated);
                CHECK(check, messages[i].segment_bytes == (gro ? 100 : 0));
            }
            count += rc;
        }
        CHECK(check, bytes == sizeof(out));
        CHECK(check, gro ? count < 10 : count == 10);
        CHECK(check, skein_close(from) == 0);
        CHECK(check, skein_close(to) == 0);
    }
    return 0;
}

#define BURST_COUNT 40

static int
bursts(void *arg)
{
    struct check *check = arg;
    char bytes[BURST_COUNT];
    struct iovec iovs[BURST_COUNT];
    struct skein_datagram messages[BURST_COUNT];
    struct skein_endpoint at;
    int to = skein_datagram_open(&net_test_loopback, NULL, NULL);
    CHECK(check, skein_net_local(to, &at) == 0);
    int from = skein_datagram_open(&net_test_loopback, &at, NULL);
    memset(messages, 0, sizeof(messages));
    for (int i = 0; i < BURST_COUNT; i++) {
        bytes[i] = (char)i;
        iovs[i] = (struct iovec){&bytes[i], 1};
        messages[i].iov = &iovs[i];
        messages[i].iov_count = 1;
    }
    CHECK(check, skein_datagram_send(from, messages, BURST_COUNT, net_test_soon()) == BURST_COUNT);
    memset(bytes, -1, sizeof(bytes));
    CHECK(check, skein_datagram_recv(to, messages, BURST_COUNT, net_test_soon()) == BURST_COUNT);
    for (int i = 0; i < BURST_COUNT; i++)
        CHECK(check, bytes[i] == i && messages[i].bytes == 1);
    /* Too large a one in the middle: what stands before it goes, then its error is told. */
    char *large = calloc(1, 70000);
    iovs[5] = (struct iovec){large, 70000};
    for (int i = 0; i < BURST_COUNT; i++)
        messages[i].has_addr = false;
    CHECK(check, skein_datagram_send(from, messages, BURST_COUNT, net_test_soon()) == 5);
    CHECK(check, skein_datagram_send(from, messages + 5, 35, net_test_soon()) == -EMSGSIZE);
    free(large);
    CHECK(check, skein_datagram_send(from, messages, SKEIN_MESSAGES_MAX + 1, 0) == -SKEIN_EINVALID);
    CHECK(check, skein_close(from) == 0);
    CHECK(check, skein_close(to) == 0);
    return 0;
}

static int
packet_info(void *arg)
{
    static const char *const hosts[] = {"127.0.0.2:0", "[::1]:0"};
    static const char *const any[] = {"0.0.0.0:0", "[::]:0"};
    for (int i = 0; i < 2; i++) {
        struct skein_endpoint at, to;
        char why[128], byte;
        struct iovec iov = {&byte, 1};
        CHECK(arg, skein_net_parse(any[i], &at, why) == 0);
        CHECK(arg, skein_net_parse(hosts[i], &to, why) == 0);
        int handle = skein_datagram_open(&at, NULL, NULL);
        if (!CHECK(arg, handle >= 0))
            return 0;
        CHECK(arg, skein_net_set(handle, SKEIN_SOCKET_PACKET_INFO, 1) == 0);
        CHECK(arg, skein_net_local(handle, &at) == 0);
        to.addr.port = at.addr.port;
        struct skein_datagram message = {
            .iov = &iov, .iov_count = 1, .has_addr = true, .addr = to.addr};
        /* From an address of our choice. */
        message.has_local = true;
        message.local = to.addr;
        CHECK(arg, skein_datagram_send(handle, &message, 1, net_test_soon()) == 1);
        memset(&message.local, 0, sizeof(message.local));
        CHECK(arg, skein_datagram_recv(handle, &message, 1, net_test_soon()) == 1);
        CHECK(arg, message.has_local && memcmp(message.local.ip, to.addr.ip, 16) == 0);
        CHECK(arg, memcmp(message.addr.ip, to.addr.ip, 16) == 0);
        CHECK(arg, message.interface_index > 0);
        CHECK(arg, skein_close(handle) == 0);
    }
    return 0;
}

static int
multicast(void *arg)
{
    struct skein_endpoint any, group;
    char why[128], byte = 'm';
    struct iovec iov = {&byte, 1};
    CHECK(arg, skein_net_parse("0.0.0.0:0", &any, why) == 0);
    CHECK(arg, skein_net_parse("224.0.0.200:1", &group, why) == 0);
    int handle = skein_datagram_open(&any, NULL, NULL);
    CHECK(arg, skein_net_local(handle, &any) == 0);
    group.addr.port = any.addr.port;
    CHECK(arg, skein_datagram_join(handle, &net_test_loopback.addr, 1) == -EINVAL);
    CHECK(arg, skein_datagram_join(handle, &group.addr, 999999) == -ENODEV);
    CHECK(arg, skein_datagram_join(handle, &group.addr, 1) == 0);
    CHECK(arg, skein_datagram_join(handle, &group.addr, 1) == -EADDRINUSE);
    CHECK(arg, skein_net_set(handle, SKEIN_SOCKET_MULTICAST_LOOP, 1) == 0);
    CHECK(arg, skein_net_set(handle, SKEIN_SOCKET_MULTICAST_HOPS, 0) == 0);
    struct skein_datagram message = {
        .iov = &iov, .iov_count = 1, .has_addr = true, .addr = group.addr};
    message.has_local = true; /* out by the loopback interface */
    message.interface_index = 1;
    CHECK(arg, skein_datagram_send(handle, &message, 1, net_test_soon()) == 1);
    byte = 0;
    CHECK(arg, skein_datagram_recv(handle, &message, 1, net_test_soon()) == 1 && byte == 'm');
    CHECK(arg, skein_datagram_leave(handle, &group.addr, 1) == 0);
    CHECK(arg, skein_datagram_leave(handle, &group.addr, 1) == -EADDRNOTAVAIL);
    CHECK(arg, skein_close(handle) == 0);
    return 0;
}

/* ---- Unix sockets ---- */

static int
unix_paths(void *arg)
{
    struct check *check = arg;
    char dir[] = "/tmp/skein-net-XXXXXX", why[128], text[256];
    struct skein_endpoint at, name;
    struct skein_credentials credentials;
    struct stat st;
    struct skein_net_options replace = SKEIN_NET_OPTIONS_INIT;
    replace.replace_stale = true;
    if (!CHECK(check, mkdtemp(dir) != NULL))
        return 0;
    snprintf(text, sizeof(text), "unix:%s/socket", dir);
    CHECK(check, skein_net_parse(text, &at, why) == 0);
    int first = skein_net_listen(&at, NULL);
    CHECK(check, skein_net_listen(&at, &replace) == -EADDRINUSE); /* somebody listens */
    int client = skein_net_connect(&at, NULL, net_test_soon());
    int server = skein_socket_accept(first, NULL, net_test_soon());
    CHECK(check, skein_net_credentials(server, &credentials) == 0);
    CHECK(check, credentials.process_id == getpid() && credentials.user_id == getuid());
    CHECK(check, credentials.group_id == getgid());
    CHECK(check, skein_close(client) == 0 && skein_close(server) == 0);
    CHECK(check, skein_close(first) == 0); /* the file stays */
    CHECK(check, skein_net_listen(&at, NULL) == -EADDRINUSE);
    CHECK(check, skein_net_connect(&at, NULL, net_test_soon()) == -ECONNREFUSED);
    first = skein_net_listen(&at, &replace);
    CHECK(check, first >= 0);
    CHECK(check, skein_close(first) == 0);
    CHECK(check, skein_file_unlink(at.unix_addr.path, 0) == 0);
    /* A file that is no socket is nobody's to replace. */
    int file = skein_file_open(at.unix_addr.path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0600);
    CHECK(check, skein_close(file) == 0);
    CHECK(check, skein_net_listen(&at, &replace) == -EADDRINUSE);
    CHECK(check, stat(at.unix_addr.path, &st) == 0);
    CHECK(check, skein_file_unlink(at.unix_addr.path, 0) == 0);
    CHECK(check, rmdir(dir) == 0);
    snprintf(text, sizeof(text), "unix:@skein-test-%d", (int)getpid());
    CHECK(check, skein_net_parse(text, &at, why) == 0);
    first = skein_net_listen(&at, NULL);
    CHECK(check, first >= 0 && skein_net_local(first, &name) == 0);
    CHECK(check, strcmp(name.unix_addr.path, at.unix_addr.path) == 0);
    client = skein_net_connect(&at, NULL, net_test_soon());
    CHECK(check, client >= 0 && skein_close(client) == 0);
    CHECK(check, skein_close(first) == 0);
    CHECK(check, skein_net_connect(&at, NULL, net_test_soon()) == -ECONNREFUSED);
    memset(at.unix_addr.path, 'x', sizeof(at.unix_addr.path));
    CHECK(check, skein_net_listen(&at, NULL) == -SKEIN_EINVALID);
    return 0;
}

static void
run_stream_options(void **state)
{
    net_test_run(stream_options);
}

static void
run_fast_open(void **state)
{
    net_test_run(fast_open);
}

static void
run_v6_only(void **state)
{
    net_test_run(v6_only);
}

static void
run_gso_and_gro(void **state)
{
    net_test_run(gso_and_gro);
}

static void
run_bursts(void **state)
{
    net_test_run(bursts);
}

static void
run_packet_info(void **state)
{
    net_test_run(packet_info);
}

static void
run_multicast(void **state)
{
    net_test_run(multicast);
}

static void
run_unix_paths(void **state)
{
    net_test_run(unix_paths);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_stream_options), cmocka_unit_test(run_fast_open),
        cmocka_unit_test(run_v6_only),        cmocka_unit_test(run_gso_and_gro),
        cmocka_unit_test(run_bursts),         cmocka_unit_test(run_packet_info),
        cmocka_unit_test(run_multicast),      cmocka_unit_test(run_unix_paths),
    };
    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
