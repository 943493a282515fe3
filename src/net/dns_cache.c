/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "net/dns_internal.h"

#define SECOND_NS UINT64_C(1000000000)
#define ALIASES_MAX 8

struct dns_cached {
    struct skein_list link;
    enum dns_type type;
    char *name;
    bool pending; /* somebody asks; the others wait */
    struct skein_waitq answered;
    uint32_t waiting_count;
    uint64_t expires_ns;
    uint32_t record_count; /* 0, no alias: there are none */
    char *alias;
    struct dns_record *records;
};

static void
drop(struct skein_dns *dns, struct dns_cached *cached)
{
    skein_assert(cached->waiting_count == 0);
    list_remove(&cached->link);
    dns->cached_count--;
    mem_free(cached->name);
    mem_free(cached->alias);
    mem_free(cached->records);
    mem_free(cached);
}

void
dns_cache_deinit(struct skein_dns *dns)
{
    while (!list_is_empty(&dns->cached)) {
        struct dns_cached *cached = LIST_ENTRY(dns->cached.next, struct dns_cached, link);
        skein_assert(!cached->pending);
        drop(dns, cached);
    }
}

static struct dns_cached *
find(struct skein_dns *dns, const char *name, enum dns_type type)
{
    list_for_each (link, &dns->cached) {
        struct dns_cached *cached = LIST_ENTRY(link, struct dns_cached, link);
        if (cached->type == type && strcmp(cached->name, name) == 0)
            return cached;
    }
    return NULL;
}

/* Make room by dropping what has not been used for longest; those who wait are not dropped. */
static void
make_room(struct skein_dns *dns)
{
    list_for_each_safe (link, &dns->cached) {
        struct dns_cached *cached = LIST_ENTRY(link, struct dns_cached, link);
        if (dns->cached_count < dns->options.cache_count_max)
            return;
        if (cached->pending || cached->waiting_count > 0)
            continue;
        drop(dns, cached);
        dns->stats.evicted_count++;
    }
}

static struct dns_cached *
begin(struct skein_dns *dns, const char *name, enum dns_type type)
{
    make_room(dns);
    struct dns_cached *cached = mem_zalloc(sizeof(*cached));
    cached->type = type;
    cached->name = mem_strdup(name);
    cached->pending = true;
    skein_waitq_init(&cached->answered);
    list_push_back(&dns->cached, &cached->link);
    dns->cached_count++;
    return cached;
}

static void
keep(struct skein_dns *dns, struct dns_cached *cached, const struct dns_answer *answer)
{
    bool negative = answer->count == 0 && answer->alias[0] == '\0';
    uint64_t max_ns = negative ? dns->options.negative_ns_max : dns->options.ttl_ns_max;
    uint64_t ttl_ns = answer->ttl_s * SECOND_NS;
    mem_free(cached->records);
    mem_free(cached->alias);
    cached->expires_ns = skein_deadline_in(ttl_ns < max_ns ? ttl_ns : max_ns);
    cached->record_count = answer->count;
    cached->records = mem_alloc(answer->count * sizeof(answer->records[0]));
    memcpy(cached->records, answer->records, answer->count * sizeof(answer->records[0]));
    cached->alias = answer->alias[0] ? mem_strdup(answer->alias) : NULL;
}

static void
forget(struct dns_cached *cached)
{
    mem_free(cached->records);
    cached->records = NULL;
    cached->record_count = 0;
    cached->expires_ns = 0;
}

static void
recall(const struct dns_cached *cached, struct dns_answer *out_answer, uint64_t now_ns)
{
    uint64_t left_ns = cached->expires_ns > now_ns ? cached->expires_ns - now_ns : 0;
    out_answer->ttl_s = (uint32_t)(left_ns / SECOND_NS);
    out_answer->count = cached->record_count;
    memcpy(out_answer->records, cached->records, cached->record_count * sizeof(cached->records[0]));
    out_answer->alias[0] = '\0';
    if (cached->alias)
        memcpy(out_answer->alias, cached->alias, strlen(cached->alias) + 1);
}

/* Ask, for all who wait for the same. When this asker gives up, the next one takes over. */
static int
ask_for_all(struct skein_dns *dns, struct dns_cached *cached, struct dns_answer *out_answer,
            uint64_t deadline_ns)
{
    dns->pending_count++;
    int rc = dns_ask(dns, cached->name, cached->type, out_answer, deadline_ns);
    dns->pending_count--;
    cached->pending = false;
    if (rc == 0)
        keep(dns, cached, out_answer);
    else
        forget(cached);
    skein_wake_all(&cached->answered);
    if (cached->waiting_count == 0 && (rc < 0 || cached->expires_ns <= skein_now_ns()))
        drop(dns, cached);
    return rc;
}

static int
wait_for(struct skein_dns *dns, struct dns_cached *cached, uint64_t deadline_ns)
{
    cached->waiting_count++;
    int rc = skein_wait(&cached->answered, deadline_ns);
    cached->waiting_count--;
    if (rc < 0 && !cached->pending && cached->waiting_count == 0 &&
        cached->expires_ns <= skein_now_ns())
        drop(dns, cached);
    return rc;
}

/* One question, without following aliases. */
static int
resolve_one(struct skein_dns *dns, const char *name, enum dns_type type,
            struct dns_answer *out_answer, uint64_t deadline_ns)
{
    bool waited = false;
    for (;;) {
        struct dns_cached *cached = find(dns, name, type);
        uint64_t now_ns = skein_now_ns();
        if (cached && cached->pending) {
            int rc = wait_for(dns, cached, deadline_ns);
            if (rc < 0)
                return rc;
            waited = true;
            continue;
        }
        /* What came while this fiber waited is its answer, also when it must not be kept. */
        if (cached && (cached->expires_ns > now_ns || (waited && cached->records))) {
            recall(cached, out_answer, now_ns);
            list_remove(&cached->link);
            list_push_back(&dns->cached, &cached->link);
            dns->stats.hit_count++;
            if (cached->expires_ns <= now_ns && cached->waiting_count == 0)
                drop(dns, cached);
            return 0;
        }
        if (dns->pending_count >= dns->options.query_count_max)
            return -SKEIN_EBUSY;
        if (!cached)
            cached = begin(dns, name, type);
        cached->pending = true;
        return ask_for_all(dns, cached, out_answer, deadline_ns);
    }
}

int
dns_resolve(struct skein_dns *dns, const char *name, enum dns_type type,
            struct dns_answer *out_answer, uint64_t deadline_ns)
{
    char at[SKEIN_DNS_NAME_BYTES];
    uint32_t ttl_s = UINT32_MAX;
    memcpy(at, name, strlen(name) + 1);
    for (int i = 0; i <= ALIASES_MAX; i++) {
        int rc = resolve_one(dns, at, type, out_answer, deadline_ns);
        if (rc < 0)
            return rc;
        ttl_s = out_answer->ttl_s < ttl_s ? out_answer->ttl_s : ttl_s;
        if (out_answer->alias[0] == '\0') {
            out_answer->ttl_s = ttl_s;
            return out_answer->count > 0 ? 0 : -SKEIN_ENOTFOUND;
        }
        memcpy(at, out_answer->alias, sizeof(at));
    }
    return -SKEIN_EPROTO;
}
