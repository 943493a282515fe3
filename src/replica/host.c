/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and stopping a host and its groups. */
#include "replica/host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/shard.h"
#include "disk/wal_group.h"
#include "obs/log.h"
#include "replica/aside.h"
#include "replica/former.h"
#include "replica/rescue.h"
#include "replica/state.h"
#include "skein/error.h"
#include "skein/group.h"

/* How often a stop looks whether it is done. */
#define STOP_POLL_NS UINT64_C(5000000)

#define GROUP_LOG_BYTES_MIN (UINT64_C(256) << 10)

struct peer *
host_peer(struct host *host, uint32_t node)
{
    for (uint32_t i = 0; i < host->peer_count; i++)
        if (host->peers[i].node == node && !host->peers[i].gone)
            return &host->peers[i];
    return NULL;
}

struct replica *
host_group(struct host *host, uint32_t group)
{
    return group < host->group_count ? host->groups[group] : NULL;
}

void
host_fail(struct host *host, int code, const char *format, ...)
{
    if (host->failure < 0)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(host->why, sizeof host->why, format, args);
    va_end(args);
    char quoted[600];
    obs_log(OBS_ERROR, "replica", "failed", "node=%u error=%s why=%s", host->options.node,
            skein_error_name(code), obs_quote(quoted, sizeof quoted, host->why, strlen(host->why)));
    host->failure = code;
    for (uint32_t i = 0; i < host->group_count; i++) {
        host->groups[i]->phase = REPLICA_FAILED;
        skein_wake_all(&host->groups[i]->progress_wake);
    }
    skein_wake_all(&host->idle_wake);
    driver_signal(host);
}

/* What a host may have is shared out to its groups, down to a size that is worth a file. */
static uint64_t
share_of(uint64_t bytes, uint32_t group_count)
{
    uint64_t share = bytes / group_count;
    uint64_t least = bytes < GROUP_LOG_BYTES_MIN ? bytes : GROUP_LOG_BYTES_MIN;
    return share > least ? share : least;
}

struct host *
host_create(const struct replica_options *options)
{
    struct host *host = mem_zalloc(sizeof *host);
    host->magic = REPLICA_MAGIC;
    host->options = *options;
    host->link = options->link;
    host->data_dir = mem_strdup(options->data_dir);
    host->wal_dir = mem_alloc(strlen(options->data_dir) + 5);
    sprintf(host->wal_dir, "%s/wal", options->data_dir);
    host->lock = -1;
    host->session = skein_random() | 1;
    host->handler = (struct replica_link_handler){.owner = host,
                                                  .on_message = inbox_on_message,
                                                  .on_lost = inbox_on_lost,
                                                  .on_refused = members_on_refused};
    skein_scope_init(&host->scope);
    skein_scope_init(&host->wal_scope);
    skein_waitq_init(&host->driver_wake);
    skein_waitq_init(&host->idle_wake);
    throttle_init(&host->snapshot_throttle, options->snapshot_bytes_per_second, skein_now_ns());
    list_init(&host->checkpoints);
    skein_waitq_init(&host->checkpoint_wake);
    list_init(&host->ready);
    list_init(&host->awake);
    list_init(&host->held);
    for (uint32_t i = 0; i < REPLICA_FORWARD_BUCKETS; i++)
        list_init(&host->forwards[i]);
    for (uint32_t i = 0; i < options->peer_count && i < REPLICA_NODES_MAX; i++) {
        (void)roster_put(&host->configured, &options->peers[i]);
        if (options->peers[i].node != options->node)
            host->peers[host->peer_count++].node = options->peers[i].node;
    }
    host->options.peers = NULL;
    host->options.cluster_name = NULL;
    host->options.data_dir = host->data_dir;
    host->group_count = options->group_count ? options->group_count : 1;
    host->options.group_count = host->group_count;
    host->options.checkpoint_log_bytes = share_of(options->checkpoint_log_bytes, host->group_count);
    host->options.keep_log_bytes = options->keep_log_bytes / host->group_count;
    host->groups = mem_alloc(host->group_count * sizeof(host->groups[0]));
    for (uint32_t i = 0; i < host->group_count; i++)
        host->groups[i] = replica_create(host, i);
    host_metrics_open(host);
    return host;
}

