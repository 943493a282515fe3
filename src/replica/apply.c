/* SPDX-License-Identifier: Apache-2.0 */
/* Committed entries reach the machine, and their replies whoever waits for them. */
#include "base/mem.h"
#include "base/mutation.h"
#include "skein/shard.h"
#include "obs/log.h"
#include "raft/codec.h"
#include "raft/confchange.h"
#include "replica/entry.h"
#include "replica/state.h"
#include "skein/error.h"

#include <inttypes.h>

static void
finish_proposal(struct replica *replica, struct proposal *proposal, int status)
{
    while (!list_is_empty(&proposal->requests)) {
        struct request *request = LIST_ENTRY(proposal->requests.next, struct request, link);
        if (request->in_session && request->origin == 0)
            request_repeat(replica, request);
        else
            request_finish(replica, request, status, NULL, 0);
    }
    list_remove(&proposal->link);
    mem_free(proposal);
}

/*
 * The proposal that became @entry, or NULL. Another one that hoped for this index has lost it, and
 * will never be applied: a term's entry is in one place only.
 */
static struct proposal *
claim(struct replica *replica, const struct raft_entry *entry)
{
    struct proposal *found = NULL;
    list_for_each_safe (link, &replica->proposals) {
        struct proposal *proposal = LIST_ENTRY(link, struct proposal, link);
        if (proposal->term >= entry->term && proposal->index > entry->index)
            break;
        if (proposal->index != entry->index)
            continue;
        if (proposal->term == entry->term)
            found = proposal;
        else
            finish_proposal(replica, proposal, -SKEIN_ENOLEADER);
    }
    return found;
}

static struct request *
waiter_of(struct proposal *proposal, uint32_t ordinal)
{
    if (!proposal || list_is_empty(&proposal->requests))
        return NULL;
    struct request *first = LIST_ENTRY(proposal->requests.next, struct request, link);
    return first->ordinal == ordinal ? first : NULL;
}

/* One command of an entry, and the answer to whoever waits for it. */
static void
apply_one(struct replica *replica, struct replica_command *command, bool in_session,
          struct request *waiter)
{
    struct wire_writer *out = &replica->host->reply;
    struct bytes kept = {0};
    int rc = 1;
    if (in_session)
        rc = sessions_take(replica->sessions, command->data, command->time_ms, &command->data,
                           &kept);
    if (rc == 1)
        replica->host->options.machine_ops->apply(replica->machine, command,
                                                  waiter || in_session ? out : NULL);
    if (rc == 1 && persist_machine_failed(replica)) {
        out->count = 0;
        return; /* whoever waits is told with all others */
    }
    if (rc == 1 && in_session)
        sessions_keep(replica->sessions, out->data, out->count);
    if (waiter && rc == 1)
        request_finish(replica, waiter, 0, out->data, out->count);
    else if (waiter)
        request_finish(replica, waiter, rc, kept.data, kept.count);
    bytes_unref(&kept);
    out->count = 0;
}

static void
apply_commands(struct replica *replica, const struct raft_entry *entry, struct proposal *proposal)
{
    struct entry_reader reader;
    if (entry->data.count == 0)
        return;
    if (entry_open(&reader, entry->data) < 0) {
        obs_log(OBS_ERROR, "replica", "an entry that is none is skipped", "index=%" PRIu64,
                entry->index);
        return;
    }
    if (reader.time_ms > replica->log_time_ms)
        replica->log_time_ms = reader.time_ms;
    for (uint32_t ordinal = 0; reader.left > 0 && replica->phase != REPLICA_FAILED; ordinal++) {
        bool in_session;
        struct bytes data = entry_next(&reader, &in_session);
        struct replica_command command = {
            .index = entry->index, .time_ms = replica->log_time_ms, .data = data};
        if (mutation_on(MUTATION_LOCAL_CLOCK))
            command.time_ms = skein_wall_ns() / 1000000;
        apply_one(replica, &command, in_session, waiter_of(proposal, ordinal));
    }
}

