/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/setting_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 256

int
setting_split(const char *text, char out_name[SETTING_NAME_BYTES],
              char out_value[SETTING_NAME_BYTES], char out_why[SETTING_WHY_BYTES])
{
    int end = 0;
    if (sscanf(text, " %31[a-z-] = %31[^ \t\r\n] %n", out_name, out_value, &end) == 2 &&
        text[end] == '\0')
        return 0;
    snprintf(out_why, SETTING_WHY_BYTES, "\"%.64s\" is not NAME=VALUE", text);
    return -SKEIN_EINVALID;
}

bool
setting_figure(const char *text, bool percent, uint64_t *out_value)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || value > UINT32_MAX)
        return false;
    if (percent) {
        value *= 10;
        if (end[0] == '.' && isdigit((unsigned char)end[1])) {
            value += (uint64_t)(end[1] - '0');
            end += 2;
        }
        if (*end++ != '%')
            return false;
    }
    *out_value = value;
    return *end == '\0';
}

int
setting_list(const char *list, setting_take_fn *take, void *owner, char out_why[SETTING_WHY_BYTES])
{
    while (*list) {
        char item[LINE_BYTES];
        size_t n = strcspn(list, ",");
        snprintf(item, sizeof(item), "%.*s", (int)(n < sizeof(item) ? n : sizeof(item) - 1), list);
        int rc = take(owner, item, out_why);
        if (rc < 0)
            return rc;
        list += n + (list[n] == ',');
    }
    return 0;
}

int
setting_lines(FILE *file, setting_take_fn *take, void *owner, char out_why[SETTING_WHY_BYTES])
{
    char line[LINE_BYTES], why[SETTING_WHY_BYTES];
    for (unsigned number = 1; fgets(line, sizeof(line), file); number++) {
        bool whole = strchr(line, '\n') || feof(file);
        line[strcspn(line, "#\n")] = '\0';
        if (whole && line[strspn(line, " \t\r")] == '\0')
            continue;
        snprintf(why, sizeof(why), "longer than %d bytes", LINE_BYTES - 2);
        if (!whole || take(owner, line, why) < 0) {
            snprintf(out_why, SETTING_WHY_BYTES, "line %u: %.200s", number, why);
            return -SKEIN_EINVALID;
        }
    }
    if (ferror(file)) {
        snprintf(out_why, SETTING_WHY_BYTES, "it cannot be read");
        return -EIO;
    }
    return 0;
}
