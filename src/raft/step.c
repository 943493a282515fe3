/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "raft/internal.h"

static bool
entries_make_sense(const struct raft_message *m)
{
    if (m->entry_count && !m->entries)
        return false;
    uint64_t term = m->log_term;
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct raft_entry *e = &m->entries[i];
        if (e->index != m->index + 1 + i || e->term < term || e->term > m->term || !e->term)
            return false;
        if ((unsigned)e->type >= RAFT_ENTRY_TYPE_END)
            return false;
        term = e->term;
    }
    return true;
}

static bool
proposals_make_sense(const struct raft_message *m)
{
    for (size_t i = 0; m->entries && i < m->entry_count; i++)
        if ((unsigned)m->entries[i].type >= RAFT_ENTRY_WITNESSED ||
            m->entries[i].data.count > UINT32_MAX)
            return false;
    return m->entries && m->entry_count;
}

static bool
snapshot_makes_sense(const struct raft_message *m)
{
    const struct raft_snapshot *s = m->snapshot;
    return s && s->index && s->index < RAFT_NUMBER_MAX && s->term && s->term <= m->term &&
           s->config.count && raft_config_valid(&s->config);
}

static bool
numbers_make_sense(const struct raft_message *m)
{
    /* Only the place before the first entry has no term. */
    if (m->type == RAFT_APPEND && !m->log_term != !m->index)
        return false;
    return m->term < RAFT_NUMBER_MAX && m->index < RAFT_NUMBER_MAX && m->log_term <= m->term &&
           m->commit < RAFT_NUMBER_MAX && m->reject_hint < RAFT_NUMBER_MAX;
}

static bool
makes_sense(const struct raft *raft, const struct raft_message *m)
{
    bool own = m->from == raft->id;
    bool termless =
        m->type == RAFT_PROPOSE || m->type == RAFT_READ_INDEX || m->type == RAFT_STORAGE_APPENDED;
    if (m->to != raft->id || m->from == RAFT_NONE || (!m->term && !termless))
        return false;
    if (!numbers_make_sense(m))
        return false;
    switch (m->type) {
    case RAFT_APPEND:
        return !own && entries_make_sense(m);
    case RAFT_SNAPSHOT:
        return !own && !m->entry_count && snapshot_makes_sense(m);
    case RAFT_STORAGE_APPENDED:
        return own && !m->entry_count;
    case RAFT_PROPOSE:
        return !own && !m->term && proposals_make_sense(m);
    case RAFT_VOTE_RESPONSE:
    case RAFT_PRE_VOTE_RESPONSE:
    case RAFT_APPEND_RESPONSE:
        return !m->entry_count;
    case RAFT_READ_INDEX:
        return !own && !m->term && !m->entry_count;
    case RAFT_VOTE:
    case RAFT_PRE_VOTE:
    case RAFT_HEARTBEAT:
    case RAFT_HEARTBEAT_RESPONSE:
    case RAFT_TIMEOUT_NOW:
    case RAFT_READ_INDEX_RESPONSE:
    case RAFT_TRANSFER_LEADER:
        return !own && !m->entry_count;
    case RAFT_MESSAGE_TYPE_END:
        break;
    }
    return false;
}

static bool
from_leader(const struct raft_message *m)
{
    return m->type == RAFT_APPEND || m->type == RAFT_HEARTBEAT || m->type == RAFT_SNAPSHOT;
}

/* Only who is asked answers: a member. */
static bool
is_response(const struct raft_message *m)
{
    return m->type == RAFT_APPEND_RESPONSE || m->type == RAFT_VOTE_RESPONSE ||
           m->type == RAFT_PRE_VOTE_RESPONSE || m->type == RAFT_HEARTBEAT_RESPONSE ||
           m->type == RAFT_READ_INDEX_RESPONSE;
}

/* Whoever heard from a leader within an election timeout helps nobody to depose it (thesis section
 * 4.2.3, 9.6; rows 18 and 40). The leader itself asking is no reason to believe in it (row 34). */
static bool
in_lease(const struct raft *raft, const struct raft_message *m)
{
    return raft->options.check_quorum && m->context != RAFT_CONTEXT_TRANSFER &&
           raft->leader != RAFT_NONE && (raft->options.etcd_rules || raft->leader != m->from) &&
           raft->election_elapsed < raft->options.election_ticks;
}

