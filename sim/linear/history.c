/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/linear/internal.h"

struct skein_linear_history *
skein_linear_open(uint64_t bytes_max)
{
    struct skein_linear_history *history = mem_zalloc(sizeof(*history));
    value_set_init(&history->values);
    history->next_seq = 1;
    history->bytes_max = bytes_max;
    return history;
}

void
skein_linear_close(struct skein_linear_history *history)
{
    if (!history)
        return;
    value_set_deinit(&history->values);
    mem_free(history->ops);
    mem_free(history);
}

uint64_t
history_bytes(const struct skein_linear_history *history)
{
    return history->values.bytes + history->op_capacity * sizeof(struct op);
}

uint64_t
skein_linear_event_count(const struct skein_linear_history *history)
{
    return history->next_seq - 1;
}

size_t
skein_linear_call_behind(struct skein_linear_history *history, uint64_t event, uint32_t process,
                         uint32_t kind, struct skein_linear_value key,
                         struct skein_linear_value arg, struct skein_linear_value arg2,
                         uint64_t time_ns)
{
    skein_assert(event < history->next_seq);
    size_t op = skein_linear_call(history, process, kind, key, arg, arg2, time_ns);
    history->ops[op].call_seq = event;
    history->next_seq--;
    return op;
}

size_t
skein_linear_call(struct skein_linear_history *history, uint32_t process, uint32_t kind,
                  struct skein_linear_value key, struct skein_linear_value arg,
                  struct skein_linear_value arg2, uint64_t time_ns)
{
    skein_assert(kind < SKEIN_LINEAR_KIND_COUNT || kind >= SKEIN_LINEAR_USER);
    skein_assert(kind < 1024);
    mem_grow(&history->ops, &history->op_capacity, history->op_count, sizeof(struct op));
    struct op *op = &history->ops[history->op_count];
    *op = (struct op){
        .kind = (uint16_t)kind,
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
skein_linear_ok(struct skein_linear_history *history, size_t op, bool has_observed,
                struct skein_linear_value observed, uint64_t time_ns)
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
skein_linear_fail(struct skein_linear_history *history, size_t op)
{
    skein_assert(op < history->op_count);
    skein_assert(history->ops[op].end == OP_OPEN);
    history->ops[op].end = OP_FAILED;
}

void
skein_linear_unknown(struct skein_linear_history *history, size_t op)
{
    skein_assert(op < history->op_count);
    skein_assert(history->ops[op].end == OP_OPEN);
}

size_t
skein_linear_op_count(const struct skein_linear_history *history)
{
    return history->op_count;
}

size_t
skein_linear_checked_count(const struct skein_linear_history *history)
{
    size_t count = 0;
    for (size_t i = 0; i < history->op_count; i++)
        count += history->ops[i].end == OP_OK;
    return count;
}
