/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

#define MEMORY_BYTES_MAX ((uint64_t)2 << 30)
/* Of one trial with less, and of all trials together. */
#define TRIAL_STEPS_MAX 20000
#define EXPLAIN_STEPS_MAX 3000000
/* A trial costs its layout, too. */
#define OPS_PER_STEP 8

struct check {
    struct skein_linear_history *history;
    const struct skein_linear_model *model;
    struct budget budget;
    size_t *indices; /* of the key at hand, in order of their calls */
    size_t count;
};

struct keyed {
    uint32_t key;
    size_t index;
};

static int
compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static uint64_t
base_bytes(const struct check *check)
{
    const struct skein_linear_history *history = check->history;
    return history->op_capacity * sizeof(struct op) +
           history->op_count * (sizeof(struct keyed) + sizeof(size_t));
}

static struct search_result
search(struct check *check, const uint8_t *uses, struct budget *budget, uint64_t *out_horizon)
{
    struct value_set *values = &check->history->values;
    size_t value_count = values->count;
    struct layout layout;
    layout_init(&layout, check->model, values, check->history->ops, check->indices, uses,
                check->count);
    struct search_result result = search_key(values, &layout, base_bytes(check), budget);
    if (result.verdict == SKEIN_LINEAR_VIOLATION && out_horizon)
        *out_horizon = layout.open[layout.rets[result.furthest].open_at].op->return_seq;
    layout_deinit(&layout);
    value_set_rewind(values, value_count);
    return result;
}

/* Whether it is a violation still with these uses. Not knowing is no. */
static bool
still_fails(struct check *check, const uint8_t *uses, struct budget *all)
{
    uint64_t share = all->steps_left < TRIAL_STEPS_MAX ? all->steps_left : TRIAL_STEPS_MAX;
    struct budget budget = {
        .steps_left = share, .bytes_max = all->bytes_max, .stop = all->stop, .owner = all->owner};
    enum skein_linear_verdict verdict = search(check, uses, &budget, NULL).verdict;
    uint64_t cost = budget.steps + check->count / OPS_PER_STEP + 1;
    all->steps_left -= cost < all->steps_left ? cost : all->steps_left;
    return verdict == SKEIN_LINEAR_VIOLATION;
}

/* An operation asks for less when it may or may not have happened; one that only looks, when it is
 * not there at all. */
static enum op_use
lesser_use(const struct check *check, const struct op *op)
{
    return model_observes(check->model, &check->history->values, op) ? USE_NOT : USE_AS_UNKNOWN;
}

/* Halves, quarters, ... single operations of those that can be asked for @use are, as long as the
 * rest fits nowhere. Returns whether any is now. */
static bool
shrink_by(struct check *check, enum op_use use, uint8_t *uses, struct budget *all)
{
    size_t *left = mem_alloc(check->count * sizeof(*left));
    uint8_t *trial = mem_alloc(check->count);
    size_t left_count = 0;
    bool smaller = true, any = false;
    for (size_t i = 0; i < check->count; i++) {
        const struct op *op = &check->history->ops[check->indices[i]];
        if (uses[i] == USE_AS_IS && op->end == OP_OK && lesser_use(check, op) == use)
            left[left_count++] = i;
    }
    for (size_t chunk = (left_count + 1) / 2; chunk > 0 && all->steps_left > 0;
         chunk = chunk > 1 ? chunk / 2 : smaller) {
        smaller = false;
        for (size_t at = 0; at < left_count && all->steps_left > 0;) {
            size_t n = left_count - at < chunk ? left_count - at : chunk;
            memcpy(trial, uses, check->count);
            for (size_t i = at; i < at + n; i++)
                trial[left[i]] = (uint8_t)use;
            if (!still_fails(check, trial, all)) {
                at += n;
                continue;
            }
            memcpy(uses, trial, check->count);
            left_count -= n;
            memmove(&left[at], &left[at + n], (left_count - at) * sizeof(*left));
            smaller = any = true;
        }
    }
    mem_free(left);
    mem_free(trial);
    return any;
}

/*
 * The smallest part: what was called after the last return that was looked at is asked for less at
 * once; then operations are asked for less. That is a weaker claim, so what stays is a violation by
 * itself. What only looks goes first: a part with few of them is read more easily.
 */
