/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Structured logs: one line an event, `time level module event key=value ...`, to the sink of the
 * thread. The sink has the clock: the simulator gives each node a sink with virtual time. Values
 * with spaces, quotes or control characters are quoted and escaped.
 *
 *     obs_log(OBS_INFO, "raft", "became leader", "term=%" PRIu64 " node=%u", term, node);
 *
 * gives   2026-11-20T21:00:00.000123Z info raft "became leader" term=7 node=2
 */

enum obs_level { OBS_DEBUG, OBS_INFO, OBS_WARN, OBS_ERROR };

struct obs_sink {
    void *owner;
    enum obs_level level; /* lines below it are not even formatted */
    uint64_t (*wall_ns)(void *owner);
    void (*write)(void *owner, const char *line, uint64_t line_bytes); /* with its newline */
};

/* obs_set_sink - the calling thread's sink, borrowed; NULL: none (lines are dropped). Returns the
 * previous one. */
struct obs_sink *obs_set_sink(struct obs_sink *sink);
bool obs_enabled(enum obs_level level);
/* obs_log - @format gives the key=value pairs; values that may hold anything are printed with
 * obs_quote. At most 1 KiB a line. */
void obs_log(enum obs_level level, const char *module, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* obs_quote - @text as a quoted, escaped value in @out (truncated with ...); returns @out. */
const char *obs_quote(char *out, uint64_t out_bytes, const void *text, uint64_t text_bytes);
const char *obs_level_name(enum obs_level level);
/* obs_level_find - -1: no such level. */
int obs_level_find(const char *name);

#endif
