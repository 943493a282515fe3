/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_fake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "skein/file.h"

#define A 1
#define CNAME 5
#define SOA 6
#define PTR 12
#define AAAA 28
#define SRV 33

struct message {
    uint8_t data[8192];
    size_t count;
};

struct query {
    uint8_t id[2];
    char name[256]; /* lower case, dots */
    uint16_t type;
};

static void
put(struct message *m, const void *data, size_t count)
{
    skein_assert(m->count + count <= sizeof(m->data));
    memcpy(m->data + m->count, data, count);
    m->count += count;
}

static void
put_u16(struct message *m, unsigned value)
{
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    put(m, bytes, 2);
}

static void
put_u32(struct message *m, uint32_t value)
{
    put_u16(m, value >> 16);
    put_u16(m, value & 0xffff);
}

static void
put_name(struct message *m, const char *name)
{
    while (*name) {
        size_t count = strcspn(name, ".");
        uint8_t bytes = (uint8_t)count;
        put(m, &bytes, 1);
        put(m, name, count);
        name += count + (name[count] == '.');
    }
    put(m, "", 1);
}

static void
begin(struct message *m, const struct query *q, unsigned rcode, bool cut)
{
    m->count = 0;
    put(m, q->id, 2);
    put_u16(m, 0x8180u | rcode | (cut ? 0x0200u : 0));
    put_u16(m, 1);
    put_u16(m, 0);
    put_u16(m, 0);
    put_u16(m, 0);
    put_name(m, q->name);
    put_u16(m, q->type);
    put_u16(m, 1);
}

/* Count one more record of section 1 (answers) or 2 (authority). */
static void
begin_rr(struct message *m, int section, const char *owner, unsigned type, uint32_t ttl_s)
{
    m->data[4 + 2 * section + 1]++;
    put_name(m, owner);
    put_u16(m, type);
    put_u16(m, 1);
    put_u32(m, ttl_s);
}

static void
put_addr(struct message *m, const char *owner, unsigned type, uint32_t ttl_s, uint8_t last)
{
    uint8_t four[4] = {192, 0, 2, last};
    uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = last};
    begin_rr(m, 1, owner, type, ttl_s);
    put_u16(m, type == A ? 4 : 16);
    put(m, type == A ? four : six, type == A ? 4 : 16);
}

static void
put_named(struct message *m, const char *owner, unsigned type, const char *target)
{
    begin_rr(m, 1, owner, type, 60);
    put_u16(m, (unsigned)strlen(target) + 2);
    put_name(m, target);
}

static void
put_soa(struct message *m, uint32_t minimum_s)
{
    begin_rr(m, 2, "test", SOA, 3600);
    put_u16(m, 1 + 1 + 20);
    put_name(m, "");
    put_name(m, "");
    for (int i = 0; i < 4; i++)
        put_u32(m, 7);
    put_u32(m, minimum_s);
}

struct service {
    unsigned priority, weight, port;
    const char *target;
};

static void
put_service(struct message *m, const struct query *q, const struct service *service)
{
    begin_rr(m, 1, q->name, SRV, 60);
    put_u16(m, 6 + (unsigned)strlen(service->target) + 2);
    put_u16(m, service->priority);
    put_u16(m, service->weight);
    put_u16(m, service->port);
    put_name(m, service->target);
}

static bool
first_label_is(const struct query *q, const char *label)
{
    size_t count = strlen(label);
    return strncmp(q->name, label, count) == 0 && (q->name[count] == '.' || !q->name[count]);
}

static void
answer_service(struct message *m, const struct query *q)
{
    static const struct service rows[] = {
        {20, 0, 3, "c.test"}, {10, 0, 1, "a.test"}, {10, 100, 2, "b.test"}};
    if (first_label_is(q, "_none")) {
        begin_rr(m, 1, q->name, SRV, 60);
        put_u16(m, 7);
        put(m, "\0\0\0\0\0\0", 7);
    } else if (first_label_is(q, "_large")) {
        for (unsigned i = 30; i > 0; i--)
            put_service(m, q, &(struct service){i, 0, i, "many.test"});
    } else {
        for (size_t i = 0; i < BASE_COUNT_OF(rows); i++)
            put_service(m, q, &rows[i]);
    }
}

