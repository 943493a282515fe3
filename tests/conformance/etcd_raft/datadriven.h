/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_ETCD_RAFT_DATADRIVEN_H
#define TESTS_CONFORMANCE_ETCD_RAFT_DATADRIVEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * etcd's data-driven test files: a list of blocks, each a command and what it must print.
 *
 *     # comment, up to the end of the line; also between blocks
 *     command key=value key=(a, b) bare         a backslash at the end continues the line
 *     input, any number of lines
 *     ----
 *     expected output, up to an empty line
 *
 * Output that has empty lines of its own stands between doubled separators:
 *
 *     command
 *     ----
 *     ----
 *     expected output, empty lines too
 *     ----
 *     ----
 *
 * The driver reads a file, gives its blocks in order to a handler, and compares what the handler
 * printed with what is expected, line by line. Lines that etcd's own logger wrote (the first word
 * is DEBUG, INFO, WARN or ERROR) are left out on both sides. Where nothing else was expected, "ok",
 * which stands for "printed nothing", is equal to it.
 */

struct datadriven_arg {
    const char *key;
    const char *const *values; /* key=value: one; key=(a,b): each, trimmed; bare: none */
    size_t value_count;
};

struct datadriven_block {
    unsigned line; /* of the command, from 1 */
    const char *command;
    const struct datadriven_arg *args; /* in the file's order */
    size_t arg_count;
    const char *input;    /* lines joined by '\n', none after the last; "" without input */
    const char *expected; /* every line ended by '\n'; "" without output */
};

/* datadriven_arg_find - the first argument named @key, or NULL. */
const struct datadriven_arg *datadriven_arg_find(const struct datadriven_block *block,
                                                 const char *key);
/* datadriven_number - @text as an unsigned decimal number, all of it. */
bool datadriven_number(const char *text, uint64_t *out_number) SKEIN_MUST_CHECK;

/* Text that grows. Zeroed is empty and valid; `data` is always ended by a zero once not empty. */
struct text {
    char *data;
    size_t count;
    size_t capacity;
};

void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* text_str - never NULL. */
const char *text_str(const struct text *text);
void text_clear(struct text *text);
void text_deinit(struct text *text);

/*
 * What serves one folder's files. A file begins with open and ends with close.
 *
 * run - carry out @block and print what it prints into @out (an end of line is added where the
 * last one lacks it). **Returns** 0, also when the block's command failed in a way that the files
 * describe (the error's text is its output); a negative code: the block cannot be served (unknown
 * command, argument that makes no sense); @out then says why, and the file counts as malformed.
 */
struct datadriven_handler {
    const char *folder;
    void *(*open)(void);
    int (*run)(void *env, const struct datadriven_block *block, struct text *out);
    void (*close)(void *env);
};

extern const struct datadriven_handler quorum_handler;
extern const struct datadriven_handler confchange_handler;
extern const struct datadriven_handler interaction_handler;

/* A file's blocks, and the memory they point into. */
struct datadriven_file {
    struct datadriven_block *blocks;
    size_t block_count;
    char *memory;  /* every string */
    void **pieces; /* the arrays of arguments and values */
    size_t piece_count;
    size_t piece_capacity;
};

/*
 * datadriven_parse - @content of @bytes, which may be anything.
 * **Ownership**: datadriven_file_deinit. **Returns** 0; -SKEIN_EPROTO: not such a file; @out_why
 * says in which line and why not.
 */
int datadriven_parse(const char *content, size_t bytes, struct datadriven_file *out_file,
                     char out_why[256]) SKEIN_MUST_CHECK;
void datadriven_file_deinit(struct datadriven_file *file);

struct datadriven_totals {
    unsigned files;
    unsigned blocks;
    unsigned differing_files;
    unsigned differing_blocks;
    unsigned malformed_files;
};

/*
 * datadriven_run - carry out the file's content and print what differs into @report: the file's
 * @name, the line and the command, and the lines as a diff ('-' expected, '+' printed). A malformed
 * file ends at its first malformed block; that, too, is reported and counted.
 */
void datadriven_run(const struct datadriven_handler *handler, const char *name, const char *content,
                    size_t bytes, struct text *report, struct datadriven_totals *totals);

/* datadriven_diff - the lines of @expected and @actual side by side in one column. */
void datadriven_diff(const char *expected, const char *actual, struct text *out);

#endif