static int
check_options(const struct replica_options *options, uint32_t nodes[REPLICA_NODES_MAX],
              char out_why[512])
{
    size_t name_bytes = strlen(options->cluster_name);
    bool found = false;
    if (name_bytes < 1 || name_bytes > GENESIS_NAME_BYTES_MAX || options->peer_count < 1 ||
        options->peer_count > REPLICA_NODES_MAX) {
        snprintf(out_why, 512,
                 "a cluster has a name of 1 to %d bytes and 1 to %d nodes; this one has %zu bytes "
                 "and %u nodes",
                 GENESIS_NAME_BYTES_MAX, REPLICA_NODES_MAX, name_bytes, options->peer_count);
        return -SKEIN_EINVALID;
    }
    if (options->group_count > REPLICA_GROUPS_MAX ||
        options->group_count > wal_groups_max(options->segment_bytes)) {
        snprintf(out_why, 512,
                 "%u groups are too many: at most %u, and %u with segments of %" PRIu64 " bytes",
                 options->group_count, REPLICA_GROUPS_MAX,
                 (unsigned)wal_groups_max(options->segment_bytes), options->segment_bytes);
        return -SKEIN_EINVALID;
    }
    if (options->group_count > 1 && options->machine_ops->persist) {
        snprintf(out_why, 512, "a machine that keeps its state on disk itself has one group");
        return -SKEIN_EINVALID;
    }
    for (uint32_t i = 0; i < options->peer_count; i++) {
        uint32_t at = i, node = options->peers[i].node;
        for (; at > 0 && nodes[at - 1] > node; at--)
            nodes[at] = nodes[at - 1];
        nodes[at] = node;
        found |= node == options->node;
    }
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (nodes[i] == 0 || nodes[i] > UINT16_MAX || (i > 0 && nodes[i - 1] == nodes[i]))
            found = false;
    if (options->election_rank > REPLICA_RANK_MAX) {
        snprintf(out_why, 512, "election ranks are 0 to %u", REPLICA_RANK_MAX);
        return -SKEIN_EINVALID;
    }
    if (options->lease_drift_ppm > REPLICA_DRIFT_PPM_MAX ||
        (options->lease_drift_ppm && options->election_ticks < 3)) {
        snprintf(out_why, 512, "leases need a drift of at most %u ppm, and 3 election ticks",
                 REPLICA_DRIFT_PPM_MAX);
        return -SKEIN_EINVALID;
    }
    if (!found) {
        snprintf(out_why, 512,
                 "node numbers are 1 to 65535, each once, and this node's (%u) is one of them",
                 options->node);
        return -SKEIN_EINVALID;
    }
    return 0;
}

/*
 * What an earlier process has renamed and died before it could sync is to be seen now, and would be
 * gone with the power: nothing is built on it before it is durable.
 */
static int
sync_names(struct host *host, char out_why[512])
{
    int rc = skein_file_sync_directory(host->data_dir);
    if (rc < 0)
        snprintf(out_why, 512, "%.400s: cannot be synced: %s", host->data_dir,
                 skein_error_text(rc));
    return rc;
}

