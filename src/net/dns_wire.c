/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_wire.h"

#include <ares.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"

#define HEADER_BYTES 12
#define CLASS_IN 1
#define ALIASES_MAX 8
/* Of one message; what stands behind them is not looked at. */
#define RECORDS_SEEN_MAX 256

struct reader {
    const uint8_t *data;
    size_t count, at;
};

struct rr {
    char owner[SKEIN_DNS_NAME_BYTES];
    uint16_t type, class;
    uint32_t ttl_s;
    size_t data_at, data_count;
};

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int
dns_name_check(const char *name, char out[SKEIN_DNS_NAME_BYTES])
{
    size_t count = strnlen(name, SKEIN_DNS_NAME_BYTES);
    size_t label = 0;
    char copy[SKEIN_DNS_NAME_BYTES];
    if (count > 0 && name[count - 1] == '.')
        count--;
    if (count < 1 || count > 253)
        return -SKEIN_EINVALID;
    for (size_t i = 0; i < count; i++) {
        char c = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
        if (c == '.' ? label == 0 : !is_name_char(c) || label == 63)
            return -SKEIN_EINVALID;
        label = c == '.' ? 0 : label + 1;
        copy[i] = c;
    }
    copy[count] = '\0';
    memcpy(out, copy, count + 1);
    return 0;
}

int
dns_encode(const char *name, enum dns_type type, uint16_t id, uint8_t out[DNS_QUERY_BYTES])
{
    unsigned char *message = NULL;
    int bytes = 0;
    int rc = ares_create_query(name, CLASS_IN, type, id, 1, &message, &bytes, DNS_UDP_BYTES);
    if (rc != ARES_SUCCESS || bytes > DNS_QUERY_BYTES) {
        ares_free_string(message);
        return -SKEIN_EINVALID;
    }
    memcpy(out, message, (size_t)bytes);
    ares_free_string(message);
    return bytes;
}

static uint16_t
u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
u32_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A name at *@at, which moves behind it. One that no host can have comes out as "?". */
static bool
read_name(const struct reader *r, size_t *at, char out[SKEIN_DNS_NAME_BYTES])
{
    char *text = NULL;
    long bytes = 0;
    if (*at >= r->count || r->count > INT_MAX)
        return false;
    if (ares_expand_name(r->data + *at, r->data, (int)r->count, &text, &bytes) != ARES_SUCCESS)
        return false;
    if (text[0] == '\0')
        out[0] = '\0';
    else if (dns_name_check(text, out) < 0)
        memcpy(out, "?", 2);
    ares_free_string(text);
    *at += (size_t)bytes;
    return *at <= r->count;
}

static bool
read_rr(struct reader *r, struct rr *out)
{
    if (!read_name(r, &r->at, out->owner) || r->count - r->at < 10)
        return false;
    const uint8_t *p = r->data + r->at;
    out->type = u16_at(p);
    out->class = u16_at(p + 2);
    out->ttl_s = u32_at(p + 4);
    if (out->ttl_s > INT32_MAX)
        out->ttl_s = 0;
    out->data_count = u16_at(p + 8);
    out->data_at = r->at + 10;
    if (out->data_count > r->count - out->data_at)
        return false;
    r->at = out->data_at + out->data_count;
    return true;
}

/* Sets r->at behind the question. */
static bool
is_to_question(struct reader *r, const char *name, enum dns_type type, uint16_t id)
{
    char asked[SKEIN_DNS_NAME_BYTES];
    r->at = HEADER_BYTES;
    bool is_answer = (r->data[2] & 0xf8) == 0x80; /* QR, and opcode 0 */
    if (u16_at(r->data) != id || !is_answer || u16_at(r->data + 4) != 1)
        return false;
    if (!read_name(r, &r->at, asked) || r->count - r->at < 4)
        return false;
    const uint8_t *p = r->data + r->at;
    r->at += 4;
    return strcmp(asked, name) == 0 && u16_at(p) == type && u16_at(p + 2) == CLASS_IN;
}

bool
dns_is_answer(const uint8_t *data, size_t count, const char *name, enum dns_type type, uint16_t id)
{
    struct reader r = {.data = data, .count = count};
    return count >= HEADER_BYTES && is_to_question(&r, name, type, id);
}

