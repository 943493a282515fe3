/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

static uint64_t
hash_bytes(const uint8_t *data, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325ull; /* FNV-1a */
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ data[i]) * 0x100000001b3ull;
    return hash;
}

void
value_set_init(struct value_set *set)
{
    *set = (struct value_set){.slot_count = 64};
    set->slots = mem_zalloc(set->slot_count * sizeof(uint32_t));
    mem_grow(&set->values, &set->capacity, 0, sizeof(struct value));
    set->values[set->count++] = (struct value){0};
}

void
value_set_deinit(struct value_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        mem_free(set->values[i].data);
    mem_free(set->values);
    mem_free(set->slots);
    *set = (struct value_set){0};
}

static void
place(struct value_set *set, uint32_t id)
{
    size_t at = set->values[id].hash & (set->slot_count - 1);
    while (set->slots[at])
        at = (at + 1) & (set->slot_count - 1);
    set->slots[at] = id;
}

uint32_t
value_intern(struct value_set *set, const void *data, size_t count)
{
    uint64_t hash = hash_bytes(data, count);
    for (size_t at = hash & (set->slot_count - 1); set->slots[at];
         at = (at + 1) & (set->slot_count - 1)) {
        struct value *it = &set->values[set->slots[at]];
        if (it->hash == hash && it->count == count && memcmp(it->data, data, count) == 0)
            return set->slots[at];
    }
    mem_grow(&set->values, &set->capacity, set->count, sizeof(struct value));
    uint32_t id = (uint32_t)set->count++;
    set->values[id] = (struct value){.data = mem_alloc(count), .count = count, .hash = hash};
    memcpy(set->values[id].data, data, count);
    if (set->count * 2 > set->slot_count) {
        mem_free(set->slots);
        set->slot_count *= 2;
        set->slots = mem_zalloc(set->slot_count * sizeof(uint32_t));
        for (uint32_t each = 1; each < id; each++)
            place(set, each);
    }
    place(set, id);
    return id;
}

uint32_t
value_of(struct value_set *set, struct linear_value value)
{
    return value.data ? value_intern(set, value.data, value.count) : VALUE_ABSENT;
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
    bool agrees =
        !op->has_observed || op->observed == intern_integer(values, (int64_t)(had + more));
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
    bool wants_present = op->kind == LINEAR_WRITE_OLD;
    bool done = (state != VALUE_ABSENT) == wants_present;
    *out_state = done ? op->arg : state;
    if (!op->has_observed)
        return true;
    bool observed_present = op->observed != VALUE_ABSENT;
    return observed_present == (wants_present ? done : !done);
}

bool
model_step(struct value_set *values, const struct op *op, uint32_t state, uint32_t *out_state)
{
    switch (op->kind) {
    case LINEAR_READ:
        *out_state = state;
        return !op->has_observed || op->observed == state;
    case LINEAR_WRITE:
        *out_state = op->arg;
        return !op->has_observed || op->observed == state;
    case LINEAR_WRITE_NEW:
    case LINEAR_WRITE_OLD:
        return step_conditional(op, state, out_state);
    case LINEAR_CAS:
        *out_state = state == op->arg2 ? op->arg : state;
        return !op->has_observed || observed_is(values, op, state == op->arg2 ? '1' : '0');
    case LINEAR_APPEND:
        return step_append(values, op, state, out_state);
    case LINEAR_ADD:
        return step_add(values, op, state, out_state);
    case LINEAR_DELETE:
        *out_state = VALUE_ABSENT;
        return !op->has_observed || observed_is(values, op, state == VALUE_ABSENT ? '0' : '1');
    case LINEAR_KIND_COUNT:
        break;
    }
    skein_unreachable();
}
