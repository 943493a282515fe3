/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/settings.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "skein/error.h"

#define WEIGHT_ON 10
#define WEIGHT_MAX 1000

enum kind {
    KIND_RATE,   /* per mille, written as a percentage */
    KIND_NUMBER, /* times @unit */
    KIND_SHAPE,  /* one of shapes[] */
    KIND_SWITCH,
    KIND_WEIGHT /* of a fault; behind the table's rows, by enum sim_fault */
};

struct row {
    const char *name;
    enum kind kind;
    size_t offset, bytes; /* in struct sim_plan */
    uint64_t min, max;    /* as written; of a rate: per mille */
    uint64_t unit;        /* of a rate: what "on" means, per mille */
    const char *help;
};

#define IN_PLAN(field) offsetof(struct sim_plan, field), sizeof(((struct sim_plan *)0)->field)

static const struct row rows[] = {
    {"loss", KIND_RATE, IN_PLAN(always.loss), 0, 300, 100, "messages that are lost"},
    {"repeat", KIND_RATE, IN_PLAN(always.repeat), 0, 500, 50, "messages that come twice"},
    {"late", KIND_RATE, IN_PLAN(always.late), 0, 500, 100, "messages that others overtake"},
    {"torn", KIND_RATE, IN_PLAN(always.torn), 0, 1000, 500,
     "blocks under way at a power loss that lack sectors"},
    {"read-error", KIND_RATE, IN_PLAN(always.read_error), 0, 500, 5, "reads that fail"},
    {"write-error", KIND_RATE, IN_PLAN(always.write_error), 0, 500, 5, "writes that fail"},
    {"sync-error", KIND_RATE, IN_PLAN(always.sync_error), 0, 500, 10, "syncs that fail"},
    {"memory-error", KIND_RATE, IN_PLAN(always.memory_error), 0, 500, 5, "allocations that fail"},
    {"aimed", KIND_RATE, IN_PLAN(aimed_per_mille), 0, 1000, 300,
     "votes and acknowledgements that trouble is aimed at"},
    {"aimed-write", KIND_RATE, IN_PLAN(aimed_write_per_mille), 0, 100, 3,
     "durable writes during which the power goes"},
    {"fault-gap-ms", KIND_NUMBER, IN_PLAN(fault_gap_ns_max), 20, 60000, SIM_MS,
     "between two faults, at most"},
    {"latency-min-us", KIND_NUMBER, IN_PLAN(latency_ns_min), 1, 1000000, 1000,
     "of a message, the least"},
    {"latency-max-us", KIND_NUMBER, IN_PLAN(latency_ns_max), 1, 1000000, 1000,
     "of a message, the most (shapes with tails go beyond)"},
    {"latency-shape", KIND_SHAPE, IN_PLAN(latency_shape), 0, SIM_NET_SHAPE_COUNT - 1, 1,
     "uniform, fixed, exponential, heavy or two-peaks"},
    {"piece-bytes", KIND_NUMBER, IN_PLAN(piece_bytes_max), 1, 65536, 1,
     "of a stream that arrive at once, at most"},
    {"tcp", KIND_SWITCH, IN_PLAN(link_tcp), 0, 1, 1,
     "nodes talk over simulated connections, not whole messages"},
    {"upgrade", KIND_SWITCH, IN_PLAN(upgrade), 0, 1, 1,
     "nodes of the former build are replaced one by one; tcp goes with it"},
    {"tick-ms", KIND_NUMBER, IN_PLAN(tick_ns), 5, 1000, SIM_MS, "a heartbeat"},
    {"election-ticks", KIND_NUMBER, IN_PLAN(election_ticks), 3, 50, 1, "an election's timeout"},
    {"think-ms", KIND_NUMBER, IN_PLAN(think_ns_max), 1, 10000, SIM_MS,
     "of a client between two commands, at most"},
    {"checkpoint-bytes", KIND_NUMBER, IN_PLAN(checkpoint_log_bytes), 256, 1 << 30, 1,
     "of log between two checkpoints"},
    {"keep-bytes", KIND_NUMBER, IN_PLAN(keep_log_bytes), 0, 1 << 30, 1,
     "of log kept behind a checkpoint"},
};

static const char *const shapes[SIM_NET_SHAPE_COUNT] = {"uniform", "fixed", "exponential", "heavy",
                                                        "two-peaks"};
_Static_assert(BASE_COUNT_OF(rows) + SIM_FAULT_COUNT <= SIM_SETTINGS_MAX, "each may be set");

static enum kind
kind_of(uint32_t row)
{
    return row < BASE_COUNT_OF(rows) ? rows[row].kind : KIND_WEIGHT;
}

static const char *
name_of(uint32_t row)
{
    return row < BASE_COUNT_OF(rows) ? rows[row].name
                                     : sim_fault_name((enum sim_fault)(row - BASE_COUNT_OF(rows)));
}

