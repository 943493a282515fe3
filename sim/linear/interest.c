/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim/linear/internal.h"

/* How many operations write or append a value. */
static void
count_args(struct interest *interest, const struct layout *layout, const struct value_set *values)
{
    interest->arg_counts = mem_zalloc(values->count * sizeof(uint32_t));
    for (size_t i = 0; i < layout->op_count; i++)
        if (layout->ops[i].kind != SKEIN_LINEAR_READ)
            interest->arg_counts[layout->ops[i].arg]++;
}

/* Reads from the last return to the first; equal ones once. */
static void
list_reads(struct interest *interest, const struct layout *layout, const struct value_set *values)
{
    uint8_t *known = mem_zalloc(values->count);
    interest->reads = mem_alloc(layout->ret_count * sizeof(struct interest_read));
    for (size_t i = layout->ret_count; i > 0; i--) {
        const struct op *op = layout->open[layout->rets[i - 1].open_at].op;
        if (op->kind != SKEIN_LINEAR_READ || !op->has_observed || known[op->observed])
            continue;
        known[op->observed] = 1;
        interest->reads[interest->read_count++] = (struct interest_read){op->observed, (uint32_t)i};
    }
    mem_free(known);
}

/* Whether @arg begins with @first and ends with @last, and has neither anywhere else. */
static bool
is_framed(const struct value *arg, uint8_t first, uint8_t last)
{
    return arg->count >= 2 && first != last && arg->data[0] == first &&
           memchr(arg->data, last, arg->count) == arg->data + arg->count - 1 &&
           !memchr(arg->data + 1, first, arg->count - 1);
}

/* All that is written is framed alike, so that what a read saw can be cut up in one way only. */
static bool
all_framed(const struct layout *layout, const struct value_set *values)
{
    const struct value *model = NULL;
    for (size_t i = 0; i < layout->op_count; i++) {
        const struct op *op = &layout->ops[i];
        if (op->kind == SKEIN_LINEAR_READ)
            continue;
        const struct value *arg = &values->values[op->arg];
        model = model ? model : arg;
        if (arg->count == 0 || !is_framed(arg, model->data[0], model->data[model->count - 1]))
            return false;
    }
    return layout->model->initial.count == 0;
}

void
interest_init(struct interest *interest, const struct layout *layout,
              const struct value_set *values)
{
    *interest = (struct interest){.values = values, .layout = layout};
    if (layout->model->step)
        return;
    for (size_t i = 0; i < layout->op_count; i++) {
        const struct op *op = &layout->ops[i];
        bool plain = op->kind == SKEIN_LINEAR_READ ||
                     ((op->kind == SKEIN_LINEAR_WRITE || op->kind == SKEIN_LINEAR_APPEND) &&
                      !op->has_observed);
        if (!plain)
            return;
        interest->grows = interest->grows || op->kind == SKEIN_LINEAR_APPEND;
    }
    interest->active = true;
    interest->framed = all_framed(layout, values);
    interest->op_until = mem_zalloc(layout->op_count * sizeof(uint32_t));
    list_reads(interest, layout, values);
    count_args(interest, layout, values);
}

void
interest_deinit(struct interest *interest)
{
    mem_free(interest->reads);
    mem_free(interest->op_until);
    mem_free(interest->arg_counts);
    mem_free(interest->state_until);
    *interest = (struct interest){0};
}

static bool
is_seen(const struct value_set *values, uint32_t seen, uint32_t state)
{
    const struct value *whole = &values->values[seen], *start = &values->values[state];
    if (seen == VALUE_ABSENT || state == VALUE_ABSENT)
        return state == VALUE_ABSENT; /* an append makes anything of what is absent */
    return start->count <= whole->count &&
           (start->count == 0 || memcmp(whole->data, start->data, start->count) == 0);
}

bool
interest_of_state(struct interest *interest, uint32_t state, uint32_t ret)
{
    if (!interest->active)
        return true;
    while (interest->state_count <= state) {
        mem_grow(&interest->state_until, &interest->state_capacity, interest->state_count,
                 sizeof(uint32_t));
        interest->state_until[interest->state_count++] = UINT32_MAX;
    }
    uint32_t *until = &interest->state_until[state];
    if (*until == UINT32_MAX) {
        size_t i = 0;
        while (i < interest->read_count &&
               !is_seen(interest->values, interest->reads[i].observed, state))
            i++;
        *until = i < interest->read_count ? interest->reads[i].until : 0;
    }
    return *until > ret;
}

bool
interest_of_op(struct interest *interest, const struct op *op, uint32_t ret)
{
    if (!interest->active)
        return true;
    if (op->kind != SKEIN_LINEAR_APPEND)
        return interest_of_state(interest, op->arg, ret);
    uint32_t *until = &interest->op_until[op - interest->layout->ops];
    const struct value *arg = &interest->values->values[op->arg];
    if (*until == 0) { /* stored + 1 */
        size_t i = 0;
        for (; i < interest->read_count; i++) {
            const struct value *seen = &interest->values->values[interest->reads[i].observed];
            if (arg->count == 0 ||
                (seen->count && memmem(seen->data, seen->count, arg->data, arg->count)))
                break;
        }
        *until = 1 + (i < interest->read_count ? interest->reads[i].until : 0);
    }
    return *until - 1 > ret;
}
