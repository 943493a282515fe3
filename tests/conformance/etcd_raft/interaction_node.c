/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_raft/interaction.h"

#include <inttypes.h>

#include <skein/error.h>

#include "base/mem.h"

bool
node_open(struct world *world, const struct node_options *options, struct text *out)
{
    if (world->node_count == NODES_MAX) {
        text_printf(out, "more than %d nodes", NODES_MAX);
        return false;
    }
    struct raft_options raft_options = options->raft;
    raft_options.id = world->node_count + 1;
    struct raft *raft;
    int rc = raft_open(&raft, &raft_options);
    if (rc) {
        text_printf(out, "cannot open: %s", skein_error_name(rc));
        return false;
    }
    struct node *node = mem_zalloc(sizeof *node);
    *node = (struct node){
        .id = raft_options.id,
        .raft = raft,
        .async = options->async,
        .election_ticks = raft_options.election_ticks,
        .heartbeat_ticks = raft_options.heartbeat_ticks,
        .newest = raft_options.snapshot,
        .seen_hard_state = {.commit = raft_options.snapshot.index},
    };
    storage_restore(&node->storage, raft_options.snapshot.index, raft_options.snapshot.term);
    world->nodes[world->node_count++] = node;
    return true;
}

void
node_close(struct node *node)
{
    raft_close(node->raft);
    storage_deinit(&node->storage);
    messages_deinit(&node->append_work);
    messages_deinit(&node->apply_work);
    mem_free(node);
}

/* Disk and machine. */

static void
write_storage(struct node *node, const struct raft_snapshot *snapshot,
              const struct raft_entry *entries, size_t count)
{
    if (snapshot->index)
        storage_restore(&node->storage, snapshot->index, snapshot->term);
    storage_append(&node->storage, entries, count);
}

static void
apply(struct node *node, const struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct raft_entry *entry = &entries[i];
        if (raft_entry_is_config(entry->type)) {
            struct raft_status status;
            (void)raft_apply_config(node->raft, entry);
            raft_status(node->raft, &status);
            node->newest.config = status.config;
        }
        node->newest.index = entry->index;
        node->newest.term = entry->term;
        raft_compact(node->raft, &node->newest, 0);
    }
}

/* What a Ready shows. */

static void
describe_ready(struct node *node, const struct raft_ready *ready, const struct messages *messages,
               struct text *out)
{
    struct text body = {0};
    const struct raft_hard_state *before = &node->seen_hard_state, *now = &ready->hard_state;
    bool must_sync =
        ready->entry_count ||
        (ready->hard_state_changed && (now->term != before->term || now->vote != before->vote));
    uint64_t leader = raft_leader(node->raft);
    enum raft_role role = raft_role(node->raft);
    if (leader != node->seen_leader || role != node->seen_role)
        text_printf(&body, "Lead:%" PRIu64 " State:%s\n", leader, etcd_role_name(role));
    if (ready->hard_state_changed) {
        text_printf(&body, "HardState ");
        describe_hard_state(&body, now);
        text_printf(&body, "\n");
    }
    if (ready->read_state_count)
        describe_read_states(&body, ready->read_states, ready->read_state_count);
    if (ready->entry_count) {
        text_printf(&body, "Entries:\n");
        describe_entries(&body, ready->entries, ready->entry_count);
    }
    if (ready->snapshot.index) {
        text_printf(&body, "Snapshot ");
        describe_snapshot(&body, &ready->snapshot);
        text_printf(&body, "\n");
    }
    if (ready->apply_count) {
        text_printf(&body, "CommittedEntries:\n");
        describe_entries(&body, ready->apply, ready->apply_count);
    }
    if (messages->count)
        text_printf(&body, "Messages:\n");
    for (size_t i = 0; i < messages->count; i++) {
        describe_message(&body, &messages->items[i]);
        text_printf(&body, "\n");
    }
    if (body.count)
        text_printf(out, "Ready MustSync=%s:\n%s", must_sync ? "true" : "false", text_str(&body));
    else
        text_printf(out, "<empty Ready>\n");
    text_deinit(&body);
    node->seen_leader = leader;
    node->seen_role = role;
    if (ready->hard_state_changed)
        node->seen_hard_state = *now;
}

static struct raft_entry *
copy_entries(const struct raft_entry *entries, size_t count)
{
    struct raft_entry *copy = count ? mem_alloc(count * sizeof *copy) : NULL;
    for (size_t i = 0; i < count; i++) {
        copy[i] = entries[i];
        copy[i].data = bytes_ref(entries[i].data);
    }
    return copy;
}

/* A core's answer that a write is durable says something only with entries or a snapshot. */
static bool
says_something(const struct raft_message *response)
{
    return response->type != RAFT_STORAGE_APPENDED || response->index || response->snapshot;
}

static struct messages
take_responses(struct raft_ready *ready)
{
    struct messages list = {0};
    for (size_t i = 0; i < ready->response_count; i++)
        if (says_something(&ready->responses[i]))
            messages_push(&list, etcd_message_of(&ready->responses[i]));
    return list;
}

/* Asynchronous writes: two messages to the node's own threads. */

