/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

#define KIND(k) (1u << SKEIN_LINEAR_##k)

static const char *const kind_names[SKEIN_LINEAR_KIND_COUNT] = {
    [SKEIN_LINEAR_READ] = "read",
    [SKEIN_LINEAR_WRITE] = "write",
    [SKEIN_LINEAR_WRITE_NEW] = "write-new",
    [SKEIN_LINEAR_WRITE_OLD] = "write-old",
    [SKEIN_LINEAR_CAS] = "cas",
    [SKEIN_LINEAR_APPEND] = "append",
    [SKEIN_LINEAR_ADD] = "add",
    [SKEIN_LINEAR_DELETE] = "delete",
};

static const struct skein_linear_model models[] = {
    {.name = "store", .kinds = (1u << SKEIN_LINEAR_KIND_COUNT) - 1},
    {.name = "register", .kinds = KIND(READ) | KIND(WRITE) | KIND(CAS)},
    {.name = "kv", .initial = {"", 0}, .kinds = KIND(READ) | KIND(WRITE) | KIND(APPEND)},
};

struct skein_linear_state {
    struct value_set *values;
    uint32_t id;
};

const char *
skein_linear_kind_name(uint32_t kind)
{
    return kind < SKEIN_LINEAR_KIND_COUNT ? kind_names[kind] : "?";
}

const struct skein_linear_model *
skein_linear_model_find(const char *name)
{
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    return NULL;
}

void
skein_linear_state_set(struct skein_linear_state *out_state, const void *data, size_t count)
{
    out_state->id = data ? value_intern(out_state->values, data, count) : VALUE_ABSENT;
}

static uint32_t
intern_integer(struct value_set *set, int64_t integer)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRId64, integer);
    return value_intern(set, text, (size_t)n);
}

static bool
integer_of(const struct value_set *set, uint32_t id, int64_t *out_integer)
{
    const struct value *it = &set->values[id];
    if (id == VALUE_ABSENT) {
        *out_integer = 0;
        return true;
    }
    char text[24], *end;
    if (it->count == 0 || it->count >= sizeof(text))
        return false;
    memcpy(text, it->data, it->count);
    text[it->count] = 0;
    errno = 0;
    *out_integer = strtoll(text, &end, 10);
    return errno == 0 && *end == 0;
}

static bool
observed_is(const struct value_set *set, const struct op *op, char digit)
{
    const struct value *it = &set->values[op->observed];
    return it->count == 1 && it->data[0] == (uint8_t)digit;
}

static bool
step_append(struct value_set *values, const struct op *op, uint32_t state, uint32_t *out_state)
{
    size_t had = values->values[state].count, more = values->values[op->arg].count;
    uint8_t *whole = mem_alloc(had + more);
    if (had)
        memcpy(whole, values->values[state].data, had);
    if (more)
        memcpy(whole + had, values->values[op->arg].data, more);
    int64_t length;
    bool agrees = !op->has_observed ||
                  (integer_of(values, op->observed, &length) && length == (int64_t)(had + more));
    if (agrees)
        *out_state = value_intern(values, whole, had + more);
    mem_free(whole);
    return agrees;
}

static bool
step_add(struct value_set *values, const struct op *op, uint32_t state, uint32_t *out_state)
{
    int64_t had, more, sum;
    if (!integer_of(values, state, &had) || !integer_of(values, op->arg, &more) ||
        __builtin_add_overflow(had, more, &sum)) {
        *out_state = state;
        return op->end != OP_OK;
    }
    *out_state = intern_integer(values, sum);
    return !op->has_observed || op->observed == *out_state;
}

/* SET NX and SET XX: carried out only when the key's presence is as wanted. */
static bool
step_conditional(const struct op *op, uint32_t state, uint32_t *out_state)
{
    bool wants_present = op->kind == SKEIN_LINEAR_WRITE_OLD;
    bool done = (state != VALUE_ABSENT) == wants_present;
    *out_state = done ? op->arg : state;
    if (!op->has_observed)
        return true;
    bool observed_present = op->observed != VALUE_ABSENT;
    return observed_present == (wants_present ? done : !done);
}

