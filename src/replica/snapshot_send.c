/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint file on its way to a follower. First it is asked what it has of this very file; then
 * chunks go out, a window of them ahead of what is acknowledged; what is not acknowledged in time
 * goes out again. The core's own message follows when the file is durable over there.
 */
#include "base/mem.h"
#include "obs/log.h"
#include "raft/codec.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "skein/group.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MS_NS UINT64_C(1000000)
/* Nothing acknowledged for so long: send again. Doubled each time, up to the second. */
#define ACK_NS_MIN (500 * MS_NS)
#define ACK_NS_MAX (4000 * MS_NS)
/* Not a word from the receiver for so long: the transfer has failed. */
#define SILENCE_NS (20000 * MS_NS)
/* Chunks on the way at a time. */
#define WINDOW_CHUNKS 4u
#define SENDS_MAX 2u
/* Who was sent one gets the entries behind it within so long. */
#define CATCHUP_NS (30000 * MS_NS)

struct snapshot_send {
    struct replica *replica;
    uint32_t node;
    struct skein_scope scope;
    struct raft_message message; /* its snapshot is the next: */
    struct raft_snapshot snapshot;
    struct checkpoint_identity file;
    uint64_t transfer;
    bool begun;           /* the receiver said where to begin */
    uint64_t resumed;     /* it began there */
    uint64_t acked, sent; /* bytes of the file */
    uint64_t told;        /* what the receiver had when it was last heard */
    uint64_t heard_ns;
    enum envelope_ack_state state; /* MORE, until it is over */
    bool done;
    bool silent;        /* counted in host->sends_silent */
    uint64_t log_bytes; /* where the snapshot stands in the log */
    uint64_t whole_ns;  /* when it was done with success */
    struct skein_waitq wake;
};

static bool
still_wanted(const struct snapshot_send *send)
{
    const struct replica *replica = send->replica;
    return !replica->host->ending && replica->phase != REPLICA_FAILED &&
           replica_is_leader(replica) && raft_term(replica->raft) == send->message.term;
}

static uint64_t
chunk_bytes(const struct replica *replica)
{
    uint64_t bytes = replica->host->options.snapshot_chunk_bytes;
    return bytes > 0 && bytes < ENVELOPE_CHUNK_BYTES ? bytes : ENVELOPE_CHUNK_BYTES;
}

/* @count bytes at send->sent, 0: the question where to begin. False: there is no way for it now. */
static bool
put_chunk(struct snapshot_send *send, const uint8_t *data, size_t count)
{
    struct replica *replica = send->replica;
    struct envelope_chunk chunk = {.group = replica->group,
                                   .transfer = send->transfer,
                                   .term = send->message.term,
                                   .snapshot = send->snapshot,
                                   .file = send->file,
                                   .offset = count ? send->sent : 0,
                                   .data = bytes_borrow(data, count)};
    memcpy(chunk.cluster, replica->host->identity.map.cluster, 16);
    struct wire_writer out = {0};
    envelope_put_chunk(&out, &chunk);
    int rc = inbox_send_writer(replica->host, send->node, &out);
    wire_writer_deinit(&out);
    return rc == 0;
}

int
snapshot_throttle(struct host *host, uint64_t count)
{
    uint64_t wait_ns = throttle_take(&host->snapshot_throttle, count, skein_now_ns());
    host->counters.snapshot_bytes_sent += count;
    return wait_ns ? skein_sleep(skein_deadline_in(wait_ns)) : 0;
}

/* The next chunk. 0: it did not fit into the link's queue. */
static ssize_t
send_chunk(struct snapshot_send *send, int handle, uint8_t *buffer)
{
    uint64_t left = send->file.file_bytes - send->sent, most = chunk_bytes(send->replica);
    size_t count = left < most ? (size_t)left : (size_t)most;
    uint64_t at = send->sent;
    ssize_t n = skein_file_pread(handle, buffer, count, at);
    if (n != (ssize_t)count)
        return n < 0 ? n : -SKEIN_ECORRUPT;
    uint64_t begun_ns = skein_now_ns();
    int rc = snapshot_throttle(send->replica->host, count);
    if (rc < 0)
        return rc;
    uint64_t now_ns = skein_now_ns();
    send->heard_ns += now_ns - begun_ns; /* a slow rate is no silence */
    if (send->heard_ns > now_ns)
        send->heard_ns = now_ns; /* it was heard meanwhile */
    if (at != send->sent || send->state != ENVELOPE_ACK_MORE)
        return (ssize_t)count; /* it has been told where to go on meanwhile */
    if (!put_chunk(send, buffer, count))
        return 0;
    send->sent += count;
    return (ssize_t)count;
}

