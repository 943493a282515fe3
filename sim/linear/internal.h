/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINEAR_INTERNAL_H
#define SIM_LINEAR_INTERNAL_H

#include "base/mem.h"
#include "sim/linear/linear.h"

/*
 * Shared between the recording of a history (linear.c), the model (model.c) and the search
 * (search.c).
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
};

void value_set_init(struct value_set *set);
void value_set_deinit(struct value_set *set);
uint32_t value_intern(struct value_set *set, const void *data, size_t count);
uint32_t value_of(struct value_set *set, struct linear_value value);

enum op_end { OP_OPEN, OP_OK, OP_FAILED };

struct op {
    enum linear_kind kind;
    enum op_end end;
    bool has_observed;
    uint32_t process;
    uint32_t key, arg, arg2, observed; /* value ids */
    uint64_t call_seq, return_seq;
    uint64_t call_ns, return_ns;
};

struct linear_history {
    struct value_set values;
    struct op *ops;
    size_t op_count, op_capacity;
    uint64_t next_seq;
};

/*
 * model_step - carry @op out on @state. **Returns** whether the outcome agrees with what was
 * observed;
 * @out_state: the state after it.
 */
bool model_step(struct value_set *values, const struct op *op, uint32_t state, uint32_t *out_state);

/* search_key - the operations @ops[0..count) (indices into the history, ascending by call) of one
 * key. */
struct search_budget {
    uint64_t steps_left;
    uint64_t bytes_left;
};
enum linear_verdict search_key(struct value_set *values, const struct op *ops,
                               const size_t *indices, size_t count, struct search_budget *budget,
                               FILE *report);

#endif
