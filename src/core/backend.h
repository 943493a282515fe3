/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_BACKEND_H
#define CORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/list.h"
#include "skein/file.h"
#include "skein/net.h"
#include "skein/socket.h"

/*
 * The seam between a shard and the world: time, entropy, files, sockets, wake-ups and work handed
 * to helper threads. There is nothing else: no layer above asks the operating system for any of
 * these. Implementations: core/uring (io_uring), core/epoll and core/poll (helper threads for
 * files), and sim/ (virtual time, a faulty disk and network). The shard does not know which is
 * behind it.
 *
 *      fiber       core/io_*.c             backend
 *        |  skein_file_pread ->  |  submit(op)  ->   |   op belongs to the backend
 *        |  (parked)      |                   |   ... kernel, helper thread or simulated world ...
 *        |                |  <- complete(op)  |   from within wait(), on the shard's thread
 *        |  <- result     |                   |   op and its buffers belong to the caller again
 *
 * Rules
 *  - An op is submitted once and completed exactly once; op->complete is called from wait() (or, in
 *    the simulator, when an event of this node is delivered), never from submit or cancel.
 *  - Every buffer, path and vector an op names stays valid and untouched until it is complete, also
 *    after cancel: cancel asks; the final completion answers (-SKEIN_ECANCELED, or the result, if
 *    that came first: a result beats a cancel).
 *  - A descriptor that an accept, connect or open yields belongs to whoever completes the op.
 *  - A handle that was received from is closed by BACKEND_CLOSE only, and stays on this backend: it
 *    may have read ahead. Receives and accepts that still wait end with -ECONNRESET.
 *  - Errors are -errno. `handle` is an opaque small integer, valid in this process: a handle that
 *    has no op under way and was never received or accepted from may move to another shard.
 *
 * One shard, one backend, one thread. Only `wake` may be called from any thread.
 */

enum backend_op_kind {
    /* files */
    BACKEND_OPEN,     /* path, flags, mode -> handle */
    BACKEND_CLOSE,    /* handle; also sockets */
    BACKEND_READ,     /* handle, iov, iov_count, offset -> bytes, 0 at the end */
    BACKEND_WRITE,    /* handle, iov, iov_count, offset, flags (SKEIN_FILE_DSYNC) -> bytes, may be
                       * short
                       */
    BACKEND_SYNC,     /* handle, flags (SKEIN_FILE_DATA_ONLY) */
    BACKEND_ALLOCATE, /* handle, offset, bytes: reserve space, the file grows; flags: one of
                       * SKEIN_FILE_RESERVE, _PUNCH, _ZERO, or 0
                       */
    BACKEND_TRUNCATE, /* handle, bytes */
    BACKEND_STAT,     /* path, or handle when that is NULL -> stat */
    BACKEND_RENAME,   /* path, path2: replaces path2 atomically */
    BACKEND_UNLINK,   /* path; flags SKEIN_FILE_DIRECTORY: an empty directory */
    BACKEND_MKDIR,    /* path, mode */
    BACKEND_LIST,     /* path -> names (see struct skein_names) */
    BACKEND_LOCK, /* handle: exclusive advisory lock held until close; -EWOULDBLOCK when taken */
    /* sockets */
    /* unix_addr, where not NULL, stands in for addr, also in results. */
    BACKEND_LISTEN,   /* addr, backlog, options, flags (BACKEND_REPLACE_STALE) -> handle; port 0
                       * picks a free one
                       */
    BACKEND_LOCAL,    /* handle -> addr: the local address of a socket */
    BACKEND_ACCEPT,   /* handle -> handle; addr: the peer's */
    BACKEND_CONNECT,  /* addr, options -> handle */
    BACKEND_RECV,     /* handle, iov, iov_count -> bytes, 0 at the end */
    BACKEND_SEND,     /* handle, iov, iov_count -> bytes, may be short */
    BACKEND_SHUTDOWN, /* handle: no more sends; the peer reads the end */
    /* Sockets, by a call that never waits (real backends: core/socket_call.h). */
    BACKEND_SET_OPTIONS,   /* handle, options */
    BACKEND_GET_OPTION,    /* handle, options[0].name -> options[0].value */
    BACKEND_PEER,          /* handle -> addr */
    BACKEND_CREDENTIALS,   /* handle -> credentials */
    BACKEND_DATAGRAM,      /* addr: the local one, options, peer -> handle */
    BACKEND_JOIN,          /* handle, addr: the group, mode: interface */
    BACKEND_LEAVE,         /* likewise */
    BACKEND_SEND_MESSAGES, /* handle, messages -> how many; -EAGAIN: none now */
    BACKEND_RECV_MESSAGES, /* handle, messages -> how many; -EAGAIN: none now */
    /* helper threads */
    BACKEND_WORK, /* work(work_arg) on a helper thread -> what it returned */
    /* any descriptor */
    BACKEND_POLL, /* handle, flags (SKEIN_READABLE, SKEIN_WRITABLE) -> 0: it is one of them, has
                   * failed or hung up
                   */
    /* files again */
    BACKEND_ALIGNMENT,    /* handle -> alignment */
    BACKEND_SEND_FILE,    /* handle: a socket, source, offset, bytes -> how many were sent */
    BACKEND_MAP,          /* handle, offset, bytes, flags (SKEIN_FILE_RDWR) -> iov[0].iov_base */
    BACKEND_WATCH_OPEN,   /* -> handle, to be polled for events */
    BACKEND_WATCH_ADD,    /* handle, path, flags (SKEIN_WATCH_...) -> the watch's number */
    BACKEND_WATCH_REMOVE, /* handle, offset: the watch's number */
    BACKEND_WATCH_READ    /* handle, iov[0] -> bytes of struct inotify_event; -EAGAIN: none now */
};