int
host_lock(struct host *host, char out_why[512])
{
    char path[4200], parent[4100];
    int rc = skein_file_mkdir(host->data_dir, 0755);
    bool is_new = rc == 0;
    if (is_new || rc == -EEXIST) {
        /* Also when it is there: whoever made it may have died, or failed, before this. A parent
         * that may not be opened was not made by us. */
        snprintf(parent, sizeof parent, "%s/..", host->data_dir);
        rc = skein_file_sync_directory(parent);
        if (!is_new && (rc == -EACCES || rc == -EPERM || rc == -EROFS))
            rc = 0;
    }
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s: cannot be made: %s", host->data_dir, skein_error_text(rc));
        return rc;
    }
    snprintf(path, sizeof path, "%s/LOCK", host->data_dir);
    rc = skein_file_open(path, SKEIN_FILE_RDWR | SKEIN_FILE_CREATE, 0644);
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s/LOCK: cannot be opened: %s", host->data_dir,
                 skein_error_text(rc));
        return rc;
    }
    host->lock = rc;
    rc = skein_file_lock(host->lock);
    if (rc == 0)
        return sync_names(host, out_why);
    snprintf(out_why, 512,
             "%.300s: another process uses this data directory; stop it, or give this node a "
             "directory of its own",
             host->data_dir);
    return rc == -EWOULDBLOCK ? -SKEIN_EBUSY : rc;
}

/* A directory without an identity must not hold anything that an identity should speak for. */
static int
check_new(struct host *host, char out_why[512])
{
    struct skein_names names = {0};
    int rc = skein_file_list(host->data_dir, &names);
    if (rc < 0) {
        snprintf(out_why, 512, "%.400s: cannot be listed: %s", host->data_dir,
                 skein_error_text(rc));
        return rc;
    }
    for (size_t i = 0; i < names.count && rc == 0; i++)
        if (strcmp(names.names[i], "wal") == 0 || strcmp(names.names[i], "groups") == 0 ||
            strncmp(names.names[i], "checkpoint-", 11) == 0)
            rc = -SKEIN_ECORRUPT;
    skein_names_deinit(&names);
    if (rc < 0)
        snprintf(out_why, 512, "%.300s: there is a log but the file identity is gone; put it back",
                 host->data_dir);
    return rc;
}

static int
load_identity(struct host *host, const char *name, uint32_t node, char out_why[512])
{
    struct identity *identity = &host->identity;
    int rc = identity_read(host->data_dir, identity, out_why);
    if (rc == -ENOENT) {
        rc = check_new(host, out_why);
        if (rc < 0)
            return rc;
        identity_draw(identity, name, node);
        identity->group_count = host->group_count;
        rc = identity_write(host->data_dir, identity);
        if (rc < 0)
            snprintf(out_why, 512, "%.400s/identity: cannot be written: %s", host->data_dir,
                     skein_error_text(rc));
        return rc;
    }
    if (rc < 0)
        return rc;
    if (identity->group_count != host->group_count) {
        snprintf(out_why, 512,
                 "%.200s: was founded with %u groups, and that cannot be changed; start it with "
                 "%u groups, not with %u",
                 host->data_dir, identity->group_count, identity->group_count, host->group_count);
        return -SKEIN_EIDENTITY;
    }
    if (strcmp(identity->name, name) == 0 && identity->node == node)
        return 0;
    snprintf(out_why, 512,
             "%.200s: belongs to node %u of cluster \"%s\", and this is node %u of cluster \"%s\"; "
             "give the directory of this node",
             host->data_dir, identity->node, identity->name, node, name);
    return -SKEIN_EIDENTITY;
}

static int
open_directory(struct host *host, const char *name, const uint32_t *nodes, char out_why[512])
{
    int rc = host_lock(host, out_why);
    if (rc == 0)
        rc = rescue_check(host->data_dir, out_why);
    if (rc == 0)
        rc = load_identity(host, name, host->options.node, out_why);
    /* A machine may have its state in the directory: not before that is this process' own. */
    for (uint32_t i = 0; i < host->group_count && rc == 0; i++)
        rc = replica_open_machine(host->groups[i]);
    if (rc < 0)
        return rc;
    genesis_init(&host->genesis, name, host->options.node, host->identity.incarnation, nodes,
                 host->options.peer_count);
    host->genesis.join_only = host->options.join || host->identity.rejoined;
    if (host->identity.state == GENESIS_UNBORN)
        return 0;
    genesis_born(&host->genesis, host->identity.state, &host->identity.map);
    former_leave_behind(host);
    return recover_start(host, out_why);
}

