/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/node.h"

#include <stdio.h>
#include <string.h>

#include "kv/expire.h"
#include "kv/face.h"
#include "kv/node_metrics.h"
#include "kv/route.h"
#include "kv/scrape.h"
#include "net/addr.h"
#include "obs/log.h"
#include "skein/error.h"

#define MS_NS UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)
#define MIB (UINT64_C(1) << 20)
/* replica.h has no call to wait for a failure; the failed replica serves nothing meanwhile. */
#define FAILURE_CHECK_NS (200 * MS_NS)
/* Commands of so many bytes in the log are held in memory with what stands around them; a table on
 * disk is persisted sooner when its changes take more than this many times that. */
#define MEMORY_FOR_LOG 4
/* What the replica gets for its own stop even when the clients used up the whole time. */
#define REPLICA_STOP_NS_MIN (1 * SECOND_NS)

struct kv_node {
    struct kv_node_options options;
    struct skein_scope expirer_scope;
    struct replica *replica;
    struct kv_face *face;
    struct kv_expirer expirer;
    struct kv_scrape *scrape;
};

void
kv_node_options_init(struct kv_node_options *options)
{
    *options = (struct kv_node_options){
        .replica = {.cluster_name = "skein",
                    .tick_ns = 50 * MS_NS,
                    .election_ticks = 10,
                    .segment_bytes = 64 * MIB,
                    .checkpoint_log_bytes = 64 * MIB,
                    .keep_log_bytes = 16 * MIB,
                    .scrub_period_ns = 24 * 3600 * SECOND_NS,
                    .checkpoints_kept = 1,
                    .catchup_log_bytes = 256 * MIB,
                    .snapshot_sends_max = 2,
                    .pending_bytes_max = 64 * MIB,
                    .command_bytes_max = 16 * MIB},
        .route_keys = true,
        .limits = {.key_bytes_max = 64 << 10, .value_bytes_max = MIB, .reply_bytes_max = 64 * MIB},
        .command_timeout_ns = 5 * SECOND_NS,
        .client_count_max = 10000,
        .query_bytes_max = 32 * MIB,
        .shutdown_timeout_ns = 5 * SECOND_NS,
    };
}

static int
open_face(struct kv_node *node, char out_why[512])
{
    const struct kv_node_options *options = &node->options;
    uint32_t group_count = options->route_keys ? replica_group_count(node->replica) : 1;
    struct kv_face_options face = {.replica = node->replica,
                                   .group_count = group_count,
                                   .listen = options->listen,
                                   .limits = options->limits,
                                   .command_timeout_ns = options->command_timeout_ns,
                                   .send_timeout_ns = 60 * SECOND_NS,
                                   .client_count_max = options->client_count_max,
                                   .query_bytes_max = options->query_bytes_max,
                                   .advertised =
                                       !options->route_keys || options->replica.group_count <= 1,
                                   .allow_plaintext = options->allow_plaintext};
    int rc = kv_face_open(&node->face, &face, out_why);
    if (rc < 0)
        return rc;
    node->expirer = (struct kv_expirer){.replica = node->replica,
                                        .group_count = group_count,
                                        .limits = options->limits,
                                        .command_timeout_ns = options->command_timeout_ns};
    rc = kv_expirer_start(&node->expirer, &node->expirer_scope);
    if (rc < 0)
        snprintf(out_why, 512, "cannot start the expirer: %s", skein_error_text(rc));
    return rc;
}

static void
advertise(struct kv_node *node)
{
    struct skein_addr addr = node->options.advertise;
    if (addr.port == 0)
        addr = node->face->addr;
    if (!net_addr_is_unspecified(&addr))
        replica_advertise(node->replica, &addr);
}

static int
check_options(const struct kv_node_options *options, char out_why[512])
{
    uint32_t groups = options->replica.group_count;
    if (!kv_limits_ok(&options->limits)) {
        snprintf(out_why, 512,
                 "the limits of keys, values or replies are above %u, %u and %u bytes",
                 KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, KV_REPLY_BYTES_MAX);
        return -SKEIN_EINVALID;
    }
    if ((options->route_keys && groups > KV_GROUPS_MAX) ||
        (groups > 1 && options->store == KV_STORE_LMDB)) {
        snprintf(out_why, 512, "%u groups: at most %u, and one with a store on disk (lmdb)", groups,
                 KV_GROUPS_MAX);
        return -SKEIN_EINVALID;
    }
    return 0;
}

