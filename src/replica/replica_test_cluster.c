/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/replica_test_cluster.h"

#include "obs/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "skein/shard.h"
#include "core/uring.h"
#include "skein/error.h"

#define SECOND_NS UINT64_C(1000000000)

/* What is in a snapshot comes first. */
struct machine {
    struct test_machine state;
    struct test_cluster *cluster;
};

static int
machine_open(void **out_machine, void *config)
{
    struct machine *machine = mem_zalloc(sizeof *machine);
    machine->cluster = config;
    *out_machine = machine;
    return 0;
}

static void
machine_apply(void *machine, const struct replica_command *command, struct wire_writer *reply)
{
    struct test_machine *m = machine;
    skein_assert(command->time_ms >= m->time_ms);
    m->time_ms = command->time_ms;
    if (command->data.count >= 4) {
        m->seen[wire_load(command->data.data, 4) % TEST_IDS]++;
        m->total++;
    }
    if (reply)
        wire_put_u64(reply, m->total);
}

static void
machine_query(void *machine, const struct replica_command *command, struct wire_writer *reply)
{
    const struct test_machine *m = machine;
    wire_put_u64(reply, m->seen[wire_load(command->data.data, 4) % TEST_IDS]);
}

static int
machine_save(void *machine, struct replica_sink *sink)
{
    struct test_machine *copy = mem_alloc(sizeof *copy);
    memcpy(copy, machine, sizeof *copy);
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < sizeof *copy; at += 16384) {
        size_t left = sizeof *copy - at;
        rc = sink->write(sink, (uint8_t *)copy + at, left < 16384 ? left : 16384);
    }
    mem_free(copy);
    return rc;
}

static int
machine_load(void *machine, struct replica_source *source)
{
    struct test_cluster *cluster = ((struct machine *)machine)->cluster;
    size_t half = sizeof(struct test_machine) / 2;
    int rc = source->read(source, machine, half);
    while (rc == 0 && cluster->load_held)
        rc = skein_wait(&cluster->load_wake, SKEIN_NEVER);
    if (rc == 0)
        rc = source->read(source, (uint8_t *)machine + half, sizeof(struct test_machine) - half);
    if (rc < 0)
        memset(machine, 0, sizeof(struct test_machine));
    return rc;
}

const struct replica_machine_ops test_machine_ops = {.name = "counter",
                                                     .open = machine_open,
                                                     .apply = machine_apply,
                                                     .query = machine_query,
                                                     .snapshot_save = machine_save,
                                                     .snapshot_load = machine_load,
                                                     .close = mem_free};

static void
remove_tree(const char *path)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    int rc = system(command);
    skein_assert(rc == 0);
}

/* Ports that were free a moment ago; all are held until all are known. */
static void
find_ports(struct test_cluster *cluster)
{
    int handles[REPLICA_NODES_MAX];
    struct skein_addr any = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    for (uint32_t i = 0; i < cluster->count; i++) {
        handles[i] = skein_socket_listen(&any, 4);
        skein_assert(handles[i] >= 0);
        cluster->peers[i].node = i + 1;
        int rc = skein_socket_local_addr(handles[i], &cluster->peers[i].addr);
        skein_assert(rc == 0);
    }
    for (uint32_t i = 0; i < cluster->count; i++)
        skein_close(handles[i]);
}

struct run {
    struct test_cluster *cluster;
    void (*fn)(struct test_cluster *cluster);
};

static int
main_fiber(void *arg)
{
    struct run *run = arg;
    find_ports(run->cluster);
    run->fn(run->cluster);
    test_stop_all(run->cluster);
    return 0;
}

void
test_run(uint32_t count, void (*fn)(struct test_cluster *cluster))
{
    struct test_cluster cluster = {.count = count};
    skein_waitq_init(&cluster.load_wake);
    struct run run = {&cluster, fn};
    struct backend *backend;
    struct skein_shard *shard;
    const char *base = getenv("TMPDIR");
    snprintf(cluster.root, sizeof cluster.root, "%.80s/skein-replica-XXXXXX", base ? base : "/tmp");
    skein_assert(mkdtemp(cluster.root) != NULL);
    for (uint32_t i = 0; i < count; i++)
        snprintf(cluster.nodes[i].dir, sizeof cluster.nodes[i].dir, "%s/%u", cluster.root, i + 1);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    int rc = uring_open(&backend, 2);
    skein_assert(rc == 0);
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    rc = skein_shard_open(&shard, &options);
    skein_assert(rc == 0);
    rc = skein_shard_run(shard, main_fiber, &run);
    skein_assert(rc == 0);
    skein_shard_close(shard);
    uring_close(backend);
    skein_stack_pool_close(stacks);
    remove_tree(cluster.root);
}