static bool
read_record(const struct reader *r, const struct rr *rr, struct dns_record *out)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *data = r->data + rr->data_at;
    size_t at = rr->data_at;
    memset(out, 0, sizeof(*out));
    if (rr->type == DNS_A && rr->data_count == 4) {
        memcpy(out->ip, v4_mapped, sizeof(v4_mapped));
        memcpy(out->ip + 12, data, 4);
        return true;
    }
    if (rr->type == DNS_AAAA && rr->data_count == 16) {
        memcpy(out->ip, data, 16);
        return true;
    }
    if (rr->type == DNS_SRV && rr->data_count > 6) {
        out->priority = u16_at(data);
        out->weight = u16_at(data + 2);
        out->port = u16_at(data + 4);
        at += 6;
    } else if (rr->type != DNS_PTR) {
        return false;
    }
    return read_name(r, &at, out->name) && out->name[0] != '?' &&
           at <= rr->data_at + rr->data_count;
}

/* The alias of @name among the answers, into @name itself. */
static bool
follow_alias(struct reader r, unsigned answer_count, char name[SKEIN_DNS_NAME_BYTES],
             uint32_t *ttl_s)
{
    for (unsigned i = 0; i < answer_count; i++) {
        struct rr rr;
        char target[SKEIN_DNS_NAME_BYTES];
        if (!read_rr(&r, &rr))
            return false;
        if (rr.type != DNS_CNAME || rr.class != CLASS_IN || strcmp(rr.owner, name) != 0)
            continue;
        size_t at = rr.data_at;
        if (!read_name(&r, &at, target) || target[0] == '?' || target[0] == '\0')
            return false;
        *ttl_s = rr.ttl_s < *ttl_s ? rr.ttl_s : *ttl_s;
        memcpy(name, target, SKEIN_DNS_NAME_BYTES);
        return true;
    }
    return false;
}

static bool
collect(struct reader *r, unsigned answer_count, const char *name, enum dns_type type,
        struct dns_answer *answer)
{
    for (unsigned i = 0; i < answer_count; i++) {
        struct rr rr;
        if (!read_rr(r, &rr))
            return false;
        if (rr.type != type || rr.class != CLASS_IN || strcmp(rr.owner, name) != 0 ||
            answer->count == DNS_RECORDS_MAX)
            continue;
        if (!read_record(r, &rr, &answer->records[answer->count]))
            continue;
        answer->count++;
        answer->ttl_s = rr.ttl_s < answer->ttl_s ? rr.ttl_s : answer->ttl_s;
    }
    return true;
}

/* How long a negative answer holds: RFC 2308 section 5. False: the zone does not say. */
static bool
read_negative_ttl(struct reader *r, unsigned authority_count, uint32_t *out_ttl_s)
{
    for (unsigned i = 0; i < authority_count; i++) {
        struct rr rr;
        if (!read_rr(r, &rr))
            return false;
        if (rr.type != DNS_SOA || rr.data_count < 22)
            continue;
        uint32_t minimum_s = u32_at(r->data + rr.data_at + rr.data_count - 4);
        *out_ttl_s = rr.ttl_s < minimum_s ? rr.ttl_s : minimum_s;
        return true;
    }
    return false;
}

static unsigned
at_most(unsigned count)
{
    return count < RECORDS_SEEN_MAX ? count : RECORDS_SEEN_MAX;
}

int
dns_decode(const uint8_t *data, size_t count, const char *name, enum dns_type type, uint16_t id,
           struct dns_answer *out_answer)
{
    struct reader r = {.data = data, .count = count};
    char at[SKEIN_DNS_NAME_BYTES];
    if (count < HEADER_BYTES || !is_to_question(&r, name, type, id))
        return -SKEIN_EPROTO;
    unsigned rcode = data[3] & 15;
    if (data[2] & 2)
        return -SKEIN_ETOOBIG;
    if (rcode != 0 && rcode != 3)
        return -SKEIN_EAGAIN;
    struct dns_answer *answer = out_answer;
    answer->ttl_s = UINT32_MAX;
    answer->count = 0;
    answer->alias[0] = '\0';
    unsigned answer_count = at_most(u16_at(data + 6));
    size_t name_count = strlen(name);
    skein_assert(name_count < sizeof(at));
    memcpy(at, name, name_count + 1);
    for (int i = 0; i < ALIASES_MAX && follow_alias(r, answer_count, at, &answer->ttl_s); i++) {
    }
    if (!collect(&r, answer_count, at, type, answer))
        return -SKEIN_EPROTO;
    if (answer->count > 0)
        return 0;
    uint32_t negative_s = 0;
    bool zone_says = read_negative_ttl(&r, at_most(u16_at(data + 8)), &negative_s);
    bool elsewhere = rcode == 0 && !zone_says && strcmp(at, name) != 0;
    if (elsewhere)
        memcpy(answer->alias, at, sizeof(at));
    else
        answer->ttl_s = negative_s < answer->ttl_s ? negative_s : answer->ttl_s;
    return 0;
}