static void
answer_reverse(struct message *m, const struct query *q)
{
    char other[sizeof(q->name) + 8];
    if (first_label_is(q, "99")) {
        begin_rr(m, 1, q->name, PTR, 60);
        put_u16(m, 1);
        put_name(m, "");
    } else if (first_label_is(q, "77") && !strstr(q->name, ".sub.")) {
        snprintf(other, sizeof(other), "77.sub%s", q->name + 2);
        put_named(m, q->name, CNAME, other);
        put_named(m, other, PTR, "Alias.Test");
    } else {
        put_named(m, q->name, PTR, "Reverse.Test");
    }
}

static void
answer_alias(struct message *m, const struct query *q)
{
    if (first_label_is(q, "chain")) {
        put_addr(m, "target.test", q->type, 60, 7);
        put_named(m, q->name, CNAME, "middle.test");
        put_named(m, "middle.test", CNAME, "target.test");
    } else if (first_label_is(q, "far")) {
        put_named(m, q->name, CNAME, "target.test");
    } else if (first_label_is(q, "self")) {
        put_named(m, q->name, CNAME, q->name);
    } else if (first_label_is(q, "circle")) {
        put_named(m, q->name, CNAME, "circle2.test");
    } else if (first_label_is(q, "circle2")) {
        put_named(m, q->name, CNAME, "circle.test");
    }
}

static void
answer_truly(struct message *m, const struct query *q)
{
    uint32_t ttl_s = first_label_is(q, "short") ? 1 : first_label_is(q, "zero") ? 0 : 60;
    bool missing = first_label_is(q, "missing") || (q->type == PTR && first_label_is(q, "88"));
    bool none = (q->type == A && first_label_is(q, "no4")) ||
                (q->type == AAAA && first_label_is(q, "no6")) || first_label_is(q, "nodata");
    begin(m, q, missing ? 3 : 0, false);
    if (missing || none) {
        put_soa(m, none ? 3 : 2);
        return;
    }
    answer_alias(m, q);
    if (m->data[7] > 0)
        return;
    if (q->type == SRV) {
        answer_service(m, q);
    } else if (q->type == PTR) {
        answer_reverse(m, q);
    } else {
        for (int i = 0; i < (first_label_is(q, "large") ? 40 : 1); i++)
            put_addr(m, q->name, q->type, ttl_s, (uint8_t)(i + 1));
    }
    if (first_label_is(q, "poison"))
        put_addr(m, "victim.test", q->type, 60, 66);
}

static bool
parse(const uint8_t *data, size_t count, struct query *q)
{
    size_t at = 12, out = 0;
    if (count < 17)
        return false;
    memcpy(q->id, data, 2);
    while (at < count && data[at] != 0) {
        size_t label = data[at++];
        if (at + label >= count || out + label + 2 > sizeof(q->name))
            return false;
        if (out > 0)
            q->name[out++] = '.';
        memcpy(q->name + out, data + at, label);
        out += label;
        at += label;
    }
    q->name[out] = '\0';
    if (at + 3 > count)
        return false;
    q->type = (uint16_t)(data[at + 1] << 8 | data[at + 2]);
    return true;
}

static void
send_to(struct dns_fake *fake, const struct message *m, const struct skein_addr *to)
{
    struct iovec iov = {(uint8_t *)(uintptr_t)m->data, m->count};
    struct skein_datagram out = {.iov = &iov, .iov_count = 1, .has_addr = true, .addr = *to};
    int rc = skein_datagram_send(fake->udp, &out, 1, SKEIN_NEVER);
    CHECK(fake->check, rc == 1 || rc == -SKEIN_ECANCELED);
}

/* What comes before, or in place of, the truth. Returns false: nothing follows. */
static bool
lie(struct dns_fake *fake, const struct query *q, const struct skein_addr *to)
{
    struct message m;
    struct query other = *q;
    if (first_label_is(q, "silent") || (first_label_is(q, "late6") && q->type == AAAA))
        return false;
    if (first_label_is(q, "refused") || first_label_is(q, "servfail")) {
        begin(&m, q, first_label_is(q, "refused") ? 5 : 2, false);
        send_to(fake, &m, to);
        return false;
    }
    if (first_label_is(q, "large") || first_label_is(q, "_large") || first_label_is(q, "tctc") ||
        first_label_is(q, "hangup")) {
        begin(&m, q, 0, true);
        send_to(fake, &m, to);
        return false;
    }
    if (first_label_is(q, "oversized")) {
        answer_truly(&m, q);
        memset(m.data + m.count, 0, 5000 - m.count);
        m.count = 5000;
        m.data[7] = 200; /* more records than there are */
        send_to(fake, &m, to);
        return false;
    }
    if (first_label_is(q, "garbage")) {
        for (m.count = 0; m.count < 40; m.count++)
            m.data[m.count] = (uint8_t)(m.count * 71);
        send_to(fake, &m, to);
        m.count = 0;
        send_to(fake, &m, to);
        answer_truly(&m, q);
        m.count -= 3; /* cut in the middle of a record */
        send_to(fake, &m, to);
    }
    if (first_label_is(q, "wrongid"))
        other.id[0] ^= 1;
    if (first_label_is(q, "wrongquestion"))
        memcpy(other.name, "wrongquestiom", 13);
    if (memcmp(&other, q, sizeof(other)) != 0) {
        answer_truly(&m, &other);
        m.data[m.count - 1] = 99;
        send_to(fake, &m, to);
    }
    return true;
}

