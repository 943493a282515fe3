/* SPDX-License-Identifier: Apache-2.0 */
/* A turn of commands for several groups (kv/conn.h): submitted together, answered in order. */
#include <string.h>

#include "base/mem.h"
#include "kv/conn.h"
#include "kv/resp_reply.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/timer.h"

#define SEND_BYTES_SOON ((size_t)256 << 10)

/* The groups of a turn, and how far the replies of each have been handed out. */
struct share {
    struct replica_call calls[KV_GROUPS_MAX];
    uint8_t call_of[KV_GROUPS_MAX]; /* by group */
    size_t taken[KV_GROUPS_MAX];    /* bytes, by call */
    uint32_t count;
};

/* When there is no memory for one part, none is submitted. */
static void
submit(struct kv_conn *conn, const struct kv_turn *turn, struct share *share)
{
    struct kv_face *face = conn->face;
    struct replica_call *calls = share->calls;
    int refusal = face->reply_bytes <= KV_FACE_REPLY_BYTES_MAX ? 0 : -SKEIN_EBUSY;
    for (uint32_t group = 0; group < face->group_count; group++) {
        if (!(turn->groups >> group & 1))
            continue;
        bool write = turn->writes >> group & 1;
        struct replica_call *call = &calls[share->count];
        *call = (struct replica_call){.replica = kv_face_group(face, group),
                                      .kind = write ? REPLICA_WRITE : REPLICA_READ};
        if (!write) {
            call->level = conn->level;
            call->stale_ns = conn->stale_ns;
        }
        struct bytes_buf *buf = bytes_try_new(face->batches[group].count);
        call->command = kv_conn_take_batch(face, group, buf);
        if (!buf)
            refusal = -SKEIN_ENOMEM;
        share->call_of[group] = (uint8_t)share->count++;
    }
    uint64_t begun_ns = skein_coarse_now_ns();
    if (refusal == 0)
        replica_submit_all(calls, share->count, begun_ns + face->options.command_timeout_ns);
    uint64_t took_ns = skein_coarse_now_ns() - begun_ns;
    for (uint32_t i = 0; i < share->count; i++) {
        if (refusal < 0)
            calls[i].status = refusal;
        bytes_unref(&calls[i].command);
        kv_face_metrics_batch(face, calls[i].kind == REPLICA_WRITE, took_ns);
        face->stats.batches++;
        face->stats.failed_batches += calls[i].status < 0;
    }
}

/* The next reply of @call; false: there is none, which only another node's mistake can bring about.
 */
static bool
put_next(struct wire_writer *out, const struct replica_call *call, size_t *taken)
{
    struct kv_reply_scan scan = {0};
    const uint8_t *data = call->reply.data + *taken;
    size_t left = call->reply.count - *taken;
    if (kv_reply_scan(&scan, data, left, left) != 1)
        return false;
    wire_put_raw(out, data, scan.position);
    *taken += scan.position;
    return true;
}

int
kv_conn_submit_turn(struct kv_conn *conn, const struct kv_turn *turn)
{
    const struct kv_face_options *options = &conn->face->options;
    struct share *share = mem_zalloc(sizeof(*share));
    int rc = 0;
    submit(conn, turn, share);
    for (uint32_t i = 0; i < turn->count && rc == 0; i++) {
        uint32_t at = share->call_of[turn->group_of[i]];
        const struct replica_call *call = &share->calls[at];
        bool read = turn->reads[i / 64] >> (i % 64) & 1;
        struct wire_writer *out = conn_buffer_out(conn);
        if (call->status < 0)
            kv_conn_error(out, call->status, read, options->command_timeout_ns);
        else if (!put_next(out, call, &share->taken[at]))
            kv_conn_error(out, -SKEIN_EUNKNOWN, read, options->command_timeout_ns);
        if (out->count > SEND_BYTES_SOON)
            rc = conn_buffer_send(conn, skein_deadline_in(options->send_timeout_ns));
    }
    for (uint32_t i = 0; i < share->count; i++)
        if (share->calls[i].status == 0)
            bytes_unref(&share->calls[i].reply);
    mem_free(share);
    return rc;
}
