/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_TESTNET_H
#define RAFT_TESTNET_H

#include "base/prng.h"
#include "base/wire.h"
#include "raft/raft.h"

/*
 * A network of cores, for tests only: nodes 1..n, each with a disk whose writes are durable only
 * when they are synced, and one bag of messages under way.
 *
 *   testnet_collect: Readies -> messages into the bag, log writes into the node's queue, applies
 * done testnet_sync:    the oldest log writes become durable; their responses go out testnet_run:
 * all of that and delivery, in order, until nothing moves
 *
 * Checked while it runs, for every test: at most one leader a term; what is applied at an index is
 * the same everywhere and for ever; testnet_check: logs match, leaders hold what is committed.
 */

#define TESTNET_NODES_MAX 8

struct testnet_write {
    struct raft_ready ready;
};

struct testnet_node {
    struct raft *raft; /* NULL: down */
    bool slow_disk;    /* testnet_run does not sync it */
    struct raft_hard_state hard_state;
    struct raft_snapshot snapshot;
    struct raft_entry *entries;
    size_t entry_count, entry_capacity;
    struct testnet_write *writes;
    size_t write_count, write_capacity;
    uint64_t applied;
    struct raft_read_state *reads;
    size_t read_count, read_capacity;
    uint64_t reads_dropped;
};

struct testnet;
/* Returns whether the message is lost. */
typedef bool (*testnet_filter)(struct testnet *net, const struct raft_message *m);

struct testnet {
    struct testnet_node nodes[TESTNET_NODES_MAX + 1]; /* by id */
    uint32_t node_count;
    struct raft_options options; /* id, seed and the disk's part are filled in */
    struct raft_message *bag;
    size_t bag_count, bag_capacity;
    bool cut[TESTNET_NODES_MAX + 1][TESTNET_NODES_MAX + 1]; /* from, to */
    testnet_filter filter;
    uint64_t filtered;
    struct raft_entry *truth; /* what was applied, by index - 1 */
    size_t truth_count, truth_capacity;
    uint64_t *leaders; /* by term */
    size_t leader_capacity;
    uint64_t now;
    struct wire_writer *trace;
};

/* testnet_init - @count nodes that are all voters; @voters fewer: the rest know no configuration.
 */
void testnet_init(struct testnet *net, uint32_t count, uint32_t voters, uint64_t seed);
void testnet_deinit(struct testnet *net);
void testnet_start(struct testnet *net, uint64_t id);
/* testnet_crash - what is not synced is gone. */
void testnet_crash(struct testnet *net, uint64_t id);
/* testnet_wipe - the disk, too; of a node that is down. @keep_config: as an operator's first start.
 */
void testnet_wipe(struct testnet *net, uint64_t id, bool keep_config);
void testnet_set_log(struct testnet *net, uint64_t id, const uint64_t *terms, size_t count,
                     uint64_t hard_term);
void testnet_collect(struct testnet *net, uint64_t id);
void testnet_sync(struct testnet *net, uint64_t id, size_t write_count);
void testnet_deliver(struct testnet *net, size_t at);
void testnet_lose(struct testnet *net, size_t at);
void testnet_run(struct testnet *net);
void testnet_tick(struct testnet *net, uint32_t count);
/* testnet_isolate - cut @id off from everybody, or join it again. */
void testnet_isolate(struct testnet *net, uint64_t id, bool cut);
void testnet_campaign(struct testnet *net, uint64_t id);
int testnet_propose(struct testnet *net, uint64_t id, const char *text);
int testnet_change(struct testnet *net, uint64_t id, bool remove, uint64_t node);
void testnet_compact(struct testnet *net, uint64_t id, uint64_t keep_count);
/* testnet_leader - of the highest term among those that are up; 0: none. */
uint64_t testnet_leader(const struct testnet *net);
struct raft_status testnet_status(const struct testnet *net, uint64_t id);
uint64_t testnet_commit(const struct testnet *net, uint64_t id);
void testnet_check(struct testnet *net);

/* testnet_message - as raft_step takes it: to @to. */
struct raft_message testnet_message(enum raft_message_type type, uint64_t from, uint64_t to,
                                    uint64_t term);

#endif
