/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: the in-memory table passes the suite of tables. */
#include "conformance/table_suite.h"

#include <stddef.h>

static struct store_table *
open_memtable(void)
{
    struct store_table *table = NULL;
    return store_memtable_open(&table) == 0 ? table : NULL;
}

int
main(void)
{
    const struct table_suite_factory factory = {.name = "memtable", .open = open_memtable};
    return table_suite_run(&factory);
}
