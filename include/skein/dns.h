/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_DNS_H
#define SKEIN_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"
#include "skein/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Names to addresses.
 *
 *   lookup --> IP literal, localhost --> table --> hosts file --> cache --> name servers
 *                                                                  ^  |     UDP; cut short: TCP
 *                                                                  +--+     next server, next round
 *
 * A resolver belongs to one shard. It asks through the shard's own sockets and clock, draws ids and
 * order from its entropy, and so runs in the simulator as it does outside: there a table of nodes'
 * names takes the place of files and servers, or a simulated node is the name server.
 *
 * Answers are believed when they come from the server that was asked, carry the query's id and its
 * question; anything else is dropped and counted, and the wait goes on. Of an answer only the
 * records count that the question leads to, through at most 8 aliases. Each answer is kept for its
 * own time to live, that of a negative one being the zone's (RFC 2308); several fibers that ask the
 * same at one time make one query.
 *
 * Names: 1 to 253 bytes of letters, digits, hyphens, underscores and dots, else -SKEIN_EINVALID. A
 * name with a final dot is taken as it is; else resolv.conf's search list applies.
 *
 * Limits: cache_count_max answers (the one unused for longest goes first), query_count_max queries
 * under way, SKEIN_DNS_ADDRESSES_MAX addresses and SKEIN_DNS_SERVICES_MAX services of one answer
 * (what is beyond is dropped).
 *
 * **Source**: RFC 1035, 2181, 2308, 2782, 5452, 6761, 6891. The messages are written and their
 * names read by c-ares; its channels, which have a clock and sockets of their own, are not used.
 */

struct skein_dns;

#define SKEIN_DNS_NAME_BYTES 256
#define SKEIN_DNS_ADDRESSES_MAX 32
#define SKEIN_DNS_SERVICES_MAX 16

/* A name that is known beforehand. */
struct skein_dns_entry {
    const char *name;
    struct skein_addr addr; /* the port does not count */
};

struct skein_dns_options {
    const char *resolv_conf_path; /* NULL: none is read */
    const char *hosts_path;       /* NULL: none is read */
    /* In place of resolv.conf's; at most 8. Borrowed for the call, as are the entries. */
    const struct skein_addr *servers;
    uint32_t server_count;
    const struct skein_dns_entry *entries;
    uint32_t entry_count;
    uint16_t port;          /* of resolv.conf's servers */
    uint64_t timeout_ns;    /* of one server's answer; doubled each round; 0: resolv.conf's, 5 s */
    uint32_t attempt_count; /* rounds; 0: resolv.conf's, 2 */
    uint32_t cache_count_max; /* >= 1 */
    uint32_t query_count_max; /* >= 1 */
    uint64_t ttl_ns_max;      /* no answer is kept for longer */
    uint64_t negative_ns_max; /* nor a negative one for longer than this */
};

#define SKEIN_DNS_OPTIONS_INIT                                                   \
    {                                                                            \
        "/etc/resolv.conf", "/etc/hosts", NULL, 0, NULL, 0, 53, 0, 0, 1024, 256, \
            86400000000000ull, 300000000000ull,                                  \
    }

/*
 * skein_dns_open - read the files (those that are not there count as empty).
 * **Ownership**: the caller's, until skein_dns_close. **Runs on** a fiber, suspends.
 * **Returns** 0; -SKEIN_EINVALID: an option is out of its range; -SKEIN_ETOOBIG: a file of more
 * than 1 MiB; else as skein_file_pread.
 */
int skein_dns_open(struct skein_dns **out_dns,
                   const struct skein_dns_options *options) SKEIN_MUST_CHECK;
/* skein_dns_close - no call is under way. @dns may be NULL. */
void skein_dns_close(struct skein_dns *dns);

/* Which addresses are wanted. */
enum skein_dns_family { SKEIN_DNS_ANY, SKEIN_DNS_V4, SKEIN_DNS_V6 };

struct skein_dns_addresses {
    uint32_t count;
    struct skein_addr list[SKEIN_DNS_ADDRESSES_MAX]; /* port 0; IPv6 first */
    uint64_t ttl_ns; /* for how long from now; UINT64_MAX: not from a server */
};

/*
 * All of these: **Runs on** a fiber, suspends. **Returns** 0;
 *   -SKEIN_ENOTFOUND  the name, or a record of that kind, does not exist
 *   -SKEIN_ETIMEDOUT  @deadline_ns passed, or no server answered in all rounds
 *   -SKEIN_EAGAIN     every server said that it cannot (SERVFAIL, REFUSED ...), or is not there
 *   -SKEIN_EPROTO     aliases without end, or what servers said over TCP makes no sense
 *   -SKEIN_EBUSY      query_count_max queries are under way
 *   -SKEIN_EINVALID   @name is none
 *   -SKEIN_ECANCELED
 */
int skein_dns_lookup(struct skein_dns *dns, const char *name, enum skein_dns_family family,
                     struct skein_dns_addresses *out_addresses,
                     uint64_t deadline_ns) SKEIN_MUST_CHECK;

struct skein_dns_service {
    char name[SKEIN_DNS_NAME_BYTES]; /* to be looked up */
    uint16_t port, priority, weight;
};

struct skein_dns_services {
    uint32_t count;
    struct skein_dns_service list[SKEIN_DNS_SERVICES_MAX]; /* in the order to be tried: RFC 2782 */
    uint64_t ttl_ns;
};

/* skein_dns_service - SRV: @name as "_http._tcp.example.org". A service that says "not here" (the
 * target ".") is -SKEIN_ENOTFOUND. Of too many those are given that are tried first. */
int skein_dns_service(struct skein_dns *dns, const char *name,
                      struct skein_dns_services *out_services,
                      uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_dns_reverse - PTR: the name of @addr. */
int skein_dns_reverse(struct skein_dns *dns, const struct skein_addr *addr,
                      char out_name[SKEIN_DNS_NAME_BYTES], uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* Counted since open. */
struct skein_dns_stats {
    uint64_t query_count;   /* questions put to servers, the rounds not counted */
    uint64_t message_count; /* sent */
    uint64_t hit_count;     /* answered by the cache, or by a query that was under way */
    uint64_t lie_count;     /* answers dropped: id, question, or shape */
    uint64_t tcp_count;     /* asked again over TCP */
    uint64_t timeout_count; /* a server did not answer in time */
    uint64_t evicted_count;
    uint32_t cached_count; /* now */
};
void skein_dns_stats_read(const struct skein_dns *dns, struct skein_dns_stats *out_stats);

#ifdef __cplusplus
}
#endif

#endif
