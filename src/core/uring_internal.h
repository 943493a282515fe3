/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_URING_INTERNAL_H
#define CORE_URING_INTERNAL_H

#include <liburing.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>

#include "core/backend.h"

/*
 * The parts of the io_uring backend.
 *
 *   submit --> prepare (uring_prepare.c) --> ring     --> finish (uring_prepare.c) --+
 *          \-> at once: listen, local, lock ----------------------------------------+--> done list
 *          \-> helper threads (uring_helper.c): list, stat, truncate, work ---------+      |
 *                                                                       complete, from wait()
 * An op without room in the submission queue waits on `waiting`.
 */

/* A kind of our own, beside those of core/backend.h: poll for input. */
#define URING_POLL ((enum backend_op_kind)(BACKEND_WORK + 1))

enum uring_place { URING_NOWHERE, URING_WAITING, URING_RING, URING_HELPER, URING_DONE };

union uring_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Lives in op->scratch. */
struct uring_op {
    struct msghdr message;
    union uring_sockaddr peer;
    socklen_t peer_bytes;
    int fd; /* connect: the socket being connected; -1: none */
    enum uring_place place;
    bool cancel_asked;
    bool without_direct; /* open: O_DIRECT was refused */
};

_Static_assert(sizeof(struct uring_op) <= sizeof(((struct backend_op *)0)->scratch),
               "fits scratch");

struct helper_pool {
    pthread_mutex_t lock; /* of queue, finished, idle_count and stop */
    pthread_cond_t some;
    struct skein_list queue;    /* ops to run */
    struct skein_list finished; /* ops that ran, for the shard's thread */
    unsigned idle_count;
    bool stop;
    unsigned started_count; /* the shard's thread only, as the rest */
    unsigned helper_count;
    pthread_t threads[64];
    int event_fd;
};

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
    bool event_due; /* to be armed when an entry is free */
    struct helper_pool helpers;
    void *signal_stack;
};

static inline struct uring_op *
uring_op_of(struct backend_op *op)
{
    return (struct uring_op *)(void *)op->scratch;
}

/* ---- uring_prepare.c ---- */
/* uring_prepare - fill @sqe for @op, user data included. **Returns** 0, or -errno: not for the
 * ring. */
int uring_prepare(struct io_uring_sqe *sqe, struct backend_op *op) SKEIN_MUST_CHECK;
/* uring_at_once - whether @op is done by a plain call; then op->result is set. */
bool uring_at_once(struct backend_op *op);
/* uring_finish - turn the kernel's @result into the op's. Returns false: submit it once more. */
bool uring_finish(struct backend_op *op, int result);

/* ---- uring_helper.c ---- */
bool helper_wants(const struct backend_op *op);
void helper_init(struct helper_pool *pool, unsigned helper_count, int event_fd);
void helper_deinit(struct helper_pool *pool);
/* helper_submit - **Returns** 0; -EAGAIN: no thread could be started. */
int helper_submit(struct helper_pool *pool, struct backend_op *op) SKEIN_MUST_CHECK;
/* helper_collect - move the finished ops to the end of @done. */
void helper_collect(struct helper_pool *pool, struct skein_list *done);

/* ---- overflow.c ---- */
/* overflow_watch - report a fiber's stack overflow by its name. Returns the signal stack, for
 * overflow_unwatch; NULL when somebody else handles the signal. */
void *overflow_watch(void);
void overflow_unwatch(void *signal_stack);

#endif
