/* SPDX-License-Identifier: Apache-2.0 */
#include "core/uring.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/overflow.h"
#include "core/uring_internal.h"
#include "skein/error.h"
#include "skein/shard.h"

#define URING_MAGIC 0x736b7572696e6731ull
#define URING_ENTRY_COUNT 1024
#define URING_COMPLETION_COUNT 4096

/* What try_now does between two waits; more waits its turn. */
#define INLINE_COUNT_MAX 1024u
#define INLINE_BYTES_MAX ((size_t)1 << 20)
/* A disk has nothing to do while ops for it wait for the turn to end: of those, the first is handed
 * over at once, and then each time so many are together. */
#define DISK_BATCH_COUNT 4u

static struct uring *
uring_of(struct backend *backend)
{
    struct uring *uring = (struct uring *)(void *)backend;
    skein_assert(uring->magic == URING_MAGIC);
    return uring;
}

static uint64_t
on_now_ns(struct backend *backend)
{
    return plain_monotonic_ns();
}

static uint64_t
on_boot_ns(struct backend *backend)
{
    return plain_boot_ns();
}

static uint64_t
on_wall_ns(struct backend *backend)
{
    return plain_wall_ns();
}

static void
on_entropy(struct backend *backend, void *data, size_t count)
{
    plain_entropy(data, count);
}

void
uring_set_done(struct uring *uring, struct backend_op *op)
{
    uring_op_of(op)->place = URING_DONE;
    list_push_back(&uring->done, &op->link);
}

/* Let the kernel begin with what has been prepared. */
static void
hand_over(struct uring *uring)
{
    int rc = io_uring_submit(&uring->ring);
    skein_assert(rc >= 0 || rc == -EBUSY || rc == -EAGAIN || rc == -EINTR || rc == -ENOMEM);
}

struct io_uring_sqe *
uring_entry(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (sqe)
        return sqe;
    hand_over(uring);
    return io_uring_get_sqe(&uring->ring);
}

static bool
is_for_disk(enum backend_op_kind kind)
{
    return kind == BACKEND_READ || kind == BACKEND_WRITE || kind == BACKEND_SYNC;
}

void
uring_submit_to_ring(struct uring *uring, struct backend_op *op)
{
    struct uring_op *mine = uring_op_of(op);
    struct io_uring_sqe *sqe = list_is_empty(&uring->waiting) ? uring_entry(uring) : NULL;
    if (!sqe) {
        mine->place = URING_WAITING;
        list_push_back(&uring->waiting, &op->link);
        return;
    }
    mine->place = URING_RING;
    int rc = uring_prepare(sqe, op);
    if (rc < 0) {
        op->result = rc;
        uring_set_done(uring, op);
    } else if (is_for_disk(op->kind) && uring->disk_count++ % DISK_BATCH_COUNT == 0) {
        hand_over(uring);
    }
}

/* What the ring cannot do, or does no better. */
static bool
is_for_helpers(enum backend_op_kind kind)
{
    return kind == BACKEND_LIST || kind == BACKEND_STAT || kind == BACKEND_TRUNCATE ||
           kind == BACKEND_WORK || kind == BACKEND_ALIGNMENT || kind == BACKEND_SEND_FILE ||
           kind == BACKEND_MAP || kind == BACKEND_WATCH_ADD;
}

static void
on_submit(struct backend *backend, struct backend_op *op)
{
    struct uring *uring = uring_of(backend);
    struct uring_op *mine = uring_op_of(op);
    skein_assert(op->complete != NULL);
    memset(mine, 0, offsetof(struct uring_op, message));
    mine->fd = -1;
    op->link = (struct skein_list){0};
    uring->op_count++;
    if (plain_at_once(op)) {
        uring_set_done(uring, op);
        return;
    }
    bool of_stream = op->kind == BACKEND_RECV || op->kind == BACKEND_ACCEPT ||
                     (op->kind == BACKEND_POLL && !(op->flags & SKEIN_WRITABLE));
    if (of_stream && stream_submit(uring, op))
        return;
    if (op->kind == BACKEND_CLOSE)
        stream_submit_close(uring, op);
    if (!is_for_helpers(op->kind)) {
        uring_submit_to_ring(uring, op);
        return;
    }
    mine->place = URING_HELPER;
    int rc = helper_submit(&uring->helpers, op);
    if (rc < 0) {
        op->result = rc;
        uring_set_done(uring, op);
    }
}

