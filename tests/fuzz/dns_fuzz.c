/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no bytes from a name server, in resolv.conf, in a hosts file or in an address can make
 * their readers crash or read too far; what they accept is in its bounds. The first byte says which
 * of them reads the rest; a message may be given the header and question of a true answer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "net/dns_config.h"
#include "net/dns_wire.h"
#include "skein/net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "www.example.test"

static void
message(const uint8_t *data, size_t count, enum dns_type type, bool led)
{
    uint8_t query[DNS_QUERY_BYTES];
    struct dns_answer *answer = malloc(sizeof(*answer));
    int head = dns_encode(NAME, type, 0x1234, query);
    skein_assert(head > 11);
    size_t question = (size_t)head - 11; /* without the EDNS record at the end */
    uint8_t *bytes = malloc(question + count + 1);
    size_t total = count;
    if (led && count >= 6) {
        memcpy(bytes, query, question);
        bytes[2] = 0x81;
        bytes[3] = data[0] & 3;
        memcpy(bytes + 6, data + 1, 4); /* counts of answers and of the zone's records */
        memcpy(bytes + question, data + 5, count - 5);
        total = question + count - 5;
    } else if (count > 0) {
        memcpy(bytes, data, count);
    }
    if (dns_decode(bytes, total, NAME, type, 0x1234, answer) == 0) {
        skein_assert(answer->count <= DNS_RECORDS_MAX);
        skein_assert(memchr(answer->alias, '\0', sizeof(answer->alias)));
        for (uint32_t i = 0; i < answer->count; i++)
            skein_assert(memchr(answer->records[i].name, '\0', SKEIN_DNS_NAME_BYTES));
    }
    free(bytes);
    free(answer);
}

static void
config(const char *text, size_t count)
{
    struct dns_config config = {.dot_count_min = 1};
    dns_config_resolv(&config, text, count, 53);
    dns_config_hosts(&config, text, count);
    skein_assert(config.server_count <= DNS_SERVERS_MAX);
    skein_assert(config.search_count <= DNS_SEARCH_MAX);
    dns_config_deinit(&config);
}

/* What is accepted comes back as text that is accepted as the same. */
static void
address(const char *data, size_t count)
{
    char text[SKEIN_ENDPOINT_TEXT_BYTES], again[SKEIN_ENDPOINT_TEXT_BYTES], why[128];
    struct skein_endpoint first, second;
    char *copy = malloc(count + 1);
    if (count)
        memcpy(copy, data, count);
    copy[count] = '\0';
    if (skein_net_parse(copy, &first, why) == 0) {
        skein_net_format(&first, text);
        skein_assert(skein_net_parse(text, &second, why) == 0);
        skein_assert(strcmp(skein_net_format(&second, again), text) == 0);
    }
    free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV, DNS_PTR};
    if (size < 1)
        return 0;
    uint8_t control = data[0];
    if (control % 8 == 6)
        config((const char *)data + 1, size - 1);
    else if (control % 8 == 7)
        address((const char *)data + 1, size - 1);
    else
        message(data + 1, size - 1, types[control % 8 % 4], control >= 64);
    return 0;
}
