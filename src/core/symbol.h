/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_SYMBOL_H
#define CORE_SYMBOL_H

#include <stddef.h>

/*
 * Addresses of code as a person reads them: function, file and line where the debugging information
 * is there (libdw), else function or object and offset.
 *
 * Both read files and take milliseconds: on a helper thread (skein_work), or when the process ends.
 */

/* symbol_list - "a (x.c:1) < b (y.c:2)", the innermost first, cut to fit @out. */
void symbol_list(void *const *frames, size_t frame_count, char *out, size_t out_bytes);

#endif