/* SEND_FILE and MAP are refused with -EOPNOTSUPP where there is no such thing (the simulator, some
 * file systems): the caller copies. */

/* Flag of LISTEN: a Unix socket's file that nobody listens on is replaced. */
#define BACKEND_REPLACE_STALE 1u

struct backend_op {
    /* What a receive and a send need: one line of the cache, and backend_op_init sets no more. */
    enum backend_op_kind kind;
    int handle;
    uint32_t flags;
    int iov_count;
    struct iovec *iov; /* not changed by the backend */
    int64_t result;    /* set before complete is called */
    void (*complete)(struct backend_op *op);
    void *waiter; /* the submitter's */
    /* The backend's own, from submit to completion. */
    struct skein_list link;
    uint64_t scratch[32];

    int source;
    uint32_t mode;
    const char *path;
    const char *path2;
    uint64_t offset;
    uint64_t bytes;
    struct skein_addr addr;
    int backlog;
    struct skein_unix_addr *unix_addr;
    const struct skein_endpoint *peer; /* NULL: none */
    struct skein_socket_option *options;
    int option_count;
    struct skein_datagram *messages;
    int message_count;
    struct skein_credentials *credentials;
    struct skein_stat *stat;
    struct skein_names *names;
    struct skein_file_alignment *alignment;
    int64_t (*work)(void *arg);
    void *work_arg;
};

_Static_assert(offsetof(struct backend_op, scratch) == 64, "one line of the cache");

/* backend_op_init - of a receive or a send, which name handle, iov and iov_count: no other field
 * is set, for they are too short to zero memory that nobody reads. Other kinds use an initialiser.
 */
static inline void
backend_op_init(struct backend_op *op, enum backend_op_kind kind, int handle)
{
    skein_assert_slow(kind == BACKEND_RECV || kind == BACKEND_SEND);
    memset(op, 0, offsetof(struct backend_op, scratch));
    op->kind = kind;
    op->handle = handle;
}

struct backend;

struct backend_ops {
    const char *name; /* "io_uring", "epoll", "poll", "sim" */
    /* Time stands still while code runs: nobody looks how long it takes. */
    bool virtual_time;
    /* Monotonic nanoseconds; never goes back. */
    uint64_t (*now_ns)(struct backend *backend);
    /* The same, but for the time that the machine was suspended, which counts here. */
    uint64_t (*boot_ns)(struct backend *backend);
    /* Nanoseconds since 1970, as the node believes; may jump. */
    uint64_t (*wall_ns)(struct backend *backend);
    void (*entropy)(struct backend *backend, void *data, size_t count);
    void (*submit)(struct backend *backend, struct backend_op *op);
    /*
     * Carry @op out now if that takes no waiting: then op->result is its result, it was never
     * submitted and complete is not called. Returns false: submit it. Between two waits a backend
     * does a bounded amount this way, so that fibers which find everything ready do not keep the
     * others from running. NULL: this backend submits everything.
     */
    bool (*try_now)(struct backend *backend, struct backend_op *op);
    /* Ask that a submitted op ends soon. Its completion still comes. */
    void (*cancel)(struct backend *backend, struct backend_op *op);
    /*
     * Hand submissions over, deliver completions; when there are none, sleep until one comes,
     * `wake` is called, or @deadline_ns. 0: do not sleep. Never called in the simulator.
     */
    void (*wait)(struct backend *backend, uint64_t deadline_ns);
    /* From any thread: make the current or next wait return. */
    void (*wake)(struct backend *backend);
    /* Every op is complete. NULL in the simulator: the world closes it. */
    void (*close)(struct backend *backend);
};

/* Every implementation begins with this. */
struct backend {
    const struct backend_ops *ops;
};

#endif
