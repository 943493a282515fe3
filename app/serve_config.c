/* SPDX-License-Identifier: Apache-2.0 */
#include "app/serve_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/route.h"
#include "net/addr.h"
#include "skein/error.h"

#define MS ((uint64_t)1000000)
#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define FIELD(member) FLAGS_FIELD(struct serve_config, member)

static const struct flags_row rows[] = {
    {"node", "N", NULL, "This node's number; it stands in --peers.", flags_parse_number,
     FIELD(node.replica.node), 1, 65535, .required = true},
    {"peers", "LIST", NULL,
     "Every node of the cluster, this one included: number=address:port, separated by commas, the "
     "same on every node. This node listens for the others on its own. A node that is added later "
     "(skein cluster add) names itself and the members; once members were changed, the list that "
     "the cluster keeps counts.",
     serve_parse_peers, FIELD(peers), .required = true},
    {"join", NULL, NULL,
     "A new directory waits until it is let in (skein cluster add) and never founds a cluster, "
     "whoever else is new. Give it to nodes that are added later.",
     flags_parse_switch, FIELD(node.replica.join)},
    {"data", "DIR", NULL,
     "The data directory: made when absent (its parent has to be there), used by one process.",
     flags_parse_text, FIELD(node.replica.data_dir), .required = true},
    {"refuse-damaged", NULL, NULL,
     "Do not start on a data directory whose damage the other nodes cannot repair in its place. "
     "Without it, with other voters and one group, the damaged state is set aside (as *.damaged; "
     "remove them later) and the node is let in again with a new one.",
     flags_parse_switch, FIELD(node.replica.refuse_damaged)},
    {"store", "NAME", "memory",
     "memory or lmdb. Where the keys are: in memory, with checkpoints on disk; or in LMDB in the "
     "data "
     "directory, for more than fits into memory. A directory keeps what it was begun with; the "
     "nodes "
     "of a cluster may differ.",
     serve_parse_store, FIELD(node.store)},
    {"groups", "N", "1",
     "The keys are shared out over so many groups by their slots, as in Redis Cluster; each has a "
     "leader and a log order of its own. The same on every node, and of the data directory, for "
     "good.",
     flags_parse_number, FIELD(node.replica.group_count), 1, KV_GROUPS_MAX},
    {"listen", "ADDR:PORT", "127.0.0.1:7001", "Where clients connect. Port 0: any free one.",
     flags_parse_address, FIELD(node.listen)},
    {"advertise", "ADDR:PORT", NULL,
     "Where clients are told to connect when this node leads, if it is another address than "
     "--listen (SKEIN LEADER, and leader_addr in INFO).",
     serve_parse_advertise, FIELD(node.advertise)},
    {"priority", "N", "4",
     "0 to 4. Of the voters that are up, the one of the highest priority comes to lead: the others "
     "stand for election later, and hand leadership to it when it has caught up.",
     serve_parse_priority, FIELD(node.replica.election_rank), 0, REPLICA_RANK_MAX},
    {"cluster", "NAME", "skein",
     "The cluster's name. A directory or a peer of another name is refused.", flags_parse_text,
     FIELD(node.replica.cluster_name), .max = 64},
    {"allow-plaintext", NULL, NULL,
     "Permit addresses that are not loopback although nothing is encrypted or authenticated: only "
     "on a network that you trust.",
     flags_parse_switch, FIELD(allow_plaintext)},
    {"key-bytes-max", "BYTES", "64K", "Longer keys in this node's clients' commands are refused.",
     flags_parse_bytes, FIELD(node.limits.key_bytes_max), 1, 64 * KIB},
    {"value-bytes-max", "BYTES", "1M",
     "Longer values in this node's clients' commands are refused.", flags_parse_bytes,
     FIELD(node.limits.value_bytes_max), 1, 64 * MIB},
    {"reply-bytes-max", "BYTES", "64M",
     "A command of this node's clients whose reply would be longer gets an error.",
     flags_parse_bytes, FIELD(node.limits.reply_bytes_max), KIB, GIB},
    {"command-timeout-ms", "MS", "5000",
     "How long a command waits for a leader and for its outcome.", flags_parse_number,
     FIELD(node.command_timeout_ns), 1, 3600000, MS},
    {"shutdown-timeout-ms", "MS", "5000",
     "How long SIGTERM waits for commands under way and for a new leader.", flags_parse_number,
     FIELD(node.shutdown_timeout_ns), 1, 3600000, MS},
    {"clients-max", "N", "10000", "More connections are refused with an error.", flags_parse_number,
     FIELD(node.client_count_max), 1, 1000000},
    {"query-bytes-max", "BYTES", "32M", "One client's unparsed input; beyond it is hung up on.",
     flags_parse_bytes, FIELD(node.query_bytes_max), KIB, GIB},
    {"tick-ms", "MS", "50", "The heartbeat.", flags_parse_number, FIELD(node.replica.tick_ns), 1,
     10000, MS},
    {"election-ticks", "N", "10",
     "Heartbeats missed before an election: this many to twice this many.", flags_parse_number,
     FIELD(node.replica.election_ticks), 3, 1000},
    {"lease-drift-ppm", "PPM", "0",
     "Let clients read by lease (SKEIN READ LEASE): by how much, in millionths, the clocks of two "
     "nodes may differ in speed. 0: no leases. The same on every node, as --tick-ms and "
     "--election-ticks then are; not on machines that are halted and moved while they run.",
     flags_parse_number, FIELD(node.replica.lease_drift_ppm), 0, REPLICA_DRIFT_PPM_MAX},
    {"segment-bytes", "BYTES", "64M", "The size of one file of the log.", flags_parse_bytes,
     FIELD(node.replica.segment_bytes), MIB, GIB},
    {"checkpoint-log-bytes", "BYTES", "64M",
     "Write a checkpoint when the log has grown by this since the last; with --store lmdb, what is "
     "written to the table at a time, and so what is held in memory.",
     flags_parse_bytes, FIELD(node.replica.checkpoint_log_bytes), 64 * KIB, 64 * GIB},
    {"checkpoint-entries", "N", "0",
     "Write one, too, when so many entries were applied since the last; 0: however many.",
     flags_parse_number, FIELD(node.replica.checkpoint_entries), 0, UINT64_C(1) << 40},
    {"checkpoint-interval-ms", "MS", "0",
     "Write one, too, when the last is so old and anything was applied since; 0: however old.",
     flags_parse_number, FIELD(node.replica.checkpoint_interval_ns), 0, 86400000, MS},
    {"checkpoints-kept", "N", "1",
     "Checkpoint files that stay in the data directory, the newest among them; each is a backup.",
     flags_parse_number, FIELD(node.replica.checkpoints_kept), 1, 1000},
    {"catchup-log-bytes", "BYTES", "256M",
     "Entries kept in memory for a follower that is being sent a snapshot, so that it can go on "
     "behind it.",
     flags_parse_bytes, FIELD(node.replica.catchup_log_bytes), 0, 16 * GIB},
    {"keep-log-bytes", "BYTES", "16M",
     "Entries kept behind a checkpoint for followers that lag; one that lags more gets a snapshot.",
     flags_parse_bytes, FIELD(node.replica.keep_log_bytes), 0, 16 * GIB},
    {"scrub-hours", "HOURS", "24",
     "The log and the checkpoint are read again, evenly, once in so long, and damage is mended by "
     "a "
     "new checkpoint; 0: never.",
     flags_parse_number, FIELD(node.replica.scrub_period_ns), 0, 8760, 3600 * 1000 * MS},
    {"snapshot-bytes-per-second", "BYTES", "0",
     "This node sends no more of snapshots and backups, all together; 0: no limit.",
     flags_parse_bytes, FIELD(node.replica.snapshot_bytes_per_second), 0, 64 * GIB},
    {"snapshot-sends-max", "N", "2",
     "Snapshots that this node sends at a time; other nodes that need one wait.",
     flags_parse_number, FIELD(node.replica.snapshot_sends_max), 1, 64},
    {"pending-bytes-max", "BYTES", "64M",
     "Requests waiting here; beyond it they are answered -BUSY.", flags_parse_bytes,
     FIELD(node.replica.pending_bytes_max), MIB, 16 * GIB},
    {"command-bytes-max", "BYTES", "16M", "A larger command (MSET of many) is refused.",
     flags_parse_bytes, FIELD(node.replica.command_bytes_max), KIB, 63 * MIB},
    {"metrics", "ADDR:PORT", NULL,
     "Serve metrics over HTTP: GET /metrics, in Prometheus' format or ?format=openmetrics, json, "
     "csv or influx. Port 0: any free one. Without it they are not served.",
     serve_parse_metrics, FIELD(metrics)},
    {"io-properties", "FILE", NULL,
     "What the disk can do, as skein iotune measured it: it is given no more, and shared by the "
     "shares of scheduling groups. Without it nothing is held back.",
     flags_parse_text, FIELD(io_properties), .max = 4096},
    {"log-level", "LEVELS", "info",
     "debug, info, warn, error or off; and module=level for some, separated by commas: "
     "info,raft=debug,kv=warn. CONFIG SET loglevel changes it. Logs go to standard error, at most "
     "100 lines a second of one event.",
     serve_parse_levels, FIELD(log_levels)},
    {"backend", "NAME", "auto",
     "auto, io_uring, epoll or poll. auto: io_uring, or epoll with a note in the log when the "
     "kernel refuses that.",
     serve_parse_backend, FIELD(backend.kind)},
    {"gather-us", "US", "40",
     "With io_uring, while many clients are busy, a sleep may go on this long for more of their "
     "commands to arrive: fewer wake-ups, and answers at most this much later. 0: no.",
     serve_parse_gather, FIELD(backend.gather_ns), 0, 1000, 1000},
};