int
kv_node_open(struct kv_node **out_node, const struct kv_node_options *options, char out_why[512])
{
    int rc = check_options(options, out_why);
    if (rc < 0) {
        options->replica.link->ops->stop(options->replica.link);
        return rc;
    }
    struct kv_node *node = mem_zalloc(sizeof(*node));
    node->options = *options;
    struct kv_machine_config machine = {.store = options->store,
                                        .data_dir = options->replica.data_dir,
                                        .memory_bytes_max =
                                            MEMORY_FOR_LOG * options->replica.checkpoint_log_bytes,
                                        .out_why = out_why};
    node->options.replica.machine_ops =
        options->store == KV_STORE_LMDB ? &kv_machine_disk_ops : &kv_machine_ops;
    node->options.replica.machine_config = &machine;
    skein_scope_init(&node->expirer_scope);
    rc = replica_open(&node->replica, &node->options.replica, out_why);
    node->options.replica.machine_config = NULL;
    if (rc < 0) {
        mem_free(node);
        return rc;
    }
    kv_node_metrics_open(node->replica);
    rc = open_face(node, out_why);
    if (rc == 0)
        advertise(node);
    if (rc == 0 && options->metrics)
        rc = kv_scrape_open(&node->scrape, &options->metrics_listen, out_why);
    if (rc < 0) {
        kv_node_stop(node);
        return rc;
    }
    *out_node = node;
    return 0;
}

struct replica *
kv_node_replica(struct kv_node *node)
{
    return node->replica;
}

struct skein_addr
kv_node_addr(const struct kv_node *node)
{
    return node->face->addr;
}

struct skein_addr
kv_node_metrics_addr(const struct kv_node *node)
{
    return node->scrape ? kv_scrape_addr(node->scrape) : (struct skein_addr){0};
}

int
kv_node_wait(struct kv_node *node, char out_why[512])
{
    for (;;) {
        int rc = replica_failure(node->replica, out_why);
        if (rc < 0)
            return rc;
        rc = skein_sleep(skein_deadline_in(FAILURE_CHECK_NS));
        if (rc < 0)
            return rc;
    }
}

void
kv_node_stop_accepting(struct kv_node *node)
{
    if (node->face)
        kv_face_stop_accepting(node->face);
}

int
kv_node_drain(struct kv_node *node, uint64_t deadline_ns)
{
    struct kv_face *face = node->face;
    node->face = NULL;
    kv_face_stop(face, deadline_ns);
    return skein_now_ns() < deadline_ns ? 0 : -SKEIN_ETIMEDOUT;
}

void
kv_node_stop_timers(struct kv_node *node)
{
    skein_scope_cancel(&node->expirer_scope);
    skein_scope_join(&node->expirer_scope);
}

void
kv_node_stop_metrics(struct kv_node *node)
{
    struct kv_scrape *scrape = node->scrape;
    node->scrape = NULL;
    kv_scrape_stop(scrape);
}

void
kv_node_stop_replica(struct kv_node *node, uint64_t deadline_ns)
{
    replica_stop(node->replica, deadline_ns);
    node->replica = NULL;
}

void
kv_node_close(struct kv_node *node)
{
    skein_assert(!node->face && !node->scrape && !node->replica);
    mem_free(node);
}

void
kv_node_stop(struct kv_node *node)
{
    if (!node)
        return;
    uint64_t deadline_ns = skein_deadline_in(node->options.shutdown_timeout_ns);
    skein_shield(true);
    skein_scope_cancel(&node->expirer_scope);
    kv_node_stop_accepting(node);
    (void)kv_node_drain(node, deadline_ns);
    kv_node_stop_timers(node);
    uint64_t least_ns = skein_deadline_in(REPLICA_STOP_NS_MIN);
    kv_node_stop_replica(node, deadline_ns > least_ns ? deadline_ns : least_ns);
    kv_node_stop_metrics(node);
    skein_shield(false);
    kv_node_close(node);
}
