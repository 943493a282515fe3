/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_LINEAR_H
#define SKEIN_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A linearizability checker for histories of clients (Herlihy and Wing 1990; the search is Wing and
 * Gong's with memory of failed configurations after Lowe 2017).
 *
 *   call     call          return        return
 *    |--- op 1 --------------|              |
 *             |--- op 2 --------------------|        op 3 was called and its outcome is unknown:
 *                  |--- op 3 ............................. it may take effect at any later time or
 *                                                          never
 *
 * A history is linearizable when each finished operation can be given one instant between its call
 * and its return such that, carried out at these instants, every one gives the result that was
 * observed. Keys are independent (locality), so each key is checked alone.
 *
 * The order of use:
 *
 *   skein_linear_open -> skein_linear_call, _ok, _fail, _unknown ...   recorded by a program, or
 *                        skein_linear_read                             out of a file's bytes
 *                     -> skein_linear_check -> skein_linear_print      the verdict, and why
 *                     -> skein_linear_result_deinit, skein_linear_close
 *
 * Everything here is pure computation: no clock, no file but the FILE one hands in. One thread.
 */

/* What an operation does, in the terms of the built-in models. */
enum skein_linear_kind {
    SKEIN_LINEAR_READ,      /* observed: the value or absent */
    SKEIN_LINEAR_WRITE,     /* arg: the value. observed, if any: the value before (SET .. GET) */
    SKEIN_LINEAR_WRITE_NEW, /* SET NX: observed: absent when it was done, any value (say "") when it
                               was refused */
    SKEIN_LINEAR_WRITE_OLD, /* SET XX: observed: any value when it was done, absent when it was
                               refused */
    SKEIN_LINEAR_CAS,       /* arg2 -> arg; observed: "1" done, "0" the value was another */
    SKEIN_LINEAR_APPEND,    /* arg; observed, if any: the length after, in decimal */
    SKEIN_LINEAR_ADD,       /* arg: a decimal integer; observed, if any: the sum, in decimal */
    SKEIN_LINEAR_DELETE,    /* observed, if any: "1" was there, "0" was not */
    SKEIN_LINEAR_KIND_COUNT,
    SKEIN_LINEAR_USER = 64 /* kinds from here to 1023 belong to a user's model */
};
/* skein_linear_kind_name - "read", "write-new" ...; "?" outside the range. */
const char *skein_linear_kind_name(uint32_t kind);

/* A value, or absent (data NULL). */
struct skein_linear_value {
    const void *data;
    size_t count;
};
#define SKEIN_LINEAR_ABSENT ((struct skein_linear_value){NULL, 0})

/* ---- models ---- */

/* An operation as a model sees it. */
struct skein_linear_op {
    uint32_t kind;
    bool finished;     /* false: the outcome is unknown, nothing was observed */
    bool has_observed; /* false: it tells nothing but that it was done */
    struct skein_linear_value arg, arg2, observed;
};

struct skein_linear_state; /* where a step puts the state behind it */

/* skein_linear_state_set - the state after the step is the @count bytes at @data (NULL: absent). */
void skein_linear_state_set(struct skein_linear_state *out_state, const void *data, size_t count);

/*
 * One object of the checked kind, as bytes. The built-in ones have no step of their own.
 *
 * step: carries @op out on @state. Deterministic, and of these arguments only; the same operation
 * may be tried on many states and many times. Calls skein_linear_state_set, or leaves the state as
 * it is. **Returns** whether what was observed agrees with the state; false: it cannot be here.
 * observes: true for an operation that never changes the state, whatever it is; it makes the search
 * much shorter. NULL: none does. kind_name: for the report. NULL: the number.
 */
struct skein_linear_model {
    const char *name;
    struct skein_linear_value initial;
    uint32_t kinds; /* of the built-in ones, a bit each; what a file may contain */
    void *owner;
    bool (*step)(void *owner, const struct skein_linear_op *op, struct skein_linear_value state,
                 struct skein_linear_state *out_state);
    bool (*observes)(void *owner, const struct skein_linear_op *op);
    const char *(*kind_name)(void *owner, uint32_t kind);
};

/*
 * skein_linear_model_find - a built-in model: "register" (read, write, cas; absent at first), "kv"
 * (get, put, append; empty at first), "store" (every kind above; absent at first). NULL: none of
 * them.
 */
const struct skein_linear_model *skein_linear_model_find(const char *name);

/* ---- recording ---- */

struct skein_linear_history;

/*
 * skein_linear_open - an empty history. @bytes_max: of memory for it; 0: without a limit. Only
 * skein_linear_read answers for the limit; a program that records bounds its own.
 */
struct skein_linear_history *skein_linear_open(uint64_t bytes_max);
/* skein_linear_close - @history may be NULL. */
void skein_linear_close(struct skein_linear_history *history);

/*
 * skein_linear_call - an operation begins now (events are ordered by these calls). Everything is
 * copied.
 * @process: who; one operation at a time each. @time_ns: for the report only.
 * Returns the operation's number.
 */
size_t skein_linear_call(struct skein_linear_history *history, uint32_t process, uint32_t kind,
                         struct skein_linear_value key, struct skein_linear_value arg,
                         struct skein_linear_value arg2, uint64_t time_ns);
