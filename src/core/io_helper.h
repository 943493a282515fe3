/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_IO_HELPER_H
#define CORE_IO_HELPER_H

#include <pthread.h>
#include <signal.h>

#include "core/backend.h"

/*
 * The helper threads of a backend: they run ops that would hold the shard up.
 *
 *   helper_submit --> queue --> a helper thread runs it (plain_run) --> finished --> helper_collect
 *                                                         \-> the event descriptor becomes readable
 *
 * Threads are started when there is work and none is idle, up to helper_count. They take no
 * signals.
 */

#define HELPER_COUNT_MAX 64

struct helper_pool {
    pthread_mutex_t lock; /* of queue, finished, idle_count and stop */
    pthread_cond_t some;
    struct skein_list queue;    /* ops to run */
    struct skein_list finished; /* ops that ran, for the shard's thread */
    unsigned idle_count;
    bool stop;
    unsigned started_count; /* the shard's thread only, as the rest */
    unsigned helper_count;
    pthread_t threads[HELPER_COUNT_MAX];
    int event_fd;
};

/* helper_init - @helper_count: 1 to HELPER_COUNT_MAX. @event_fd: an eventfd, borrowed. */
void helper_init(struct helper_pool *pool, unsigned helper_count, int event_fd);
/* helper_deinit - waits for what runs. */
void helper_deinit(struct helper_pool *pool);
/* helper_submit - **Returns** 0; -EAGAIN: no thread could be started. */
int helper_submit(struct helper_pool *pool, struct backend_op *op) SKEIN_MUST_CHECK;
/* helper_collect - move the finished ops to the end of @done. */
void helper_collect(struct helper_pool *pool, struct skein_list *done);

/* helper_announce - make @event_fd readable. From any thread. */
void helper_announce(int event_fd);

#endif
