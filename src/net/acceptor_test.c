/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: accepting keeps to its limit and survives a shortage of descriptors; thousands of connects
 * to hosts that are dead or refuse end with their documented errors and leave nothing behind. */
#include "net/net_test.h"

#include <errno.h>
#include <sys/resource.h>

struct late {
    struct check *check;
    struct skein_acceptor *acceptor;
    struct rlimit limit;
    int handle;
};

static void
release_late(void *arg)
{
    struct late *late = arg;
    CHECK(late->check, skein_sleep(skein_deadline_in(30 * NET_TEST_MS)) == 0);
    CHECK(late->check, skein_close(late->handle) == 0);
    skein_acceptor_release(late->acceptor);
}

static int
keeps_to_its_limit(void *arg)
{
    struct skein_endpoint at;
    struct skein_acceptor acceptor;
    struct skein_scope scope;
    struct skein_addr peer;
    int clients[3], first, second;
    int listener = skein_net_listen(&net_test_loopback, NULL);
    CHECK(arg, skein_net_local(listener, &at) == 0);
    skein_acceptor_init(&acceptor, listener, 2);
    for (int i = 0; i < 3; i++)
        clients[i] = skein_net_connect(&at, NULL, net_test_soon());
    first = skein_acceptor_accept(&acceptor, &peer, net_test_soon());
    second = skein_acceptor_accept(&acceptor, NULL, net_test_soon());
    CHECK(arg, first >= 0 && second >= 0 && peer.port != 0);
    uint64_t deadline_ns = skein_deadline_in(10 * NET_TEST_MS);
    CHECK(arg, skein_acceptor_accept(&acceptor, NULL, deadline_ns) == -SKEIN_ETIMEDOUT);
    struct late late = {.check = arg, .acceptor = &acceptor, .handle = first};
    skein_scope_init(&scope);
    CHECK(arg, skein_spawn(&scope, "late", release_late, &late, SKEIN_STACK_SMALL) == 0);
    first = skein_acceptor_accept(&acceptor, NULL, net_test_soon());
    CHECK(arg, first >= 0 && acceptor.live_count == 2 && acceptor.pause_count == 0);
    skein_scope_join(&scope);
    CHECK(arg, skein_close(first) == 0 && skein_close(second) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(arg, skein_close(clients[i]) == 0);
    CHECK(arg, skein_close(listener) == 0);
    skein_acceptor_release(&acceptor);
    CHECK(arg, skein_acceptor_accept(&acceptor, NULL, net_test_soon()) == -EBADF);
    return 0;
}

static void
raise_limit(void *arg)
{
    struct late *late = arg;
    CHECK(late->check, skein_sleep(skein_deadline_in(40 * NET_TEST_MS)) == 0);
    CHECK(late->check, setrlimit(RLIMIT_NOFILE, &late->limit) == 0);
}

static int
serves_on_after_a_shortage(void *arg)
{
    struct skein_endpoint at;
    struct skein_acceptor acceptor;
    struct skein_scope scope;
    struct late late = {.check = arg};
    int listener = skein_net_listen(&net_test_loopback, NULL);
    CHECK(arg, skein_net_local(listener, &at) == 0);
    skein_acceptor_init(&acceptor, listener, 10);
    int client = skein_net_connect(&at, NULL, net_test_soon());
    CHECK(arg, getrlimit(RLIMIT_NOFILE, &late.limit) == 0);
    struct rlimit low = {.rlim_cur = 3, .rlim_max = late.limit.rlim_max};
    CHECK(arg, setrlimit(RLIMIT_NOFILE, &low) == 0);
    CHECK(arg, skein_net_connect(&at, NULL, net_test_soon()) == -EMFILE);
    CHECK(arg, skein_net_listen(&net_test_loopback, NULL) == -EMFILE);
    CHECK(arg, skein_datagram_open(&net_test_loopback, NULL, NULL) == -EMFILE);
    CHECK(arg, skein_acceptor_accept(&acceptor, NULL, skein_deadline_in(NET_TEST_MS)) ==
                   -SKEIN_ETIMEDOUT);
    skein_scope_init(&scope);
    CHECK(arg, skein_spawn(&scope, "raise", raise_limit, &late, SKEIN_STACK_SMALL) == 0);
    int server = skein_acceptor_accept(&acceptor, NULL, net_test_soon());
    skein_scope_join(&scope);
    CHECK(arg, server >= 0 && acceptor.pause_count >= 2 && acceptor.live_count == 1);
    CHECK(arg, skein_close(server) == 0);
    CHECK(arg, skein_close(client) == 0);
    CHECK(arg, skein_close(listener) == 0);
    return 0;
}

/* ---- thousands of connects ---- */

#define FIBER_COUNT 200
#define CONNECTS_EACH 50

struct crowd {
    struct check *check;
    const struct skein_endpoint *at;
    uint64_t timeout_ns;
    int expected;
    unsigned count;
};

static void
connect_often(void *arg)
{
    struct crowd *crowd = arg;
    for (int i = 0; i < CONNECTS_EACH; i++) {
        int rc = skein_net_connect(crowd->at, NULL, skein_deadline_in(crowd->timeout_ns));
        if (CHECK(crowd->check, rc == crowd->expected))
            crowd->count++;
        else if (rc >= 0)
            skein_close(rc);
    }
}

static void
connect_all(struct check *check, struct crowd *crowd)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    for (int i = 0; i < FIBER_COUNT; i++)
        CHECK(check, skein_spawn(&scope, "crowd", connect_often, crowd, SKEIN_STACK_SMALL) == 0);
    skein_scope_join(&scope);
    CHECK(check, crowd->count == FIBER_COUNT * CONNECTS_EACH);
}

