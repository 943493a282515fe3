/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/linear/internal.h"

#define TEXT_BYTES 80
#define BAR_COLUMNS_MAX 48

/* A value for a person: its end is what tells one from another. */
static void
value_text(char out[TEXT_BYTES], const struct value_set *values, uint32_t id, bool cut)
{
    const struct value *value = &values->values[id];
    size_t at = 0, shown = value->count;
    if (id == VALUE_ABSENT) {
        snprintf(out, TEXT_BYTES, "(absent)");
        return;
    }
    if (cut && shown > 24) {
        shown = 21;
        at += (size_t)snprintf(out, TEXT_BYTES, "...");
    }
    out[at++] = '"';
    for (size_t i = value->count - shown; i < value->count && at + 8 < TEXT_BYTES; i++) {
        uint8_t c = value->data[i];
        if (c >= 0x20 && c < 0x7f)
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, TEXT_BYTES - at, "\\x%02x", c);
    }
    out[at++] = '"';
    out[at] = '\0';
}

/* "cas "3" if "1"", and beside it what was seen. */
static void
op_text(char what[2 * TEXT_BYTES + 32], char seen[TEXT_BYTES], const struct value_set *values,
        const struct skein_linear_model *model, const struct op *op)
{
    char arg[TEXT_BYTES] = "", arg2[TEXT_BYTES] = "", number[16];
    if (op->arg != VALUE_ABSENT)
        value_text(arg, values, op->arg, true);
    if (op->arg2 != VALUE_ABSENT || op->kind == SKEIN_LINEAR_CAS)
        value_text(arg2, values, op->arg2, true);
    snprintf(what, 2 * TEXT_BYTES + 32, "%s %s%s%s", model_kind_name(model, op->kind, number), arg,
             arg2[0] ? " if " : "", arg2);
    if (op->has_observed)
        value_text(seen, values, op->observed, true);
    else
        snprintf(seen, TEXT_BYTES, "%s", op->end == OP_OK ? "done" : "unknown");
}

struct scale {
    uint64_t *at; /* the calls' and returns' places, ascending */
    size_t count;
};

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static size_t
column_of(const struct scale *scale, uint64_t seq)
{
    size_t rank = 0;
    while (rank < scale->count && scale->at[rank] < seq)
        rank++;
    if (scale->count <= BAR_COLUMNS_MAX)
        return rank;
    return rank * BAR_COLUMNS_MAX / scale->count;
}

static void
print_op(const struct skein_linear_history *history, const struct skein_linear_model *model,
         const struct op *op, const struct scale *scale, FILE *file)
{
    char what[2 * TEXT_BYTES + 32], seen[TEXT_BYTES], bar[BAR_COLUMNS_MAX + 3];
    op_text(what, seen, &history->values, model, op);
    size_t from = column_of(scale, op->call_seq), to = column_of(scale, op->return_seq);
    memset(bar, ' ', sizeof(bar));
    for (size_t i = from; i <= to; i++)
        bar[i] = '=';
    bar[from] = from == to ? '#' : '[';
    if (to > from)
        bar[to] = ']';
    bar[to + 1] = '\0';
    if (op->call_line)
        fprintf(file, "  %5" PRIu32 "-%-5" PRIu32, op->call_line, op->return_line);
    else
        fprintf(file, "  %11.6f", (double)op->call_ns / 1e9);
    fprintf(file, " %6" PRIu32 "  %-28s %-26s %s\n", op->process, what, seen, bar);
}

