/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SOCKET_CALL_H
#define CORE_SOCKET_CALL_H

#include "core/io_plain.h"

/*
 * The socket ops that the real backends carry out alike: plain calls that never wait, whether the
 * descriptor is in blocking mode or not. What waits (connect, accept, streams, poll) is
 * the backend's own.
 */

/* socket_call - carry @op out if it is LISTEN, LOCAL, or from SET_OPTIONS to RECV_MESSAGES; then
 * op->result is set. Returns false: not one of these. */
bool socket_call(struct backend_op *op);

/* socket_connecting - a new stream socket with the op's options, not yet connected.
 * @flags: 0 or SOCK_NONBLOCK. @out_address: whom to connect to; its size comes back in @out_bytes.
 * **Returns** a descriptor; -errno; -SKEIN_EINVALID. */
int socket_connecting(const struct backend_op *op, int flags, union plain_sockaddr *out_address,
                      socklen_t *out_bytes) SKEIN_MUST_CHECK;

/* socket_address_write - **Returns** its size in bytes; -SKEIN_EINVALID: a Unix path without an
 * end. @unix_addr: NULL: an IP address. */
int socket_address_write(const struct skein_addr *addr, const struct skein_unix_addr *unix_addr,
                         union plain_sockaddr *out) SKEIN_MUST_CHECK;
/* socket_address_read - @bytes: as the kernel gave it. @out_unix: may be NULL. */
void socket_address_read(const union plain_sockaddr *from, socklen_t bytes,
                         struct skein_addr *out_addr, struct skein_unix_addr *out_unix);

/* socket_option.c: socket_options_set, _get - **Returns** 0; -SKEIN_EINVALID: a value out of its
 * range; -errno. */
int socket_options_set(int fd, const struct skein_socket_option *options,
                       int option_count) SKEIN_MUST_CHECK;
int socket_option_get(int fd, struct skein_socket_option *option) SKEIN_MUST_CHECK;
/* socket_option_check - whether the value is in the option's range. Also the simulator's. */
bool socket_option_check(const struct skein_socket_option *option);

/* socket_message.c: **Returns** how many (> 0), -errno. */
int socket_messages_send(int fd, struct skein_datagram *messages, int count) SKEIN_MUST_CHECK;
int socket_messages_recv(int fd, struct skein_datagram *messages, int count) SKEIN_MUST_CHECK;

#endif
