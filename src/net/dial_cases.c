/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dial_cases.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "net/dns_fake.h"
#include "skein/dial.h"
#include "skein/file.h"

#define MS UINT64_C(1000000)

static const struct skein_addr four = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
static const struct skein_addr six = {.ip = {[15] = 1}};

static struct skein_dns *
resolver(struct check *check, const struct skein_dns_entry *entries, uint32_t entry_count,
         const struct skein_addr *server)
{
    struct skein_dns_options options = SKEIN_DNS_OPTIONS_INIT;
    struct skein_dns *dns = NULL;
    options.hosts_path = options.resolv_conf_path = NULL;
    options.entries = entries;
    options.entry_count = entry_count;
    options.servers = server;
    options.server_count = server ? 1 : 0;
    CHECK(check, skein_dns_open(&dns, &options) == 0);
    return dns;
}

static uint64_t
soon(void)
{
    return skein_deadline_in(5000 * MS);
}

static int
listen_at(struct check *check, const struct skein_addr *addr, uint16_t *out_port)
{
    struct skein_endpoint at = {.addr = *addr};
    at.addr.port = *out_port;
    int handle = skein_net_listen(&at, NULL);
    CHECK(check, handle >= 0 && skein_net_local(handle, &at) == 0);
    *out_port = at.addr.port;
    return handle;
}

static void
bad_input(struct check *check)
{
    struct skein_dns *dns = resolver(check, NULL, 0, NULL);
    struct skein_dial_options options = SKEIN_DIAL_OPTIONS_INIT;
    options.stagger_ns = 1;
    CHECK(check, skein_dial_with(dns, "localhost", 1, &options, NULL, soon()) == -SKEIN_EINVALID);
    CHECK(check, skein_dial(dns, "bad name", 1, soon()) == -SKEIN_EINVALID);
    CHECK(check, skein_dial(dns, "", 1, soon()) == -SKEIN_EINVALID);
    CHECK(check, skein_dial(dns, "nobody.test", 1, soon()) == -SKEIN_EAGAIN);
    skein_dns_close(dns);
}

/* IPv6 first; when it refuses, IPv4 without waiting. */
static void
families(struct check *check)
{
    struct skein_dns *dns = resolver(check, NULL, 0, NULL);
    struct skein_dial_info info;
    uint16_t port = 0;
    int listener = listen_at(check, &six, &port);
    int handle = skein_dial_with(dns, "localhost", port, NULL, &info, soon());
    CHECK(check, handle >= 0 && info.attempt_count == 1 && info.addr.port == port);
    CHECK(check, memcmp(info.addr.ip, six.ip, 16) == 0);
    CHECK(check, skein_close(handle) == 0);
    handle = skein_dial(dns, "::1", port, soon());
    CHECK(check, handle >= 0 && skein_close(handle) == 0);
    CHECK(check, skein_close(listener) == 0);
    CHECK(check, skein_dial_with(dns, "localhost", port, NULL, &info, soon()) == -ECONNREFUSED);
    CHECK(check, info.attempt_count == 2 && info.addr.port == 0);
    CHECK(check, info.connected_ns < 200 * MS);
    skein_dns_close(dns);
    /* 2001:db8::1 is nobody's: unreachable at once, or dead. */
    struct skein_dns_entry entries[] = {{"x", {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}},
                                        {"x", {.port = 0}}};
    entries[1].addr = four;
    dns = resolver(check, entries, 2, NULL);
    port = 0;
    listener = listen_at(check, &four, &port);
    handle = skein_dial_with(dns, "x", port, NULL, &info, soon());
    CHECK(check, handle >= 0 && info.attempt_count == 2);
    CHECK(check, memcmp(info.addr.ip, four.ip, 16) == 0);
    CHECK(check, skein_close(handle) == 0);
    CHECK(check, skein_close(listener) == 0);
    skein_dns_close(dns);
}

