/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_URING_INTERNAL_H
#define CORE_URING_INTERNAL_H

#include <liburing.h>

#include "core/backend.h"
#include "core/io_helper.h"
#include "core/io_plain.h"

/*
 * The parts of the io_uring backend.
 *
 *   submit --> prepare (uring_prepare.c) --> ring     --> finish (uring_prepare.c) --+
 *          \-> at once: listen, local, lock ----------------------------------------+--> done list
 *          \-> helper threads (io_helper.c): list, stat, truncate, work ------------+      |
 *                                                                       complete, from wait()
 * An op without room in the submission queue waits on `waiting`.
 *
 * Receives on stream sockets go through a stream (uring_stream.c): one multishot receive in the
 * kernel for as long as the connection lives, which fills buffers of a ring (uring_buffers.c); a
 * receive op copies out of them, most often without any wait.
 *
 *   IDLE --a receive waits--> ARMED --more than 32 KiB unread--> STOPPING --> IDLE
 *     ^  \--bulk, or no buffer left: DIRECT (into the caller's memory) --------^
 *     +-- the kernel ended it: end of the stream, an error, no buffer
 *
 * Accepts on listeners go the same way: one multishot accept, and the connections that nobody has
 * taken yet in a queue.
 *
 * Bounds: a stream holds at most what the kernel delivers until it has been stopped; all together
 * hold at most the ring of buffers; without a buffer a receive is direct, so nobody starves because
 * others do not read.
 */

enum uring_place {
    URING_NOWHERE,
    URING_WAITING,
    URING_RING,
    URING_STREAM, /* a receive in its stream's queue */
    URING_HELPER,
    URING_DONE
};

/* Completions are told apart by the low bits of their user data; the rest is an address. */
#define TAG_IGNORED 0ull
#define TAG_OP 1ull
#define TAG_STREAM 2ull
#define TAG_EVENT 3ull
#define TAG_MASK 7ull

/* Lives in op->scratch. */
struct uring_op {
    struct uring_stream *stream; /* receive, close: of the handle; NULL: none */
    int fd;                      /* connect: the socket being connected; -1: none */
    enum uring_place place;
    bool cancel_asked;
    bool without_direct; /* open: O_DIRECT was refused */
    socklen_t peer_bytes;
    /* From here on set where they are used. */
    struct msghdr message;
    union plain_sockaddr peer;
};

_Static_assert(sizeof(struct uring_op) <= sizeof(((struct backend_op *)0)->scratch),
               "fits scratch");

#define URING_BUFFER_BYTES 4096u
/* From one buffer to the next: a line more, else the short messages that begin them would all
 * compete for the same few sets of a cache. */
#define URING_BUFFER_STRIDE (URING_BUFFER_BYTES + 64u)
#define URING_BUFFER_COUNT_MAX 1024u

/* A received buffer's unread bytes: [begin, bytes). */
struct uring_part {
    uint32_t begin;
    uint32_t bytes;
    uint16_t next;
};

/* Received buffers in order. */
struct uring_queue {
    uint16_t first, last;
    uint32_t count;
    size_t bytes;
};

/* The buffers lent to the kernel: few at first, twice as many whenever they did not suffice. */
struct uring_buffers {
    struct io_uring_buf_ring *ring; /* NULL: not opened */
    char *memory;
    unsigned count;
    unsigned held_count; /* in queues */
    struct uring_part parts[URING_BUFFER_COUNT_MAX];
};

enum stream_state {
    STREAM_IDLE,
    STREAM_ARM_DUE, /* when a submission entry is free; so STOP_DUE */
    STREAM_ARMED,
    STREAM_STOP_DUE,
    STREAM_STOPPING,
    STREAM_DIRECT
};

/*
 * Gathering. A shard that many connections keep busy would sleep and wake for every few of them: a
 * wake-up costs as much as a request. So while many streams are busy a sleep goes on until several
 * completions are there, or for gather_ns. With few busy streams, as with one client that waits for
 * each answer, it ends with the first completion.
 */
struct uring_gather {
    uint64_t gather_ns; /* SKEIN_GATHER_NEVER: do not */
    uint64_t begun_ns;  /* of the current window */
    uint64_t window;
    unsigned busy_count; /* streams on which something came in this window */
    unsigned wanted;     /* completions, by the last window; 0 and 1: do not gather */
};

/* What each completion touches comes first and fills a line of the cache. */
struct uring_stream {
    struct skein_list waiters; /* receives, in order */
    struct uring_queue queue;
    uint64_t window;          /* gather_count's */
    struct backend_op *close; /* not NULL: the handle is another's */
    enum stream_state state;
    int fd;
    bool listens; /* a listener: what it receives are connections */
    bool single;  /* the kernel refused the multishot request for this socket */
    bool bulk;    /* it brings more than the buffers are for */
    bool ended;
    bool close_done;
    struct skein_list due_link;
    struct backend_op *direct; /* under way by itself */
    int *accepted;             /* connections nobody has taken yet: [first .. first + count) */
    size_t accepted_first, accepted_count, accepted_capacity;
    int end_result; /* 0: the peer's end; -errno */
};

