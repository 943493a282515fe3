/* SPDX-License-Identifier: Apache-2.0 */
/* skein/raft.h: the core with plain data at its edges. */
#include "raft/public.h"

#include <string.h>

#include "base/mem.h"
#include "raft/codec.h"

_Static_assert(SKEIN_RAFT_MEMBERS_MAX == RAFT_MEMBERS_MAX, "members");
_Static_assert(SKEIN_RAFT_VOTERS_MAX == RAFT_VOTERS_MAX, "voters");
_Static_assert((int)SKEIN_RAFT_WITNESS == (int)RAFT_WITNESS, "roles");
_Static_assert((int)SKEIN_RAFT_ENTRY_WITNESSED == (int)RAFT_ENTRY_WITNESSED, "entries");
_Static_assert((int)SKEIN_RAFT_ADD_WITNESS == (int)RAFT_CHANGE_ADD_WITNESS, "changes");
_Static_assert((int)SKEIN_RAFT_LEADER == (int)RAFT_LEADER, "roles");

/* Plain data in and out. */

static struct raft_config
config_of(const struct skein_raft_members *members)
{
    struct raft_config config = {.count = members->count, .auto_leave = members->auto_leave};
    memcpy(config.ids, members->ids, sizeof config.ids);
    memcpy(config.roles, members->roles, sizeof config.roles);
    return config;
}

struct skein_raft_members
public_members_of(const struct raft_config *config)
{
    struct skein_raft_members members = {.count = config->count, .auto_leave = config->auto_leave};
    memcpy(members.ids, config->ids, sizeof members.ids);
    memcpy(members.roles, config->roles, sizeof members.roles);
    return members;
}

struct skein_raft_hard_state
public_hard_state_of(const struct raft_hard_state *hard_state)
{
    return (struct skein_raft_hard_state){hard_state->term, hard_state->vote, hard_state->commit};
}

/* Opening. */

static int
copy_entries(const struct skein_raft_options *options, struct raft_entry **out_entries)
{
    struct raft_entry *entries = mem_try_alloc((options->entry_count + 1) * sizeof *entries);
    if (!entries)
        return -SKEIN_ENOMEM;
    for (size_t i = 0; i < options->entry_count; i++) {
        const struct skein_raft_entry *from = &options->entries[i];
        entries[i] = (struct raft_entry){.term = from->term,
                                         .index = from->index,
                                         .type = (enum raft_entry_type)from->type,
                                         .data = bytes_copy(from->data, from->bytes)};
    }
    *out_entries = entries;
    return 0;
}

static struct raft_options
options_of(const struct skein_raft_options *o)
{
    return (struct raft_options){
        .id = o->id,
        .seed = o->seed,
        .election_ticks = o->election_ticks,
        .heartbeat_ticks = o->heartbeat_ticks,
        .election_rank = o->election_rank,
        .quiesce_ticks = o->quiesce_ticks,
        .lease_ns = o->lease_ns,
        .drift_ppm = o->drift_ppm,
        .append_bytes_max = o->append_bytes_max,
        .inflight_count_max = o->inflight_count_max,
        .inflight_bytes_max = o->inflight_bytes_max,
        .uncommitted_bytes_max = o->uncommitted_bytes_max,
        .apply_bytes_max = o->apply_bytes_max,
        .forward_proposals = o->forward_proposals,
        .pre_vote = true,
        .check_quorum = true,
        .step_down_on_removal = true,
        .hard_state = {o->hard_state.term, o->hard_state.vote, o->hard_state.commit},
        .snapshot = {o->snapshot.index, o->snapshot.term, config_of(&o->snapshot.members)},
        .applied = o->applied,
        .entry_count = o->entry_count,
    };
}

int
skein_raft_open(struct skein_raft **out_raft, const struct skein_raft_options *options)
{
    struct raft_options inner = options_of(options);
    for (size_t i = 0; i < options->entry_count; i++)
        if (options->entries[i].type >= RAFT_ENTRY_TYPE_END)
            return -SKEIN_ECORRUPT;
    int rc = copy_entries(options, &inner.entries);
    if (rc)
        return rc;
    struct raft *core;
    rc = raft_open(&core, &inner);
    for (size_t i = 0; i < inner.entry_count; i++)
        bytes_unref(&inner.entries[i].data);
    mem_free(inner.entries);
    if (rc)
        return rc;
    struct skein_raft *raft = mem_zalloc(sizeof *raft);
    *raft = (struct skein_raft){.magic = PUBLIC_MAGIC, .core = core, .id = options->id};
    *out_raft = raft;
    return 0;
}

void
public_drop_messages(struct raft_message *messages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        raft_message_deinit(&messages[i]);
    mem_free(messages);
}

void
skein_raft_close(struct skein_raft *raft)
{
    if (!raft)
        return;
    skein_assert(raft->magic == PUBLIC_MAGIC);
    for (size_t i = 0; i < raft->pending_count; i++)
        public_drop_messages(raft->pending[i].responses, raft->pending[i].count);
    mem_free(raft->pending);
    public_drop_messages(raft->held, raft->held_count);
    raft_close(raft->core);
    raft->magic = 0;
    mem_free(raft);
}

/* What happens, and what is asked. */

