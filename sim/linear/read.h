/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_LINEAR_READ_H
#define SIM_LINEAR_READ_H

#include "sim/linear/internal.h"

/*
 * One line of a history file, whatever its format, and the rules they share:
 *
 *   line --> read_jepsen | read_edn --> struct read_event --> the history
 *
 * A process has at most one operation open; its return says the same function, and the same value
 * where the value is not the answer.
 */

#define READ_TEXT_BYTES_MAX ((size_t)16 << 20)

enum read_type { READ_INVOKE, READ_OK, READ_FAIL, READ_INFO };

/* A value in a file: NULL text is nil. **Ownership**: owned is freed with the event. */
struct read_value {
    char *owned;
    size_t count;
    bool timed_out; /* jepsen's :timed-out in the value's place */
    bool is_text;   /* else nil, or absent in the line */
};

struct read_event {
    enum read_type type;
    uint32_t process;
    uint32_t kind;
    bool has_key, has_value, has_observed;
    struct read_value key, value, value2, observed; /* value2: what a cas compares with */
    uint64_t time_ns;
};

void read_event_deinit(struct read_event *event);

struct reader {
    struct skein_linear_history *history;
    const struct skein_linear_model *model; /* NULL: nothing has told yet */
    bool own;                               /* the skein format, where :fail has no exception */
    uint32_t line;
    struct read_open *open; /* by process: hash table */
    size_t open_count, open_slots;
    char *out_why;
};

/* reader_fails - the message of the present line; returns -SKEIN_EFORMAT. */
int reader_fails(struct reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* reader_kind - the kind of a function's name, whose model has to have it. */
int reader_kind(struct reader *reader, const char *name, size_t count, uint32_t *out_kind);

/* A line, without its end. @out_event: filled when 1 is returned. **Returns** 1; 0: a line that
 * says nothing; negative: out_why is filled. */
int read_jepsen(struct reader *reader, const char *line, size_t count,
                struct read_event *out_event);
int read_edn(struct reader *reader, const char *line, size_t count, struct read_event *out_event);

#endif