static void
apply_config(struct replica *replica, const struct raft_entry *entry)
{
    struct raft_status status;
    const struct raft_config before = replica->config;
    int rc = raft_apply_config(replica->raft, entry);
    raft_status(replica->raft, &status);
    replica->config = status.config;
    if (rc == 0) {
        members_apply_roster(replica, entry, &before);
        members_sync_peers(replica->host);
    }
    obs_log(OBS_INFO, "replica", "configuration changed",
            "node=%u index=%" PRIu64 " voters=%u members=%u result=%s", replica->host->options.node,
            entry->index, raft_config_count(&replica->config, RAFT_VOTER), replica->config.count,
            rc < 0 ? skein_error_name(rc) : "applied");
    membership_refresh(replica);
}

void
apply_entries(struct replica *replica, const struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count && replica->phase != REPLICA_FAILED; i++) {
        const struct raft_entry *entry = &entries[i];
        persist_prepare_entry(replica, entry);
        if (replica->phase == REPLICA_FAILED)
            return;
        skein_assert(entry->index == replica->applied_index + 1);
        struct proposal *proposal = claim(replica, entry);
        if (raft_entry_is_config(entry->type))
            apply_config(replica, entry);
        else if (entry->type == RAFT_ENTRY_NORMAL)
            apply_commands(replica, entry, proposal);
        if (replica->phase == REPLICA_FAILED)
            return;
        replica->applied_index = entry->index;
        replica->applied_term = entry->term;
        replica->entries_applied++;
        raft_applied(replica->raft, entry->index);
        if (proposal)
            finish_proposal(replica, proposal, -SKEIN_EUNKNOWN);
        checkpoint_note_applied(replica, entry->index, entry->data.count + 64);
    }
    if (replica->host->reply.capacity > ENVELOPE_FORWARD_BYTES_MAX)
        wire_writer_deinit(&replica->host->reply);
    if (count > 0)
        apply_reads(replica);
}

void
apply_alone(struct replica *replica, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    struct raft_next next;
    skein_assert(entry->index == replica->applied_index + 1);
    persist_prepare_entry(replica, entry);
    if (replica->phase == REPLICA_FAILED)
        return;
    if (entry->type == RAFT_ENTRY_NORMAL)
        apply_commands(replica, entry, NULL);
    else if (raft_decode_conf_change(entry->type, entry->data, &change) == 0 &&
             raft_next(&replica->config, &change, &next) == RAFT_REFUSAL_NONE)
        replica->config = next.config;
    replica->applied_index = entry->index;
    replica->applied_term = entry->term;
}

static void
answer_batch(struct replica *replica, struct read_batch *batch)
{
    if (batch->begun_boot_ns > replica->fresh_ns)
        replica->fresh_ns = batch->begun_boot_ns;
    struct wire_writer *out = &replica->host->reply;
    while (!list_is_empty(&batch->requests)) {
        struct request *request = LIST_ENTRY(batch->requests.next, struct request, link);
        struct replica_command command = {.index = replica->applied_index,
                                          .time_ms = replica->log_time_ms,
                                          .data = request->command};
        replica->host->options.machine_ops->query(replica->machine, &command, out);
        if (persist_machine_failed(replica)) {
            out->count = 0;
            return;
        }
        request_finish(replica, request, 0, out->data, out->count);
        out->count = 0;
    }
    list_remove(&batch->link);
    mem_free(batch);
}

void
apply_reads(struct replica *replica)
{
    bool answered = false;
    if (replica->load)
        return;
    persist_prepare_reads(replica);
    list_for_each_safe (link, &replica->reads) {
        struct read_batch *batch = LIST_ENTRY(link, struct read_batch, link);
        if (batch->index == 0 || batch->index > replica->applied_index)
            continue;
        answer_batch(replica, batch);
        if (replica->phase == REPLICA_FAILED)
            return;
        answered = true;
    }
    if (answered && !list_is_empty(&replica->queue))
        replica_signal(replica);
}

/* What was proposed up to there may or may not be in the state that is installed. */
void
apply_forget_proposals(struct replica *replica, uint64_t index)
{
    list_for_each_safe (link, &replica->proposals) {
        struct proposal *proposal = LIST_ENTRY(link, struct proposal, link);
        if (proposal->index <= index)
            finish_proposal(replica, proposal, -SKEIN_EUNKNOWN);
    }
}
