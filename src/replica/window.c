/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/window.h"

#include <string.h>

static void
advance(struct window *window, uint64_t id)
{
    if (id - window->highest >= WINDOW_IDS) {
        memset(window->bits, 0, sizeof window->bits);
    } else {
        for (uint64_t i = window->highest + 1; i <= id; i++)
            window->bits[i % WINDOW_IDS / 64] &= ~(UINT64_C(1) << (i % 64));
    }
    window->highest = id;
}

bool
window_take(struct window *window, uint64_t id)
{
    if (id > window->highest)
        advance(window, id);
    else if (window->highest - id >= WINDOW_IDS)
        return false;
    uint64_t mask = UINT64_C(1) << (id % 64);
    uint64_t *word = &window->bits[id % WINDOW_IDS / 64];
    if (*word & mask)
        return false;
    *word |= mask;
    return true;
}
