/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_PLAIN_H
#define CORE_IO_PLAIN_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/backend.h"

/*
 * Ops as plain system calls: what the real backends share.
 *
 *   at once    a call that never waits (lock, shutdown, and core/socket_call.h), on the shard's
 * thread
 *   ..._now    a socket call that says -EAGAIN instead of waiting, on the shard's thread
 *   run        a file call that takes as long as it takes, on a helper thread
 *
 * All answer as an op does: a count, a handle or 0, else -errno. An interrupted call is made again.
 */

union plain_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

uint64_t plain_monotonic_ns(void);
uint64_t plain_boot_ns(void);
uint64_t plain_wall_ns(void);
void plain_entropy(void *data, size_t count);

/* plain_to_sockaddr - Returns the bytes of @out that count. */
socklen_t plain_to_sockaddr(const struct skein_addr *addr, union plain_sockaddr *out);
void plain_from_sockaddr(const union plain_sockaddr *from, struct skein_addr *out);

/* plain_open_socket - a stream socket; TCP with TCP_NODELAY, and a listener hands that on to what
 * it accepts. To connect: socket_connecting of core/socket_call.h. @flags: 0 or SOCK_NONBLOCK. */
int plain_open_socket(int family, int flags) SKEIN_MUST_CHECK;
/* plain_open_flags - of open(2), for the SKEIN_FILE_... of an op. */
int plain_open_flags(uint32_t flags);

/* plain_at_once - Returns false: @op is of another kind. Else op->result is set. */
bool plain_at_once(struct backend_op *op) SKEIN_MUST_CHECK;

int64_t plain_send_now(const struct backend_op *op) SKEIN_MUST_CHECK;
int64_t plain_recv_now(const struct backend_op *op) SKEIN_MUST_CHECK;
/* plain_accept_now - the listener is non-blocking. Sets op->addr. */
int64_t plain_accept_now(struct backend_op *op) SKEIN_MUST_CHECK;
/* plain_peer - op->addr of an accept: the other end of @fd; zeros when it is gone already. */
void plain_peer(int fd, struct backend_op *op);
/* plain_poll_events - for poll(2), of BACKEND_POLL's flags. */
short plain_poll_events(uint32_t flags);
/* plain_poll_now - BACKEND_POLL; -EAGAIN instead of waiting. */
int64_t plain_poll_now(int handle, uint32_t flags) SKEIN_MUST_CHECK;

/* plain_watch_now - Returns false: @op is none of WATCH_OPEN, _REMOVE, _READ. Else op->result is
 * set. */
bool plain_watch_now(struct backend_op *op) SKEIN_MUST_CHECK;

/* Of plain_run, in io_plain_more.c. */
int plain_allocate_mode(uint32_t flags);
int plain_file_alignment(int fd, struct skein_file_alignment *out) SKEIN_MUST_CHECK;
/* plain_send_file - sends what the socket takes within a short while: -EAGAIN when that is nothing.
 */
int64_t plain_send_file(const struct backend_op *op) SKEIN_MUST_CHECK;
int plain_map(struct backend_op *op) SKEIN_MUST_CHECK;
int plain_watch_add(const struct backend_op *op) SKEIN_MUST_CHECK;

/* plain_run - a file op or BACKEND_WORK, start to end. */
int64_t plain_run(struct backend_op *op) SKEIN_MUST_CHECK;

#endif
