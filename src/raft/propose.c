/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mem.h"
#include "raft/codec.h"
#include "raft/internal.h"

uint64_t
raft_entry_bytes(const struct raft_entry *entry)
{
    return entry->data.count + RAFT_ENTRY_OVERHEAD_BYTES;
}

void
raft_append_own(struct raft *raft, enum raft_entry_type type, struct bytes data)
{
    skein_assert(raft->role == RAFT_LEADER);
    skein_assert(data.count <= UINT32_MAX);
    struct raft_entry entry = {.term = raft->term,
                               .index = raft_log_last(&raft->log) + 1,
                               .type = type,
                               .data = bytes_ref(data)};
    raft->uncommitted_bytes += raft_entry_bytes(&entry);
    raft_log_push(&raft->log, entry);
    raft_mark_all(raft, RAFT_SEND_ENTRIES);
}

static int
propose(struct raft *raft, enum raft_entry_type type, struct bytes data, uint64_t *out_index,
        uint64_t *out_term)
{
    if (raft->transferee)
        return -SKEIN_EBUSY;
    if (raft->uncommitted_bytes &&
        raft->uncommitted_bytes + data.count + RAFT_ENTRY_OVERHEAD_BYTES >
            raft->options.uncommitted_bytes_max)
        return -SKEIN_EAGAIN;
    raft_append_own(raft, type, data);
    *out_index = raft_log_last(&raft->log);
    *out_term = raft->term;
    return 0;
}

int
raft_propose(struct raft *raft, struct bytes data, uint64_t *out_index, uint64_t *out_term)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    if (raft->role != RAFT_LEADER)
        return -SKEIN_ENOTLEADER;
    return propose(raft, RAFT_ENTRY_NORMAL, data, out_index, out_term);
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

int
raft_propose_config(struct raft *raft, const struct raft_conf_change *change, uint64_t *out_index,
                    uint64_t *out_term)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    if (raft->role != RAFT_LEADER)
        return -SKEIN_ENOTLEADER;
    /* Row 2: without an entry of this term committed, an older leader's change may still be alive
     * and its majority need not meet ours. */
    if (!raft_committed_in_term(raft) || raft->pending_config_index > raft->log.applied)
        return -SKEIN_EBUSY;
    struct raft_next next;
    if (raft_next(&raft->config, change, &next) || changes_nothing(&raft->config, change, &next))
        return -SKEIN_EINVALID;
    struct wire_writer out = {0};
    raft_encode_conf_change(&out, change);
    struct bytes data = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    int rc = propose(raft, change->v1 ? RAFT_ENTRY_CONFIG : RAFT_ENTRY_CONFIG_V2, data, out_index,
                     out_term);
    bytes_unref(&data);
    if (!rc)
        raft->pending_config_index = *out_index;
    return rc;
}
