/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DRILL_LOAD_H
#define TESTS_DRILL_LOAD_H

#include "base/prng.h"
#include "skein/fiber.h"
#include "skein/linear.h"
#include "tests/drill/procs.h"

/*
 * Clients as fibers that write, read, append, add and delete through drawn nodes and record what
 * they saw. Keys belong to a round, so that each key's history stays short.
 */

struct load {
    struct procs *procs;
    struct skein_linear_history *history;
    struct skein_scope scope;
    struct skein_waitq woken;
    uint64_t seed;
    uint32_t client_count;
    uint32_t keys_per_round;
    uint64_t pause_ns; /* between two operations of a client */
    uint32_t round;
    bool stopping;
    uint64_t ok_count, failed_count, unknown_count;
    uint64_t
        last_write_ok_ns; /* when the latest write that was begun after mark_ns was acknowledged */
    uint64_t mark_ns;
    uint64_t first_write_after_mark_ns; /* 0: none yet */
    uint32_t next_process;
};

void load_start(struct load *load);
void load_stop(struct load *load);
/* load_mark - from now on watch for the first write that begins after this moment and is
 * acknowledged. */
void load_mark(struct load *load);
/* load_await_write - park until that write was acknowledged. Returns the ns since the mark, 0 at
 * the deadline. */
uint64_t load_await_write(struct load *load, uint64_t deadline_ns);
/* load_read_all - read every key of every round once, through any node, into the history. Returns
 * keys read or a negative code. */
int64_t load_read_all(struct load *load);

#endif
