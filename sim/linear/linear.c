/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/linear/linear.h"

#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

static const char *const kind_names[LINEAR_KIND_COUNT] = {
    [LINEAR_READ] = "read",
    [LINEAR_WRITE] = "write",
    [LINEAR_WRITE_NEW] = "write-new",
    [LINEAR_WRITE_OLD] = "write-old",
    [LINEAR_CAS] = "cas",
    [LINEAR_APPEND] = "append",
    [LINEAR_ADD] = "add",
    [LINEAR_DELETE] = "delete",
};

const char *
linear_kind_name(enum linear_kind kind)
{
    return kind < LINEAR_KIND_COUNT ? kind_names[kind] : "?";
}

struct linear_history *
linear_history_open(void)
{
    struct linear_history *history = mem_zalloc(sizeof(*history));
    value_set_init(&history->values);
    history->next_seq = 1;
    return history;
}

void
linear_history_close(struct linear_history *history)
{
    if (!history)
        return;
    value_set_deinit(&history->values);
    mem_free(history->ops);
    mem_free(history);
}

size_t
linear_call(struct linear_history *history, uint32_t process, enum linear_kind kind,
            struct linear_value key, struct linear_value arg, struct linear_value arg2,
            uint64_t time_ns)
{
    skein_assert(kind < LINEAR_KIND_COUNT);
    mem_grow(&history->ops, &history->op_capacity, history->op_count, sizeof(struct op));
    struct op *op = &history->ops[history->op_count];
    *op = (struct op){
        .kind = kind,
        .process = process,
        .key = value_of(&history->values, key),
        .arg = value_of(&history->values, arg),
        .arg2 = value_of(&history->values, arg2),
        .call_seq = history->next_seq++,
        .call_ns = time_ns,
    };
    return history->op_count++;
}

void
linear_ok(struct linear_history *history, size_t op, bool has_observed,
          struct linear_value observed, uint64_t time_ns)
{
    skein_assert(op < history->op_count);
    struct op *it = &history->ops[op];
    skein_assert(it->end == OP_OPEN);
    it->end = OP_OK;
    it->has_observed = has_observed;
    it->observed = value_of(&history->values, observed);
    it->return_seq = history->next_seq++;
    it->return_ns = time_ns;
}

void
linear_fail(struct linear_history *history, size_t op)
{
    skein_assert(op < history->op_count);
    skein_assert(history->ops[op].end == OP_OPEN);
    history->ops[op].end = OP_FAILED;
}

void
linear_unknown(struct linear_history *history, size_t op)
{
    skein_assert(op < history->op_count);
    skein_assert(history->ops[op].end == OP_OPEN);
}

size_t
linear_op_count(const struct linear_history *history)
{
    return history->op_count;
}

size_t
linear_checked_count(const struct linear_history *history)
{
    size_t count = 0;
    for (size_t i = 0; i < history->op_count; i++)
        count += history->ops[i].end == OP_OK;
    return count;
}

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

enum linear_verdict
linear_check(const struct linear_history *history, const struct linear_limits *limits, FILE *report)
{
    struct search_budget budget = {
        .steps_left = limits && limits->step_count_max ? limits->step_count_max : 50000000,
        .bytes_left = limits && limits->memory_bytes_max ? limits->memory_bytes_max : 1ull << 30,
    };
    size_t count = history->op_count;
    struct keyed *keyed = mem_alloc(count * sizeof(*keyed));
    size_t *indices = mem_alloc(count * sizeof(*indices));
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){.key = history->ops[i].key, .index = i};
    qsort(keyed, count, sizeof(*keyed), compare_keyed);

    enum linear_verdict verdict = LINEAR_OK;
    for (size_t at = 0; at < count;) {
        size_t n = 0;
        uint32_t key = keyed[at].key;
        for (; at < count && keyed[at].key == key; at++)
            indices[n++] = keyed[at].index;
        /* Interning grows while searching; the history stays as it is for the caller. */
        enum linear_verdict one = search_key((struct value_set *)&history->values, history->ops,
                                             indices, n, &budget, report);
        if (one == LINEAR_VIOLATION || verdict == LINEAR_OK)
            verdict = one;
        if (verdict == LINEAR_VIOLATION)
            break;
    }
    mem_free(indices);
    mem_free(keyed);
    return verdict;
}
