/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "obs/log.h"

static const char *const level_names[] = {[SKEIN_LOG_DEBUG] = "debug",
                                          [SKEIN_LOG_INFO] = "info",
                                          [SKEIN_LOG_WARN] = "warn",
                                          [SKEIN_LOG_ERROR] = "error",
                                          [SKEIN_LOG_OFF] = "off"};

const char *
skein_log_level_name(enum skein_log_level level)
{
    skein_assert((size_t)level < BASE_COUNT_OF(level_names));
    return level_names[level];
}

static int
find_level(const char *name, size_t bytes)
{
    for (size_t i = 0; i < BASE_COUNT_OF(level_names); i++)
        if (strlen(level_names[i]) == bytes && memcmp(name, level_names[i], bytes) == 0)
            return (int)i;
    return -1;
}

int
skein_log_level_find(const char *name)
{
    return find_level(name, strlen(name));
}

static bool
module_ok(const char *name, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = name[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return bytes > 0 && bytes <= SKEIN_LOG_MODULE_BYTES_MAX;
}

static bool
set_module(struct skein_log_levels *levels, const char *name, size_t bytes,
           enum skein_log_level level)
{
    uint32_t at = 0;
    while (at < levels->count && (strlen(levels->modules[at].module) != bytes ||
                                  memcmp(levels->modules[at].module, name, bytes) != 0))
        at++;
    if (at == SKEIN_LOG_MODULES_MAX)
        return false;
    if (at == levels->count) {
        memcpy(levels->modules[at].module, name, bytes);
        levels->modules[at].module[bytes] = '\0';
        levels->count++;
    }
    levels->modules[at].level = level;
    return true;
}

/* One item: a level, or module=level. */
static bool
parse_item(struct skein_log_levels *levels, const char *item, size_t bytes)
{
    const char *equals = memchr(item, '=', bytes);
    const char *name = equals ? equals + 1 : item;
    int level = find_level(name, bytes - (size_t)(name - item));
    if (level < 0)
        return false;
    if (!equals) {
        levels->fallback = (enum skein_log_level)level;
        return true;
    }
    size_t module_bytes = (size_t)(equals - item);
    return module_ok(item, module_bytes) &&
           set_module(levels, item, module_bytes, (enum skein_log_level)level);
}

int
skein_log_levels_parse(struct skein_log_levels *levels, const char *text, char out_why[256])
{
    struct skein_log_levels parsed = *levels;
    for (;;) {
        size_t bytes = strcspn(text, ",");
        if (!parse_item(&parsed, text, bytes)) {
            snprintf(out_why, 256,
                     "debug, info, warn, error or off, and module=level for at most %d modules, "
                     "separated by commas",
                     SKEIN_LOG_MODULES_MAX);
            return -SKEIN_EINVALID;
        }
        if (text[bytes] == '\0')
            break;
        text += bytes + 1;
    }
    *levels = parsed;
    return 0;
}

_Static_assert(8 + SKEIN_LOG_MODULES_MAX * (SKEIN_LOG_MODULE_BYTES_MAX + 8) <=
                   SKEIN_LOG_LEVELS_BYTES,
               "every text of levels has room");

const char *
skein_log_levels_text(const struct skein_log_levels *levels, char out[SKEIN_LOG_LEVELS_BYTES])
{
    size_t at =
        (size_t)snprintf(out, SKEIN_LOG_LEVELS_BYTES, "%s", skein_log_level_name(levels->fallback));
    for (uint32_t i = 0; i < levels->count; i++)
        at += (size_t)snprintf(out + at, SKEIN_LOG_LEVELS_BYTES - at, ",%s=%s",
                               levels->modules[i].module,
                               skein_log_level_name(levels->modules[i].level));
    skein_assert(at < SKEIN_LOG_LEVELS_BYTES);
    return out;
}

static enum skein_log_level
fallback_of(const struct skein_log_sink *sink)
{
    return sink->level > sink->levels.fallback ? sink->level : sink->levels.fallback;
}

bool
log_levels_allow(const struct skein_log_sink *sink, enum skein_log_level level, const char *module)
{
    for (uint32_t i = 0; i < sink->levels.count; i++)
        if (strcmp(sink->levels.modules[i].module, module) == 0)
            return level >= sink->levels.modules[i].level;
    return level >= fallback_of(sink);
}

enum skein_log_level
log_levels_lowest(const struct skein_log_sink *sink)
{
    enum skein_log_level lowest = fallback_of(sink);
    for (uint32_t i = 0; i < sink->levels.count; i++)
        if (sink->levels.modules[i].level < lowest)
            lowest = sink->levels.modules[i].level;
    return lowest;
}
