/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/scrape.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/list.h"
#include "base/wire.h"
#include "net/addr.h"
#include "net/listen.h"
#include "obs/log.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/net.h"
#include "skein/group.h"

#define BACKLOG 16
#define SECOND_NS UINT64_C(1000000000)
#define READ_NS (5 * SECOND_NS)
#define SEND_NS (10 * SECOND_NS)
#define LINGER_NS SECOND_NS
#define STATUS_VALUES_MAX 16

struct kv_scrape {
    struct skein_addr addr;
    struct skein_acceptor acceptor; /* who is too many is closed */
    uint32_t conn_count;
    uint64_t refused; /* connections above the limit */
    struct skein_counter_set *responses;
    struct skein_scope scope;
};

struct conn {
    struct kv_scrape *scrape;
    int handle;
};

static const struct skein_metric refused_row = {
    "skein_scrape_refused_total", "Connections for metrics refused: too many at once.",
    SKEIN_COUNTER, SKEIN_FIELD(struct kv_scrape, refused)};
static const struct skein_metric responses_row = {
    "skein_scrape_responses_total", "Answers to requests for metrics, by status.", SKEIN_COUNTER};

/* Everything that came is kept: the other fibers run between two pieces. */
static int
put(void *owner, const char *text, size_t bytes)
{
    wire_put_raw(owner, text, bytes);
    skein_yield();
    return 0;
}

static int
write_metrics(struct wire_writer *out, enum skein_metric_format format)
{
    struct skein_snapshot *snapshot = skein_snapshot_open();
    int rc = skein_metrics_gather(snapshot, skein_deadline_in(SEND_NS));
    if (rc == 0)
        rc = skein_snapshot_write(snapshot, format, skein_wall_ns(), put, out);
    skein_snapshot_close(snapshot);
    return rc;
}

static int
answer(int handle, const struct kv_scrape_request *request)
{
    struct wire_writer body = {0};
    char head[512];
    int rc = 0;
    const char *content_type = "text/plain; charset=utf-8";
    if (request->status == 200) {
        content_type = skein_format_content_type(request->format);
        rc = write_metrics(&body, request->format);
    } else {
        const char *reason = kv_scrape_reason(request->status);
        wire_put_raw(&body, reason, strlen(reason));
        wire_put_raw(&body, "\n", 1);
    }
    if (rc < 0) { /* another shard does not answer: better nothing than a part */
        wire_writer_deinit(&body);
        return rc;
    }
    int head_bytes = snprintf(head, sizeof(head),
                              "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                              "%sCache-Control: no-store\r\nConnection: close\r\n\r\n",
                              request->status, kv_scrape_reason(request->status), content_type,
                              body.count, request->status == 405 ? "Allow: GET, HEAD\r\n" : "");
    skein_assert(head_bytes > 0 && (size_t)head_bytes < sizeof(head));
    struct iovec iov[2] = {{head, (size_t)head_bytes}, {body.data, body.count}};
    rc = skein_socket_sendv(handle, iov, request->head || body.count == 0 ? 1 : 2,
                            skein_deadline_in(SEND_NS));
    wire_writer_deinit(&body);
    return rc;
}

/* Closing with bytes unread resets the connection and takes the answer with it. */
static void
linger(int handle)
{
    char waste[1024];
    uint64_t deadline_ns = skein_deadline_in(LINGER_NS);
    size_t left = 64 * sizeof(waste);
    if (skein_socket_shutdown(handle) < 0)
        return;
    while (left > 0 && skein_socket_recv(handle, waste, sizeof(waste), deadline_ns) > 0)
        left -= sizeof(waste);
}

