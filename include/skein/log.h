/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_LOG_H
#define SKEIN_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Structured logs: one line an event, `time level module event key=value ...`, to the sink of the
 * thread, and so of the shard. The sink has the clock: the simulator gives each node a sink with
 * virtual time. Values with spaces, quotes or control characters are quoted and escaped.
 *
 *     skein_log(SKEIN_LOG_INFO, "raft", "became leader", "term=%" PRIu64 " node=%u", term, node);
 *
 * gives   2026-11-20T21:00:00.000123Z info raft "became leader" term=7 node=2
 *
 * A line whose level no module has enabled costs one load and a branch: its arguments are not even
 * evaluated. Nothing is allocated in any case. Which levels are logged is set for each module,
 * while the program runs; of an event that repeats itself only so many lines a second are written,
 * and the next line of it says how many were not: suppressed=123.
 */

enum skein_log_level {
    SKEIN_LOG_DEBUG,
    SKEIN_LOG_INFO,
    SKEIN_LOG_WARN,
    SKEIN_LOG_ERROR,
    SKEIN_LOG_OFF /* as a threshold only: nothing */
};

/* ---- levels ---- */

#define SKEIN_LOG_MODULES_MAX 32
#define SKEIN_LOG_MODULE_BYTES_MAX 23
/* Room for the longest text of levels. */
#define SKEIN_LOG_LEVELS_BYTES 1024

/* What is logged, from which level on. Zeroed: everything. */
struct skein_log_levels {
    enum skein_log_level fallback; /* of modules that are not named */
    uint32_t count;
    struct {
        char module[SKEIN_LOG_MODULE_BYTES_MAX + 1];
        enum skein_log_level level;
    } modules[SKEIN_LOG_MODULES_MAX];
};

/*
 * skein_log_levels_parse - "info" or "info,raft=debug,kv=warn": the level of all, and of modules;
 * in any order, the last one of a name counts. What is not said stays as it is in @levels.
 * **Returns** 0; -SKEIN_EINVALID: what is accepted stands in @out_why; @levels is unchanged.
 */
int skein_log_levels_parse(struct skein_log_levels *levels, const char *text,
                           char out_why[256]) SKEIN_MUST_CHECK;
/* skein_log_levels_text - the inverse. Returns @out. */
const char *skein_log_levels_text(const struct skein_log_levels *levels,
                                  char out[SKEIN_LOG_LEVELS_BYTES]);
/* skein_log_level_name - "debug" and so on, "off". skein_log_level_find - -1: no such level. */
const char *skein_log_level_name(enum skein_log_level level);
int skein_log_level_find(const char *name);

/* ---- sinks ---- */

#define SKEIN_LOG_EVENTS 64

struct skein_log_sink {
    void *owner;
    enum skein_log_level level; /* as levels.fallback; the higher of the two counts */
    uint64_t (*wall_ns)(void *owner);
    void (*write)(void *owner, const char *line, uint64_t line_bytes); /* with its newline */
    struct skein_log_levels levels;
    uint32_t lines_per_second; /* of one event; 0: as many as come */

    /* The log's own. */
    struct skein_log_counts {
        uint64_t lines[SKEIN_LOG_OFF]; /* written, by level */
        uint64_t suppressed;
    } counts;
    struct skein_log_event {
        uint64_t hash; /* of module and event; 0: free */
        uint64_t second;
        uint32_t lines, suppressed;
    } events[SKEIN_LOG_EVENTS];
};

/* skein_log_set_sink - the calling thread's sink, borrowed; NULL: none (lines are dropped). Returns
 * the previous one. */
struct skein_log_sink *skein_log_set_sink(struct skein_log_sink *sink);
/* skein_log_set_levels - of the thread's sink, from now on. @levels: copied. **Returns** 0;
 * -SKEIN_ENOTFOUND: the thread has no sink. */
int skein_log_set_levels(const struct skein_log_levels *levels) SKEIN_MUST_CHECK;
/* skein_log_get_levels - of the thread's sink; false: it has none. */
bool skein_log_get_levels(struct skein_log_levels *out_levels);

/* ---- lines ---- */

/* The lowest level that any module of the thread's sink logs; SKEIN_LOG_OFF without a sink. */
extern __thread uint8_t skein_log_threshold;

/* skein_log_enabled - whether a line of @level may be logged by some module. */
static inline bool
skein_log_enabled(enum skein_log_level level)
{
    return (uint8_t)level >= skein_log_threshold;
}

/* skein_log - the format gives the key=value pairs (NULL: none); values that may hold anything are
 * printed with skein_log_quote. At most 1 KiB a line. */
#define skein_log(level, module, event, ...)                       \
    (__builtin_expect(skein_log_enabled(level), 0)                 \
         ? skein_log_line((level), (module), (event), __VA_ARGS__) \
         : (void)0)
void skein_log_line(enum skein_log_level level, const char *module, const char *event,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
/* skein_log_quote - @text as a quoted, escaped value in @out (truncated with ...); returns @out. */
const char *skein_log_quote(char *out, uint64_t out_bytes, const void *text, uint64_t text_bytes);

#ifdef __cplusplus
}
#endif

#endif
