/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "sim/linear/internal.h"

/* The functions of the skein format, by kind. */
static const char *const names[SKEIN_LINEAR_KIND_COUNT] = {"get", "put",    "put-new", "put-old",
                                                           "cas", "append", "add",     "delete"};

struct event {
    uint64_t seq;
    const struct op *op;
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

void
linear_put_value(FILE *file, const char *absent, const struct value_set *values, uint32_t id)
{
    const struct value *value = &values->values[id];
    if (id == VALUE_ABSENT) {
        fputs(absent, file);
        return;
    }
    fputc('"', file);
    for (size_t i = 0; i < value->count; i++) {
        uint8_t c = value->data[i];
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(file, "\\u%04x", c);
        else
            fputc(c, file);
    }
    fputc('"', file);
}

static void
write_event(FILE *file, const struct value_set *values, const struct op *op, const char *type,
            uint64_t time_ns)
{
    bool returns = type[0] == 'o';
    fprintf(file, "{:process %" PRIu32 ", :type :%s, :f :%s, :key ", op->process, type,
            names[op->kind]);
    linear_put_value(file, "nil", values, op->key);
    fputs(", :value ", file);
    if (op->kind == SKEIN_LINEAR_CAS) {
        fputc('[', file);
        linear_put_value(file, "nil", values, op->arg2);
        fputc(' ', file);
        linear_put_value(file, "nil", values, op->arg);
        fputc(']', file);
    } else {
        bool takes = op->kind != SKEIN_LINEAR_READ && op->kind != SKEIN_LINEAR_DELETE;
        bool answers = op->kind == SKEIN_LINEAR_READ && returns;
        linear_put_value(file, "nil", values,
                         answers ? op->observed
                         : takes ? op->arg
                                 : VALUE_ABSENT);
    }
    if (returns && op->has_observed && op->kind != SKEIN_LINEAR_READ) {
        fputs(", :observed ", file);
        linear_put_value(file, "nil", values, op->observed);
    }
    fprintf(file, ", :time %" PRIu64 "}\n", time_ns);
}

/* A read that tells nothing is as one that never returned. */
static bool
returns(const struct op *op)
{
    return op->end == OP_OK && (op->kind != SKEIN_LINEAR_READ || op->has_observed);
}

void
skein_linear_write(const struct skein_linear_history *history, FILE *file)
{
    struct event *events = mem_alloc(2 * history->op_count * sizeof(*events));
    size_t count = 0;
    for (size_t i = 0; i < history->op_count; i++) {
        const struct op *op = &history->ops[i];
        skein_assert(op->kind < SKEIN_LINEAR_KIND_COUNT);
        events[count++] = (struct event){op->call_seq, op, false};
        if (returns(op))
            events[count++] = (struct event){op->return_seq, op, true};
    }
    qsort(events, count, sizeof(*events), compare_events);
    fputs("; skein history 1\n", file);
    for (size_t i = 0; i < count; i++) {
        const struct op *op = events[i].op;
        if (events[i].is_return) {
            write_event(file, &history->values, op, "ok", op->return_ns);
            continue;
        }
        write_event(file, &history->values, op, "invoke", op->call_ns);
        /* How it ended without a return has no place in time. */
        if (!returns(op))
            write_event(file, &history->values, op, op->end == OP_FAILED ? "fail" : "info",
                        op->call_ns);
    }
    mem_free(events);
}
