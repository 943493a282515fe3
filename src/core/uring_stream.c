/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/uring_internal.h"
#include "skein/error.h"

/* A stream with this much unread is received from no more, until it is empty. */
#define QUEUE_BYTES_MAX (32u << 10)
/* Room from which a receive into the caller's memory pays, and what it must bring to be repeated.
 */
#define DIRECT_ROOM_BYTES_MIN (16u << 10)
#define DIRECT_RESULT_BYTES_MIN (8u << 10)
/* Connections waiting to be taken, from which on no more are accepted: they wait in the kernel. */
#define ACCEPTED_COUNT_MAX 64u

static void
finish(struct uring *uring, struct backend_op *op, int64_t result)
{
    op->result = result;
    uring_set_done(uring, op);
}

static size_t
room_of(const struct backend_op *op)
{
    size_t room = 0;
    for (int v = 0; v < op->iov_count; v++)
        room += op->iov[v].iov_len;
    return room;
}

/* ---- what the kernel is asked for ---- */

static void
prepare_multishot(const struct uring_stream *stream, struct io_uring_sqe *sqe)
{
    if (stream->listens) {
        io_uring_prep_multishot_accept(sqe, stream->fd, NULL, NULL, SOCK_CLOEXEC);
        return;
    }
    io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
    buffers_select(sqe);
}

static void
request(struct uring *uring, struct uring_stream *stream, enum stream_state due,
        enum stream_state done)
{
    struct io_uring_sqe *sqe = uring_entry(uring);
    if (!sqe) {
        if (stream->state != due)
            list_push_back(&uring->due_streams, &stream->due_link);
        stream->state = due;
        return;
    }
    list_remove(&stream->due_link);
    stream->state = done;
    if (done == STREAM_ARMED) {
        prepare_multishot(stream, sqe);
        io_uring_sqe_set_data64(sqe, uring_tag(stream, TAG_STREAM));
        uring->armed_count++;
    } else {
        io_uring_prep_cancel64(sqe, uring_tag(stream, TAG_STREAM), 0);
        io_uring_sqe_set_data64(sqe, TAG_IGNORED);
    }
}

static void
arm(struct uring *uring, struct uring_stream *stream)
{
    request(uring, stream, STREAM_ARM_DUE, STREAM_ARMED);
}

static void
stop(struct uring *uring, struct uring_stream *stream)
{
    request(uring, stream, STREAM_STOP_DUE, STREAM_STOPPING);
}

void
stream_flush_due(struct uring *uring)
{
    size_t room = io_uring_sq_space_left(&uring->ring);
    for (; room > 0 && !list_is_empty(&uring->due_streams); room--) {
        struct uring_stream *stream =
            LIST_ENTRY(uring->due_streams.next, struct uring_stream, due_link);
        if (stream->state == STREAM_ARM_DUE)
            arm(uring, stream);
        else
            stop(uring, stream);
    }
}

static bool
wants_direct(const struct uring *uring, const struct uring_stream *stream,
             const struct backend_op *op)
{
    if (stream->single || stream->listens)
        return stream->single;
    if (uring->buffers.held_count == uring->buffers.count)
        return true;
    return stream->bulk && room_of(op) >= DIRECT_ROOM_BYTES_MIN;
}

static bool
has_some(const struct uring_stream *stream)
{
    return stream->queue.count > 0 || stream->ended ||
           (stream->listens && stream->accepted_count > 0);
}

static bool
is_full(const struct uring_stream *stream)
{
    return stream->queue.bytes >= QUEUE_BYTES_MAX ||
           (stream->listens && stream->accepted_count >= ACCEPTED_COUNT_MAX);
}

/* Give the waiters what there is, and ask the kernel for more if it does not suffice. */
static void
pump(struct uring *uring, struct uring_stream *stream)
{
    while (!list_is_empty(&stream->waiters) && has_some(stream)) {
        struct backend_op *op =
            LIST_ENTRY(list_pop_front(&stream->waiters), struct backend_op, link);
        finish(uring, op, stream_take(uring, stream, op));
    }
    if (stream->state == STREAM_ARMED && is_full(stream)) {
        stream->bulk = true;
        stop(uring, stream);
    }
    if (stream->state != STREAM_IDLE || list_is_empty(&stream->waiters))
        return;
    struct backend_op *op = LIST_ENTRY(stream->waiters.next, struct backend_op, link);
    if (!wants_direct(uring, stream, op)) {
        arm(uring, stream);
        return;
    }
    list_remove(&op->link);
    stream->state = STREAM_DIRECT;
    stream->direct = op;
    uring_submit_to_ring(uring, op);
}

