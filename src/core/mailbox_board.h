/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_MAILBOX_BOARD_H
#define CORE_MAILBOX_BOARD_H

#include <stdint.h>

#include "base/assert.h"

/*
 * A board on which each shard writes one number and all read all: loads, depths, hints. A reader
 * may see a number a little late; nothing else is ordered by it. Each number has a line of its own.
 */

#define BOARD_COUNT_MAX 256u

struct board_cell {
    _Alignas(128) uint64_t value;
};

static inline void
board_set(struct board_cell *board, unsigned shard, uint64_t value)
{
    skein_assert(shard < BOARD_COUNT_MAX);
    if (__atomic_load_n(&board[shard].value, __ATOMIC_RELAXED) != value)
        __atomic_store_n(&board[shard].value, value, __ATOMIC_RELAXED);
}

static inline uint64_t
board_get(const struct board_cell *board, unsigned shard)
{
    return __atomic_load_n(&board[shard].value, __ATOMIC_RELAXED);
}

/* board_count_up / board_count - a counter that one shard writes and others read. */
static inline void
board_count_up(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static inline uint64_t
board_count(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
