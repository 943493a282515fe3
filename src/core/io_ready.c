/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io_ready.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/io_plain.h"
#include "core/io_ready_try.h"
#include "core/overflow.h"
#include "skein/error.h"
#include "skein/shard.h"

#define READY_MAGIC 0x736b726561647931ull
/* What try_now does between two waits; more waits its turn. */
#define INLINE_COUNT_MAX 1024u
#define INLINE_BYTES_MAX ((size_t)1 << 20)

struct ready *
ready_of(struct backend *backend)
{
    struct ready *ready = (struct ready *)(void *)backend;
    skein_assert(ready->magic == READY_MAGIC);
    return ready;
}

uint64_t
ready_now_ns(struct backend *backend)
{
    return plain_monotonic_ns();
}

uint64_t
ready_boot_ns(struct backend *backend)
{
    return plain_boot_ns();
}

uint64_t
ready_wall_ns(struct backend *backend)
{
    return plain_wall_ns();
}

void
ready_entropy(struct backend *backend, void *data, size_t count)
{
    plain_entropy(data, count);
}

/* ---- slots ---- */

static struct ready_slot *
find(struct ready *ready, int fd)
{
    return fd >= 0 && (size_t)fd < ready->slot_capacity ? ready->slots[fd] : NULL;
}

static struct ready_slot *
find_or_open(struct ready *ready, int fd)
{
    struct ready_slot *slot = find(ready, fd);
    if (slot)
        return slot;
    size_t capacity = ready->slot_capacity ? ready->slot_capacity : 64;
    while (capacity <= (size_t)fd)
        capacity *= 2;
    if (capacity != ready->slot_capacity) {
        ready->slots = mem_realloc(ready->slots, capacity * sizeof(ready->slots[0]));
        memset(ready->slots + ready->slot_capacity, 0,
               (capacity - ready->slot_capacity) * sizeof(ready->slots[0]));
        ready->slot_capacity = capacity;
    }
    slot = mem_zalloc(sizeof(*slot));
    slot->fd = fd;
    list_init(&slot->readers);
    list_init(&slot->writers);
    ready->slots[fd] = slot;
    return slot;
}

static void
free_slot(struct ready *ready, struct ready_slot *slot)
{
    skein_assert(list_is_empty(&slot->readers));
    skein_assert(list_is_empty(&slot->writers));
    if (slot->watched)
        ready->poller->forget(ready, slot);
    ready->slots[slot->fd] = NULL;
    mem_free(slot);
}

/* A descriptor that is not a socket of ours may be closed by others: it is not kept. */
static void
let_go(struct ready *ready, struct ready_slot *slot)
{
    if (!slot->kept && list_is_empty(&slot->readers) && list_is_empty(&slot->writers))
        free_slot(ready, slot);
}

static void
finish(struct ready *ready, struct backend_op *op, int64_t result)
{
    struct ready_op *mine = ready_op_of(op);
    op->result = result;
    mine->place = READY_DONE;
    list_push_back(&ready->done, &op->link);
    if (op->kind != BACKEND_CONNECT || mine->fd < 0)
        return;
    struct ready_slot *slot = find(ready, mine->fd);
    if (slot)
        free_slot(ready, slot);
    close(mine->fd);
    mine->fd = -1;
}

static void
end_all(struct ready *ready, struct skein_list *waiters)
{
    struct skein_list *link;
    while ((link = list_pop_front(waiters)))
        finish(ready, LIST_ENTRY(link, struct backend_op, link), -ECONNRESET);
}

/* ---- ops that wait ---- */

/* Try the ops of a queue, in order, until one would wait. A slot that only a connect knows may be
 * gone afterwards. */
static void
serve(struct ready *ready, struct ready_slot *slot, struct skein_list *waiters)
{
    while (!list_is_empty(waiters)) {
        struct backend_op *op = LIST_ENTRY(waiters->next, struct backend_op, link);
        int64_t result = ready_try(slot, op);
        if (result == -EAGAIN)
            return;
        list_remove(&op->link);
        finish(ready, op, result);
        if (op->kind == BACKEND_CONNECT)
            return;
    }
    let_go(ready, slot);
}

void
ready_on_event(struct ready *ready, int fd, struct ready_event event)
{
    struct ready_slot *slot = find(ready, fd);
    if (!slot)
        return;
    if (event.input || event.ended)
        slot->dry = false;
    slot->ended = slot->ended || event.ended;
    serve(ready, slot, &slot->readers); /* a poll may want room */
    slot = find(ready, fd);
    if (slot && event.room)
        serve(ready, slot, &slot->writers);
}

static void
enqueue(struct ready *ready, struct ready_slot *slot, struct backend_op *op)
{
    list_push_back(ready_reads(op) ? &slot->readers : &slot->writers, &op->link);
    ready_op_of(op)->place = READY_SLOT;
    int rc = ready->poller->watch(ready, slot);
    if (rc == 0)
        return;
    list_remove(&op->link);
    finish(ready, op, rc);
    if (op->kind != BACKEND_CONNECT)
        let_go(ready, slot);
}

static void
submit_to_socket(struct ready *ready, struct backend_op *op)
{
    int fd = ready_begin(op);
    if (fd < 0) {
        finish(ready, op, fd);
        return;
    }
    struct ready_slot *slot = find_or_open(ready, fd);
    slot->kept = slot->kept || op->kind != BACKEND_POLL;
    bool first = list_is_empty(ready_reads(op) ? &slot->readers : &slot->writers);
    int64_t result = first ? ready_try(slot, op) : -EAGAIN;
    if (result == -EAGAIN) {
        enqueue(ready, slot, op);
        return;
    }
    finish(ready, op, result);
    if (op->kind != BACKEND_CONNECT)
        let_go(ready, slot);
}

