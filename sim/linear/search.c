/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search of one key: depth first over configurations.
 *
 *   configuration = which return event comes next
 *                 | the state
 *                 | the open finished operations that were carried out already (a bit each)
 *                 | the operations of unknown outcome that were spent (a bit each)
 *
 * An operation is given its instant as late as possible: at its own return, or before another one
 * that needs it. At a return whose operation is not carried out yet, the choices are: that one;
 * another open one; one of unknown outcome that changes the state. What cuts the search:
 *
 *   - what only observes is done where it fits, for it changes nothing
 *   - configurations that were tried are remembered; of two that differ only in the unknowns spent
 *     the one with fewer is at least as good
 *   - of equal operations the one that returns first goes first, and an unknown one last: whatever
 *     a solution does with two of them, it can do with them exchanged
 *   - what a read saw must be what is there, grown by appends, or be put there by something that is
 *     still to be carried out: the next few reads are looked at
 *   - states that no read will see are one (interest.c), and an unknown write waits for its read
 */
#include <string.h>

#include "sim/linear/internal.h"

#define ASK_EVERY 4096
#define READS_AHEAD_MAX 16

struct config {
    uint32_t ret;
    uint32_t state;
    uint64_t *bits; /* done_words of slots, then spent_words of unknowns */
};

struct frame {
    uint32_t ret, state;
    uint32_t choice;
};

struct memory {
    uint32_t ret, state;
    uint32_t next; /* in the chain of its hash; 0: none */
    uint32_t reserved;
    uint64_t bits[];
};

struct search {
    struct value_set *values;
    const struct layout *layout;
    struct budget *budget;
    uint64_t base_bytes;
    size_t done_words, spent_words, words;

    struct frame *frames;
    uint64_t *frame_bits; /* words for each frame */
    size_t frame_count, frame_capacity;

    uint8_t *memories; /* records of memory_bytes each; number 0 is not used */
    size_t memory_bytes, memory_count, memory_capacity;
    uint32_t *slots;
    size_t slot_count;

    struct interest interest;
    uint32_t furthest;
    bool exhausted;
};

static bool
bit_is_set(const uint64_t *bits, uint32_t bit)
{
    return bits[bit / 64] >> (bit % 64) & 1;
}

static void
bit_set(uint64_t *bits, uint32_t bit)
{
    bits[bit / 64] |= 1ull << (bit % 64);
}

static uint64_t *
spent_of(const struct search *s, uint64_t *bits)
{
    return bits + s->done_words;
}

static uint64_t
hash_of(const struct search *s, uint32_t ret, uint32_t state, const uint64_t *bits)
{
    uint64_t hash = ((uint64_t)ret << 32 | state) * 0xbf58476d1ce4e5b9ull;
    for (size_t i = 0; i < s->done_words; i++) {
        hash = (hash ^ bits[i]) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 31;
    }
    return hash ^ hash >> 29;
}

static struct memory *
memory_at(const struct search *s, uint32_t number)
{
    return (struct memory *)(void *)(s->memories + number * s->memory_bytes);
}

static bool
is_subset(const uint64_t *small, const uint64_t *large, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (small[i] & ~large[i])
            return false;
    return true;
}

static uint64_t
used_bytes(const struct search *s, size_t memory_capacity)
{
    return s->base_bytes + s->values->bytes + s->layout->bytes +
           memory_capacity * (s->memory_bytes + 2 * sizeof(uint32_t)) +
           s->frame_capacity * (sizeof(struct frame) + s->words * sizeof(uint64_t));
}

static void
give_up(struct search *s, const char *why)
{
    s->exhausted = true;
    s->budget->why = why;
}

/* Growing holds the old and the new for a moment. */
static bool
grow_memories(struct search *s)
{
    size_t wanted = s->memory_capacity ? s->memory_capacity * 2 : 1024;
    uint64_t bytes = used_bytes(s, wanted + s->memory_capacity);
    if (bytes > s->budget->bytes_max || wanted > UINT32_MAX / 2) {
        give_up(s, "the limit of memory was reached");
        return false;
    }
    s->memories = mem_realloc(s->memories, wanted * s->memory_bytes);
    s->memory_capacity = wanted;
    mem_free(s->slots);
    s->slot_count = wanted * 2;
    s->slots = mem_zalloc(s->slot_count * sizeof(uint32_t));
    for (uint32_t i = 1; i < s->memory_count; i++) {
        struct memory *it = memory_at(s, i);
        uint64_t hash = hash_of(s, it->ret, it->state, it->bits);
        it->next = s->slots[hash & (s->slot_count - 1)];
        s->slots[hash & (s->slot_count - 1)] = i;
    }
    return true;
}