/* The AAAA never comes: IPv4 waits a little for it, and goes on. */
static void
half_an_answer(struct check *check)
{
    struct dns_fake fake;
    struct skein_dial_info info;
    if (!dns_fake_open(&fake, check))
        return;
    struct skein_dns *dns = resolver(check, NULL, 0, &fake.addr);
    uint64_t begin_ns = skein_now_ns();
    uint64_t deadline_ns = skein_deadline_in(150 * MS);
    int rc = skein_dial_with(dns, "late6.test", 9, NULL, &info, deadline_ns);
    CHECK(check, rc < 0); /* 192.0.2.1 is nobody's */
    CHECK(check, info.attempt_count == 1);
    CHECK(check, info.resolved_ns >= 50 * MS && info.resolved_ns < 120 * MS);
    CHECK(check, skein_now_ns() >= begin_ns + 50 * MS);
    CHECK(check, skein_dial(dns, "missing.test", 9, soon()) == -SKEIN_ENOTFOUND);
    CHECK(check, skein_dial(dns, "silent.test", 9, skein_deadline_in(20 * MS)) == -SKEIN_ETIMEDOUT);
    skein_dns_close(dns);
    dns_fake_close(&fake);
}

struct dialler {
    struct skein_dns *dns;
    int result;
};

static void
dial_dead(void *arg)
{
    struct dialler *dialler = arg;
    dialler->result = skein_dial(dialler->dns, "silent.test", 1, SKEIN_NEVER);
}

static void
ends_when_cancelled(struct check *check)
{
    struct dns_fake fake;
    struct skein_scope scope;
    if (!dns_fake_open(&fake, check))
        return;
    struct dialler dialler = {.dns = resolver(check, NULL, 0, &fake.addr)};
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "dialler", dial_dead, &dialler, SKEIN_STACK_SMALL) == 0);
    CHECK(check, skein_sleep(skein_deadline_in(5 * MS)) == 0);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    CHECK(check, dialler.result == -SKEIN_ECANCELED);
    skein_dns_close(dialler.dns);
    dns_fake_close(&fake);
}

int
dial_cases(void *arg)
{
    bad_input(arg);
    families(arg);
    half_an_answer(arg);
    ends_when_cancelled(arg);
    return 0;
}

void
dial_stagger(struct check *check, const struct skein_addr *dead)
{
    struct skein_dns_entry entries[] = {{"two", *dead}, {"two", four}};
    struct skein_dns *dns = resolver(check, entries, 2, NULL);
    struct skein_dial_options options = SKEIN_DIAL_OPTIONS_INIT;
    struct skein_dial_info info;
    uint16_t port = dead->port;
    int listener = listen_at(check, &four, &port);
    CHECK(check, port == dead->port);
    int handle = skein_dial_with(dns, "two", port, NULL, &info, soon());
    CHECK(check, handle >= 0 && info.attempt_count == 2);
    CHECK(check, info.connected_ns >= 250 * MS && info.connected_ns < 500 * MS);
    CHECK(check, memcmp(info.addr.ip, four.ip, 16) == 0);
    CHECK(check, skein_close(handle) == 0);
    options.stagger_ns = 20 * MS;
    handle = skein_dial_with(dns, "two", port, &options, &info, soon());
    CHECK(check, info.connected_ns >= 20 * MS && info.connected_ns < 200 * MS);
    CHECK(check, handle >= 0 && skein_close(handle) == 0);
    /* The same for addresses without a name. */
    struct skein_addr list[] = {*dead, four};
    list[1].port = port;
    handle = skein_dial_any(list, 2, &options, &info, soon());
    CHECK(check, handle >= 0 && skein_close(handle) == 0);
    CHECK(check, info.attempt_count == 2 && info.connected_ns >= 20 * MS);
    CHECK(check, skein_dial_any(list, 0, NULL, NULL, soon()) == -SKEIN_EINVALID);
    CHECK(check, skein_close(listener) == 0);
    list[0] = list[1];
    CHECK(check, skein_dial_any(list, 2, NULL, &info, soon()) == -ECONNREFUSED);
    CHECK(check, info.attempt_count == 2);
    /* All dead: the deadline. */
    skein_dns_close(dns);
    dns = resolver(check, entries, 1, NULL);
    CHECK(check, skein_dial_with(dns, "two", port, NULL, &info, skein_deadline_in(30 * MS)) ==
                     -SKEIN_ETIMEDOUT);
    CHECK(check, info.attempt_count == 1 && info.connected_ns < 100 * MS);
    skein_dns_close(dns);
}