#define URING_LINE_BYTES 64
_Static_assert(offsetof(struct uring_stream, due_link) == URING_LINE_BYTES, "fills a line");

struct uring {
    struct backend base;
    uint64_t magic;
    struct io_uring ring;
    struct skein_list waiting;     /* no submission entry was free */
    struct skein_list done;        /* complete, to be delivered by wait */
    struct skein_list uncancelled; /* in the ring; the cancel request found no entry */
    uint64_t op_count;             /* submitted and not yet completed */
    int event_fd;
    uint64_t event_value;
    bool event_armed;
    bool event_due;                /* to be armed when an entry is free */
    struct uring_stream **streams; /* by descriptor */
    size_t stream_capacity;
    struct skein_list due_streams; /* ARM_DUE, STOP_DUE */
    size_t armed_count;            /* streams for which a final completion will come */
    struct uring_buffers buffers;
    struct uring_gather gather;
    bool multishot;        /* the kernel can receive that way, as far as is known */
    unsigned inline_count; /* ops done by try_now since the last wait; so bytes */
    size_t inline_bytes;
    unsigned disk_count; /* disk ops prepared since the last wait */
    struct helper_pool helpers;
    void *signal_stack;
};

static inline struct uring_op *
uring_op_of(struct backend_op *op)
{
    return (struct uring_op *)(void *)op->scratch;
}

static inline uint64_t
uring_tag(const void *address, uint64_t tag)
{
    return (uint64_t)(uintptr_t)address | tag;
}

/* ---- uring.c ---- */
/* uring_entry - a free submission entry; NULL: the ring takes no more now. */
struct io_uring_sqe *uring_entry(struct uring *uring);
void uring_submit_to_ring(struct uring *uring, struct backend_op *op);
/* uring_set_done - @op->result stands; complete is called by the next wait. */
void uring_set_done(struct uring *uring, struct backend_op *op);
void uring_cancel(struct uring *uring, struct backend_op *op);

/* ---- uring_buffers.c ---- */
/* buffers_open - **Returns** 0; -errno: the kernel takes no ring of buffers. */
int buffers_open(struct uring_buffers *buffers, struct io_uring *ring) SKEIN_MUST_CHECK;
void buffers_deinit(struct uring_buffers *buffers);
/* buffers_grow - lend the kernel twice as many, up to URING_BUFFER_COUNT_MAX. */
void buffers_grow(struct uring_buffers *buffers);
/* buffers_select - @sqe takes its memory from the ring. */
void buffers_select(struct io_uring_sqe *sqe);
/* buffers_push - buffer @id came back with @bytes. */
void buffers_push(struct uring_buffers *buffers, struct uring_queue *queue, uint16_t id,
                  uint32_t bytes);
/* buffers_take - copy out of the queue, oldest first; emptied buffers go back to the kernel. */
size_t buffers_take(struct uring_buffers *buffers, struct uring_queue *queue,
                    const struct iovec *iov, int iov_count);
void buffers_drop(struct uring_buffers *buffers, struct uring_queue *queue);

/* ---- uring_gather.c ---- */
void gather_open(struct uring_gather *gather);
/* gather_count - something came on the stream whose mark @window is. */
void gather_count(struct uring_gather *gather, uint64_t *window);
/* gather_wanted - before a sleep: completions to wait for, up to gather_ns; below 2: any. */
unsigned gather_wanted(struct uring_gather *gather, uint64_t now_ns);

/* ---- uring_stream.c ---- */
/* stream_submit - a receive, an accept, a wait for input. Returns false: not a stream's; it goes to
 * the ring. */
bool stream_submit(struct uring *uring, struct backend_op *op);
/* stream_has - whether @op, a receive or an accept, has a result now; then stream_take_of yields
 * it.
 */
bool stream_has(struct uring *uring, const struct backend_op *op);
int64_t stream_take(struct uring *uring, struct uring_stream *stream, struct backend_op *op);
int64_t stream_take_of(struct uring *uring, struct backend_op *op);
/* The completion of a multishot receive, of a direct one (its result stands), of a close. */
void stream_on_completion(struct uring *uring, struct uring_stream *stream, int result,
                          unsigned flags);
void stream_on_direct(struct uring *uring, struct uring_stream *stream, struct backend_op *op);
void stream_on_close(struct uring *uring, struct backend_op *op);
/* stream_submit_close - before the close itself: what the kernel still receives is stopped. */
void stream_submit_close(struct uring *uring, struct backend_op *op);
void stream_flush_due(struct uring *uring);
void stream_stop_all(struct uring *uring);
void stream_free_all(struct uring *uring);

/* ---- uring_prepare.c ---- */
/* uring_prepare - fill @sqe for @op, user data included. **Returns** 0, or -errno: not for the
 * ring. */
int uring_prepare(struct io_uring_sqe *sqe, struct backend_op *op) SKEIN_MUST_CHECK;
/* uring_finish - turn the kernel's @result into the op's. Returns false: submit it once more. */
bool uring_finish(struct backend_op *op, int result);

#endif
