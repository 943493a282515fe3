/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/command.h"

#include <string.h>

#define NAME_BYTES_MAX 32

/* Both tables are in alphabetical order. */
static const struct kv_command *
find_in(const struct kv_command *rows, size_t count, const char *name)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, rows[middle].name);
        if (order == 0)
            return &rows[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct kv_command *
kv_command_find(struct kv_arg name)
{
    char lower[NAME_BYTES_MAX + 1];
    if (name.count > NAME_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < name.count; i++) {
        uint8_t c = name.data[i];
        if (!c)
            return NULL;
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    lower[name.count] = 0;
    const struct kv_command *found = find_in(kv_data_commands, kv_data_command_count, lower);
    return found ? found : find_in(kv_local_commands, kv_local_command_count, lower);
}

/* The two tables merged. */
const struct kv_command *
kv_command_at(size_t index)
{
    size_t data = 0, local = 0;
    for (;;) {
        bool has_data = data < kv_data_command_count;
        bool has_local = local < kv_local_command_count;
        const struct kv_command *next;
        if (!has_data && !has_local)
            return NULL;
        if (!has_local ||
            (has_data && strcmp(kv_data_commands[data].name, kv_local_commands[local].name) < 0))
            next = &kv_data_commands[data++];
        else
            next = &kv_local_commands[local++];
        if (index-- == 0)
            return next;
    }
}
