/* SPDX-License-Identifier: Apache-2.0 */
#include "core/socket_call.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "@name" becomes an abstract address, which is as long as its name. */
static int
write_unix(const struct skein_unix_addr *from, union plain_sockaddr *out)
{
    size_t count = strnlen(from->path, SKEIN_UNIX_PATH_BYTES);
    if (count == SKEIN_UNIX_PATH_BYTES)
        return -SKEIN_EINVALID;
    out->local.sun_family = AF_UNIX;
    memcpy(out->local.sun_path, from->path, count);
    int head_bytes = (int)offsetof(struct sockaddr_un, sun_path);
    if (from->path[0] != '@')
        return head_bytes + (int)count + (count > 0);
    out->local.sun_path[0] = '\0';
    return head_bytes + (int)count;
}

int
socket_address_write(const struct skein_addr *addr, const struct skein_unix_addr *unix_addr,
                     union plain_sockaddr *out)
{
    if (!unix_addr)
        return (int)plain_to_sockaddr(addr, out);
    memset(out, 0, sizeof(*out));
    return write_unix(unix_addr, out);
}

static void
read_unix(const union plain_sockaddr *from, socklen_t bytes, struct skein_unix_addr *out)
{
    size_t head_bytes = offsetof(struct sockaddr_un, sun_path);
    size_t count = bytes > head_bytes ? bytes - head_bytes : 0;
    memset(out, 0, sizeof(*out));
    if (count == 0)
        return;
    if (count > SKEIN_UNIX_PATH_BYTES - 1)
        count = SKEIN_UNIX_PATH_BYTES - 1;
    memcpy(out->path, from->local.sun_path, count);
    if (out->path[0] == '\0')
        out->path[0] = '@';
}

void
socket_address_read(const union plain_sockaddr *from, socklen_t bytes, struct skein_addr *out_addr,
                    struct skein_unix_addr *out_unix)
{
    if (bytes < sizeof(sa_family_t)) {
        *out_addr = (struct skein_addr){0};
        return;
    }
    plain_from_sockaddr(from, out_addr);
    if (from->any.sa_family == AF_UNIX && out_unix)
        read_unix(from, bytes, out_unix);
}

static int
fail_and_close(int fd, int rc)
{
    close(fd);
    return rc;
}

int
socket_connecting(const struct backend_op *op, int flags, union plain_sockaddr *out_address,
                  socklen_t *out_bytes)
{
    int bytes = socket_address_write(&op->addr, op->unix_addr, out_address);
    if (bytes < 0)
        return bytes;
    int fd = plain_open_socket(out_address->any.sa_family, flags);
    if (fd < 0)
        return fd;
    int rc = socket_options_set(fd, op->options, op->option_count);
    if (rc < 0)
        return fail_and_close(fd, rc);
    *out_bytes = (socklen_t)bytes;
    return fd;
}