/* The kernel's answer, or ours in its place. */
static void
on_result(struct uring *uring, struct backend_op *op, int result)
{
    struct uring_op *mine = uring_op_of(op);
    bool closes = op->kind == BACKEND_CLOSE && mine->stream;
    bool direct = op->kind != BACKEND_CLOSE && mine->stream && mine->place != URING_STREAM;
    if (!uring_finish(op, result)) {
        uring_submit_to_ring(uring, op);
        return;
    }
    if (direct)
        stream_on_direct(uring, mine->stream, op);
    if (closes)
        stream_on_close(uring, op);
    else
        uring_set_done(uring, op);
}

static void
request_cancel(struct uring *uring, struct backend_op *op)
{
    struct io_uring_sqe *sqe = uring_entry(uring);
    if (!sqe) {
        list_push_back(&uring->uncancelled, &op->link);
        return;
    }
    io_uring_prep_cancel64(sqe, uring_tag(op, TAG_OP), 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORED);
}

void
uring_cancel(struct uring *uring, struct backend_op *op)
{
    struct uring_op *mine = uring_op_of(op);
    if (mine->cancel_asked)
        return;
    mine->cancel_asked = true;
    if (mine->place == URING_RING) {
        request_cancel(uring, op);
    } else if (mine->place == URING_WAITING || mine->place == URING_STREAM) {
        list_remove(&op->link);
        on_result(uring, op, -ECANCELED);
    }
}

static void
on_cancel(struct backend *backend, struct backend_op *op)
{
    uring_cancel(uring_of(backend), op);
}

static void
arm_event(struct uring *uring)
{
    struct io_uring_sqe *sqe = uring_entry(uring);
    uring->event_due = sqe == NULL;
    if (!sqe)
        return;
    io_uring_prep_read(sqe, uring->event_fd, &uring->event_value, sizeof(uring->event_value), 0);
    io_uring_sqe_set_data64(sqe, TAG_EVENT);
    uring->event_armed = true;
}

/* What found no room in the submission queue earlier. */
static void
flush_waiting(struct uring *uring)
{
    if (uring->event_due)
        arm_event(uring);
    stream_flush_due(uring);
    size_t room = io_uring_sq_space_left(&uring->ring);
    for (; room > 0 && !list_is_empty(&uring->uncancelled); room--)
        request_cancel(uring,
                       LIST_ENTRY(list_pop_front(&uring->uncancelled), struct backend_op, link));
    for (; room > 0 && !list_is_empty(&uring->waiting); room--) {
        struct backend_op *op =
            LIST_ENTRY(list_pop_front(&uring->waiting), struct backend_op, link);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
        skein_assert(sqe != NULL);
        uring_op_of(op)->place = URING_RING;
        int rc = uring_prepare(sqe, op);
        if (rc < 0) {
            op->result = rc;
            uring_set_done(uring, op);
        }
    }
}

static void
on_completion(struct uring *uring, uint64_t data, int result, unsigned flags)
{
    void *address = (void *)(uintptr_t)(data & ~TAG_MASK);
    uint64_t tag = data & TAG_MASK;
    if (tag == TAG_EVENT) {
        uring->event_armed = false;
        uring->event_due = true;
        helper_collect(&uring->helpers, &uring->done);
    } else if (tag == TAG_STREAM) {
        stream_on_completion(uring, address, result, flags);
    } else if (tag == TAG_OP) {
        struct backend_op *op = address;
        skein_assert(uring_op_of(op)->place == URING_RING);
        list_remove(&op->link); /* from `uncancelled` */
        on_result(uring, op, result);
    }
}

static const struct io_uring_cqe *
completion_ahead(const struct uring *uring, unsigned count)
{
    const struct io_uring_cq *cq = &uring->ring.cq;
    return &cq->cqes[(*cq->khead + count) & cq->ring_mask];
}

/* With a thousand connections nothing of a completion's is in the nearest cache: the stream of the
 * one after the next but one is fetched, and the op that waits in the stream of the next but one,
 * whose completion has not been looked at yet, so that the stream is there. */