static bool
step_builtin(struct value_set *values, const struct op *op, uint32_t state, uint32_t *out_state)
{
    switch ((enum skein_linear_kind)op->kind) {
    case SKEIN_LINEAR_READ:
        *out_state = state;
        return !op->has_observed || op->observed == state;
    case SKEIN_LINEAR_WRITE:
        *out_state = op->arg;
        return !op->has_observed || op->observed == state;
    case SKEIN_LINEAR_WRITE_NEW:
    case SKEIN_LINEAR_WRITE_OLD:
        return step_conditional(op, state, out_state);
    case SKEIN_LINEAR_CAS:
        *out_state = state == op->arg2 ? op->arg : state;
        return !op->has_observed || observed_is(values, op, state == op->arg2 ? '1' : '0');
    case SKEIN_LINEAR_APPEND:
        return step_append(values, op, state, out_state);
    case SKEIN_LINEAR_ADD:
        return step_add(values, op, state, out_state);
    case SKEIN_LINEAR_DELETE:
        *out_state = VALUE_ABSENT;
        return !op->has_observed || observed_is(values, op, state == VALUE_ABSENT ? '0' : '1');
    case SKEIN_LINEAR_KIND_COUNT:
    case SKEIN_LINEAR_USER:
        break;
    }
    skein_unreachable();
}

static struct skein_linear_op
op_for_user(const struct value_set *values, const struct op *op)
{
    return (struct skein_linear_op){
        .kind = op->kind,
        .finished = op->end == OP_OK,
        .has_observed = op->has_observed,
        .arg = value_at(values, op->arg),
        .arg2 = value_at(values, op->arg2),
        .observed = value_at(values, op->observed),
    };
}

bool
model_step(const struct skein_linear_model *model, struct value_set *values, const struct op *op,
           uint32_t state, uint32_t *out_state)
{
    if (!model->step)
        return step_builtin(values, op, state, out_state);
    struct skein_linear_op seen = op_for_user(values, op);
    struct skein_linear_state after = {values, state};
    if (!model->step(model->owner, &seen, value_at(values, state), &after))
        return false;
    *out_state = after.id;
    return true;
}

static bool
observes_builtin(const struct value_set *values, const struct op *op)
{
    bool refused = op->has_observed && observed_is(values, op, '0');
    switch ((enum skein_linear_kind)op->kind) {
    case SKEIN_LINEAR_READ:
        return true;
    case SKEIN_LINEAR_CAS:
    case SKEIN_LINEAR_DELETE:
        return refused;
    case SKEIN_LINEAR_WRITE_NEW:
        return op->has_observed && op->observed != VALUE_ABSENT;
    case SKEIN_LINEAR_WRITE_OLD:
        return op->has_observed && op->observed == VALUE_ABSENT;
    case SKEIN_LINEAR_WRITE:
    case SKEIN_LINEAR_APPEND:
    case SKEIN_LINEAR_ADD:
    case SKEIN_LINEAR_KIND_COUNT:
    case SKEIN_LINEAR_USER:
        break;
    }
    return false;
}

bool
model_observes(const struct skein_linear_model *model, const struct value_set *values,
               const struct op *op)
{
    if (!model->step)
        return observes_builtin(values, op);
    struct skein_linear_op seen = op_for_user(values, op);
    return model->observes && model->observes(model->owner, &seen);
}

const char *
model_kind_name(const struct skein_linear_model *model, uint32_t kind, char out[16])
{
    if (kind < SKEIN_LINEAR_KIND_COUNT)
        return kind_names[kind];
    if (model->kind_name)
        return model->kind_name(model->owner, kind);
    snprintf(out, 16, "%" PRIu32, kind);
    return out;
}