static void
hand_to_threads(struct node *node, struct raft_ready *ready, struct messages *messages)
{
    struct messages responses = take_responses(ready);
    if (ready->entry_count || ready->hard_state_changed || ready->snapshot.index ||
        responses.count) {
        struct etcd_message write = {.type = ETCD_STORAGE_APPEND,
                                     .from = node->id,
                                     .to = ETCD_APPEND_THREAD,
                                     .snapshot = ready->snapshot,
                                     .entries = copy_entries(ready->entries, ready->entry_count),
                                     .entry_count = ready->entry_count,
                                     .responses = responses.items,
                                     .response_count = responses.count};
        if (ready->hard_state_changed) {
            write.term = ready->hard_state.term;
            write.vote = ready->hard_state.vote;
            write.commit = ready->hard_state.commit;
        }
        messages_push(messages, write);
    }
    if (!ready->apply_count)
        return;
    struct etcd_message done = {.type = ETCD_STORAGE_APPLY_RESP,
                                .from = ETCD_APPLY_THREAD,
                                .to = node->id,
                                .entries = copy_entries(ready->apply, ready->apply_count),
                                .entry_count = ready->apply_count};
    struct etcd_message work = {.type = ETCD_STORAGE_APPLY,
                                .from = node->id,
                                .to = ETCD_APPLY_THREAD,
                                .entries = copy_entries(ready->apply, ready->apply_count),
                                .entry_count = ready->apply_count,
                                .responses = mem_alloc(sizeof done),
                                .response_count = 1};
    work.responses[0] = done;
    messages_push(messages, work);
}

/* Synchronous writes: what waits for the write goes out with the rest, and what is for this node
 * itself is kept for the end of the Ready. */
static struct messages
split_responses(struct node *node, struct raft_ready *ready, struct messages *messages)
{
    struct messages own = {0}, responses = take_responses(ready);
    for (size_t i = 0; i < responses.count; i++)
        messages_push(responses.items[i].to == node->id ? &own : messages, responses.items[i]);
    responses.count = 0;
    messages_deinit(&responses);
    return own;
}

static void
advance(struct node *node, const struct raft_ready *ready, struct messages *own)
{
    struct text unused = {0};
    for (size_t i = 0; i < own->count; i++)
        node_step(node, own->items[i], &unused);
    own->count = 0;
    messages_deinit(own);
    if (ready->apply_count)
        raft_applied(node->raft, ready->apply[ready->apply_count - 1].index);
    text_deinit(&unused);
}

void
node_process_ready(struct world *world, struct node *node, struct text *out)
{
    struct raft_ready ready;
    struct messages messages = {0}, own = {0};
    raft_take_ready(node->raft, &ready);
    for (size_t i = 0; i < ready.message_count; i++)
        messages_push(&messages, etcd_message_of(&ready.messages[i]));
    if (node->async)
        hand_to_threads(node, &ready, &messages);
    else
        own = split_responses(node, &ready, &messages);
    describe_ready(node, &ready, &messages, out);

    if (!node->async) {
        write_storage(node, &ready.snapshot, ready.entries, ready.entry_count);
        apply(node, ready.apply, ready.apply_count);
    }
    for (size_t i = 0; i < messages.count; i++) {
        struct etcd_message *m = &messages.items[i];
        messages_push(m->to == ETCD_APPEND_THREAD  ? &node->append_work
                      : m->to == ETCD_APPLY_THREAD ? &node->apply_work
                                                   : &world->messages,
                      *m);
    }
    messages.count = 0;
    messages_deinit(&messages);
    if (!node->async)
        advance(node, &ready, &own);
    raft_ready_deinit(&ready);
}

/* The threads. */

static struct etcd_message
begin_work(struct messages *work, struct messages *out_responses, struct text *out)
{
    struct etcd_message message = messages_take(work, 0);
    *out_responses = (struct messages){.items = message.responses, .count = message.response_count};
    message.responses = NULL;
    message.response_count = 0;
    text_printf(out, "Processing:\n");
    describe_message(out, &message);
    text_printf(out, "\n");
    return message;
}

static void
end_work(struct world *world, struct etcd_message *message, struct messages *responses,
         struct text *out)
{
    text_printf(out, "Responses:\n");
    for (size_t i = 0; i < responses->count; i++) {
        describe_message(out, &responses->items[i]);
        text_printf(out, "\n");
        messages_push(&world->messages, responses->items[i]);
    }
    responses->count = 0;
    messages_deinit(responses);
    etcd_message_deinit(message);
}

void
node_process_append(struct world *world, struct node *node, struct text *out)
{
    if (node->append_work.count == 0) {
        text_printf(out, "no append work to perform");
        return;
    }
    struct messages responses;
    struct etcd_message message = begin_work(&node->append_work, &responses, out);
    write_storage(node, &message.snapshot, message.entries, message.entry_count);
    end_work(world, &message, &responses, out);
}

void
node_process_apply(struct world *world, struct node *node, struct text *out)
{
    if (node->apply_work.count == 0) {
        text_printf(out, "no apply work to perform");
        return;
    }
    struct messages responses;
    struct etcd_message message = begin_work(&node->apply_work, &responses, out);
    apply(node, message.entries, message.entry_count);
    end_work(world, &message, &responses, out);
}

void
node_step(struct node *node, struct etcd_message message, struct text *out)
{
    if (message.type == ETCD_STORAGE_APPLY_RESP) {
        raft_applied(node->raft, message.entries[message.entry_count - 1].index);
        etcd_message_deinit(&message);
        return;
    }
    bool proposal = message.core.type == RAFT_PROPOSE;
    if (proposal || message.core.type == RAFT_APPEND) {
        message.core.entries = message.entries;
        message.core.entry_count = message.entry_count;
        message.entries = NULL;
        message.entry_count = 0;
    }
    int rc = raft_step(node->raft, &message.core);
    if (rc == -SKEIN_ENOTFOUND)
        text_printf(out, "raft: cannot step as peer not found\n");
    else if (rc && proposal)
        text_printf(out, "raft proposal dropped\n");
    etcd_message_deinit(&message);
}
