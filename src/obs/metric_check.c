/* SPDX-License-Identifier: Apache-2.0 */
#include "obs/metric_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
metric_check_deinit(struct metric_check *check)
{
    for (size_t i = 0; i < check->count; i++)
        free(check->lines[i]);
    free(check->lines);
    *check = (struct metric_check){0};
}

void
metric_check_fail(struct metric_check *check, const char *format, ...)
{
    va_list arguments;
    if (check->why[0])
        return;
    va_start(arguments, format);
    vsnprintf(check->why, sizeof(check->why), format, arguments);
    va_end(arguments);
}

static void
keep_line(struct metric_check *check, const char *line)
{
    if (check->count == check->capacity) {
        check->capacity = check->capacity ? 2 * check->capacity : 64;
        check->lines = realloc(check->lines, check->capacity * sizeof(check->lines[0]));
        skein_assert(check->lines != NULL);
    }
    check->lines[check->count++] = strdup(line);
}

void
metric_check_keep(struct metric_check *check, const struct metric_sample *sample, bool drop_empty)
{
    char line[16384];
    size_t at = (size_t)snprintf(line, sizeof(line), "%s{", sample->name);
    for (size_t i = 0; i < sample->label_count; i++)
        if (!drop_empty || sample->labels[i].value[0])
            at += (size_t)snprintf(line + at, sizeof(line) - at, "%s=%s;", sample->labels[i].name,
                                   sample->labels[i].value);
    snprintf(line + at, sizeof(line) - at, "} %.17g", sample->value);
    keep_line(check, line);
}

bool
metric_check_number(const char *text, size_t bytes, double *out_value)
{
    char copy[64];
    size_t at = 0;
    bool digits = false;
    if (bytes == 0 || bytes >= sizeof(copy))
        return false;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    at += copy[at] == '-';
    bool zero = copy[at] == '0';
    size_t whole = strspn(copy + at, "0123456789");
    at += whole;
    digits = whole > 0 && !(zero && whole > 1);
    if (copy[at] == '.') {
        size_t fraction = strspn(copy + at + 1, "0123456789");
        digits = digits && fraction > 0;
        at += 1 + fraction;
    }
    *out_value = strtod(copy, NULL);
    return digits && at == bytes;
}

/* ---- the Prometheus text format 0.0.4 and OpenMetrics 1.0 ---- */

enum kind { NONE, COUNTER, GAUGE, HISTOGRAM, SUMMARY };

struct reader {
    struct metric_check *check;
    const char *at, *end; /* the rest of the line */
    bool openmetrics;
    bool ended; /* # EOF was read */
    int line;
    char family[256];
    bool help, type, unit;
    enum kind kind;
    char seen[512][256]; /* families */
    size_t seen_count;
    struct metric_check identities; /* every sample's name and labels */
    /* the series of buckets that is being read */
    char bucket_labels[8192];
    double bucket_edge, bucket_count;
    bool bucket_inf;
};

static void
fault(struct reader *r, const char *what)
{
    metric_check_fail(r->check, "line %d: %s: \"%.60s\"", r->line, what,
                      r->at < r->end ? r->at : "");
}

static size_t
name_length(const struct reader *r, bool colons)
{
    size_t n = 0;
    while (r->at + n < r->end) {
        char c = r->at[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(colons && c == ':') && !(n > 0 && c >= '0' && c <= '9'))
            break;
        n++;
    }
    return n;
}

static bool
take(struct reader *r, const char *what)
{
    size_t n = strlen(what);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, what, n) != 0)
        return false;
    r->at += n;
    return true;
}

static bool
take_name(struct reader *r, char out[256], bool colons)
{
    size_t n = name_length(r, colons);
    if (n == 0 || n > 255)
        return false;
    memcpy(out, r->at, n);
    out[n] = '\0';
    r->at += n;
    return true;
}

