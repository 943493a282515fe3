/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stddef.h>

#include "base/assert.h"
#include "core/backend.h"

/*
 * IP addresses as text: "127.0.0.1:7001", "[::1]:7001", "[fe80::1%2]:7001", "localhost:7001". Names
 * other than localhost are not resolved here. With Unix sockets too: skein_net_parse.
 */

/* net_addr_parse - @text: address and port. **Returns** 0; -SKEIN_EINVALID, with the reason in
 * @out_why (128 bytes). */
int net_addr_parse(const char *text, struct skein_addr *out_addr,
                   char out_why[128]) SKEIN_MUST_CHECK;
#define NET_ADDR_TEXT_BYTES 64
/* net_addr_format - "127.0.0.1:7001"; IPv6 in brackets. Returns @out. */
const char *net_addr_format(const struct skein_addr *addr, char out[NET_ADDR_TEXT_BYTES]);
bool net_addr_is_loopback(const struct skein_addr *addr);
/* net_addr_is_unspecified - 0.0.0.0 or ::, every address of the machine. */
bool net_addr_is_unspecified(const struct skein_addr *addr);

#endif
