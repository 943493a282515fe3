/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/dns_internal.h"
#include "net/metrics.h"
#include "skein/file.h"

#define FILE_BYTES_MAX ((uint64_t)1 << 20)
#define SECOND_NS UINT64_C(1000000000)

/* ---- opening ---- */

static int
read_file(const char *path, char **out_text, size_t *out_count)
{
    struct skein_stat stat;
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return rc;
    if (stat.size_bytes > FILE_BYTES_MAX)
        return -SKEIN_ETOOBIG;
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    if (handle < 0)
        return handle;
    size_t room = (size_t)stat.size_bytes;
    char *text = mem_try_alloc(room + 1);
    ssize_t got = text ? skein_file_pread(handle, text, room + 1, 0) : -SKEIN_ENOMEM;
    skein_close(handle);
    if (got < 0) {
        mem_free(text);
        return (int)got;
    }
    *out_text = text;
    *out_count = (size_t)got;
    return 0;
}

static int
read_files(struct skein_dns *dns)
{
    char *text = NULL;
    size_t count = 0;
    int rc = dns->options.hosts_path ? read_file(dns->options.hosts_path, &text, &count) : 0;
    if (rc == 0 && text)
        dns_config_hosts(&dns->config, text, count);
    mem_free(text);
    text = NULL;
    if (rc < 0 && rc != -ENOENT)
        return rc;
    rc =
        dns->options.resolv_conf_path ? read_file(dns->options.resolv_conf_path, &text, &count) : 0;
    if (rc == 0 && text)
        dns_config_resolv(&dns->config, text, count, dns->options.port);
    mem_free(text);
    return rc == -ENOENT ? 0 : rc;
}

/* What the options say beats what the files say. */
static void
apply_options(struct skein_dns *dns)
{
    const struct skein_dns_options *options = &dns->options;
    struct dns_config *config = &dns->config;
    if (options->server_count > 0) {
        config->server_count = options->server_count;
        memcpy(config->servers, options->servers,
               options->server_count * sizeof(options->servers[0]));
    }
    if (options->timeout_ns > 0)
        config->timeout_ns = options->timeout_ns;
    if (options->attempt_count > 0)
        config->attempt_count = options->attempt_count;
}

int
skein_dns_open(struct skein_dns **out_dns, const struct skein_dns_options *options)
{
    if (options->server_count > DNS_SERVERS_MAX || options->cache_count_max == 0 ||
        options->query_count_max == 0 || options->attempt_count > 100)
        return -SKEIN_EINVALID;
    struct skein_dns *dns = mem_zalloc(sizeof(*dns));
    list_init(&dns->cached);
    dns->options = *options;
    dns->config.dot_count_min = 1;
    dns->config.timeout_ns = 5 * SECOND_NS;
    dns->config.attempt_count = 2;
    for (uint32_t i = 0; i < options->entry_count; i++)
        dns_config_add_host(&dns->config, options->entries[i].name, &options->entries[i].addr);
    int rc = read_files(dns);
    if (rc < 0) {
        skein_dns_close(dns);
        return rc;
    }
    apply_options(dns);
    dns->options.servers = NULL;
    dns->options.entries = NULL;
    dns_metrics_open(dns);
    *out_dns = dns;
    return 0;
}

void
skein_dns_close(struct skein_dns *dns)
{
    if (!dns)
        return;
    skein_assert(dns->pending_count == 0);
    dns_metrics_close(dns);
    dns_cache_deinit(dns);
    dns_config_deinit(&dns->config);
    mem_free(dns);
}

void
skein_dns_stats_read(const struct skein_dns *dns, struct skein_dns_stats *out_stats)
{
    *out_stats = dns->stats;
    out_stats->cached_count = dns->cached_count;
}

/* ---- addresses ---- */

static bool
is_v4(const struct skein_addr *addr)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(addr->ip, v4_mapped, sizeof(v4_mapped)) == 0;
}

