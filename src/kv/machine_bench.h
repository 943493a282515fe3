/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_MACHINE_BENCH_H
#define KV_MACHINE_BENCH_H

/*
 * For the tests: one machine without a replica, to which commands are given as lines of text. Its
 * log time is the test's to set.
 */

#include "kv/machine.h"

#define BENCH_START_MS 1000000

/* A node's defaults. */
extern const struct kv_limits bench_limits;

struct bench {
    void *machine;
    struct kv_limits limits; /* of the batches */
    uint64_t time_ms;
    struct wire_writer reply; /* of the last run, with a zero behind it */
};

/* bench_open - a machine in memory at BENCH_START_MS. @config: of kv_machine_ops.open. */
struct bench bench_open(void *config);
void bench_close(struct bench *bench);
/* bench_add_line - words separated by spaces, at most 16; '' is the empty one. */
void bench_add_line(struct wire_writer *batch, const char *line);
/* bench_run - apply the batch, or query with it; the reply is in bench->reply. */
void bench_run(struct bench *bench, struct wire_writer *batch, bool query);
/* bench_call - one command. Returns its reply, until the next run. */
const char *bench_call(struct bench *bench, const char *line, bool query);

/* A command and its reply; one that ends without CR LF is one line, or its beginning. */
struct bench_row {
    const char *line;
    const char *reply;
};
/* bench_check_rows - apply each command; the test fails at the first reply that differs. */
void bench_check_rows(struct bench *bench, const struct bench_row *rows, size_t count);
#define BENCH_CHECK_ROWS(bench, rows) bench_check_rows(bench, rows, BASE_COUNT_OF(rows))

#endif
