/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint file coming in. Chunks arrive in the driver's round and are written by a fiber of
 * their own, in turn; what comes out of turn is dropped, the sender repeats it. What came stays on
 * the disk when the transfer breaks, and the next transfer of the same file goes on behind it.
 */
#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/group.h"
#include "skein/shard.h"

#include <inttypes.h>
#include <string.h>

static void
ack(struct replica *replica, uint32_t to, uint64_t transfer, enum envelope_ack_state state,
    uint64_t offset)
{
    struct wire_writer out = {0};
    struct envelope_ack message = {
        .group = replica->group, .transfer = transfer, .offset = offset, .state = state};
    envelope_put_ack(&out, &message);
    inbox_send_writer(replica->host, to, &out);
    wire_writer_deinit(&out);
}

static bool
has_ended(const struct snapshot_receive *receive, uint64_t transfer)
{
    for (uint32_t i = 0; i < BASE_COUNT_OF(receive->ended); i++)
        if (receive->ended[i] == transfer)
            return true;
    return false;
}

static void
end_transfer(struct snapshot_receive *receive, bool keep_part)
{
    if (receive->receiver && keep_part)
        checkpoint_receive_close(receive->receiver);
    else if (receive->receiver)
        checkpoint_receive_discard(receive->receiver);
    receive->receiver = NULL;
    if (receive->transfer != 0)
        receive->ended[receive->ended_next++ % BASE_COUNT_OF(receive->ended)] = receive->transfer;
    receive->transfer = 0;
}

static bool
same_snapshot(const struct raft_snapshot *a, const struct raft_snapshot *b)
{
    return a->index == b->index && a->term == b->term && raft_config_equal(&a->config, &b->config);
}

bool
snapshot_receive_may_step(const struct replica *replica, const struct raft_snapshot *snapshot)
{
    return snapshot->index <= replica->applied_index ||
           same_snapshot(&replica->receive.installed, snapshot);
}

void
snapshot_receive_on_chunk(struct host *host, uint32_t from, struct bytes data)
{
    struct envelope_chunk chunk;
    struct replica *replica =
        envelope_get_chunk(data, &chunk) < 0 ? NULL : host_group(host, chunk.group);
    if (!replica) {
        host->counters.undecodable_dropped++;
        return;
    }
    struct snapshot_receive *receive = &replica->receive;
    if (!replica->raft || memcmp(chunk.cluster, host->identity.map.cluster, 16) != 0)
        return;
    if (snapshot_receive_may_step(replica, &chunk.snapshot)) {
        ack(replica, from, chunk.transfer, ENVELOPE_ACK_WHOLE, chunk.file.file_bytes);
        return;
    }
    if (has_ended(receive, chunk.transfer)) {
        ack(replica, from, chunk.transfer, ENVELOPE_ACK_FAILED, 0);
        return;
    }
    /* Whoever led before has nothing to say any more. */
    if (chunk.term < raft_term(replica->raft) || chunk.term < receive->term)
        return;
    if (receive->busy) {
        ack(replica, from, chunk.transfer, ENVELOPE_ACK_BUSY, 0);
        return;
    }
    if (receive->pending_count == BASE_COUNT_OF(receive->pending)) {
        replica->host->counters.chunks_dropped++;
        return;
    }
    receive->pending[receive->pending_count++] =
        (struct inbox_message){.from = from, .data = bytes_ref(data)};
    snapshot_receive_signal(replica);
}

static int
begin(struct replica *replica, uint32_t from, const struct envelope_chunk *chunk)
{
    struct snapshot_receive *receive = &replica->receive;
    end_transfer(receive, true);
    receive->busy = true;
    int rc = checkpoint_receive_begin(&receive->receiver, replica->dir, &chunk->file);
    receive->busy = false;
    if (rc < 0)
        return rc;
    receive->transfer = chunk->transfer;
    receive->term = chunk->term;
    receive->from = from;
    receive->file = chunk->file;
    receive->snapshot = chunk->snapshot;
    uint64_t offset = checkpoint_receive_offset(receive->receiver);
    replica->counters.snapshots_resumed += offset > 0;
    obs_log(OBS_INFO, "replica", "snapshot coming in",
            "node=%u from=%u index=%" PRIu64 " bytes=%" PRIu64 " have=%" PRIu64,
            replica->host->options.node, from, chunk->snapshot.index, chunk->file.file_bytes,
            offset);
    return 0;
}