void
skein_raft_tick(struct skein_raft *raft)
{
    raft_tick(raft->core);
}

int
skein_raft_receive(struct skein_raft *raft, uint64_t from, const void *data, size_t bytes)
{
    skein_assert(raft->magic == PUBLIC_MAGIC);
    struct bytes_buf *buffer = bytes_try_new(bytes);
    if (!buffer)
        return -SKEIN_ENOMEM;
    memcpy(buffer->data, data, bytes);
    struct bytes frame = bytes_of(buffer, bytes);
    struct raft_message message;
    int rc = raft_decode_message(frame, &message);
    bytes_unref(&frame);
    if (rc)
        return rc;
    bool genuine = message.from == from && from != raft->id;
    if (genuine && message.type != RAFT_STORAGE_APPENDED)
        return raft_step(raft->core, &message);
    raft_message_deinit(&message);
    return -SKEIN_EPROTO;
}

void
skein_raft_unreachable(struct skein_raft *raft, uint64_t member)
{
    raft_report_unreachable(raft->core, member);
}

void
skein_raft_snapshot_sent(struct skein_raft *raft, uint64_t member, bool ok)
{
    raft_report_snapshot(raft->core, member, ok);
}

int
skein_raft_propose(struct skein_raft *raft, const void *data, size_t bytes, uint64_t *out_index,
                   uint64_t *out_term)
{
    if (bytes > UINT32_MAX)
        return -SKEIN_EINVALID;
    struct bytes copy = bytes_copy(data, bytes);
    int rc = raft_propose(raft->core, copy, out_index, out_term);
    bytes_unref(&copy);
    return rc;
}

int
skein_raft_change(struct skein_raft *raft, const struct skein_raft_change *changes, uint32_t count,
                  uint64_t *out_index, uint64_t *out_term)
{
    if (!count || count > RAFT_CHANGES_MAX)
        return -SKEIN_EINVALID;
    struct raft_conf_change change = {.change_count = count};
    for (uint32_t i = 0; i < count; i++) {
        if ((unsigned)changes[i].type >= RAFT_CHANGE_TYPE_END || !changes[i].member)
            return -SKEIN_EINVALID;
        change.changes[i].type = (enum raft_change_type)changes[i].type;
        change.changes[i].node = changes[i].member;
    }
    return raft_propose_config(raft->core, &change, out_index, out_term);
}

int
skein_raft_read(struct skein_raft *raft, uint64_t context)
{
    return raft_read_index(raft->core, context);
}

int
skein_raft_read_lease(const struct skein_raft *raft, uint64_t now_ns, uint64_t *out_index)
{
    return raft_read_lease(raft->core, now_ns, out_index);
}

void
skein_raft_clock(struct skein_raft *raft, uint64_t now_ns)
{
    raft_clock(raft->core, now_ns);
}

int
skein_raft_transfer(struct skein_raft *raft, uint64_t member)
{
    return raft_transfer(raft->core, member);
}

void
skein_raft_campaign(struct skein_raft *raft)
{
    raft_campaign(raft->core);
}

bool
skein_raft_asleep(const struct skein_raft *raft)
{
    return raft_asleep(raft->core);
}

void
skein_raft_wake(struct skein_raft *raft)
{
    raft_wake(raft->core);
}

void
skein_raft_applied(struct skein_raft *raft, const struct skein_raft_entry *entry)
{
    struct raft_entry inner = {.term = entry->term,
                               .index = entry->index,
                               .type = (enum raft_entry_type)entry->type,
                               .data = bytes_borrow(entry->data, entry->bytes)};
    /* What cannot be done is skipped, by every member alike. */
    if (raft_entry_is_config(inner.type))
        (void)!raft_apply_config(raft->core, &inner);
    raft_applied(raft->core, entry->index);
}

void
skein_raft_snapshot_point(const struct skein_raft *raft, struct skein_raft_snapshot *out_snapshot)
{
    struct raft_status status;
    raft_status(raft->core, &status);
    *out_snapshot =
        (struct skein_raft_snapshot){.index = status.applied,
                                     .term = raft_entry_term(raft->core, status.applied),
                                     .members = public_members_of(&status.config)};
}

void
skein_raft_compact(struct skein_raft *raft, const struct skein_raft_snapshot *snapshot,
                   uint64_t keep_count)
{
    struct raft_snapshot inner = {snapshot->index, snapshot->term, config_of(&snapshot->members)};
    uint64_t keep_from = keep_count > snapshot->index ? 1 : snapshot->index + 1 - keep_count;
    raft_compact(raft->core, &inner, keep_from);
}

void
skein_raft_status(const struct skein_raft *raft, struct skein_raft_status *out_status)
{
    struct raft_status status;
    raft_status(raft->core, &status);
    *out_status = (struct skein_raft_status){
        .id = status.id,
        .leader = status.leader,
        .role = (enum skein_raft_role)status.role,
        .hard_state = public_hard_state_of(&status.hard_state),
        .applied = status.applied,
        .first_index = status.first_index,
        .last_index = status.last_index,
        .log_bytes = status.log_bytes,
        .dropped = status.dropped,
        .wants_snapshot = status.wants_checkpoint,
        .members = public_members_of(&status.config),
    };
}