static void
prefetch_ahead(const struct uring *uring)
{
    unsigned ready = io_uring_cq_ready(&uring->ring);
    if (ready > 4)
        __builtin_prefetch((void *)(uintptr_t)(completion_ahead(uring, 4)->user_data & ~TAG_MASK));
    if (ready <= 2)
        return;
    uint64_t data = completion_ahead(uring, 2)->user_data;
    if ((data & TAG_MASK) != TAG_STREAM)
        return;
    const struct uring_stream *stream = (void *)(uintptr_t)(data & ~TAG_MASK);
    const struct backend_op *op = LIST_ENTRY(stream->waiters.next, struct backend_op, link);
    __builtin_prefetch(op, 1);
    __builtin_prefetch(&op->link, 1);
}

static void
reap(struct uring *uring)
{
    struct io_uring_cqe *cqe;
    while (io_uring_peek_cqe(&uring->ring, &cqe) == 0 && cqe) {
        uint64_t data = cqe->user_data;
        int result = cqe->res;
        unsigned flags = cqe->flags;
        io_uring_cqe_seen(&uring->ring, cqe);
        prefetch_ahead(uring);
        on_completion(uring, data, result, flags);
    }
}

/* Deliver what is complete now; what completes through that waits for the next turn. */
static void
deliver(struct uring *uring)
{
    struct skein_list *last = uring->done.prev;
    struct skein_list *link;
    do {
        link = list_pop_front(&uring->done);
        if (!link)
            break;
        struct backend_op *op = LIST_ENTRY(link, struct backend_op, link);
        uring_op_of(op)->place = URING_NOWHERE;
        skein_assert(uring->op_count > 0);
        uring->op_count--;
        if (!list_is_empty(&uring->done)) {
            const char *waiter = LIST_ENTRY(uring->done.next, struct backend_op, link)->waiter;
            __builtin_prefetch(waiter, 1);
            __builtin_prefetch(waiter + 64, 1);
        }
        op->complete(op);
    } while (link != last);
}

static bool
enter_is_idle(const struct uring *uring)
{
    unsigned flags = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
    bool flagged = uring->ring.flags & IORING_SETUP_TASKRUN_FLAG;
    return flagged && io_uring_sq_ready(&uring->ring) == 0 &&
           !(IO_URING_READ_ONCE(*uring->ring.sq.kflags) & flags);
}

static void
check_entered(int rc)
{
    skein_assert(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN ||
                 rc == -ENOMEM);
}

/* Sleep until @wanted completions are there, or for @left_ns. */
static void
sleep_for(struct uring *uring, unsigned wanted, uint64_t left_ns)
{
    struct __kernel_timespec ts = {.tv_sec = (int64_t)(left_ns / 1000000000u),
                                   .tv_nsec = (long long)(left_ns % 1000000000u)};
    struct io_uring_cqe *cqe;
    check_entered(io_uring_submit_and_wait_timeout(&uring->ring, &cqe, wanted, &ts, NULL));
}

static void
enter_asleep(struct uring *uring, uint64_t deadline_ns)
{
    uint64_t now_ns = on_now_ns(&uring->base);
    unsigned wanted = gather_wanted(&uring->gather, now_ns);
    if (wanted > 1 && deadline_ns > now_ns + uring->gather.gather_ns) {
        sleep_for(uring, wanted, uring->gather.gather_ns);
        if (io_uring_cq_ready(&uring->ring) > 0)
            return;
    }
    if (deadline_ns == SKEIN_NEVER)
        check_entered(io_uring_submit_and_wait(&uring->ring, 1));
    else
        sleep_for(uring, 1, deadline_ns > now_ns ? deadline_ns - now_ns : 0);
}

static void
on_wait(struct backend *backend, uint64_t deadline_ns)
{
    struct uring *uring = uring_of(backend);
    flush_waiting(uring);
    uring->inline_count = 0;
    uring->inline_bytes = 0;
    uring->disk_count = 0;
    bool sleep = list_is_empty(&uring->done) && list_is_empty(&uring->waiting) &&
                 list_is_empty(&uring->due_streams);
    if (sleep && deadline_ns != 0)
        enter_asleep(uring, deadline_ns);
    else if (!enter_is_idle(uring))
        check_entered(io_uring_submit_and_get_events(&uring->ring));
    reap(uring);
    deliver(uring);
}

