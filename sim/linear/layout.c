/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

#define MAKERS_OF_READ_MAX 64
#define MAKER_OPEN UINT32_MAX

struct event {
    uint64_t seq;
    const struct op *op;
    uint32_t class;
    bool is_return;
};

static int
compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    /* skein_linear_call_behind: a call has the number of the event that it stands behind. */
    return (int)y->is_return - (int)x->is_return;
}

/* Equal for a model: as seen, not as called. */
static int
compare_effects(const struct op *x, const struct op *y)
{
    const uint32_t a[] = {x->kind, x->arg, x->arg2, x->has_observed, x->observed};
    const uint32_t b[] = {y->kind, y->arg, y->arg2, y->has_observed, y->observed};
    for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static int
compare_classes(const void *a, const void *b)
{
    const struct op *x = ((const struct event *)a)->op, *y = ((const struct event *)b)->op;
    int order = compare_effects(x, y);
    return order ? order : compare_events(a, b);
}

/* The copies of the operations that matter, and their events in order. Returns the events' count.
 */
static size_t
list_events(struct layout *layout, const struct op *ops, const size_t *indices, const uint8_t *uses,
            size_t count, struct event *events)
{
    size_t kept = 0, event_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct op op = ops[indices[i]];
        enum op_use use = uses ? (enum op_use)uses[i] : USE_AS_IS;
        if (use == USE_AS_UNKNOWN && op.end == OP_OK)
            op.end = OP_OPEN;
        if (op.end != OP_OK) {
            op.has_observed = false;
            op.observed = VALUE_ABSENT;
        }
        bool idle = op.end == OP_OPEN && op.kind == SKEIN_LINEAR_READ;
        if (use != USE_NOT && op.end != OP_FAILED && !idle)
            layout->ops[kept++] = op;
    }
    layout->op_count = kept;
    for (size_t i = 0; i < kept; i++)
        events[event_count++] =
            (struct event){.seq = layout->ops[i].call_seq, .op = &layout->ops[i]};
    qsort(events, event_count, sizeof(*events), compare_classes);
    for (size_t i = 1; i < event_count; i++)
        events[i].class =
            events[i - 1].class + (compare_effects(events[i].op, events[i - 1].op) != 0);
    for (size_t i = 0; i < kept; i++) {
        if (events[i].op->end != OP_OK)
            continue;
        events[event_count] = events[i];
        events[event_count].seq = events[i].op->return_seq;
        events[event_count++].is_return = true;
    }
    qsort(events, event_count, sizeof(*events), compare_events);
    return event_count;
}

static int
compare_open(const void *a, const void *b)
{
    const struct open_op *x = a, *y = b;
    return x->op->return_seq < y->op->return_seq ? -1 : x->op->return_seq > y->op->return_seq;
}

/* Who is open while the events go by. */
struct walk {
    struct open_op *now; /* at most as many as there are slots in use */
    size_t now_count, now_capacity;
    uint8_t *slots; /* whether one is in use */
    size_t slot_capacity;
    struct ret counts;    /* so far */
    struct maker *resets; /* called so far: what is neither a read, an observation nor an append */
    size_t reset_count;
    size_t *reset_of; /* by operation: its place there */
};

static bool
is_append(const struct layout *layout, const struct op *op)
{
    return !layout->model->step && op->kind == SKEIN_LINEAR_APPEND;
}

static void
on_call(struct layout *layout, struct walk *walk, const struct value_set *values,
        const struct event *event)
{
    const struct op *op = event->op;
    bool observes = model_observes(layout->model, values, op);
    struct maker *reset = NULL;
    walk->counts.appends_called += is_append(layout, op);
    if (!layout->model->step && !observes && !is_append(layout, op)) {
        walk->reset_of[op - layout->ops] = walk->reset_count;
        reset = &walk->resets[walk->reset_count++];
        *reset = (struct maker){.op = op, .return_at = MAKER_OPEN};
    }
    if (op->end == OP_OPEN) {
        struct unknown_op *unknown = &layout->unknown[layout->unknown_count++];
        *unknown = (struct unknown_op){.op = op, .class = event->class};
        if (reset)
            reset->at = (uint32_t)(layout->unknown_count - 1);
        for (size_t i = layout->unknown_count - 1; i > 0 && !unknown->equal_before; i--)
            if (layout->unknown[i - 1].class == event->class)
                unknown->equal_before = (uint32_t)i;
        walk->counts.unknown_count++;
        return;
    }
    uint32_t slot = 0;
    while (slot < layout->slot_count && walk->slots[slot])
        slot++;
    if (slot == layout->slot_count) {
        mem_grow(&walk->slots, &walk->slot_capacity, layout->slot_count, 1);
        layout->slot_count++;
    }
    walk->slots[slot] = 1;
    mem_grow(&walk->now, &walk->now_capacity, walk->now_count, sizeof(struct open_op));
    walk->now[walk->now_count++] = (struct open_op){op, slot, event->class, observes};
    if (reset)
        reset->at = slot;
}

