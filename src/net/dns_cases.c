/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "net/dns_fake.h"
#include "skein/dns.h"

#define MS UINT64_C(1000000)

struct scene {
    struct check *check;
    struct dns_fake fake;
    struct skein_dns *dns;
    struct skein_dns_addresses out;
    struct skein_dns_entry entry;
};

static bool
set_up(struct scene *scene, struct check *check, struct skein_dns_options *options)
{
    static const struct skein_addr node = {.ip = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 3}};
    struct skein_dns_options standard = SKEIN_DNS_OPTIONS_INIT;
    *scene = (struct scene){.check = check};
    if (!dns_fake_open(&scene->fake, check))
        return false;
    if (!options)
        options = &standard;
    scene->entry = (struct skein_dns_entry){"Node3", node};
    options->resolv_conf_path = options->hosts_path = NULL;
    options->servers = &scene->fake.addr;
    options->server_count = 1;
    options->entries = &scene->entry;
    options->entry_count = 1;
    if (options->timeout_ns == 0)
        options->timeout_ns = 1000 * MS;
    return CHECK(check, skein_dns_open(&scene->dns, options) == 0);
}

static void
tear_down(struct scene *scene)
{
    skein_dns_close(scene->dns);
    dns_fake_close(&scene->fake);
}

static int
look(struct scene *scene, const char *name, enum skein_dns_family family)
{
    scene->out.count = 77;
    return skein_dns_lookup(scene->dns, name, family, &scene->out, skein_deadline_in(20000 * MS));
}

static struct skein_dns_stats
stats_of(const struct scene *scene)
{
    struct skein_dns_stats stats;
    skein_dns_stats_read(scene->dns, &stats);
    return stats;
}

static void
bad_names_are_refused(struct scene *scene)
{
    static const char *const bad[] = {
        "",     ".",
        "a..b", ".a",
        "a b",  "a\n",
        "a/b",  "\xc3\xa4",
        "a@b",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test",
    };
    char long_name[400], out[SKEIN_DNS_NAME_BYTES];
    memset(long_name, 'a', sizeof(long_name));
    for (size_t i = 0; i < sizeof(long_name); i += 50)
        long_name[i + 49] = '.';
    long_name[256] = '\0';
    CHECK(scene->check, look(scene, long_name, SKEIN_DNS_ANY) == -SKEIN_EINVALID);
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++)
        CHECK(scene->check, look(scene, bad[i], SKEIN_DNS_ANY) == -SKEIN_EINVALID);
    CHECK(scene->check, scene->out.count == 77 && scene->fake.query_count == 0);
    (void)out;
}

static void
home_is_not_asked_about(struct scene *scene)
{
    struct check *check = scene->check;
    CHECK(check, look(scene, "192.0.2.9", SKEIN_DNS_ANY) == 0 && scene->out.list[0].ip[15] == 9);
    CHECK(check, look(scene, "2001:db8::9", SKEIN_DNS_ANY) == 0 && scene->out.list[0].ip[0] == 32);
    CHECK(check, look(scene, "192.0.2.9", SKEIN_DNS_V6) == -SKEIN_ENOTFOUND);
    CHECK(check, look(scene, "LOCALHOST", SKEIN_DNS_ANY) == 0 && scene->out.count == 2);
    CHECK(check, look(scene, "x.localhost.", SKEIN_DNS_V4) == 0 && scene->out.count == 1);
    CHECK(check, look(scene, "node3", SKEIN_DNS_ANY) == 0 && scene->out.list[0].ip[15] == 3);
    CHECK(check, scene->out.ttl_ns == UINT64_MAX);
    CHECK(check, look(scene, "node3", SKEIN_DNS_V6) == -SKEIN_ENOTFOUND);
    CHECK(check, scene->fake.query_count == 0);
}