static bool
on_try_now(struct backend *backend, struct backend_op *op)
{
    struct uring *uring = uring_of(backend);
    if (uring->inline_count >= INLINE_COUNT_MAX || uring->inline_bytes >= INLINE_BYTES_MAX)
        return false;
    if (op->kind == BACKEND_RECV || op->kind == BACKEND_ACCEPT) {
        if (!stream_has(uring, op))
            return false;
        op->result = stream_take_of(uring, op);
    } else if (op->kind == BACKEND_SEND) {
        op->result = plain_send_now(op);
        if (op->result == -EAGAIN)
            return false;
    } else {
        return plain_at_once(op);
    }
    uring->inline_count++;
    uring->inline_bytes += op->result > 0 ? (size_t)op->result : 0;
    return true;
}

static void
on_wake(struct backend *backend)
{
    const struct uring *uring = (struct uring *)(void *)backend;
    helper_announce(uring->event_fd);
}

static const struct backend_ops uring_ops = {
    .name = "io_uring",
    .now_ns = on_now_ns,
    .boot_ns = on_boot_ns,
    .wall_ns = on_wall_ns,
    .entropy = on_entropy,
    .submit = on_submit,
    .try_now = on_try_now,
    .cancel = on_cancel,
    .wait = on_wait,
    .wake = on_wake,
    .close = uring_close,
};

/* The best the kernel has; -EINVAL means that it does not know a flag. */
static int
open_ring(struct io_uring *ring)
{
    static const unsigned attempts[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
            IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
            IORING_SETUP_CQSIZE,
        IORING_SETUP_CQSIZE,
    };
    int rc = -EINVAL;
    for (size_t i = 0; i < BASE_COUNT_OF(attempts) && rc == -EINVAL; i++) {
        struct io_uring_params params = {.flags = attempts[i],
                                         .cq_entries = URING_COMPLETION_COUNT};
        rc = io_uring_queue_init_params(URING_ENTRY_COUNT, ring, &params);
    }
    if (rc < 0)
        return rc == -EINVAL ? -ENOSYS : rc;
    if (!(ring->features & IORING_FEAT_EXT_ARG) || !(ring->features & IORING_FEAT_NODROP)) {
        io_uring_queue_exit(ring);
        return -ENOSYS;
    }
    rc = io_uring_register_ring_fd(ring);
    (void)rc; /* saves a look-up on each entry; older kernels do without */
    return 0;
}

int
uring_open(struct backend **out_backend, unsigned helper_count)
{
    struct io_uring ring;
    int rc = open_ring(&ring);
    if (rc < 0)
        return rc;
    int event_fd = eventfd(0, EFD_CLOEXEC);
    if (event_fd < 0) {
        rc = -errno;
        io_uring_queue_exit(&ring);
        return rc;
    }
    struct uring *uring = mem_zalloc(sizeof(*uring));
    uring->base.ops = &uring_ops;
    uring->magic = URING_MAGIC;
    uring->ring = ring;
    uring->event_fd = event_fd;
    list_init(&uring->waiting);
    list_init(&uring->done);
    list_init(&uring->uncancelled);
    list_init(&uring->due_streams);
    /* Younger than multishot receives and the rings of buffers they need. */
    uring->multishot = ring.flags & IORING_SETUP_DEFER_TASKRUN;
    gather_open(&uring->gather);
    helper_init(&uring->helpers, helper_count, event_fd);
    uring->signal_stack = overflow_watch();
    arm_event(uring);
    *out_backend = &uring->base;
    return 0;
}

void
uring_set_gather(struct backend *backend, uint64_t gather_ns)
{
    uring_of(backend)->gather.gather_ns = gather_ns;
}

/* The kernel must be done with event_value and with the buffers before their memory goes. */
static void
drain(struct uring *uring)
{
    on_wake(&uring->base);
    stream_stop_all(uring);
    while (uring->event_armed || uring->armed_count > 0) {
        stream_flush_due(uring);
        int rc = io_uring_submit_and_wait(&uring->ring, 1);
        skein_assert(rc >= 0 || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN);
        reap(uring);
    }
    skein_assert(list_is_empty(&uring->done));
}

void
uring_close(struct backend *backend)
{
    if (!backend)
        return;
    struct uring *uring = uring_of(backend);
    skein_assert(uring->op_count == 0);
    drain(uring);
    helper_deinit(&uring->helpers); /* drain may still look for what they finished */
    stream_free_all(uring);
    io_uring_queue_exit(&uring->ring);
    close(uring->event_fd);
    overflow_unwatch(uring->signal_stack);
    uring->magic = 0;
    mem_free(uring);
}
