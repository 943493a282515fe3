/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dns_config.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/dns_wire.h"

#define WORD_BYTES 256
#define HOSTS_MAX 100000

/* A line at a time, and the words of it. */
struct text {
    const char *at, *end;
    const char *line_end;
};

static bool
next_line(struct text *text)
{
    if (text->line_end)
        text->at = text->line_end < text->end ? text->line_end + 1 : text->end;
    if (text->at >= text->end)
        return false;
    const char *newline = memchr(text->at, '\n', (size_t)(text->end - text->at));
    text->line_end = newline ? newline : text->end;
    return true;
}

/* False at the end of the line or a comment; a word that is too long comes out as "". */
static bool
next_word(struct text *text, char out[WORD_BYTES])
{
    while (text->at < text->line_end && strchr(" \t\r", *text->at))
        text->at++;
    const char *begin = text->at;
    while (text->at < text->line_end && !strchr(" \t\r#;", *text->at))
        text->at++;
    size_t count = (size_t)(text->at - begin);
    if (count == 0)
        return false;
    out[0] = '\0';
    if (count >= WORD_BYTES || memchr(begin, '\0', count))
        return true;
    memcpy(out, begin, count);
    out[count] = '\0';
    return true;
}

bool
dns_parse_ip(const char *text, struct skein_addr *out_addr)
{
    char full[80], why[128];
    if (strlen(text) > 64 || strchr(text, '[') || strcmp(text, "localhost") == 0)
        return false;
    snprintf(full, sizeof(full), strchr(text, ':') ? "[%s]:0" : "%s:0", text);
    return net_addr_parse(full, out_addr, why) == 0;
}

/* "ndots:2": whether @word begins with @key; its number, at most @max. */
static bool
number_after(const char *word, const char *key, uint32_t max, uint32_t *out)
{
    size_t count = strlen(key);
    uint32_t value = 0;
    if (strncmp(word, key, count) != 0 || word[count] == '\0')
        return false;
    for (const char *at = word + count; *at; at++) {
        if (*at < '0' || *at > '9')
            return false;
        value = value * 10 + (uint32_t)(*at - '0');
        if (value > max)
            value = max;
    }
    *out = value;
    return true;
}

static void
read_options(struct dns_config *config, struct text *text)
{
    char word[WORD_BYTES];
    uint32_t value;
    while (next_word(text, word)) {
        if (number_after(word, "ndots:", 15, &value))
            config->dot_count_min = value;
        else if (number_after(word, "timeout:", 30, &value) && value > 0)
            config->timeout_ns = value * UINT64_C(1000000000);
        else if (number_after(word, "attempts:", 5, &value) && value > 0)
            config->attempt_count = value;
    }
}

static void
read_search(struct dns_config *config, struct text *text)
{
    char word[WORD_BYTES];
    config->search_count = 0; /* the last line counts */
    while (config->search_count < DNS_SEARCH_MAX && next_word(text, word))
        if (dns_name_check(word, config->search[config->search_count]) == 0)
            config->search_count++;
}

void
dns_config_resolv(struct dns_config *config, const char *data, size_t count, uint16_t port)
{
    struct text text = {.at = data, .end = data + count};
    char word[WORD_BYTES];
    while (next_line(&text)) {
        struct skein_addr addr;
        if (!next_word(&text, word))
            continue;
        if (strcmp(word, "options") == 0) {
            read_options(config, &text);
        } else if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0) {
            read_search(config, &text);
        } else if (strcmp(word, "nameserver") == 0 && next_word(&text, word) &&
                   config->server_count < DNS_SERVERS_MAX && dns_parse_ip(word, &addr)) {
            addr.port = port;
            config->servers[config->server_count++] = addr;
        }
    }
}

void
dns_config_add_host(struct dns_config *config, const char *name, const struct skein_addr *addr)
{
    char checked[SKEIN_DNS_NAME_BYTES];
    if (config->host_count == HOSTS_MAX || dns_name_check(name, checked) < 0)
        return;
    mem_grow(&config->hosts, &config->host_capacity, config->host_count, sizeof(config->hosts[0]));
    struct dns_host *host = &config->hosts[config->host_count++];
    host->name = mem_strdup(checked);
    host->addr = *addr;
    host->addr.port = 0;
}

void
dns_config_hosts(struct dns_config *config, const char *data, size_t count)
{
    struct text text = {.at = data, .end = data + count};
    char word[WORD_BYTES];
    while (next_line(&text)) {
        struct skein_addr addr;
        if (!next_word(&text, word) || !dns_parse_ip(word, &addr))
            continue;
        while (next_word(&text, word))
            dns_config_add_host(config, word, &addr);
    }
}

void
dns_config_deinit(struct dns_config *config)
{
    for (size_t i = 0; i < config->host_count; i++)
        mem_free(config->hosts[i].name);
    mem_free(config->hosts);
    config->hosts = NULL;
    config->host_count = config->host_capacity = 0;
}
