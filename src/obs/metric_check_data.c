/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "obs/metric_check.h"

/* A cursor over the text; the first fault ends everything. */
struct cursor {
    struct metric_check *check;
    const char *start, *at, *end;
};

static void
fault(struct cursor *c, const char *what)
{
    metric_check_fail(c->check, "at byte %zu: %s", (size_t)(c->at - c->start), what);
    c->at = c->end;
}

static bool
take(struct cursor *c, char byte)
{
    if (c->at == c->end || *c->at != byte)
        return false;
    c->at++;
    return true;
}

static void
want(struct cursor *c, char byte)
{
    char what[32];
    snprintf(what, sizeof(what), "'%c' expected", byte);
    if (!take(c, byte))
        fault(c, what);
}

/* ---- JSON ---- */

static void
skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n'))
        c->at++;
}

static void
read_string(struct cursor *c, char *out, size_t room)
{
    size_t n = 0;
    want(c, '"');
    while (c->at < c->end && *c->at != '"') {
        unsigned char byte = (unsigned char)*c->at++;
        if (byte < 0x20)
            fault(c, "a control character in a string");
        if (byte == '\\' && c->at < c->end) {
            byte = (unsigned char)*c->at++;
            if (byte == 'u') {
                char hex[5] = {0};
                if (c->end - c->at < 4)
                    return fault(c, "a short \\u");
                memcpy(hex, c->at, 4);
                if (strspn(hex, "0123456789abcdefABCDEF") != 4 || hex[0] != '0' || hex[1] != '0')
                    return fault(c, "a strange \\u");
                byte = (unsigned char)strtoul(hex, NULL, 16);
                c->at += 4;
            } else if (!strchr("\"\\/", byte)) {
                return fault(c, "an unknown escape");
            }
        }
        if (n + 1 < room)
            out[n++] = (char)byte;
    }
    out[n] = '\0';
    want(c, '"');
}

static double
read_number(struct cursor *c)
{
    double value = 0;
    size_t n = 0;
    while (c->at + n < c->end && strchr("-.0123456789", c->at[n]))
        n++;
    if (!metric_check_number(c->at, n, &value))
        fault(c, "not a number");
    else
        c->at += n;
    return value;
}

static void
read_labels(struct cursor *c, struct metric_sample *sample)
{
    want(c, '{');
    if (take(c, '}'))
        return;
    do {
        size_t n = sample->label_count++;
        if (n == 16)
            return fault(c, "too many labels");
        read_string(c, sample->labels[n].name, sizeof(sample->labels[n].name));
        want(c, ':');
        read_string(c, sample->labels[n].value, sizeof(sample->labels[n].value));
    } while (take(c, ','));
    want(c, '}');
}

static void
read_series(struct cursor *c, const char *name, bool plain)
{
    struct metric_sample sample = {0};
    char member[64];
    bool valued = false;
    snprintf(sample.name, sizeof(sample.name), "%s", name);
    want(c, '{');
    do {
        read_string(c, member, sizeof(member));
        want(c, ':');
        if (strcmp(member, "labels") == 0) {
            read_labels(c, &sample);
        } else {
            sample.value = read_number(c);
            valued |= strcmp(member, "value") == 0;
        }
    } while (take(c, ','));
    want(c, '}');
    if (valued != plain)
        fault(c, "a value where figures belong, or the other way round");
    else if (plain)
        metric_check_keep(c->check, &sample, false);
    c->check->sample_count++;
}

static void
read_family(struct cursor *c)
{
    char name[256], kind[64], member[64], help[4096];
    want(c, '{');
    read_string(c, member, sizeof(member));
    want(c, ':');
    read_string(c, name, sizeof(name));
    want(c, ',');
    read_string(c, member, sizeof(member));
    want(c, ':');
    read_string(c, kind, sizeof(kind));
    want(c, ',');
    read_string(c, member, sizeof(member));
    want(c, ':');
    read_string(c, help, sizeof(help));
    want(c, ',');
    read_string(c, member, sizeof(member));
    want(c, ':');
    want(c, '[');
    bool plain = strcmp(kind, "counter") == 0 || strcmp(kind, "gauge") == 0;
    do {
        read_series(c, name, plain);
    } while (take(c, ','));
    want(c, ']');
    want(c, '}');
}

void
metric_check_json(struct metric_check *check, const char *text, size_t bytes)
{
    struct cursor c = {.check = check, .start = text, .at = text, .end = text + bytes};
    char member[64];
    want(&c, '{');
    read_string(&c, member, sizeof(member));
    want(&c, ':');
    want(&c, '[');
    skip_space(&c);
    while (c.at < c.end && *c.at != ']') {
        read_family(&c);
        if (!take(&c, ',')) {
            skip_space(&c);
            break;
        }
        skip_space(&c);
    }
    want(&c, ']');
    want(&c, '}');
    skip_space(&c);
    if (c.at != c.end)
        fault(&c, "bytes behind the end");
}

/* ---- CSV ---- */

