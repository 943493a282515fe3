/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: names are found as skein/dns.h says, by a resolver on the kernel's sockets, whatever the
 * name server does; resolv.conf and hosts files are read as resolv.conf(5) and hosts(5) say. The
 * same cases in virtual time: tests/net. */
#include "net/net_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/prng.h"
#include "net/dns_config.h"
#include "net/dns_fake.h"
#include "net/dns_wire.h"

static void
run_cases(void **state)
{
    net_test_run(dns_cases);
}

static void
config_is_read(void **state)
{
    static const char resolv[] = "# a comment\n"
                                 "nameserver 192.0.2.1\n"
                                 "nameserver 2001:db8::1 ; and a comment\n"
                                 "nameserver fe80::1%2\n"
                                 "nameserver nonsense\n"
                                 "nameserver\n"
                                 "search old.example\n"
                                 "search One.Example two.example bad..name\n"
                                 "options ndots:3 timeout:2 attempts:99 rotate ndots:x timeout:0\n"
                                 "unknown words here";
    static const char hosts[] = "127.0.1.1\thost.example host # short\n"
                                "::1 six\r\n"
                                "not.an.address name\n"
                                "192.0.2.7\n"
                                "192.0.2.8 bad_but_allowed bad/name fine";
    struct dns_config config = {.dot_count_min = 1};
    dns_config_resolv(&config, resolv, strlen(resolv), 53);
    assert_int_equal(config.server_count, 3);
    assert_int_equal(config.servers[1].ip[0], 0x20);
    assert_int_equal(config.servers[2].scope, 2);
    assert_int_equal(config.servers[2].port, 53);
    assert_int_equal(config.search_count, 2);
    assert_string_equal(config.search[0], "one.example");
    assert_int_equal(config.dot_count_min, 3);
    assert_int_equal(config.attempt_count, 5);
    assert_int_equal(config.timeout_ns, 2000000000);
    dns_config_hosts(&config, hosts, strlen(hosts));
    assert_int_equal(config.host_count, 5);
    assert_string_equal(config.hosts[1].name, "host");
    assert_string_equal(config.hosts[2].name, "six");
    assert_string_equal(config.hosts[4].name, "fine");
    dns_config_deinit(&config);
}

static bool
write_file(const char *dir, const char *name, const char *text, char out_path[128])
{
    snprintf(out_path, 128, "%s/%s", dir, name);
    FILE *file = fopen(out_path, "w");
    bool ok = file && fputs(text, file) >= 0;
    return file && fclose(file) == 0 && ok;
}

/* The files' search list and server, over a real resolver. */
static int
files_are_used(void *arg)
{
    struct check *check = arg;
    char dir[] = "/tmp/skein-dns-XXXXXX", hosts[128], resolv[128];
    struct dns_fake fake;
    struct skein_dns *dns;
    struct skein_dns_addresses out;
    struct skein_dns_options options = SKEIN_DNS_OPTIONS_INIT;
    if (!CHECK(check, mkdtemp(dir) != NULL) || !dns_fake_open(&fake, check))
        return 0;
    CHECK(check, write_file(dir, "hosts", "192.0.2.44 filed\n", hosts));
    CHECK(check, write_file(dir, "resolv.conf",
                            "nameserver 127.0.0.1\nsearch missing.test found.test\n"
                            "options timeout:1 attempts:1\n",
                            resolv));
    options.hosts_path = hosts;
    options.resolv_conf_path = resolv;
    options.port = fake.addr.port;
    if (!CHECK(check, skein_dns_open(&dns, &options) == 0))
        return 0;
    uint64_t soon_ns = net_test_soon();
    CHECK(check, skein_dns_lookup(dns, "filed", SKEIN_DNS_ANY, &out, soon_ns) == 0);
    CHECK(check, out.count == 1 && out.list[0].ip[15] == 44);
    /* "missing" first under missing.test, which is there; "missing.found" as it is. */
    CHECK(check, skein_dns_lookup(dns, "w", SKEIN_DNS_V4, &out, soon_ns) == 0);
    CHECK(check, strcmp(fake.last_name, "w.missing.test") == 0);
    CHECK(check, skein_dns_lookup(dns, "missing", SKEIN_DNS_V4, &out, soon_ns) == -SKEIN_ENOTFOUND);
    CHECK(check, strcmp(fake.last_name, "missing") == 0);
    CHECK(check,
          skein_dns_lookup(dns, "missing.", SKEIN_DNS_V4, &out, soon_ns) == -SKEIN_ENOTFOUND);
    skein_dns_close(dns);
    /* No files, no servers: known names only. */
    options.hosts_path = options.resolv_conf_path = "/nonexistent/file";
    CHECK(check, skein_dns_open(&dns, &options) == 0);
    CHECK(check, skein_dns_lookup(dns, "w", SKEIN_DNS_V4, &out, soon_ns) == -SKEIN_EAGAIN);
    skein_dns_close(dns);
    dns_fake_close(&fake);
    CHECK(check, unlink(hosts) == 0 && unlink(resolv) == 0 && rmdir(dir) == 0);
    return 0;
}