const struct flags_command serve_command = {
    .name = "serve",
    .usage = "--node N --peers LIST --data DIR [OPTION...]",
    .summary = "one node of a cluster",
    .details = "SIGTERM and SIGINT: finish the commands under way, hand leadership over, exit 0; a "
               "second\n"
               "one ends the process at once. So does a node that was removed from its cluster. A "
               "node that stops on a failure exits 1, after one "
               "line that\n"
               "says why and what to do.\n\n"
               "One node:    skein serve --node 1 --peers 1=127.0.0.1:7101 --data /var/lib/skein\n"
               "Three nodes: skein dev",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
};

int
serve_parse_levels(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    /* Without a level of all, that is info. */
    struct skein_log_levels levels = {.fallback = SKEIN_LOG_INFO};
    int rc = skein_log_levels_parse(&levels, text, out_why);
    if (rc == 0)
        *(struct skein_log_levels *)field = levels;
    return rc;
}

int
serve_parse_metrics(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    struct serve_metrics *metrics = field;
    metrics->on = true;
    return flags_parse_address(row, text, &metrics->addr, out_why);
}

int
serve_parse_gather(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    uint64_t *gather_ns = field;
    int rc = flags_parse_number(row, text, field, out_why);
    if (rc == 0 && *gather_ns == 0)
        *gather_ns = SKEIN_GATHER_NEVER;
    return rc;
}

