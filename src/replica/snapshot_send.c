/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint file on its way to a follower: chunk by chunk, each acknowledged; repeated when no
 * acknowledgement comes. The core's own message follows when the file is durable over there.
 */
#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "obs/log.h"
#include "raft/codec.h"
#include "replica/state.h"
#include "skein/error.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define ACK_NS (500 * UINT64_C(1000000))
/* Without progress for this many sendings of one chunk the transfer has failed. */
#define ATTEMPTS_MAX 20

struct snapshot_send {
    struct replica *replica;
    uint32_t node;
    struct skein_scope scope;
    struct raft_message message; /* its snapshot is the next: */
    struct raft_snapshot snapshot;
    uint64_t transfer;
    uint64_t offset;
    enum envelope_ack_state state;
    bool done;
    struct skein_waitq wake;
};

static bool
still_wanted(const struct snapshot_send *send)
{
    const struct replica *replica = send->replica;
    return !replica->host->ending && replica->phase != REPLICA_FAILED &&
           replica_is_leader(replica) && raft_term(replica->raft) == send->message.term;
}

static int
send_chunk(struct snapshot_send *send, int file, uint64_t file_bytes, uint8_t *buffer)
{
    struct replica *replica = send->replica;
    uint64_t left = file_bytes - send->offset;
    size_t count = left < ENVELOPE_CHUNK_BYTES ? (size_t)left : ENVELOPE_CHUNK_BYTES;
    ssize_t n = skein_file_pread(file, buffer, count, send->offset);
    if (n != (ssize_t)count)
        return n < 0 ? (int)n : -SKEIN_ECORRUPT;
    struct envelope_chunk chunk = {.transfer = send->transfer,
                                   .snapshot = send->snapshot,
                                   .file_bytes = file_bytes,
                                   .offset = send->offset,
                                   .data = bytes_borrow(buffer, count)};
    memcpy(chunk.cluster, replica->host->identity.map.cluster, 16);
    struct wire_writer out = {0};
    envelope_put_chunk(&out, &chunk);
    inbox_send_writer(replica->host, send->node, &out);
    wire_writer_deinit(&out);
    return 0;
}

static int
stream(struct snapshot_send *send, int file, uint64_t file_bytes, uint8_t *buffer)
{
    for (uint32_t attempts = 0; send->state == ENVELOPE_ACK_MORE;) {
        uint64_t before = send->offset;
        if (!still_wanted(send))
            return -SKEIN_ECANCELED;
        if (attempts++ >= ATTEMPTS_MAX)
            return -SKEIN_ETIMEDOUT;
        if (send->offset < file_bytes) {
            int rc = send_chunk(send, file, file_bytes, buffer);
            if (rc < 0)
                return rc;
        }
        if (send->state == ENVELOPE_ACK_MORE && send->offset == before) {
            int rc = skein_wait(&send->wake, skein_deadline_in(ACK_NS));
            if (rc == -SKEIN_ECANCELED)
                return rc;
        }
        if (send->offset != before)
            attempts = 0;
    }
    return send->state == ENVELOPE_ACK_WHOLE ? 0 : -SKEIN_ECORRUPT;
}

static int
send_file(struct snapshot_send *send)
{
    char path[4096];
    struct skein_stat stat;
    checkpoint_path(send->replica->host->data_dir, send->snapshot.index, path, sizeof path);
    int rc = skein_file_stat(path, &stat);
    if (rc < 0)
        return rc;
    int file = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    if (file < 0)
        return file;
    uint8_t *buffer = mem_alloc(ENVELOPE_CHUNK_BYTES);
    rc = stream(send, file, stat.size_bytes, buffer);
    mem_free(buffer);
    skein_shield(true);
    skein_close(file);
    skein_shield(false);
    return rc;
}

static void
hand_over(struct snapshot_send *send)
{
    struct replica *replica = send->replica;
    struct wire_writer out = {0};
    wire_put_u8(&out, ENVELOPE_RAFT);
    wire_put_raw(&out, replica->host->identity.map.cluster, 16);
    raft_encode_message(&out, &send->message);
    inbox_send_writer(replica->host, send->node, &out);
    wire_writer_deinit(&out);
    replica->counters.snapshots_sent++;
}

static void
run(void *arg)
{
    struct snapshot_send *send = arg;
    struct replica *replica = send->replica;
    uint64_t begun_ns = skein_now_ns();
    int rc = send_file(send);
    if (rc == 0 && still_wanted(send))
        hand_over(send);
    obs_log(rc == 0 ? OBS_INFO : OBS_WARN, "replica", "snapshot sent",
            "node=%u to=%u index=%" PRIu64 " result=%s ms=%" PRIu64, replica->host->options.node,
            send->node, send->snapshot.index, rc < 0 ? skein_error_name(rc) : "whole",
            (skein_now_ns() - begun_ns) / 1000000);
    if (rc == -ENOENT) {
        /* A newer one took its place: the core is told of it when the next checkpoint is taken. */
        replica->checkpoint_wanted = true;
        skein_wake_all(&replica->checkpoint_wake);
    }
    if (replica->raft)
        raft_report_snapshot(replica->raft, send->message.to, rc == 0);
    replica->sends_active--;
    send->done = true;
    driver_signal(replica->host);
}

static void
free_send(struct peer_view *view)
{
    skein_scope_join(&view->send->scope);
    mem_free(view->send);
    view->send = NULL;
}

void
snapshot_send_begin(struct replica *replica, const struct raft_message *message)
{
    struct peer_view *view = replica_view(replica, replica_raft_node(message->to));
    if (view && view->send && view->send->done)
        free_send(view);
    if (!view || view->send) {
        raft_report_snapshot(replica->raft, message->to, false);
        return;
    }
    struct snapshot_send *send = mem_zalloc(sizeof *send);
    *send = (struct snapshot_send){
        .replica = replica,
        .node = replica_raft_node(message->to),
        .message = *message,
        .snapshot = *message->snapshot,
        .transfer = skein_random() | 1,
    };
    send->message.snapshot = &send->snapshot;
    skein_scope_init(&send->scope);
    skein_waitq_init(&send->wake);
    if (skein_spawn(&send->scope, "snapshot-send", run, send, SKEIN_STACK_SMALL) < 0) {
        mem_free(send);
        raft_report_snapshot(replica->raft, message->to, false);
        return;
    }
    view->send = send;
    replica->sends_active++;
}

void
snapshot_send_on_ack(struct replica *replica, uint32_t from, struct bytes data)
{
    struct envelope_ack ack;
    if (envelope_get_ack(data, &ack) < 0) {
        replica->counters.undecodable_dropped++;
        return;
    }
    struct peer_view *view = replica_view(replica, from);
    struct snapshot_send *send = view ? view->send : NULL;
    if (!send || send->done || send->transfer != ack.transfer || send->state != ENVELOPE_ACK_MORE)
        return;
    if (ack.state == ENVELOPE_ACK_MORE && ack.offset <= send->offset)
        return;
    send->state = ack.state;
    send->offset = ack.offset;
    skein_wake_all(&send->wake);
}

void
snapshot_send_end_all(struct replica *replica)
{
    for (uint32_t i = 0; i < replica->host->peer_count; i++) {
        struct peer_view *view = &replica->views[i];
        if (!view->send)
            continue;
        skein_scope_cancel(&view->send->scope);
        free_send(view);
    }
}
