/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include <stdbool.h>
#include <stdio.h>

/*
 * Checks for tests that run in fibers: cmocka's assertions jump off the stack, which a fiber must
 * not. A failed check is printed and counted; the test's own thread asserts on the count.
 */

struct check {
    unsigned failed_count;
};

static inline bool
check_that(struct check *check, bool ok, const char *text, const char *file, int line)
{
    if (ok)
        return true;
    check->failed_count++;
    fprintf(stderr, "%s:%d: check failed: %s\n", file, line, text);
    return false;
}

#define CHECK(check, cond) check_that((check), (cond), #cond, __FILE__, __LINE__)

#endif
