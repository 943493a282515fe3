/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_raft/interaction.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

void
messages_push(struct messages *list, struct etcd_message message)
{
    mem_grow(&list->items, &list->capacity, list->count, sizeof *list->items);
    list->items[list->count++] = message;
}

struct etcd_message
messages_take(struct messages *list, size_t at)
{
    struct etcd_message message = list->items[at];
    list->count--;
    memmove(list->items + at, list->items + at + 1, (list->count - at) * sizeof message);
    return message;
}

void
messages_deinit(struct messages *list)
{
    for (size_t i = 0; i < list->count; i++)
        etcd_message_deinit(&list->items[i]);
    mem_free(list->items);
    *list = (struct messages){0};
}

void
text_indented(struct text *out, const struct text *block)
{
    for (const char *at = text_str(block); *at;) {
        size_t count = strcspn(at, "\n");
        text_printf(out, "  %.*s\n", (int)count, at);
        at += count + (at[count] != 0);
    }
}

/* Between a node and its own threads nothing gets lost. */
static bool
is_local(const struct etcd_message *m)
{
    return m->from == m->to || m->from >= ETCD_APPLY_THREAD || m->to >= ETCD_APPLY_THREAD;
}

static bool
is_wanted(const struct etcd_message *m, uint64_t to, enum etcd_type type, bool drop)
{
    return m->to == to && !(drop && is_local(m)) && (type == ETCD_TYPE_END || m->type == type);
}

/* What is sent while these are delivered is not delivered with them: it needs a Ready first. */
size_t
net_deliver(struct world *world, uint64_t to, enum etcd_type type, bool drop, struct text *out)
{
    size_t delivered = 0;
    for (size_t i = 0; i < world->messages.count;) {
        if (!is_wanted(&world->messages.items[i], to, type, drop)) {
            i++;
            continue;
        }
        struct etcd_message message = messages_take(&world->messages, i);
        delivered++;
        if (drop)
            text_printf(out, "dropped: ");
        describe_message(out, &message);
        text_printf(out, "\n");
        if (drop || to > world->node_count)
            etcd_message_deinit(&message);
        else
            node_step(world->nodes[to - 1], message, out);
    }
    return delivered;
}

static bool
stabilize_readies(struct world *world, const uint32_t *indices, uint32_t count, struct text *out)
{
    bool busy = false;
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = world->nodes[indices[i]];
        if (!raft_has_ready(node->raft))
            continue;
        struct text block = {0};
        text_printf(out, "> %" PRIu64 " handling Ready\n", node->id);
        node_process_ready(world, node, &block);
        text_indented(out, &block);
        text_deinit(&block);
        busy = true;
    }
    return busy;
}

static bool
stabilize_messages(struct world *world, const uint32_t *indices, uint32_t count, struct text *out)
{
    bool busy = false;
    for (uint32_t i = 0; i < count; i++) {
        struct text block = {0};
        uint64_t id = world->nodes[indices[i]]->id;
        if (net_deliver(world, id, ETCD_TYPE_END, false, &block) > 0) {
            text_printf(out, "> %" PRIu64 " receiving messages\n", id);
            text_indented(out, &block);
            busy = true;
        }
        text_deinit(&block);
    }
    return busy;
}

static bool
stabilize_threads(struct world *world, const uint32_t *indices, uint32_t count, bool apply,
                  struct text *out)
{
    bool busy = false;
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = world->nodes[indices[i]];
        struct messages *work = apply ? &node->apply_work : &node->append_work;
        if (work->count == 0)
            continue;
        text_printf(out, "> %" PRIu64 " processing %s thread\n", node->id,
                    apply ? "apply" : "append");
        while (work->count > 0) {
            struct text block = {0};
            if (apply)
                node_process_apply(world, node, &block);
            else
                node_process_append(world, node, &block);
            text_indented(out, &block);
            text_deinit(&block);
        }
        busy = true;
    }
    return busy;
}

void
net_stabilize(struct world *world, const uint32_t *indices, uint32_t count, struct text *out)
{
    bool busy = true;
    while (busy) {
        busy = stabilize_readies(world, indices, count, out);
        busy |= stabilize_messages(world, indices, count, out);
        busy |= stabilize_threads(world, indices, count, false, out);
        busy |= stabilize_threads(world, indices, count, true, out);
    }
}
