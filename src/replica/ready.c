/* SPDX-License-Identifier: Apache-2.0 */
/* What the raft core wants done: messages, one log write, entries to apply, reads that are settled.
 */
#include "base/mem.h"
#include "disk/explain.h"
#include "obs/log.h"
#include "replica/entry.h"
#include "replica/state.h"
#include "skein/error.h"

#include <inttypes.h>

/* Taken in one turn; then other groups have theirs. */
#define TURN_READIES 8u

static void
on_durable(struct wal_write *write, int status)
{
    struct durable_write *done = write->owner;
    done->status = status;
    list_push_back(&done->replica->durable, &done->link);
    replica_signal(done->replica);
}

/* The log has room again, maybe: whoever waits for it has another try. */
static void
signal_held(struct host *host)
{
    struct skein_list *first;
    while ((first = list_pop_front(&host->held)))
        replica_signal(LIST_ENTRY(first, struct replica, held_link));
}

static void
free_write(struct durable_write *write)
{
    raft_ready_deinit(&write->ready);
    mem_free(write);
}

static void
submit(struct replica *replica, struct durable_write *write)
{
    int rc = wal_submit(replica->host->wal, &write->write);
    if (rc == -SKEIN_EAGAIN) {
        replica->held = write;
        list_remove(&replica->held_link);
        list_push_back(&replica->host->held, &replica->held_link);
        return;
    }
    replica->held = NULL;
    if (rc < 0) {
        free_write(write);
        host_fail(replica->host, rc, "%s: the log does not take writes any more (%s)",
                  replica->host->wal_dir, skein_error_name(rc));
        return;
    }
    if (write->ready.entry_count > 0)
        replica->entry_writes_ahead++;
}

static void
finish_write(struct replica *replica, struct durable_write *write)
{
    struct raft_ready *ready = &write->ready;
    if (ready->entry_count > 0)
        replica->entry_writes_ahead--;
    for (size_t i = 0; write->status == 0 && i < ready->response_count; i++) {
        struct raft_message *response = &ready->responses[i];
        if (response->to == replica->host->raft_id)
            raft_step(replica->raft, response);
        else
            inbox_send(replica, response);
    }
    if (write->status < 0) {
        char why[512];
        disk_explain(write->status, "nothing more is acknowledged, a write failed in",
                     replica->host->wal_dir, why);
        host_fail(replica->host, write->status, "%s", why);
    }
    free_write(write);
}

void
ready_complete(struct replica *replica)
{
    if (!list_is_empty(&replica->durable))
        signal_held(replica->host);
    while (!list_is_empty(&replica->durable) && replica->phase != REPLICA_FAILED)
        finish_write(replica,
                     LIST_ENTRY(list_pop_front(&replica->durable), struct durable_write, link));
    if (replica->held && replica->phase != REPLICA_FAILED)
        submit(replica, replica->held);
}

void
ready_drop_writes(struct replica *replica)
{
    while (!list_is_empty(&replica->durable))
        free_write(LIST_ENTRY(list_pop_front(&replica->durable), struct durable_write, link));
    if (replica->held)
        free_write(replica->held);
    replica->held = NULL;
}

/* The log time of what others stamped: this node stamps nothing below it when it leads. */
static void
note_stamps(struct replica *replica, const struct raft_ready *ready)
{
    for (size_t i = 0; i < ready->entry_count; i++) {
        uint64_t time_ms =
            ready->entries[i].type == RAFT_ENTRY_NORMAL ? entry_time_ms(ready->entries[i].data) : 0;
        if (time_ms > replica->stamp_time_ms)
            replica->stamp_time_ms = time_ms;
    }
}

static void
begin_write(struct replica *replica, struct raft_ready *ready)
{
    struct durable_write *write = mem_zalloc(sizeof *write);
    write->replica = replica;
    write->ready = *ready;
    /* The arrays are the write's now; messages and applied entries are done with. */
    *ready = (struct raft_ready){0};
    struct raft_ready *own = &write->ready;
    write->write =
        (struct wal_write){.group = replica->group,
                           .hard_state = own->hard_state_changed ? &own->hard_state : NULL,
                           .snapshot = own->snapshot.index ? &own->snapshot : NULL,
                           .entries = own->entries,
                           .entry_count = own->entry_count,
                           .sync = own->must_sync,
                           .on_durable = on_durable,
                           .owner = write};
    submit(replica, write);
}

static void
settle_reads(struct replica *replica, const struct raft_ready *ready)
{
    for (size_t i = 0; i < ready->read_state_count; i++)
        list_for_each (link, &replica->reads) {
            struct read_batch *batch = LIST_ENTRY(link, struct read_batch, link);
            if (batch->context == ready->read_states[i].context)
                batch->index = ready->read_states[i].index;
        }
    if (ready->reads_dropped)
        reads_drop(replica);
    if (ready->read_state_count > 0)
        apply_reads(replica);
}

static void
announce(struct replica *replica)
{
    uint64_t leader = raft_leader(replica->raft);
    replica->leader_since_ns = skein_now_ns();
    replica->host->had_leader |= leader != RAFT_NONE;
    replica->leader_changes++;
    obs_log(OBS_INFO, "raft", raft_role_name(raft_role(replica->raft)),
            "node=%u group=%u term=%" PRIu64 " leader=%u", replica->host->options.node,
            replica->group, raft_term(replica->raft), replica_raft_node(leader));
    forward_retry_reads(replica, replica_raft_node(leader));
    if (!list_is_empty(&replica->queue))
        replica_signal(replica);
}

static void
take_one(struct replica *replica)
{
    struct raft_ready ready;
    raft_take_ready(replica->raft, &ready);
    for (size_t i = 0; i < ready.message_count; i++)
        if (!read_round_spares(replica, &ready.messages[i]))
            inbox_send(replica, &ready.messages[i]);
    if (ready.snapshot.index != 0)
        load_begin(replica, &ready.snapshot);
    note_stamps(replica, &ready);
    bool leader_changed = ready.leader_changed;
    struct raft_ready rest = ready;
    if (ready.has_append) {
        begin_write(replica, &ready);
        /* The write has taken its own parts; it frees all arrays together when it is durable, so
         * the entries to apply and the read states stay readable until then, but not beyond a
         * failure. */
    }
    if (replica->phase == REPLICA_FAILED) {
        raft_ready_deinit(&ready);
        return;
    }
    if (!load_holds(replica, rest.apply, rest.apply_count))
        apply_entries(replica, rest.apply, rest.apply_count);
    settle_reads(replica, &rest);
    raft_ready_deinit(&ready);
    if (leader_changed)
        announce(replica);
}

bool
ready_send(struct replica *replica)
{
    const struct raft_message *messages;
    if (replica->phase == REPLICA_FAILED || replica->held)
        return false;
    size_t count = raft_take_messages(replica->raft, &messages);
    for (size_t i = 0; i < count; i++)
        if (!read_round_spares(replica, &messages[i]))
            inbox_send(replica, &messages[i]);
    if (count)
        replica->beat_for_all = false;
    return !raft_has_ready(replica->raft);
}

void
ready_take(struct replica *replica)
{
    for (uint32_t i = 0; i < TURN_READIES; i++) {
        if (replica->phase == REPLICA_FAILED || replica->held || !raft_has_ready(replica->raft))
            return;
        take_one(replica);
    }
    replica_signal(replica);
}