/* A transfer whose receiver says nothing takes no place from those that get on. */
static void
set_silent(struct snapshot_send *send, bool silent)
{
    if (silent && !send->silent)
        send->replica->host->sends_silent++;
    else if (!silent && send->silent)
        send->replica->host->sends_silent--;
    send->silent = silent;
}

/* Until something is acknowledged; when nothing is, everything behind that goes out again. */
static int
wait_for_ack(struct snapshot_send *send, uint64_t *wait_ns)
{
    uint64_t acked = send->acked;
    bool begun = send->begun;
    if (send->state != ENVELOPE_ACK_MORE)
        return 0;
    int rc = skein_wait(&send->wake, skein_deadline_in(*wait_ns));
    if (rc == -SKEIN_ECANCELED)
        return rc;
    if (send->acked != acked || send->begun != begun) {
        *wait_ns = ACK_NS_MIN;
        return 0;
    }
    if (rc == 0)
        return 0;
    set_silent(send, true);
    /* It may have lost what it had, and its word of that may be lost, too. */
    if (send->acked > send->told)
        send->acked = send->told;
    send->sent = send->acked;
    *wait_ns = *wait_ns * 2 < ACK_NS_MAX ? *wait_ns * 2 : ACK_NS_MAX;
    return skein_now_ns() - send->heard_ns < SILENCE_NS ? 0 : -SKEIN_ETIMEDOUT;
}

static int
stream(struct snapshot_send *send, int handle, uint8_t *buffer)
{
    uint64_t window = WINDOW_CHUNKS * chunk_bytes(send->replica), wait_ns = ACK_NS_MIN;
    while (send->state == ENVELOPE_ACK_MORE) {
        if (!still_wanted(send))
            return -SKEIN_ECANCELED;
        bool room =
            send->begun && send->sent < send->file.file_bytes && send->sent - send->acked < window;
        ssize_t sent = room ? send_chunk(send, handle, buffer) : 0;
        if (!send->begun)
            (void)put_chunk(send, NULL, 0);
        if (sent == 0)
            sent = wait_for_ack(send, &wait_ns);
        if (sent < 0)
            return (int)sent;
    }
    return send->state == ENVELOPE_ACK_WHOLE ? 0 : -SKEIN_ECORRUPT;
}

static int
send_file(struct snapshot_send *send)
{
    char path[4096];
    checkpoint_path(send->replica->dir, send->snapshot.index, path, sizeof path);
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    if (handle < 0)
        return handle;
    uint8_t *buffer = mem_alloc(chunk_bytes(send->replica));
    int rc = checkpoint_identify(handle, &send->file);
    send->heard_ns = skein_now_ns();
    if (rc == 0)
        rc = stream(send, handle, buffer);
    mem_free(buffer);
    skein_shield(true);
    skein_close(handle);
    skein_shield(false);
    return rc;
}

static void
hand_over(struct snapshot_send *send)
{
    struct replica *replica = send->replica;
    inbox_send_raft(replica, &send->message);
    replica->counters.snapshots_sent++;
}

/* Is it this node's own file that is damaged? Then there has to be another one. */
static void
check_own_file(struct snapshot_send *send)
{
    struct replica *replica = send->replica;
    struct checkpoint_reader *reader;
    struct checkpoint_info info;
    char path[4096], why[512] = "", quoted[600];
    checkpoint_path(replica->dir, send->snapshot.index, path, sizeof path);
    int rc = checkpoint_open(&reader, path, NULL, &info, why);
    if (rc == 0) {
        rc = checkpoint_verify(reader);
        memcpy(why, checkpoint_reader_why(reader), sizeof why);
        skein_shield(true);
        checkpoint_close(reader);
        skein_shield(false);
    }
    if (rc != -SKEIN_ECORRUPT && rc != -ENOENT)
        return;
    if (rc == -SKEIN_ECORRUPT)
        obs_log(OBS_ERROR, "replica", "a checkpoint is damaged, another one is made",
                "node=%u why=%s", replica->host->options.node,
                obs_quote(quoted, sizeof quoted, why, strlen(why)));
    /* The core is told of it when the next one is taken. */
    replica->checkpoint_wanted = true;
    checkpoint_signal(replica);
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
            "node=%u to=%u index=%" PRIu64 " result=%s from=%" PRIu64 " bytes=%" PRIu64
            " ms=%" PRIu64,
            replica->host->options.node, send->node, send->snapshot.index,
            rc < 0 ? skein_error_name(rc) : "whole", send->resumed,
            send->acked - (send->acked < send->resumed ? send->acked : send->resumed),
            (skein_now_ns() - begun_ns) / MS_NS);
    if (rc == -ENOENT || rc == -SKEIN_ECORRUPT)
        check_own_file(send);
    if (replica->raft)
        raft_report_snapshot(replica->raft, send->message.to, rc == 0);
    set_silent(send, false);
    replica->host->sends_active--;
    send->done = true;
    send->whole_ns = rc == 0 ? skein_now_ns() : 0;
    replica_signal(replica);
}