static void
count_step(struct search *s)
{
    struct budget *budget = s->budget;
    budget->steps++;
    if (budget->steps_left == 0)
        give_up(s, "the limit of steps was reached");
    else
        budget->steps_left--;
    if (budget->steps % ASK_EVERY != 0)
        return;
    uint64_t bytes = used_bytes(s, s->memory_capacity);
    if (bytes > budget->bytes_used_max)
        budget->bytes_used_max = bytes;
    if (bytes > budget->bytes_max)
        give_up(s, "the limit of memory was reached");
    if (budget->stop && budget->stop(budget->owner))
        give_up(s, "the time was up");
}

/* Whether a configuration at least as good was tried; if not, this one is remembered. */
static bool
tried(struct search *s, const struct config *config)
{
    if (s->memory_count >= s->memory_capacity && !grow_memories(s))
        return true;
    uint32_t *slot =
        &s->slots[hash_of(s, config->ret, config->state, config->bits) & (s->slot_count - 1)];
    size_t walked = 0;
    for (uint32_t at = *slot; at; at = memory_at(s, at)->next) {
        const struct memory *it = memory_at(s, at);
        if (++walked % 64 == 0)
            count_step(s);
        if (it->ret == config->ret && it->state == config->state &&
            memcmp(it->bits, config->bits, s->done_words * sizeof(uint64_t)) == 0 &&
            is_subset(it->bits + s->done_words, config->bits + s->done_words, s->spent_words))
            return true;
    }
    struct memory *it = memory_at(s, (uint32_t)s->memory_count);
    *it = (struct memory){.ret = config->ret, .state = config->state, .next = *slot};
    memcpy(it->bits, config->bits, s->words * sizeof(uint64_t));
    *slot = (uint32_t)s->memory_count++;
    return false;
}

/* What no read to come has seen, done at no cost: the state is lost, or about to be. */
static void
settle_unseen(struct search *s, struct config *config)
{
    const struct ret *ret = &s->layout->rets[config->ret];
    for (uint32_t i = 0; s->interest.active && i < ret->open_count; i++) {
        const struct open_op *open = &s->layout->open[ret->open_at + i];
        bool unseen = open->observes ? !open->op->has_observed
                                     : !interest_of_op(&s->interest, open->op, config->ret);
        if (unseen)
            bit_set(config->bits, open->slot);
    }
}

/* Carries out at once every open operation that fits and only observes. */
static void
settle(struct search *s, struct config *config)
{
    const struct layout *layout = s->layout;
    const struct ret *ret = &layout->rets[config->ret];
    if (config->state != STATE_LOST && !interest_of_state(&s->interest, config->state, config->ret))
        config->state = STATE_LOST;
    if (config->state == STATE_LOST) {
        settle_unseen(s, config);
        return;
    }
    for (uint32_t i = 0; i < ret->open_count; i++) {
        const struct open_op *open = &layout->open[ret->open_at + i];
        uint32_t after;
        if (open->observes && !bit_is_set(config->bits, open->slot) &&
            model_step(layout->model, s->values, open->op, config->state, &after))
            bit_set(config->bits, open->slot);
    }
}

/* The state after @op, from a lost one, too. */
static bool
step(struct search *s, const struct op *op, uint32_t state, uint32_t *out_state)
{
    if (state != STATE_LOST)
        return model_step(s->layout->model, s->values, op, state, out_state);
    *out_state = op->kind == SKEIN_LINEAR_WRITE ? op->arg : STATE_LOST;
    return op->kind != SKEIN_LINEAR_READ || !op->has_observed;
}

/* An append that a read to come has seen, and that would be lost although no equal one is left. */
static bool
would_waste(struct search *s, const struct open_op *open, const struct config *after)
{
    return s->interest.framed && open->op->kind == SKEIN_LINEAR_APPEND &&
           s->interest.arg_counts[open->op->arg] == 1 &&
           (after->state == STATE_LOST ||
            !interest_of_state(&s->interest, after->state, after->ret)) &&
           interest_of_op(&s->interest, open->op, after->ret);
}