static void
read_field(struct cursor *c, char *out, size_t room)
{
    size_t n = 0;
    bool quoted = take(c, '"');
    while (c->at < c->end) {
        if (!quoted && (*c->at == ',' || *c->at == '\r'))
            break;
        if (!quoted && *c->at == '"')
            return fault(c, "a quote in a bare field");
        if (quoted && *c->at == '"') {
            c->at++;
            if (c->at == c->end || *c->at != '"')
                break;
        }
        if (n + 1 < room)
            out[n++] = *c->at;
        c->at++;
    }
    out[n] = '\0';
}

static void
read_csv_labels(struct cursor *c, char *labels, struct metric_sample *sample)
{
    struct cursor inner = {.check = c->check, .start = labels, .at = labels};
    inner.end = labels + strlen(labels);
    while (inner.at < inner.end) {
        size_t n = sample->label_count++, at = 0;
        const char *equals = memchr(inner.at, '=', (size_t)(inner.end - inner.at));
        if (n == 16 || !equals)
            return fault(c, "labels that cannot be read");
        snprintf(sample->labels[n].name, 256, "%.*s", (int)(equals - inner.at), inner.at);
        inner.at = equals + 1;
        want(&inner, '"');
        for (; inner.at < inner.end && *inner.at != '"'; inner.at++) {
            char byte = *inner.at;
            if (byte == '\\' && inner.at + 1 < inner.end) {
                byte = *++inner.at;
                byte = byte == 'n' ? '\n' : byte;
            }
            sample->labels[n].value[at++] = byte;
        }
        want(&inner, '"');
        if (!take(&inner, ',') && inner.at != inner.end)
            return fault(c, "bytes behind a label");
    }
}

void
metric_check_csv(struct metric_check *check, const char *text, size_t bytes)
{
    static const char header[] = "name,kind,labels,field,value\r\n";
    struct cursor c = {.check = check, .start = text, .at = text, .end = text + bytes};
    if (bytes < strlen(header) || memcmp(text, header, strlen(header)) != 0)
        fault(&c, "no header");
    else
        c.at += strlen(header);
    while (c.at < c.end) {
        struct metric_sample sample = {0};
        char kind[64], labels[8192], field[64], value[64];
        read_field(&c, sample.name, sizeof(sample.name));
        want(&c, ',');
        read_field(&c, kind, sizeof(kind));
        want(&c, ',');
        read_field(&c, labels, sizeof(labels));
        want(&c, ',');
        read_field(&c, field, sizeof(field));
        want(&c, ',');
        read_field(&c, value, sizeof(value));
        want(&c, '\r');
        want(&c, '\n');
        read_csv_labels(&c, labels, &sample);
        if (!metric_check_number(value, strlen(value), &sample.value))
            fault(&c, "not a number");
        if (strcmp(field, "value") == 0)
            metric_check_keep(check, &sample, false);
        check->sample_count++;
    }
}

/* ---- Influx line protocol ---- */

/* Up to one of @stops that no backslash protects. */
static void
read_token(struct cursor *c, const char *stops, char *out, size_t room)
{
    size_t n = 0;
    while (c->at < c->end && !strchr(stops, *c->at)) {
        char byte = *c->at++;
        if (byte == '\\' && c->at < c->end) {
            byte = *c->at++;
            byte = byte == 'n' ? '\n' : byte;
        }
        if (n + 1 < room)
            out[n++] = byte;
    }
    out[n] = '\0';
    if (n == 0)
        fault(c, "something is empty");
}

void
metric_check_influx(struct metric_check *check, const char *text, size_t bytes, bool timestamps)
{
    struct cursor c = {.check = check, .start = text, .at = text, .end = text + bytes};
    while (c.at < c.end) {
        struct metric_sample sample = {0};
        char field[64], value[64];
        read_token(&c, ", \n", sample.name, sizeof(sample.name));
        while (take(&c, ',') && sample.label_count < 16) {
            size_t n = sample.label_count++;
            read_token(&c, "=, \n", sample.labels[n].name, 256);
            want(&c, '=');
            read_token(&c, "=, \n", sample.labels[n].value, 600);
        }
        want(&c, ' ');
        do {
            read_token(&c, "=, \n", field, sizeof(field));
            want(&c, '=');
            read_token(&c, "=, \n", value, sizeof(value));
            size_t n = strlen(value);
            bool integer = n > 0 && value[n - 1] == 'i';
            if (!metric_check_number(value, n - integer, &sample.value) ||
                integer == (strchr(value, '.') != NULL))
                fault(&c, "not a number");
        } while (take(&c, ','));
        if (timestamps) {
            want(&c, ' ');
            read_token(&c, " \n", value, sizeof(value));
            if (strspn(value, "0123456789") != strlen(value))
                fault(&c, "not a timestamp");
        }
        want(&c, '\n');
        if (strcmp(field, "value") == 0)
            metric_check_keep(check, &sample, true);
        check->sample_count++;
    }
}
