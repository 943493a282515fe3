/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_carry.h"

#include <string.h>

#include "base/mutation.h"
#include "base/wire.h"
#include "skein/error.h"

#define CARRY_LASTS 1u

static void
mark_store(uint8_t *to, const struct wal_mark *mark)
{
    wal_state_encode(to, &mark->state);
    wire_store(to + 40, mark->last_index, 8);
    wire_store(to + 48, mark->last_term, 8);
    wire_store(to + 56, mark->group, 4);
}

static struct wal_mark
mark_load(const uint8_t *from)
{
    return (struct wal_mark){.state = wal_state_decode(from),
                             .last_index = wire_load(from + 40, 8),
                             .last_term = wire_load(from + 48, 8),
                             .group = (uint32_t)wire_load(from + 56, 4)};
}

static void
head_store(uint8_t *to, const struct wal_carry *carry, uint64_t row_count, uint32_t flags)
{
    memset(to, 0, WAL_CARRY_HEAD_BYTES);
    wire_store(to, carry->continuing_bytes, 8);
    wire_store(to + 8, row_count, 4);
    wire_store(to + 12, flags, 4);
    mark_store(to + 16, &carry->after);
}

size_t
wal_carry_bytes(const struct wal_groups *groups)
{
    return WAL_CARRY_HEAD_BYTES + (size_t)wal_groups_known_count(groups) * WAL_CARRY_ROW_BYTES;
}

void
wal_carry_encode(uint8_t *to, const struct wal_carry *carry, const struct wal_groups *groups)
{
    head_store(to, carry, wal_groups_known_count(groups), CARRY_LASTS);
    to += WAL_CARRY_HEAD_BYTES;
    for (size_t i = 0; i < groups->count; i++) {
        if (!groups->items[i]->known)
            continue;
        struct wal_mark row = wal_group_mark(groups->items[i]);
        if (mutation_on(MUTATION_CARRY_FORGOTTEN))
            row.state.hard_state = (struct raft_hard_state){0};
        mark_store(to, &row);
        to += WAL_CARRY_ROW_BYTES;
    }
}

void
wal_carry_convert(const uint8_t from[WAL_CARRY_OLD_BYTES],
                  uint8_t to[WAL_CARRY_HEAD_BYTES + WAL_CARRY_ROW_BYTES])
{
    struct wal_carry carry = {.continuing_bytes = wire_load(from + 40, 8),
                              .after.state = wal_state_decode(from + 48)};
    struct wal_mark row = {.state = wal_state_decode(from)};
    head_store(to, &carry, 1, 0);
    mark_store(to + WAL_CARRY_HEAD_BYTES, &row);
}

int
wal_carry_decode(const uint8_t head[WAL_CARRY_HEAD_BYTES], struct wal_carry *out_carry)
{
    struct wal_carry carry = {.continuing_bytes = wire_load(head, 8),
                              .row_count = (uint32_t)wire_load(head + 8, 4),
                              .lasts = wire_load(head + 12, 4) & CARRY_LASTS,
                              .after = mark_load(head + 16)};
    if (carry.row_count > WAL_GROUPS_MAX || carry.after.group >= WAL_GROUPS_MAX ||
        wire_load(head + 12, 4) > CARRY_LASTS)
        return -SKEIN_ECORRUPT;
    *out_carry = carry;
    return 0;
}

struct wal_mark
wal_carry_row(const uint8_t row[WAL_CARRY_ROW_BYTES])
{
    return mark_load(row);
}