static void
print_violation(const struct skein_linear_history *history, const struct skein_linear_model *model,
                const struct skein_linear_result *result, FILE *file)
{
    const struct op *ops = history->ops;
    char key[TEXT_BYTES];
    if (result->op_count == 0) {
        fputs("not linearizable\n", file);
        return;
    }
    value_text(key, &history->values, ops[result->ops[0]].key, false);
    fprintf(file,
            "not linearizable: key %s: %zu operations that cannot all take effect between their "
            "call and their return%s\n",
            key, result->op_count, result->is_minimal ? "" : " (the smallest part was not found)");
    if (result->other_count)
        fprintf(file,
                "(%zu other operations of the key may take effect at any time after their call, or "
                "were not asked: no order helps)\n",
                result->other_count);
    struct scale scale = {.at = mem_alloc(2 * result->op_count * sizeof(uint64_t))};
    for (size_t i = 0; i < result->op_count; i++) {
        scale.at[scale.count++] = ops[result->ops[i]].call_seq;
        scale.at[scale.count++] = ops[result->ops[i]].return_seq;
    }
    qsort(scale.at, scale.count, sizeof(uint64_t), compare_numbers);
    fprintf(file, "  %-11s %6s  %-28s %-26s %s\n",
            ops[result->ops[0]].call_line ? "lines" : "called (s)", "client", "operation",
            "observed", "from call to return");
    for (size_t i = 0; i < result->op_count; i++)
        print_op(history, model, &ops[result->ops[i]], &scale, file);
    mem_free(scale.at);
}

static const struct skein_linear_model *
model_of(const struct skein_linear_options *options)
{
    return options && options->model ? options->model : skein_linear_model_find("store");
}

void
skein_linear_print(const struct skein_linear_history *history,
                   const struct skein_linear_options *options,
                   const struct skein_linear_result *result, FILE *file)
{
    switch (result->verdict) {
    case SKEIN_LINEAR_OK:
        return;
    case SKEIN_LINEAR_UNDECIDED:
        fprintf(file, "undecided: %s\n", result->why);
        return;
    case SKEIN_LINEAR_VIOLATION:
        print_violation(history, model_of(options), result, file);
        return;
    }
    skein_unreachable();
}

static void
json_op(const struct skein_linear_history *history, const struct skein_linear_model *model,
        const struct op *op, FILE *file)
{
    char number[16];
    fprintf(file, "{\"process\":%" PRIu32 ",\"kind\":\"%s\"", op->process,
            model_kind_name(model, op->kind, number));
    if (op->arg != VALUE_ABSENT) {
        fputs(",\"value\":", file);
        linear_put_value(file, "null", &history->values, op->arg);
    }
    if (op->kind == SKEIN_LINEAR_CAS || op->arg2 != VALUE_ABSENT) {
        fputs(",\"if\":", file);
        linear_put_value(file, "null", &history->values, op->arg2);
    }
    if (op->has_observed) {
        fputs(",\"observed\":", file);
        linear_put_value(file, "null", &history->values, op->observed);
    }
    if (op->call_line)
        fprintf(file, ",\"call_line\":%" PRIu32 ",\"return_line\":%" PRIu32, op->call_line,
                op->return_line);
    fprintf(file, ",\"call\":%" PRIu64 ",\"return\":%" PRIu64 "}", op->call_seq, op->return_seq);
}

void
skein_linear_print_json(const struct skein_linear_history *history,
                        const struct skein_linear_options *options,
                        const struct skein_linear_result *result, FILE *file)
{
    const struct skein_linear_model *model = model_of(options);
    const char *verdict = result->verdict == SKEIN_LINEAR_OK          ? "linearizable"
                          : result->verdict == SKEIN_LINEAR_VIOLATION ? "not-linearizable"
                                                                      : "undecided";
    fprintf(
        file,
        "{\"verdict\":\"%s\",\"model\":\"%s\",\"operations\":%zu,\"keys\":%zu,\"steps\":%" PRIu64
        ",\"memory_bytes\":%" PRIu64,
        verdict, model->name, history->op_count, result->key_count, result->steps,
        result->bytes_max);
    if (result->why)
        fprintf(file, ",\"why\":\"%s\"", result->why);
    if (result->op_count > 0) {
        fputs(",\"key\":", file);
        linear_put_value(file, "null", &history->values, history->ops[result->ops[0]].key);
        fprintf(file, ",\"minimal\":%s,\"others\":%zu,\"part\":[",
                result->is_minimal ? "true" : "false", result->other_count);
        for (size_t i = 0; i < result->op_count; i++) {
            fputs(i ? "," : "", file);
            json_op(history, model, &history->ops[result->ops[i]], file);
        }
        fputc(']', file);
    }
    fputc('}', file);
}
