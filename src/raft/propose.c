/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mem.h"
#include "base/mutation.h"
#include "raft/codec.h"
#include "raft/internal.h"

uint64_t
raft_entry_charge(const struct raft *raft, const struct raft_entry *entry)
{
    return entry->data.count + (raft->options.etcd_rules ? 0 : RAFT_ENTRY_OVERHEAD_BYTES);
}

void
raft_append_own(struct raft *raft, const struct raft_entry *entries, size_t count)
{
    skein_assert(raft->role == RAFT_LEADER);
    for (size_t i = 0; i < count; i++) {
        struct raft_entry entry = {.term = raft->term,
                                   .index = raft_log_last(&raft->log) + 1,
                                   .type = entries[i].type,
                                   .data = bytes_ref(entries[i].data)};
        skein_assert(entry.data.count <= UINT32_MAX);
        raft->uncommitted_bytes += raft_entry_charge(raft, &entry);
        raft_log_push(&raft->log, entry);
    }
    struct raft_progress *own = raft_peer(raft, raft->id);
    if (mutation_on(MUTATION_COUNT_OWN_UNSYNCED) && own)
        raft_progress_update(own, raft_log_last(&raft->log));
    /* The leader's own acknowledgement waits for the write. Else the word of the write itself is it
     * (recv_storage.c). */
    if (raft->options.eager_sends)
        raft_send(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                              .to = raft->id,
                                              .index = raft_log_last(&raft->log)});
}

static bool
has_room(const struct raft *raft, const struct raft_entry *entries, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += raft_entry_charge(raft, &entries[i]);
    return !raft->uncommitted_bytes || !bytes ||
           raft->uncommitted_bytes + bytes <= raft->options.uncommitted_bytes_max;
}

/* etcd's rule: what may not be done now becomes an entry that does nothing. */
static bool
config_may_enter(const struct raft *raft, const struct raft_entry *entry)
{
    struct raft_conf_change change;
    if (raft_decode_conf_change(entry->type, entry->data, &change))
        return false;
    if (raft->options.no_config_check)
        return true;
    /* Only leaving is possible while it is joint, and only then. */
    return raft->pending_config_index <= raft->log.applied &&
           raft_config_joint(&raft->config) == !change.change_count;
}

static int
lead_entries(struct raft *raft, const struct raft_entry *entries, size_t count)
{
    if (!raft_peer(raft, raft->id))
        return -SKEIN_ENOTLEADER; /* removed, and not stepped down */
    if (raft->transferee)
        return -SKEIN_EBUSY;
    uint64_t pending = raft->pending_config_index;
    struct raft_entry one;
    struct raft_entry *kept = count == 1 ? &one : mem_alloc(count * sizeof(*kept));
    for (size_t i = 0; i < count; i++) {
        kept[i] = entries[i];
        if (!raft_entry_is_config(entries[i].type))
            continue;
        if (config_may_enter(raft, &entries[i]))
            raft->pending_config_index = raft_log_last(&raft->log) + i + 1;
        else
            kept[i] = (struct raft_entry){.type = RAFT_ENTRY_NORMAL};
    }
    int rc = 0;
    if (has_room(raft, kept, count)) {
        raft_append_own(raft, kept, count);
        raft_send_appends(raft);
    } else {
        raft->pending_config_index = pending;
        rc = -SKEIN_EAGAIN;
    }
    if (kept != &one)
        mem_free(kept);
    return rc;
}

static int
hand_on(struct raft *raft, const struct raft_entry *entries, size_t count)
{
    if (raft->role != RAFT_FOLLOWER || !raft->leader || !raft->options.forward_proposals)
        return -SKEIN_ENOTLEADER;
    struct raft_entry *copy = mem_alloc(count * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = (struct raft_entry){.type = entries[i].type, .data = bytes_ref(entries[i].data)};
    raft_send(raft,
              (struct raft_message){
                  .type = RAFT_PROPOSE, .to = raft->leader, .entries = copy, .entry_count = count});
    return 0;
}

static int
propose_one(struct raft *raft, enum raft_entry_type type, struct bytes data, uint64_t *out_index,
            uint64_t *out_term)
{
    struct raft_entry entry = {.type = type, .data = data};
    bool leads = raft->role == RAFT_LEADER;
    raft_wake(raft);
    int rc = leads ? lead_entries(raft, &entry, 1) : hand_on(raft, &entry, 1);
    if (rc)
        return rc;
    *out_index = leads ? raft_log_last(&raft->log) : 0;
    *out_term = leads ? raft->term : 0;
    return 0;
}

int
raft_propose(struct raft *raft, struct bytes data, uint64_t *out_index, uint64_t *out_term)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    return propose_one(raft, RAFT_ENTRY_NORMAL, data, out_index, out_term);
}

/* The leader without this option takes nothing from others: a write is handed on once, by the
 * driver, which knows whose it is. */
int
raft_on_propose(struct raft *raft, struct raft_message *m)
{
    if (!raft->options.forward_proposals)
        return -SKEIN_EPROTO;
    return raft->role == RAFT_LEADER ? lead_entries(raft, m->entries, m->entry_count)
                                     : hand_on(raft, m->entries, m->entry_count);
}

/* What neither changes a member nor carries a word of the driver's. */
static bool
changes_nothing(const struct raft_config *config, const struct raft_conf_change *change,
                const struct raft_next *next)
{
    for (uint32_t i = 0; i < next->config.count; i++)
        if (next->fresh[i])
            return false;
    return raft_config_equal(config, &next->config) && !change->context.count;
}

/* Stricter than etcd, and with an answer. Row 2: without an entry of this term committed, an older
 * leader's change may still be alive and its majority need not meet ours. */
static int
check_config(const struct raft *raft, const struct raft_conf_change *change)
{
    struct raft_next next;
    if (raft->options.etcd_rules || raft->role != RAFT_LEADER)
        return 0;
    if (!raft_committed_in_term(raft) || raft->pending_config_index > raft->log.applied)
        return -SKEIN_EBUSY;
    if (raft_next(&raft->config, change, &next) || changes_nothing(&raft->config, change, &next))
        return -SKEIN_EINVALID;
    return 0;
}

int
raft_propose_config(struct raft *raft, const struct raft_conf_change *change, uint64_t *out_index,
                    uint64_t *out_term)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    int rc = check_config(raft, change);
    if (rc)
        return rc;
    struct wire_writer out = {0};
    raft_encode_conf_change(&out, change);
    struct bytes data = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    rc = propose_one(raft, change->v1 ? RAFT_ENTRY_CONFIG : RAFT_ENTRY_CONFIG_V2, data, out_index,
                     out_term);
    bytes_unref(&data);
    return rc;
}
