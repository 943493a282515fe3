/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/nodes.h"
#include "app/world.h"
#include "skein/shard.h"
#include "net/addr.h"
#include "skein/error.h"

/* get, set and del: one command to the first node that answers the door. */

#define EXIT_ABSENT 2

struct client_options {
    struct nodes nodes;
    uint64_t timeout_ns;
};

struct client_call {
    const char *name; /* "set" */
    struct client_options options;
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

static const struct flags_command get_command = {
    .name = "get",
    .usage = "[OPTION...] KEY",
    .summary = "print the value of a key",
    .details = "Prints the value and a newline. Exit status: 0; 2 when there is no such key (with\n"
               "\"(nil)\" on standard error); 1 on a failure.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
    .argument_min = 1,
    .argument_max = 1,
};
static const struct flags_command set_command = {
    .name = "set",
    .usage = "[OPTION...] KEY VALUE",
    .summary = "set a key to a value",
    .details = "Prints OK when a majority of the nodes has it on disk. Exit status: 0; 1 on a\n"
               "failure, which says whether the write may have been carried out.",
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
        "deletion may have been carried out.",
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

static int
client_main(void *arg)
{
    const struct client_call *call = arg;
    uint64_t deadline_ns = skein_deadline_in(call->options.timeout_ns);
    struct kv_client *client;
    struct kv_reply reply = {.type = KV_REPLY_NULL};
    char text[NET_ADDR_TEXT_BYTES];
    const struct nodes *nodes = &call->options.nodes;
    int rc = kv_client_connect_any(&client, nodes->list, nodes->count, deadline_ns);
    if (rc < 0) {
        fprintf(stderr,
                "skein %s: no node answers at %s%s (%s); is the cluster running (skein dev), and "
                "is --connect right?\n",
                call->name, net_addr_format(&nodes->list[0], text),
                nodes->count > 1 ? " or the others" : "", skein_error_text(rc));
        return 1;
    }
    rc = kv_client_call(client, &reply, deadline_ns, call->argc, call->argv);
    kv_client_close(client);
    if (rc < 0) {
        /* The command may be on its way: sending it again to another node could do it twice. */
        fprintf(stderr, "skein %s: %s%s\n", call->name, skein_error_text(rc),
                call->name[0] == 'g' ? "; try again"
                                     : "; it may or may not have been carried out: read to see");
        return 1;
    }
    int status = print_reply(call, &reply);
    kv_reply_deinit(&reply);
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