static bool
wanted(enum skein_dns_family family, const struct skein_addr *addr)
{
    return family == SKEIN_DNS_ANY || (family == SKEIN_DNS_V4) == is_v4(addr);
}

static void
append(struct skein_dns_addresses *out, const struct skein_addr *addr)
{
    if (out->count < SKEIN_DNS_ADDRESSES_MAX)
        out->list[out->count++] = *addr;
}

/* "localhost" and what is below it never leave the host: RFC 6761 section 6.3. */
static bool
is_localhost(const char *name)
{
    static const char suffix[] = ".localhost";
    size_t count = strlen(name), suffix_count = sizeof(suffix) - 1;
    return strcmp(name, suffix + 1) == 0 ||
           (count > suffix_count && strcmp(name + count - suffix_count, suffix) == 0);
}

static void
append_localhost(struct skein_dns_addresses *out, enum skein_dns_family family)
{
    static const struct skein_addr six = {.ip = {[15] = 1}};
    static const struct skein_addr four = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    if (family != SKEIN_DNS_V4)
        append(out, &six);
    if (family != SKEIN_DNS_V6)
        append(out, &four);
}

/* What is known without asking. @known: the name is, maybe in the other family. */
static void
look_at_home(const struct skein_dns *dns, const char *name, enum skein_dns_family family,
             struct skein_dns_addresses *out, bool *known)
{
    for (size_t i = 0; i < dns->config.host_count; i++) {
        const struct dns_host *host = &dns->config.hosts[i];
        if (strcmp(host->name, name) != 0)
            continue;
        *known = true;
        if (wanted(family, &host->addr))
            append(out, &host->addr);
    }
    if (*known || !is_localhost(name))
        return;
    *known = true;
    append_localhost(out, family);
}

static int
ask_family(struct skein_dns *dns, const char *name, enum dns_type type,
           struct skein_dns_addresses *out, uint64_t deadline_ns)
{
    struct dns_answer *answer = mem_alloc(sizeof(*answer));
    int rc = dns_resolve(dns, name, type, answer, deadline_ns);
    for (uint32_t i = 0; rc == 0 && i < answer->count; i++) {
        struct skein_addr addr = {.port = 0};
        memcpy(addr.ip, answer->records[i].ip, sizeof(addr.ip));
        append(out, &addr);
    }
    if (rc == 0 && answer->ttl_s * SECOND_NS < out->ttl_ns)
        out->ttl_ns = answer->ttl_s * SECOND_NS;
    mem_free(answer);
    return rc;
}

struct other_family {
    struct skein_dns *dns;
    const char *name;
    struct skein_dns_addresses addresses;
    uint64_t deadline_ns;
    int result;
};

static void
ask_v4(void *arg)
{
    struct other_family *other = arg;
    other->result =
        ask_family(other->dns, other->name, DNS_A, &other->addresses, other->deadline_ns);
}

/* Both at once; one that answers suffices. */
static int
ask_both(struct skein_dns *dns, const char *name, struct skein_dns_addresses *out,
         uint64_t deadline_ns)
{
    struct other_family four = {.dns = dns, .name = name, .deadline_ns = deadline_ns};
    struct skein_scope scope;
    four.addresses.ttl_ns = UINT64_MAX;
    skein_scope_init(&scope);
    int rc = skein_spawn(&scope, "dns-a", ask_v4, &four, SKEIN_STACK_SMALL);
    if (rc < 0)
        return rc;
    rc = ask_family(dns, name, DNS_AAAA, out, deadline_ns);
    if (rc == -SKEIN_ECANCELED)
        skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    for (uint32_t i = 0; four.result == 0 && i < four.addresses.count; i++)
        append(out, &four.addresses.list[i]);
    if (four.result == 0 && four.addresses.ttl_ns < out->ttl_ns)
        out->ttl_ns = four.addresses.ttl_ns;
    if (rc == -SKEIN_ECANCELED || rc == 0 || four.result == 0)
        return rc == -SKEIN_ECANCELED ? rc : 0;
    return rc == -SKEIN_ENOTFOUND ? four.result : rc;
}

