/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_WINDOW_H
#define REPLICA_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which request ids of one origin have been seen. Ids ascend at the origin; messages may be
 * repeated and reordered. An id is taken once; one that is older than the window is refused, as it
 * cannot be told from a repeat.
 */
#define WINDOW_IDS 16384u

struct window {
    uint64_t highest;
    uint64_t bits[WINDOW_IDS / 64];
};

/* window_take - true: the first time, carry it out. */
bool window_take(struct window *window, uint64_t id);

#endif
