/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_raft/describe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "raft/codec.h"

static const char *const type_names[ETCD_TYPE_END] = {
    [ETCD_PROP] = "MsgProp",
    [ETCD_APP] = "MsgApp",
    [ETCD_APP_RESP] = "MsgAppResp",
    [ETCD_VOTE] = "MsgVote",
    [ETCD_VOTE_RESP] = "MsgVoteResp",
    [ETCD_SNAP] = "MsgSnap",
    [ETCD_HEARTBEAT] = "MsgHeartbeat",
    [ETCD_HEARTBEAT_RESP] = "MsgHeartbeatResp",
    [ETCD_TRANSFER_LEADER] = "MsgTransferLeader",
    [ETCD_TIMEOUT_NOW] = "MsgTimeoutNow",
    [ETCD_READ_INDEX] = "MsgReadIndex",
    [ETCD_READ_INDEX_RESP] = "MsgReadIndexResp",
    [ETCD_PRE_VOTE] = "MsgPreVote",
    [ETCD_PRE_VOTE_RESP] = "MsgPreVoteResp",
    [ETCD_STORAGE_APPEND] = "MsgStorageAppend",
    [ETCD_STORAGE_APPEND_RESP] = "MsgStorageAppendResp",
    [ETCD_STORAGE_APPLY] = "MsgStorageApply",
    [ETCD_STORAGE_APPLY_RESP] = "MsgStorageApplyResp",
};

enum etcd_type
etcd_type_find(const char *name)
{
    for (int i = 0; i < ETCD_TYPE_END; i++)
        if (!strcmp(type_names[i], name))
            return (enum etcd_type)i;
    return ETCD_TYPE_END;
}

static enum etcd_type
type_of(enum raft_message_type type)
{
    switch (type) {
    case RAFT_APPEND:
        return ETCD_APP;
    case RAFT_APPEND_RESPONSE:
        return ETCD_APP_RESP;
    case RAFT_VOTE:
        return ETCD_VOTE;
    case RAFT_VOTE_RESPONSE:
        return ETCD_VOTE_RESP;
    case RAFT_PRE_VOTE:
        return ETCD_PRE_VOTE;
    case RAFT_PRE_VOTE_RESPONSE:
        return ETCD_PRE_VOTE_RESP;
    case RAFT_SNAPSHOT:
        return ETCD_SNAP;
    case RAFT_HEARTBEAT:
        return ETCD_HEARTBEAT;
    case RAFT_HEARTBEAT_RESPONSE:
        return ETCD_HEARTBEAT_RESP;
    case RAFT_TIMEOUT_NOW:
        return ETCD_TIMEOUT_NOW;
    case RAFT_STORAGE_APPENDED:
        return ETCD_STORAGE_APPEND_RESP;
    case RAFT_PROPOSE:
        return ETCD_PROP;
    case RAFT_TRANSFER_LEADER:
        return ETCD_TRANSFER_LEADER;
    case RAFT_READ_INDEX:
        return ETCD_READ_INDEX;
    case RAFT_READ_INDEX_RESPONSE:
        return ETCD_READ_INDEX_RESP;
    case RAFT_MESSAGE_TYPE_END:
        break;
    }
    return ETCD_TYPE_END;
}

struct etcd_message
etcd_message_of(struct raft_message *message)
{
    struct etcd_message m = {
        .type = type_of(message->type),
        .from = message->from,
        .to = message->to,
        .term = message->term,
        .log_term = message->log_term,
        .index = message->index,
        .reject = message->reject,
        .hint = message->reject_hint,
        .commit = message->commit,
        .entries = message->entries,
        .entry_count = message->entry_count,
        .core = *message,
    };
    if (message->snapshot)
        m.snapshot = *message->snapshot;
    m.core.entries = NULL;
    m.core.entry_count = 0;
    message->snapshot = NULL;
    message->entries = NULL;
    message->entry_count = 0;
    if (message->type == RAFT_STORAGE_APPENDED)
        m.from = ETCD_APPEND_THREAD;
    if (message->type == RAFT_TRANSFER_LEADER)
        m.from = message->context; /* etcd names whom to transfer to as the sender */
    if (message->type == RAFT_READ_INDEX || message->type == RAFT_READ_INDEX_RESPONSE) {
        /* etcd's contexts are bytes, and travel as an entry. */
        char digits[24];
        int count = snprintf(digits, sizeof digits, "%" PRIu64, message->context);
        m.entries = mem_zalloc(sizeof *m.entries);
        m.entries[0].data = bytes_copy(digits, (size_t)count);
        m.entry_count = 1;
    }
    return m;
}

