/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_ETCD_RAFT_DESCRIBE_H
#define TESTS_CONFORMANCE_ETCD_RAFT_DESCRIBE_H

#include "raft/confchange.h"
#include "raft/raft.h"

#include "etcd_raft/datadriven.h"

/*
 * etcd's dumps of what its core says, byte for byte. Names, numbers and order are etcd's; the core
 * itself knows nothing of them.
 */

/* What a node's storage threads are called where a message names a node. */
#define ETCD_APPEND_THREAD UINT64_MAX
#define ETCD_APPLY_THREAD (UINT64_MAX - 1)

enum etcd_type {
    ETCD_PROP,
    ETCD_APP,
    ETCD_APP_RESP,
    ETCD_VOTE,
    ETCD_VOTE_RESP,
    ETCD_SNAP,
    ETCD_HEARTBEAT,
    ETCD_HEARTBEAT_RESP,
    ETCD_TRANSFER_LEADER,
    ETCD_TIMEOUT_NOW,
    ETCD_READ_INDEX,
    ETCD_READ_INDEX_RESP,
    ETCD_PRE_VOTE,
    ETCD_PRE_VOTE_RESP,
    ETCD_STORAGE_APPEND,
    ETCD_STORAGE_APPEND_RESP,
    ETCD_STORAGE_APPLY,
    ETCD_STORAGE_APPLY_RESP,
    ETCD_TYPE_END
};

/*
 * A message as etcd shows it. What goes between two cores holds the core's message; what goes to
 * or comes from a storage thread holds the thread's work. Zeroed is empty.
 */
struct etcd_message {
    enum etcd_type type;
    uint64_t from;
    uint64_t to;
    uint64_t term;
    uint64_t log_term;
    uint64_t index;
    bool reject;
    uint64_t hint;
    uint64_t commit;
    uint64_t vote;
    struct raft_snapshot snapshot; /* index 0: none */
    struct raft_entry *entries;    /* each with a reference */
    size_t entry_count;
    struct etcd_message *responses;
    size_t response_count;
    struct raft_message core; /* with its snapshot, without entries: they are `entries` */
};

/* etcd_message_of - **Ownership**: takes @message's entries and snapshot, and leaves it without. */
struct etcd_message etcd_message_of(struct raft_message *message);
void etcd_message_deinit(struct etcd_message *message);
/* etcd_type_find - the type called @name ("MsgApp"), or ETCD_TYPE_END. */
enum etcd_type etcd_type_find(const char *name);

const char *etcd_role_name(enum raft_role role);
void describe_hard_state(struct text *out, const struct raft_hard_state *hard_state);
void describe_snapshot(struct text *out, const struct raft_snapshot *snapshot);
void describe_entries(struct text *out, const struct raft_entry *entries, size_t count);
/* describe_message - its lines, without the last one's end. */
void describe_message(struct text *out, const struct etcd_message *message);
void describe_peer(struct text *out, const struct raft_peer_status *peer);
void describe_read_states(struct text *out, const struct raft_read_state *states, size_t count);

#endif
