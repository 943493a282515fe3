/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint file coming in. Chunks arrive in the driver's round and are written by a fiber of
 * their own, one at a time; what comes out of turn is dropped, the sender repeats it.
 */
#include "skein/shard.h"
#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"

#include <inttypes.h>
#include <string.h>

static void
ack(struct replica *replica, uint32_t to, uint64_t transfer, enum envelope_ack_state state,
    uint64_t offset)
{
    struct wire_writer out = {0};
    struct envelope_ack message = {.transfer = transfer, .offset = offset, .state = state};
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
end_transfer(struct snapshot_receive *receive)
{
    if (receive->receiver)
        checkpoint_receive_abort(receive->receiver);
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
snapshot_receive_on_chunk(struct replica *replica, uint32_t from, struct bytes data)
{
    struct snapshot_receive *receive = &replica->receive;
    struct envelope_chunk chunk;
    if (envelope_get_chunk(data, &chunk) < 0) {
        replica->counters.undecodable_dropped++;
        return;
    }
    if (!replica->raft || memcmp(chunk.cluster, replica->host->identity.map.cluster, 16) != 0)
        return;
    if (snapshot_receive_may_step(replica, &chunk.snapshot)) {
        ack(replica, from, chunk.transfer, ENVELOPE_ACK_WHOLE, chunk.file_bytes);
        return;
    }
    if (receive->pending.buf || has_ended(receive, chunk.transfer))
        return;
    receive->pending = bytes_ref(data);
    receive->pending_from = from;
    skein_wake_all(&receive->wake);
}

static int
begin(struct replica *replica, uint32_t from, const struct envelope_chunk *chunk)
{
    struct snapshot_receive *receive = &replica->receive;
    if (chunk->offset != 0)
        return -SKEIN_ENOTFOUND;
    end_transfer(receive);
    int rc = checkpoint_receive_begin(&receive->receiver, replica->host->data_dir,
                                      chunk->snapshot.index);
    if (rc < 0)
        return rc;
    receive->transfer = chunk->transfer;
    receive->from = from;
    receive->next_offset = 0;
    receive->file_bytes = chunk->file_bytes;
    receive->snapshot = chunk->snapshot;
    obs_log(OBS_INFO, "replica", "snapshot coming in",
            "node=%u from=%u index=%" PRIu64 " bytes=%" PRIu64, replica->host->options.node, from,
            chunk->snapshot.index, chunk->file_bytes);
    return 0;
}

static int
finish(struct replica *replica)
{
    struct snapshot_receive *receive = &replica->receive;
    char why[512] = "";
    struct checkpoint_receiver *receiver = receive->receiver;
    int rc = checkpoint_receive_commit(receiver, replica->host->identity.map.cluster,
                                       &receive->snapshot, why);
    receive->receiver = NULL;
    if (rc == 0)
        receive->installed = receive->snapshot;
    else
        obs_log(OBS_WARN, "replica", "snapshot refused", "node=%u error=%s",
                replica->host->options.node, skein_error_name(rc));
    end_transfer(receive);
    return rc;
}

static int
take_chunk(struct replica *replica, const struct envelope_chunk *chunk,
           enum envelope_ack_state *out_state, uint64_t *out_offset)
{
    struct snapshot_receive *receive = &replica->receive;
    *out_state = ENVELOPE_ACK_MORE;
    if (chunk->offset == receive->next_offset) {
        int rc = checkpoint_receive(receive->receiver, chunk->offset, chunk->data.data,
                                    chunk->data.count);
        if (rc < 0)
            return rc;
        receive->next_offset += chunk->data.count;
    }
    *out_offset = receive->next_offset;
    if (receive->next_offset < receive->file_bytes)
        return 0;
    *out_state = ENVELOPE_ACK_WHOLE;
    return finish(replica);
}

static void
process(struct replica *replica, uint32_t from, struct bytes data)
{
    struct snapshot_receive *receive = &replica->receive;
    struct envelope_chunk chunk;
    enum envelope_ack_state state = ENVELOPE_ACK_FAILED;
    uint64_t offset = 0;
    int rc = envelope_get_chunk(data, &chunk);
    skein_assert(rc == 0);
    if (receive->transfer != chunk.transfer)
        rc = begin(replica, from, &chunk);
    if (rc == -SKEIN_ENOTFOUND || from != receive->from ||
        (rc == 0 && chunk.file_bytes != receive->file_bytes))
        return;
    if (rc == 0)
        rc = take_chunk(replica, &chunk, &state, &offset);
    if (rc < 0) {
        obs_log(OBS_WARN, "replica", "snapshot failed", "node=%u from=%u error=%s",
                replica->host->options.node, from, skein_error_name(rc));
        end_transfer(receive);
        state = ENVELOPE_ACK_FAILED;
    }
    ack(replica, from, chunk.transfer, state, offset);
}

void
snapshot_receive_run(void *arg)
{
    struct replica *replica = arg;
    struct snapshot_receive *receive = &replica->receive;
    while (!replica->host->ending) {
        if (!receive->pending.buf) {
            if (skein_wait(&receive->wake, SKEIN_NEVER) == -SKEIN_ECANCELED)
                break;
            continue;
        }
        struct bytes data = receive->pending;
        uint32_t from = receive->pending_from;
        process(replica, from, data);
        bytes_unref(&receive->pending);
    }
    skein_shield(true);
    end_transfer(receive);
    skein_shield(false);
    bytes_unref(&receive->pending);
}