/* A family begins: it must not have been there before. */
static void
begin_family(struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->seen_count; i++)
        if (strcmp(r->seen[i], name) == 0)
            fault(r, "a family that was there before");
    skein_assert(r->seen_count < BASE_COUNT_OF(r->seen));
    snprintf(r->seen[r->seen_count++], 256, "%s", name);
    snprintf(r->family, sizeof(r->family), "%s", name);
    r->help = r->type = r->unit = r->bucket_inf = false;
    r->bucket_labels[0] = '\0';
    r->kind = NONE;
}

static void
read_help(struct reader *r)
{
    for (; r->at < r->end; r->at++) {
        if (*r->at == '"' && r->openmetrics)
            fault(r, "a bare quote in a help text");
        if (*r->at != '\\')
            continue;
        r->at++;
        if (r->at == r->end || !strchr(r->openmetrics ? "\\n\"" : "\\n", *r->at))
            fault(r, "an unknown escape in a help text");
    }
}

static void
read_comment(struct reader *r)
{
    static const char *const kinds[] = {"", "counter", "gauge", "histogram", "summary"};
    char keyword[256], name[256];
    if (r->openmetrics && r->end - r->at == 3 && take(r, "EOF")) {
        r->ended = true;
        return;
    }
    if (!take_name(r, keyword, false) || !take(r, " ") || !take_name(r, name, true) ||
        !take(r, " ")) {
        fault(r, "neither HELP, TYPE nor UNIT");
        return;
    }
    if (strcmp(name, r->family) != 0)
        begin_family(r, name);
    bool *done = strcmp(keyword, "HELP") == 0   ? &r->help
                 : strcmp(keyword, "TYPE") == 0 ? &r->type
                 : strcmp(keyword, "UNIT") == 0 ? &r->unit
                                                : NULL;
    if (!done || *done || (done == &r->unit && !r->openmetrics)) {
        fault(r, "a keyword that may not stand here");
        return;
    }
    *done = true;
    if (done == &r->help) {
        read_help(r);
    } else if (done == &r->type) {
        for (int i = COUNTER; i <= SUMMARY; i++)
            if (take(r, kinds[i]))
                r->kind = (enum kind)i;
    } else {
        size_t n = (size_t)(r->end - r->at), all = strlen(name);
        if (n == 0 || all <= n + 1 || name[all - n - 1] != '_' ||
            memcmp(name + all - n, r->at, n) != 0)
            fault(r, "a unit that does not end the name");
        r->at = r->end;
    }
    if (r->at != r->end || (done == &r->type && r->kind == NONE))
        fault(r, "bytes behind the end");
}

