/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_READY_H
#define CORE_IO_READY_H

#include "core/backend.h"
#include "core/io_helper.h"

/*
 * A backend over a kernel that says which descriptors are ready (epoll, poll): what the two share.
 *
 *   submit --> socket op: tried at once --> done
 *          |                 \-> -EAGAIN: waits in its descriptor's slot --event--> tried again
 *          \-> file op: a helper thread (io_helper.c) ----------------------------> done
 *                                                             complete, from wait()
 *
 * A socket that gave fewer bytes than there was room for is dry: it is not asked again before an
 * event. Events of descriptors nobody waits for only note that they are not dry any more.
 *
 * Invariant: an op that waits has been refused with -EAGAIN since the last event of its slot.
 */

struct ready_slot {
    int fd;
    struct skein_list readers; /* ops that wait for input: recv, accept, poll */
    struct skein_list writers; /* for room: send, connect */
    bool dry;
    bool ended;      /* the peer's end or an error is there to be read: it does not become dry */
    bool kept;       /* a socket: until it is closed; else until nobody waits any more */
    bool watched;    /* the poller's own */
    size_t position; /* so */
};

struct ready;

/* What tells epoll from poll. */
struct ready_poller {
    /* Called when an op begins to wait. **Returns** 0; -errno: it cannot be waited for. */
    int (*watch)(struct ready *ready, struct ready_slot *slot);
    /* Called before the descriptor is closed, if it was watched. */
    void (*forget)(struct ready *ready, struct ready_slot *slot);
    /* Sleep until an event, or @timeout_ns (SKEIN_NEVER: without end); ready_on_event for each. */
    void (*sleep)(struct ready *ready, uint64_t timeout_ns);
};

struct ready {
    struct backend base;
    uint64_t magic;
    const struct ready_poller *poller;
    struct ready_slot **slots; /* by descriptor */
    size_t slot_capacity;
    struct skein_list done;
    uint64_t op_count; /* submitted and not yet completed */
    int event_fd;      /* readable: a wake, or helpers have finished something */
    unsigned inline_count;
    size_t inline_bytes;
    struct helper_pool helpers;
    void *signal_stack;
};

/* ready_init - @ops: those of the backend, made of the functions below. **Returns** 0; -errno. */
int ready_init(struct ready *ready, const struct backend_ops *ops,
               const struct ready_poller *poller, unsigned helper_count) SKEIN_MUST_CHECK;
/* ready_deinit - every op is complete. Joins the helpers. */
void ready_deinit(struct ready *ready);
/* ready_on_event - what the kernel said of @fd. */
struct ready_event {
    bool input, room;
    bool ended; /* the peer's end, or an error */
};
void ready_on_event(struct ready *ready, int fd, struct ready_event event);
struct ready *ready_of(struct backend *backend);

/* The functions of struct backend_ops. */
uint64_t ready_now_ns(struct backend *backend);
uint64_t ready_boot_ns(struct backend *backend);
uint64_t ready_wall_ns(struct backend *backend);
void ready_entropy(struct backend *backend, void *data, size_t count);
void ready_submit(struct backend *backend, struct backend_op *op);
bool ready_try_now(struct backend *backend, struct backend_op *op);
void ready_cancel(struct backend *backend, struct backend_op *op);
void ready_wait(struct backend *backend, uint64_t deadline_ns);
void ready_wake(struct backend *backend);

#endif
