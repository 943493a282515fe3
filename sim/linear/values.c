/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim/linear/internal.h"

static uint64_t
hash_bytes(const uint8_t *data, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325ull ^ count;
    while (count >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
        data += sizeof(word);
        count -= sizeof(word);
    }
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ data[i]) * 0x100000001b3ull;
    return hash ^ hash >> 29;
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

static void
place_all(struct value_set *set)
{
    mem_free(set->slots);
    set->slots = mem_zalloc(set->slot_count * sizeof(uint32_t));
    for (uint32_t each = 1; each < set->count; each++)
        place(set, each);
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
    skein_assert(set->count < UINT32_MAX);
    mem_grow(&set->values, &set->capacity, set->count, sizeof(struct value));
    uint32_t id = (uint32_t)set->count++;
    set->values[id] = (struct value){.data = mem_alloc(count), .count = count, .hash = hash};
    memcpy(set->values[id].data, data, count);
    set->bytes += count + sizeof(struct value) + 32;
    if (set->count * 2 > set->slot_count) {
        set->slot_count *= 2;
        place_all(set);
        return id;
    }
    place(set, id);
    return id;
}

uint32_t
value_of(struct value_set *set, struct skein_linear_value value)
{
    return value.data ? value_intern(set, value.data, value.count) : VALUE_ABSENT;
}

void
value_set_rewind(struct value_set *set, size_t count)
{
    skein_assert(count >= 1);
    if (count == set->count)
        return;
    for (size_t i = count; i < set->count; i++) {
        set->bytes -= set->values[i].count + sizeof(struct value) + 32;
        mem_free(set->values[i].data);
    }
    set->count = count;
    place_all(set);
}

struct skein_linear_value
value_at(const struct value_set *set, uint32_t id)
{
    skein_assert(id < set->count);
    return (struct skein_linear_value){set->values[id].data, set->values[id].count};
}
