/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_WORLD_H
#define APP_WORLD_H

#include "obs/log.h"
#include "skein/backend.h"

/*
 * The real world for one command: a backend, a stack pool and a shard on this thread.
 */

/*
 * world_run - run @main_fn as the shard's first fiber and tear everything down after it.
 * Returns what it returned; 1, with a line on standard error that names the remedy, when there is
 * no backend or no memory.
 */
int world_run(const char *command, int (*main_fn)(void *arg), void *arg);
/* world_run_on - the same on a backend as @wanted. @out_choice: filled in before @main_fn runs. */
int world_run_on(const char *command, struct skein_backend_options wanted,
                 struct skein_backend_choice *out_choice, int (*main_fn)(void *arg), void *arg);

/* world_sink - log lines of @levels to standard error, with the system's clock, at most 100 a
 * second of one event. */
struct obs_sink world_sink(const struct skein_log_levels *levels);

#endif