/* A listener whose backlog is full answers nothing at all, as a host that is gone. */
static int
connects_to_the_dead(void *arg)
{
    struct skein_endpoint at;
    struct skein_net_options options = SKEIN_NET_OPTIONS_INIT;
    int fillers[8];
    int filler_count = 0;
    options.backlog = 1;
    int listener = skein_net_listen(&net_test_loopback, &options);
    CHECK(arg, skein_net_local(listener, &at) == 0);
    while (filler_count < 8) {
        int rc = skein_net_connect(&at, NULL, skein_deadline_in(100 * NET_TEST_MS));
        if (rc == -SKEIN_ETIMEDOUT)
            break;
        if (!CHECK(arg, rc >= 0))
            return 0;
        fillers[filler_count++] = rc;
    }
    CHECK(arg, filler_count < 8);
    unsigned before_count = net_test_descriptor_count();
    struct crowd crowd = {
        .check = arg, .at = &at, .timeout_ns = 10 * NET_TEST_MS, .expected = -SKEIN_ETIMEDOUT};
    connect_all(arg, &crowd);
    CHECK(arg, net_test_descriptor_count() == before_count);
    for (int i = 0; i < filler_count; i++)
        CHECK(arg, skein_close(fillers[i]) == 0);
    CHECK(arg, skein_close(listener) == 0);
    crowd = (struct crowd){
        .check = arg, .at = &at, .timeout_ns = 5000 * NET_TEST_MS, .expected = -ECONNREFUSED};
    before_count = net_test_descriptor_count();
    connect_all(arg, &crowd);
    CHECK(arg, net_test_descriptor_count() == before_count);
    return 0;
}

static void
run_keeps_to_its_limit(void **state)
{
    net_test_run(keeps_to_its_limit);
}

static void
run_serves_on_after_a_shortage(void **state)
{
    net_test_run(serves_on_after_a_shortage);
}

static void
run_connects_to_the_dead(void **state)
{
    unsigned before_count = net_test_descriptor_count();
    net_test_run(connects_to_the_dead);
    assert_int_equal(net_test_descriptor_count(), before_count);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_keeps_to_its_limit),
        cmocka_unit_test(run_serves_on_after_a_shortage),
        cmocka_unit_test(run_connects_to_the_dead),
    };
    return cmocka_run_group_tests_name("acceptor", tests, NULL, NULL);
}
