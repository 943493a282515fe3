/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: an address from outside is read exactly or refused with a reason, and comes back as text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "net/addr.h"
#include "skein/net.h"
#include "skein/error.h"

static void
bad_text_is_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "1.2.3:80",
        "127.0.0.1:-1",
        "127.0.0.1:8x",
        ":7001",
        "[::1]",
        "[::1]7001",
        "[]:7001",
        "[:7001",
        "::1:7001",
        "example.org:80",
        "[::1:7001",
        "[1.2.3.4]:1",
        "1.2.3.4:000001",
        "localhost :7001",
        "256.0.0.1:1",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:"
        "1",
    };
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        struct skein_addr addr = {.port = 4242};
        char why[128] = "";
        assert_int_equal(net_addr_parse(bad[i], &addr, why), -SKEIN_EINVALID);
        assert_true(strlen(why) > 0);
        assert_int_equal(addr.port, 4242);
    }
}

static void
good_text_comes_back(void **state)
{
    static const char *const good[][2] = {
        {"127.0.0.1:7001", "127.0.0.1:7001"}, {"localhost:0", "127.0.0.1:0"},
        {"[::1]:7001", "[::1]:7001"},         {"0.0.0.0:65535", "0.0.0.0:65535"},
        {"[fe80::1:2]:1", "[fe80::1:2]:1"},   {"[::ffff:10.0.0.1]:5", "10.0.0.1:5"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(good); i++) {
        struct skein_addr addr;
        char why[128] = "";
        char text[NET_ADDR_TEXT_BYTES];
        assert_int_equal(net_addr_parse(good[i][0], &addr, why), 0);
        assert_string_equal(net_addr_format(&addr, text), good[i][1]);
        assert_true(net_addr_is_loopback(&addr) == (i < 3));
        assert_true(net_addr_is_unspecified(&addr) == (i == 3));
    }
}

static void
endpoints_come_back(void **state)
{
    static const char *const good[] = {"127.0.0.1:7001",   "[::1]:1",    "[fe80::1%3]:80",
                                       "unix:/run/x.sock", "unix:@name", "unix:relative"};
    static const char *const bad[] = {"unix:",
                                      "unix:@",
                                      "[fe80::1%]:80",
                                      "[fe80::1%0]:80",
                                      "[fe80::1%lo]:80",
                                      "[fe80::1%99999999999]:1",
                                      "a"};
    char why[128], text[SKEIN_ENDPOINT_TEXT_BYTES], path[200] = "unix:/";
    struct skein_endpoint endpoint;
    for (size_t i = 0; i < BASE_COUNT_OF(good); i++) {
        assert_int_equal(skein_net_parse(good[i], &endpoint, why), 0);
        assert_string_equal(skein_net_format(&endpoint, text), good[i]);
        assert_true(endpoint.is_unix == (i >= 3));
    }
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        endpoint.addr.port = 4242;
        why[0] = '\0';
        assert_int_equal(skein_net_parse(bad[i], &endpoint, why), -SKEIN_EINVALID);
        assert_true(strlen(why) > 0);
        assert_int_equal(endpoint.addr.port, 4242);
    }
    memset(path + 6, 'p', 106);
    assert_int_equal(skein_net_parse(path, &endpoint, why), 0);
    assert_string_equal(skein_net_format(&endpoint, text), path);
    path[112] = 'p';
    assert_int_equal(skein_net_parse(path, &endpoint, why), -SKEIN_EINVALID);
}

static void
hashes_differ_by_address_only(void **state)
{
    struct skein_addr a, b, c;
    char why[128];
    assert_int_equal(net_addr_parse("10.0.0.1:1", &a, why), 0);
    assert_int_equal(net_addr_parse("10.0.0.1:2", &b, why), 0);
    assert_int_equal(net_addr_parse("10.0.0.2:1", &c, why), 0);
    assert_true(skein_addr_hash(&a) == skein_addr_hash(&b));
    assert_true(skein_addr_hash(&a) != skein_addr_hash(&c));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_text_is_refused_with_a_reason),
        cmocka_unit_test(good_text_comes_back),
        cmocka_unit_test(endpoints_come_back),
        cmocka_unit_test(hashes_differ_by_address_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