void
etcd_message_deinit(struct etcd_message *message)
{
    for (size_t i = 0; i < message->entry_count; i++)
        bytes_unref(&message->entries[i].data);
    mem_free(message->entries);
    for (size_t i = 0; i < message->response_count; i++)
        etcd_message_deinit(&message->responses[i]);
    mem_free(message->responses);
    raft_message_deinit(&message->core);
    *message = (struct etcd_message){0};
}

const char *
etcd_role_name(enum raft_role role)
{
    switch (role) {
    case RAFT_FOLLOWER:
        return "StateFollower";
    case RAFT_PRE_CANDIDATE:
        return "StatePreCandidate";
    case RAFT_CANDIDATE:
        return "StateCandidate";
    case RAFT_LEADER:
        return "StateLeader";
    }
    return "?";
}

void
describe_hard_state(struct text *out, const struct raft_hard_state *hard_state)
{
    text_printf(out, "Term:%" PRIu64, hard_state->term);
    if (hard_state->vote)
        text_printf(out, " Vote:%" PRIu64, hard_state->vote);
    text_printf(out, " Commit:%" PRIu64, hard_state->commit);
}

static void
describe_members(struct text *out, const struct raft_config *config, unsigned roles)
{
    const char *between = "";
    text_printf(out, "[");
    for (uint32_t i = 0; i < config->count; i++) {
        if (!(config->roles[i] & roles))
            continue;
        text_printf(out, "%s%" PRIu64, between, config->ids[i]);
        between = " ";
    }
    text_printf(out, "]");
}

void
describe_snapshot(struct text *out, const struct raft_snapshot *snapshot)
{
    text_printf(out, "Index:%" PRIu64 " Term:%" PRIu64 " ConfState:Voters:", snapshot->index,
                snapshot->term);
    describe_members(out, &snapshot->config, RAFT_VOTER);
    text_printf(out, " VotersOutgoing:");
    describe_members(out, &snapshot->config, RAFT_OUTGOING);
    text_printf(out, " Learners:");
    describe_members(out, &snapshot->config, RAFT_LEARNER);
    text_printf(out, " LearnersNext:");
    describe_members(out, &snapshot->config, RAFT_LEARNER_NEXT);
    text_printf(out, " AutoLeave:%s", snapshot->config.auto_leave ? "true" : "false");
}

/* As Go quotes a string. */
static void
describe_quoted(struct text *out, struct bytes data)
{
    text_printf(out, "\"");
    for (size_t i = 0; i < data.count; i++) {
        uint8_t c = data.data[i];
        if (c == '"' || c == '\\')
            text_printf(out, "\\%c", c);
        else if (c == '\n')
            text_printf(out, "\\n");
        else if (c == '\t')
            text_printf(out, "\\t");
        else if (c == '\r')
            text_printf(out, "\\r");
        else if (c < 0x20 || c >= 0x7f)
            text_printf(out, "\\x%02x", c);
        else
            text_printf(out, "%c", c);
    }
    text_printf(out, "\"");
}

static void
describe_change(struct text *out, const struct raft_entry *entry)
{
    static const char letters[RAFT_CHANGE_TYPE_END] = {[RAFT_CHANGE_ADD_VOTER] = 'v',
                                                       [RAFT_CHANGE_REMOVE] = 'r',
                                                       [RAFT_CHANGE_UPDATE] = 'u',
                                                       [RAFT_CHANGE_ADD_LEARNER] = 'l',
                                                       [RAFT_CHANGE_ADD_WITNESS] = 'w'};
    struct raft_conf_change change;
    if (raft_decode_conf_change(entry->type, entry->data, &change)) {
        text_printf(out, " undecodable");
        return;
    }
    for (uint32_t i = 0; i < change.change_count; i++)
        text_printf(out, " %c%" PRIu64, letters[change.changes[i].type], change.changes[i].node);
}

static void
describe_entry(struct text *out, const struct raft_entry *entry)
{
    static const char *const names[RAFT_ENTRY_TYPE_END] = {
        [RAFT_ENTRY_NORMAL] = "EntryNormal",
        [RAFT_ENTRY_CONFIG] = "EntryConfChange",
        [RAFT_ENTRY_CONFIG_V2] = "EntryConfChangeV2",
        [RAFT_ENTRY_WITNESSED] = "EntryWitnessed"};
    text_printf(out, "%" PRIu64 "/%" PRIu64 " %s", entry->term, entry->index, names[entry->type]);
    if (entry->type == RAFT_ENTRY_NORMAL) {
        text_printf(out, " ");
        describe_quoted(out, entry->data);
    } else if (raft_entry_is_config(entry->type)) {
        describe_change(out, entry);
    }
}

