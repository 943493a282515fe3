/* SPDX-License-Identifier: Apache-2.0 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "skein/error.h"

#define WHY_BYTES 128

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool
is_v4(const struct skein_addr *addr)
{
    return memcmp(addr->ip, v4_mapped, sizeof(v4_mapped)) == 0;
}

static int
refuse(char *out_why, const char *reason)
{
    snprintf(out_why, WHY_BYTES, "%s", reason);
    return -SKEIN_EINVALID;
}

/* Decimal, 1 to 5 digits, at most 65535; -1 otherwise. */
static int
parse_port(const char *text)
{
    size_t count = strlen(text);
    int port = 0;
    if (count < 1 || count > 5)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        port = port * 10 + (text[i] - '0');
    }
    return port <= 65535 ? port : -1;
}

static bool
parse_host(const char *host, bool bracketed, uint8_t ip[16])
{
    if (bracketed)
        return inet_pton(AF_INET6, host, ip) == 1;
    memcpy(ip, v4_mapped, sizeof(v4_mapped));
    return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, ip + 12) == 1;
}

int
net_addr_parse(const char *text, struct skein_addr *out_addr, char out_why[128])
{
    bool bracketed = text[0] == '[';
    const char *begin = bracketed ? text + 1 : text;
    const char *end = strrchr(text, ':');
    if (!end || (bracketed && (end == text + 1 || end[-1] != ']')))
        return refuse(out_why, "an address is HOST:PORT, with IPv6 as [HOST]:PORT");
    size_t host_count = (size_t)(end - begin) - (bracketed ? 1 : 0);
    char host[NET_ADDR_TEXT_BYTES];
    if (host_count == 0 || host_count >= sizeof(host))
        return refuse(out_why, "the host is missing or too long");
    memcpy(host, begin, host_count);
    host[host_count] = '\0';
    int port = parse_port(end + 1);
    if (port < 0)
        return refuse(out_why, "the port is a number from 0 to 65535");
    struct skein_addr addr = {.port = (uint16_t)port};
    if (!parse_host(host, bracketed, addr.ip))
        return refuse(out_why, "the host is an IPv4 address, [an IPv6 address] or localhost");
    *out_addr = addr;
    return 0;
}

const char *
net_addr_format(const struct skein_addr *addr, char out[NET_ADDR_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (is_v4(addr)) {
        inet_ntop(AF_INET, addr->ip + 12, host, sizeof(host));
        snprintf(out, NET_ADDR_TEXT_BYTES, "%s:%u", host, (unsigned)addr->port);
    } else {
        inet_ntop(AF_INET6, addr->ip, host, sizeof(host));
        snprintf(out, NET_ADDR_TEXT_BYTES, "[%s]:%u", host, (unsigned)addr->port);
    }
    return out;
}

bool
net_addr_is_loopback(const struct skein_addr *addr)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    if (is_v4(addr))
        return addr->ip[12] == 127;
    return memcmp(addr->ip, v6_loopback, sizeof(v6_loopback)) == 0;
}
