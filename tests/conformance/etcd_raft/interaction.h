/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_ETCD_RAFT_INTERACTION_H
#define TESTS_CONFORMANCE_ETCD_RAFT_INTERACTION_H

#include "etcd_raft/datadriven.h"
#include "etcd_raft/describe.h"

/*
 * The world of etcd's interaction/ files: nodes 1, 2, 3 ..., one list of messages under way, and
 * for each node a storage in memory, what its storage threads have to do, and the state of an
 * "appender" machine after each entry, from which snapshots are made.
 *
 *   interaction.c          the verbs                interaction_options.c  add-nodes' arguments
 *   interaction_node.c     one node: Ready, storage threads
 *   interaction_storage.c  the log on its disk      interaction_net.c      deliver, stabilize
 *
 * Two ways of writing: by default a Ready is written, applied and acknowledged in one go; with
 * async-storage-writes it becomes messages to an append thread and an apply thread.
 */

/* The log as it is stored. */
struct storage {
    uint64_t base_index; /* the entry before the first */
    uint64_t base_term;
    struct raft_entry *entries;
    size_t count;
    size_t capacity;
};

void storage_append(struct storage *storage, const struct raft_entry *entries, size_t count);
/* storage_restore - empty behind a snapshot. */
void storage_restore(struct storage *storage, uint64_t index, uint64_t term);
/* storage_compact - entries up to @index go. Returns false: it is gone, or not there yet. */
bool storage_compact(struct storage *storage, uint64_t index);
void storage_describe(const struct storage *storage, struct text *out);
void storage_deinit(struct storage *storage);

/* A list of messages that owns them. */
struct messages {
    struct etcd_message *items;
    size_t count;
    size_t capacity;
};

void messages_push(struct messages *list, struct etcd_message message);
struct etcd_message messages_take(struct messages *list, size_t at);
void messages_deinit(struct messages *list);

struct node {
    uint64_t id;
    struct raft *raft;
    bool async;
    uint32_t election_ticks;
    uint32_t heartbeat_ticks;
    struct storage storage;
    struct raft_snapshot newest; /* of the machine: what a snapshot would be now */
    /* As of the last Ready, to see what changed. */
    uint64_t seen_leader;
    enum raft_role seen_role;
    struct raft_hard_state seen_hard_state;
    struct messages append_work;
    struct messages apply_work;
};

#define NODES_MAX 64

struct world {
    struct node *nodes[NODES_MAX]; /* nodes[i].id is i + 1 */
    uint32_t node_count;
    struct messages messages;
    bool quiet; /* log-level none: nothing but errors is printed */
};

/* interaction_options.c: as etcd's test configuration, changed by add-nodes' arguments. */
struct node_options {
    struct raft_options raft;
    bool async;
    bool with_snapshot; /* starts from `raft.snapshot` instead of nothing */
};
/* options_parse_bool - as Go does. */
bool options_parse_bool(const char *text, bool *out);
/* node_options_parse - @out says why not. */
bool node_options_parse(const struct datadriven_block *block, struct node_options *out_options,
                        struct text *out);

/* interaction_node.c. Each prints into @out what etcd prints. */
bool node_open(struct world *world, const struct node_options *options, struct text *out);
void node_close(struct node *node);
void node_process_ready(struct world *world, struct node *node, struct text *out);
/* node_process_append, node_process_apply - the oldest work of the thread. */
void node_process_append(struct world *world, struct node *node, struct text *out);
void node_process_apply(struct world *world, struct node *node, struct text *out);
/* node_step - @message arrives; takes it. Prints an error, if there is one. */
void node_step(struct node *node, struct etcd_message message, struct text *out);

/* interaction_net.c */
/* net_deliver - everything to @to (of @type, unless ETCD_TYPE_END). Returns how many. */
size_t net_deliver(struct world *world, uint64_t to, enum etcd_type type, bool drop,
                   struct text *out);
void net_stabilize(struct world *world, const uint32_t *indices, uint32_t count, struct text *out);
/* text_indented - @block, each line two spaces further in. */
void text_indented(struct text *out, const struct text *block);

#endif
