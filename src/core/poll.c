/* SPDX-License-Identifier: Apache-2.0 */
#include "core/poll.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "base/mem.h"
#include "core/io_ready.h"
#include "skein/shard.h"

struct poll_backend {
    struct ready ready; /* first */
    struct ready_slot **watched;
    size_t watched_count, watched_capacity;
    struct pollfd *entries; /* one for each of `watched`, made anew each time */
    size_t entry_capacity;
};

static struct poll_backend *
poll_of(struct ready *ready)
{
    return (struct poll_backend *)(void *)ready;
}

static int
watch(struct ready *ready, struct ready_slot *slot)
{
    struct poll_backend *poll = poll_of(ready);
    if (slot->watched)
        return 0;
    mem_grow(&poll->watched, &poll->watched_capacity, poll->watched_count,
             sizeof(poll->watched[0]));
    slot->position = poll->watched_count;
    slot->watched = true;
    poll->watched[poll->watched_count++] = slot;
    return 0;
}

static void
forget(struct ready *ready, struct ready_slot *slot)
{
    struct poll_backend *poll = poll_of(ready);
    struct ready_slot *last = poll->watched[--poll->watched_count];
    skein_assert(poll->watched[slot->position] == slot || slot == last);
    poll->watched[slot->position] = last;
    last->position = slot->position;
    slot->watched = false;
}

static short
wanted(const struct ready *ready, const struct ready_slot *slot)
{
    short events = slot->fd == ready->event_fd ? POLLIN : 0;
    events |= list_is_empty(&slot->readers) ? 0 : POLLIN | POLLRDHUP;
    events |= list_is_empty(&slot->writers) ? 0 : POLLOUT;
    list_for_each (link, &slot->readers) {
        const struct backend_op *op = LIST_ENTRY(link, struct backend_op, link);
        events |= op->kind == BACKEND_POLL && (op->flags & SKEIN_WRITABLE) ? POLLOUT : 0;
    }
    return events;
}

static size_t
make_entries(struct poll_backend *poll)
{
    size_t count = 0;
    while (count < poll->watched_count) {
        struct ready_slot *slot = poll->watched[count];
        short events = wanted(&poll->ready, slot);
        if (events == 0) {
            forget(&poll->ready, slot); /* another takes its place */
            continue;
        }
        mem_grow(&poll->entries, &poll->entry_capacity, count, sizeof(poll->entries[0]));
        poll->entries[count++] = (struct pollfd){.fd = slot->fd, .events = events};
    }
    return count;
}

static void
sleep_for(struct ready *ready, uint64_t timeout_ns)
{
    struct poll_backend *poll = poll_of(ready);
    size_t count = make_entries(poll);
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                          .tv_nsec = (long)(timeout_ns % 1000000000u)};
    int n = ppoll(poll->entries, count, timeout_ns == SKEIN_NEVER ? NULL : &ts, NULL);
    skein_assert(n >= 0 || errno == EINTR || errno == ENOMEM);
    for (size_t i = 0; n > 0 && i < count; i++) {
        short what = poll->entries[i].revents;
        bool trouble = what & (POLLHUP | POLLERR | POLLNVAL);
        struct ready_event event = {.input = what & POLLIN,
                                    .room = trouble || (what & POLLOUT),
                                    .ended = trouble || (what & POLLRDHUP)};
        if (what)
            ready_on_event(ready, poll->entries[i].fd, event);
    }
}

static void
close_poll(struct backend *backend)
{
    struct poll_backend *poll = poll_of(ready_of(backend));
    ready_deinit(&poll->ready);
    mem_free(poll->watched);
    mem_free(poll->entries);
    mem_free(poll);
}

static const struct ready_poller poller = {.watch = watch, .forget = forget, .sleep = sleep_for};

static const struct backend_ops poll_ops = {
    .name = "poll",
    .now_ns = ready_now_ns,
    .boot_ns = ready_boot_ns,
    .wall_ns = ready_wall_ns,
    .entropy = ready_entropy,
    .submit = ready_submit,
    .try_now = ready_try_now,
    .cancel = ready_cancel,
    .wait = ready_wait,
    .wake = ready_wake,
    .close = close_poll,
};

int
poll_open(struct backend **out_backend, unsigned helper_count)
{
    struct poll_backend *poll = mem_zalloc(sizeof(*poll));
    int rc = ready_init(&poll->ready, &poll_ops, &poller, helper_count);
    if (rc < 0) {
        mem_free(poll->watched);
        mem_free(poll);
        return rc;
    }
    *out_backend = &poll->ready.base;
    return 0;
}
