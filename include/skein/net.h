/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_NET_H
#define SKEIN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Sockets beyond skein/socket.h: addresses as text, options, Unix sockets, datagrams, accept
 * limits.
 *
 *   skein_net_listen --> handle --> skein_acceptor_accept --+
 *   skein_net_connect -------------------------------------+--> skein_socket_recv, _send, _sendv,
 *                                                               _shutdown; skein_close
 *   skein_datagram_open --> handle --> skein_datagram_send, _recv; skein_close
 *
 * A handle is a stream's or a datagram socket's for all its life: skein_socket_recv is for streams,
 * skein_datagram_recv for datagram sockets.
 *
 * All but parse and format: **Runs on** any shard, in a fiber, suspends. **Returns** 0, a count or
 * a handle (>= 0), else -errno (-EBADF: not a handle; -ENOTSOCK; -EMFILE: no descriptor is left),
 * -SKEIN_ETIMEDOUT or -SKEIN_ECANCELED.
 */

/* ---- addresses ---- */

#define SKEIN_UNIX_PATH_BYTES 108

/* The name of a Unix socket: a path; "@name" in the abstract namespace (which goes with its last
 * user); "" for a socket without a name. At most 107 bytes and the final NUL. */
struct skein_unix_addr {
    char path[SKEIN_UNIX_PATH_BYTES];
};

/* Where something can be reached. */
struct skein_endpoint {
    bool is_unix;
    struct skein_addr addr;           /* !is_unix */
    struct skein_unix_addr unix_addr; /* is_unix */
};

#define SKEIN_ENDPOINT_TEXT_BYTES 128

/*
 * skein_net_parse - "127.0.0.1:7001", "[::1]:7001", "[fe80::1%2]:7001" (the scope is an interface's
 * number), "localhost:7001", "unix:/run/x.sock", "unix:@abstract". Other names: skein/dns.h.
 * **Returns** 0; -SKEIN_EINVALID, with the reason in @out_why; @out_endpoint is then untouched.
 */
int skein_net_parse(const char *text, struct skein_endpoint *out_endpoint,
                    char out_why[128]) SKEIN_MUST_CHECK;
/* skein_net_format - the same text back. Returns @out. */
const char *skein_net_format(const struct skein_endpoint *endpoint,
                             char out[SKEIN_ENDPOINT_TEXT_BYTES]);
/* skein_addr_hash - of the IP address, without the port: the key of SKEIN_BALANCER_IP_HASH. */
uint64_t skein_addr_hash(const struct skein_addr *addr);

/* ---- options ----
 *
 * Each is applied with one call to the kernel and can be read back. A value out of its range is
 * -SKEIN_EINVALID; one the kernel refuses is its -errno (-EPERM for MARK without the right to).
 */

enum skein_socket_option_name {
    SKEIN_SOCKET_NODELAY,              /* 0, 1; streams begin with 1 */
    SKEIN_SOCKET_KEEPALIVE,            /* 0, 1 */
    SKEIN_SOCKET_KEEPALIVE_IDLE_S,     /* 1 to 32767 */
    SKEIN_SOCKET_KEEPALIVE_INTERVAL_S, /* 1 to 32767 */
    SKEIN_SOCKET_KEEPALIVE_COUNT,      /* 1 to 127 */
    SKEIN_SOCKET_RECV_BUFFER_BYTES,    /* 1152 to 2^30; at most what the kernel allows comes back */
    SKEIN_SOCKET_SEND_BUFFER_BYTES,    /* 2304 to 2^30; likewise */
    SKEIN_SOCKET_LINGER_S,             /* -1: off; 0: close resets; to 32767 */
    SKEIN_SOCKET_REUSEADDR,            /* 0, 1; listeners begin with 1 */
    SKEIN_SOCKET_REUSEPORT,            /* 0, 1; before binding: give it to listen or open */
    SKEIN_SOCKET_FASTOPEN,             /* listeners: queue, 0 to 65535 */
    SKEIN_SOCKET_FASTOPEN_CONNECT,     /* 0, 1; give it to connect */
    SKEIN_SOCKET_QUICKACK,             /* 0, 1; the kernel leaves the mode again by itself */
    SKEIN_SOCKET_USER_TIMEOUT_MS,      /* 0 to 2^31 - 1 */
    SKEIN_SOCKET_DEFER_ACCEPT_S,       /* listeners: 0 to 32767; the kernel rounds up */
    SKEIN_SOCKET_TOS,                  /* 0 to 255; the two low bits of TCP are the kernel's */
    SKEIN_SOCKET_MARK,                 /* 0 to 2^32 - 1; needs CAP_NET_ADMIN */
    SKEIN_SOCKET_V6ONLY,               /* 0, 1; before binding */
    SKEIN_SOCKET_HOP_LIMIT,            /* 1 to 255 */
    SKEIN_SOCKET_BROADCAST,            /* 0, 1 */
    SKEIN_SOCKET_MULTICAST_HOPS,       /* 0 to 255 */
    SKEIN_SOCKET_MULTICAST_LOOP,       /* 0, 1 */
    SKEIN_SOCKET_GRO,                  /* datagrams, 0, 1: see skein_datagram.segment_bytes */
    SKEIN_SOCKET_PACKET_INFO,          /* datagrams, 0, 1: see skein_datagram.local */
    SKEIN_SOCKET_ERROR,                /* read only: the pending error, errno; reading clears it */
    SKEIN_SOCKET_OPTION_COUNT
};

