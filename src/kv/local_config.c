/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/glob.h"
#include "kv/local.h"
#include "obs/log.h"

/*
 * CONFIG GET: the settings of Redis that clients and redis-benchmark ask for, with the values that
 * are true here. CONFIG SET: loglevel, in Skein's own words (skein/log.h); nothing else can be set:
 * a node is configured by its command line.
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
    {"loglevel", NULL},
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
setting_value(const struct kv_face *face, const struct setting *setting,
              char out[SKEIN_LOG_LEVELS_BYTES])
{
    if (setting->value)
        return setting->value;
    struct skein_log_levels levels = {.fallback = SKEIN_LOG_OFF};
    if (strcmp(setting->name, "loglevel") == 0) {
        (void)skein_log_get_levels(&levels);
        return skein_log_levels_text(&levels, out);
    }
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
        char number[SKEIN_LOG_LEVELS_BYTES];
        if (!chosen[i])
            continue;
        const char *value = setting_value(local->face, &settings[i], number);
        kv_reply_bulk(local->out, settings[i].name, strlen(settings[i].name));
        kv_reply_bulk(local->out, value, strlen(value));
    }
}

static bool
is_setting(const struct kv_arg *name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(settings); i++)
        if (kv_local_is(name, settings[i].name))
            return true;
    return false;
}

/* Of the node's shard, from the next line on. */
static void
set_log_levels(struct kv_local *local, const struct kv_arg *value)
{
    struct skein_log_levels levels = {0};
    char text[SKEIN_LOG_LEVELS_BYTES] = "", why[256] = "a shorter text";
    int rc = -SKEIN_EINVALID;
    (void)skein_log_get_levels(&levels);
    if (value->count < sizeof(text) && !memchr(value->data, 0, value->count)) {
        memcpy(text, value->data, value->count);
        rc = skein_log_levels_parse(&levels, text, why);
    }
    if (rc < 0) {
        kv_reply_errorf(local->out,
                        "ERR CONFIG SET failed (possibly related to argument 'loglevel') - "
                        "argument must be %s",
                        why);
        return;
    }
    if (skein_log_set_levels(&levels) == 0)
        obs_log(OBS_INFO, "kv", "log levels changed", "levels=%s",
                skein_log_levels_text(&levels, text));
    kv_reply_simple(local->out, "OK");
}

static void
config_set(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (argc == 2 && kv_local_is(&argv[0], "loglevel")) {
        set_log_levels(local, &argv[1]);
        return;
    }
    int bytes = argv[0].count < 128 ? (int)argv[0].count : 128;
    const char *name = (const char *)argv[0].data;
    if (argc % 2 == 0 && is_setting(&argv[0]))
        kv_reply_errorf(local->out,
                        "ERR CONFIG SET failed (possibly related to argument '%.*s') - can't set "
                        "immutable config",
                        bytes, name);
    else
        kv_reply_errorf(local->out,
                        "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", bytes,
                        name);
}

static const char *const help[] = {
    "CONFIG <subcommand> [<arg> ...]. Subcommands are:",
    "GET <pattern> ...",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
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
    else if (kv_local_is(&argv[1], "set") && argc < 4)
        kv_local_wrong_arity(local, "config", "set");
    else if (kv_local_is(&argv[1], "set"))
        config_set(local, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "help"))
        kv_local_help(local, help, BASE_COUNT_OF(help));
    else
        kv_local_unknown_subcommand(local, &argv[1], "CONFIG");
}
