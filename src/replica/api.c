/* SPDX-License-Identifier: Apache-2.0 */
/* include/skein/replica.h over the replica: options with defaults, a link, and the user's machine
 * behind the inner seam. */
#include "skein/replica.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "replica/link_tcp.h"
#include "replica/peers.h"
#include "replica/state.h"
#include "skein/fiber.h"

#define MIB (UINT64_C(1) << 20)
#define COMMAND_BYTES_MAX (32 * MIB)

struct skein_replica {
    struct replica *replica;
    const struct skein_machine_ops *ops;
    void *config;
    struct skein_replica *groups; /* handles of the groups behind the first; its own */
};

/* The inner machine: whose it is, and the user's. */
struct adapter {
    const struct skein_machine_ops *ops;
    void *machine;
};

struct skein_reply {
    struct wire_writer *out;
};

struct skein_sink {
    struct replica_sink *inner;
};

struct skein_source {
    struct replica_source *inner;
};

void
skein_reply_put(struct skein_reply *reply, const void *data, size_t count)
{
    if (reply)
        wire_put_raw(reply->out, data, count);
}

int
skein_sink_put(struct skein_sink *sink, const void *data, size_t count)
{
    return sink->inner->write(sink->inner, data, count);
}

int
skein_source_get(struct skein_source *source, void *data, size_t count)
{
    return source->inner->read(source->inner, data, count);
}

static int
adapter_open(void **out_machine, void *config)
{
    const struct skein_replica *replica = config;
    struct adapter *adapter = mem_zalloc(sizeof *adapter);
    adapter->ops = replica->ops;
    int rc = adapter->ops->open(&adapter->machine, replica->config);
    if (rc < 0)
        mem_free(adapter);
    else
        *out_machine = adapter;
    return rc;
}

static struct skein_command
outer(const struct replica_command *command)
{
    return (struct skein_command){.index = command->index,
                                  .time_ms = command->time_ms,
                                  .data = command->data.data,
                                  .count = command->data.count};
}

static void
adapter_apply(void *machine, const struct replica_command *command, struct wire_writer *out)
{
    struct adapter *adapter = machine;
    struct skein_command one = outer(command);
    struct skein_reply reply = {out};
    adapter->ops->apply(adapter->machine, &one, out ? &reply : NULL);
}

static void
adapter_query(void *machine, const struct replica_command *command, struct wire_writer *out)
{
    struct adapter *adapter = machine;
    struct skein_command one = outer(command);
    struct skein_reply reply = {out};
    adapter->ops->query(adapter->machine, &one, &reply);
}

static int
adapter_save(void *machine, struct replica_sink *inner)
{
    struct adapter *adapter = machine;
    struct skein_sink sink = {inner};
    return adapter->ops->snapshot_save(adapter->machine, &sink);
}

static int
adapter_load(void *machine, struct replica_source *inner)
{
    struct adapter *adapter = machine;
    struct skein_source source = {inner};
    return adapter->ops->snapshot_load(adapter->machine, &source);
}

static void
adapter_close(void *machine)
{
    struct adapter *adapter = machine;
    adapter->ops->close(adapter->machine);
    mem_free(adapter);
}

static const struct replica_machine_ops adapter_ops = {.name = "adapter",
                                                       .open = adapter_open,
                                                       .apply = adapter_apply,
                                                       .query = adapter_query,
                                                       .snapshot_save = adapter_save,
                                                       .snapshot_load = adapter_load,
                                                       .close = adapter_close};

static uint64_t
or_default(uint64_t value, uint64_t standard)
{
    return value ? value : standard;
}

static int
check(const struct skein_replica_options *options, const struct replica_peers *peers,
      char out_why[SKEIN_REPLICA_WHY_BYTES])
{
    size_t name_bytes = options->cluster_name ? strlen(options->cluster_name) : 0;
    const char *what = NULL;
    bool listed = false;
    for (uint32_t i = 0; i < peers->count; i++)
        listed |= peers->list[i].node == options->node;
    if (name_bytes == 0 || name_bytes > 64)
        what = "the cluster's name has 1 to 64 bytes";
    else if (!listed)
        what = "this node's number is not among the peers";
    else if (!options->data_dir || !options->data_dir[0])
        what = "there is no data directory";
    else if (options->command_bytes_max > COMMAND_BYTES_MAX)
        what = "commands may have at most 32 MiB";
    else if (options->election_ticks == 1)
        what = "an election needs at least 2 ticks";
    else if (options->segment_bytes % 4096 != 0 || options->segment_bytes > 1024 * MIB ||
             (options->segment_bytes && options->segment_bytes < 64 << 10))
        what = "a segment has 64 KiB to 1 GiB, in whole 4 KiB";
    if (!what)
        return 0;
    snprintf(out_why, SKEIN_REPLICA_WHY_BYTES, "%s", what);
    return -SKEIN_EINVALID;
}