struct skein_socket_option {
    enum skein_socket_option_name name;
    int64_t value;
};

/* skein_net_set - **Returns** 0; -SKEIN_EINVALID: out of range; -ENOPROTOOPT, -EOPNOTSUPP: not for
 * this kind of socket; -EPERM. */
int skein_net_set(int handle, enum skein_socket_option_name name, int64_t value) SKEIN_MUST_CHECK;
int skein_net_get(int handle, enum skein_socket_option_name name,
                  int64_t *out_value) SKEIN_MUST_CHECK;

/* ---- streams, TCP and Unix ---- */

struct skein_net_options {
    const struct skein_socket_option *options; /* set before anything else is done */
    int option_count;
    int backlog; /* listen: > 0 */
    /* listen, Unix paths: a socket file that nobody listens on any more is replaced. A file that is
     * no socket, or one that is listened on, never: -EADDRINUSE. */
    bool replace_stale;
};

#define SKEIN_NET_OPTIONS_INIT \
    {                          \
        NULL, 0, 128, false,   \
    }

/* skein_net_listen - a listening stream socket; port 0 picks a free one. @options: NULL for none.
 * A Unix path's file stays when the handle is closed: skein_file_unlink. **Returns** a handle;
 * -EADDRINUSE; -EADDRNOTAVAIL; -EACCES; -SKEIN_EINVALID. */
int skein_net_listen(const struct skein_endpoint *endpoint,
                     const struct skein_net_options *options) SKEIN_MUST_CHECK;
/* skein_net_connect - a connected stream. **Returns** a handle; -ECONNREFUSED; -EHOSTUNREACH,
 * -ENETUNREACH; -ENOENT: no such Unix path; -SKEIN_ETIMEDOUT: a dead host, or a
 * backlog that stays full, at @deadline_ns. */
int skein_net_connect(const struct skein_endpoint *endpoint,
                      const struct skein_net_options *options,
                      uint64_t deadline_ns) SKEIN_MUST_CHECK;
int skein_net_local(int handle, struct skein_endpoint *out_endpoint) SKEIN_MUST_CHECK;
/* skein_net_peer - **Returns** 0; -ENOTCONN. */
int skein_net_peer(int handle, struct skein_endpoint *out_endpoint) SKEIN_MUST_CHECK;

/* Who is at the other end of a Unix stream: as it was when it connected. */
struct skein_credentials {
    int64_t process_id;
    uint32_t user_id;
    uint32_t group_id;
};
/* skein_net_credentials - **Returns** 0; -EOPNOTSUPP: no Unix stream; -ENOTCONN. */
int skein_net_credentials(int handle, struct skein_credentials *out_credentials) SKEIN_MUST_CHECK;

