/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_DRAW_H
#define SIM_DRAW_H

#include <stdio.h>

#include "sim/run.h"

/*
 * A run as a page: nodes as lines, coloured by their terms, messages as arrows, faults as marks;
 * one can scroll, zoom, filter and point at things. One file that needs no network.
 *
 *   sim_run --trace--> sim_draw_run --> page: the data as one line of JSON, and a script that draws
 * it
 *
 * Of a run with very many messages the last DRAW_MESSAGES_MAX are drawn.
 */

#define DRAW_MESSAGES_MAX 120000

/* sim_draw_run - @trace: a run's trace, read from its beginning. @page: where the page goes; the
 * caller looks at ferror. */
void sim_draw_run(FILE *trace, const struct sim_run_options *options,
                  const struct sim_run_result *result, FILE *page);

#endif