static void
submit_to_helpers(struct ready *ready, struct backend_op *op)
{
    ready_op_of(op)->place = READY_HELPER;
    int rc = helper_submit(&ready->helpers, op);
    if (rc < 0)
        finish(ready, op, rc);
}

/* The descriptor of a socket is closed at once: nothing of it waits for a disk. */
static bool
close_socket(struct ready *ready, struct backend_op *op)
{
    struct ready_slot *slot = find(ready, op->handle);
    if (!slot)
        return false;
    end_all(ready, &slot->readers);
    end_all(ready, &slot->writers);
    free_slot(ready, slot);
    op->result = plain_run(op);
    return true;
}

void
ready_submit(struct backend *backend, struct backend_op *op)
{
    struct ready *ready = ready_of(backend);
    skein_assert(op->complete != NULL);
    memset(ready_op_of(op), 0, sizeof(struct ready_op));
    ready_op_of(op)->fd = -1;
    op->link = (struct skein_list){0};
    ready->op_count++;
    if (plain_at_once(op) || (op->kind == BACKEND_CLOSE && close_socket(ready, op)))
        finish(ready, op, op->result);
    else if (ready_waits(op->kind))
        submit_to_socket(ready, op);
    else
        submit_to_helpers(ready, op);
}

bool
ready_try_now(struct backend *backend, struct backend_op *op)
{
    struct ready *ready = ready_of(backend);
    if (plain_at_once(op))
        return true;
    if (op->kind != BACKEND_RECV && op->kind != BACKEND_SEND)
        return false;
    if (ready->inline_count >= INLINE_COUNT_MAX || ready->inline_bytes >= INLINE_BYTES_MAX)
        return false;
    struct ready_slot *slot = find(ready, op->handle);
    if (!slot || !list_is_empty(ready_reads(op) ? &slot->readers : &slot->writers))
        return false;
    op->result = ready_try(slot, op);
    if (op->result == -EAGAIN)
        return false;
    ready->inline_count++;
    ready->inline_bytes += op->result > 0 ? (size_t)op->result : 0;
    return true;
}

void
ready_cancel(struct backend *backend, struct backend_op *op)
{
    struct ready *ready = ready_of(backend);
    if (ready_op_of(op)->place != READY_SLOT)
        return; /* what a helper thread has begun is waited for */
    int fd = op->kind == BACKEND_CONNECT ? -1 : op->handle;
    list_remove(&op->link);
    finish(ready, op, -SKEIN_ECANCELED);
    struct ready_slot *slot = find(ready, fd);
    if (slot)
        let_go(ready, slot);
}

/* ---- turns ---- */

static void
deliver(struct ready *ready)
{
    struct skein_list *last = ready->done.prev;
    struct skein_list *link;
    do {
        link = list_pop_front(&ready->done);
        if (!link)
            break;
        struct backend_op *op = LIST_ENTRY(link, struct backend_op, link);
        skein_assert(ready->op_count > 0);
        ready->op_count--;
        op->complete(op);
    } while (link != last);
}

/* Its own event descriptor waits like any other, without an op. */
static void
take_event(struct ready *ready)
{
    uint64_t value;
    if (read(ready->event_fd, &value, sizeof(value)) == sizeof(value))
        helper_collect(&ready->helpers, &ready->done);
}

void
ready_wait(struct backend *backend, uint64_t deadline_ns)
{
    struct ready *ready = ready_of(backend);
    ready->inline_count = 0;
    ready->inline_bytes = 0;
    uint64_t timeout_ns = 0;
    if (list_is_empty(&ready->done) && deadline_ns == SKEIN_NEVER) {
        timeout_ns = SKEIN_NEVER;
    } else if (list_is_empty(&ready->done) && deadline_ns != 0) {
        uint64_t now_ns = plain_monotonic_ns();
        timeout_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    }
    ready->poller->sleep(ready, timeout_ns);
    take_event(ready);
    deliver(ready);
}

void
ready_wake(struct backend *backend)
{
    helper_announce(((struct ready *)(void *)backend)->event_fd);
}

/* ---- life ---- */

int
ready_init(struct ready *ready, const struct backend_ops *ops, const struct ready_poller *poller,
           unsigned helper_count)
{
    int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        return -errno;
    ready->base.ops = ops;
    ready->magic = READY_MAGIC;
    ready->poller = poller;
    ready->event_fd = event_fd;
    list_init(&ready->done);
    helper_init(&ready->helpers, helper_count, event_fd);
    struct ready_slot *slot = find_or_open(ready, event_fd);
    slot->kept = true;
    ready->signal_stack = overflow_watch();
    int rc = poller->watch(ready, slot);
    if (rc < 0)
        ready_deinit(ready);
    return rc;
}

void
ready_deinit(struct ready *ready)
{
    skein_assert(ready->op_count == 0);
    helper_deinit(&ready->helpers);
    for (size_t fd = 0; fd < ready->slot_capacity; fd++)
        if (ready->slots[fd])
            free_slot(ready, ready->slots[fd]);
    mem_free(ready->slots);
    close(ready->event_fd);
    overflow_unwatch(ready->signal_stack);
    ready->magic = 0;
}