/* ---- readiness, for foreign libraries that do their own calls ---- */
#define SKEIN_READABLE 1u
#define SKEIN_WRITABLE 2u
/* skein_net_wait - until @handle is one of @what, has failed or was hung up on. **Returns** 0. */
int skein_net_wait(int handle, uint32_t what, uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* ---- accepting with a limit ----
 *
 *     skein_acceptor_init(&acceptor, listener, 1000);
 *     while ((handle = skein_acceptor_accept(&acceptor, &peer, SKEIN_NEVER)) >= 0)
 *         spawn a fiber that ends with skein_close(handle), skein_acceptor_release(&acceptor)
 *
 * With the limit reached, connections wait in the kernel's backlog, and beyond it outside. Without
 * descriptors or memory accept pauses (10 ms, doubling to 1 s, cut short by a release) and goes on;
 * each such time is logged once.
 */
struct skein_acceptor {
    int listener; /* borrowed */
    uint32_t live_count, live_count_max;
    uint64_t pause_count; /* times that there was no descriptor or no memory */
    struct skein_waitq released;
};

void skein_acceptor_init(struct skein_acceptor *acceptor, int listener, uint32_t live_count_max);
/* skein_acceptor_accept - @out_peer: may be NULL. **Returns** a handle that counts until
 * skein_acceptor_release; -SKEIN_ETIMEDOUT; -SKEIN_ECANCELED; else the listener is unusable. */
int skein_acceptor_accept(struct skein_acceptor *acceptor, struct skein_addr *out_peer,
                          uint64_t deadline_ns) SKEIN_MUST_CHECK;
void skein_acceptor_release(struct skein_acceptor *acceptor);

/* ---- datagrams, UDP and Unix ---- */

/* One datagram, sent or received. */
struct skein_datagram {
    struct iovec *iov;
    int iov_count;
    /* Received: the sender. Sent: the addressee; has_addr false: the connected peer. */
    bool has_addr;
    struct skein_addr addr;
    struct skein_unix_addr *unix_addr; /* not NULL: the same for Unix sockets; borrowed */
    /* PACKET_INFO. Received: the address it was sent to. Sent, if interface_index or an address is
     * set: where it leaves from. has_local: as has_addr. */
    bool has_local;
    struct skein_addr local;
    uint32_t interface_index;
    /* Sent, UDP (GSO): the kernel cuts the bytes into datagrams of this size. Received (GRO):
     * several datagrams of one sender have been joined, each of this size but the last. 0: one. */
    uint16_t segment_bytes;
    /* Received: how many bytes there were; with `truncated`, more than the vector took. */
    size_t bytes;
    bool truncated;
};

#define SKEIN_MESSAGES_MAX 64

/* skein_datagram_open - @local: where to receive; port 0 picks one; a Unix "" has no name.
 * @peer: NULL, or connect: send to it, receive only from it. **Returns** a handle; -EADDRINUSE ...
 */
int skein_datagram_open(const struct skein_endpoint *local, const struct skein_endpoint *peer,
                        const struct skein_net_options *options) SKEIN_MUST_CHECK;
/* skein_datagram_send - 1 to SKEIN_MESSAGES_MAX messages in one call. **Returns** how many were
 * sent (>= 1; fewer: the next one is at fault, send again to hear why); -EMSGSIZE; -ECONNREFUSED: a
 * connected peer is not there. */
int skein_datagram_send(int handle, struct skein_datagram *messages, int message_count,
                        uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_datagram_recv - wait for one, take up to @message_count that are there. **Returns** how
 * many (>= 1); -ECONNREFUSED: what was sent to the connected peer found nobody. */
int skein_datagram_recv(int handle, struct skein_datagram *messages, int message_count,
                        uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_datagram_join - receive what is sent to multicast @group (the port does not count) on an
 * interface; 0: the system chooses. **Returns** 0; -EINVAL: no group; -ENODEV; -EADDRINUSE:
 * joined already. */
int skein_datagram_join(int handle, const struct skein_addr *group,
                        uint32_t interface_index) SKEIN_MUST_CHECK;
int skein_datagram_leave(int handle, const struct skein_addr *group,
                         uint32_t interface_index) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