static void
free_send(struct peer_view *view)
{
    skein_scope_join(&view->send->scope);
    mem_free(view->send);
    view->send = NULL;
}

static bool
has_place(const struct host *host)
{
    uint32_t most = host->options.snapshot_sends_max ? host->options.snapshot_sends_max : SENDS_MAX;
    return host->sends_active - host->sends_silent < most;
}

void
snapshot_send_begin(struct replica *replica, const struct raft_message *message)
{
    struct peer_view *view = replica_view(replica, replica_raft_node(message->to));
    if (view && view->send && view->send->done)
        free_send(view);
    if (!view || view->send || !has_place(replica->host)) {
        /* The core tries again after the next heartbeat. */
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
        .log_bytes = replica->checkpoint_log_bytes,
    };
    send->message.snapshot = &send->snapshot;
    skein_scope_init(&send->scope);
    skein_waitq_init(&send->wake);
    if (skein_spawn_at(SKEIN_PRIORITY_LOW, &send->scope, "snapshot-send", run, send,
                       SKEIN_STACK_SMALL) < 0) {
        mem_free(send);
        raft_report_snapshot(replica->raft, message->to, false);
        return;
    }
    view->send = send;
    replica->host->sends_active++;
}

uint64_t
snapshot_send_keeps(const struct replica *replica)
{
    uint64_t from = UINT64_MAX, now_ns = skein_now_ns();
    for (uint32_t i = 0; i < replica->host->peer_count; i++) {
        const struct snapshot_send *send = replica->views[i].send;
        if (!send || (send->done && (!send->whole_ns || now_ns - send->whole_ns > CATCHUP_NS)))
            continue;
        uint64_t grown = replica->log_bytes - send->log_bytes;
        if (grown <= replica->host->options.catchup_log_bytes && send->snapshot.index + 1 < from)
            from = send->snapshot.index + 1;
    }
    return from;
}

static void
take_ack(struct snapshot_send *send, const struct envelope_ack *ack)
{
    switch (ack->state) {
    case ENVELOPE_ACK_MORE:
        send->told = ack->offset;
        if (!send->begun || ack->offset <= send->acked)
            return;
        send->acked = ack->offset;
        if (send->sent < send->acked)
            send->sent = send->acked;
        break;
    case ENVELOPE_ACK_RESUME:
        if (!send->begun)
            send->resumed = ack->offset;
        send->begun = true;
        send->acked = send->sent = send->told = ack->offset;
        break;
    case ENVELOPE_ACK_WHOLE:
    case ENVELOPE_ACK_FAILED:
        send->acked = ack->offset;
        send->state = ack->state;
        break;
    case ENVELOPE_ACK_BUSY:
        return;
    }
    skein_wake_all(&send->wake);
}

void
snapshot_send_on_ack(struct host *host, uint32_t from, struct bytes data)
{
    struct envelope_ack ack;
    struct replica *replica = envelope_get_ack(data, &ack) < 0 ? NULL : host_group(host, ack.group);
    if (!replica) {
        host->counters.undecodable_dropped++;
        return;
    }
    struct peer_view *view = replica_view(replica, from);
    struct snapshot_send *send = view ? view->send : NULL;
    if (!send || send->done || send->transfer != ack.transfer || send->state != ENVELOPE_ACK_MORE ||
        ack.offset > send->file.file_bytes)
        return;
    send->heard_ns = skein_now_ns();
    set_silent(send, false);
    take_ack(send, &ack);
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
