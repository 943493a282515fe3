/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/flags.h"
#include "net/addr.h"
#include "skein/error.h"

/* Decimal digits only: no sign, no space, no overflow. Returns what follows them, NULL: no number.
 */
static const char *
digits(const char *text, uint64_t *out_value)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return NULL;
    }
    *out_value = value;
    return at == text ? NULL : at;
}

static int
store(const struct flags_row *row, uint64_t value, void *field)
{
    uint64_t scaled;
    if (value < row->min || value > row->max)
        return -SKEIN_EINVALID;
    skein_assert(!__builtin_mul_overflow(value, row->scale ? row->scale : 1, &scaled));
    if (row->field_bytes == sizeof(uint32_t)) {
        skein_assert(scaled <= UINT32_MAX);
        *(uint32_t *)field = (uint32_t)scaled;
        return 0;
    }
    skein_assert(row->field_bytes == sizeof(uint64_t));
    *(uint64_t *)field = scaled;
    return 0;
}

int
flags_parse_number(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    uint64_t value;
    const char *end = digits(text, &value);
    if (end && *end == '\0' && store(row, value, field) == 0)
        return 0;
    snprintf(out_why, 256, "a whole number from %" PRIu64 " to %" PRIu64, row->min, row->max);
    return -SKEIN_EINVALID;
}

int
flags_parse_bytes(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    static const char units[] = "KMG";
    uint64_t value;
    const char *end = digits(text, &value);
    const char *unit = end && *end ? strchr(units, *end) : NULL;
    if (unit) {
        uint64_t factor = (uint64_t)1024 << (10 * (unit - units));
        end = __builtin_mul_overflow(value, factor, &value) ? NULL : end + 1;
    }
    if (end && *end == '\0' && store(row, value, field) == 0)
        return 0;
    snprintf(out_why, 256, "a number of bytes from %" PRIu64 " to %" PRIu64 " (4096, 64K, 16M, 1G)",
             row->min, row->max);
    return -SKEIN_EINVALID;
}

int
flags_parse_text(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    size_t bytes = strlen(text);
    uint64_t max = row->max ? row->max : 4096;
    if (bytes == 0 || bytes > max) {
        snprintf(out_why, 256, "a text of 1 to %" PRIu64 " bytes", max);
        return -SKEIN_EINVALID;
    }
    *(const char **)field = text;
    return 0;
}

int
flags_parse_switch(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    static const char *const words[] = {"0", "1", "no", "yes", "false", "true"};
    for (size_t i = 0; i < BASE_COUNT_OF(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *(bool *)field = i % 2 == 1;
            return 0;
        }
    }
    snprintf(out_why, 256, "1 or 0 (or yes, no, true, false)");
    return -SKEIN_EINVALID;
}

int
flags_parse_address(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    char reason[128];
    if (net_addr_parse(text, field, reason) == 0)
        return 0;
    snprintf(out_why, 256, "an address and port like 127.0.0.1:7001 (%s)", reason);
    return -SKEIN_EINVALID;
}
