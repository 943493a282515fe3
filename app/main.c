/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "app/commands.h"
#include "app/flags.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

static const struct command commands[] = {
    {"dev", cmd_dev, "a local cluster under one foreground process"},
    {"serve", cmd_serve, "one node of a cluster"},
    {"get", cmd_get, "print the value of a key"},
    {"set", cmd_set, "set a key to a value"},
    {"del", cmd_del, "delete keys"},
    {"cluster", cmd_cluster, "the members of a cluster, and changes of them"},
    {"status", cmd_status, "the nodes of a cluster, as a table or JSON"},
    {"iotune", cmd_iotune, "measure a disk"},
    {"metrics", cmd_metrics, "the metrics of a node"},
    {"snapshot", cmd_snapshot, "back a cluster up, check a backup, begin a new cluster with one"},
    {"log", cmd_log, "what a node's log holds, and whether it is whole"},
    {"sim", cmd_sim, "simulate whole clusters from seeds"},
    {"check-history", cmd_check_history, "whether a history of clients is linearizable"},
    {"version", cmd_version, "version, kernel and features"},
};

static void
print_help(FILE *to)
{
    fprintf(to, "skein - a replicated, linearizable, Redis-compatible key-value store\n\n"
                "usage: skein COMMAND [ARGUMENT...]\n\n");
    for (size_t i = 0; i < BASE_COUNT_OF(commands); i++)
        fprintf(to, "  %-13s  %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\nskein COMMAND --help says more. To begin: skein dev\n");
}

int
main(int argc, char **argv)
{
    /* A client that hangs up is an error code, not a signal. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        print_help(stderr);
        return FLAGS_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < BASE_COUNT_OF(commands); i++) {
        if (strcmp(name, commands[i].name) == 0) {
            /* Output that could not be written is a failure too. */
            int status = commands[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 && status == 0) {
                fprintf(stderr, "skein %s: standard output cannot be written\n", name);
                return 1;
            }
            return status;
        }
    }
    fprintf(stderr, "skein: no such command: \"%.64s\"; skein --help lists them\n", name);
    return FLAGS_EXIT_USAGE;
}
