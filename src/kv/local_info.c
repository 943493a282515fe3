/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "skein/shard.h"
#include "kv/group_stats.h"
#include "kv/local.h"
#include "kv/machine.h"
#include "net/addr.h"

/*
 * INFO: Redis' sections with the figures that exist here, and a section `skein` with everything
 * that replica_status knows. Every node takes reads and writes, so `role` is master everywhere; who
 * leads stands in `skein`.
 *
 * With several groups a count is that of all of them; what only one group has (term, commit,
 * voters, peers) is group 0's, and a line `group_N` for each has the most important of it. `role`
 * is leader then when the node leads any of them.
 */

#define SECOND_NS UINT64_C(1000000000)

struct view {
    const struct kv_face *face;
    struct replica_status status;
    struct kv_machine_stats machine; /* of all groups */
    uint32_t led_count;
    uint64_t now_ns;
};

static void
info_server(struct wire_writer *text, const struct view *view)
{
    uint64_t uptime = (view->now_ns - view->face->opened_ns) / SECOND_NS;
    kv_local_printf(text, "redis_version:%s\r\nredis_mode:standalone\r\nserver_name:skein\r\n",
                    KV_REDIS_VERSION);
    kv_local_printf(text, "run_id:%s\r\ntcp_port:%u\r\n", view->face->run_id,
                    view->face->addr.port);
    kv_local_printf(text, "uptime_in_seconds:%" PRIu64 "\r\nuptime_in_days:%" PRIu64 "\r\n", uptime,
                    uptime / 86400);
}

static void
info_clients(struct wire_writer *text, const struct view *view)
{
    kv_local_printf(text, "connected_clients:%u\r\nmaxclients:%u\r\nblocked_clients:0\r\n",
                    view->face->conn_count, view->face->options.client_count_max);
    kv_local_printf(text, "query_buffer_bytes:%" PRIu64 "\r\nreply_buffer_bytes:%" PRIu64 "\r\n",
                    view->face->query_bytes, view->face->reply_bytes);
}

static void
info_memory(struct wire_writer *text, const struct view *view)
{
    const struct store_stats *table = &view->machine.table;
    kv_local_printf(text, "used_memory:%" PRIu64 "\r\nused_memory_dataset:%" PRIu64 "\r\n",
                    table->memory_bytes, table->data_bytes);
    kv_local_printf(text, "maxmemory:0\r\nmaxmemory_policy:noeviction\r\n");
}

static void
info_persistence(struct wire_writer *text, const struct view *view)
{
    kv_local_printf(text, "loading:0\r\naof_enabled:1\r\naof_last_write_status:%s\r\n",
                    view->status.phase == REPLICA_FAILED ? "err" : "ok");
    kv_local_printf(text, "rdb_saves:%" PRIu64 "\r\n", view->status.checkpoints_taken);
}

static void
info_stats(struct wire_writer *text, const struct view *view)
{
    const struct kv_face_stats *stats = &view->face->stats;
    kv_local_printf(text,
                    "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
                    "\r\ninstantaneous_ops_per_sec:%" PRIu64 "\r\n",
                    stats->connections, stats->commands,
                    kv_face_commands_per_second(view->face, view->now_ns));
    kv_local_printf(text,
                    "total_net_input_bytes:%" PRIu64 "\r\ntotal_net_output_bytes:%" PRIu64
                    "\r\nrejected_connections:%" PRIu64 "\r\nexpired_keys:%" PRIu64 "\r\n",
                    stats->input_bytes, stats->output_bytes, stats->rejected,
                    view->machine.expired_total);
}

static void
info_replication(struct wire_writer *text, const struct view *view)
{
    const struct raft_config *config = &view->status.raft.config;
    kv_local_printf(text,
                    "role:master\r\nconnected_slaves:%u\r\nmaster_repl_offset:%" PRIu64 "\r\n",
                    config->count ? config->count - 1 : 0, view->status.raft.applied);
}

static void
info_keyspace(struct wire_writer *text, const struct view *view)
{
    if (view->machine.key_count)
        kv_local_printf(text, "db0:keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=0\r\n",
                        view->machine.key_count, view->machine.expiring_key_count);
}

