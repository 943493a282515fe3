/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io_plain.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/socket_call.h"

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static uint64_t
read_clock(clockid_t clock)
{
    struct timespec ts;
    int rc = clock_gettime(clock, &ts);
    skein_assert(rc == 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
plain_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
plain_boot_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t
plain_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void
plain_entropy(void *data, size_t count)
{
    char *at = data;
    while (count > 0) {
        ssize_t n = getrandom(at, count, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            base_die(__FILE__, __LINE__, "the kernel gives no random bytes");
        at += n;
        count -= (size_t)n;
    }
}

socklen_t
plain_to_sockaddr(const struct skein_addr *addr, union plain_sockaddr *out)
{
    memset(out, 0, sizeof(*out));
    if (memcmp(addr->ip, v4_mapped, sizeof(v4_mapped)) == 0) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(addr->port);
        memcpy(&out->v4.sin_addr, addr->ip + 12, 4);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(addr->port);
    out->v6.sin6_scope_id = addr->scope;
    memcpy(&out->v6.sin6_addr, addr->ip, 16);
    return sizeof(out->v6);
}

void
plain_from_sockaddr(const union plain_sockaddr *from, struct skein_addr *out)
{
    memset(out, 0, sizeof(*out));
    if (from->any.sa_family == AF_INET) {
        memcpy(out->ip, v4_mapped, sizeof(v4_mapped));
        memcpy(out->ip + 12, &from->v4.sin_addr, 4);
        out->port = ntohs(from->v4.sin_port);
    } else if (from->any.sa_family == AF_INET6) {
        memcpy(out->ip, &from->v6.sin6_addr, 16);
        out->port = ntohs(from->v6.sin6_port);
        out->scope = from->v6.sin6_scope_id;
    }
}

int
plain_open_socket(int family, int flags)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (family != AF_UNIX && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

int
plain_open_flags(uint32_t flags)
{
    int out = O_CLOEXEC | (flags & SKEIN_FILE_RDWR ? O_RDWR : O_RDONLY);
    out |= flags & SKEIN_FILE_CREATE ? O_CREAT : 0;
    out |= flags & SKEIN_FILE_EXCLUSIVE ? O_EXCL : 0;
    out |= flags & SKEIN_FILE_TRUNC ? O_TRUNC : 0;
    out |= flags & SKEIN_FILE_DIRECTORY ? O_DIRECTORY : 0;
    out |= flags & SKEIN_FILE_DIRECT ? O_DIRECT : 0;
    return out;
}

bool
plain_at_once(struct backend_op *op)
{
    if (op->kind == BACKEND_LOCK)
        op->result = flock(op->handle, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    else if (op->kind == BACKEND_SHUTDOWN)
        op->result = shutdown(op->handle, SHUT_WR) < 0 ? -errno : 0;
    else
        return plain_watch_now(op) || socket_call(op);
    return true;
}

/* The C library's send and recv make themselves points of cancellation, on each call, as soon as a
 * process has two threads; nobody cancels a shard's thread. */
int64_t
plain_send_now(const struct backend_op *op)
{
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    struct msghdr message = {.msg_iov = op->iov, .msg_iovlen = (size_t)op->iov_count};
    ssize_t n;
    do {
        if (op->iov_count == 1)
            n = syscall(SYS_sendto, op->handle, op->iov->iov_base, op->iov->iov_len, flags, NULL,
                        0);
        else
            n = sendmsg(op->handle, &message, flags);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t
plain_recv_now(const struct backend_op *op)
{
    struct msghdr message = {.msg_iov = op->iov, .msg_iovlen = (size_t)op->iov_count};
    ssize_t n;
    do {
        if (op->iov_count == 1)
            n = syscall(SYS_recvfrom, op->handle, op->iov->iov_base, op->iov->iov_len, MSG_DONTWAIT,
                        NULL, NULL);
        else
            n = recvmsg(op->handle, &message, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t
plain_accept_now(struct backend_op *op)
{
    union plain_sockaddr sa = {0};
    socklen_t sa_bytes = sizeof(sa);
    int fd;
    do {
        fd = accept4(op->handle, &sa.any, &sa_bytes, SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    socket_address_read(&sa, sa_bytes, &op->addr, op->unix_addr);
    return fd;
}

void
plain_peer(int fd, struct backend_op *op)
{
    union plain_sockaddr sa = {0};
    socklen_t sa_bytes = sizeof(sa);
    if (getpeername(fd, &sa.any, &sa_bytes) < 0) {
        memset(&op->addr, 0, sizeof(op->addr));
        return;
    }
    socket_address_read(&sa, sa_bytes, &op->addr, op->unix_addr);
}

short
plain_poll_events(uint32_t flags)
{
    return (short)((flags & SKEIN_READABLE ? POLLIN : 0) | (flags & SKEIN_WRITABLE ? POLLOUT : 0));
}

int64_t
plain_poll_now(int handle, uint32_t flags)
{
    struct pollfd entry = {.fd = handle, .events = plain_poll_events(flags)};
    int n;
    do {
        n = poll(&entry, 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (handle < 0 || entry.revents & POLLNVAL)
        return -EBADF;
    return n == 0 ? -EAGAIN : 0;
}