static bool
shrink(struct check *check, uint8_t *uses)
{
    struct budget all = {.steps_left = EXPLAIN_STEPS_MAX,
                         .bytes_max = check->budget.bytes_max,
                         .stop = check->budget.stop,
                         .owner = check->budget.owner};
    while (shrink_by(check, USE_NOT, uses, &all) || shrink_by(check, USE_AS_UNKNOWN, uses, &all))
        ;
    return all.steps_left > 0;
}

static void
explain(struct check *check, uint64_t horizon, struct skein_linear_result *result)
{
    const struct op *ops = check->history->ops;
    uint8_t *uses = mem_alloc(check->count);
    for (size_t i = 0; i < check->count; i++) {
        const struct op *op = &ops[check->indices[i]];
        uses[i] = (uint8_t)(op->call_seq > horizon ? lesser_use(check, op) : USE_AS_IS);
    }
    result->is_minimal = shrink(check, uses);
    result->ops = mem_alloc(check->count * sizeof(size_t));
    for (size_t i = 0; i < check->count; i++) {
        if (uses[i] == USE_AS_IS && ops[check->indices[i]].end == OP_OK)
            result->ops[result->op_count++] = check->indices[i];
        else
            result->other_count++;
    }
    mem_free(uses);
}

static enum skein_linear_verdict
check_key(struct check *check, const struct skein_linear_options *options,
          struct skein_linear_result *result)
{
    uint64_t horizon = 0;
    result->key_count++;
    enum skein_linear_verdict verdict = search(check, NULL, &check->budget, &horizon).verdict;
    if (verdict == SKEIN_LINEAR_VIOLATION && options && options->explain)
        explain(check, horizon, result);
    return verdict;
}

static enum skein_linear_verdict
check_keys(struct check *check, const struct skein_linear_options *options,
           struct skein_linear_result *result)
{
    const struct skein_linear_history *history = check->history;
    size_t count = history->op_count;
    struct keyed *keyed = mem_alloc(count * sizeof(*keyed));
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){.key = history->ops[i].key, .index = i};
    qsort(keyed, count, sizeof(*keyed), compare_keyed);
    check->indices = mem_alloc(count * sizeof(size_t));
    enum skein_linear_verdict verdict = SKEIN_LINEAR_OK;
    for (size_t at = 0; at < count && verdict != SKEIN_LINEAR_VIOLATION;) {
        uint32_t key = keyed[at].key;
        for (check->count = 0; at < count && keyed[at].key == key; at++)
            check->indices[check->count++] = keyed[at].index;
        enum skein_linear_verdict one = check_key(check, options, result);
        if (one != SKEIN_LINEAR_OK) /* one undecided key: another may still be a violation */
            verdict = one;
        if (verdict != SKEIN_LINEAR_VIOLATION && at < count && check->budget.stop &&
            check->budget.stop(check->budget.owner)) {
            check->budget.why = "the time was up";
            verdict = SKEIN_LINEAR_UNDECIDED;
            break;
        }
    }
    mem_free(keyed);
    mem_free(check->indices);
    return verdict;
}

enum skein_linear_verdict
skein_linear_check(struct skein_linear_history *history, const struct skein_linear_options *options,
                   struct skein_linear_result *out_result)
{
    struct skein_linear_result result = {0};
    struct check check = {.history = history,
                          .model = options && options->model ? options->model
                                                             : skein_linear_model_find("store"),
                          .budget = {.steps_left = UINT64_MAX, .bytes_max = MEMORY_BYTES_MAX}};
    if (options) {
        check.budget.stop = options->stop;
        check.budget.owner = options->owner;
        if (options->step_count_max)
            check.budget.steps_left = options->step_count_max;
        if (options->memory_bytes_max)
            check.budget.bytes_max = options->memory_bytes_max;
    }
    result.verdict = check_keys(&check, options, &result);
    result.why = result.verdict == SKEIN_LINEAR_UNDECIDED ? check.budget.why : NULL;
    result.steps = check.budget.steps;
    result.bytes_max = check.budget.bytes_used_max;
    enum skein_linear_verdict verdict = result.verdict;
    if (out_result)
        *out_result = result;
    else
        skein_linear_result_deinit(&result);
    return verdict;
}

void
skein_linear_result_deinit(struct skein_linear_result *result)
{
    mem_free(result->ops);
    *result = (struct skein_linear_result){0};
}
