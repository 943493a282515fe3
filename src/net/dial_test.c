/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: skein_dial races addresses as RFC 8305 says, ends at its deadline, and leaves nothing
 * behind. The same cases in virtual time: tests/net. */
#include "net/net_test.h"

#include "net/dial_cases.h"

/* 127.0.0.2 with a backlog that is full is as good as dead. */
static int
stagger(void *arg)
{
    struct skein_endpoint dead = net_test_loopback;
    struct skein_net_options options = SKEIN_NET_OPTIONS_INIT;
    int fillers[8], count = 0, rc = 0;
    dead.addr.ip[15] = 2;
    options.backlog = 1;
    int listener = skein_net_listen(&dead, &options);
    CHECK(arg, listener >= 0 && skein_net_local(listener, &dead) == 0);
    while (count < 8 && rc >= 0) {
        rc = skein_net_connect(&dead, NULL, skein_deadline_in(100 * NET_TEST_MS));
        if (rc >= 0)
            fillers[count++] = rc;
    }
    CHECK(arg, rc == -SKEIN_ETIMEDOUT);
    dial_stagger(arg, &dead.addr);
    while (count > 0)
        CHECK(arg, skein_close(fillers[--count]) == 0);
    CHECK(arg, skein_close(listener) == 0);
    return 0;
}

static void
run_cases(void **state)
{
    unsigned before_count = net_test_descriptor_count();
    net_test_run(dial_cases);
    assert_int_equal(net_test_descriptor_count(), before_count);
}

static void
run_stagger(void **state)
{
    unsigned before_count = net_test_descriptor_count();
    net_test_run(stagger);
    assert_int_equal(net_test_descriptor_count(), before_count);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_cases),
        cmocka_unit_test(run_stagger),
    };
    return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
