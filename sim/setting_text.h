/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SETTING_TEXT_H
#define SIM_SETTING_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "skein/error.h"

/*
 * NAME=VALUE as a person writes it: in a list, separated by commas, or one a line of a file, where
 * # begins a comment. What a name and a value mean is the caller's (settings.c, user_settings.c).
 */

#define SETTING_NAME_BYTES 32
#define SETTING_WHY_BYTES 256

/* One "name=value". **Returns** 0; -SKEIN_EINVALID with @out_why, for a person. */
typedef int setting_take_fn(void *owner, const char *text, char out_why[SETTING_WHY_BYTES]);

/* setting_split - -SKEIN_EINVALID: not NAME=VALUE, and @out_why says so. */
int setting_split(const char *text, char out_name[SETTING_NAME_BYTES],
                  char out_value[SETTING_NAME_BYTES],
                  char out_why[SETTING_WHY_BYTES]) SKEIN_MUST_CHECK;
/* setting_figure - digits; of a percentage ("5%", "0.5%") the value is per mille. False: it is none
 * that fits 32 bits. */
bool setting_figure(const char *text, bool percent, uint64_t *out_value) SKEIN_MUST_CHECK;
/* setting_list - each of @list to @take, up to the first that it refuses. */
int setting_list(const char *list, setting_take_fn *take, void *owner,
                 char out_why[SETTING_WHY_BYTES]) SKEIN_MUST_CHECK;
/* setting_lines - the same of a file; @out_why begins with the line's number. **Returns** also
 * -EIO: it cannot be read. */
int setting_lines(FILE *file, setting_take_fn *take, void *owner,
                  char out_why[SETTING_WHY_BYTES]) SKEIN_MUST_CHECK;

#endif
