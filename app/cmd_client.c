/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/nodes.h"
#include "app/world.h"
#include "kv/caller.h"
#include "kv/resp.h"
#include "skein/shard.h"
#include "skein/error.h"

/* get, set and del: one command, from node to node until it is answered. */

#define EXIT_ABSENT 2

/* A session outlives the command by that, should its end not be heard of. */
#define SESSION_MS_MORE 10000
#define CLOSE_NS UINT64_C(500000000)

struct client_options {
    struct nodes nodes;
    uint64_t timeout_ns;
    const char *read_level;
};

struct client_call {
    const char *name; /* "set" */
    struct client_options options;
    enum replica_level level;
    uint64_t stale_ms;
    const char *argv[64];
    uint32_t argc;
};

static const struct flags_row rows[] = {
    {"connect", "LIST", NODES_DEFAULT,
     "Nodes to try, in this order, separated by commas; any of them serves.", nodes_parse,
     FLAGS_FIELD(struct client_options, nodes)},
    {"timeout-ms", "MS", "10000", "How long to try.", flags_parse_number,
     FLAGS_FIELD(struct client_options, timeout_ns), 1, 3600000, 1000000},
};

#define READ_LEVELS "linearizable, lease, follower or stale:MS"
static const struct flags_row get_rows[] = {
    {"connect", "LIST", NODES_DEFAULT,
     "Nodes to try, in this order, separated by commas; any of them serves.", nodes_parse,
     FLAGS_FIELD(struct client_options, nodes)},
    {"timeout-ms", "MS", "10000", "How long to try.", flags_parse_number,
     FLAGS_FIELD(struct client_options, timeout_ns), 1, 3600000, 1000000},
    {"read-level", "LEVEL", "linearizable",
     "How fresh: " READ_LEVELS " (at most so many milliseconds old).", flags_parse_text,
     FLAGS_FIELD(struct client_options, read_level)},
};

static const struct flags_command get_command = {
    .name = "get",
    .usage = "[OPTION...] KEY",
    .summary = "print the value of a key",
    .details = "Prints the value and a newline. Exit status: 0; 2 when there is no such key (with\n"
               "\"(nil)\" on standard error); 1 on a failure.",
    .rows = get_rows,
    .row_count = BASE_COUNT_OF(get_rows),
    .argument_min = 1,
    .argument_max = 1,
};
static const struct flags_command set_command = {
    .name = "set",
    .usage = "[OPTION...] KEY VALUE",
    .summary = "set a key to a value",
    .details = "Prints OK when a majority of the nodes has it on disk. Exit status: 0; 1 on a\n"
               "failure, which says whether the write may have been carried out; it is never\n"
               "carried out twice.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 2,
    .argument_max = 2,
};
static const struct flags_command del_command = {
    .name = "del",
    .usage = "[OPTION...] KEY...",
    .summary = "delete keys",
    .details =
        "Prints how many there were. Exit status: 0; 1 on a failure, which says whether the\n"
        "deletion may have been carried out; it is never carried out twice.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 1,
    .argument_max = 63,
};

static int
print_reply(const struct client_call *call, const struct kv_reply *reply)
{
    switch (reply->type) {
    case KV_REPLY_SIMPLE:
    case KV_REPLY_BULK:
        fwrite(reply->text.data, 1, reply->text.count, stdout);
        putchar('\n');
        return 0;
    case KV_REPLY_INTEGER:
        printf("%" PRId64 "\n", reply->integer);
        return 0;
    case KV_REPLY_NULL:
        fprintf(stderr, "(nil)\n");
        return EXIT_ABSENT;
    case KV_REPLY_ERROR:
        fprintf(stderr, "skein %s: %.*s\n", call->name, (int)reply->text.count,
                (const char *)reply->text.data);
        return 1;
    case KV_REPLY_ARRAY:
        break;
    }
    fprintf(stderr, "skein %s: an array came, which answers no such command\n", call->name);
    return 1;
}

