/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

#define OTHER "other"
#define VALUES_MAX_MAX 100000u

struct entry {
    uint64_t count;
    char value[];
};

/* Open addressing; at most half full, nothing is ever taken out. */
struct skein_counter_set {
    struct skein_metrics *metrics;
    struct skein_metric row;
    char *label_name;
    uint32_t values_max, value_count;
    uint32_t slot_count; /* a power of two */
    struct entry *other;
    struct entry **slots;
};

static struct entry *
entry_open(struct skein_counter_set *set, const char *value)
{
    size_t bytes = strlen(value) + 1;
    struct entry *entry = mem_zalloc(sizeof(*entry) + bytes);
    memcpy(entry->value, value, bytes);
    struct skein_label label = {set->label_name, entry->value};
    if (skein_metrics_add(set->metrics, entry, &set->row, 1, &label, 1) == 0)
        return entry;
    mem_free(entry);
    return NULL;
}

int
skein_counter_set_open(struct skein_counter_set **out_set, struct skein_metrics *metrics,
                       const struct skein_metric *row, const char *label_name, uint32_t values_max)
{
    if (row->kind != SKEIN_COUNTER || values_max == 0 || values_max > VALUES_MAX_MAX)
        return -SKEIN_EINVALID;
    struct skein_counter_set *set = mem_zalloc(sizeof(*set));
    set->metrics = metrics;
    set->row = *row;
    set->row.field_offset = offsetof(struct entry, count);
    set->row.field_bytes = sizeof(uint64_t);
    set->row.read = NULL;
    set->label_name = mem_strdup(label_name);
    set->values_max = values_max;
    set->slot_count = 1;
    while (set->slot_count < 2 * values_max)
        set->slot_count *= 2;
    set->slots = mem_zalloc(set->slot_count * sizeof(set->slots[0]));
    struct skein_label label = {set->label_name, OTHER};
    set->other = mem_zalloc(sizeof(*set->other) + sizeof(OTHER));
    memcpy(set->other->value, OTHER, sizeof(OTHER));
    int rc = skein_metrics_add(metrics, set->other, &set->row, 1, &label, 1);
    if (rc < 0) {
        skein_counter_set_close(set);
        return rc;
    }
    *out_set = set;
    return 0;
}

/* FNV-1a. */
static uint32_t
hash(const char *value)
{
    uint32_t sum = 2166136261u;
    for (; *value; value++)
        sum = (sum ^ (uint8_t)*value) * 16777619u;
    return sum;
}

uint64_t *
skein_counter_set_at(struct skein_counter_set *set, const char *value)
{
    uint32_t at = hash(value) & (set->slot_count - 1);
    if (strcmp(value, OTHER) == 0)
        return &set->other->count;
    while (set->slots[at]) {
        if (strcmp(set->slots[at]->value, value) == 0)
            return &set->slots[at]->count;
        at = (at + 1) & (set->slot_count - 1);
    }
    struct entry *entry = set->value_count < set->values_max ? entry_open(set, value) : NULL;
    if (!entry)
        return &set->other->count;
    set->value_count++;
    set->slots[at] = entry;
    return &entry->count;
}

static void
entry_close(struct skein_counter_set *set, struct entry *entry)
{
    if (!entry)
        return;
    skein_metrics_remove(set->metrics, entry);
    mem_free(entry);
}

void
skein_counter_set_close(struct skein_counter_set *set)
{
    if (!set)
        return;
    entry_close(set, set->other);
    for (uint32_t i = 0; i < set->slot_count; i++)
        entry_close(set, set->slots[i]);
    mem_free(set->slots);
    mem_free(set->label_name);
    mem_free(set);
}