static int
ask_name(struct skein_dns *dns, const char *name, enum skein_dns_family family,
         struct skein_dns_addresses *out, uint64_t deadline_ns)
{
    bool known = false;
    look_at_home(dns, name, family, out, &known);
    if (known)
        return out->count > 0 ? 0 : -SKEIN_ENOTFOUND;
    if (family == SKEIN_DNS_ANY)
        return ask_both(dns, name, out, deadline_ns);
    return ask_family(dns, name, family == SKEIN_DNS_V4 ? DNS_A : DNS_AAAA, out, deadline_ns);
}

/* The @index-th name to try: with few dots the search list comes first. False: no more. */
static bool
candidate(const struct skein_dns *dns, const char *name, bool absolute, uint32_t index,
          char out[SKEIN_DNS_NAME_BYTES])
{
    const struct dns_config *config = &dns->config;
    uint32_t dot_count = 0;
    for (const char *at = name; *at; at++)
        dot_count += *at == '.';
    bool plain_first = absolute || dot_count >= config->dot_count_min;
    uint32_t search_count = absolute ? 0 : config->search_count;
    if (index == (plain_first ? 0 : search_count)) {
        memcpy(out, name, strlen(name) + 1);
        return true;
    }
    uint32_t which = plain_first ? index - 1 : index;
    if (which >= search_count)
        return false;
    int count = snprintf(out, SKEIN_DNS_NAME_BYTES, "%s.%s", name, config->search[which]);
    if (count > 253)
        memcpy(out, name, strlen(name) + 1); /* too long to exist: the plain name once more */
    return true;
}

int
skein_dns_lookup(struct skein_dns *dns, const char *name, enum skein_dns_family family,
                 struct skein_dns_addresses *out_addresses, uint64_t deadline_ns)
{
    char checked[SKEIN_DNS_NAME_BYTES], full[SKEIN_DNS_NAME_BYTES];
    struct skein_dns_addresses found = {.ttl_ns = UINT64_MAX};
    struct skein_addr literal;
    if (dns_parse_ip(name, &literal)) {
        if (!wanted(family, &literal))
            return -SKEIN_ENOTFOUND;
        append(&found, &literal);
        *out_addresses = found;
        return 0;
    }
    int rc = dns_name_check(name, checked);
    if (rc < 0)
        return rc;
    bool absolute = name[strlen(name) - 1] == '.', known = false;
    look_at_home(dns, checked, family, &found, &known);
    rc = found.count > 0 ? 0 : -SKEIN_ENOTFOUND;
    for (uint32_t i = 0;
         !known && rc == -SKEIN_ENOTFOUND && candidate(dns, checked, absolute, i, full); i++)
        rc = ask_name(dns, full, family, &found, deadline_ns);
    if (rc == 0)
        *out_addresses = found;
    return rc;
}

/* ---- services ---- */

/* Lower priorities first; within one, drawn in proportion to the weights: RFC 2782. */
static void
order_services(struct skein_dns_services *services)
{
    for (uint32_t at = 0; at < services->count; at++) {
        uint32_t best = at;
        for (uint32_t i = at + 1; i < services->count; i++)
            if (services->list[i].priority < services->list[best].priority)
                best = i;
        uint16_t priority = services->list[best].priority;
        uint64_t total = 0;
        for (uint32_t i = at; i < services->count; i++)
            total += services->list[i].priority == priority ? services->list[i].weight : 0;
        uint64_t drawn = total ? skein_random() % (total + 1) : 0;
        for (uint32_t i = at; i < services->count; i++) {
            const struct skein_dns_service *service = &services->list[i];
            if (service->priority != priority)
                continue;
            best = i;
            if (service->weight >= drawn)
                break;
            drawn -= service->weight;
        }
        struct skein_dns_service chosen = services->list[best];
        memmove(&services->list[at + 1], &services->list[at],
                (best - at) * sizeof(services->list[0]));
        services->list[at] = chosen;
    }
}

