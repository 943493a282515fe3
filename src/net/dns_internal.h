/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DNS_INTERNAL_H
#define NET_DNS_INTERNAL_H

#include "base/list.h"
#include "net/dns_config.h"
#include "net/dns_wire.h"
#include "skein/fiber.h"

/*
 * dns.c: names and answers as users see them. dns_cache.c: one question, answered once for all who
 * ask. dns_query.c: one question put to the servers.
 */

struct skein_dns {
    struct skein_dns_options options;
    struct dns_config config;
    struct skein_list cached; /* struct dns_cached, the one used last at the end */
    uint32_t cached_count, pending_count;
    struct skein_dns_stats stats;
};

/* dns_ask - put the question to the servers. **Returns** 0 (also with a negative answer), else as
 * skein/dns.h says of all. */
int dns_ask(struct skein_dns *dns, const char *name, enum dns_type type,
            struct dns_answer *out_answer, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* dns_resolve - the same through the cache, with aliases followed; a negative answer is
 * -SKEIN_ENOTFOUND. @out_answer->ttl_s: what is left of it. */
int dns_resolve(struct skein_dns *dns, const char *name, enum dns_type type,
                struct dns_answer *out_answer, uint64_t deadline_ns) SKEIN_MUST_CHECK;
void dns_cache_deinit(struct skein_dns *dns);

#endif
