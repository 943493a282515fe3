/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/glob.h"
#include "kv/local.h"

/*
 * CONFIG GET: the settings of Redis that clients and redis-benchmark ask for, with the values that
 * are true here. Nothing can be set: a node is configured by its command line.
 */

struct setting {
    const char *name;
    const char *value; /* NULL: the face knows */
};

static const struct setting settings[] = {
    {"appendfsync", "always"}, /* every write is durable before it is acknowledged */
    {"appendonly", "yes"},
    {"client-query-buffer-limit", NULL},
    {"databases", "1"},
    {"maxclients", NULL},
    {"maxmemory", "0"},
    {"maxmemory-policy", "noeviction"},
    {"port", NULL},
    {"proto-max-bulk-len", NULL},
    {"requirepass", ""},
    {"save", ""},
    {"timeout", "0"},
};

static const char *
setting_value(const struct kv_face *face, const struct setting *setting, char out[32])
{
    if (setting->value)
        return setting->value;
    uint64_t value = face->options.query_bytes_max;
    if (strcmp(setting->name, "maxclients") == 0)
        value = face->options.client_count_max;
    else if (strcmp(setting->name, "port") == 0)
        value = face->addr.port;
    snprintf(out, 32, "%" PRIu64, value);
    return out;
}

/* The names are lower case and match in any case. */
static void
choose(struct kv_arg pattern, bool *chosen)
{
    uint8_t *lower = mem_alloc(pattern.count + 1);
    for (size_t i = 0; i < pattern.count; i++) {
        uint8_t c = pattern.data[i];
        lower[i] = (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(settings); i++)
        chosen[i] |=
            kv_glob_match(lower, pattern.count, settings[i].name, strlen(settings[i].name));
    mem_free(lower);
}

static void
config_get(struct kv_local *local, const struct kv_arg *patterns, uint32_t count)
{
    bool chosen[BASE_COUNT_OF(settings)] = {false};
    uint64_t found = 0;
    for (uint32_t i = 0; i < count; i++)
        choose(patterns[i], chosen);
    for (size_t i = 0; i < BASE_COUNT_OF(settings); i++)
        found += chosen[i];
    kv_reply_array(local->out, 2 * found);
    for (size_t i = 0; i < BASE_COUNT_OF(settings); i++) {
        char number[32];
        if (!chosen[i])
            continue;
        const char *value = setting_value(local->face, &settings[i], number);
        kv_reply_bulk(local->out, settings[i].name, strlen(settings[i].name));
        kv_reply_bulk(local->out, value, strlen(value));
    }
}

static const char *const help[] = {
    "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
    "GET <pattern> ...",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "HELP",
    "    Print this help.",
};

void
kv_local_config(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (kv_local_is(&argv[1], "get") && argc < 3)
        kv_local_wrong_arity(local, "config", "get");
    else if (kv_local_is(&argv[1], "get"))
        config_get(local, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "help"))
        kv_local_help(local, help, BASE_COUNT_OF(help));
    else
        kv_local_unknown_subcommand(local, &argv[1], "CONFIG");
}
