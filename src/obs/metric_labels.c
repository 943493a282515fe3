/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "obs/metric.h"

#define NAME_BYTES_MAX 128
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool
name_ok(const char *name, bool colons)
{
    size_t count = 0;
    for (; name[count]; count++) {
        bool digit = name[count] >= '0' && name[count] <= '9' && count > 0;
        if (!is_letter(name[count]) && !digit && !(colons && name[count] == ':'))
            return false;
    }
    return count > 0 && count <= NAME_BYTES_MAX;
}

bool
metric_name_ok(const char *name)
{
    return name_ok(name, true);
}

bool
metric_label_name_ok(const char *name)
{
    return name_ok(name, false) && strncmp(name, "__", 2) != 0 && strcmp(name, "le") != 0 &&
           strcmp(name, "quantile") != 0;
}

/* The length of the UTF-8 sequence at @text (RFC 3629: no surrogates, nothing overlong), 0 when it
 * is none. Reads no further than the terminating zero. */
static size_t
utf8_bytes(const uint8_t *text)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t count;
    if (text[0] < 0x80)
        return 1;
    if (text[0] >= 0xc2 && text[0] <= 0xdf)
        count = 2;
    else if ((text[0] & 0xf0) == 0xe0)
        count = 3;
    else if (text[0] >= 0xf0 && text[0] <= 0xf4)
        count = 4;
    else
        return 0;
    if (text[0] == 0xe0)
        low = 0xa0;
    else if (text[0] == 0xed)
        high = 0x9f;
    else if (text[0] == 0xf0)
        low = 0x90;
    else if (text[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < count; i++) {
        if (text[i] < low || text[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return count;
}

/* @value made UTF-8 and short enough. Returns its length; @out has room for the longest. */
static size_t
clean_value(const char *value, char out[SKEIN_LABEL_BYTES_MAX + 1])
{
    size_t at = 0;
    while (*value) {
        size_t count = utf8_bytes((const uint8_t *)value);
        const char *from = count ? value : REPLACEMENT;
        size_t bytes = count ? count : strlen(REPLACEMENT);
        if (at + bytes > SKEIN_LABEL_BYTES_MAX)
            break;
        memcpy(out + at, from, bytes);
        at += bytes;
        value += count ? count : 1;
    }
    out[at] = '\0';
    return at;
}

/* Indices into @labels, ordered by name. Returns false: a name stands there twice. */
static bool
order(const struct skein_label *labels, size_t count, size_t *out_order)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0; at--) {
            int compared = strcmp(labels[out_order[at - 1]].name, labels[i].name);
            if (compared == 0)
                return false;
            if (compared < 0)
                break;
            out_order[at] = out_order[at - 1];
        }
        out_order[at] = i;
    }
    return true;
}

int
metric_labels_pack(struct metric_labels **out_packed, const struct skein_label *labels,
                   size_t count)
{
    size_t sorted[SKEIN_LABELS_MAX], bytes = 0;
    if (count > SKEIN_LABELS_MAX)
        return -SKEIN_EINVALID;
    for (size_t i = 0; i < count; i++) {
        if (!labels[i].name || !labels[i].value || !metric_label_name_ok(labels[i].name))
            return -SKEIN_EINVALID;
        bytes += strlen(labels[i].name) + SKEIN_LABEL_BYTES_MAX + 2;
    }
    if (!order(labels, count, sorted))
        return -SKEIN_EINVALID;
    struct metric_labels *packed = mem_zalloc(sizeof(*packed) + bytes);
    for (size_t i = 0; i < count; i++) {
        const struct skein_label *label = &labels[sorted[i]];
        size_t name_bytes = strlen(label->name) + 1;
        memcpy(packed->data + packed->bytes, label->name, name_bytes);
        packed->bytes += (uint32_t)name_bytes;
        packed->bytes += (uint32_t)clean_value(label->value, packed->data + packed->bytes) + 1;
    }
    packed->count = (uint32_t)count;
    skein_assert(packed->bytes <= bytes);
    *out_packed = packed;
    return 0;
}

struct metric_labels *
metric_labels_copy(const struct metric_labels *labels)
{
    struct metric_labels *copy = mem_alloc(sizeof(*copy) + labels->bytes);
    memcpy(copy, labels, sizeof(*copy) + labels->bytes);
    return copy;
}

int
metric_labels_compare(const struct metric_labels *a, const struct metric_labels *b)
{
    size_t common = a->bytes < b->bytes ? a->bytes : b->bytes;
    int compared = common ? memcmp(a->data, b->data, common) : 0;
    if (compared != 0 || a->bytes == b->bytes)
        return compared;
    return a->bytes < b->bytes ? -1 : 1;
}

bool
metric_labels_next(const struct metric_labels *labels, const char **at,
                   struct skein_label *out_label)
{
    if (*at == labels->data + labels->bytes)
        return false;
    out_label->name = *at;
    out_label->value = out_label->name + strlen(out_label->name) + 1;
    *at = out_label->value + strlen(out_label->value) + 1;
    return true;
}