static bool
begins_with(const struct value *whole, const struct value *start)
{
    return start->count <= whole->count &&
           (start->count == 0 || memcmp(whole->data, start->data, start->count) == 0);
}

/* Whether something that leads to what the read saw can still be carried out. */
static bool
has_maker(const struct search *s, const struct config *config, const struct ret *read)
{
    const struct layout *layout = s->layout;
    uint64_t now_seq = layout->open[layout->rets[config->ret].open_at].op->return_seq;
    if (read->makers_count == MAKERS_MANY)
        return true;
    for (uint32_t i = 0; i < read->makers_count; i++) {
        const struct maker *maker = &layout->makers[read->makers_at + i];
        if (maker->op->end == OP_OPEN) {
            if (!bit_is_set(config->bits + s->done_words, maker->at))
                return true;
        } else if (maker->return_at >= config->ret &&
                   !(maker->op->call_seq < now_seq && bit_is_set(config->bits, maker->at))) {
            return true;
        }
    }
    return false;
}

static bool
can_become(const struct search *s, const struct config *config, const struct ret *then,
           uint32_t seen)
{
    const struct ret *ret = &s->layout->rets[config->ret];
    if (config->state == seen)
        return true;
    bool grows = then->appends_called > ret->appends_returned;
    return grows && seen != VALUE_ABSENT && config->state != STATE_LOST &&
           begins_with(&s->values->values[seen], &s->values->values[config->state]);
}

/* Whether one of the next reads that are not carried out yet cannot come to see what it saw. */
static bool
is_hopeless(struct search *s, const struct config *config)
{
    const struct layout *layout = s->layout;
    const struct ret *ret = &layout->rets[config->ret];
    uint64_t now_seq = layout->open[ret->open_at].op->return_seq;
    uint32_t at = ret->next_read;
    for (int looked = 0; at < layout->ret_count && looked < READS_AHEAD_MAX; looked++) {
        const struct ret *then = &layout->rets[at];
        const struct open_op *read = &layout->open[then->open_at];
        bool is_done = read->op->call_seq < now_seq && bit_is_set(config->bits, read->slot);
        if (!is_done && !can_become(s, config, then, read->op->observed) &&
            !has_maker(s, config, then)) {
            s->furthest = at > s->furthest ? at : s->furthest;
            return true;
        }
        at = at + 1 < layout->ret_count ? layout->rets[at + 1].next_read
                                        : (uint32_t)layout->ret_count;
    }
    return false;
}

static void
push(struct search *s, const struct config *config)
{
    size_t capacity = s->frame_capacity;
    mem_grow(&s->frames, &s->frame_capacity, s->frame_count, sizeof(struct frame));
    if (s->frame_capacity != capacity)
        s->frame_bits = mem_realloc(s->frame_bits, s->frame_capacity * s->words * sizeof(uint64_t));
    s->frames[s->frame_count] = (struct frame){.ret = config->ret, .state = config->state};
    memcpy(s->frame_bits + s->frame_count * s->words, config->bits, s->words * sizeof(uint64_t));
    s->frame_count++;
}

/* Passes every return whose operation is carried out; pushes a frame where a choice is to be made.
 * True: the end was reached. */
static bool
enter(struct search *s, struct config *config)
{
    const struct layout *layout = s->layout;
    for (;;) {
        if (config->ret == layout->ret_count)
            return true;
        settle(s, config);
        uint32_t slot = layout->open[layout->rets[config->ret].open_at].slot;
        if (!bit_is_set(config->bits, slot))
            break;
        config->bits[slot / 64] &= ~(1ull << (slot % 64));
        config->ret++;
    }
    if (config->ret > s->furthest)
        s->furthest = config->ret;
    count_step(s);
    if (s->exhausted || is_hopeless(s, config) || tried(s, config))
        return false;
    push(s, config);
    return false;
}

/* Whether an equal operation that returns earlier is there to be taken instead. */
static bool
has_better(const struct search *s, const struct ret *ret, const uint64_t *bits, uint32_t open_count,
           uint32_t class)
{
    for (uint32_t i = 0; i < open_count; i++) {
        const struct open_op *open = &s->layout->open[ret->open_at + i];
        if (open->class == class && !bit_is_set(bits, open->slot))
            return true;
    }
    return false;
}

