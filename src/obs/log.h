/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OBS_LOG_H
#define OBS_LOG_H

#include "skein/log.h"

/*
 * skein/log.h under the names that Skein's own layers use, and what its files share:
 *
 *   log.c   lines        log_levels.c   levels of modules        log_limit.c   lines a second
 */

#define OBS_DEBUG SKEIN_LOG_DEBUG
#define OBS_INFO SKEIN_LOG_INFO
#define OBS_WARN SKEIN_LOG_WARN
#define OBS_ERROR SKEIN_LOG_ERROR
#define OBS_OFF SKEIN_LOG_OFF
#define obs_level skein_log_level
#define obs_sink skein_log_sink
#define obs_log skein_log
#define obs_enabled skein_log_enabled
#define obs_quote skein_log_quote
#define obs_set_sink skein_log_set_sink

/* log_levels_allow - whether the sink logs lines of @level of @module. */
bool log_levels_allow(const struct skein_log_sink *sink, enum skein_log_level level,
                      const char *module);
/* log_levels_lowest - the lowest level that is logged at all. */
enum skein_log_level log_levels_lowest(const struct skein_log_sink *sink);
/* log_limit_allows - whether this line of the event may be written at @wall_ns. @out_suppressed:
 * how many were not, since the last one that was. */
bool log_limit_allows(struct skein_log_sink *sink, const char *module, const char *event,
                      uint64_t wall_ns, uint32_t *out_suppressed);

#endif
