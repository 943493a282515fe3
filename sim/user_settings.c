/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "sim/setting_text.h"
#include "sim/user.h"

#define WEIGHT_ON 10

_Static_assert(SKEIN_SIM_WHY_BYTES == SETTING_WHY_BYTES, "a reason is passed on as it is");

/* By bit of enum skein_sim_fault. */
static const char *const kinds[SKEIN_SIM_FAULT_KINDS] = {
    "crash", "power-loss", "pause",      "partition",  "one-way",   "isolate",
    "delay", "loss",       "disk-error", "disk-full",  "disk-slow", "reformat",
    "clock", "torn",       "rot",        "read-error", "memory"};

static const struct {
    const char *name;
    size_t offset; /* in struct skein_sim_rates */
} rates[] = {
    {"loss", offsetof(struct skein_sim_rates, loss)},
    {"duplicate", offsetof(struct skein_sim_rates, duplicate)},
    {"late", offsetof(struct skein_sim_rates, late)},
    {"torn", offsetof(struct skein_sim_rates, torn)},
    {"read-error", offsetof(struct skein_sim_rates, read_error)},
    {"write-error", offsetof(struct skein_sim_rates, write_error)},
    {"sync-error", offsetof(struct skein_sim_rates, sync_error)},
    {"memory", offsetof(struct skein_sim_rates, memory)},
};

static const struct {
    const char *name;
    size_t offset; /* in struct skein_sim_options */
    uint64_t unit_ns;
} times[] = {
    {"faults-ms", offsetof(struct skein_sim_options, faults_ns), SIM_MS},
    {"fault-gap-ms", offsetof(struct skein_sim_options, fault_gap_ns_max), SIM_MS},
    {"latency-max-us", offsetof(struct skein_sim_options, latency_ns_max), 1000},
    {"time-ms", offsetof(struct skein_sim_options, time_ns_max), SIM_MS},
};

static bool
set_kind(struct skein_sim_options *options, uint32_t kind, const char *value)
{
    uint64_t weight = 0;
    if (strcmp(value, "on") == 0)
        weight = WEIGHT_ON;
    else if (strcmp(value, "off") != 0 && !setting_figure(value, false, &weight))
        return false;
    if (weight > SKEIN_SIM_WEIGHT_MAX)
        return false;
    options->weights[kind] = (uint32_t)weight;
    options->faults &= ~(1u << kind);
    options->faults |= weight > 0 ? 1u << kind : 0;
    return true;
}

static bool
set_rate(struct skein_sim_options *options, size_t row, const char *value)
{
    uint64_t per_mille = 0;
    if (strcmp(value, "off") != 0 && !setting_figure(value, true, &per_mille))
        return false;
    uint32_t rate = (uint32_t)per_mille;
    memcpy((char *)&options->always + rates[row].offset, &rate, sizeof(rate));
    return per_mille <= 1000;
}

static bool
set_time(struct skein_sim_options *options, size_t row, const char *value)
{
    uint64_t figure;
    if (!setting_figure(value, false, &figure) || figure == 0)
        return false;
    figure *= times[row].unit_ns;
    memcpy((char *)options + times[row].offset, &figure, sizeof(figure));
    return true;
}

/* A kind of fault and a rate may have one name: a percentage is the rate's, "off" is for both. */
static int
take(void *owner, const char *text, char out_why[SETTING_WHY_BYTES])
{
    struct skein_sim_options *options = owner;
    char name[SETTING_NAME_BYTES], value[SETTING_NAME_BYTES];
    int rc = setting_split(text, name, value, out_why);
    if (rc < 0)
        return rc;
    bool known = false, taken = false;
    for (uint32_t i = 0; i < SKEIN_SIM_FAULT_KINDS; i++)
        if (strcmp(kinds[i], name) == 0) {
            known = true;
            taken |= set_kind(options, i, value);
        }
    for (size_t i = 0; i < BASE_COUNT_OF(rates); i++)
        if (strcmp(rates[i].name, name) == 0) {
            known = true;
            taken |= set_rate(options, i, value);
        }
    for (size_t i = 0; i < BASE_COUNT_OF(times); i++)
        if (strcmp(times[i].name, name) == 0) {
            known = true;
            taken |= set_time(options, i, value);
        }
    if (taken)
        return 0;
    snprintf(out_why, SETTING_WHY_BYTES,
             known ? "%s=%s: the value is to be off, on or a weight up to %d of a kind of fault, a "
                     "percentage of a rate, a number of a time"
                   : "there is no setting \"%s\"%.0s%.0d",
             name, value, SKEIN_SIM_WEIGHT_MAX);
    return -SKEIN_EINVALID;
}

int
skein_sim_set(struct skein_sim_options *options, const char *list,
              char out_why[SKEIN_SIM_WHY_BYTES])
{
    struct skein_sim_options changed = *options;
    int rc = setting_list(list, take, &changed, out_why);
    if (rc == 0)
        *options = changed;
    return rc;
}

int
skein_sim_plan(struct skein_sim_options *options, FILE *file, char out_why[SKEIN_SIM_WHY_BYTES])
{
    struct skein_sim_options changed = *options;
    int rc = setting_lines(file, take, &changed, out_why);
    if (rc == 0)
        *options = changed;
    return rc;
}