static void
serve_udp(void *arg)
{
    struct dns_fake *fake = arg;
    for (;;) {
        uint8_t data[512];
        struct iovec iov = {data, sizeof(data)};
        struct skein_datagram in = {.iov = &iov, .iov_count = 1};
        struct query q = {.type = 0};
        struct message m;
        int rc = skein_datagram_recv(fake->udp, &in, 1, SKEIN_NEVER);
        if (rc == -SKEIN_ECANCELED)
            return;
        if (!CHECK(fake->check, rc == 1 && parse(data, in.bytes, &q)))
            continue;
        fake->query_count++;
        memcpy(fake->last_name, q.name, sizeof(q.name));
        if (!lie(fake, &q, &in.addr))
            continue;
        answer_truly(&m, &q);
        send_to(fake, &m, &in.addr);
    }
}

static void
answer_by_tcp(struct dns_fake *fake, int handle)
{
    uint8_t data[600];
    size_t count = 0;
    struct query q = {.type = 0};
    struct message m;
    while (count < 2 || count < 2u + (data[0] << 8 | data[1])) {
        ssize_t n = skein_socket_recv(handle, data + count, sizeof(data) - count, SKEIN_NEVER);
        if (n <= 0)
            return;
        count += (size_t)n;
    }
    if (!CHECK(fake->check, parse(data + 2, count - 2, &q)))
        return;
    answer_truly(&m, &q);
    if (first_label_is(&q, "tctc"))
        begin(&m, &q, 0, true);
    uint8_t head[2] = {(uint8_t)(m.count >> 8), (uint8_t)m.count};
    int rc = skein_socket_send(handle, head, 2, SKEIN_NEVER);
    if (rc == 0)
        rc = skein_socket_send(handle, m.data, first_label_is(&q, "hangup") ? 3 : m.count,
                               SKEIN_NEVER);
    /* One that gave up closes without reading. */
    CHECK(fake->check, rc == 0 || rc == -SKEIN_ECANCELED || rc == -EPIPE || rc == -ECONNRESET);
}

static void
serve_tcp(void *arg)
{
    struct dns_fake *fake = arg;
    for (;;) {
        int handle = skein_socket_accept(fake->tcp, NULL, SKEIN_NEVER);
        if (handle < 0)
            return;
        fake->tcp_count++;
        answer_by_tcp(fake, handle);
        skein_close(handle);
    }
}

bool
dns_fake_open(struct dns_fake *fake, struct check *check)
{
    struct skein_endpoint at = {.addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}};
    *fake = (struct dns_fake){.check = check};
    fake->tcp = skein_net_listen(&at, NULL);
    if (!CHECK(check, fake->tcp >= 0 && skein_net_local(fake->tcp, &at) == 0))
        return false;
    fake->udp = skein_datagram_open(&at, NULL, NULL);
    fake->addr = at.addr;
    skein_scope_init(&fake->scope);
    return CHECK(check, fake->udp >= 0) &&
           CHECK(check,
                 skein_spawn(&fake->scope, "dns-udp", serve_udp, fake, SKEIN_STACK_SMALL) == 0) &&
           CHECK(check,
                 skein_spawn(&fake->scope, "dns-tcp", serve_tcp, fake, SKEIN_STACK_SMALL) == 0);
}

void
dns_fake_close(struct dns_fake *fake)
{
    skein_scope_cancel(&fake->scope);
    skein_scope_join(&fake->scope);
    skein_close(fake->udp);
    skein_close(fake->tcp);
}