static void
skein_identity(struct wire_writer *text, const struct view *view)
{
    const struct replica_status *status = &view->status;
    bool leads = view->face->group_count > 1 && view->led_count;
    kv_local_printf(text, "phase:%s\r\nwaiting_for:%.127s\r\nnode:%u\r\nraft_id:%016" PRIx64 "\r\n",
                    replica_phase_name(status->phase), status->waiting_for, status->node,
                    status->raft.id);
    kv_local_printf(text, "cluster_id:");
    for (size_t i = 0; i < sizeof(status->cluster_id); i++)
        kv_local_printf(text, "%02x", status->cluster_id[i]);
    char addr[NET_ADDR_TEXT_BYTES];
    bool told = status->leader_client.port != 0;
    kv_local_printf(text, "\r\nrole:%s\r\nleader:%u\r\nleader_addr:%s\r\nvoters:",
                    raft_role_name(leads ? RAFT_LEADER : status->raft.role), status->leader_node,
                    told ? net_addr_format(&status->leader_client, addr) : "");
    const struct raft_config *config = &status->raft.config;
    const char *between = "";
    for (uint32_t i = 0; i < config->count; i++) {
        if (!(config->roles[i] & RAFT_VOTER))
            continue;
        kv_local_printf(text, "%s%u", between, replica_raft_node(config->ids[i]));
        between = ",";
    }
    kv_local_printf(text, "\r\n");
}

static void
skein_log(struct wire_writer *text, const struct replica_status *status)
{
    const struct raft_status *raft = &status->raft;
    kv_local_printf(text,
                    "term:%" PRIu64 "\r\nvote:%u\r\ncommit:%" PRIu64 "\r\napplied:%" PRIu64 "\r\n",
                    raft->hard_state.term, replica_raft_node(raft->hard_state.vote),
                    raft->hard_state.commit, raft->applied);
    kv_local_printf(text,
                    "log_first:%" PRIu64 "\r\nlog_last:%" PRIu64 "\r\nlog_last_term:%" PRIu64
                    "\r\nlog_memory_bytes:%" PRIu64 "\r\nlog_time_ms:%" PRIu64 "\r\n",
                    raft->first_index, raft->last_index, raft->last_term, raft->log_bytes,
                    status->log_time_ms);
    kv_local_printf(text, "log_writes:%" PRIu64 "\r\nlog_write_bytes:%" PRIu64 "\r\n",
                    status->log_writes, status->log_write_bytes);
    kv_local_printf(text,
                    "checkpoint:%" PRIu64 "\r\ncheckpoints_taken:%" PRIu64
                    "\r\nsnapshots_sent:%" PRIu64 "\r\nsnapshots_installed:%" PRIu64
                    "\r\nlog_repairing:%d\r\nlog_repairs:%" PRIu64 "\r\n",
                    status->checkpoint_index, status->checkpoints_taken, status->snapshots_sent,
                    status->snapshots_installed, status->repairing, status->repairs);
}

static void
skein_traffic(struct wire_writer *text, const struct view *view)
{
    const struct replica_status *status = &view->status;
    const struct replica_link_stats *link = &status->link;
    kv_local_printf(text,
                    "proposals:%" PRIu64 "\r\nreads:%" PRIu64 "\r\nforwarded:%" PRIu64
                    "\r\nbatches:%" PRIu64 "\r\nbatches_failed:%" PRIu64
                    "\r\nprotocol_errors:%" PRIu64 "\r\n",
                    status->proposals, status->reads, status->forwarded, view->face->stats.batches,
                    view->face->stats.failed_batches, view->face->stats.protocol_errors);
    kv_local_printf(text,
                    "link_sent:%" PRIu64 "\r\nlink_received:%" PRIu64 "\r\nlink_sent_bytes:%" PRIu64
                    "\r\nlink_received_bytes:%" PRIu64 "\r\n",
                    link->sent, link->received, link->sent_bytes, link->received_bytes);
    kv_local_printf(text,
                    "dropped_queue_full:%" PRIu64 "\r\ndropped_unconnected:%" PRIu64
                    "\r\nlink_refused:%" PRIu64 "\r\ndropped_forged:%" PRIu64
                    "\r\ndropped_undecodable:%" PRIu64 "\r\ndropped_senseless:%" PRIu64 "\r\n",
                    link->dropped_queue_full, link->dropped_unconnected, link->refused,
                    status->forged_dropped, status->undecodable_dropped, status->raft.dropped);
    for (uint32_t i = 0; i < status->raft.peer_count; i++) {
        const struct raft_peer_status *peer = &status->raft.peers[i];
        kv_local_printf(text, "peer_%u:state=%s,match=%" PRIu64 ",next=%" PRIu64 ",active=%d\r\n",
                        replica_raft_node(peer->id), kv_local_progress_name(peer->state),
                        peer->match, peer->next, peer->recent_active);
    }
}