static void
answers_are_found_and_kept(struct scene *scene)
{
    struct check *check = scene->check;
    CHECK(check, look(scene, "Www.Test", SKEIN_DNS_ANY) == 0 && scene->out.count == 2);
    CHECK(check, scene->out.list[0].ip[0] == 0x20 && scene->out.list[1].ip[12] == 192);
    CHECK(check, scene->out.ttl_ns > 55000 * MS && scene->out.ttl_ns <= 60000 * MS);
    unsigned asked_count = scene->fake.query_count;
    CHECK(check, asked_count == 2);
    CHECK(check, look(scene, "www.test.", SKEIN_DNS_ANY) == 0 && scene->out.count == 2);
    CHECK(check, look(scene, "www.TEST", SKEIN_DNS_V4) == 0 && scene->out.count == 1);
    CHECK(check, scene->fake.query_count == asked_count && stats_of(scene).hit_count == 3);
    CHECK(check, look(scene, "no6.test", SKEIN_DNS_ANY) == 0 && scene->out.count == 1);
    CHECK(check, look(scene, "no4.test", SKEIN_DNS_V4) == -SKEIN_ENOTFOUND);
    CHECK(check, look(scene, "missing.test", SKEIN_DNS_ANY) == -SKEIN_ENOTFOUND);
    asked_count = scene->fake.query_count;
    CHECK(check, look(scene, "missing.test", SKEIN_DNS_ANY) == -SKEIN_ENOTFOUND);
    CHECK(check, look(scene, "no4.test", SKEIN_DNS_V4) == -SKEIN_ENOTFOUND);
    CHECK(check, scene->fake.query_count == asked_count);
    CHECK(check, scene->out.count == 77);
    /* A time to live of 0 serves those who asked, and nobody after. */
    CHECK(check, look(scene, "zero.test", SKEIN_DNS_V4) == 0);
    CHECK(check, look(scene, "zero.test", SKEIN_DNS_V4) == 0);
    CHECK(check, scene->fake.query_count == asked_count + 2);
}

static void
aliases_are_followed(struct scene *scene)
{
    struct check *check = scene->check;
    CHECK(check, look(scene, "chain.test", SKEIN_DNS_V4) == 0 && scene->out.list[0].ip[15] == 7);
    unsigned asked_count = scene->fake.query_count;
    CHECK(check, look(scene, "far.test", SKEIN_DNS_V4) == 0 && scene->out.list[0].ip[15] == 1);
    CHECK(check, scene->fake.query_count == asked_count + 2);
    CHECK(check, strcmp(scene->fake.last_name, "target.test") == 0);
    CHECK(check, look(scene, "self.test", SKEIN_DNS_V4) == -SKEIN_ENOTFOUND);
    CHECK(check, look(scene, "circle.test", SKEIN_DNS_V4) == -SKEIN_EPROTO);
}

static void
lies_are_dropped(struct scene *scene)
{
    static const char *const names[] = {"wrongid.test", "wrongquestion.test", "garbage.test"};
    struct check *check = scene->check;
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        uint64_t lies = stats_of(scene).lie_count;
        CHECK(check, look(scene, names[i], SKEIN_DNS_V4) == 0);
        CHECK(check, scene->out.count == 1 && scene->out.list[0].ip[15] == 1);
        CHECK(check, stats_of(scene).lie_count == lies + (i == 2 ? 3 : 1));
    }
    CHECK(check, look(scene, "poison.test", SKEIN_DNS_V4) == 0 && scene->out.count == 1);
    CHECK(check, look(scene, "victim.test", SKEIN_DNS_V4) == 0);
    CHECK(check, scene->out.list[0].ip[15] == 1);
}

static void
large_answers_come_by_tcp(struct scene *scene)
{
    struct check *check = scene->check;
    CHECK(check, look(scene, "large.test", SKEIN_DNS_V4) == 0);
    CHECK(check, scene->out.count == SKEIN_DNS_ADDRESSES_MAX && scene->fake.tcp_count == 1);
    CHECK(check, look(scene, "oversized.test", SKEIN_DNS_V4) == 0 && scene->out.count == 1);
    CHECK(check, scene->fake.tcp_count == 2);
    CHECK(check, look(scene, "tctc.test", SKEIN_DNS_V4) == -SKEIN_EPROTO);
    CHECK(check, look(scene, "hangup.test", SKEIN_DNS_V4) == -SKEIN_EPROTO);
    CHECK(check, stats_of(scene).tcp_count == 2 + 2 * 2);
}

