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

/* "fe80::1%2": the address, and the number of its interface. */
static bool
parse_scoped(char *host, struct skein_addr *out)
{
    char *percent = strchr(host, '%');
    out->scope = 0;
    for (const char *at = percent ? percent + 1 : ""; *at; at++) {
        if (*at < '0' || *at > '9' || out->scope > UINT32_MAX / 10 - 1)
            return false;
        out->scope = out->scope * 10 + (uint32_t)(*at - '0');
    }
    if (percent && out->scope == 0)
        return false;
    if (percent)
        *percent = '\0';
    return inet_pton(AF_INET6, host, out->ip) == 1;
}

static bool
parse_host(char *host, bool bracketed, struct skein_addr *out)
{
    if (bracketed)
        return parse_scoped(host, out);
    memcpy(out->ip, v4_mapped, sizeof(v4_mapped));
    const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return inet_pton(AF_INET, name, out->ip + 12) == 1;
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
    if (!parse_host(host, bracketed, &addr))
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
        char scope[12] = "";
        if (addr->scope != 0)
            snprintf(scope, sizeof(scope), "%%%u", (unsigned)addr->scope);
        int bytes =
            snprintf(out, NET_ADDR_TEXT_BYTES, "[%s%s]:%u", host, scope, (unsigned)addr->port);
        skein_assert(bytes > 0 && bytes < NET_ADDR_TEXT_BYTES);
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

bool
net_addr_is_unspecified(const struct skein_addr *addr)
{
    static const uint8_t zeros[16];
    return memcmp(addr->ip + (is_v4(addr) ? 12 : 0), zeros, is_v4(addr) ? 4 : 16) == 0;
}

int
skein_net_parse(const char *text, struct skein_endpoint *out_endpoint, char out_why[128])
{
    static const char prefix[] = "unix:";
    struct skein_endpoint endpoint = {.is_unix = false};
    if (strncmp(text, prefix, sizeof(prefix) - 1) != 0) {
        int rc = net_addr_parse(text, &endpoint.addr, out_why);
        if (rc == 0)
            *out_endpoint = endpoint;
        return rc;
    }
    const char *path = text + sizeof(prefix) - 1;
    size_t count = strlen(path);
    if (count == 0 || strcmp(path, "@") == 0 || count >= SKEIN_UNIX_PATH_BYTES)
        return refuse(out_why, "a Unix socket is unix:PATH or unix:@NAME, of 1 to 107 bytes");
    endpoint.is_unix = true;
    memcpy(endpoint.unix_addr.path, path, count);
    *out_endpoint = endpoint;
    return 0;
}

const char *
skein_net_format(const struct skein_endpoint *endpoint, char out[SKEIN_ENDPOINT_TEXT_BYTES])
{
    if (!endpoint->is_unix)
        return net_addr_format(&endpoint->addr, out);
    int count = (int)strnlen(endpoint->unix_addr.path, SKEIN_UNIX_PATH_BYTES);
    snprintf(out, SKEIN_ENDPOINT_TEXT_BYTES, "unix:%.*s", count, endpoint->unix_addr.path);
    return out;
}

/* FNV-1a over the address. */
uint64_t
skein_addr_hash(const struct skein_addr *addr)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < sizeof(addr->ip); i++)
        hash = (hash ^ addr->ip[i]) * 0x100000001b3ull;
    return hash;
}
