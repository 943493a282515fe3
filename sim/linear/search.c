/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search of one key: depth first over configurations.
 *
 *   configuration = which return event comes next
 *                 | the open finished operations that were carried out already (a bit each)
 *                 | the operations of unknown outcome that were spent (a bit each)
 *                 | the state
 *
 * At a return event whose operation is not carried out yet, the choices are: that one; another open
 * one; one of unknown outcome that changes the state. Configurations that were tried are remembered
 * by (event, bits, state) with the sets of spent unknowns, of which only the smallest matter.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

#define SLOT_MAX 64

/* A return of an operation, and who is open at that moment. */
struct ret {
    const struct op *op;
    uint32_t slot;
    uint32_t open_at, open_count; /* into search.open */
    uint32_t unknown_count;       /* unknown operations called before: a prefix of search.unknown */
};

struct open_op {
    const struct op *op;
    uint32_t slot;
};

struct config {
    uint32_t ret;
    uint32_t state;
    uint64_t done;
};

struct frame {
    struct config config;
    uint32_t choice;
    uint64_t *spent; /* words */
};

struct memory {
    struct config config;
    uint32_t next; /* in the chain of equal configurations; 0: none */
    uint64_t spent[];
};

struct search {
    struct value_set *values;
    struct search_budget *budget;
    struct ret *rets;
    size_t ret_count;
    struct open_op *open;
    size_t open_count, open_capacity;
    const struct op **unknown;
    size_t unknown_count;
    size_t words;

    struct frame *frames;
    size_t frame_count, frame_capacity;

    uint8_t *memories; /* records of memory_bytes each; number 0 is not used */
    size_t memory_bytes, memory_count, memory_capacity;
    uint32_t *slots;
    size_t slot_count;

    uint32_t furthest;
    bool exhausted;
};

struct event {
    uint64_t seq;
    const struct op *op;
    bool is_return;
};

static int
compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool
matters(const struct op *op)
{
    return op->end == OP_OK || (op->end == OP_OPEN && op->kind != LINEAR_READ);
}

/* Lays out the return events with who is open at each. False: more than SLOT_MAX at once. */
static bool
prepare(struct search *s, const struct op *ops, const size_t *indices, size_t count)
{
    struct event *events = mem_alloc(2 * count * sizeof(*events));
    size_t event_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct op *op = &ops[indices[i]];
        if (!matters(op))
            continue;
        events[event_count++] = (struct event){op->call_seq, op, false};
        if (op->end == OP_OK)
            events[event_count++] = (struct event){op->return_seq, op, true};
    }
    qsort(events, event_count, sizeof(*events), compare_events);
    s->rets = mem_alloc(count * sizeof(*s->rets));
    s->unknown = mem_alloc(count * sizeof(*s->unknown));
    const struct op *slots[SLOT_MAX] = {0};
    bool fits = true;
    for (size_t e = 0; e < event_count && fits; e++) {
        const struct op *op = events[e].op;
        uint32_t slot = 0;
        if (!events[e].is_return && op->end == OP_OPEN) {
            s->unknown[s->unknown_count++] = op;
        } else if (!events[e].is_return) {
            while (slot < SLOT_MAX && slots[slot])
                slot++;
            fits = slot < SLOT_MAX;
            if (fits)
                slots[slot] = op;
        } else {
            struct ret *ret = &s->rets[s->ret_count++];
            *ret = (struct ret){.op = op,
                                .open_at = (uint32_t)s->open_count,
                                .unknown_count = (uint32_t)s->unknown_count};
            for (uint32_t i = 0; i < SLOT_MAX; i++) {
                if (!slots[i])
                    continue;
                mem_grow(&s->open, &s->open_capacity, s->open_count, sizeof(struct open_op));
                s->open[s->open_count++] = (struct open_op){slots[i], i};
                ret->open_count++;
                if (slots[i] == op)
                    slot = i;
            }
            ret->slot = slot;
            slots[slot] = NULL;
        }
    }
    mem_free(events);
    s->words = (s->unknown_count + 63) / 64;
    s->memory_bytes = sizeof(struct memory) + s->words * sizeof(uint64_t);
    return fits;
}

static uint64_t
hash_config(const struct config *config)
{
    uint64_t hash = config->done * 0x9e3779b97f4a7c15ull;
    hash ^= ((uint64_t)config->ret << 32 | config->state) * 0xbf58476d1ce4e5b9ull;
    return hash ^ hash >> 29;
}

static struct memory *
memory_at(struct search *s, uint32_t number)
{
    return (struct memory *)(void *)(s->memories + number * s->memory_bytes);
}

static bool
same_config(const struct config *a, const struct config *b)
{
    return a->ret == b->ret && a->state == b->state && a->done == b->done;
}

static bool
is_subset(const uint64_t *small, const uint64_t *large, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (small[i] & ~large[i])
            return false;
    return true;
}