static int
start_fibers(struct host *host, char out_why[512])
{
    host->next_tick_ns = skein_deadline_in(host->options.tick_ns);
    int rc = skein_spawn_at(SKEIN_PRIORITY_CRITICAL, &host->scope, "driver", driver_run, host,
                            SKEIN_STACK_LARGE);
    for (uint32_t i = 0; i < REPLICA_CHECKPOINTERS && i < host->group_count && rc == 0; i++)
        rc = skein_spawn_at(SKEIN_PRIORITY_LOW, &host->scope, "checkpoint", checkpoint_run, host,
                            SKEIN_STACK_LARGE);
    for (uint32_t i = 0; i < host->group_count; i++)
        host->groups[i]->checkpoint_ns = skein_now_ns();
    if (host->options.scrub_period_ns > 0 && rc == 0)
        rc = skein_spawn_at(SKEIN_PRIORITY_LOW, &host->scope, "scrub", scrub_run, host,
                            SKEIN_STACK_LARGE);
    if (rc < 0)
        snprintf(out_why, 512, "no room for another fiber: %s", skein_error_text(rc));
    driver_signal(host);
    return rc;
}

static void
close_log(struct host *host)
{
    if (!host->wal)
        return;
    wal_close(host->wal);
    skein_scope_join(&host->wal_scope);
    wal_free(host->wal);
    host->wal = NULL;
}

void
host_peer_deinit(struct peer *peer)
{
    wire_writer_deinit(&peer->rafts);
    wire_writer_deinit(&peer->forwards);
    wire_writer_deinit(&peer->replies);
    for (uint32_t s = 0; s < REPLICA_SESSIONS; s++)
        mem_free(peer->sessions[s].window);
}

static void
drop_inbox(struct host *host)
{
    for (size_t i = 0; i < host->inbox_count; i++)
        bytes_unref(&host->inbox[i].data);
    mem_free(host->inbox);
    mem_free(host->inbox_spare);
}

/* Ends everything, in the order in which one stands on the other. */
void
host_free(struct host *host)
{
    host_metrics_close(host);
    host->ending = true;
    for (uint32_t i = 0; i < host->group_count; i++)
        skein_wake_all(&host->groups[i]->progress_wake);
    driver_signal(host);
    skein_scope_cancel(&host->scope);
    for (uint32_t i = 0; i < host->group_count; i++)
        snapshot_send_end_all(host->groups[i]);
    skein_scope_join(&host->scope);
    for (uint32_t i = 0; i < host->group_count; i++)
        request_finish_all(host->groups[i], -SKEIN_ECLOSED);
    if (host->link_started)
        forward_flush_replies(host);
    if (host->link)
        host->link->ops->stop(host->link);
    close_log(host);
    while (host->local_count > 0)
        (void)!skein_wait(&host->idle_wake, SKEIN_NEVER);
    for (uint32_t i = 0; i < host->group_count; i++)
        replica_destroy(host->groups[i]);
    if (host->lock >= 0)
        skein_close(host->lock);
    drop_inbox(host);
    for (uint32_t i = 0; i < host->peer_count; i++)
        host_peer_deinit(&host->peers[i]);
    wire_writer_deinit(&host->reply);
    mem_free(host->ahead.list);
    mem_free(host->groups);
    mem_free(host->wal_dir);
    mem_free(host->data_dir);
    host->magic = 0;
    mem_free(host);
}

static void
explain_listen(const struct replica_options *options, int rc, char out_why[512])
{
    unsigned port = 0;
    for (uint32_t i = 0; i < options->peer_count; i++)
        if (options->peers[i].node == options->node)
            port = options->peers[i].addr.port;
    snprintf(out_why, 512, "cannot listen for peers on port %u (node %u): %s%s", port,
             options->node, skein_error_text(rc),
             rc == -EADDRINUSE ? "; stop the program that has it, or give the node another address"
                               : "");
}

