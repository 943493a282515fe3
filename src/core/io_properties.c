/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "skein/io.h"

static const struct {
    const char *name;
    const char *comment;
    size_t offset;
} fields[] = {
    {"read_iops", "4 KiB reads at random, a second",
     offsetof(struct skein_io_properties, read_iops)},
    {"write_iops", "4 KiB writes at random, a second",
     offsetof(struct skein_io_properties, write_iops)},
    {"read_bytes_per_second", "reading in sequence",
     offsetof(struct skein_io_properties, read_bytes_per_second)},
    {"write_bytes_per_second", "writing in sequence",
     offsetof(struct skein_io_properties, write_bytes_per_second)},
};

/* Up to 18 digits, not zero. Returns 0 when it is none. */
static uint64_t
number_of(const char *text, size_t bytes)
{
    uint64_t value = 0;
    if (bytes == 0 || bytes > 18)
        return 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value;
}

static void
trim(const char **text, size_t *bytes)
{
    while (*bytes > 0 && (**text == ' ' || **text == '\t')) {
        ++*text;
        --*bytes;
    }
    while (*bytes > 0 && strchr(" \t\r", (*text)[*bytes - 1]))
        --*bytes;
}

/* One line without its comment. Returns why it is wrong; NULL: it is not. */
static const char *
parse_line(const char *line, size_t bytes, struct skein_io_properties *properties, bool *seen)
{
    trim(&line, &bytes);
    if (bytes == 0)
        return NULL;
    const char *equals = memchr(line, '=', bytes);
    if (!equals)
        return "a line is: name = number";
    const char *name = line, *value = equals + 1;
    size_t name_bytes = (size_t)(equals - line), value_bytes = bytes - name_bytes - 1;
    trim(&name, &name_bytes);
    trim(&value, &value_bytes);
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        if (strlen(fields[i].name) != name_bytes || memcmp(fields[i].name, name, name_bytes) != 0)
            continue;
        uint64_t number = number_of(value, value_bytes);
        if (seen[i])
            return "the name stands there twice";
        if (number == 0)
            return "the number is a whole one above 0, of at most 18 digits";
        seen[i] = true;
        memcpy((char *)properties + fields[i].offset, &number, sizeof(number));
        return NULL;
    }
    return "no such name";
}

int
skein_io_properties_parse(const char *text, size_t bytes,
                          struct skein_io_properties *out_properties, char out_why[256])
{
    struct skein_io_properties properties = {0};
    bool seen[BASE_COUNT_OF(fields)] = {false};
    const char *end = text + bytes;
    if (bytes > SKEIN_IO_TEXT_BYTES_MAX) {
        snprintf(out_why, 256, "longer than %d bytes", SKEIN_IO_TEXT_BYTES_MAX);
        return -SKEIN_EFORMAT;
    }
    for (int line = 1; text < end; line++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        stop = stop ? stop : end;
        const char *comment = memchr(text, '#', (size_t)(stop - text));
        const char *why =
            parse_line(text, (size_t)((comment ? comment : stop) - text), &properties, seen);
        if (why) {
            snprintf(out_why, 256, "line %d: %s", line, why);
            return -SKEIN_EFORMAT;
        }
        text = stop + 1;
    }
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        if (!seen[i]) {
            snprintf(out_why, 256, "%s is missing; skein iotune writes the whole file",
                     fields[i].name);
            return -SKEIN_EFORMAT;
        }
    }
    *out_properties = properties;
    return 0;
}

size_t
skein_io_properties_text(const struct skein_io_properties *properties,
                         char out[SKEIN_IO_TEXT_BYTES_MAX])
{
    size_t at = (size_t)snprintf(out, SKEIN_IO_TEXT_BYTES_MAX,
                                 "# What a disk can do, as skein iotune measured it.\n");
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        uint64_t value;
        memcpy(&value, (const char *)properties + fields[i].offset, sizeof(value));
        at += (size_t)snprintf(out + at, SKEIN_IO_TEXT_BYTES_MAX - at, "%s = %" PRIu64 " # %s\n",
                               fields[i].name, value, fields[i].comment);
    }
    skein_assert(at < SKEIN_IO_TEXT_BYTES_MAX);
    return at;
}
