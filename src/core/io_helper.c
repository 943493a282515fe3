/* SPDX-License-Identifier: Apache-2.0 */
#include "core/io_helper.h"

#include <errno.h>
#include <unistd.h>

#include "core/io_plain.h"

void
helper_announce(int event_fd)
{
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(event_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

static void *
helper_main(void *arg)
{
    struct helper_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct skein_list *link = list_pop_front(&pool->queue);
        if (!link && pool->stop)
            break;
        if (!link) {
            pool->idle_count++;
            pthread_cond_wait(&pool->some, &pool->lock);
            pool->idle_count--;
            continue;
        }
        pthread_mutex_unlock(&pool->lock);
        struct backend_op *op = LIST_ENTRY(link, struct backend_op, link);
        op->result = plain_run(op);
        pthread_mutex_lock(&pool->lock);
        list_push_back(&pool->finished, &op->link);
        /* Under the lock, so that the descriptor is still open while a helper may write to it. */
        helper_announce(pool->event_fd);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void
helper_init(struct helper_pool *pool, unsigned helper_count, int event_fd)
{
    skein_assert(helper_count >= 1);
    skein_assert(helper_count <= HELPER_COUNT_MAX);
    *pool = (struct helper_pool){.helper_count = helper_count, .event_fd = event_fd};
    int lock_rc = pthread_mutex_init(&pool->lock, NULL);
    int some_rc = pthread_cond_init(&pool->some, NULL);
    skein_assert(lock_rc == 0);
    skein_assert(some_rc == 0);
    list_init(&pool->queue);
    list_init(&pool->finished);
}

void
helper_deinit(struct helper_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->some);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->some);
    pthread_mutex_destroy(&pool->lock);
}

/* Signals are for the shards' threads. */
static int
start_thread(struct helper_pool *pool)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&pool->threads[pool->started_count], NULL, helper_main, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return -rc;
    pool->started_count++;
    return 0;
}

int
helper_submit(struct helper_pool *pool, struct backend_op *op)
{
    pthread_mutex_lock(&pool->lock);
    bool busy = pool->idle_count == 0;
    pthread_mutex_unlock(&pool->lock);
    if (busy && pool->started_count < pool->helper_count) {
        int rc = start_thread(pool);
        if (rc < 0 && pool->started_count == 0)
            return rc;
    }
    pthread_mutex_lock(&pool->lock);
    list_push_back(&pool->queue, &op->link);
    pthread_cond_signal(&pool->some);
    pthread_mutex_unlock(&pool->lock);
    return 0;
}

void
helper_collect(struct helper_pool *pool, struct skein_list *done)
{
    struct skein_list *link;
    pthread_mutex_lock(&pool->lock);
    while ((link = list_pop_front(&pool->finished)))
        list_push_back(done, link);
    pthread_mutex_unlock(&pool->lock);
}