static bool
take_value(struct reader *r, char out[600])
{
    size_t n = 0;
    if (!take(r, "\""))
        return false;
    for (; r->at < r->end && *r->at != '"' && n < 599; r->at++) {
        char c = *r->at;
        if (c == '\\') {
            r->at++;
            if (r->at == r->end || !strchr("\\\"n", *r->at))
                return false;
            c = *r->at == 'n' ? '\n' : *r->at;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    return take(r, "\"");
}

static bool
take_labels(struct reader *r, struct metric_sample *sample)
{
    if (!take(r, "{"))
        return true;
    do {
        size_t n = sample->label_count++;
        if (n == 16 || !take_name(r, sample->labels[n].name, false) || !take(r, "=") ||
            !take_value(r, sample->labels[n].value))
            return false;
        for (size_t i = 0; i < n; i++)
            if (strcmp(sample->labels[i].name, sample->labels[n].name) == 0)
                return false;
    } while (take(r, ","));
    return take(r, "}");
}

static void
check_bucket(struct reader *r, const struct metric_sample *sample)
{
    char labels[8192] = "x";
    double edge = NAN;
    size_t at = 1;
    for (size_t i = 0; i < sample->label_count; i++) {
        if (strcmp(sample->labels[i].name, "le") == 0)
            edge = strcmp(sample->labels[i].value, "+Inf") == 0
                       ? INFINITY
                       : strtod(sample->labels[i].value, NULL);
        else
            at += (size_t)snprintf(labels + at, sizeof(labels) - at, "%s=%s;",
                                   sample->labels[i].name, sample->labels[i].value);
    }
    bool same = strcmp(labels, r->bucket_labels) == 0;
    if (isnan(edge) || (same && (edge <= r->bucket_edge || sample->value < r->bucket_count)))
        fault(r, "buckets that do not ascend");
    if (!same && r->bucket_labels[0] && !r->bucket_inf)
        fault(r, "buckets without +Inf");
    snprintf(r->bucket_labels, sizeof(r->bucket_labels), "%s", labels);
    r->bucket_edge = edge;
    r->bucket_count = sample->value;
    r->bucket_inf = isinf(edge);
}

/* Whether the sample may stand in the family, by its name. */
static void
check_kind(struct reader *r, const struct metric_sample *sample)
{
    size_t n = strlen(r->family);
    const char *suffix = sample->name + n;
    bool quantile = false, le = false;
    for (size_t i = 0; i < sample->label_count; i++) {
        quantile |= strcmp(sample->labels[i].name, "quantile") == 0;
        le |= strcmp(sample->labels[i].name, "le") == 0;
    }
    bool ok = strncmp(sample->name, r->family, n) == 0 && r->help && r->type;
    bool sum = ok && (strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0);
    if (r->kind == COUNTER)
        ok = ok && strcmp(suffix, r->openmetrics ? "_total" : "") == 0 && sample->value >= 0;
    else if (r->kind == GAUGE)
        ok = ok && *suffix == '\0' && !quantile && !le;
    else if (r->kind == HISTOGRAM)
        ok = ok && (le ? strcmp(suffix, "_bucket") == 0 : sum);
    else
        ok = ok && (quantile ? *suffix == '\0' : sum);
    if (!ok)
        fault(r, "a sample that does not belong here");
    if (ok && le)
        check_bucket(r, sample);
    if (ok && r->kind == HISTOGRAM && strcmp(suffix, "_count") == 0 &&
        (!r->bucket_inf || r->bucket_count != sample->value))
        fault(r, "a count that is not the last bucket's");
}

static void
read_sample(struct reader *r)
{
    struct metric_sample sample = {0};
    if (!take_name(r, sample.name, true) || !take_labels(r, &sample) || !take(r, " ")) {
        fault(r, "not a sample");
        return;
    }
    size_t n = (size_t)(r->end - r->at);
    bool nan_value = n == 3 && memcmp(r->at, "NaN", 3) == 0 && r->kind == SUMMARY;
    if (!nan_value && !metric_check_number(r->at, n, &sample.value)) {
        fault(r, "not a value");
        return;
    }
    check_kind(r, &sample);
    if (r->kind == COUNTER || r->kind == GAUGE)
        metric_check_keep(r->check, &sample, false);
    r->check->sample_count++;
    sample.value = 0;
    metric_check_keep(&r->identities, &sample, false);
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
metric_check_prometheus(struct metric_check *check, const char *text, size_t bytes,
                        bool openmetrics)
{
    struct reader *r = calloc(1, sizeof(*r));
    skein_assert(r != NULL);
    *r = (struct reader){.check = check, .openmetrics = openmetrics};
    const char *end = text + bytes;
    while (text < end && !check->why[0]) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        r->line++;
        r->at = text;
        r->end = newline ? newline : end;
        if (!newline)
            fault(r, "a line without an end");
        else if (r->ended)
            fault(r, "a line behind # EOF");
        else if (take(r, "# "))
            read_comment(r);
        else
            read_sample(r);
        text = r->end + 1;
    }
    if (openmetrics && !r->ended)
        metric_check_fail(check, "# EOF is missing");
    struct metric_check *all = &r->identities;
    if (all->count)
        qsort(all->lines, all->count, sizeof(all->lines[0]), compare);
    for (size_t i = 1; i < all->count; i++)
        if (strcmp(all->lines[i - 1], all->lines[i]) == 0)
            metric_check_fail(check, "twice: %.200s", all->lines[i]);
    metric_check_deinit(all);
    free(r);
}