int
test_start(struct test_cluster *cluster, uint32_t node, char out_why[512])
{
    struct test_node *n = &cluster->nodes[node - 1];
    struct replica_link *link;
    bool founder = node <= cluster->founder_count;
    uint32_t peer_count = founder ? cluster->founder_count : cluster->count;
    struct link_tcp_options link_options = {.cluster_name = "test",
                                            .node = node,
                                            .peers = cluster->peers,
                                            .peer_count = peer_count,
                                            .queue_bytes_max = 64u << 20};
    int rc = link_tcp_open(&link, &link_options);
    skein_assert(rc == 0);
    struct replica_options options = {
        .cluster_name = "test",
        .node = node,
        .peers = cluster->peers,
        .peer_count = peer_count,
        .data_dir = n->dir,
        .link = link,
        .group_count = cluster->group_count,
        .quiesce_ticks = cluster->quiesce_ticks,
        .machine_ops = &test_machine_ops,
        .machine_config = cluster,
        .tick_ns = SECOND_NS / 50,
        .election_ticks = 10,
        .segment_bytes = 1u << 20,
        .checkpoint_log_bytes =
            cluster->checkpoint_log_bytes ? cluster->checkpoint_log_bytes : 64u << 20,
        .keep_log_bytes = cluster->keep_log_bytes,
        .lease_drift_ppm = cluster->lease_drift_ppm,
        .election_rank = cluster->ranks[node - 1],
        .checkpoint_entries = cluster->checkpoint_entries,
        .checkpoint_interval_ns = cluster->checkpoint_interval_ns,
        .checkpoints_kept = cluster->checkpoints_kept,
        .catchup_log_bytes = cluster->catchup_log_bytes,
        .snapshot_bytes_per_second = cluster->snapshot_bytes_per_second,
        .scrub_period_ns = cluster->scrub_period_ns,
        .snapshot_sends_max = cluster->snapshot_sends_max,
        .pending_bytes_max = 64u << 20,
        .command_bytes_max = 16u << 20};
    rc = replica_open(&n->replica, &options, out_why);
    if (rc < 0)
        n->replica = NULL;
    return rc;
}

void
test_start_all(struct test_cluster *cluster)
{
    char why[512];
    for (uint32_t node = 1; node <= cluster->count; node++) {
        int rc = cluster->nodes[node - 1].replica ? 0 : test_start(cluster, node, why);
        if (rc < 0)
            fprintf(stderr, "node %u: %s\n", node, why);
        skein_assert(rc == 0);
    }
}

static void
stop_by(struct test_cluster *cluster, uint32_t node, uint64_t deadline_ns)
{
    struct test_node *n = &cluster->nodes[node - 1];
    if (!n->replica)
        return;
    replica_stop(n->replica, deadline_ns);
    n->replica = NULL;
}

void
test_stop(struct test_cluster *cluster, uint32_t node)
{
    stop_by(cluster, node, skein_deadline_in(5 * SECOND_NS));
}

void
test_cut(struct test_cluster *cluster, uint32_t node)
{
    stop_by(cluster, node, skein_now_ns());
}

void
test_stop_all(struct test_cluster *cluster)
{
    for (uint32_t node = 1; node <= cluster->count; node++)
        test_cut(cluster, node);
}

void
test_empty(struct test_cluster *cluster, uint32_t node)
{
    skein_assert(cluster->nodes[node - 1].replica == NULL);
    remove_tree(cluster->nodes[node - 1].dir);
}

struct test_machine *
test_machine(struct test_cluster *cluster, uint32_t node)
{
    return replica_machine(cluster->nodes[node - 1].replica);
}