static int
open_inner(struct skein_replica *replica, const struct skein_replica_options *options,
           const struct replica_peers *peers, char out_why[SKEIN_REPLICA_WHY_BYTES])
{
    struct link_tcp_options link = {.cluster_name = options->cluster_name,
                                    .node = options->node,
                                    .peers = peers->list,
                                    .peer_count = peers->count,
                                    .queue_bytes_max = 64 * MIB};
    struct replica_options inner = {
        .cluster_name = options->cluster_name,
        .node = options->node,
        .peers = peers->list,
        .peer_count = peers->count,
        .data_dir = options->data_dir,
        .group_count = options->group_count,
        .quiesce_ticks = options->quiesce_ticks,
        .machine_ops = &adapter_ops,
        .machine_config = replica,
        .tick_ns = or_default(options->tick_ns, 50000000),
        .election_ticks = options->election_ticks ? options->election_ticks : 10,
        .segment_bytes = or_default(options->segment_bytes, 64 * MIB),
        .scrub_period_ns = UINT64_C(86400000000000), /* a day */
        .checkpoint_log_bytes = or_default(options->checkpoint_log_bytes, 64 * MIB),
        .checkpoint_entries = options->checkpoint_entries,
        .checkpoint_interval_ns = options->checkpoint_interval_ns,
        .checkpoints_kept = options->checkpoints_kept,
        .catchup_log_bytes = or_default(options->catchup_log_bytes, 256 * MIB),
        .snapshot_bytes_per_second = options->snapshot_bytes_per_second,
        .snapshot_sends_max = options->snapshot_sends_max,
        .keep_log_bytes = or_default(options->keep_log_bytes, 16 * MIB),
        .pending_bytes_max = or_default(options->pending_bytes_max, 64 * MIB),
        .command_bytes_max = or_default(options->command_bytes_max, 16 * MIB),
        .lease_drift_ppm = options->lease_drift_ppm};
    int rc = link_tcp_open(&inner.link, &link);
    if (rc < 0) {
        snprintf(out_why, SKEIN_REPLICA_WHY_BYTES, "the list of peers cannot be used");
        return rc;
    }
    return replica_open(&replica->replica, &inner, out_why);
}

static struct skein_replica *
with_groups(struct skein_replica *replica)
{
    uint32_t count = replica_group_count(replica->replica);
    replica->groups = count > 1 ? mem_zalloc((count - 1) * sizeof *replica) : NULL;
    for (uint32_t i = 1; i < count; i++)
        replica->groups[i - 1].replica = replica_group(replica->replica, i);
    return replica;
}

int
skein_replica_open(struct skein_replica **out_replica, const struct skein_replica_options *options,
                   char out_why[SKEIN_REPLICA_WHY_BYTES])
{
    struct replica_peers peers = {.count = 0};
    char reason[256] = "";
    int rc = replica_peers_parse(options->peers ? options->peers : "", &peers, reason);
    if (rc < 0) {
        snprintf(out_why, SKEIN_REPLICA_WHY_BYTES, "the peers are not %s", reason);
        return rc;
    }
    rc = check(options, &peers, out_why);
    if (rc < 0)
        return rc;
    struct skein_replica *replica = mem_zalloc(sizeof *replica);
    replica->ops = options->machine;
    replica->config = options->machine_config;
    rc = open_inner(replica, options, &peers, out_why);
    if (rc < 0)
        mem_free(replica);
    else
        *out_replica = with_groups(replica);
    return rc;
}

struct skein_replica *
skein_replica_group(struct skein_replica *replica, uint32_t group)
{
    if (group >= replica_group_count(replica->replica))
        return NULL;
    return group == 0 ? replica : &replica->groups[group - 1];
}