/* Returns whether @m is to be handled. */
static bool
on_higher_term(struct raft *raft, const struct raft_message *m)
{
    if ((m->type == RAFT_VOTE || m->type == RAFT_PRE_VOTE) && in_lease(raft, m))
        return false;
    /* A pre-vote speaks of a term that nobody has entered yet. */
    bool future = m->type == RAFT_PRE_VOTE || (m->type == RAFT_PRE_VOTE_RESPONSE && !m->reject);
    if (future)
        return true;
    uint64_t old = raft->leader;
    raft_become_follower(raft, m->term, from_leader(m) ? m->from : RAFT_NONE);
    if (!raft->options.etcd_rules && old != RAFT_NONE && old != raft->id && old != m->from)
        raft_send(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE, .to = old});
    return true;
}

static void
on_lower_term(struct raft *raft, const struct raft_message *m)
{
    bool careful = raft->options.check_quorum || raft->options.pre_vote;
    if (careful && (m->type == RAFT_HEARTBEAT || m->type == RAFT_APPEND)) {
        /* A leader that we can no longer follow, as our term is ahead, must learn of it, or this
         * node stays out for ever: its own elections do not move those in the leader's lease. */
        raft_send(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE, .to = m->from});
    } else if (m->type == RAFT_PRE_VOTE) {
        raft_send(raft, (struct raft_message){
                            .type = RAFT_PRE_VOTE_RESPONSE, .to = m->from, .reject = true});
    }
}

static int
dispatch(struct raft *raft, struct raft_message *m)
{
    if (from_leader(m)) {
        if (raft->role == RAFT_LEADER)
            return -SKEIN_EPROTO; /* two leaders in a term cannot be (row 14) */
        /* etcd lets anybody hand over a snapshot in the leader's place. */
        if (raft->leader != RAFT_NONE && raft->leader != m->from && !raft->options.etcd_rules)
            return -SKEIN_EPROTO;
        if (raft->role != RAFT_FOLLOWER)
            raft_become_follower(raft, raft->term, m->from);
        raft->leader = m->from;
        raft->election_elapsed = 0;
        raft_promise(raft, m->from);
    }
    switch (m->type) {
    case RAFT_APPEND:
        return raft_on_append(raft, m);
    case RAFT_APPEND_RESPONSE:
        return raft_on_append_response(raft, m);
    case RAFT_VOTE:
    case RAFT_PRE_VOTE:
        return raft_on_vote(raft, m);
    case RAFT_VOTE_RESPONSE:
    case RAFT_PRE_VOTE_RESPONSE:
        return raft_on_vote_response(raft, m);
    case RAFT_SNAPSHOT:
        return raft_on_snapshot(raft, m);
    case RAFT_HEARTBEAT:
        return raft_on_heartbeat(raft, m);
    case RAFT_HEARTBEAT_RESPONSE:
        return raft_on_heartbeat_response(raft, m);
    case RAFT_TIMEOUT_NOW:
        return raft_on_timeout_now(raft, m);
    case RAFT_READ_INDEX_RESPONSE:
        return raft_on_read_index_response(raft, m);
    case RAFT_TRANSFER_LEADER:
        return raft_on_transfer_leader(raft, m);
    case RAFT_PROPOSE:
    case RAFT_READ_INDEX:
    case RAFT_STORAGE_APPENDED:
    case RAFT_MESSAGE_TYPE_END:
        break;
    }
    return -SKEIN_EPROTO;
}

static int
step(struct raft *raft, struct raft_message *m)
{
    if (!makes_sense(raft, m))
        return -SKEIN_EPROTO;
    if (m->type == RAFT_STORAGE_APPENDED)
        return raft_on_storage_appended(raft, m);
    if (m->type == RAFT_PROPOSE)
        return raft_on_propose(raft, m);
    if (m->type == RAFT_READ_INDEX)
        return raft_on_read_index(raft, m);
    if (is_response(m) && !raft_peer(raft, m->from))
        return -SKEIN_ENOTFOUND;
    if (raft->asleep && m->from != raft->id)
        raft_wake(raft);
    bool asks = m->type == RAFT_VOTE || m->type == RAFT_PRE_VOTE;
    if (asks && m->context != RAFT_CONTEXT_TRANSFER && raft_promised(raft, m->from))
        return 0;
    if (m->term > raft->term) {
        if (!on_higher_term(raft, m))
            return 0;
    } else if (m->term < raft->term) {
        on_lower_term(raft, m);
        return 0;
    }
    return dispatch(raft, m);
}

int
raft_step(struct raft *raft, struct raft_message *message)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    int rc = step(raft, message);
    if (rc)
        raft->dropped++;
    raft_message_deinit(message);
    return rc;
}