/* skein_linear_event_count - calls and returns so far. */
uint64_t skein_linear_event_count(const struct skein_linear_history *history);
/*
 * skein_linear_call_behind - as skein_linear_call, but it counts as called right behind the
 * @event-th event (of skein_linear_event_count): a read that may be as old as that. Several
 * operations of a process may then be open at a time; a file that is written of them is read again
 * only if each has a process of its own.
 */
size_t skein_linear_call_behind(struct skein_linear_history *history, uint64_t event,
                                uint32_t process, uint32_t kind, struct skein_linear_value key,
                                struct skein_linear_value arg, struct skein_linear_value arg2,
                                uint64_t time_ns);
/* skein_linear_ok - it returned with @observed now. @has_observed: false when the operation tells
 * nothing but that it was done. */
void skein_linear_ok(struct skein_linear_history *history, size_t op, bool has_observed,
                     struct skein_linear_value observed, uint64_t time_ns);
/* skein_linear_fail - it certainly had no effect. */
void skein_linear_fail(struct skein_linear_history *history, size_t op);
/* skein_linear_unknown - it may take effect at any time from its call on, or never. Also the state
 * of every operation that was never ended. */
void skein_linear_unknown(struct skein_linear_history *history, size_t op);

size_t skein_linear_op_count(const struct skein_linear_history *history);
/* skein_linear_checked_count - operations that ended with skein_linear_ok. */
size_t skein_linear_checked_count(const struct skein_linear_history *history);

/* ---- files ---- */

/*
 * skein_linear_read - add what stands in @data to an empty history. The format is detected:
 *
 *   jepsen  INFO  jepsen.util - 3<TAB>:ok<TAB>:cas<TAB>[1 2]
 *           a register; :info, and :fail of a read, as Jepsen means them
 *   edn     {:process 0, :type :ok, :f :append, :key "4", :value "x 0 1 y"}
 *           one map a line, keys in any order; get, put, append: a kv; read, write, cas: a register
 *   skein   "; skein history 1", then maps as above with :time and :observed: what
 *           skein_linear_write writes; a store
 *
 * Strict: a line of another form, a return without a call, a second call of a process that has one
 * open, a return that contradicts its call, and a kind the model has not, end the reading.
 * @model: what it must be; NULL: as detected. @out_model: which it is.
 * @out_why: "line 12: ..." when it fails.
 * **Returns** 0; -SKEIN_EFORMAT: the bytes are no history; -SKEIN_ENOMEM: it is larger than the
 * history's limit.
 */
int skein_linear_read(struct skein_linear_history *history, const void *data, size_t count,
                      const struct skein_linear_model *model,
                      const struct skein_linear_model **out_model,
                      char out_why[256]) SKEIN_MUST_CHECK;

/* skein_linear_write - the history in the skein format. The caller looks at ferror. Kinds of a
 * user's model are not written: the file would not be readable. */
void skein_linear_write(const struct skein_linear_history *history, FILE *file);

/* ---- the verdict ---- */

enum skein_linear_verdict {
    SKEIN_LINEAR_OK = 0,
    SKEIN_LINEAR_VIOLATION = 1,
    SKEIN_LINEAR_UNDECIDED = 3
};

struct skein_linear_options {
    const struct skein_linear_model *model; /* NULL: "store" */
    uint64_t step_count_max;                /* configurations tried over all keys; 0: no limit */
    uint64_t memory_bytes_max;              /* history and search together; 0: 2 GiB */
    /* Asked every few thousand steps: whether to give up. NULL: never. */
    bool (*stop)(void *owner);
    void *owner;
    bool explain; /* look for the smallest part that fits nowhere */
};

/* Filled by skein_linear_check. */
struct skein_linear_result {
    enum skein_linear_verdict verdict;
    const char *why;    /* of an undecided one; static */
    size_t key_count;   /* keys looked at, the last one being the one with the fault */
    uint64_t steps;     /* configurations tried */
    uint64_t bytes_max; /* of memory at its largest moment */
    /* Of a violation: the operations of one key (numbers, in order of their calls) that cannot all
     * have their instants. All others of the key may take effect whenever it helps. */
    size_t *ops;
    size_t op_count;
    size_t other_count; /* of the key: those that do not help */
    bool is_minimal;    /* each of ops is needed: without its instant the rest would fit */
};

/*
 * skein_linear_check - the cost grows with the operations open at once and not with the history's
 * length. A violation is found at the first key that has one, in the order of first use.
 * @options: NULL: the defaults. @out_result: NULL when only the verdict matters; else to be given
 * to skein_linear_result_deinit.
 */
enum skein_linear_verdict skein_linear_check(struct skein_linear_history *history,
                                             const struct skein_linear_options *options,
                                             struct skein_linear_result *out_result);
void skein_linear_result_deinit(struct skein_linear_result *result);

/* skein_linear_print - one line for an undecided result; for a violation a table of the operations
 * and their times beside each other; nothing for OK. */
void skein_linear_print(const struct skein_linear_history *history,
                        const struct skein_linear_options *options,
                        const struct skein_linear_result *result, FILE *file);
/* skein_linear_print_json - the result as one JSON object, without a newline. */
void skein_linear_print_json(const struct skein_linear_history *history,
                             const struct skein_linear_options *options,
                             const struct skein_linear_result *result, FILE *file);

#ifdef __cplusplus
}
#endif
#endif
