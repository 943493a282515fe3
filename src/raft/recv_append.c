/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mutation.h"
#include "raft/internal.h"

static void
answer(struct raft *raft, const struct raft_message *m, uint64_t matched)
{
    raft_send(raft,
              (struct raft_message){.type = RAFT_APPEND_RESPONSE, .to = m->from, .index = matched});
}

static void
refuse(struct raft *raft, const struct raft_message *m)
{
    uint64_t last = raft_log_last(&raft->log);
    uint64_t hint_term;
    uint64_t hint =
        raft_log_hint(&raft->log, m->index < last ? m->index : last, m->log_term, &hint_term);
    raft_send(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                          .to = m->from,
                                          .index = m->index,
                                          .log_term = hint_term,
                                          .reject = true,
                                          .reject_hint = hint});
}

/* The first of @m's entries that this log does not hold; past the last when it holds all. */
static uint64_t
first_new(const struct raft *raft, const struct raft_message *m)
{
    size_t i = 0;
    while (i < m->entry_count &&
           raft_log_matches(&raft->log, m->entries[i].index, m->entries[i].term))
        i++;
    return m->index + 1 + i;
}

static void
take_entries(struct raft *raft, struct raft_message *m, uint64_t from)
{
    raft_log_truncate(&raft->log, from);
    for (size_t i = (size_t)(from - m->index - 1); i < m->entry_count; i++) {
        raft_log_push(&raft->log, m->entries[i]);
        m->entries[i].data = (struct bytes){0};
    }
}

static bool
witnesses(const struct raft_message *m)
{
    for (size_t i = 0; i < m->entry_count; i++)
        if (m->entries[i].type == RAFT_ENTRY_WITNESSED)
            return true;
    return false;
}

/* A witness may be one without knowing it yet; whoever is known as something else is none. */
static bool
may_need_data(const struct raft *raft)
{
    int at = raft_config_find(&raft->config, raft->id);
    return at >= 0 && !(raft->config.roles[at] & RAFT_WITNESS);
}

/* Section 5.3. Nothing is ever cut off for being longer than the message (row 21). */
int
raft_on_append(struct raft *raft, struct raft_message *m)
{
    if (!raft->config.count && !raft->options.etcd_rules) {
        raft_send(raft, (struct raft_message){.type = RAFT_APPEND_RESPONSE,
                                              .to = m->from,
                                              .index = m->index,
                                              .reject = true,
                                              .context = RAFT_CONTEXT_NEEDS_SNAPSHOT});
        return 0;
    }
    if (m->index < raft->log.commit) {
        answer(raft, m, raft->log.commit);
        return 0;
    }
    if (!raft_log_matches(&raft->log, m->index, m->log_term)) {
        refuse(raft, m);
        return 0;
    }
    if (witnesses(m) && may_need_data(raft))
        return -SKEIN_EPROTO;
    uint64_t matched = m->index + m->entry_count;
    uint64_t from = first_new(raft, m);
    if (from <= raft->log.commit && from <= matched)
        return -SKEIN_EPROTO; /* row 10 */
    if (mutation_on(MUTATION_NO_TRUNCATE) && from <= raft_log_last(&raft->log))
        from = raft_log_last(&raft->log) + 1;
    if (from <= matched)
        take_entries(raft, m, from);
    if (mutation_on(MUTATION_CUT_BEHIND_APPEND) && matched >= raft->log.commit)
        raft_log_truncate(&raft->log, matched + 1);
    uint64_t covered =
        mutation_on(MUTATION_COMMIT_BEYOND_APPEND) ? raft_log_last(&raft->log) : matched;
    raft_commit_to(raft, m->commit < covered ? m->commit : covered);
    /* Only what this message vouches for, however long our log is (row 45). */
    answer(raft, m, matched);
    return 0;
}