static void
on_return(struct layout *layout, struct walk *walk, const struct event *event)
{
    skein_assert(walk->now_count > 0); /* the one that returns is open */
    qsort(walk->now, walk->now_count, sizeof(struct open_op), compare_open);
    skein_assert(walk->now[0].op == event->op);
    uint32_t ret_index = (uint32_t)layout->ret_count++;
    struct ret *ret = &layout->rets[ret_index];
    *ret = walk->counts;
    ret->open_at = (uint32_t)layout->open_count;
    ret->open_count = (uint32_t)walk->now_count;
    for (size_t i = 0; i < walk->now_count; i++) {
        mem_grow(&layout->open, &layout->open_capacity, layout->open_count, sizeof(struct open_op));
        layout->open[layout->open_count++] = walk->now[i];
    }
    walk->slots[walk->now[0].slot] = 0;
    if (walk->reset_of[event->op - layout->ops] != SIZE_MAX)
        walk->resets[walk->reset_of[event->op - layout->ops]].return_at = ret_index;
    walk->counts.appends_returned += is_append(layout, event->op);
    walk->now_count--;
    memmove(walk->now, walk->now + 1, walk->now_count * sizeof(struct open_op));
}

static bool
begins_with(const struct value_set *values, uint32_t whole, uint32_t start)
{
    const struct value *a = &values->values[whole], *b = &values->values[start];
    return b->count <= a->count && (b->count == 0 || memcmp(a->data, b->data, b->count) == 0);
}

/* Whether @op can lead to @seen, with appends behind it if there are any. */
static bool
can_make(const struct value_set *values, const struct op *op, uint32_t seen, bool appends)
{
    if (op->kind == SKEIN_LINEAR_ADD)
        return true;
    if (op->kind == SKEIN_LINEAR_DELETE)
        return seen == VALUE_ABSENT || appends;
    if (!appends || seen == VALUE_ABSENT)
        return op->arg == seen;
    return begins_with(values, seen, op->arg);
}

/* For each read, what was called before its return and can lead to what it saw. */
static void
note_reads(struct layout *layout, const struct walk *walk, const struct value_set *values)
{
    uint32_t next_read = (uint32_t)layout->ret_count;
    bool appends = walk->counts.appends_called > 0;
    for (size_t i = layout->ret_count; i > 0; i--) {
        struct ret *ret = &layout->rets[i - 1];
        const struct op *op = layout->open[ret->open_at].op;
        bool tells = !layout->model->step && op->kind == SKEIN_LINEAR_READ && op->has_observed;
        next_read = tells ? (uint32_t)i - 1 : next_read;
        ret->next_read = next_read;
        ret->makers_at = (uint32_t)layout->maker_count;
        for (size_t r = 0; tells && r < walk->reset_count; r++) {
            const struct maker *reset = &walk->resets[r];
            if (reset->op->call_seq > op->return_seq)
                break;
            if (!can_make(values, reset->op, op->observed, appends))
                continue;
            if (ret->makers_count == MAKERS_OF_READ_MAX) {
                layout->maker_count = ret->makers_at;
                ret->makers_count = MAKERS_MANY;
                break;
            }
            mem_grow(&layout->makers, &layout->maker_capacity, layout->maker_count,
                     sizeof(struct maker));
            layout->makers[layout->maker_count++] = *reset;
            ret->makers_count++;
        }
    }
}

void
layout_init(struct layout *layout, const struct skein_linear_model *model,
            const struct value_set *values, const struct op *ops, const size_t *indices,
            const uint8_t *uses, size_t count)
{
    struct event *events = mem_alloc(2 * count * sizeof(*events));
    *layout = (struct layout){.model = model};
    layout->ops = mem_alloc(count * sizeof(struct op));
    struct walk walk = {.resets = mem_alloc(count * sizeof(struct maker)),
                        .reset_of = mem_alloc(count * sizeof(size_t))};
    memset(walk.reset_of, 0xff, count * sizeof(size_t));
    layout->rets = mem_alloc(count * sizeof(struct ret));
    layout->unknown = mem_alloc(count * sizeof(struct unknown_op));
    size_t event_count = list_events(layout, ops, indices, uses, count, events);
    for (size_t e = 0; e < event_count; e++) {
        if (events[e].is_return)
            on_return(layout, &walk, &events[e]);
        else
            on_call(layout, &walk, values, &events[e]);
    }
    note_reads(layout, &walk, values);
    mem_free(walk.now);
    mem_free(walk.slots);
    mem_free(walk.resets);
    mem_free(walk.reset_of);
    mem_free(events);
    layout->bytes = count * (sizeof(struct op) + sizeof(struct ret) + sizeof(struct unknown_op)) +
                    layout->open_capacity * sizeof(struct open_op) +
                    layout->maker_capacity * sizeof(struct maker);
}

void
layout_deinit(struct layout *layout)
{
    mem_free(layout->ops);
    mem_free(layout->rets);
    mem_free(layout->open);
    mem_free(layout->unknown);
    mem_free(layout->makers);
    *layout = (struct layout){0};
}
