/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/commands.h"
#include "app/flags.h"
#include "base/mem.h"
#include "skein/linear.h"

/* The command's own exit status, beside the usage error. */
enum check_exit {
    CHECK_EXIT_LINEARIZABLE = 0,
    CHECK_EXIT_VIOLATION = 1,
    CHECK_EXIT_UNREADABLE = 2,
    CHECK_EXIT_UNDECIDED = 3
};

struct check_flags {
    uint64_t timeout_ns, memory_bytes;
    const char *model;
    bool json;
};

static const struct flags_row rows[] = {
    {.name = "model",
     .value = "NAME",
     .help = "register, kv or store; without it, what the file looks like",
     .parse = flags_parse_text,
     FLAGS_FIELD(struct check_flags, model)},
    {.name = "timeout",
     .value = "SECONDS",
     .fallback = "60",
     .help = "give up after this long",
     .parse = flags_parse_number,
     FLAGS_FIELD(struct check_flags, timeout_ns),
     .min = 1,
     .max = 1000000,
     .scale = 1000000000},
    {.name = "memory",
     .value = "BYTES",
     .fallback = "2G",
     .help = "for the history and the search together",
     .parse = flags_parse_bytes,
     FLAGS_FIELD(struct check_flags, memory_bytes),
     .min = 1 << 20,
     .max = (uint64_t)1 << 50},
    {.name = "json",
     .help = "the verdict as one line of JSON",
     .parse = flags_parse_switch,
     FLAGS_FIELD(struct check_flags, json)},
};

static const struct flags_command check_command = {
    .name = "check-history",
    .usage = "FILE [OPTION...]",
    .summary = "whether a recorded history of clients is linearizable",
    .details =
        "FILE (\"-\": standard input) is a log of Jepsen's register tests, a file of EDN maps "
        "with\n"
        "get, put and append or with read, write and cas, or what skein's own drill and simulator\n"
        "write. Of a history that is not linearizable the smallest part that cannot be ordered is\n"
        "shown.\n\n"
        "Exit status: 0 linearizable; 1 not linearizable; 2 the file cannot be read; 3 undecided\n"
        "within --timeout and --memory; 64 the command line is wrong.\n",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 1,
    .argument_max = 1,
};

static uint64_t
monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool
time_is_up(void *owner)
{
    const uint64_t *deadline_ns = owner;
    return monotonic_ns() >= *deadline_ns;
}

/* The whole file; NULL with @out_why when it cannot be had. */
static char *
read_whole(FILE *file, uint64_t bytes_max, size_t *out_count, char out_why[256])
{
    size_t count = 0, capacity = 0;
    char *data = NULL;
    for (;;) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 65536;
            char *more = capacity <= 2 * bytes_max ? mem_try_realloc(data, capacity) : NULL;
            if (!more) {
                snprintf(out_why, 256, "larger than --memory allows (%" PRIu64 " bytes)",
                         bytes_max);
                break;
            }
            data = more;
        }
        size_t n = fread(data + count, 1, capacity - count, file);
        count += n;
        if (n == 0 && ferror(file)) {
            snprintf(out_why, 256, "%s", strerror(errno));
            break;
        }
        if (count > bytes_max) {
            snprintf(out_why, 256, "larger than --memory allows (%" PRIu64 " bytes)", bytes_max);
            break;
        }
        if (n == 0) {
            *out_count = count;
            return data;
        }
    }
    mem_free(data);
    return NULL;
}

static int
unreadable(const struct check_flags *flags, const char *path, const char *why)
{
    if (flags->json) {
        printf("{\"verdict\":\"unreadable\",\"why\":\"");
        for (const char *c = why; *c; c++)
            if (*c == '"' || *c == '\\')
                printf("\\%c", *c);
            else
                putchar((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f ? '?' : *c);
        printf("\"}\n");
    }
    fprintf(stderr, "skein check-history: %s: %s\n", path, why);
    return CHECK_EXIT_UNREADABLE;
}

static int
load(const char *path, const struct check_flags *flags, const struct skein_linear_model **model,
     struct skein_linear_history **out_history, char out_why[256])
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    size_t count;
    if (!file) {
        snprintf(out_why, 256, "%s", strerror(errno));
        return -SKEIN_ENOTFOUND;
    }
    char *data = read_whole(file, flags->memory_bytes / 2, &count, out_why);
    if (file != stdin)
        fclose(file);
    if (!data)
        return -SKEIN_ENOMEM;
    struct skein_linear_history *history = skein_linear_open(flags->memory_bytes / 2);
    int rc = skein_linear_read(history, data, count, *model, model, out_why);
    mem_free(data);
    if (rc < 0)
        skein_linear_close(history);
    else
        *out_history = history;
    return rc;
}

static int
check(struct skein_linear_history *history, const struct skein_linear_options *options, bool json)
{
    struct skein_linear_result result;
    enum skein_linear_verdict verdict = skein_linear_check(history, options, &result);
    if (json) {
        skein_linear_print_json(history, options, &result, stdout);
        putchar('\n');
    } else if (verdict == SKEIN_LINEAR_OK) {
        printf("linearizable: %zu operations on %zu keys of a %s\n", skein_linear_op_count(history),
               result.key_count, options->model->name);
    } else {
        skein_linear_print(history, options, &result, stdout);
    }
    skein_linear_result_deinit(&result);
    switch (verdict) {
    case SKEIN_LINEAR_OK:
        return CHECK_EXIT_LINEARIZABLE;
    case SKEIN_LINEAR_VIOLATION:
        return CHECK_EXIT_VIOLATION;
    case SKEIN_LINEAR_UNDECIDED:
        return CHECK_EXIT_UNDECIDED;
    }
    skein_unreachable();
}

int
cmd_check_history(int argc, char **argv)
{
    struct check_flags flags = {0};
    struct skein_linear_options options = {.explain = true, .stop = time_is_up};
    struct skein_linear_history *history = NULL;
    char **arguments, why[256] = "";
    int count;
    enum flags_outcome outcome =
        flags_parse(&check_command, argc - 1, argv + 1, &flags, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    if (flags.model && !(options.model = skein_linear_model_find(flags.model))) {
        fprintf(stderr, "skein check-history: --model %.64s: there are register, kv and store\n",
                flags.model);
        return FLAGS_EXIT_USAGE;
    }
    uint64_t deadline_ns = monotonic_ns() + flags.timeout_ns;
    options.owner = &deadline_ns;
    options.memory_bytes_max = flags.memory_bytes;
    if (load(arguments[0], &flags, &options.model, &history, why) < 0)
        return unreadable(&flags, arguments[0], why);
    int status = check(history, &options, flags.json);
    skein_linear_close(history);
    return status;
}
