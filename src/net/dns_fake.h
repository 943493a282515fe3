/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DNS_FAKE_H
#define NET_DNS_FAKE_H

#include <stdint.h>

#include "core/check.h"
#include "skein/fiber.h"
#include "skein/net.h"

/*
 * A name server for tests, on loopback, whose first label says how it behaves:
 *
 *   silent        no answer            garbage        noise, then the answer
 *   wrongid       another id first     wrongquestion  another name's answer first
 *   refused       REFUSED              servfail       SERVFAIL
 *   missing       NXDOMAIN, SOA 2 s    nodata         no records, SOA 3 s
 *   large         UDP: cut short; TCP: 40 addresses
 *   oversized     UDP: 5000 bytes;     tctc           cut short over TCP as well
 *   chain         alias to target, in one message     far: alias to target alone
 *   self          alias to itself      circle         alias to circle2, and that to circle
 *   poison        the answer, and records for victim.test
 *   short, zero   time to live 1 s, 0 s (all others 60 s)
 *   hangup        UDP: cut short; TCP: closes after 5 bytes
 *   _svc          three services       _none          the service is not here
 *   _large        UDP: cut short; TCP: 30 services, the ports and priorities 30 to 1
 *   77            (PTR) alias to 77.sub, which has the name, in one message (RFC 2317)
 *   88            (PTR) NXDOMAIN       99             (PTR) the root
 *   no4, no6      no A, no AAAA               late6: no answer to AAAA
 */
struct dns_fake {
    struct check *check;
    int udp, tcp;
    struct skein_addr addr;
    struct skein_scope scope;
    unsigned query_count; /* by UDP */
    unsigned tcp_count;
    char last_name[256];
};

/* dns_fake_open - serve until dns_fake_close. Returns false: a check failed. */
bool dns_fake_open(struct dns_fake *fake, struct check *check);
void dns_fake_close(struct dns_fake *fake);

/* dns_cases - what a resolver must do, against such a server. */
int dns_cases(void *arg);
/* dns_slow_cases - the same, where it takes seconds: for virtual time. */
int dns_slow_cases(void *arg);

#endif
