/* SPDX-License-Identifier: Apache-2.0 */
/* The sending half: what is queued for a peer goes by whichever connection carries. */
#include "base/mem.h"
#include "replica/link_tcp_internal.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/shard.h"
#include "skein/socket.h"

/* Messages in one vectored send; two pieces each. */
#define BATCH_MAX 128

static int
send_batch(struct link_tcp *tcp, int handle, struct link_tcp_message *batch, size_t count)
{
    struct iovec iov[2 * BATCH_MAX];
    for (size_t at = 0; at < count;) {
        int iov_count = 0;
        uint64_t bytes = 0;
        size_t first = at;
        for (; at < count && at - first < BATCH_MAX; at++) {
            struct link_tcp_message *message = &batch[at];
            iov[iov_count++] = (struct iovec){message->header, LINK_FRAME_HEADER_BYTES};
            iov[iov_count++] =
                (struct iovec){(void *)(uintptr_t)message->payload.data, message->payload.count};
            bytes += message->payload.count + LINK_FRAME_HEADER_BYTES;
        }
        int rc = skein_socket_sendv(handle, iov, iov_count, skein_deadline_in(LINK_TCP_SEND_NS));
        if (rc < 0)
            return rc;
        tcp->stats.sent += at - first;
        tcp->stats.sent_bytes += bytes;
    }
    return 0;
}

/* A failed or stuck connection is given up: its reader ends, and closes it. */
static int
send_by_carrier(struct link_tcp_outbound *out, struct link_tcp_message *batch, size_t count)
{
    struct link_tcp_conn *conn = link_tcp_carrier(out);
    if (!conn) {
        out->tcp->stats.dropped_unconnected += count;
        return 0;
    }
    out->writing = conn;
    int rc = send_batch(out->tcp, conn->handle, batch, count);
    out->writing = NULL;
    if (rc < 0 && (out->dialled == conn || out->accepted == conn))
        skein_scope_cancel(conn->scope);
    skein_wake_all(&out->idle);
    return rc == -SKEIN_ECANCELED ? rc : 0;
}

/* Everything queued is taken over and sent; meanwhile the queue fills anew. */
void
link_tcp_write(void *arg)
{
    struct link_tcp_outbound *out = arg;
    struct link_tcp_message *batch = NULL;
    size_t batch_capacity = 0;
    int rc = 0;
    for (;;) {
        while (out->queue_count == 0 && rc == 0)
            rc = skein_wait(&out->wake, SKEIN_NEVER);
        if (rc < 0)
            break;
        struct link_tcp_message *taken = out->queue;
        size_t taken_capacity = out->queue_capacity, taken_count = out->queue_count;
        uint64_t taken_bytes = out->queue_bytes;
        out->queue = batch;
        out->queue_capacity = batch_capacity;
        out->queue_count = 0;
        batch = taken;
        batch_capacity = taken_capacity;
        rc = send_by_carrier(out, batch, taken_count);
        out->queue_bytes -= taken_bytes;
        for (size_t i = 0; i < taken_count; i++)
            bytes_unref(&batch[i].payload);
    }
    mem_free(batch);
    out->live_count--;
}