void
describe_entries(struct text *out, const struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        describe_entry(out, &entries[i]);
        text_printf(out, "\n");
    }
}

static void
describe_node(struct text *out, uint64_t id)
{
    if (id == ETCD_APPEND_THREAD)
        text_printf(out, "AppendThread");
    else if (id == ETCD_APPLY_THREAD)
        text_printf(out, "ApplyThread");
    else if (id == RAFT_NONE)
        text_printf(out, "None");
    else
        text_printf(out, "%" PRIx64, id);
}

static void
describe_indented(struct text *out, const struct etcd_message *m, const char *indent)
{
    text_printf(out, "%s", indent);
    describe_node(out, m->from);
    text_printf(out, "->");
    describe_node(out, m->to);
    text_printf(out, " %s Term:%" PRIu64 " Log:%" PRIu64 "/%" PRIu64, type_names[m->type], m->term,
                m->log_term, m->index);
    if (m->reject)
        text_printf(out, " Rejected (Hint: %" PRIu64 ")", m->hint);
    if (m->commit)
        text_printf(out, " Commit:%" PRIu64, m->commit);
    if (m->vote)
        text_printf(out, " Vote:%" PRIu64, m->vote);
    if (m->entry_count == 1) {
        text_printf(out, " Entries:[");
        describe_entry(out, &m->entries[0]);
        text_printf(out, "]");
    } else if (m->entry_count > 1) {
        text_printf(out, " Entries:[");
        for (size_t i = 0; i < m->entry_count; i++) {
            text_printf(out, "\n%s  ", indent);
            describe_entry(out, &m->entries[i]);
        }
        text_printf(out, "\n%s]", indent);
    }
    if (m->snapshot.index) {
        text_printf(out, "\n%s  Snapshot: ", indent);
        describe_snapshot(out, &m->snapshot);
    }
    if (!m->response_count)
        return;
    text_printf(out, " Responses:[");
    for (size_t i = 0; i < m->response_count; i++) {
        skein_assert(!m->responses[i].response_count); /* answers have no answers */
        text_printf(out, "\n");
        struct text line = {0};
        describe_message(&line, &m->responses[i]);
        for (const char *at = text_str(&line); *at;) {
            size_t count = strcspn(at, "\n");
            text_printf(out, "%s  %.*s%s", indent, (int)count, at, at[count] ? "\n" : "");
            at += count + (at[count] != 0);
        }
        text_deinit(&line);
    }
    text_printf(out, "\n%s]", indent);
}

void
describe_message(struct text *out, const struct etcd_message *message)
{
    describe_indented(out, message, "");
}

void
describe_peer(struct text *out, const struct raft_peer_status *peer)
{
    static const char *const states[] = {[RAFT_PROBE] = "StateProbe",
                                         [RAFT_REPLICATE] = "StateReplicate",
                                         [RAFT_SNAPSHOTTING] = "StateSnapshot"};
    text_printf(out, "%s match=%" PRIu64 " next=%" PRIu64, states[peer->state], peer->match,
                peer->next);
    if (peer->learner)
        text_printf(out, " learner");
    if (peer->paused)
        text_printf(out, " paused");
    if (peer->pending_snapshot)
        text_printf(out, " pendingSnap=%" PRIu64, peer->pending_snapshot);
    if (!peer->recent_active)
        text_printf(out, " inactive");
    if (peer->inflight_count)
        text_printf(out, " inflight=%u%s", peer->inflight_count,
                    peer->inflight_full ? "[full]" : "");
}

/* A context is a number here; etcd's are bytes, shown as the list of their values. */
void
describe_read_states(struct text *out, const struct raft_read_state *states, size_t count)
{
    text_printf(out, "ReadStates [");
    for (size_t i = 0; i < count; i++) {
        char digits[24];
        snprintf(digits, sizeof digits, "%" PRIu64, states[i].context);
        text_printf(out, "%s{%" PRIu64 " [", i ? " " : "", states[i].index);
        for (const char *at = digits; *at; at++)
            text_printf(out, "%s%d", at > digits ? " " : "", *at);
        text_printf(out, "]}");
    }
    text_printf(out, "]\n");
}
