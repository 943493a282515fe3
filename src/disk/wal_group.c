/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_group.h"

#include <string.h>

#include "base/mem.h"
#include "disk/wal_carry.h"

void
wal_segments_add(struct wal_segments *segments, uint32_t number)
{
    skein_assert(segments->count == 0 || segments->items[segments->count - 1].number + 1 == number);
    mem_grow(&segments->items, &segments->capacity, segments->count, sizeof(*segments->items));
    segments->items[segments->count++] = (struct wal_segment){.number = number};
}

void
wal_segments_deinit(struct wal_segments *segments)
{
    mem_free(segments->items);
    *segments = (struct wal_segments){0};
}

uint64_t
wal_groups_max(uint64_t segment_bytes)
{
    uint64_t payload = segment_bytes / WAL_BLOCK_BYTES * WAL_PAYLOAD_BYTES / 2;
    uint64_t count = (payload - WAL_CARRY_HEAD_BYTES) / WAL_CARRY_ROW_BYTES;
    return count < WAL_GROUPS_MAX ? count : WAL_GROUPS_MAX;
}

/* The place of @id, or where it belongs. */
static size_t
place_of(const struct wal_groups *groups, uint32_t id)
{
    size_t low = 0, high = groups->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (groups->items[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct wal_group *
wal_groups_find(const struct wal_groups *groups, uint32_t id)
{
    size_t place = place_of(groups, id);
    bool found = place < groups->count && groups->items[place]->id == id;
    return found ? groups->items[place] : NULL;
}

struct wal_group *
wal_groups_get(struct wal_groups *groups, uint32_t id)
{
    skein_assert(id < WAL_GROUPS_MAX);
    size_t place = place_of(groups, id);
    if (place < groups->count && groups->items[place]->id == id)
        return groups->items[place];
    struct wal_group *group = mem_zalloc(sizeof(*group));
    group->id = id;
    mem_grow(&groups->items, &groups->capacity, groups->count, sizeof(struct wal_group *));
    memmove(groups->items + place + 1, groups->items + place,
            (groups->count - place) * sizeof(struct wal_group *));
    groups->items[place] = group;
    groups->count++;
    return group;
}

static void
group_free(struct wal_group *group)
{
    for (size_t i = 0; i < group->entry_count; i++)
        bytes_unref(&group->entries[i].data);
    mem_free(group->entries);
    mem_free(group->pins);
    mem_free(group);
}

void
wal_groups_remove(struct wal_groups *groups, struct wal_group *group)
{
    size_t place = place_of(groups, group->id);
    skein_assert(groups->items[place] == group);
    skein_assert(group->pin_count == 0);
    memmove(groups->items + place, groups->items + place + 1,
            (groups->count - place - 1) * sizeof(struct wal_group *));
    groups->count--;
    group_free(group);
}

void
wal_groups_deinit(struct wal_groups *groups)
{
    for (size_t i = 0; i < groups->count; i++)
        group_free(groups->items[i]);
    mem_free(groups->items);
    *groups = (struct wal_groups){0};
}

uint64_t
wal_groups_known_count(const struct wal_groups *groups)
{
    uint64_t count = 0;
    for (size_t i = 0; i < groups->count; i++)
        count += groups->items[i]->known;
    return count;
}

struct wal_mark
wal_group_mark(const struct wal_group *group)
{
    const struct wal_state *state = &group->state;
    bool by_start = group->last_index < state->start_index;
    return (struct wal_mark){.group = group->id,
                             .state = *state,
                             .last_index = by_start ? state->start_index : group->last_index,
                             .last_term = by_start ? state->start_term : group->last_term};
}

/* Segments without gaps: a number's place follows from it. */
static struct wal_segment *
segment_of(struct wal_segments *segments, uint32_t number)
{
    if (segments->count == 0 || number < segments->items[0].number)
        return NULL;
    size_t place = number - segments->items[0].number;
    return place < segments->count ? &segments->items[place] : NULL;
}

void
wal_group_pin(struct wal_group *group, struct wal_segments *segments, uint32_t segment,
              uint64_t index, uint64_t bytes)
{
    struct wal_pin *last = group->pin_count ? &group->pins[group->pin_count - 1] : NULL;
    if (last && last->segment == segment) {
        if (last->index_max < index)
            last->index_max = index;
        last->bytes += bytes;
        return;
    }
    skein_assert(!last || last->segment < segment);
    mem_grow(&group->pins, &group->pin_capacity, group->pin_count, sizeof(*group->pins));
    group->pins[group->pin_count++] = (struct wal_pin){segment, index, bytes};
    struct wal_segment *pinned = segment_of(segments, segment);
    skein_assert(pinned);
    pinned->pin_count++;
}

void
wal_group_overwrite(struct wal_group *group, uint32_t segment, uint64_t index)
{
    for (size_t i = 0; i < group->pin_count && group->pins[i].segment < segment; i++)
        if (group->pins[i].index_max >= index)
            group->pins[i].index_max = index - 1;
}

static void
unpin(struct wal_group *group, struct wal_segments *segments, uint64_t index, uint32_t segment)
{
    size_t kept = 0;
    for (size_t i = 0; i < group->pin_count; i++) {
        const struct wal_pin *pin = &group->pins[i];
        struct wal_segment *pinned = segment_of(segments, pin->segment);
        if (pin->index_max > index && pin->segment >= segment)
            group->pins[kept++] = *pin;
        else if (pinned)
            pinned->pin_count--;
    }
    group->pin_count = kept;
}

void
wal_group_unpin_start(struct wal_group *group, struct wal_segments *segments, uint64_t index)
{
    unpin(group, segments, index, 0);
}

void
wal_group_unpin_segment(struct wal_group *group, struct wal_segments *segments, uint32_t segment)
{
    for (size_t i = 0; i < group->pin_count && group->pins[i].segment <= segment; i++)
        if (group->pins[i].segment == segment)
            group->pins[i].index_max = 0;
    unpin(group, segments, 0, 0);
}

void
wal_group_unpin_before(struct wal_group *group, struct wal_segments *segments, uint32_t segment)
{
    unpin(group, segments, 0, segment);
}