/* What a person is told who waits for it. */
static void
explain(const struct client_call *call, const struct kv_caller *caller, int rc)
{
    const char *what = "not carried out";
    if (rc == -ECONNREFUSED) {
        fprintf(stderr,
                "skein %s: no node answers (%s); is the cluster running (skein dev), and is "
                "--connect right?\n",
                call->name, kv_caller_why(caller));
        return;
    }
    if (rc == -SKEIN_EUNKNOWN || rc == -SKEIN_ECANCELED)
        what = "it may or may not have been carried out: read to see";
    else if (rc == -SKEIN_EREPEATED)
        what = "carried out, but the reply was lost";
    fprintf(stderr, "skein %s: %s; %s\n", call->name,
            rc == -SKEIN_EREPEATED ? "done" : "no answer in time", what);
    if (kv_caller_why(caller)[0])
        fprintf(stderr, "  the last node said: %s\n", kv_caller_why(caller));
}

/* "stale:500": false when it is no level. */
static bool
parse_level(const char *text, enum replica_level *out_level, uint64_t *out_stale_ms)
{
    size_t count = strcspn(text, ":");
    enum replica_level level = REPLICA_LINEARIZABLE;
    int64_t ms = 0;
    while (replica_level_name(level) && (strlen(replica_level_name(level)) != count ||
                                         memcmp(replica_level_name(level), text, count) != 0))
        level++;
    bool stale = level == REPLICA_STALE;
    if (!replica_level_name(level) || (text[count] == ':') != stale ||
        (stale && (!kv_resp_integer(text + count + 1, strlen(text + count + 1), &ms) || ms < 0)))
        return false;
    *out_level = level;
    *out_stale_ms = (uint64_t)ms;
    return true;
}

static int
client_main(void *arg)
{
    const struct client_call *call = arg;
    uint64_t deadline_ns = skein_deadline_in(call->options.timeout_ns);
    const struct nodes *nodes = &call->options.nodes;
    struct kv_caller *caller;
    struct kv_reply reply = {.type = KV_REPLY_NULL};
    struct kv_arg argv[BASE_COUNT_OF(call->argv)];
    for (uint32_t i = 0; i < call->argc; i++)
        argv[i] = (struct kv_arg){(const uint8_t *)call->argv[i], strlen(call->argv[i])};
    kv_caller_open(&caller, nodes->list, nodes->count,
                   call->options.timeout_ns / 1000000 + SESSION_MS_MORE);
    kv_caller_read_level(caller, call->level, call->stale_ms);
    int rc = kv_caller_call(caller, argv, call->argc, deadline_ns, &reply);
    if (rc < 0)
        explain(call, caller, rc);
    int status = rc < 0 ? 1 : print_reply(call, &reply);
    kv_reply_deinit(&reply);
    fflush(stdout);
    kv_caller_close(caller, skein_deadline_in(CLOSE_NS));
    return status;
}

static int
run(const struct flags_command *command, int argc, char **argv)
{
    struct client_call call = {.name = command->name};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(command, argc - 1, argv + 1, &call.options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    if (call.options.read_level &&
        !parse_level(call.options.read_level, &call.level, &call.stale_ms)) {
        fprintf(stderr, "skein get: --read-level: \"%.40s\" is not " READ_LEVELS "\n",
                call.options.read_level);
        return flags_exit(FLAGS_USAGE);
    }
    call.argv[call.argc++] = command->name;
    for (int i = 0; i < count; i++)
        call.argv[call.argc++] = arguments[i];
    return world_run(command->name, client_main, &call);
}

int
cmd_get(int argc, char **argv)
{
    return run(&get_command, argc, argv);
}

int
cmd_set(int argc, char **argv)
{
    return run(&set_command, argc, argv);
}

int
cmd_del(int argc, char **argv)
{
    return run(&del_command, argc, argv);
}