static void
servers_that_cannot(struct scene *scene)
{
    unsigned asked_count = scene->fake.query_count;
    CHECK(scene->check, look(scene, "refused.test", SKEIN_DNS_V4) == -SKEIN_EAGAIN);
    CHECK(scene->check, look(scene, "servfail.test", SKEIN_DNS_ANY) == -SKEIN_EAGAIN);
    CHECK(scene->check, scene->fake.query_count == asked_count + 6);
    CHECK(scene->check, look(scene, "fine.test", SKEIN_DNS_V4) == 0);
}

static void
services_and_reverse(struct scene *scene)
{
    struct check *check = scene->check;
    struct skein_dns_services services;
    char name[SKEIN_DNS_NAME_BYTES];
    uint64_t deadline_ns = skein_deadline_in(20000 * MS);
    unsigned first_counts[4] = {0};
    for (int i = 0; i < 50; i++) {
        CHECK(check, skein_dns_service(scene->dns, "_svc._tcp.test", &services, deadline_ns) == 0);
        if (!CHECK(check, services.count == 3))
            return;
        CHECK(check, services.list[2].port == 3 && strcmp(services.list[2].name, "c.test") == 0);
        first_counts[services.list[0].port & 3]++;
    }
    CHECK(check, first_counts[2] > 40); /* weight 100 against 0 */
    CHECK(check, skein_dns_service(scene->dns, "_none._tcp.test", &services, deadline_ns) ==
                     -SKEIN_ENOTFOUND);
    struct skein_addr addr = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
    CHECK(check, skein_dns_reverse(scene->dns, &addr, name, deadline_ns) == 0);
    CHECK(check, strcmp(name, "reverse.test") == 0);
    CHECK(check, strcmp(scene->fake.last_name, "1.2.0.192.in-addr.arpa") == 0);
    addr = (struct skein_addr){.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x1f}};
    CHECK(check, skein_dns_reverse(scene->dns, &addr, name, deadline_ns) == 0);
    CHECK(check, strcmp(scene->fake.last_name, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8."
                                               "b.d.0.1.0.0.2.ip6.arpa") == 0);
    addr = (struct skein_addr){.ip = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 3}};
    CHECK(check, skein_dns_reverse(scene->dns, &addr, name, deadline_ns) == 0);
    CHECK(check, strcmp(name, "node3") == 0);
}

/* Whatever keeps an address from being found keeps a service and a name from it, in the same way.
 */
static void
services_and_reverse_fail(struct scene *scene)
{
    static const struct {
        const char *name;
        int rc;
    } rows[] = {{"_bad name._tcp.test", -SKEIN_EINVALID},
                {"", -SKEIN_EINVALID},
                {"missing._tcp.test", -SKEIN_ENOTFOUND},
                {"nodata._tcp.test", -SKEIN_ENOTFOUND},
                {"refused._tcp.test", -SKEIN_EAGAIN},
                {"hangup._tcp.test", -SKEIN_EPROTO},
                {"circle.test", -SKEIN_EPROTO},
                {"garbage._tcp.test", 0},
                {"wrongid._tcp.test", 0},
                {"wrongquestion._tcp.test", 0}};
    struct check *check = scene->check;
    struct skein_dns_services services;
    char name[SKEIN_DNS_NAME_BYTES] = "untouched";
    uint64_t deadline_ns = skein_deadline_in(20000 * MS);
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        services.count = 77;
        CHECK(check,
              skein_dns_service(scene->dns, rows[i].name, &services, deadline_ns) == rows[i].rc);
        CHECK(check, services.count == (rows[i].rc < 0 ? 77 : 3));
    }
    CHECK(check, stats_of(scene).lie_count >= 5);
    struct skein_addr addr = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 88}};
    CHECK(check, skein_dns_reverse(scene->dns, &addr, name, deadline_ns) == -SKEIN_ENOTFOUND);
    addr.ip[15] = 99; /* the root is nobody's name */
    CHECK(check, skein_dns_reverse(scene->dns, &addr, name, deadline_ns) == -SKEIN_ENOTFOUND);
    CHECK(check, strcmp(name, "untouched") == 0);
    deadline_ns = skein_deadline_in(20 * MS);
    services.count = 77;
    CHECK(check, skein_dns_service(scene->dns, "silent._tcp.test", &services, deadline_ns) ==
                     -SKEIN_ETIMEDOUT);
    CHECK(check, services.count == 77 && skein_now_ns() >= deadline_ns);
}

