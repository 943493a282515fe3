/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/uring_internal.h"
#include "skein/error.h"

/* A directory with more names is not ours to read. */
#define LIST_NAME_COUNT_MAX ((size_t)1 << 20)

bool
helper_wants(const struct backend_op *op)
{
    return op->kind == BACKEND_LIST || op->kind == BACKEND_STAT || op->kind == BACKEND_TRUNCATE ||
           op->kind == BACKEND_WORK;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
append_name(struct skein_names *names, size_t *capacity, const char *name)
{
    if (names->count >= LIST_NAME_COUNT_MAX)
        return -SKEIN_ETOOBIG;
    if (names->count == *capacity) {
        size_t wanted = *capacity ? 2 * *capacity : 16;
        char **grown = mem_try_realloc(names->names, wanted * sizeof(char *));
        if (!grown)
            return -ENOMEM;
        names->names = grown;
        *capacity = wanted;
    }
    size_t bytes = strlen(name) + 1;
    char *copy = mem_try_alloc(bytes);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, name, bytes);
    names->names[names->count++] = copy;
    return 0;
}

static int
read_names(DIR *dir, struct skein_names *names)
{
    size_t capacity = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int rc = append_name(names, &capacity, entry->d_name);
        if (rc < 0)
            return rc;
    }
}

static int
list_directory(const char *path, struct skein_names *names)
{
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    int rc = read_names(dir, names);
    closedir(dir);
    if (rc < 0) {
        for (size_t i = 0; i < names->count; i++)
            mem_free(names->names[i]);
        mem_free(names->names);
        *names = (struct skein_names){0};
    } else if (names->count > 1) {
        qsort(names->names, names->count, sizeof(char *), compare_names);
    }
    return rc;
}

static int
stat_path(const char *path, struct skein_stat *out)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    out->size_bytes = (uint64_t)st.st_size;
    out->is_directory = S_ISDIR(st.st_mode);
    return 0;
}

static int64_t
run(struct backend_op *op)
{
    if (op->kind == BACKEND_LIST)
        return list_directory(op->path, op->names);
    if (op->kind == BACKEND_STAT)
        return stat_path(op->path, op->stat);
    if (op->kind == BACKEND_WORK)
        return op->work(op->work_arg);
    int rc;
    do {
        rc = ftruncate(op->handle, (off_t)op->bytes) < 0 ? -errno : 0;
    } while (rc == -EINTR);
    return rc;
}

static void
announce(int event_fd)
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
        op->result = run(op);
        pthread_mutex_lock(&pool->lock);
        list_push_back(&pool->finished, &op->link);
        /* Under the lock, so that the descriptor is still open while a helper may write to it. */
        announce(pool->event_fd);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void
helper_init(struct helper_pool *pool, unsigned helper_count, int event_fd)
{
    skein_assert(helper_count >= 1);
    skein_assert(helper_count <= BASE_COUNT_OF(pool->threads));
    *pool = (struct helper_pool){.helper_count = helper_count, .event_fd = event_fd};
    skein_assert(pthread_mutex_init(&pool->lock, NULL) == 0);
    skein_assert(pthread_cond_init(&pool->some, NULL) == 0);
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