/* ---- one stream for each socket ---- */

static int
option_of(int fd, int name)
{
    int value;
    socklen_t bytes = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
}

/* Whether @op is what a socket of this kind is for; else the kernel says what is wrong with it. */
static bool
suits(const struct backend_op *op)
{
    if (op->kind == BACKEND_ACCEPT)
        return option_of(op->handle, SO_ACCEPTCONN) == 1;
    return op->kind == BACKEND_RECV && option_of(op->handle, SO_TYPE) == SOCK_STREAM &&
           option_of(op->handle, SO_ACCEPTCONN) == 0;
}

static struct uring_stream *
find(struct uring *uring, int fd)
{
    return fd >= 0 && (size_t)fd < uring->stream_capacity ? uring->streams[fd] : NULL;
}

static void
make_room(struct uring *uring, int fd)
{
    size_t capacity = uring->stream_capacity ? uring->stream_capacity : 64;
    while (capacity <= (size_t)fd)
        capacity *= 2;
    if (capacity == uring->stream_capacity)
        return;
    uring->streams = mem_realloc(uring->streams, capacity * sizeof(uring->streams[0]));
    memset(uring->streams + uring->stream_capacity, 0,
           (capacity - uring->stream_capacity) * sizeof(uring->streams[0]));
    uring->stream_capacity = capacity;
}

static bool
buffers_ready(struct uring *uring)
{
    if (uring->multishot && !uring->buffers.ring && buffers_open(&uring->buffers, &uring->ring) < 0)
        uring->multishot = false;
    return uring->multishot;
}

static struct uring_stream *
find_or_open(struct uring *uring, const struct backend_op *op)
{
    int fd = op->handle;
    struct uring_stream *stream = find(uring, fd);
    if (stream || !buffers_ready(uring) || !suits(op))
        return stream;
    stream = mem_alloc_aligned(URING_LINE_BYTES, sizeof(*stream));
    *stream = (struct uring_stream){.listens = op->kind == BACKEND_ACCEPT, .fd = fd};
    list_init(&stream->waiters);
    make_room(uring, fd);
    uring->streams[fd] = stream;
    return stream;
}

static void
drop_accepted(struct uring_stream *stream)
{
    for (size_t i = 0; i < stream->accepted_count; i++)
        close(stream->accepted[stream->accepted_first + i]);
    mem_free(stream->accepted);
    stream->accepted = NULL;
    stream->accepted_first = stream->accepted_count = stream->accepted_capacity = 0;
}

static void
close_when_idle(struct uring *uring, struct uring_stream *stream)
{
    if (stream->state != STREAM_IDLE || !stream->close_done)
        return;
    uring_set_done(uring, stream->close);
    drop_accepted(stream);
    mem_free(stream);
}

/* ---- what the ring calls ---- */

/* A wait for input is right for both kinds. */
static bool
takes(const struct uring_stream *stream, const struct backend_op *op)
{
    return op->kind == BACKEND_POLL || stream->listens == (op->kind == BACKEND_ACCEPT);
}

bool
stream_submit(struct uring *uring, struct backend_op *op)
{
    struct uring_stream *stream = find_or_open(uring, op);
    if (!stream || !takes(stream, op))
        return false;
    struct uring_op *mine = uring_op_of(op);
    mine->place = URING_STREAM;
    mine->stream = stream;
    list_push_back(&stream->waiters, &op->link);
    pump(uring, stream);
    return true;
}

bool
stream_has(struct uring *uring, const struct backend_op *op)
{
    const struct uring_stream *stream = find(uring, op->handle);
    return stream && takes(stream, op) && list_is_empty(&stream->waiters) &&
           stream->state != STREAM_DIRECT && has_some(stream);
}

static int
take_accepted(struct uring_stream *stream, struct backend_op *op)
{
    int fd = stream->accepted[stream->accepted_first++];
    if (--stream->accepted_count == 0)
        stream->accepted_first = 0;
    plain_peer(fd, op);
    return fd;
}

int64_t
stream_take(struct uring *uring, struct uring_stream *stream, struct backend_op *op)
{
    if (op->kind == BACKEND_POLL)
        return 0;
    if (stream->listens && stream->accepted_count > 0)
        return take_accepted(stream, op);
    if (stream->queue.count > 0)
        return (int64_t)buffers_take(&uring->buffers, &stream->queue, op->iov, op->iov_count);
    skein_assert(stream->ended);
    int result = stream->end_result;
    if (result < 0) { /* told once; what then comes is the kernel's to say */
        stream->ended = false;
        stream->end_result = 0;
    }
    return result;
}