static int
finish(struct replica *replica)
{
    struct snapshot_receive *receive = &replica->receive;
    char why[512] = "", quoted[600];
    struct checkpoint_receiver *receiver = receive->receiver;
    receive->busy = true;
    int rc = checkpoint_receive_commit(receiver, replica->host->identity.map.cluster,
                                       &receive->snapshot, why);
    receive->busy = false;
    receive->receiver = NULL;
    if (rc == 0)
        receive->installed = receive->snapshot;
    else
        obs_log(OBS_WARN, "replica", "snapshot refused", "node=%u error=%s why=%s",
                replica->host->options.node, skein_error_name(rc),
                obs_quote(quoted, sizeof quoted, why, strlen(why)));
    end_transfer(receive, false);
    return rc;
}

/* What follows from the chunk: the state to answer. */
static int
take_chunk(struct replica *replica, const struct envelope_chunk *chunk, bool begun,
           struct envelope_ack *answer)
{
    struct snapshot_receive *receive = &replica->receive;
    uint64_t offset = checkpoint_receive_offset(receive->receiver);
    if (chunk->offset <= offset) {
        int rc = checkpoint_receive(receive->receiver, chunk->offset, chunk->data.data,
                                    chunk->data.count);
        if (rc < 0)
            return rc;
    }
    answer->offset = checkpoint_receive_offset(receive->receiver);
    answer->state = begun || chunk->data.count == 0 ? ENVELOPE_ACK_RESUME : ENVELOPE_ACK_MORE;
    if (answer->offset < receive->file.file_bytes)
        return 0;
    answer->state = ENVELOPE_ACK_WHOLE;
    return finish(replica);
}

static void
process(struct replica *replica, uint32_t from, struct bytes data)
{
    struct snapshot_receive *receive = &replica->receive;
    struct envelope_chunk chunk;
    struct envelope_ack answer = {.state = ENVELOPE_ACK_FAILED};
    int rc = envelope_get_chunk(data, &chunk);
    skein_assert(rc == 0);
    if (has_ended(receive, chunk.transfer))
        return;
    bool begun = receive->transfer != chunk.transfer;
    if (begun)
        rc = begin(replica, from, &chunk);
    if (rc == 0 &&
        (from != receive->from || !checkpoint_identity_equal(&chunk.file, &receive->file)))
        return;
    if (rc == 0)
        rc = take_chunk(replica, &chunk, begun, &answer);
    if (rc < 0) {
        obs_log(OBS_WARN, "replica", "snapshot failed", "node=%u from=%u error=%s",
                replica->host->options.node, from, skein_error_name(rc));
        end_transfer(receive, false);
        answer.state = ENVELOPE_ACK_FAILED;
    }
    ack(replica, from, chunk.transfer, answer.state, answer.offset);
}

static struct inbox_message
next_pending(struct snapshot_receive *receive)
{
    struct inbox_message first = receive->pending[0];
    receive->pending_count--;
    for (uint32_t i = 0; i < receive->pending_count; i++)
        receive->pending[i] = receive->pending[i + 1];
    return first;
}

static void
run(void *arg)
{
    struct replica *replica = arg;
    struct snapshot_receive *receive = &replica->receive;
    while (!replica->host->ending) {
        if (load_wanted(replica)) {
            receive->busy = true;
            load_run(replica);
            receive->busy = false;
            if (skein_cancelled())
                break;
            continue;
        }
        if (receive->pending_count == 0) {
            if (receive->transfer == 0 ||
                skein_wait(&receive->wake, SKEIN_NEVER) == -SKEIN_ECANCELED)
                break;
            continue;
        }
        struct inbox_message next = next_pending(receive);
        process(replica, next.from, next.data);
        bytes_unref(&next.data);
    }
    skein_shield(true);
    end_transfer(receive, true);
    skein_shield(false);
    while (receive->pending_count > 0) {
        struct inbox_message next = next_pending(receive);
        bytes_unref(&next.data);
    }
    receive->running = false;
}

void
snapshot_receive_signal(struct replica *replica)
{
    struct snapshot_receive *receive = &replica->receive;
    if (receive->running) {
        skein_wake_all(&receive->wake);
        return;
    }
    /* No room for a fiber: the next chunk, or the next tick, tries again. */
    receive->running = skein_spawn_at(SKEIN_PRIORITY_LOW, &replica->host->scope, "snapshot-in", run,
                                      replica, SKEIN_STACK_LARGE) == 0;
}