static void
run_files_are_used(void **state)
{
    net_test_run(files_are_used);
}

/* Drawn bytes, and a good answer with drawn bytes changed: no harm, and nothing that was not
 * asked for. */
static void
any_bytes_are_survived(void **state)
{
    struct prng prng;
    uint8_t query[DNS_QUERY_BYTES], data[600];
    struct dns_answer *answer = malloc(sizeof(*answer));
    prng_init(&prng, 11);
    int bytes = dns_encode("www.test", DNS_A, 0x1234, query);
    assert_true(bytes > 12);
    unsigned good_count = 0;
    for (int i = 0; i < 200000; i++) {
        size_t count = (size_t)prng_below(&prng, sizeof(data));
        prng_fill(&prng, data, count);
        if (count > 60) {
            memcpy(data, query, 26);
            data[2] = 0x81;
            data[3] = 0x80;
            data[7] = (uint8_t)prng_below(&prng, 4);
            data[9] = (uint8_t)prng_below(&prng, 4);
            memcpy(data + 26, "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4", 12);
            data[26 + prng_below(&prng, 16)] ^= (uint8_t)prng_below(&prng, 8);
        }
        int rc = dns_decode(data, count, "www.test", DNS_A, 0x1234, answer);
        assert_true(rc == 0 || rc == -SKEIN_EPROTO || rc == -SKEIN_ETOOBIG || rc == -SKEIN_EAGAIN);
        if (rc < 0)
            continue;
        good_count++;
        assert_true(answer->count <= 3);
        for (uint32_t r = 0; r < answer->count; r++)
            assert_int_equal(answer->records[r].ip[10], 0xff);
    }
    assert_true(good_count > 1000);
    free(answer);
}

/* The same for what is answered with names: each is one, and ends. */
static void
any_names_are_survived(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
        uint8_t fixed_count; /* before the name */
    } rows[] = {{"_svc._tcp.test", DNS_SRV, 6}, {"9.2.0.192.in-addr.arpa", DNS_PTR, 0}};
    struct prng prng;
    uint8_t query[DNS_QUERY_BYTES], data[600];
    struct dns_answer *answer = malloc(sizeof(*answer));
    unsigned good_count = 0;
    prng_init(&prng, 12);
    for (int i = 0; i < 200000; i++) {
        const char *name = rows[i % 2].name;
        enum dns_type type = rows[i % 2].type;
        assert_true(dns_encode(name, type, 0x1234, query) > 12);
        size_t question = 12 + strlen(name) + 2 + 4, bytes = rows[i % 2].fixed_count + 8u;
        size_t count = question + 12 + bytes;
        memcpy(data, query, question);
        memcpy(data + 2, "\x81\x80\0\1\0\1\0\0\0\0", 10);
        memcpy(data + question,
               (uint8_t[]){0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)bytes}, 12);
        prng_fill(&prng, data + question + 12, rows[i % 2].fixed_count);
        memcpy(data + count - 8, "\1a\4test", 8);
        int changes = (int)prng_below(&prng, 4);
        for (int k = 0; k < changes; k++)
            data[question + prng_below(&prng, count - question)] = (uint8_t)prng_below(&prng, 256);
        int rc = dns_decode(data, count - prng_below(&prng, 3), name, type, 0x1234, answer);
        assert_true(rc == 0 || rc == -SKEIN_EPROTO);
        if (rc < 0)
            continue;
        assert_true(answer->count <= 1);
        if (answer->count == 1)
            assert_non_null(memchr(answer->records[0].name, 0, SKEIN_DNS_NAME_BYTES));
        if (answer->count == 1 && changes == 0)
            assert_string_equal(answer->records[0].name, "a.test");
        good_count += answer->count;
    }
    assert_true(good_count > 10000);
    free(answer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_is_read),         cmocka_unit_test(any_bytes_are_survived),
        cmocka_unit_test(any_names_are_survived), cmocka_unit_test(run_cases),
        cmocka_unit_test(run_files_are_used),
    };
    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