static ssize_t
give_reply(struct bytes *answer, void *reply, size_t capacity)
{
    size_t count = answer->count;
    if (count > 0 && capacity > 0)
        memcpy(reply, answer->data, count < capacity ? count : capacity);
    bytes_unref(answer);
    return (ssize_t)count;
}

static ssize_t
submit(struct skein_replica *replica, enum replica_kind kind, const void *command, size_t count,
       void *reply, size_t capacity, uint64_t deadline_ns)
{
    struct bytes data = bytes_copy(command, count);
    struct bytes answer = {0};
    int rc = replica_submit(replica->replica, kind, data, deadline_ns, &answer);
    bytes_unref(&data);
    return rc < 0 ? rc : give_reply(&answer, reply, capacity);
}

_Static_assert((int)SKEIN_READ_STALE == (int)REPLICA_STALE &&
                   (int)SKEIN_READ_LEASE == (int)REPLICA_LEASE &&
                   (int)SKEIN_READ_FOLLOWER == (int)REPLICA_FOLLOWER,
               "the levels have the same numbers");

ssize_t
skein_replica_read_at(struct skein_replica *replica, enum skein_read_level level, uint64_t stale_ns,
                      const void *command, size_t count, void *reply, size_t capacity,
                      uint64_t deadline_ns)
{
    struct bytes data = bytes_copy(command, count), answer = {0};
    int rc = -SKEIN_EINVALID;
    if (replica_level_name((enum replica_level)level))
        rc = replica_read(replica->replica, (enum replica_level)level, stale_ns, data, deadline_ns,
                          &answer);
    bytes_unref(&data);
    return rc < 0 ? rc : give_reply(&answer, reply, capacity);
}

int
skein_session_open(struct skein_replica *replica, uint64_t ttl_ms, uint64_t *out_session,
                   uint64_t deadline_ns)
{
    return replica_session_open(replica->replica, ttl_ms, deadline_ns, out_session);
}

int
skein_session_close(struct skein_replica *replica, uint64_t session, uint64_t deadline_ns)
{
    return replica_session_close(replica->replica, session, deadline_ns);
}

ssize_t
skein_session_write(struct skein_replica *replica, uint64_t session, uint64_t sequence,
                    const void *command, size_t count, void *reply, size_t capacity,
                    uint64_t deadline_ns)
{
    struct bytes answer = {0};
    int rc = replica_submit_once(replica->replica, session, sequence, bytes_borrow(command, count),
                                 deadline_ns, &answer);
    return rc < 0 ? rc : give_reply(&answer, reply, capacity);
}

ssize_t
skein_replica_write(struct skein_replica *replica, const void *command, size_t count, void *reply,
                    size_t capacity, uint64_t deadline_ns)
{
    return submit(replica, REPLICA_WRITE, command, count, reply, capacity, deadline_ns);
}

ssize_t
skein_replica_read(struct skein_replica *replica, const void *command, size_t count, void *reply,
                   size_t capacity, uint64_t deadline_ns)
{
    return submit(replica, REPLICA_READ, command, count, reply, capacity, deadline_ns);
}

void
skein_replica_status(struct skein_replica *replica, struct skein_replica_status *out_status)
{
    struct replica_status *inner = mem_zalloc(sizeof *inner);
    replica_status(replica->replica, inner);
    *out_status = (struct skein_replica_status){.phase = replica_phase_name(inner->phase),
                                                .leads = replica_leads(replica->replica),
                                                .leader_node = inner->leader_node,
                                                .term = inner->raft.hard_state.term,
                                                .commit_index = inner->raft.hard_state.commit,
                                                .applied_index = inner->raft.applied,
                                                .last_index = inner->raft.last_index,
                                                .checkpoint_index = inner->checkpoint_index,
                                                .log_time_ms = inner->log_time_ms,
                                                .repairing = inner->repairing};
    mem_free(inner);
}

int
skein_replica_failure(struct skein_replica *replica, char out_why[SKEIN_REPLICA_WHY_BYTES])
{
    return replica_failure(replica->replica, out_why);
}

void
skein_replica_stop(struct skein_replica *replica, uint64_t deadline_ns)
{
    if (!replica)
        return;
    replica_stop(replica->replica, deadline_ns);
    mem_free(replica->groups);
    mem_free(replica);
}