static void
skein_groups(struct wire_writer *text, const struct view *view)
{
    struct replica_status status;
    struct kv_machine_stats machine;
    kv_local_printf(text, "groups:%u\r\ngroups_led:%u\r\n", view->face->group_count,
                    view->led_count);
    for (uint32_t i = 0; i < view->face->group_count; i++) {
        struct replica *replica = kv_face_group(view->face, i);
        replica_status(replica, &status);
        kv_machine_stats(replica_machine(replica), &machine);
        kv_local_printf(text,
                        "group_%u:role=%s,leader=%u,term=%" PRIu64 ",commit=%" PRIu64
                        ",applied=%" PRIu64 ",checkpoint=%" PRIu64 ",keys=%" PRIu64 "\r\n",
                        i, raft_role_name(status.raft.role), status.leader_node,
                        status.raft.hard_state.term, status.raft.hard_state.commit,
                        status.raft.applied, status.checkpoint_index, machine.key_count);
    }
}

static void
info_skein(struct wire_writer *text, const struct view *view)
{
    skein_identity(text, view);
    skein_log(text, &view->status);
    skein_traffic(text, view);
    if (view->face->group_count > 1)
        skein_groups(text, view);
    kv_local_printf(
        text, "keys:%" PRIu64 "\r\nkeys_expiring:%" PRIu64 "\r\ncommands_applied:%" PRIu64 "\r\n",
        view->machine.key_count, view->machine.expiring_key_count, view->machine.commands_total);
}

static const struct section {
    const char *name;
    const char *title;
    void (*put)(struct wire_writer *text, const struct view *view);
} sections[] = {
    {"server", "Server", info_server},       {"clients", "Clients", info_clients},
    {"memory", "Memory", info_memory},       {"persistence", "Persistence", info_persistence},
    {"stats", "Stats", info_stats},          {"replication", "Replication", info_replication},
    {"keyspace", "Keyspace", info_keyspace}, {"skein", "Skein", info_skein},
};

static bool
section_wanted(const struct section *section, const struct kv_arg *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (kv_local_is(&names[i], section->name) || kv_local_is(&names[i], "all") ||
            kv_local_is(&names[i], "default") || kv_local_is(&names[i], "everything"))
            return true;
    return count == 0;
}

static void
add_counts(struct replica_status *to, const struct replica_status *from)
{
    to->checkpoints_taken += from->checkpoints_taken;
    to->snapshots_sent += from->snapshots_sent;
    to->snapshots_installed += from->snapshots_installed;
    to->proposals += from->proposals;
    to->reads += from->reads;
    to->forwarded += from->forwarded;
    to->repairs += from->repairs;
    to->repairing |= from->repairing;
    to->raft.log_bytes += from->raft.log_bytes;
    to->raft.dropped += from->raft.dropped;
}

/* The first group's figures, with the counts of all. */
static void
look(struct view *view)
{
    struct replica_status status;
    for (uint32_t i = 0; i < view->face->group_count; i++) {
        struct replica *replica = kv_face_group(view->face, i);
        replica_status(replica, &status);
        view->led_count += status.raft.role == RAFT_LEADER;
        if (i == 0)
            view->status = status;
        else
            add_counts(&view->status, &status);
    }
    kv_group_stats(view->face->options.replica, view->face->group_count, &view->machine);
}

void
kv_local_info(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    struct view view = {.face = local->face, .now_ns = skein_now_ns()};
    struct wire_writer text = {0};
    look(&view);
    for (size_t i = 0; i < BASE_COUNT_OF(sections); i++) {
        if (!section_wanted(&sections[i], argv + 1, argc - 1))
            continue;
        kv_local_printf(&text, "%s# %s\r\n", text.count ? "\r\n" : "", sections[i].title);
        sections[i].put(&text, &view);
    }
    kv_reply_bulk(local->out, text.data, text.count);
    wire_writer_deinit(&text);
}
