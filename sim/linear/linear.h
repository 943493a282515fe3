/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINEAR_LINEAR_H
#define SIM_LINEAR_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/assert.h"

/*
 * A linearizability checker for histories of a key-value store (Herlihy and Wing 1990; the search
 * is Wing and Gong's with memory of failed configurations after Lowe 2017).
 *
 *   call     call          return        return
 *    |--- op 1 --------------|              |
 *             |--- op 2 --------------------|        op 3 was called and its outcome is unknown:
 *                  |--- op 3 ............................. it may take effect at any later time or
 * never
 *
 * A history is linearizable when each finished operation can be given one instant between its call
 * and its return such that, carried out at these instants, every one gives the result that was
 * observed. Keys are independent (locality), so each key is checked alone.
 *
 * The search goes through the events of a key in order. An operation is given its instant as late
 * as possible: at its own return, or before another operation that needs it. Two rules cut the
 * search: what can only observe is done where it fits, for it changes nothing; and of two
 * configurations with equal state and equal open obligations the one that has spent fewer
 * operations of unknown outcome is at least as good.
 */

enum linear_kind {
    LINEAR_READ,      /* observed: the value or absent */
    LINEAR_WRITE,     /* arg: the value. observed, if any: the value before (SET .. GET) */
    LINEAR_WRITE_NEW, /* SET NX: observed: absent when it was done, any value (say "") when it was
                         refused */
    LINEAR_WRITE_OLD, /* SET XX: observed: any value when it was done, absent when it was refused */
    LINEAR_CAS,       /* arg2 -> arg; observed: "1" done, "0" the value was another */
    LINEAR_APPEND,    /* arg; observed, if any: the length after, in decimal */
    LINEAR_ADD,       /* arg: a decimal integer; observed, if any: the sum, in decimal */
    LINEAR_DELETE,    /* observed, if any: "1" was there, "0" was not */
    LINEAR_KIND_COUNT
};
const char *linear_kind_name(enum linear_kind kind);

/* A value, or absent (data NULL). */
struct linear_value {
    const void *data;
    size_t count;
};
#define LINEAR_ABSENT ((struct linear_value){NULL, 0})

struct linear_history;

struct linear_history *linear_history_open(void);
void linear_history_close(struct linear_history *history);

/*
 * linear_call - an operation begins now (events are ordered by these calls). Everything is copied.
 * @process: who; one operation at a time each. @time_ns: for the report only. Returns the
 * operation's number.
 */
size_t linear_call(struct linear_history *history, uint32_t process, enum linear_kind kind,
                   struct linear_value key, struct linear_value arg, struct linear_value arg2,
                   uint64_t time_ns);
/* linear_ok - it returned with @observed now. @has_observed: false when the operation tells nothing
 * but that it was done. */
void linear_ok(struct linear_history *history, size_t op, bool has_observed,
               struct linear_value observed, uint64_t time_ns);
/* linear_fail - it certainly had no effect. */
void linear_fail(struct linear_history *history, size_t op);
/* linear_unknown - it may take effect at any time from its call on, or never. Also the state of
 * every operation that was never ended. */
void linear_unknown(struct linear_history *history, size_t op);

size_t linear_op_count(const struct linear_history *history);
/* linear_checked_count - operations that ended with linear_ok. */
size_t linear_checked_count(const struct linear_history *history);

enum linear_verdict { LINEAR_OK = 0, LINEAR_VIOLATION = 1, LINEAR_UNDECIDED = 3 };

struct linear_limits {
    uint64_t step_count_max;   /* configurations tried over all keys; 0: 50 million */
    uint64_t memory_bytes_max; /* of remembered configurations; 0: 1 GiB */
};

/*
 * linear_check - @report: where a violation is explained (the key, and the operations around the
 * first one that fits nowhere); NULL: nowhere. The cost grows with the operations open at once, not
 * with the history's length.
 */
enum linear_verdict linear_check(const struct linear_history *history,
                                 const struct linear_limits *limits, FILE *report);

#endif
