/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_FLAGS_H
#define APP_FLAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * The command line, from tables.
 *
 * Each option of a command is one row: its name, what it does, its default, its range and the field
 * it fills. The help, the environment variable and the checks come from the row, so that none of
 * them can say something else.
 *
 *     --tick-ms 50   --tick-ms=50   SKEIN_TICK_MS=50
 *
 * The command line beats the environment, the environment beats the default. What is wrong (an
 * unknown flag, one given twice, an empty value, one out of range, an argument too many) is refused
 * with one line that names the flag or the variable and what it accepts. "--" ends the flags; a
 * single dash begins an argument ("skein set balance -5"), except in -h.
 */

struct flags_row;

/*
 * A parser checks @text and fills @field. **Returns** 0, or -SKEIN_EINVALID with what is accepted
 * in
 * @out_why ("a whole number from 1 to 9"). @text outlives the options.
 */
typedef int flags_parse_fn(const struct flags_row *row, const char *text, void *field,
                           char out_why[256]);

struct flags_row {
    const char *name;     /* "tick-ms"; the environment variable is SKEIN_TICK_MS */
    const char *value;    /* how the help calls it, "N"; NULL: a switch without a value */
    const char *fallback; /* the default, as it would be typed; NULL: none */
    const char *help;
    flags_parse_fn *parse;
    size_t field_offset; /* into the options struct */
    size_t field_bytes;  /* of a number: 4 or 8 */
    uint64_t min, max;   /* of a number, in the row's own unit */
    uint64_t scale;      /* a number is stored times this (1000000 for ms to ns); 0 is 1 */
    bool required;       /* refused when neither given nor defaulted */
    const char *env;     /* the name whose variable it is, when that is not its own: another command
                            means something else by it; NULL: its own */
};

/* Where a row's value goes: its offset and size. */
#define FLAGS_FIELD(type, member) \
    .field_offset = offsetof(type, member), .field_bytes = sizeof(((type *)0)->member)

struct flags_command {
    const char *name;    /* "serve" */
    const char *usage;   /* "--node N --peers LIST --data DIR [OPTION...]" */
    const char *summary; /* one line */
    const char *details; /* paragraphs behind the options; NULL: none */
    const struct flags_row *rows;
    size_t row_count;
    int argument_min, argument_max;
};

enum flags_outcome {
    FLAGS_RUN,   /* go on */
    FLAGS_HELP,  /* the help was printed: exit 0 */
    FLAGS_USAGE, /* a line on standard error says what is wrong: exit 64 */
};

/* sysexits.h's EX_USAGE */
#define FLAGS_EXIT_USAGE 64

/*
 * flags_parse - fill @options from the defaults, the environment and @argv (without the program's
 * and the command's name).
 * @out_arguments, @out_count: the arguments that are not flags, in order, pointing into @argv.
 */
enum flags_outcome flags_parse(const struct flags_command *command, int argc, char **argv,
                               void *options, char ***out_arguments,
                               int *out_count) SKEIN_MUST_CHECK;

/* flags_exit - the exit status of an outcome that is not FLAGS_RUN. */
int flags_exit(enum flags_outcome outcome);

/* flags_print_help - what --help prints, to standard output. */
void flags_print_help(const struct flags_command *command);

/* flags_env_name - "tick-ms" -> "SKEIN_TICK_MS": the row's variable. Returns @out. */
const char *flags_env_name(const struct flags_row *row, char out[64]);

/* Parsers. Numbers are plain decimal; bytes may end in K, M or G (1024). */
flags_parse_fn flags_parse_number;
flags_parse_fn flags_parse_bytes;
flags_parse_fn flags_parse_text;    /* const char *; not empty; min to max bytes when max is set */
flags_parse_fn flags_parse_switch;  /* bool; in the environment 1, 0, true, false, yes, no */
flags_parse_fn flags_parse_address; /* struct skein_addr */

#endif