int
serve_parse_advertise(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    const struct skein_addr *addr = field;
    int rc = flags_parse_address(row, text, field, out_why);
    if (rc < 0 || (addr->port != 0 && !net_addr_is_unspecified(addr)))
        return rc;
    snprintf(out_why, 256, "an address and a port that clients can connect to");
    return -SKEIN_EINVALID;
}

int
serve_parse_priority(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    uint32_t *rank = field;
    int rc = flags_parse_number(row, text, field, out_why);
    if (rc == 0)
        *rank = REPLICA_RANK_MAX - *rank;
    return rc;
}

int
serve_parse_backend(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    int rc = skein_backend_kind_parse(text, field);
    if (rc < 0)
        snprintf(out_why, 256, "one of auto, io_uring, epoll, poll");
    return rc;
}

int
serve_parse_store(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    int rc = kv_store_parse(text, field);
    if (rc < 0)
        snprintf(out_why, 256, "one of memory, lmdb");
    return rc;
}

int
serve_parse_peers(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    struct replica_peers peers;
    int rc = replica_peers_parse(text, &peers, out_why);
    if (rc == 0)
        *(struct replica_peers *)field = peers;
    return rc;
}

static int
check_plaintext(const struct serve_config *config, char out_why[256])
{
    char text[NET_ADDR_TEXT_BYTES];
    const struct skein_addr *open_addr = NULL;
    const char *flag = "--listen";
    if (config->allow_plaintext)
        return 0;
    if (!net_addr_is_loopback(&config->node.listen))
        open_addr = &config->node.listen;
    if (!open_addr && config->metrics.on && !net_addr_is_loopback(&config->metrics.addr)) {
        flag = "--metrics";
        open_addr = &config->metrics.addr;
    }
    for (uint32_t i = 0; i < config->peers.count && !open_addr; i++) {
        flag = "--peers";
        if (!net_addr_is_loopback(&config->peers.list[i].addr))
            open_addr = &config->peers.list[i].addr;
    }
    if (!open_addr)
        return 0;
    snprintf(out_why, 256,
             "%s: %s is not loopback, and nothing is encrypted or authenticated; on a network that "
             "you trust give --allow-plaintext",
             flag, net_addr_format(open_addr, text));
    return -SKEIN_EINVALID;
}

int
serve_config_check(struct serve_config *config, char out_why[256])
{
    struct kv_node_options *node = &config->node;
    const struct replica_peers *peers = &config->peers;
    uint32_t self = 0;
    while (self < peers->count && peers->list[self].node != node->replica.node)
        self++;
    if (self == peers->count) {
        snprintf(out_why, 256, "--node %" PRIu32 " does not stand in --peers", node->replica.node);
        return -SKEIN_EINVALID;
    }
    if (node->store == KV_STORE_LMDB && node->replica.group_count > 1) {
        snprintf(out_why, 256, "--groups %" PRIu32 ": with --store lmdb there is one group",
                 node->replica.group_count);
        return -SKEIN_EINVALID;
    }
    /* What one SET needs beside its key and its value is far below 1 KiB. */
    uint64_t largest = node->limits.key_bytes_max + node->limits.value_bytes_max + KIB;
    if (largest > node->replica.command_bytes_max) {
        snprintf(out_why, 256,
                 "--command-bytes-max: %" PRIu64 " has no room for a key and a value of the "
                 "permitted sizes: at least %" PRIu64,
                 node->replica.command_bytes_max, largest);
        return -SKEIN_EINVALID;
    }
    if (largest > node->query_bytes_max) {
        snprintf(out_why, 256,
                 "--query-bytes-max: %" PRIu64 " has no room for a key and a value of the "
                 "permitted sizes: at least %" PRIu64,
                 node->query_bytes_max, largest);
        return -SKEIN_EINVALID;
    }
    node->allow_plaintext = config->allow_plaintext;
    node->metrics = config->metrics.on;
    node->metrics_listen = config->metrics.addr;
    node->replica.peers = peers->list;
    node->replica.peer_count = peers->count;
    return check_plaintext(config, out_why);
}
