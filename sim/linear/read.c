/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/linear/read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define OWN_HEADER "; skein history 1"

struct read_open {
    bool used;
    uint32_t process;
    uint32_t line; /* of the call; 0: none is open */
    size_t op;
};

int
reader_fails(struct reader *reader, const char *format, ...)
{
    va_list args;
    int n = snprintf(reader->out_why, 256, "line %" PRIu32 ": ", reader->line);
    va_start(args, format);
    vsnprintf(reader->out_why + n, 256 - (size_t)n, format, args);
    va_end(args);
    return -SKEIN_EFORMAT;
}

void
read_event_deinit(struct read_event *event)
{
    mem_free(event->key.owned);
    mem_free(event->value.owned);
    mem_free(event->value2.owned);
    mem_free(event->observed.owned);
    *event = (struct read_event){0};
}

struct function {
    const char *name;
    enum skein_linear_kind kind;
    const char *model; /* which a file is of that uses it; NULL: of more than one */
};

static const struct function functions[] = {
    {"read", SKEIN_LINEAR_READ, "register"},   {"write", SKEIN_LINEAR_WRITE, "register"},
    {"cas", SKEIN_LINEAR_CAS, "register"},     {"get", SKEIN_LINEAR_READ, "kv"},
    {"put", SKEIN_LINEAR_WRITE, "kv"},         {"append", SKEIN_LINEAR_APPEND, "kv"},
    {"put-new", SKEIN_LINEAR_WRITE_NEW, NULL}, {"put-old", SKEIN_LINEAR_WRITE_OLD, NULL},
    {"add", SKEIN_LINEAR_ADD, NULL},           {"delete", SKEIN_LINEAR_DELETE, NULL},
};

int
reader_kind(struct reader *reader, const char *name, size_t count, uint32_t *out_kind)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        const struct function *f = &functions[i];
        if (strlen(f->name) != count || memcmp(f->name, name, count) != 0)
            continue;
        if (!reader->model)
            reader->model = skein_linear_model_find(f->model ? f->model : "store");
        if (!(reader->model->kinds >> f->kind & 1))
            return reader_fails(reader, "a %s has no \"%s\"", reader->model->name, f->name);
        *out_kind = f->kind;
        return 0;
    }
    return reader_fails(reader, "unknown function \"%.*s\"", (int)(count < 40 ? count : 40), name);
}

static struct read_open *
open_slot(struct reader *reader, uint32_t process)
{
    size_t at = (process * 0x9e3779b1u) & (reader->open_slots - 1);
    while (reader->open[at].used && reader->open[at].process != process)
        at = (at + 1) & (reader->open_slots - 1);
    return &reader->open[at];
}

static struct read_open *
open_of(struct reader *reader, uint32_t process)
{
    if (reader->open_count * 2 >= reader->open_slots) {
        struct read_open *old = reader->open;
        size_t old_slots = reader->open_slots;
        reader->open_slots = old_slots ? old_slots * 2 : 64;
        reader->open = mem_zalloc(reader->open_slots * sizeof(*reader->open));
        for (size_t i = 0; i < old_slots; i++)
            if (old[i].used)
                *open_slot(reader, old[i].process) = old[i];
        mem_free(old);
    }
    struct read_open *open = open_slot(reader, process);
    if (!open->used) {
        *open = (struct read_open){.used = true, .process = process};
        reader->open_count++;
    }
    return open;
}

static struct skein_linear_value
as_value(const struct read_value *value)
{
    if (!value->is_text)
        return SKEIN_LINEAR_ABSENT;
    return (struct skein_linear_value){value->owned ? value->owned : "", value->count};
}

static bool
same_value(struct skein_linear_value a, struct skein_linear_value b)
{
    if (!a.data || !b.data)
        return a.data == b.data;
    return a.count == b.count && memcmp(a.data, b.data, a.count) == 0;
}

static struct skein_linear_value
key_of(const struct read_event *event)
{
    if (!event->has_key)
        return (struct skein_linear_value){"register", 8};
    return as_value(&event->key);
}

static int
on_invoke(struct reader *reader, struct read_open *open, const struct read_event *event)
{
    bool takes = event->kind != SKEIN_LINEAR_READ && event->kind != SKEIN_LINEAR_DELETE;
    if (open->line)
        return reader_fails(
            reader, "process %" PRIu32 " calls while its operation of line %" PRIu32 " is open",
            event->process, open->line);
    if (takes && !event->value.is_text)
        return reader_fails(reader, "a %s without a value", skein_linear_kind_name(event->kind));
    if (!takes && event->value.is_text)
        return reader_fails(reader, "a %s is called with a value",
                            skein_linear_kind_name(event->kind));
    if (event->has_observed)
        return reader_fails(reader, "a call has observed something");
    open->op = skein_linear_call(reader->history, event->process, event->kind, key_of(event),
                                 as_value(&event->value), as_value(&event->value2), event->time_ns);
    open->line = reader->line;
    reader->history->ops[open->op].call_line = reader->line;
    return 0;
}

