/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: what pools, breakers, balancers, resolvers and sockets count stands in the metrics under
 * their names while they are open, and not a moment longer. */
#include "net/net_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "skein/dns.h"
#include "skein/metrics.h"
#include "skein/pool.h"

struct text {
    char data[65536];
    size_t bytes;
};

static int
put(void *owner, const char *piece, size_t bytes)
{
    struct text *text = owner;
    skein_assert(text->bytes + bytes < sizeof(text->data));
    memcpy(text->data + text->bytes, piece, bytes);
    text->bytes += bytes;
    return 0;
}

/* Whether the metrics hold @line, or one that begins with it. */
static bool
says(const char *line)
{
    static struct text text;
    char wanted[256];
    struct skein_snapshot *snapshot = skein_snapshot_open();
    memset(&text, 0, sizeof(text));
    int rc = skein_metrics_gather(snapshot, SKEIN_NEVER);
    if (rc == 0)
        rc = skein_snapshot_write(snapshot, SKEIN_FORMAT_PROMETHEUS, 0, put, &text);
    skein_snapshot_close(snapshot);
    snprintf(wanted, sizeof(wanted), "\n%s", line);
    return rc == 0 && strstr(text.data, wanted);
}

/* An address where nobody listens. */
static struct skein_endpoint
nobody(struct check *check)
{
    struct skein_endpoint at = net_test_loopback;
    int listener = skein_net_listen(&net_test_loopback, NULL);
    CHECK(check, skein_net_local(listener, &at) == 0);
    CHECK(check, skein_close(listener) == 0);
    return at;
}

static int
pools_are_counted(void *arg)
{
    struct skein_pool_options options = SKEIN_POOL_OPTIONS_INIT;
    struct skein_endpoint at = nobody(arg);
    struct skein_pool_conn conn;
    struct skein_pool *pool;
    options.name = "shop";
    options.breaker.call_count_min = 4;
    options.breaker.open_ns = options.breaker.open_ns_max = 3600000 * NET_TEST_MS;
    options.retry.attempt_count_max = 1;
    CHECK(arg, !says("skein_pool_connections{"));
    CHECK(arg, skein_pool_open(&pool, &options) == 0);
    CHECK(arg, says("skein_balancer_targets{balancer=\"shop\"} 0\n"));
    CHECK(arg, skein_pool_acquire(pool, NULL, &conn, net_test_soon()) == -SKEIN_ENOTFOUND);
    CHECK(arg, says("skein_balancer_picks_failed_total{balancer=\"shop\"} 1\n"));
    CHECK(arg, skein_pool_add(pool, (struct skein_target_id){7}, &at, 1) == 0);
    CHECK(arg, says("skein_breaker_open{breaker=\"shop/7\"} 0\n"));
    for (int i = 0; i < 4; i++)
        CHECK(arg, skein_pool_acquire(pool, NULL, &conn, net_test_soon()) == -ECONNREFUSED);
    CHECK(arg, skein_pool_acquire(pool, NULL, &conn, net_test_soon()) == -SKEIN_EBUSY);
    CHECK(arg, says("skein_pool_connects_failed_total{pool=\"shop\"} 4\n"));
    CHECK(arg, says("skein_pool_acquired_total{pool=\"shop\"} 0\n"));
    CHECK(arg, says("skein_balancer_targets_up{balancer=\"shop\"} 1\n"));
    CHECK(arg, says("skein_breaker_open{breaker=\"shop/7\"} 1\n"));
    CHECK(arg, says("skein_breaker_opened_total{breaker=\"shop/7\"} 1\n"));
    CHECK(arg, says("skein_breaker_allowed_total{breaker=\"shop/7\"} 4\n"));
    CHECK(arg, says("skein_breaker_refused_total{breaker=\"shop/7\"} 1\n"));
    CHECK(arg, skein_pool_remove(pool, (struct skein_target_id){7}) == 0);
    CHECK(arg, !says("skein_breaker_open{"));
    CHECK(arg, says("skein_balancer_targets{balancer=\"shop\"} 0\n"));
    skein_pool_close(pool);
    CHECK(arg, !says("skein_pool_connections{"));
    CHECK(arg, !says("skein_balancer_targets{"));
    return 0;
}

static int
resolvers_are_counted(void *arg)
{
    struct skein_dns_options options = SKEIN_DNS_OPTIONS_INIT;
    struct skein_endpoint at = nobody(arg);
    struct skein_dns_addresses addresses;
    struct skein_dns *dns;
    options.resolv_conf_path = options.hosts_path = NULL;
    options.servers = &at.addr;
    options.server_count = 1;
    options.attempt_count = 1;
    CHECK(arg, skein_dns_open(&dns, &options) == 0);
    CHECK(arg, says("skein_dns_queries_total 0\n"));
    CHECK(arg,
          skein_dns_lookup(dns, "example.org.", SKEIN_DNS_V4, &addresses, net_test_soon()) < 0);
    CHECK(arg, says("skein_dns_queries_total 1\n"));
    CHECK(arg, says("skein_dns_messages_total 1\n"));
    skein_dns_close(dns);
    CHECK(arg, !says("skein_dns_queries_total"));
    return 0;
}

static int
bytes_are_counted(void *arg)
{
    struct skein_endpoint at;
    char data[1000] = {0};
    int listener = skein_net_listen(&net_test_loopback, NULL);
    CHECK(arg, skein_net_local(listener, &at) == 0);
    int client = skein_net_connect(&at, NULL, net_test_soon());
    int server = skein_socket_accept(listener, NULL, net_test_soon());
    CHECK(arg, says("skein_io_bytes_total{kind=\"send\"} 0\n"));
    CHECK(arg, skein_socket_send(client, data, sizeof(data), net_test_soon()) == 0);
    for (size_t got = 0; got < sizeof(data);) {
        ssize_t n = skein_socket_recv(server, data, sizeof(data), net_test_soon());
        if (!CHECK(arg, n > 0))
            break;
        got += (size_t)n;
    }
    CHECK(arg, says("skein_io_bytes_total{kind=\"send\"} 1000\n"));
    CHECK(arg, says("skein_io_bytes_total{kind=\"recv\"} 1000\n"));
    CHECK(arg, says("skein_io_operations_total{kind=\"accept\"} 1\n"));
    CHECK(arg, skein_close(client) == 0 && skein_close(server) == 0);
    CHECK(arg, skein_close(listener) == 0);
    return 0;
}

static void
pools(void **state)
{
    net_test_run(pools_are_counted);
}

static void
resolvers(void **state)
{
    net_test_run(resolvers_are_counted);
}

static void
sockets(void **state)
{
    net_test_run(bytes_are_counted);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools),
        cmocka_unit_test(resolvers),
        cmocka_unit_test(sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
