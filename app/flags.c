/* SPDX-License-Identifier: Apache-2.0 */
#include "app/flags.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skein/error.h"

#define ROWS_MAX 64

static const struct flags_row *
find(const struct flags_command *command, const char *name, size_t name_bytes)
{
    for (size_t i = 0; i < command->row_count; i++) {
        const char *row_name = command->rows[i].name;
        if (strlen(row_name) == name_bytes && memcmp(row_name, name, name_bytes) == 0)
            return &command->rows[i];
    }
    return NULL;
}

const char *
flags_env_name(const struct flags_row *row, char out[64])
{
    const char *name = row->env ? row->env : row->name;
    size_t at = (size_t)snprintf(out, 64, "SKEIN_");
    skein_assert(strlen(name) + at < 64);
    for (; *name; name++)
        out[at++] = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
    out[at] = '\0';
    return out;
}

static enum flags_outcome
usage(const struct flags_command *command, const char *what, const char *why)
{
    fprintf(stderr, "skein %s: %s: %s; see: skein %s --help\n", command->name, what, why,
            command->name);
    return FLAGS_USAGE;
}

static enum flags_outcome
set(const struct flags_command *command, const struct flags_row *row, const char *source,
    const char *text, void *options)
{
    char why[256] = "", line[384];
    if (row->parse(row, text, (char *)options + row->field_offset, why) == 0)
        return FLAGS_RUN;
    snprintf(line, sizeof(line), "\"%.64s\" is not %s", text, why);
    return usage(command, source, line);
}

/* Defaults, overridden by the environment, for every row the command line did not give. */
static enum flags_outcome
fill(const struct flags_command *command, const bool *given, void *options)
{
    for (size_t i = 0; i < command->row_count; i++) {
        const struct flags_row *row = &command->rows[i];
        char env_name[64], source[80];
        const char *text = getenv(flags_env_name(row, env_name));
        enum flags_outcome outcome = FLAGS_RUN;
        if (given[i])
            continue;
        if (text)
            outcome = set(command, row, env_name, text, options);
        else if (row->fallback)
            outcome = set(command, row, row->name, row->fallback, options);
        else if (row->required) {
            snprintf(source, sizeof(source), "--%s %s", row->name, row->value);
            return usage(command, source, "is required");
        }
        if (outcome != FLAGS_RUN)
            return outcome;
    }
    return FLAGS_RUN;
}

/* One argument that begins with "--". Advances @at past a value that stands apart. */
static enum flags_outcome
take(const struct flags_command *command, int argc, char **argv, int *at, bool *given,
     void *options)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t name_bytes = equals ? (size_t)(equals - name) : strlen(name);
    const struct flags_row *row = find(command, name, name_bytes);
    char source[80];
    snprintf(source, sizeof(source), "--%.*s", (int)(name_bytes < 64 ? name_bytes : 64), name);
    if (!row)
        return usage(command, source, "no such flag");
    if (given[row - command->rows])
        return usage(command, source, "given twice");
    given[row - command->rows] = true;
    if (!row->value && equals)
        return usage(command, source, "takes no value");
    if (!row->value)
        return set(command, row, source, "1", options);
    if (equals)
        return set(command, row, source, equals + 1, options);
    if (*at + 1 >= argc)
        return usage(command, source, "needs a value");
    return set(command, row, source, argv[++*at], options);
}

enum flags_outcome
flags_parse(const struct flags_command *command, int argc, char **argv, void *options,
            char ***out_arguments, int *out_count)
{
    bool given[ROWS_MAX] = {false};
    int count = 0;
    skein_assert(command->row_count <= ROWS_MAX);
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            flags_print_help(command);
            return FLAGS_HELP;
        }
    }
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            while (++i < argc)
                argv[count++] = argv[i];
            break;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            argv[count++] = argv[i];
            continue;
        }
        enum flags_outcome outcome = take(command, argc, argv, &i, given, options);
        if (outcome != FLAGS_RUN)
            return outcome;
    }
    if (count > command->argument_max)
        return usage(command, argv[command->argument_max], "an argument too many");
    if (count < command->argument_min)
        return usage(command, "too few arguments", command->usage);
    *out_arguments = argv;
    *out_count = count;
    return fill(command, given, options);
}

int
flags_exit(enum flags_outcome outcome)
{
    skein_assert(outcome != FLAGS_RUN);
    return outcome == FLAGS_HELP ? 0 : FLAGS_EXIT_USAGE;
}

/* @text in lines of at most 76 columns, each behind six spaces. */
static void
print_wrapped(const char *text)
{
    while (*text) {
        size_t count = strlen(text);
        if (count > 70) {
            count = 70;
            while (count > 1 && text[count] != ' ')
                count--;
        }
        printf("      %.*s\n", (int)count, text);
        text += count;
        while (*text == ' ')
            text++;
    }
}

void
flags_print_help(const struct flags_command *command)
{
    printf("skein %s - %s\n\nusage: skein %s %s\n\n", command->name, command->summary,
           command->name, command->usage);
    for (size_t i = 0; i < command->row_count; i++) {
        const struct flags_row *row = &command->rows[i];
        char env_name[64];
        printf("  --%s%s%s   [%s%s%s%s]\n", row->name, row->value ? " " : "",
               row->value ? row->value : "", flags_env_name(row, env_name),
               row->required ? ", required" : "", row->fallback ? ", default " : "",
               row->fallback ? row->fallback : "");
        print_wrapped(row->help);
    }
    printf("  --help, -h\n      This text.\n");
    if (command->details)
        printf("\n%s\n", command->details);
}