static void
grow_memories(struct search *s)
{
    size_t wanted = s->memory_capacity ? s->memory_capacity * 2 : 1024;
    uint64_t more = (wanted - s->memory_capacity) * (s->memory_bytes + 2 * sizeof(uint32_t));
    if (more > s->budget->bytes_left) {
        s->exhausted = true;
        return;
    }
    s->budget->bytes_left -= more;
    s->memories = mem_realloc(s->memories, wanted * s->memory_bytes);
    s->memory_capacity = wanted;
    mem_free(s->slots);
    s->slot_count = wanted * 2;
    s->slots = mem_zalloc(s->slot_count * sizeof(uint32_t));
    for (uint32_t i = 1; i < s->memory_count; i++) {
        struct memory *it = memory_at(s, i);
        uint32_t *slot = &s->slots[hash_config(&it->config) & (s->slot_count - 1)];
        it->next = *slot;
        *slot = i;
    }
}

/* Whether a configuration at least as good was tried; if not, this one is remembered. */
static bool
tried(struct search *s, const struct config *config, const uint64_t *spent)
{
    if (s->memory_count == 0)
        s->memory_count = 1;
    if (s->memory_count >= s->memory_capacity)
        grow_memories(s);
    if (s->exhausted)
        return true;
    uint32_t *slot = &s->slots[hash_config(config) & (s->slot_count - 1)];
    for (uint32_t at = *slot; at; at = memory_at(s, at)->next)
        if (same_config(&memory_at(s, at)->config, config) &&
            is_subset(memory_at(s, at)->spent, spent, s->words))
            return true;
    struct memory *it = memory_at(s, (uint32_t)s->memory_count);
    it->config = *config;
    it->next = *slot;
    memcpy(it->spent, spent, s->words * sizeof(uint64_t));
    *slot = (uint32_t)s->memory_count++;
    return false;
}

/* An operation that can only observe: to do it where it fits is never worse than to do it later. (A
 * write of the value that is there already is none: it may be needed behind another write.) */
static bool
only_observes(const struct value_set *values, const struct op *op)
{
    const struct value *observed = &values->values[op->observed];
    bool zero = op->has_observed && observed->count == 1 && observed->data[0] == '0';
    switch (op->kind) {
    case LINEAR_READ:
        return true;
    case LINEAR_CAS:
    case LINEAR_DELETE:
        return zero;
    case LINEAR_WRITE_NEW:
        return op->has_observed && op->observed != VALUE_ABSENT;
    case LINEAR_WRITE_OLD:
        return op->has_observed && op->observed == VALUE_ABSENT;
    case LINEAR_WRITE:
    case LINEAR_APPEND:
    case LINEAR_ADD:
    case LINEAR_KIND_COUNT:
        break;
    }
    return false;
}

/* Carries out at once every open operation that fits and only observes. */
static void
settle(struct search *s, struct config *config)
{
    const struct ret *ret = &s->rets[config->ret];
    for (uint32_t i = 0; i < ret->open_count; i++) {
        const struct open_op *open = &s->open[ret->open_at + i];
        uint32_t after;
        if (!(config->done >> open->slot & 1) && only_observes(s->values, open->op) &&
            model_step(s->values, open->op, config->state, &after))
            config->done |= 1ull << open->slot;
    }
}

/* Passes every return whose operation is carried out; pushes a frame where a choice is to be made.
 * True: the end was reached. */
static bool
enter(struct search *s, struct config config, const uint64_t *spent)
{
    for (;;) {
        if (config.ret == s->ret_count)
            return true;
        settle(s, &config);
        if (!(config.done >> s->rets[config.ret].slot & 1))
            break;
        config.done &= ~(1ull << s->rets[config.ret].slot);
        config.ret++;
    }
    if (config.ret > s->furthest)
        s->furthest = config.ret;
    if (s->budget->steps_left == 0)
        s->exhausted = true;
    else
        s->budget->steps_left--;
    if (s->exhausted || tried(s, &config, spent))
        return false;
    mem_grow(&s->frames, &s->frame_capacity, s->frame_count, sizeof(struct frame));
    struct frame *frame = &s->frames[s->frame_count++];
    *frame = (struct frame){.config = config, .spent = mem_alloc(s->words * sizeof(uint64_t))};
    memcpy(frame->spent, spent, s->words * sizeof(uint64_t));
    return false;
}

