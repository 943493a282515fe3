/* SPDX-License-Identifier: Apache-2.0 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
base_die(const char *file, int line, const char *text)
{
    fprintf(stderr, "skein: %s:%d: %s\n", file, line, text);
    abort();
}