int64_t
stream_take_of(struct uring *uring, struct backend_op *op)
{
    return stream_take(uring, find(uring, op->handle), op);
}

static void
push_accepted(struct uring_stream *stream, int fd)
{
    size_t used = stream->accepted_first + stream->accepted_count;
    if (used == stream->accepted_capacity && stream->accepted_first > 0) {
        memmove(stream->accepted, stream->accepted + stream->accepted_first,
                stream->accepted_count * sizeof(int));
        stream->accepted_first = 0;
        used = stream->accepted_count;
    }
    mem_grow(&stream->accepted, &stream->accepted_capacity, used, sizeof(int));
    stream->accepted[used] = fd;
    stream->accepted_count++;
}

/* The kernel has ended the request. */
static void
on_end(struct uring *uring, struct uring_stream *stream, int result)
{
    skein_assert(uring->armed_count > 0);
    uring->armed_count--;
    list_remove(&stream->due_link);
    stream->state = STREAM_IDLE;
    if (result == -ENOBUFS && !stream->listens) {
        buffers_grow(&uring->buffers);
    } else if (result == -EINVAL || result == -EOPNOTSUPP) {
        stream->single = true; /* one by one; if the call is wrong in itself, that will say so */
    } else if (stream->listens) {
        /* No descriptors, mostly: for whoever waits now. Later it may be different. */
        stream->ended = result < 0 && result != -ECANCELED && !list_is_empty(&stream->waiters);
        stream->end_result = stream->ended ? result : 0;
    } else if (result <= 0 && result != -ECANCELED && result != -EINTR) {
        stream->ended = true;
        stream->end_result = result;
    }
}

void
stream_on_completion(struct uring *uring, struct uring_stream *stream, int result, unsigned flags)
{
    if (flags & IORING_CQE_F_BUFFER)
        buffers_push(&uring->buffers, &stream->queue, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT),
                     result > 0 ? (uint32_t)result : 0);
    gather_count(&uring->gather, &stream->window);
    if (stream->listens && result >= 0)
        push_accepted(stream, result);
    if (!(flags & IORING_CQE_F_MORE))
        on_end(uring, stream, result);
    if (stream->close) {
        buffers_drop(&uring->buffers, &stream->queue);
        close_when_idle(uring, stream);
        return;
    }
    pump(uring, stream);
}

void
stream_on_direct(struct uring *uring, struct uring_stream *stream, struct backend_op *op)
{
    skein_assert(stream->direct == op);
    stream->direct = NULL;
    stream->state = STREAM_IDLE;
    stream->bulk = !stream->listens && op->result >= (int64_t)DIRECT_RESULT_BYTES_MIN;
    if (stream->close) {
        if (op->result == -SKEIN_ECANCELED)
            op->result = -ECONNRESET;
        close_when_idle(uring, stream);
        return;
    }
    pump(uring, stream);
}

void
stream_submit_close(struct uring *uring, struct backend_op *op)
{
    struct uring_stream *stream = find(uring, op->handle);
    if (!stream)
        return;
    uring->streams[op->handle] = NULL; /* the number may come back before this is over */
    stream->close = op;
    uring_op_of(op)->stream = stream;
    buffers_drop(&uring->buffers, &stream->queue);
    while (!list_is_empty(&stream->waiters))
        finish(uring, LIST_ENTRY(list_pop_front(&stream->waiters), struct backend_op, link),
               -ECONNRESET);
    if (stream->state == STREAM_ARM_DUE) {
        list_remove(&stream->due_link);
        stream->state = STREAM_IDLE;
    } else if (stream->state == STREAM_ARMED) {
        stop(uring, stream);
    } else if (stream->state == STREAM_DIRECT) {
        uring_cancel(uring, stream->direct);
    }
}

void
stream_on_close(struct uring *uring, struct backend_op *op)
{
    struct uring_stream *stream = uring_op_of(op)->stream;
    stream->close_done = true;
    close_when_idle(uring, stream);
}

void
stream_stop_all(struct uring *uring)
{
    for (size_t fd = 0; fd < uring->stream_capacity; fd++) {
        struct uring_stream *stream = uring->streams[fd];
        if (stream && stream->state == STREAM_ARMED)
            stop(uring, stream);
    }
}

void
stream_free_all(struct uring *uring)
{
    skein_assert(uring->armed_count == 0);
    for (size_t fd = 0; fd < uring->stream_capacity; fd++) {
        if (uring->streams[fd])
            drop_accepted(uring->streams[fd]);
        mem_free(uring->streams[fd]);
    }
    mem_free(uring->streams);
    uring->streams = NULL;
    uring->stream_capacity = 0;
    buffers_deinit(&uring->buffers);
}