static bool
parse_value(uint32_t row, const char *text, uint64_t *out_value)
{
    enum kind kind = kind_of(row);
    uint64_t min = 0, max = WEIGHT_MAX, on = WEIGHT_ON;
    if (kind != KIND_WEIGHT) {
        min = rows[row].min;
        max = rows[row].max;
        on = rows[row].unit;
    }
    if (kind == KIND_SHAPE) {
        for (*out_value = 0; *out_value < SIM_NET_SHAPE_COUNT; (*out_value)++)
            if (strcmp(shapes[*out_value], text) == 0)
                return true;
        return false;
    }
    if (kind != KIND_NUMBER && strcmp(text, "off") == 0)
        *out_value = 0;
    else if (kind != KIND_NUMBER && strcmp(text, "on") == 0)
        *out_value = on;
    else if (kind == KIND_SWITCH || !setting_figure(text, kind == KIND_RATE, out_value))
        return false;
    return *out_value >= min && *out_value <= max;
}

static void
explain_value(uint32_t row, char *out, size_t bytes)
{
    switch (kind_of(row)) {
    case KIND_RATE:
        snprintf(out, bytes, "off, on or 0%% to %" PRIu64 "%%", rows[row].max / 10);
        return;
    case KIND_NUMBER:
        snprintf(out, bytes, "%" PRIu64 " to %" PRIu64, rows[row].min, rows[row].max);
        return;
    case KIND_SHAPE:
        snprintf(out, bytes, "%s", rows[row].help);
        return;
    case KIND_SWITCH:
        snprintf(out, bytes, "off or on");
        return;
    case KIND_WEIGHT:
        snprintf(out, bytes, "off, on or a weight, 0 to %d", WEIGHT_MAX);
        return;
    }
    skein_unreachable();
}

static void
put(struct sim_settings *settings, uint32_t row, uint64_t value)
{
    uint32_t i = 0;
    while (i < settings->count && settings->items[i].row != row)
        i++;
    settings->items[i] = (struct sim_setting){row, value};
    settings->count += i == settings->count;
}

int
sim_settings_take(struct sim_settings *settings, const char *text,
                  char out_why[SIM_SETTINGS_WHY_BYTES])
{
    char name[SETTING_NAME_BYTES], value[SETTING_NAME_BYTES], range[96];
    uint64_t figure;
    int rc = setting_split(text, name, value, out_why);
    if (rc < 0)
        return rc;
    uint32_t row = 0;
    while (row < BASE_COUNT_OF(rows) + SIM_FAULT_COUNT && strcmp(name_of(row), name) != 0)
        row++;
    if (row == BASE_COUNT_OF(rows) + SIM_FAULT_COUNT) {
        snprintf(out_why, SIM_SETTINGS_WHY_BYTES, "there is no setting \"%s\"", name);
        return -SKEIN_EINVALID;
    }
    if (!parse_value(row, value, &figure)) {
        explain_value(row, range, sizeof(range));
        snprintf(out_why, SIM_SETTINGS_WHY_BYTES, "%s=%s: the value is to be %s", name, value,
                 range);
        return -SKEIN_EINVALID;
    }
    put(settings, row, figure);
    return 0;
}

static int
take(void *owner, const char *text, char out_why[SIM_SETTINGS_WHY_BYTES])
{
    return sim_settings_take(owner, text, out_why);
}

int
sim_settings_list(struct sim_settings *settings, const char *list,
                  char out_why[SIM_SETTINGS_WHY_BYTES])
{
    return setting_list(list, take, settings, out_why);
}

int
sim_settings_read(struct sim_settings *settings, FILE *file, char out_why[SIM_SETTINGS_WHY_BYTES])
{
    return setting_lines(file, take, settings, out_why);
}

static void
store(struct sim_plan *plan, const struct row *row, uint64_t value)
{
    char *field = (char *)plan + row->offset;
    uint32_t small = (uint32_t)value;
    bool on = value != 0;
    if (row->bytes == sizeof(value))
        memcpy(field, &value, sizeof(value));
    else if (row->bytes == sizeof(small))
        memcpy(field, &small, sizeof(small));
    else
        memcpy(field, &on, sizeof(on));
}

void
sim_settings_apply(const struct sim_settings *settings, struct sim_plan *plan)
{
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct sim_setting *item = &settings->items[i];
        if (kind_of(item->row) == KIND_WEIGHT)
            plan->weights[item->row - BASE_COUNT_OF(rows)] = (uint32_t)item->value;
        else if (kind_of(item->row) == KIND_NUMBER)
            store(plan, &rows[item->row], item->value * rows[item->row].unit);
        else
            store(plan, &rows[item->row], item->value);
    }
    plan->link_tcp = plan->link_tcp || plan->upgrade; /* only connections have versions */
    if (plan->latency_ns_max < plan->latency_ns_min)
        plan->latency_ns_max = plan->latency_ns_min;
}

void
sim_settings_print(const struct sim_settings *settings, FILE *file)
{
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct sim_setting *item = &settings->items[i];
        enum kind kind = kind_of(item->row);
        fprintf(file, "%s%s=", i ? "," : "", name_of(item->row));
        if (kind == KIND_RATE)
            fprintf(file, "%" PRIu64 ".%" PRIu64 "%%", item->value / 10, item->value % 10);
        else if (kind == KIND_SHAPE)
            fprintf(file, "%s", shapes[item->value]);
        else if (kind == KIND_SWITCH)
            fprintf(file, "%s", item->value ? "on" : "off");
        else
            fprintf(file, "%" PRIu64, item->value);
    }
}
