/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kv/local.h"

/* Names asked about in one COMMAND INFO: each costs about twenty times its own bytes. */
#define INFO_NAMES_MAX 1024

/* Flags stand in one string, separated by a space. */
static uint64_t
flag_count(const char *flags)
{
    uint64_t count = *flags != 0;
    for (const char *p = flags; *p; p++)
        count += *p == ' ';
    return count;
}

static void
put_flags(struct wire_writer *out, const char *flags)
{
    kv_reply_array(out, flag_count(flags));
    while (*flags) {
        char flag[32] = {0};
        size_t bytes = strcspn(flags, " ");
        skein_assert(bytes < sizeof(flag));
        memcpy(flag, flags, bytes);
        kv_reply_simple(out, flag);
        flags += bytes + (flags[bytes] == ' ');
    }
}

/* The ten elements of Redis 7; categories, tips, key specifications and subcommands are empty. */
static void
put_command(struct wire_writer *out, const struct kv_command *command)
{
    kv_reply_array(out, 10);
    kv_reply_bulk(out, command->name, strlen(command->name));
    kv_reply_integer(out, command->arity);
    put_flags(out, command->flags);
    kv_reply_integer(out, command->first_key);
    kv_reply_integer(out, command->last_key);
    kv_reply_integer(out, command->key_step);
    for (int i = 0; i < 4; i++)
        kv_reply_array(out, 0);
}

static uint64_t
command_count(void)
{
    uint64_t count = 0;
    while (kv_command_at(count))
        count++;
    return count;
}

static void
command_all(struct kv_local *local, bool names_only)
{
    uint64_t count = command_count();
    kv_reply_array(local->out, count);
    for (size_t i = 0; i < count; i++) {
        const struct kv_command *command = kv_command_at(i);
        if (names_only)
            kv_reply_bulk(local->out, command->name, strlen(command->name));
        else
            put_command(local->out, command);
    }
}

static void
command_info(struct kv_local *local, const struct kv_arg *names, uint32_t count)
{
    if (!count) {
        command_all(local, false);
        return;
    }
    if (count > INFO_NAMES_MAX) {
        kv_reply_errorf(local->out, "ERR COMMAND INFO takes at most %d names", INFO_NAMES_MAX);
        return;
    }
    kv_reply_array(local->out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct kv_command *command = kv_command_find(names[i]);
        if (command)
            put_command(local->out, command);
        else
            wire_put_raw(local->out, "*-1\r\n", 5);
    }
}

static const char *const help[] = {
    "COMMAND <subcommand> [<arg> ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands in this server.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about commands: none are kept here.",
    "INFO [<command-name> ...]",
    "    Return details about multiple commands, or all.",
    "LIST",
    "    Return a list of all commands in this server.",
    "HELP",
    "    Print this help.",
};

void
kv_local_command(struct kv_local *local, const struct kv_arg *argv, uint32_t argc)
{
    if (argc == 1)
        command_all(local, false);
    else if (kv_local_is(&argv[1], "info"))
        command_info(local, argv + 2, argc - 2);
    else if (kv_local_is(&argv[1], "docs"))
        kv_reply_array(local->out, 0);
    else if (kv_local_is(&argv[1], "count") && argc == 2)
        kv_reply_integer(local->out, (int64_t)command_count());
    else if (kv_local_is(&argv[1], "count"))
        kv_local_wrong_arity(local, "command", "count");
    else if (kv_local_is(&argv[1], "list") && argc == 2)
        command_all(local, true);
    else if (kv_local_is(&argv[1], "list"))
        kv_reply_error(local->out, "ERR syntax error");
    else if (kv_local_is(&argv[1], "help"))
        kv_local_help(local, help, BASE_COUNT_OF(help));
    else
        kv_local_unknown_subcommand(local, &argv[1], "COMMAND");
}
