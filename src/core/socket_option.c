/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "core/socket_call.h"

struct option_row {
    int level, name;   /* IPv4, and where there is no difference */
    int level6, name6; /* IPv6; level 0: as above */
    int64_t min, max;
};

static const struct option_row rows[] = {
    [SKEIN_SOCKET_NODELAY] = {IPPROTO_TCP, TCP_NODELAY, 0, 0, 0, 1},
    [SKEIN_SOCKET_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE, 0, 0, 0, 1},
    [SKEIN_SOCKET_KEEPALIVE_IDLE_S] = {IPPROTO_TCP, TCP_KEEPIDLE, 0, 0, 1, 32767},
    [SKEIN_SOCKET_KEEPALIVE_INTERVAL_S] = {IPPROTO_TCP, TCP_KEEPINTVL, 0, 0, 1, 32767},
    [SKEIN_SOCKET_KEEPALIVE_COUNT] = {IPPROTO_TCP, TCP_KEEPCNT, 0, 0, 1, 127},
    [SKEIN_SOCKET_RECV_BUFFER_BYTES] = {SOL_SOCKET, SO_RCVBUF, 0, 0, 1152, 1 << 30},
    [SKEIN_SOCKET_SEND_BUFFER_BYTES] = {SOL_SOCKET, SO_SNDBUF, 0, 0, 2304, 1 << 30},
    [SKEIN_SOCKET_LINGER_S] = {SOL_SOCKET, SO_LINGER, 0, 0, -1, 32767},
    [SKEIN_SOCKET_REUSEADDR] = {SOL_SOCKET, SO_REUSEADDR, 0, 0, 0, 1},
    [SKEIN_SOCKET_REUSEPORT] = {SOL_SOCKET, SO_REUSEPORT, 0, 0, 0, 1},
    [SKEIN_SOCKET_FASTOPEN] = {IPPROTO_TCP, TCP_FASTOPEN, 0, 0, 0, 65535},
    [SKEIN_SOCKET_FASTOPEN_CONNECT] = {IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, 0, 0, 1},
    [SKEIN_SOCKET_QUICKACK] = {IPPROTO_TCP, TCP_QUICKACK, 0, 0, 0, 1},
    [SKEIN_SOCKET_USER_TIMEOUT_MS] = {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, 0, INT32_MAX},
    [SKEIN_SOCKET_DEFER_ACCEPT_S] = {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 0, 0, 32767},
    [SKEIN_SOCKET_TOS] = {IPPROTO_IP, IP_TOS, IPPROTO_IPV6, IPV6_TCLASS, 0, 255},
    [SKEIN_SOCKET_MARK] = {SOL_SOCKET, SO_MARK, 0, 0, 0, UINT32_MAX},
    [SKEIN_SOCKET_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY, 0, 0, 0, 1},
    [SKEIN_SOCKET_HOP_LIMIT] = {IPPROTO_IP, IP_TTL, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 1, 255},
    [SKEIN_SOCKET_BROADCAST] = {SOL_SOCKET, SO_BROADCAST, 0, 0, 0, 1},
    [SKEIN_SOCKET_MULTICAST_HOPS] = {IPPROTO_IP, IP_MULTICAST_TTL, IPPROTO_IPV6,
                                     IPV6_MULTICAST_HOPS, 0, 255},
    [SKEIN_SOCKET_MULTICAST_LOOP] = {IPPROTO_IP, IP_MULTICAST_LOOP, IPPROTO_IPV6,
                                     IPV6_MULTICAST_LOOP, 0, 1},
    [SKEIN_SOCKET_GRO] = {IPPROTO_UDP, UDP_GRO, 0, 0, 0, 1},
    [SKEIN_SOCKET_PACKET_INFO] = {IPPROTO_IP, IP_PKTINFO, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, 1},
    [SKEIN_SOCKET_ERROR] = {SOL_SOCKET, SO_ERROR, 0, 0, 1, 0},
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == SKEIN_SOCKET_OPTION_COUNT, "one row an option");

bool
socket_option_check(const struct skein_socket_option *option)
{
    return (unsigned)option->name < SKEIN_SOCKET_OPTION_COUNT &&
           option->value >= rows[option->name].min && option->value <= rows[option->name].max;
}

/* The level and name of the option on this socket's family. */
static int
find(int fd, enum skein_socket_option_name which, int *out_level, int *out_name)
{
    const struct option_row *row = &rows[which];
    *out_level = row->level;
    *out_name = row->name;
    if (row->level6 == 0)
        return 0;
    int domain = 0;
    socklen_t bytes = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0)
        return -errno;
    if (domain == AF_INET6) {
        *out_level = row->level6;
        *out_name = row->name6;
    }
    return 0;
}

static int
set_one(int fd, const struct skein_socket_option *option)
{
    int level, name;
    if (!socket_option_check(option))
        return -SKEIN_EINVALID;
    int rc = find(fd, option->name, &level, &name);
    if (rc < 0)
        return rc;
    if (option->name == SKEIN_SOCKET_LINGER_S) {
        struct linger linger = {.l_onoff = option->value >= 0,
                                .l_linger = option->value >= 0 ? (int)option->value : 0};
        return setsockopt(fd, level, name, &linger, sizeof(linger)) < 0 ? -errno : 0;
    }
    uint32_t value = (uint32_t)option->value;
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

int
socket_options_set(int fd, const struct skein_socket_option *options, int option_count)
{
    for (int i = 0; i < option_count; i++) {
        int rc = set_one(fd, &options[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int
socket_option_get(int fd, struct skein_socket_option *option)
{
    int level, name;
    if ((unsigned)option->name >= SKEIN_SOCKET_OPTION_COUNT)
        return -SKEIN_EINVALID;
    int rc = find(fd, option->name, &level, &name);
    if (rc < 0)
        return rc;
    if (option->name == SKEIN_SOCKET_LINGER_S) {
        struct linger linger = {0};
        socklen_t linger_bytes = sizeof(linger);
        if (getsockopt(fd, level, name, &linger, &linger_bytes) < 0)
            return -errno;
        option->value = linger.l_onoff ? linger.l_linger : -1;
        return 0;
    }
    uint32_t value = 0;
    socklen_t bytes = sizeof(value);
    if (getsockopt(fd, level, name, &value, &bytes) < 0)
        return -errno;
    option->value = value;
    /* The kernel counts its own records too, and therefore doubles what it is asked for. */
    if (option->name == SKEIN_SOCKET_RECV_BUFFER_BYTES ||
        option->name == SKEIN_SOCKET_SEND_BUFFER_BYTES)
        option->value /= 2;
    return 0;
}