static bool
choose_open(struct search *s, const struct ret *ret, uint32_t i, struct config *config)
{
    const struct open_op *open = &s->layout->open[ret->open_at + i];
    if (bit_is_set(config->bits, open->slot) || (open->observes && i > 0) ||
        has_better(s, ret, config->bits, i, open->class) ||
        !step(s, open->op, config->state, &config->state) || would_waste(s, open, config))
        return false;
    if (open->op->kind == SKEIN_LINEAR_WRITE)
        settle_unseen(s, config);
    bit_set(config->bits, open->slot);
    return true;
}

/* A write that nobody is known to have done can wait until a read is open that has seen it: where
 * nothing is appended, nothing else has use for it. */
static bool
can_wait(const struct search *s, const struct ret *ret, const struct op *op, const uint64_t *bits)
{
    if (!s->interest.active || s->interest.grows)
        return false;
    for (uint32_t i = 0; i < ret->open_count; i++) {
        const struct open_op *open = &s->layout->open[ret->open_at + i];
        if (open->observes && open->op->observed == op->arg && !bit_is_set(bits, open->slot))
            return false;
    }
    return true;
}

static bool
choose_unknown(struct search *s, const struct ret *ret, uint32_t u, struct config *config)
{
    const struct unknown_op *unknown = &s->layout->unknown[u];
    uint64_t *spent = spent_of(s, config->bits);
    uint32_t before = config->state;
    if (bit_is_set(spent, u) ||
        (unknown->equal_before && !bit_is_set(spent, unknown->equal_before - 1)) ||
        has_better(s, ret, config->bits, ret->open_count, unknown->class) ||
        can_wait(s, ret, unknown->op, config->bits) ||
        !step(s, unknown->op, config->state, &config->state) || config->state == before ||
        !interest_of_state(&s->interest, config->state, config->ret))
        return false;
    bit_set(spent, u);
    return true;
}

/* The next choice of the topmost frame. False: none is left. */
static bool
next_choice(struct search *s, struct config *config)
{
    struct frame *frame = &s->frames[s->frame_count - 1];
    const struct ret *ret = &s->layout->rets[frame->ret];
    while (frame->choice < ret->open_count + ret->unknown_count) {
        uint32_t choice = frame->choice++;
        config->ret = frame->ret;
        config->state = frame->state;
        memcpy(config->bits, s->frame_bits + (s->frame_count - 1) * s->words,
               s->words * sizeof(uint64_t));
        bool chosen = choice < ret->open_count
                          ? choose_open(s, ret, choice, config)
                          : choose_unknown(s, ret, choice - ret->open_count, config);
        if (chosen)
            return true;
    }
    return false;
}

struct search_result
search_key(struct value_set *values, const struct layout *layout, uint64_t base_bytes,
           struct budget *budget)
{
    struct search s = {.values = values,
                       .layout = layout,
                       .budget = budget,
                       .base_bytes = base_bytes,
                       .memory_count = 1,
                       .done_words = (layout->slot_count + 63) / 64,
                       .spent_words = (layout->unknown_count + 63) / 64};
    s.words = s.done_words + s.spent_words;
    s.memory_bytes = sizeof(struct memory) + s.words * sizeof(uint64_t);
    struct config config = {.state = value_of(values, layout->model->initial)};
    interest_init(&s.interest, layout, values);
    config.bits = mem_zalloc(s.words * sizeof(uint64_t));
    bool found = enter(&s, &config);
    while (!found && s.frame_count && !s.exhausted) {
        if (next_choice(&s, &config))
            found = enter(&s, &config);
        else
            s.frame_count--;
    }
    uint64_t bytes = used_bytes(&s, s.memory_capacity);
    if (bytes > budget->bytes_used_max)
        budget->bytes_used_max = bytes;
    interest_deinit(&s.interest);
    mem_free(config.bits);
    mem_free(s.frames);
    mem_free(s.frame_bits);
    mem_free(s.memories);
    mem_free(s.slots);
    return (struct search_result){
        .verdict = found         ? SKEIN_LINEAR_OK
                   : s.exhausted ? SKEIN_LINEAR_UNDECIDED
                                 : SKEIN_LINEAR_VIOLATION,
        .furthest = s.furthest,
    };
}
