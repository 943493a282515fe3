/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CONFORMANCE_TABLE_SUITE_H
#define TESTS_CONFORMANCE_TABLE_SUITE_H

#include "store/table.h"

/*
 * What every implementation of store/table.h passes. The program of an implementation calls
 * table_suite_run with the way to open an empty table, and returns its result from main; from a
 * fiber, when the table needs one.
 *
 * Random operations from fixed seeds run beside a model (a sorted array); snapshots live across
 * them and are compared with copies of the model taken at the same instant.
 */

struct table_suite_factory {
    const char *name;
    struct store_table *(*open)(void);
    /* Something that must not be seen from outside (a flush begins, goes on, or is waited for);
     * NULL: there is no such thing. @random picks. May suspend. */
    void (*disturb)(struct store_table *table, uint64_t random);
    /* Before the table is closed: what disturb has begun ends. NULL with it. */
    void (*settle)(struct store_table *table);
};

int table_suite_run(const struct table_suite_factory *factory);

#endif
