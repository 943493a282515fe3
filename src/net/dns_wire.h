/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DNS_WIRE_H
#define NET_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/dns.h"

/*
 * DNS messages: a query from a question, an answer's records that the question leads to. Pure.
 */

enum dns_type {
    DNS_A = 1,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_AAAA = 28,
    DNS_SRV = 33,
};

#define DNS_QUERY_BYTES 512
#define DNS_RECORDS_MAX 32
/* What is offered to take by UDP: fits an Ethernet frame on every path (DNS flag day 2020). */
#define DNS_UDP_BYTES 1232

struct dns_record {
    uint8_t ip[16];                  /* A, AAAA */
    uint16_t priority, weight, port; /* SRV */
    char name[SKEIN_DNS_NAME_BYTES]; /* SRV, PTR; "" for the root */
};

/* No records: there are none, for ttl_s; or, with an alias, they are to be asked for there. */
struct dns_answer {
    uint32_t ttl_s;
    uint32_t count;
    char alias[SKEIN_DNS_NAME_BYTES];
    struct dns_record records[DNS_RECORDS_MAX];
};

/* dns_name_check - @name in lower case and without a final dot, into @out. **Returns** 0;
 * -SKEIN_EINVALID: not 1 to 253 bytes of letters, digits, "-", "_", "." in labels of 1 to 63. */
int dns_name_check(const char *name, char out[SKEIN_DNS_NAME_BYTES]) SKEIN_MUST_CHECK;

/* dns_encode - **Returns** the bytes of @out; -SKEIN_EINVALID. */
int dns_encode(const char *name, enum dns_type type, uint16_t id,
               uint8_t out[DNS_QUERY_BYTES]) SKEIN_MUST_CHECK;

/*
 * dns_decode - the answer to (@name, @type, @id) in @data.
 * **Returns** 0; -SKEIN_EPROTO: no answer to this question, or malformed; -SKEIN_ETOOBIG: cut
 * short, to be asked over TCP; -SKEIN_EAGAIN: the server cannot.
 * **Source**: RFC 1035 section 4, RFC 2308 section 5, RFC 2181 section 8.
 */
int dns_decode(const uint8_t *data, size_t count, const char *name, enum dns_type type, uint16_t id,
               struct dns_answer *out_answer) SKEIN_MUST_CHECK;

/* dns_is_answer - whether @data begins as an answer to that question, whatever follows. */
bool dns_is_answer(const uint8_t *data, size_t count, const char *name, enum dns_type type,
                   uint16_t id);

#endif