static void
services_and_reverse_are_kept(struct scene *scene)
{
    struct check *check = scene->check;
    struct skein_dns_services services;
    char name[SKEIN_DNS_NAME_BYTES];
    uint64_t deadline_ns = skein_deadline_in(20000 * MS);
    struct skein_addr addr = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 77}};
    for (int i = 0; i < 3; i++) {
        CHECK(check,
              skein_dns_service(scene->dns, "_Large._tcp.test", &services, deadline_ns) == 0);
        CHECK(check, services.count == SKEIN_DNS_SERVICES_MAX && scene->fake.tcp_count == 1);
        for (uint32_t k = 0; k < services.count; k++) /* of 30 the first to be tried */
            CHECK(check, services.list[k].port == k + 1 && services.list[k].priority == k + 1);
        CHECK(check, services.ttl_ns > 55000 * MS && services.ttl_ns <= 60000 * MS);
        CHECK(check, skein_dns_reverse(scene->dns, &addr, name, deadline_ns) == 0);
        CHECK(check, strcmp(name, "alias.test") == 0);
        CHECK(check, scene->fake.query_count == 2 && stats_of(scene).hit_count == 2u * (unsigned)i);
    }
    /* Each type is a question of its own. */
    CHECK(check, look(scene, "_large._tcp.test", SKEIN_DNS_V4) == 0);
    CHECK(check, scene->fake.query_count == 3);
}

struct asker {
    struct scene *scene;
    const char *name;
    uint64_t timeout_ns;
    int result;
};

static void
ask_beside(void *arg)
{
    struct asker *asker = arg;
    struct skein_dns_addresses out;
    asker->result = skein_dns_lookup(asker->scene->dns, asker->name, SKEIN_DNS_V4, &out,
                                     skein_deadline_in(asker->timeout_ns));
}

/* Many ask the same: one query. The one who asks gives up or is cancelled: another takes over. */
static void
askers_share(struct scene *scene)
{
    struct check *check = scene->check;
    struct skein_scope scope, cancelled;
    struct asker askers[20];
    unsigned asked_count = scene->fake.query_count;
    skein_scope_init(&scope);
    skein_scope_init(&cancelled);
    for (int i = 0; i < 20; i++) {
        askers[i] = (struct asker){scene, "zero.shared.test", 20000 * MS, 1};
        CHECK(check, skein_spawn(i == 0 ? &cancelled : &scope, "asker", ask_beside, &askers[i],
                                 SKEIN_STACK_SMALL) == 0);
    }
    skein_yield();
    skein_scope_cancel(&cancelled);
    skein_scope_join(&cancelled);
    skein_scope_join(&scope);
    CHECK(check, askers[0].result == -SKEIN_ECANCELED);
    for (int i = 1; i < 20; i++)
        CHECK(check, askers[i].result == 0);
    CHECK(check, scene->fake.query_count <= asked_count + 2);
}

static void
silence_ends_at_the_deadline(struct scene *scene)
{
    struct skein_dns_addresses out;
    uint64_t deadline_ns = skein_deadline_in(20 * MS);
    CHECK(scene->check, skein_dns_lookup(scene->dns, "silent.test", SKEIN_DNS_ANY, &out,
                                         deadline_ns) == -SKEIN_ETIMEDOUT);
    CHECK(scene->check, skein_now_ns() >= deadline_ns);
}

