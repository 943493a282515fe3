/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SETTINGS_H
#define SIM_SETTINGS_H

#include <stdio.h>

#include "sim/cluster.h"
#include "sim/setting_text.h"

/*
 * What a person wants otherwise than the seed has drawn it: NAME=VALUE, from the command line
 * (--set) or from a file (--plan), one a line, # begins a comment:
 *
 *   crash = 40           a kind of fault: off, on, or its weight among the kinds that are on
 *   loss = 5%            how often: off, on, or a percentage with one digit behind the point
 *   latency-max-us = 900 a number
 *   latency-shape = heavy
 *
 * Everything else is drawn as ever: the draws are the same, whatever is set. The later of two
 * settings of one name counts.
 */

#define SIM_SETTINGS_MAX 64
#define SIM_SETTINGS_WHY_BYTES SETTING_WHY_BYTES

struct sim_setting {
    uint32_t row; /* of the table in settings.c */
    uint64_t value;
};

struct sim_settings {
    uint32_t count;
    struct sim_setting items[SIM_SETTINGS_MAX];
};

/* sim_settings_take - one "name=value". **Returns** 0; -SKEIN_EINVALID: @out_why says what is wrong
 * with it, for a person. */
int sim_settings_take(struct sim_settings *settings, const char *text,
                      char out_why[SIM_SETTINGS_WHY_BYTES]) SKEIN_MUST_CHECK;
/* sim_settings_list - the same, separated by commas. */
int sim_settings_list(struct sim_settings *settings, const char *list,
                      char out_why[SIM_SETTINGS_WHY_BYTES]) SKEIN_MUST_CHECK;
/* sim_settings_read - the same, from a file; @out_why begins with the line's number. **Returns**
 * also -EIO: it cannot be read. */
int sim_settings_read(struct sim_settings *settings, FILE *file,
                      char out_why[SIM_SETTINGS_WHY_BYTES]) SKEIN_MUST_CHECK;
void sim_settings_apply(const struct sim_settings *settings, struct sim_plan *plan);
/* sim_settings_print - as sim_settings_list takes them. */
void sim_settings_print(const struct sim_settings *settings, FILE *file);

#endif