/* Where a service of @priority goes among @count; of too many those are kept that come first. NULL:
 * nowhere. */
static struct skein_dns_service *
place_for(struct skein_dns_services *services, uint32_t *count, uint16_t priority)
{
    if (*count < SKEIN_DNS_SERVICES_MAX)
        return &services->list[(*count)++];
    struct skein_dns_service *last = &services->list[0];
    for (uint32_t i = 1; i < *count; i++)
        if (services->list[i].priority > last->priority)
            last = &services->list[i];
    return priority < last->priority ? last : NULL;
}

int
skein_dns_service(struct skein_dns *dns, const char *name, struct skein_dns_services *out_services,
                  uint64_t deadline_ns)
{
    char checked[SKEIN_DNS_NAME_BYTES];
    int rc = dns_name_check(name, checked);
    if (rc < 0)
        return rc;
    struct dns_answer *answer = mem_alloc(sizeof(*answer));
    rc = dns_resolve(dns, checked, DNS_SRV, answer, deadline_ns);
    uint32_t count = 0;
    for (uint32_t i = 0; rc == 0 && i < answer->count; i++) {
        const struct dns_record *record = &answer->records[i];
        if (record->name[0] == '\0')
            continue;
        struct skein_dns_service *service = place_for(out_services, &count, record->priority);
        if (!service)
            continue;
        *service = (struct skein_dns_service){
            .port = record->port, .priority = record->priority, .weight = record->weight};
        memcpy(service->name, record->name, sizeof(service->name));
    }
    if (rc == 0 && count == 0)
        rc = -SKEIN_ENOTFOUND;
    if (rc == 0) {
        out_services->count = count;
        out_services->ttl_ns = answer->ttl_s * SECOND_NS;
        order_services(out_services);
    }
    mem_free(answer);
    return rc;
}

/* ---- names of addresses ---- */

static void
reverse_name(const struct skein_addr *addr, char out[SKEIN_DNS_NAME_BYTES])
{
    int at = 0;
    if (is_v4(addr)) {
        snprintf(out, SKEIN_DNS_NAME_BYTES, "%u.%u.%u.%u.in-addr.arpa", addr->ip[15], addr->ip[14],
                 addr->ip[13], addr->ip[12]);
        return;
    }
    for (int i = 15; i >= 0; i--)
        at += snprintf(out + at, SKEIN_DNS_NAME_BYTES - (size_t)at, "%x.%x.", addr->ip[i] & 15,
                       addr->ip[i] >> 4);
    snprintf(out + at, SKEIN_DNS_NAME_BYTES - (size_t)at, "ip6.arpa");
}

int
skein_dns_reverse(struct skein_dns *dns, const struct skein_addr *addr,
                  char out_name[SKEIN_DNS_NAME_BYTES], uint64_t deadline_ns)
{
    char name[SKEIN_DNS_NAME_BYTES];
    for (size_t i = 0; i < dns->config.host_count; i++) {
        const struct dns_host *host = &dns->config.hosts[i];
        if (memcmp(host->addr.ip, addr->ip, sizeof(addr->ip)) != 0)
            continue;
        memcpy(out_name, host->name, strlen(host->name) + 1);
        return 0;
    }
    reverse_name(addr, name);
    struct dns_answer *answer = mem_alloc(sizeof(*answer));
    int rc = dns_resolve(dns, name, DNS_PTR, answer, deadline_ns);
    if (rc == 0 && answer->records[0].name[0] == '\0')
        rc = -SKEIN_ENOTFOUND;
    if (rc == 0)
        memcpy(out_name, answer->records[0].name, SKEIN_DNS_NAME_BYTES);
    mem_free(answer);
    return rc;
}
