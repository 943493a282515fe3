/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "bench/overload.h"
#include "skein/core.h"

/* 3 ms of work: enough to bridge the gaps between arrivals. */
#define QUEUE_MAX 32
#define READ_BYTES 8192

struct job {
    struct skein_list link;
    int handle;
    struct overload_request request;
    uint64_t arrived_ns;
};

struct server {
    const struct overload_run *run;
    int port_fd, listener;
    struct skein_scope scope;
    struct skein_waitq some;
    struct skein_list queue;
    uint64_t queue_count;
};

struct session {
    struct server *server;
    int handle;
    uint8_t data[READ_BYTES];
    struct overload_reply replies[READ_BYTES / sizeof(struct overload_request)];
    size_t reply_count;
};

static int
answer(int handle, const struct overload_reply *replies, size_t count)
{
    return count == 0 ? 0
                      : skein_socket_send(handle, replies, count * sizeof(replies[0]), SKEIN_NEVER);
}

static void
work_off(void *arg)
{
    struct server *server = arg;
    for (;;) {
        struct skein_list *link = list_pop_front(&server->queue);
        if (!link) {
            if (skein_wait(&server->some, SKEIN_NEVER) < 0)
                return;
            continue;
        }
        struct job *job = LIST_ENTRY(link, struct job, link);
        struct overload_reply reply = {.id = job->request.id, .verdict = OVERLOAD_DONE};
        server->queue_count--;
        if (server->run->pressure && skein_now_ns() - job->arrived_ns > job->request.patience_ns)
            reply.verdict = OVERLOAD_BUSY;
        else
            overload_work(server->run->work_loops);
        if (answer(job->handle, &reply, 1) < 0)
            return;
        mem_free(job);
        skein_yield();
    }
}

static void
take(struct session *session, const struct overload_request *request)
{
    struct server *server = session->server;
    if (server->run->pressure && server->queue_count >= QUEUE_MAX) {
        session->replies[session->reply_count++] =
            (struct overload_reply){.id = request->id, .verdict = OVERLOAD_BUSY};
        return;
    }
    struct job *job = mem_zalloc(sizeof(*job));
    job->handle = session->handle;
    job->request = *request;
    job->arrived_ns = skein_now_ns();
    list_push_back(&server->queue, &job->link);
    server->queue_count++;
    skein_wake_one(&server->some);
}

static void
read_requests(void *arg)
{
    struct session *session = arg;
    size_t count = 0;
    for (;;) {
        ssize_t n = skein_socket_recv(session->handle, session->data + count, READ_BYTES - count,
                                      SKEIN_NEVER);
        if (n <= 0)
            return;
        count += (size_t)n;
        size_t at = 0;
        session->reply_count = 0;
        for (; count - at >= sizeof(struct overload_request);
             at += sizeof(struct overload_request)) {
            struct overload_request request;
            memcpy(&request, session->data + at, sizeof(request));
            take(session, &request);
        }
        memmove(session->data, session->data + at, count - at);
        count -= at;
        if (answer(session->handle, session->replies, session->reply_count) < 0)
            return;
    }
}

static int
serve(void *arg)
{
    struct server *server = arg;
    struct skein_endpoint at = {.addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}};
    server->listener = skein_net_listen(&at, NULL);
    int rc = server->listener < 0 ? server->listener : skein_net_local(server->listener, &at);
    if (rc < 0)
        overload_die("listen", rc);
    if (write(server->port_fd, &at.addr.port, sizeof(at.addr.port)) != sizeof(at.addr.port))
        overload_die("port", -1);
    skein_scope_init(&server->scope);
    skein_waitq_init(&server->some);
    list_init(&server->queue);
    rc = skein_spawn(&server->scope, "worker", work_off, server, SKEIN_STACK_SMALL);
    while (rc >= 0) {
        struct session *session = mem_zalloc(sizeof(*session));
        session->server = server;
        session->handle = skein_socket_accept(server->listener, NULL, SKEIN_NEVER);
        rc = session->handle;
        if (rc >= 0)
            rc = skein_spawn(&server->scope, "session", read_requests, session, SKEIN_STACK_SMALL);
    }
    overload_die("accept", rc);
}

void
overload_serve(const struct overload_run *run, int port_fd)
{
    struct server server = {.run = run, .port_fd = port_fd};
    overload_shard(0, serve, &server);
    _exit(1);
}
