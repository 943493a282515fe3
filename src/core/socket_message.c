/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "core/socket_call.h"

/* Messages of one system call; larger batches take several. Their records are on the stack. */
#define BATCH_COUNT 16

struct control {
    _Alignas(struct cmsghdr)
        uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
                      CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

struct batch {
    struct mmsghdr headers[BATCH_COUNT];
    union plain_sockaddr addresses[BATCH_COUNT];
    struct control controls[BATCH_COUNT];
};

static void
add_control(struct msghdr *header, struct control *control, int level, int type, const void *data,
            size_t bytes)
{
    struct cmsghdr *cmsg = (struct cmsghdr *)(void *)(control->bytes + header->msg_controllen);
    cmsg->cmsg_level = level;
    cmsg->cmsg_type = type;
    cmsg->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(cmsg), data, bytes);
    header->msg_control = control->bytes;
    header->msg_controllen += CMSG_SPACE(bytes);
}

static int
domain_of(int fd)
{
    int domain = 0;
    socklen_t bytes = sizeof(domain);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) < 0 ? -errno : domain;
}

static void
add_local(struct msghdr *header, struct control *control, const struct skein_datagram *message,
          int domain)
{
    if (domain == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)message->interface_index};
        memcpy(&info.ipi_spec_dst, message->local.ip + 12, 4);
        add_control(header, control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = message->interface_index};
        memcpy(&info.ipi6_addr, message->local.ip, 16);
        add_control(header, control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
}

/* An IPv6 socket takes IPv4 addresses in their mapped form. */
static int
write_address(const struct skein_datagram *message, int domain, union plain_sockaddr *out)
{
    if (domain == AF_UNIX)
        return message->unix_addr ? socket_address_write(NULL, message->unix_addr, out)
                                  : -SKEIN_EINVALID;
    if (domain != AF_INET6)
        return socket_address_write(&message->addr, NULL, out);
    memset(out, 0, sizeof(*out));
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(message->addr.port);
    out->v6.sin6_scope_id = message->addr.scope;
    memcpy(&out->v6.sin6_addr, message->addr.ip, 16);
    return sizeof(out->v6);
}

static int
prepare_send(struct batch *batch, int index, const struct skein_datagram *message, int domain)
{
    struct msghdr *header = &batch->headers[index].msg_hdr;
    *header = (struct msghdr){.msg_iov = message->iov, .msg_iovlen = (size_t)message->iov_count};
    if (message->has_addr) {
        int bytes = write_address(message, domain, &batch->addresses[index]);
        if (bytes < 0)
            return bytes;
        header->msg_name = &batch->addresses[index];
        header->msg_namelen = (socklen_t)bytes;
    }
    if (message->has_local && domain != AF_UNIX)
        add_local(header, &batch->controls[index], message, domain);
    if (message->segment_bytes > 0)
        add_control(header, &batch->controls[index], IPPROTO_UDP, UDP_SEGMENT,
                    &message->segment_bytes, sizeof(message->segment_bytes));
    return 0;
}

/* One system call. **Returns** how many went; -errno: the first did not. */
static int
send_batch(int fd, int domain, const struct skein_datagram *messages, int count)
{
    struct batch batch;
    int prepared = 0, rc = 0;
    memset(&batch.controls, 0, sizeof(batch.controls));
    for (; prepared < count && rc == 0; prepared += rc == 0)
        rc = prepare_send(&batch, prepared, &messages[prepared], domain);
    if (prepared == 0)
        return rc;
    do {
        rc = sendmmsg(fd, batch.headers, (unsigned)prepared, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : rc;
}

int
socket_messages_send(int fd, struct skein_datagram *messages, int count)
{
    int domain = domain_of(fd);
    int sent = 0;
    if (domain < 0)
        return domain;
    while (sent < count) {
        int wanted = count - sent < BATCH_COUNT ? count - sent : BATCH_COUNT;
        int rc = send_batch(fd, domain, messages + sent, wanted);
        if (rc < 0)
            return sent > 0 ? sent : rc;
        sent += rc;
        if (rc < wanted)
            break;
    }
    return sent;
}

static void
read_control(struct msghdr *header, struct skein_datagram *message)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            memcpy(message->local.ip, v4_mapped, sizeof(v4_mapped));
            memcpy(message->local.ip + 12, &info.ipi_addr, 4);
            message->interface_index = (uint32_t)info.ipi_ifindex;
            message->has_local = true;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            memcpy(message->local.ip, &info.ipi6_addr, 16);
            message->interface_index = info.ipi6_ifindex;
            message->has_local = true;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int bytes;
            memcpy(&bytes, CMSG_DATA(c), sizeof(bytes));
            message->segment_bytes = (uint16_t)bytes;
        }
    }
}

static void
finish_recv(struct batch *batch, int index, struct skein_datagram *message)
{
    struct msghdr *header = &batch->headers[index].msg_hdr;
    message->bytes = batch->headers[index].msg_len;
    message->truncated = (header->msg_flags & MSG_TRUNC) != 0;
    message->has_local = false;
    message->local = (struct skein_addr){0};
    message->interface_index = 0;
    message->segment_bytes = 0;
    message->has_addr = header->msg_namelen > 0;
    if (message->unix_addr)
        message->unix_addr->path[0] = '\0';
    socket_address_read(&batch->addresses[index], header->msg_namelen, &message->addr,
                        message->unix_addr);
    read_control(header, message);
}

static int
recv_batch(int fd, struct skein_datagram *messages, int count)
{
    struct batch batch;
    int rc;
    for (int i = 0; i < count; i++)
        batch.headers[i].msg_hdr =
            (struct msghdr){.msg_iov = messages[i].iov,
                            .msg_iovlen = (size_t)messages[i].iov_count,
                            .msg_name = &batch.addresses[i],
                            .msg_namelen = sizeof(batch.addresses[i]),
                            .msg_control = batch.controls[i].bytes,
                            .msg_controllen = sizeof(batch.controls[i].bytes)};
    do {
        rc = recvmmsg(fd, batch.headers, (unsigned)count, MSG_DONTWAIT | MSG_TRUNC, NULL);
    } while (rc < 0 && errno == EINTR);
    for (int i = 0; i < rc; i++)
        finish_recv(&batch, i, &messages[i]);
    return rc < 0 ? -errno : rc;
}

int
socket_messages_recv(int fd, struct skein_datagram *messages, int count)
{
    int got = 0;
    while (got < count) {
        int wanted = count - got < BATCH_COUNT ? count - got : BATCH_COUNT;
        int rc = recv_batch(fd, messages + got, wanted);
        if (rc < 0)
            return got > 0 ? got : rc;
        got += rc;
        if (rc < wanted)
            break;
    }
    return got;
}
