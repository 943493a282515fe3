/* SPDX-License-Identifier: Apache-2.0 */
#include <skein/error.h>

#include "base/mem.h"
#include "raft/codec.h"
#include "raft/internal.h"

static void
default_u32(uint32_t *value, uint32_t standard)
{
    if (!*value)
        *value = standard;
}

static void
default_u64(uint64_t *value, uint64_t standard)
{
    if (!*value)
        *value = standard;
}

static int
take_options(struct raft *raft, const struct raft_options *options)
{
    struct raft_options *o = &raft->options;
    *o = *options;
    o->entries = NULL;
    o->entry_count = 0;
    default_u32(&o->election_ticks, 10);
    default_u32(&o->heartbeat_ticks, 1);
    default_u64(&o->append_bytes_max, 1u << 20);
    default_u32(&o->inflight_count_max, 256);
    default_u64(&o->inflight_bytes_max, 16u << 20);
    default_u64(&o->uncommitted_bytes_max, 64u << 20);
    default_u64(&o->apply_bytes_max, 4u << 20);
    default_u32(&o->read_count_max, 65536);
    if (o->id == RAFT_NONE || o->election_ticks <= o->heartbeat_ticks)
        return -SKEIN_EINVALID;
    if (o->election_rank > RAFT_RANK_MAX)
        return -SKEIN_EINVALID;
    if (o->election_ticks > UINT32_MAX / 256 || o->inflight_count_max > UINT32_MAX / 4)
        return -SKEIN_EINVALID;
    if (!raft_config_valid(&o->snapshot.config))
        return -SKEIN_EINVALID;
    if ((o->lease_reads || o->lease_ns) && !o->check_quorum)
        return -SKEIN_EINVALID;
    if (o->lease_ns >= RAFT_NUMBER_MAX || o->drift_ppm > 500000)
        return -SKEIN_EINVALID;
    raft->id = o->id;
    prng_init(&raft->prng, o->seed + o->id * 0x9e3779b97f4a7c15u);
    return 0;
}

/* One run of indices whose terms do not fall, none above the hard state's. */
static int
check_entries(const struct raft_options *o)
{
    for (size_t i = 0; i < o->entry_count; i++) {
        const struct raft_entry *e = &o->entries[i];
        uint64_t before = i ? e[-1].term : 0;
        if (!e->index || e->index >= RAFT_NUMBER_MAX || (i && e->index != e[-1].index + 1))
            return -SKEIN_ECORRUPT;
        if (!e->term || e->term < before || e->term > o->hard_state.term)
            return -SKEIN_ECORRUPT;
        if (e->index == o->snapshot.index && e->term != o->snapshot.term)
            return -SKEIN_ECORRUPT;
        if (e->index == o->snapshot.index + 1 && e->term < o->snapshot.term)
            return -SKEIN_ECORRUPT;
    }
    return 0;
}

static int
check_disk(const struct raft_options *o)
{
    const struct raft_snapshot *s = &o->snapshot;
    if (o->hard_state.term >= RAFT_NUMBER_MAX || s->index >= RAFT_NUMBER_MAX)
        return -SKEIN_ECORRUPT;
    bool ahead = s->term > o->hard_state.term && !o->etcd_rules;
    if (ahead || !s->index != !s->term)
        return -SKEIN_ECORRUPT;
    if (o->entry_count && o->entries[0].index > s->index + 1)
        return -SKEIN_ECORRUPT;
    if (o->entry_count && !s->config.count)
        return -SKEIN_ECORRUPT; /* nobody could say whose entries these are */
    int rc = check_entries(o);
    if (rc)
        return rc;
    uint64_t last = o->entry_count ? o->entries[o->entry_count - 1].index : 0;
    if (last < s->index)
        last = s->index;
    if (o->hard_state.commit > last || o->applied > last || o->applied < s->index)
        return -SKEIN_ECORRUPT;
    return 0;
}

/* Entries behind the checkpoint are kept: they serve followers that are a little late. */
static void
take_log(struct raft_log *log, const struct raft_options *o)
{
    size_t from = 0;
    uint64_t last = o->entry_count ? o->entries[o->entry_count - 1].index : 0;
    if (last < o->snapshot.index || !o->entry_count ||
        o->entries[0].index == o->snapshot.index + 1) {
        log->base_index = o->snapshot.index;
        log->base_term = o->snapshot.term;
        from = last <= o->snapshot.index ? o->entry_count : 0;
    } else if (o->entries[0].index > 1) {
        log->base_index = o->entries[0].index;
        log->base_term = o->entries[0].term;
        from = 1;
    }
    for (size_t i = from; i < o->entry_count; i++) {
        struct raft_entry entry = o->entries[i];
        bytes_ref(entry.data);
        raft_log_push(log, entry);
    }
    log->stable = log->taken = raft_log_last(log);
    log->applied = log->applying = o->applied;
    log->commit = o->hard_state.commit > o->applied ? o->hard_state.commit : o->applied;
}

/* What the machine has applied behind the checkpoint it will not apply again: changes included. */
static void
replay_config(struct raft *raft, const struct raft_options *o)
{
    struct raft_next next = {.config = o->snapshot.config};
    for (uint64_t i = o->snapshot.index + 1; i <= o->applied; i++) {
        const struct raft_entry *e = raft_log_at(&raft->log, i);
        struct raft_conf_change change;
        struct raft_next after;
        if (raft_entry_is_config(e->type) && !raft_decode_conf_change(e->type, e->data, &change) &&
            !raft_next(&next.config, &change, &after))
            next.config = after.config;
    }
    raft_config_set(raft, &next, o->applied);
}

int
raft_open(struct raft **out_raft, const struct raft_options *options)
{
    struct raft *raft = mem_zalloc(sizeof(*raft));
    raft->magic = RAFT_MAGIC;
    int rc = take_options(raft, options);
    if (!rc)
        rc = check_disk(options);
    if (rc) {
        raft_close(raft);
        return rc;
    }
    raft->log.etcd_sizes = options->etcd_rules;
    take_log(&raft->log, options);
    raft->snapshot = options->snapshot;
    raft->term = options->hard_state.term;
    raft->vote = options->hard_state.vote;
    replay_config(raft, options);
    raft_become_follower(raft, raft->term, RAFT_NONE);
    raft_promise(raft, RAFT_NONE);
    raft->hard_taken = (struct raft_hard_state){raft->term, raft->vote, raft->log.commit};
    raft->seen_term = raft->term;
    *out_raft = raft;
    return 0;
}

static void
drop_messages(struct raft_messages *list)
{
    for (size_t i = 0; i < list->count; i++)
        raft_message_deinit(&list->items[i]);
    mem_free(list->items);
}

void
raft_close(struct raft *raft)
{
    if (!raft)
        return;
    skein_assert(raft->magic == RAFT_MAGIC);
    raft_log_deinit(&raft->log);
    for (uint32_t i = 0; i < RAFT_MEMBERS_MAX; i++)
        raft_progress_deinit(&raft->peers[i]);
    drop_messages(&raft->messages);
    drop_messages(&raft->after_append);
    mem_free(raft->reads);
    mem_free(raft->read_states);
    raft->magic = 0;
    mem_free(raft);
}