static void
bounds_hold(struct check *check)
{
    struct skein_dns_options options = SKEIN_DNS_OPTIONS_INIT;
    struct scene scene;
    char name[64];
    struct skein_dns *dns;
    options.cache_count_max = 0;
    CHECK(check, skein_dns_open(&dns, &options) == -SKEIN_EINVALID);
    options.cache_count_max = 5;
    options.query_count_max = 1;
    if (!set_up(&scene, check, &options))
        return;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "n%d.test", i % 20);
        CHECK(check, look(&scene, name, SKEIN_DNS_V4) == 0);
    }
    CHECK(check, stats_of(&scene).cached_count <= 5 && stats_of(&scene).evicted_count >= 30);
    struct asker asker = {&scene, "silent.test", 30 * MS, 1};
    struct skein_scope scope;
    skein_scope_init(&scope);
    CHECK(check, skein_spawn(&scope, "asker", ask_beside, &asker, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    CHECK(check, look(&scene, "other.test", SKEIN_DNS_V4) == -SKEIN_EBUSY);
    skein_scope_join(&scope);
    CHECK(check, asker.result == -SKEIN_ETIMEDOUT);
    CHECK(check, look(&scene, "other.test", SKEIN_DNS_V4) == 0);
    tear_down(&scene);
}

int
dns_cases(void *arg)
{
    static void (*const cases[])(struct scene * scene) = {
        bad_names_are_refused,
        home_is_not_asked_about,
        answers_are_found_and_kept,
        aliases_are_followed,
        lies_are_dropped,
        large_answers_come_by_tcp,
        servers_that_cannot,
        services_and_reverse,
        services_and_reverse_fail,
        services_and_reverse_are_kept,
        askers_share,
        silence_ends_at_the_deadline,
    };
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct scene scene;
        if (!set_up(&scene, arg, NULL))
            return 0;
        cases[i](&scene);
        tear_down(&scene);
    }
    bounds_hold(arg);
    return 0;
}

/* ---- where it takes seconds ---- */

static void
answers_expire(struct scene *scene)
{
    struct check *check = scene->check;
    unsigned asked_count = 0;
    static const struct {
        const char *name;
        uint64_t fresh_ms, stale_ms;
        int rc;
    } rows[] = {{"short.test", 900, 1100, 0},
                {"www.test", 59000, 61000, 0},
                {"missing.test", 1900, 2100, -SKEIN_ENOTFOUND},
                {"nodata.test", 2900, 3100, -SKEIN_ENOTFOUND}};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        uint64_t begin_ns = skein_now_ns();
        CHECK(check, look(scene, rows[i].name, SKEIN_DNS_V4) == rows[i].rc);
        asked_count++;
        CHECK(check, skein_sleep(begin_ns + rows[i].fresh_ms * MS) == 0);
        CHECK(check, look(scene, rows[i].name, SKEIN_DNS_V4) == rows[i].rc);
        CHECK(check, scene->fake.query_count == asked_count);
        CHECK(check, skein_sleep(begin_ns + rows[i].stale_ms * MS) == 0);
        CHECK(check, look(scene, rows[i].name, SKEIN_DNS_V4) == rows[i].rc);
        asked_count++;
        CHECK(check, scene->fake.query_count == asked_count);
    }
}

static void
silence_lasts_all_rounds(struct scene *scene)
{
    uint64_t begin_ns = skein_now_ns();
    CHECK(scene->check, look(scene, "silent.test", SKEIN_DNS_V4) == -SKEIN_ETIMEDOUT);
    uint64_t took_ms = (skein_now_ns() - begin_ns) / MS;
    CHECK(scene->check, took_ms >= 3000 && took_ms < 3100); /* 1 s, then 2 s */
    CHECK(scene->check, scene->fake.query_count == 2 && stats_of(scene).timeout_count == 2);
}

int
dns_slow_cases(void *arg)
{
    static void (*const cases[])(struct scene * scene) = {answers_expire, silence_lasts_all_rounds};
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct scene scene;
        if (!set_up(&scene, arg, NULL))
            return 0;
        cases[i](&scene);
        tear_down(&scene);
    }
    return 0;
}
