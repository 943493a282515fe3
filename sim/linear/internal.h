/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINEAR_INTERNAL_H
#define SIM_LINEAR_INTERNAL_H

#include <stdio.h>
#include "base/assert.h"
#include "base/mem.h"
#include "skein/linear.h"

/*
 * The parts of the checker:
 *
 *   history.c  recording          read.c, read_edn.c, write.c   files
 *   values.c   interned values    model.c                       one step on one state
 *   layout.c   the returns of one key, and who is open at each
 *   interest.c what a read may still see
 *   search.c   one key            check.c                       all keys; the smallest part
 *   print.c    for a person, and as JSON
 *
 * Values are interned: equal bytes have equal ids, so a state of the model is one number.
 */

#define VALUE_ABSENT 0u

struct value {
    uint8_t *data;
    size_t count;
    uint64_t hash;
};

struct value_set {
    struct value *values; /* [VALUE_ABSENT] is the absent one */
    size_t count, capacity;
    uint32_t *slots; /* open addressing; 0: empty (the absent value is never looked up) */
    size_t slot_count;
    uint64_t bytes; /* of all this */
};

void value_set_init(struct value_set *set);
void value_set_deinit(struct value_set *set);
uint32_t value_intern(struct value_set *set, const void *data, size_t count);
uint32_t value_of(struct value_set *set, struct skein_linear_value value);
/* value_set_rewind - forget every value from id @count on. */
void value_set_rewind(struct value_set *set, size_t count);
struct skein_linear_value value_at(const struct value_set *set, uint32_t id);

enum op_end { OP_OPEN, OP_OK, OP_FAILED };

struct op {
    uint16_t kind;
    uint8_t end; /* enum op_end */
    bool has_observed;
    uint32_t process;
    uint32_t key, arg, arg2, observed; /* value ids */
    uint32_t call_line, return_line;   /* of the file it was read from; 0: none */
    uint64_t call_seq, return_seq;
    uint64_t call_ns, return_ns;
};

struct skein_linear_history {
    struct value_set values;
    struct op *ops;
    size_t op_count, op_capacity;
    uint64_t next_seq;
    uint64_t bytes_max;
};

uint64_t history_bytes(const struct skein_linear_history *history);

/* ---- model.c ---- */

/*
 * model_step - carry @op out on @state. **Returns** whether the outcome agrees with what was
 * observed; @out_state: the state after it.
 */
bool model_step(const struct skein_linear_model *model, struct value_set *values,
                const struct op *op, uint32_t state, uint32_t *out_state);
/* model_observes - to do it where it fits is never worse than to do it later. (A write of the value
 * that is there already does not count: it may be needed behind another write.) */
bool model_observes(const struct skein_linear_model *model, const struct value_set *values,
                    const struct op *op);
const char *model_kind_name(const struct skein_linear_model *model, uint32_t kind, char out[16]);

/* ---- layout.c ---- */

struct open_op {
    const struct op *op;
    uint32_t slot;
    uint32_t class; /* equal operations have equal ones */
    bool observes;
};

/* A return of an operation, and who is open at that moment; the first of them is the one that
 * returns, the others follow by their returns. */
struct ret {
    uint32_t open_at, open_count; /* into layout.open */
    uint32_t unknown_count;       /* unknown operations called before: a prefix of layout.unknown */
    uint32_t appends_called, appends_returned; /* finished and unknown ones, before this */
    uint32_t next_read; /* the first return from this on of a read that saw something, or count */
    uint32_t makers_at, makers_count; /* of a read: into layout.makers; MAKERS_MANY */
};
#define MAKERS_MANY UINT32_MAX

struct unknown_op {
    const struct op *op;
    uint32_t class;
    uint32_t equal_before; /* the unknown one before it of its class, + 1; 0: none */
};

/* An operation that can put in place what a read saw, or what it saw begins with. */
struct maker {
    const struct op *op;
    uint32_t at;        /* its slot; of unknown outcome: its place in layout.unknown */
    uint32_t return_at; /* of a finished one: the return's place */
};

/* A key's operations, laid out for the search. */
struct layout {
    struct op *ops; /* copies */
    size_t op_count;
    const struct skein_linear_model *model;
    struct ret *rets;
    size_t ret_count;
    struct open_op *open;
    size_t open_count, open_capacity;
    struct unknown_op *unknown;
    size_t unknown_count;
    struct maker *makers;
    size_t maker_count, maker_capacity;
    size_t slot_count; /* operations open at once, at most */
    uint64_t bytes;
};

/* An operation as the search is to take it: the explanation takes some as of unknown outcome, or
 * leaves them out. */
enum op_use { USE_AS_IS, USE_AS_UNKNOWN, USE_NOT };

void layout_init(struct layout *layout, const struct skein_linear_model *model,
                 const struct value_set *values, const struct op *ops, const size_t *indices,
                 const uint8_t *uses, size_t count);
void layout_deinit(struct layout *layout);

/* ---- interest.c ---- */

/*
 * Of a key that is only read, written and appended to, with no word about what was there: a state
 * that no read to come has seen the beginning of is as good as any other such state, for only a
 * write leads out of it. All of them are STATE_LOST. There, and just before a write, whatever no
 * read to come has seen is done at no cost.
 */
#define STATE_LOST UINT32_MAX

struct interest_read {
    uint32_t observed;
    uint32_t until; /* the return's place + 1 */
};

struct interest {
    bool active; /* else everything is of interest */
    bool grows;  /* something appends */
    bool framed; /* a read that has an append's bytes in it has seen that append, or an equal one */
    const struct value_set *values;
    const struct layout *layout;
    struct interest_read *reads;
    size_t read_count;
    uint32_t *state_until; /* by value; UINT32_MAX: not known yet */
    size_t state_count, state_capacity;
    uint32_t *arg_counts; /* by value: operations that write or append it */
    uint32_t *op_until;   /* by operation; + 1; 0: not known yet */
};

void interest_init(struct interest *interest, const struct layout *layout,
                   const struct value_set *values);
void interest_deinit(struct interest *interest);
/* interest_of_state, _of_op - whether a read that returns at @ret or later may have seen it. */
bool interest_of_state(struct interest *interest, uint32_t state, uint32_t ret);
bool interest_of_op(struct interest *interest, const struct op *op, uint32_t ret);

/* ---- search.c ---- */

struct budget {
    uint64_t steps_left;
    uint64_t steps;
    uint64_t bytes_max; /* in all */
    uint64_t bytes_used_max;
    bool (*stop)(void *owner);
    void *owner;
    const char *why; /* what was exhausted */
};

struct search_result {
    enum skein_linear_verdict verdict;
    size_t furthest; /* of a violation: no return behind this one was looked at */
};

/* search_key - @base_bytes: what is in use beside the search. */
struct search_result search_key(struct value_set *values, const struct layout *layout,
                                uint64_t base_bytes, struct budget *budget);

/* ---- write.c ---- */
/* linear_put_value - quoted, what is not ASCII escaped, for our own histories and for JSON;
 * @absent: how "no value" is said. */
void linear_put_value(FILE *file, const char *absent, const struct value_set *values, uint32_t id);

#endif