/* A socket's file that refuses connections belongs to nobody. */
static bool
is_stale(const union plain_sockaddr *address, socklen_t bytes)
{
    struct stat st;
    if (address->any.sa_family != AF_UNIX || address->local.sun_path[0] == '\0' ||
        lstat(address->local.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &address->any, bytes) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int
bind_to(int fd, const struct backend_op *op, const union plain_sockaddr *address, socklen_t bytes)
{
    if (bind(fd, &address->any, bytes) == 0)
        return 0;
    int rc = -errno;
    if (rc != -EADDRINUSE || !(op->flags & BACKEND_REPLACE_STALE) || !is_stale(address, bytes))
        return rc;
    if (unlink(address->local.sun_path) < 0 || bind(fd, &address->any, bytes) < 0)
        return -errno;
    return 0;
}

static int
listen_at(const struct backend_op *op)
{
    union plain_sockaddr address;
    int on = 1;
    int bytes = socket_address_write(&op->addr, op->unix_addr, &address);
    if (bytes < 0)
        return bytes;
    int fd = plain_open_socket(address.any.sa_family, 0);
    if (fd < 0)
        return fd;
    int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ? -errno : 0;
    if (rc == 0)
        rc = socket_options_set(fd, op->options, op->option_count);
    if (rc == 0)
        rc = bind_to(fd, op, &address, (socklen_t)bytes);
    if (rc == 0 && listen(fd, op->backlog) < 0)
        rc = -errno;
    return rc < 0 ? fail_and_close(fd, rc) : fd;
}

static int
open_datagram(const struct backend_op *op)
{
    union plain_sockaddr address, peer;
    int bytes = socket_address_write(&op->addr, op->unix_addr, &address);
    int peer_bytes = 0;
    if (bytes < 0)
        return bytes;
    if (op->peer)
        peer_bytes = socket_address_write(&op->peer->addr,
                                          op->peer->is_unix ? &op->peer->unix_addr : NULL, &peer);
    if (peer_bytes < 0)
        return peer_bytes;
    int fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = socket_options_set(fd, op->options, op->option_count);
    bool unnamed = op->unix_addr && op->unix_addr->path[0] == '\0';
    if (rc == 0 && !unnamed)
        rc = bind_to(fd, op, &address, (socklen_t)bytes);
    if (rc == 0 && op->peer && connect(fd, &peer.any, (socklen_t)peer_bytes) < 0)
        rc = -errno;
    return rc < 0 ? fail_and_close(fd, rc) : fd;
}

static int
name_of(struct backend_op *op, int (*ask)(int fd, struct sockaddr *out, socklen_t *bytes))
{
    union plain_sockaddr address = {0};
    socklen_t bytes = sizeof(address);
    if (ask(op->handle, &address.any, &bytes) < 0)
        return -errno;
    if (op->unix_addr)
        op->unix_addr->path[0] = '\0';
    socket_address_read(&address, bytes, &op->addr, op->unix_addr);
    return address.any.sa_family == AF_UNIX;
}

static int
local_name(int fd, struct sockaddr *out, socklen_t *bytes)
{
    return getsockname(fd, out, bytes);
}

static int
peer_name(int fd, struct sockaddr *out, socklen_t *bytes)
{
    return getpeername(fd, out, bytes);
}

static int
credentials_of(const struct backend_op *op)
{
    struct ucred credentials;
    socklen_t bytes = sizeof(credentials);
    int domain = 0;
    socklen_t domain_bytes = sizeof(domain);
    if (getsockopt(op->handle, SOL_SOCKET, SO_DOMAIN, &domain, &domain_bytes) < 0)
        return -errno;
    if (domain != AF_UNIX)
        return -EOPNOTSUPP;
    if (getsockopt(op->handle, SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) < 0)
        return -errno;
    if (credentials.pid == 0)
        return -ENOTCONN;
    *op->credentials = (struct skein_credentials){
        .process_id = credentials.pid, .user_id = credentials.uid, .group_id = credentials.gid};
    return 0;
}

static int
change_group(const struct backend_op *op)
{
    struct group_req request = {.gr_interface = op->mode};
    union plain_sockaddr group;
    int bytes = socket_address_write(&op->addr, NULL, &group);
    skein_assert(bytes > 0);
    memcpy(&request.gr_group, &group, (size_t)bytes);
    int level = group.any.sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    int name = op->kind == BACKEND_JOIN ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP;
    return setsockopt(op->handle, level, name, &request, sizeof(request)) < 0 ? -errno : 0;
}

bool
socket_call(struct backend_op *op)
{
    if (op->kind == BACKEND_LISTEN)
        op->result = listen_at(op);
    else if (op->kind == BACKEND_LOCAL)
        op->result = name_of(op, local_name);
    else if (op->kind == BACKEND_PEER)
        op->result = name_of(op, peer_name);
    else if (op->kind == BACKEND_SET_OPTIONS)
        op->result = socket_options_set(op->handle, op->options, op->option_count);
    else if (op->kind == BACKEND_GET_OPTION)
        op->result = socket_option_get(op->handle, op->options);
    else if (op->kind == BACKEND_CREDENTIALS)
        op->result = credentials_of(op);
    else if (op->kind == BACKEND_DATAGRAM)
        op->result = open_datagram(op);
    else if (op->kind == BACKEND_JOIN || op->kind == BACKEND_LEAVE)
        op->result = change_group(op);
    else if (op->kind == BACKEND_SEND_MESSAGES)
        op->result = socket_messages_send(op->handle, op->messages, op->message_count);
    else if (op->kind == BACKEND_RECV_MESSAGES)
        op->result = socket_messages_recv(op->handle, op->messages, op->message_count);
    else
        return false;
    return true;
}