/* What a return says beside its type has to be what its call said. */
static int
check_return(struct reader *reader, const struct read_open *open, const struct read_event *event)
{
    const struct value_set *values = &reader->history->values;
    const struct op *op = &reader->history->ops[open->op];
    if (!open->line)
        return reader_fails(reader, "process %" PRIu32 " returns without a call", event->process);
    if (op->kind != event->kind)
        return reader_fails(reader, "a %s returns from the %s of line %" PRIu32,
                            skein_linear_kind_name(event->kind), skein_linear_kind_name(op->kind),
                            open->line);
    if (!same_value(key_of(event), value_at(values, op->key)))
        return reader_fails(reader, "another key than that of line %" PRIu32, open->line);
    bool echoes = event->kind != SKEIN_LINEAR_READ && event->type != READ_INFO;
    if (echoes && event->has_value && !event->value.timed_out &&
        (!same_value(as_value(&event->value), value_at(values, op->arg)) ||
         !same_value(as_value(&event->value2), value_at(values, op->arg2))))
        return reader_fails(reader, "another value than that of line %" PRIu32, open->line);
    if (event->type == READ_OK && event->value.timed_out)
        return reader_fails(reader, "done and timed out");
    if (event->type == READ_OK && event->kind == SKEIN_LINEAR_READ && !event->has_value)
        return reader_fails(reader, "a read returns without a value");
    return 0;
}

static void
on_ok(struct reader *reader, size_t op, const struct read_event *event)
{
    bool has_observed = event->has_observed;
    struct skein_linear_value observed = as_value(&event->observed);
    if (event->kind == SKEIN_LINEAR_READ) {
        has_observed = true;
        observed = as_value(&event->value);
        if (!observed.data && reader->model->initial.data)
            observed = reader->model->initial;
    } else if (event->kind == SKEIN_LINEAR_CAS && !has_observed) {
        has_observed = true;
        observed = (struct skein_linear_value){"1", 1};
    }
    skein_linear_ok(reader->history, op, has_observed, observed, event->time_ns);
    reader->history->ops[op].return_line = reader->line;
}

static int
on_return(struct reader *reader, struct read_open *open, const struct read_event *event)
{
    int rc = check_return(reader, open, event);
    if (rc < 0)
        return rc;
    if (event->type == READ_OK) {
        on_ok(reader, open->op, event);
    } else if (event->type == READ_INFO) {
        skein_linear_unknown(reader->history, open->op);
    } else if (event->kind == SKEIN_LINEAR_CAS && !reader->own && !event->value.timed_out) {
        /* Jepsen's failed cas has looked: the value was another. */
        skein_linear_ok(reader->history, open->op, true, (struct skein_linear_value){"0", 1},
                        event->time_ns);
        reader->history->ops[open->op].return_line = reader->line;
    } else {
        skein_linear_fail(reader->history, open->op);
    }
    open->line = 0;
    return 0;
}

static int
read_line(struct reader *reader, const char *line, size_t count, bool jepsen)
{
    struct read_event event = {0};
    int rc =
        jepsen ? read_jepsen(reader, line, count, &event) : read_edn(reader, line, count, &event);
    if (rc == 1) {
        struct read_open *open = open_of(reader, event.process);
        rc = event.type == READ_INVOKE ? on_invoke(reader, open, &event)
                                       : on_return(reader, open, &event);
    }
    read_event_deinit(&event);
    if (rc < 0)
        return rc;
    const struct skein_linear_history *history = reader->history;
    uint64_t bytes = history_bytes(history) + reader->open_slots * sizeof(struct read_open);
    if (history->bytes_max && bytes > history->bytes_max) {
        reader_fails(reader, "the history is larger than the limit of %" PRIu64 " bytes",
                     history->bytes_max);
        return -SKEIN_ENOMEM;
    }
    return 0;
}

static bool
is_blank(const char *line, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (line[i] != ' ' && line[i] != '\t')
            return false;
    return true;
}

static bool
begins(const char *line, size_t count, const char *word)
{
    return count >= strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

/* From the first line that is not blank. */
static int
detect(struct reader *reader, const char *line, size_t count, bool *out_jepsen)
{
    *out_jepsen = begins(line, count, "INFO") || begins(line, count, "WARN") ||
                  begins(line, count, "ERROR") || begins(line, count, "DEBUG");
    if (*out_jepsen) {
        if (!reader->model)
            reader->model = skein_linear_model_find("register");
        return 0;
    }
    if (count == strlen(OWN_HEADER) && begins(line, count, OWN_HEADER)) {
        reader->own = true;
        if (!reader->model)
            reader->model = skein_linear_model_find("store");
        return 0;
    }
    if (count > 0 && (line[0] == '{' || line[0] == ';'))
        return 0;
    return reader_fails(reader, "neither a map {...} nor a line of Jepsen's log");
}

static int
read_all(struct reader *reader, const char *text, size_t count)
{
    bool known = false, jepsen = false;
    for (size_t at = 0; at < count;) {
        const char *line = text + at, *end = memchr(line, '\n', count - at);
        size_t n = end ? (size_t)(end - line) : count - at;
        at += n + 1;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        if (++reader->line == UINT32_MAX)
            return reader_fails(reader, "too many lines");
        if (is_blank(line, n))
            continue;
        if (n > READ_TEXT_BYTES_MAX)
            return reader_fails(reader, "longer than 16 MiB");
        int rc = known ? 0 : detect(reader, line, n, &jepsen);
        known = true;
        if (rc == 0)
            rc = read_line(reader, line, n, jepsen);
        if (rc < 0)
            return rc;
    }
    if (reader->history->op_count == 0)
        return reader_fails(reader, "the file ends, and there was no operation in it");
    return 0;
}

int
skein_linear_read(struct skein_linear_history *history, const void *data, size_t count,
                  const struct skein_linear_model *model,
                  const struct skein_linear_model **out_model, char out_why[256])
{
    struct reader reader = {.history = history, .model = model, .out_why = out_why};
    skein_assert(history->op_count == 0);
    int rc = read_all(&reader, data, count);
    mem_free(reader.open);
    if (rc == 0 && out_model)
        *out_model = reader.model;
    return rc;
}