static void
serve(struct conn *conn)
{
    char text[KV_SCRAPE_REQUEST_BYTES];
    struct kv_scrape_request request;
    uint64_t deadline_ns = skein_deadline_in(READ_NS);
    size_t bytes = 0;
    do {
        ssize_t n =
            skein_socket_recv(conn->handle, text + bytes, sizeof(text) - bytes, deadline_ns);
        if (n <= 0)
            return;
        bytes += (size_t)n;
    } while (!kv_scrape_parse(text, bytes, &request));
    char status[8];
    snprintf(status, sizeof(status), "%d", request.status);
    if (conn->scrape->responses)
        ++*skein_counter_set_at(conn->scrape->responses, status);
    if (answer(conn->handle, &request) == 0)
        linger(conn->handle);
}

static void
conn_main(void *arg)
{
    struct conn *conn = arg;
    serve(conn);
    skein_close(conn->handle);
    conn->scrape->conn_count--;
    skein_acceptor_release(&conn->scrape->acceptor);
    mem_free(conn);
}

static void
welcome(struct kv_scrape *scrape, int handle)
{
    if (scrape->conn_count < KV_SCRAPE_CONNS) {
        struct conn *conn = mem_zalloc(sizeof(*conn));
        *conn = (struct conn){scrape, handle};
        if (skein_spawn(&scrape->scope, "scrape", conn_main, conn, SKEIN_STACK_SMALL) == 0) {
            scrape->conn_count++;
            return;
        }
        mem_free(conn);
    }
    scrape->refused++;
    skein_close(handle);
    skein_acceptor_release(&scrape->acceptor);
}

static void
listener_main(void *arg)
{
    struct kv_scrape *scrape = arg;
    int handle;
    while ((handle = skein_acceptor_accept(&scrape->acceptor, NULL, SKEIN_NEVER)) >= 0)
        welcome(scrape, handle);
}

static void
metrics_open(struct kv_scrape *scrape)
{
    struct skein_metrics *metrics = skein_shard_metrics();
    /* A registry that is full has counted it. */
    (void)!skein_metrics_add(metrics, scrape, &refused_row, 1, NULL, 0);
    (void)!skein_counter_set_open(&scrape->responses, metrics, &responses_row, "status",
                                  STATUS_VALUES_MAX);
}

int
kv_scrape_open(struct kv_scrape **out_scrape, const struct skein_addr *listen, char out_why[512])
{
    char text[NET_ADDR_TEXT_BYTES];
    int handle = net_listen(listen, BACKLOG);
    if (handle < 0) {
        snprintf(out_why, 512, "cannot listen for scrapes on %s: %s%s",
                 net_addr_format(listen, text), skein_error_text(handle),
                 handle == -EADDRINUSE
                     ? "; stop the program that has it, or choose another --metrics"
                     : "");
        return handle;
    }
    struct kv_scrape *scrape = mem_zalloc(sizeof(*scrape));
    skein_acceptor_init(&scrape->acceptor, handle, UINT32_MAX);
    skein_scope_init(&scrape->scope);
    metrics_open(scrape);
    int rc = skein_socket_local_addr(handle, &scrape->addr);
    if (rc == 0)
        rc = skein_spawn_at(SKEIN_PRIORITY_LOW, &scrape->scope, "scrapes", listener_main, scrape,
                            SKEIN_STACK_SMALL);
    if (rc < 0) {
        snprintf(out_why, 512, "cannot serve metrics: %s", skein_error_text(rc));
        kv_scrape_stop(scrape);
        return rc;
    }
    *out_scrape = scrape;
    return 0;
}

struct skein_addr
kv_scrape_addr(const struct kv_scrape *scrape)
{
    return scrape->addr;
}

void
kv_scrape_stop(struct kv_scrape *scrape)
{
    if (!scrape)
        return;
    skein_shield(true);
    skein_scope_cancel(&scrape->scope);
    skein_scope_join(&scrape->scope);
    skein_shield(false);
    skein_close(scrape->acceptor.listener);
    skein_metrics_remove(skein_shard_metrics(), scrape);
    skein_counter_set_close(scrape->responses);
    mem_free(scrape);
}
