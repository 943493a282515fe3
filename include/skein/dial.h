/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_DIAL_H
#define SKEIN_DIAL_H

#include <stdint.h>

#include "skein/dns.h"
#include "skein/error.h"
#include "skein/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A connection to a name, by whichever of its addresses answers first ("happy eyeballs").
 *
 *   AAAA --+                                    no answer for stagger_ns, or a failure:
 *          +--> IPv6, IPv4, IPv6 ... --> attempt --> attempt --> attempt
 *   A    --+    (IPv4 waits resolution_ns for the AAAA)   first one connected wins, the rest end
 *
 * **Source**: RFC 8305.
 */

struct skein_dial_options {
    uint64_t stagger_ns;          /* between attempts, 10 ms to 2 s (RFC 8305 section 5) */
    uint64_t resolution_ns;       /* what IPv6 is waited for when IPv4 is known (section 3) */
    struct skein_net_options net; /* of the sockets */
};

#define SKEIN_DIAL_OPTIONS_INIT                            \
    {                                                      \
        250000000ull, 50000000ull, SKEIN_NET_OPTIONS_INIT, \
    }

/* How a call to skein_dial_with went. */
struct skein_dial_info {
    struct skein_addr addr; /* connected to; zeroed: to none */
    uint32_t attempt_count;
    uint64_t resolved_ns;  /* from the call to the first address */
    uint64_t connected_ns; /* from the call to its end */
};

/*
 * skein_dial - a connected TCP socket to @port of @name (or of an IP address as text).
 * **Runs on** a fiber, suspends. **Returns** a handle; -SKEIN_ETIMEDOUT: @deadline_ns passed;
 * -SKEIN_ECANCELED; when no address could be had, as skein_dns_lookup; when none could be connected
 * to, the first attempt's error (-ECONNREFUSED, -EHOSTUNREACH ...).
 */
int skein_dial(struct skein_dns *dns, const char *name, uint16_t port,
               uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_dial_with - the same with options. @options: NULL: the usual ones. @out_info: may be NULL;
 * also filled on failure. **Returns** as skein_dial; -SKEIN_EINVALID: an option is out of its
 * range. */
int skein_dial_with(struct skein_dns *dns, const char *name, uint16_t port,
                    const struct skein_dial_options *options, struct skein_dial_info *out_info,
                    uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* skein_dial_any - the same race over @count addresses with ports, 1 to SKEIN_DNS_ADDRESSES_MAX, in
 * the order given: the first that connects. **Returns** as skein_dial_with. */
int skein_dial_any(const struct skein_addr *addrs, uint32_t count,
                   const struct skein_dial_options *options, struct skein_dial_info *out_info,
                   uint64_t deadline_ns) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