/* The next choice of the topmost frame. False: none is left. */
static bool
next_choice(struct search *s, struct frame *frame, struct config *out_config, uint64_t *out_spent)
{
    const struct ret *ret = &s->rets[frame->config.ret];
    uint32_t total = 1 + ret->open_count + ret->unknown_count;
    while (frame->choice < total) {
        uint32_t choice = frame->choice++;
        struct config config = frame->config;
        memcpy(out_spent, frame->spent, s->words * sizeof(uint64_t));
        if (choice <= ret->open_count) {
            const struct op *op = choice ? s->open[ret->open_at + choice - 1].op : ret->op;
            uint32_t slot = choice ? s->open[ret->open_at + choice - 1].slot : ret->slot;
            if ((choice && op == ret->op) || config.done >> slot & 1 ||
                !model_step(s->values, op, config.state, &config.state))
                continue;
            config.done |= 1ull << slot;
        } else {
            uint32_t u = choice - ret->open_count - 1;
            if (frame->spent[u / 64] >> (u % 64) & 1 ||
                !model_step(s->values, s->unknown[u], config.state, &config.state) ||
                config.state == frame->config.state)
                continue;
            out_spent[u / 64] |= 1ull << (u % 64);
        }
        *out_config = config;
        return true;
    }
    return false;
}

static void
print_value(FILE *report, const struct value_set *values, uint32_t id)
{
    const struct value *value = &values->values[id];
    if (id == VALUE_ABSENT) {
        fputs("(absent)", report);
        return;
    }
    fputc('"', report);
    size_t shown = value->count < 120 ? value->count : 120;
    for (size_t i = value->count - shown; i < value->count; i++)
        if (value->data[i] >= 0x20 && value->data[i] < 0x7f)
            fputc(value->data[i], report);
        else
            fprintf(report, "\\x%02x", value->data[i]);
    fputc('"', report);
}

static void
print_op(FILE *report, const struct value_set *values, const struct op *op, const char *note)
{
    fprintf(report, "  %12.6f s  client %-3" PRIu32 " %-9s", (double)op->call_ns / 1e9, op->process,
            linear_kind_name(op->kind));
    if (op->kind != LINEAR_READ && op->kind != LINEAR_DELETE) {
        fputc(' ', report);
        print_value(report, values, op->arg);
    }
    if (op->kind == LINEAR_CAS) {
        fputs(" if ", report);
        print_value(report, values, op->arg2);
    }
    if (op->end == OP_OK && op->has_observed) {
        fputs(" -> ", report);
        print_value(report, values, op->observed);
    }
    if (op->end == OP_OK)
        fprintf(report, "  (until %.6f s)", (double)op->return_ns / 1e9);
    else
        fputs("  (outcome unknown)", report);
    fprintf(report, "%s\n", note);
}

static void
explain(struct search *s, FILE *report)
{
    const struct ret *ret = &s->rets[s->furthest];
    fputs("not linearizable: key ", report);
    print_value(report, s->values, ret->op->key);
    fputs("; no order explains this operation after the ones before it:\n", report);
    size_t from = s->furthest > 8 ? s->furthest - 8 : 0;
    for (size_t i = from; i < s->furthest; i++)
        print_op(report, s->values, s->rets[i].op, "");
    print_op(report, s->values, ret->op, "   <== fits nowhere");
    fputs(" open at that moment:\n", report);
    for (uint32_t i = 0; i < ret->open_count; i++)
        if (s->open[ret->open_at + i].op != ret->op)
            print_op(report, s->values, s->open[ret->open_at + i].op, "");
    for (uint32_t i = 0; i < ret->unknown_count; i++)
        print_op(report, s->values, s->unknown[i], "");
}

static enum linear_verdict
run(struct search *s)
{
    uint64_t *spent = mem_zalloc((s->words ? s->words : 1) * sizeof(uint64_t));
    struct config config = {.state = VALUE_ABSENT};
    bool found = enter(s, config, spent);
    while (!found && s->frame_count && !s->exhausted) {
        struct frame *frame = &s->frames[s->frame_count - 1];
        if (next_choice(s, frame, &config, spent))
            found = enter(s, config, spent);
        else
            mem_free(s->frames[--s->frame_count].spent);
    }
    mem_free(spent);
    return found ? LINEAR_OK : s->exhausted ? LINEAR_UNDECIDED : LINEAR_VIOLATION;
}

enum linear_verdict
search_key(struct value_set *values, const struct op *ops, const size_t *indices, size_t count,
           struct search_budget *budget, FILE *report)
{
    struct search s = {.values = values, .budget = budget};
    enum linear_verdict verdict = prepare(&s, ops, indices, count) ? run(&s) : LINEAR_UNDECIDED;
    if (verdict == LINEAR_VIOLATION && report)
        explain(&s, report);
    if (verdict == LINEAR_UNDECIDED && report)
        fprintf(report, "undecided: %s\n",
                s.exhausted ? "the limit of steps or memory was reached"
                            : "more than 64 operations of one key were open at once");
    budget->bytes_left += s.memory_capacity * (s.memory_bytes + 2 * sizeof(uint32_t));
    while (s.frame_count)
        mem_free(s.frames[--s.frame_count].spent);
    mem_free(s.frames);
    mem_free(s.memories);
    mem_free(s.slots);
    mem_free(s.rets);
    mem_free(s.open);
    mem_free(s.unknown);
    return verdict;
}
