/* SPDX-License-Identifier: Apache-2.0 */
/* One-way: posts, messages, foreign pointers, and what comes from threads that are no shard. */
#include <pthread.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/mailbox_port.h"

unsigned
skein_shard_index(void)
{
    struct shard_port *port = port_current();
    return port ? port->index : 0;
}

unsigned
skein_shard_count(void)
{
    struct shard_port *port = port_current();
    return port ? port->group->count : 1;
}

static int
push(unsigned shard, enum mailbox_kind kind, uint64_t word, void *arg)
{
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    skein_assert(shard < port->group->count);
    struct port_peer *peer = &port->peers[shard];
    if (!mailbox_has_room(&peer->out)) {
        port->stats.full_count++;
        return -SKEIN_EAGAIN;
    }
    mailbox_push(&peer->out, kind, word, arg, 0);
    return 0;
}

int
skein_post(unsigned shard, void (*fn)(void *arg), void *arg)
{
    return push(shard, MAILBOX_POST, (uintptr_t)fn, arg);
}

int
skein_send(unsigned shard, struct skein_message *message)
{
    skein_assert(message->run != NULL);
    skein_assert(message->home != NULL);
    return push(shard, MAILBOX_MESSAGE, 0, message);
}

int
skein_wait_room(unsigned shard, uint64_t deadline_ns)
{
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    skein_assert(shard < port->group->count);
    return skein_wait(&port->peers[shard].room, deadline_ns);
}

void
skein_mailbox_stats_read(struct skein_mailbox_stats *out_stats)
{
    struct shard_port *port = port_current();
    *out_stats = port ? port->stats : (struct skein_mailbox_stats){0};
}

/* ---- foreign pointers ---- */

struct skein_foreign {
    struct port_return node;
    struct shard_port *home;
    void *object;
    void (*drop)(void *object);
};

struct skein_foreign *
skein_foreign_open(void *object, void (*drop)(void *object))
{
    skein_assert(drop != NULL);
    struct shard_port *port = port_current();
    skein_assert(port != NULL);
    struct skein_foreign *foreign = mem_alloc(sizeof(*foreign));
    *foreign = (struct skein_foreign){.home = port, .object = object, .drop = drop};
    return foreign;
}

void *
skein_foreign_object(const struct skein_foreign *foreign)
{
    return foreign->object;
}

unsigned
skein_foreign_home(const struct skein_foreign *foreign)
{
    return foreign->home->index;
}

static void
foreign_is_home(struct port_return *node)
{
    struct skein_foreign *foreign = BASE_CONTAINER_OF(node, struct skein_foreign, node);
    foreign->drop(foreign->object);
    mem_free(foreign);
}

void
skein_foreign_drop(struct skein_foreign *foreign)
{
    if (!foreign)
        return;
    foreign->node.fn = foreign_is_home;
    port_give_back(foreign->home, &foreign->node);
}

/* ---- threads ---- */

int
skein_thread_post(struct skein_runtime *runtime, unsigned shard, void (*fn)(void *arg), void *arg)
{
    skein_assert(shard < runtime->count);
    return port_post_foreign(runtime->ports[shard], fn, arg);
}

struct thread_call {
    struct shard_port *port;
    int64_t (*fn)(void *arg);
    void *arg;
    int64_t result;
    bool done; /* with lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static void
thread_call_done(void *owner, int64_t result)
{
    struct thread_call *call = owner;
    pthread_mutex_lock(&call->lock);
    call->result = result;
    call->done = true;
    pthread_cond_signal(&call->changed);
    /* The record is the caller's again, and gone, once the lock is free. */
    pthread_mutex_unlock(&call->lock);
}

static void
thread_call_begin(void *arg)
{
    struct thread_call *call = arg;
    int rc = serve_local(call->port, call->fn, call->arg, thread_call_done, call);
    if (rc < 0)
        thread_call_done(call, rc);
}

int64_t
skein_thread_call(struct skein_runtime *runtime, unsigned shard, int64_t (*fn)(void *arg),
                  void *arg)
{
    skein_assert(shard < runtime->count);
    skein_assert(skein_shard_current() == NULL);
    struct thread_call call = {.port = runtime->ports[shard], .fn = fn, .arg = arg};
    int lock_rc = pthread_mutex_init(&call.lock, NULL);
    int changed_rc = pthread_cond_init(&call.changed, NULL);
    skein_assert(lock_rc == 0);
    skein_assert(changed_rc == 0);
    int rc = port_post_foreign(call.port, thread_call_begin, &call);
    if (rc == 0) {
        pthread_mutex_lock(&call.lock);
        while (!call.done)
            pthread_cond_wait(&call.changed, &call.lock);
        pthread_mutex_unlock(&call.lock);
    }
    pthread_cond_destroy(&call.changed);
    pthread_mutex_destroy(&call.lock);
    return rc < 0 ? rc : call.result;
}
