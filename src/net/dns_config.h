/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DNS_CONFIG_H
#define NET_DNS_CONFIG_H

#include "skein/dns.h"

/*
 * What resolv.conf(5) and hosts(5) say. Lines and words that are not understood are passed over, as
 * every resolver does.
 */

#define DNS_SERVERS_MAX 8
#define DNS_SEARCH_MAX 6

struct dns_host {
    char *name;
    struct skein_addr addr;
};

struct dns_config {
    struct skein_addr servers[DNS_SERVERS_MAX];
    uint32_t server_count;
    char search[DNS_SEARCH_MAX][SKEIN_DNS_NAME_BYTES];
    uint32_t search_count;
    uint32_t dot_count_min; /* ndots: fewer dots than these, and the search list comes first */
    uint64_t timeout_ns;
    uint32_t attempt_count;
    struct dns_host *hosts;
    size_t host_count, host_capacity;
};

/* dns_config_resolv - of the @count bytes of a resolv.conf. @port: the servers'. */
void dns_config_resolv(struct dns_config *config, const char *text, size_t count, uint16_t port);
/* dns_config_hosts - of the @count bytes of a hosts file. */
void dns_config_hosts(struct dns_config *config, const char *text, size_t count);
/* dns_config_add_host - @name in any form; one that is no name is left out. */
void dns_config_add_host(struct dns_config *config, const char *name,
                         const struct skein_addr *addr);
void dns_config_deinit(struct dns_config *config);
/* dns_parse_ip - an IP address without a port; %scope as in skein_net_parse. */
bool dns_parse_ip(const char *text, struct skein_addr *out_addr);

#endif
