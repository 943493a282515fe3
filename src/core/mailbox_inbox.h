/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_MAILBOX_INBOX_H
#define CORE_MAILBOX_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * What threads that are no shard post to a shard: a bounded queue with many writers and one reader.
 * A writer takes a position by moving `tail`, fills its cell and publishes it by the cell's
 * sequence; the reader frees it the same way. A cell at position p is free to write when its
 * sequence is p, full when it is p + 1.
 *
 * Partners: the sequence's release stores with its acquire loads; `closed` and `writer_count` with
 * each other: a writer counts itself in before it looks whether the inbox is closed.
 */

struct inbox_cell {
    uint64_t sequence;
    void (*fn)(void *arg);
    void *arg;
};

struct inbox {
    struct inbox_cell *cells;
    uint64_t mask;
    uint64_t head; /* the reader's */
    _Alignas(128) uint64_t tail;
    uint32_t writer_count;
    bool closed;
};

/* inbox_init - @count_max: cells, rounded up to a power of two. */
void inbox_init(struct inbox *inbox, uint32_t count_max);
void inbox_deinit(struct inbox *inbox);
/* inbox_enter / inbox_leave - around a writer's whole visit, so that the inbox is not taken away
 * under it. **Returns** 0; -SKEIN_ECLOSED, and then there is nothing to leave. */
int inbox_enter(struct inbox *inbox) SKEIN_MUST_CHECK;
void inbox_leave(struct inbox *inbox);
/* inbox_push - from any thread that has entered. **Returns** 0; -SKEIN_EAGAIN: full. */
int inbox_push(struct inbox *inbox, void (*fn)(void *arg), void *arg) SKEIN_MUST_CHECK;
/* inbox_is_empty / inbox_take - the reader's. */
bool inbox_is_empty(const struct inbox *inbox);
bool inbox_take(struct inbox *inbox, struct inbox_cell *out_cell);
/* inbox_close - no writer enters any more. inbox_is_quiet: none is inside either. */
void inbox_close(struct inbox *inbox);
bool inbox_is_quiet(const struct inbox *inbox);

#endif
