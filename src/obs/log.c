/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define LINE_BYTES_MAX 1024

static __thread struct skein_log_sink *thread_sink;
__thread uint8_t skein_log_threshold = SKEIN_LOG_OFF;

/* A line under construction; what does not fit is cut and marked. */
struct line {
    char text[LINE_BYTES_MAX];
    size_t count;
    bool cut;
};

static void
update_threshold(void)
{
    skein_log_threshold = (uint8_t)(thread_sink ? log_levels_lowest(thread_sink) : SKEIN_LOG_OFF);
}

struct skein_log_sink *
skein_log_set_sink(struct skein_log_sink *sink)
{
    struct skein_log_sink *previous = thread_sink;
    skein_assert(!sink || (sink->wall_ns && sink->write));
    thread_sink = sink;
    update_threshold();
    return previous;
}

int
skein_log_set_levels(const struct skein_log_levels *levels)
{
    if (!thread_sink)
        return -SKEIN_ENOTFOUND;
    /* What the sink began with does not hold it back. */
    thread_sink->level = SKEIN_LOG_DEBUG;
    thread_sink->levels = *levels;
    update_threshold();
    return 0;
}

bool
skein_log_get_levels(struct skein_log_levels *out_levels)
{
    if (!thread_sink)
        return false;
    *out_levels = thread_sink->levels;
    if (thread_sink->level > out_levels->fallback)
        out_levels->fallback = thread_sink->level;
    return true;
}

/* One byte as it stands between quotes: itself, \n and the like, or \x1b. Returns its length. */
static size_t
escape(uint8_t byte, char out[5])
{
    static const char plain[] = "\n\r\t\"\\";
    static const char named[] = "nrt\"\\";
    const char *at = byte ? strchr(plain, byte) : NULL;
    if (at) {
        out[0] = '\\';
        out[1] = named[at - plain];
        return 2;
    }
    if (byte < 0x20 || byte >= 0x7f)
        return (size_t)snprintf(out, 5, "\\x%02x", byte);
    out[0] = (char)byte;
    return 1;
}

const char *
skein_log_quote(char *out, uint64_t out_bytes, const void *text, uint64_t text_bytes)
{
    const uint8_t *from = text;
    uint64_t at = 0, wanted = 3; /* two quotes and the zero */
    char one[5];
    skein_assert(out_bytes >= 8);
    for (uint64_t i = 0; i < text_bytes && wanted <= out_bytes; i++)
        wanted += escape(from[i], one);
    uint64_t room = wanted <= out_bytes ? out_bytes - 2 : out_bytes - 5;
    out[at++] = '"';
    for (uint64_t i = 0; i < text_bytes; i++) {
        size_t count = escape(from[i], one);
        if (at + count > room) {
            memcpy(out + at, "...", 3);
            at += 3;
            break;
        }
        memcpy(out + at, one, count);
        at += count;
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}

static void line_printf(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
line_vprintf(struct line *line, const char *format, va_list arguments)
{
    size_t room = sizeof(line->text) - line->count;
    int wanted = vsnprintf(line->text + line->count, room, format, arguments);
    if (wanted < 0)
        return;
    if ((size_t)wanted >= room) {
        line->count = sizeof(line->text) - 1;
        line->cut = true;
        return;
    }
    line->count += (size_t)wanted;
}

static void
line_printf(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_vprintf(line, format, arguments);
    va_end(arguments);
}

/* The date of a day count since 1970, in the proleptic Gregorian calendar; years begin in March so
 * that the leap day is the last of its year (Hinnant, "chrono-compatible low-level date
 * algorithms"). */
static void
line_put_time(struct line *line, uint64_t wall_ns)
{
    uint64_t seconds = wall_ns / 1000000000, of_day = seconds % 86400;
    uint64_t days = seconds / 86400 + 719468;
    uint64_t era = days / 146097, of_era = days % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * of_year + 2) / 153;
    uint64_t day = of_year - (153 * month_from_march + 2) / 5 + 1;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = year_of_era + era * 400 + (month <= 2);
    line_printf(line,
                "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64
                ".%06" PRIu64 "Z",
                year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60,
                wall_ns % 1000000000 / 1000);
}

static void
line_put_event(struct line *line, const char *event)
{
    size_t bytes = strlen(event);
    bool bare = bytes > 0;
    for (const char *at = event; *at; at++) {
        if (*at <= ' ' || *at == '"' || *at == '\\' || *at == '=' || *at == 0x7f)
            bare = false;
    }
    char quoted[256];
    line_printf(line, " %s", bare ? event : skein_log_quote(quoted, sizeof(quoted), event, bytes));
}

/* A value that was not quoted must not be able to start a line of its own. */
static void
line_end(struct line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        unsigned char byte = (unsigned char)line->text[i];
        if (byte < 0x20 || byte == 0x7f)
            line->text[i] = '?';
    }
    if (line->cut)
        memcpy(line->text + line->count - 3, "...", 3);
    line->text[line->count++] = '\n';
}

void
skein_log_line(enum skein_log_level level, const char *module, const char *event,
               const char *format, ...)
{
    struct skein_log_sink *sink = thread_sink;
    uint32_t suppressed;
    skein_assert(level < SKEIN_LOG_OFF);
    if (!sink || !log_levels_allow(sink, level, module))
        return;
    uint64_t wall_ns = sink->wall_ns(sink->owner);
    if (!log_limit_allows(sink, module, event, wall_ns, &suppressed))
        return;
    struct line line = {.count = 0};
    line_put_time(&line, wall_ns);
    line_printf(&line, " %s %s", skein_log_level_name(level), module);
    line_put_event(&line, event);
    if (suppressed > 0)
        line_printf(&line, " suppressed=%" PRIu32, suppressed);
    if (format && *format) {
        va_list arguments;
        line_printf(&line, " ");
        va_start(arguments, format);
        line_vprintf(&line, format, arguments);
        va_end(arguments);
    }
    line_end(&line);
    sink->counts.lines[level]++;
    sink->write(sink->owner, line.text, line.count);
}