struct replica_status
test_status(struct test_cluster *cluster, uint32_t node)
{
    struct replica_status status;
    replica_status(cluster->nodes[node - 1].replica, &status);
    return status;
}

void
test_wait(struct test_cluster *cluster, bool (*done)(struct test_cluster *cluster, uint64_t arg),
          uint64_t arg)
{
    /* Counted, not timed: a machine that does not run this process is no fault of it. */
    for (uint32_t looks = 0; !done(cluster, arg); looks++) {
        skein_assert(looks < 4000);
        int rc = skein_sleep(skein_deadline_in(SECOND_NS / 200));
        skein_assert(rc == 0);
    }
}

static uint32_t
find_leader(const struct test_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->count; i++)
        if (cluster->nodes[i].replica && replica_leads(cluster->nodes[i].replica))
            return i + 1;
    return 0;
}

static bool
has_leader(struct test_cluster *cluster, uint64_t arg)
{
    (void)arg;
    return find_leader(cluster) != 0;
}

uint32_t
test_leader(struct test_cluster *cluster)
{
    test_wait(cluster, has_leader, 0);
    return find_leader(cluster);
}

static int
submit(struct test_cluster *cluster, uint32_t node, enum replica_kind kind, uint32_t id,
       uint64_t *out_value)
{
    uint8_t command[260] = {0};
    struct bytes reply = {0};
    wire_store(command, id, 4);
    struct bytes data = bytes_copy(command, kind == REPLICA_WRITE ? sizeof command : 4);
    int rc = replica_submit(cluster->nodes[node - 1].replica, kind, data,
                            skein_deadline_in(10 * SECOND_NS), &reply);
    bytes_unref(&data);
    if (rc == 0) {
        skein_assert(reply.count == 8);
        *out_value = wire_load(reply.data, 8);
        bytes_unref(&reply);
    }
    return rc;
}

int
test_write(struct test_cluster *cluster, uint32_t node, uint32_t id)
{
    uint64_t total;
    return submit(cluster, node, REPLICA_WRITE, id, &total);
}

int
test_write_once(struct test_cluster *cluster, uint32_t node, uint64_t session, uint64_t sequence,
                uint32_t id, uint64_t *out_total)
{
    uint8_t command[260] = {0};
    struct bytes reply = {0};
    wire_store(command, id, 4);
    int rc = replica_submit_once(cluster->nodes[node - 1].replica, session, sequence,
                                 bytes_borrow(command, sizeof command),
                                 skein_deadline_in(10 * SECOND_NS), &reply);
    if (rc == 0) {
        skein_assert(reply.count == 8);
        *out_total = wire_load(reply.data, 8);
        bytes_unref(&reply);
    }
    return rc;
}

int
test_read(struct test_cluster *cluster, uint32_t node, uint32_t id, uint64_t *out_times)
{
    return submit(cluster, node, REPLICA_READ, id, out_times);
}

void
test_write_ids(struct test_cluster *cluster, uint32_t node, uint32_t from, uint32_t to)
{
    for (uint32_t id = from; id < to; id++) {
        int rc = test_write(cluster, node, id);
        skein_assert(rc == 0);
    }
}

void
test_expect_once(struct test_cluster *cluster, uint32_t node, uint32_t from, uint32_t to)
{
    for (uint32_t id = from; id < to; id++) {
        uint64_t times = 0;
        int rc = test_read(cluster, node, id, &times);
        skein_assert(rc == 0);
        skein_assert(times == 1);
    }
}

static uint64_t
sink_now(void *owner)
{
    (void)owner;
    return skein_shard_current() ? skein_wall_ns() : 0;
}

static void
sink_write(void *owner, const char *line, uint64_t line_bytes)
{
    (void)owner;
    fwrite(line, 1, line_bytes, stderr);
}

void
test_prepare(void)
{
    /* The log keeps a pointer to it: it outlives this call. */
    static struct obs_sink sink;
    sink = (struct obs_sink){.level = getenv("SKEIN_TEST_LOG") ? OBS_DEBUG : OBS_ERROR,
                             .wall_ns = sink_now,
                             .write = sink_write};
    const char *filter = getenv("SKEIN_TEST_FILTER");
    obs_set_sink(&sink);
    if (filter)
        cmocka_set_test_filter(filter);
}