int
replica_open(struct replica **out_replica, const struct replica_options *options, char out_why[512])
{
    uint32_t nodes[REPLICA_NODES_MAX] = {0};
    out_why[0] = '\0';
    int rc = check_options(options, nodes, out_why);
    if (rc < 0) {
        options->link->ops->stop(options->link);
        return rc;
    }
    struct host *host = host_create(options);
    rc = open_directory(host, options->cluster_name, nodes, out_why);
    if (rc == -SKEIN_ECORRUPT && aside_take(host, out_why) == 0) {
        host->link = NULL; /* the next one's */
        skein_shield(true);
        host_free(host);
        skein_shield(false);
        host = host_create(options);
        rc = open_directory(host, options->cluster_name, nodes, out_why);
    }
    if (rc == 0) {
        rc = host->link->ops->start(host->link, &host->handler);
        host->link_started = rc == 0;
        if (rc < 0)
            explain_listen(options, rc, out_why);
    }
    if (rc == 0) {
        members_sync_peers(host);
        rc = start_fibers(host, out_why);
    }
    if (rc < 0) {
        if (out_why[0] == '\0')
            snprintf(out_why, 512, "%s", skein_error_text(rc));
        skein_shield(true);
        host_free(host);
        skein_shield(false);
        return rc;
    }
    *out_replica = host->groups[0];
    return 0;
}

static uint32_t
led_count(const struct host *host)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->group_count; i++)
        count += replica_is_leader(host->groups[i]);
    return count;
}

/* At most an election's time, and not past @deadline_ns. */
static uint64_t
election_deadline(const struct host *host, uint64_t deadline_ns)
{
    uint64_t limit_ns = skein_deadline_in(host->options.tick_ns * host->options.election_ticks);
    return deadline_ns < limit_ns ? deadline_ns : limit_ns;
}

/* Returns whether there was anything to hand over. */
static bool
hand_leadership_over(struct host *host, uint64_t deadline_ns)
{
    uint32_t begun = 0;
    for (uint32_t i = 0; i < host->group_count; i++)
        if (replica_is_leader(host->groups[i]) &&
            raft_transfer(host->groups[i]->raft, RAFT_NONE) == 0) {
            replica_signal(host->groups[i]);
            begun++;
        }
    if (begun == 0)
        return false;
    uint32_t stay = led_count(host) - begun;
    uint64_t until_ns = election_deadline(host, deadline_ns);
    while (led_count(host) > stay && skein_now_ns() < until_ns)
        (void)!skein_sleep(skein_deadline_in(STOP_POLL_NS));
    return true;
}

static bool
has_remotes(const struct host *host)
{
    for (uint32_t i = 0; i < host->group_count; i++)
        if (!list_is_empty(&host->groups[i]->remotes))
            return true;
    return false;
}

/*
 * What other nodes have handed to this one while it led: the entries are in the next leader's log,
 * but their writers would wait in vain for an answer and be told "unknown". What comes yet is from
 * nodes that have not heard of the hand-over, and is told "not the leader". A tick without any: the
 * answers have left, and nobody hands on more.
 */
static void
answer_remotes(struct host *host, uint64_t deadline_ns)
{
    uint64_t until_ns = election_deadline(host, deadline_ns);
    uint64_t quiet_ns = 0;
    while (quiet_ns < host->options.tick_ns && skein_now_ns() < until_ns) {
        (void)!skein_sleep(skein_deadline_in(STOP_POLL_NS));
        quiet_ns = has_remotes(host) ? 0 : quiet_ns + STOP_POLL_NS;
    }
}

void
replica_stop(struct replica *replica, uint64_t deadline_ns)
{
    struct host *host = replica->host;
    skein_assert(host->magic == REPLICA_MAGIC);
    skein_shield(true);
    host->stopping = true;
    int rc = 0;
    while (host->local_count > 0 && host->failure == 0 && rc == 0)
        rc = skein_wait(&host->idle_wake, deadline_ns);
    if (host->failure == 0 && hand_leadership_over(host, deadline_ns))
        answer_remotes(host, deadline_ns);
    host_free(host);
    skein_shield(false);
}
