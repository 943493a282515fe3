/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/dev.h"
#include "app/flags.h"
#include "app/serve_config.h"
#include "app/world.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/socket.h"
#include "skein/shard.h"
#include "kv/route.h"
#include "net/addr.h"
#include "skein/error.h"

static const struct flags_row rows[] = {
    {"nodes", "N", "3", "How many nodes.", flags_parse_number,
     FLAGS_FIELD(struct dev_options, nodes), 1, DEV_NODES_MAX},
    {"data", "DIR", "skein-data",
     "Where the nodes keep their data, one folder and one log file each: DIR/node-1, "
     "DIR/node-1.log. Made when absent. The default is in the current folder.",
     flags_parse_text, FLAGS_FIELD(struct dev_options, data_dir), .max = 4000},
    {"base-port", "PORT", "7001",
     "Clients connect to this port and the following ones of 127.0.0.1, a port a node; the nodes "
     "talk to each other on ports 100 higher and serve their metrics on ports 200 higher.",
     flags_parse_number, FLAGS_FIELD(struct dev_options, base_port), 1, 65000},
    {"store", "NAME", "memory",
     "memory or lmdb: where the nodes keep their keys (see skein serve --help).", serve_parse_store,
     FLAGS_FIELD(struct dev_options, store)},
    {"groups", "N", "1", "Groups that the keys are shared out over (see skein serve --help).",
     flags_parse_number, FLAGS_FIELD(struct dev_options, groups), 1, KV_GROUPS_MAX},
    {"no-restart", NULL, NULL, "Leave a node that ended as it is.", flags_parse_switch,
     FLAGS_FIELD(struct dev_options, no_restart)},
};

static const struct flags_command dev_command = {
    .name = "dev",
    .usage = "[--nodes N] [--data DIR] [--no-restart] [OPTION...]",
    .summary = "a local cluster under one foreground process",
    .details =
        "Each node is a process of its own (skein serve); one that dies is started again. On a\n"
        "terminal a table shows how they are, elsewhere one line is printed for each event.\n"
        "Ctrl-C or SIGTERM ends them in good order and exits 0; the data stays. Variables like\n"
        "SKEIN_LOG_LEVEL or SKEIN_VALUE_BYTES_MAX reach the nodes (see skein serve --help).",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
};

/* A port that somebody else has is better said once, here, than by a node again and again. */
static int
check_port(uint32_t port)
{
    struct skein_addr addr;
    char why[128];
    int rc = net_addr_parse("127.0.0.1:1", &addr, why);
    addr.port = (uint16_t)port;
    int handle = rc < 0 ? rc : skein_socket_listen(&addr, 1);
    if (handle < 0) {
        fprintf(stderr,
                "skein dev: port %" PRIu32 ": %s; end what uses it (another skein dev?) or choose "
                "other ports with --base-port\n",
                port, skein_error_text(handle));
        return handle;
    }
    return skein_close(handle);
}

static int
prepare(struct dev *dev)
{
    int rc = 0;
    for (uint32_t i = 0; i < dev->options.nodes && rc == 0; i++) {
        rc = check_port(dev->options.base_port + i);
        if (rc == 0)
            rc = check_port(dev->options.base_port + DEV_PEER_PORT_OFFSET + i);
        if (rc == 0)
            rc = check_port(dev->options.base_port + DEV_METRICS_PORT_OFFSET + i);
    }
    if (rc < 0)
        return rc;
    rc = skein_file_mkdir(dev->options.data_dir, 0755);
    if (rc < 0 && rc != -EEXIST) {
        fprintf(stderr,
                "skein dev: %s: cannot be made: %s; choose another folder with --data (its parent "
                "has to be there)\n",
                dev->options.data_dir, skein_error_text(rc));
        return rc;
    }
    for (uint32_t i = 0; i < dev->options.nodes; i++) {
        rc = dev_node_init(&dev->nodes[i], dev, i + 1);
        if (rc == 0) {
            rc = dev_log_open(&dev->nodes[i]);
            if (rc >= 0)
                rc = close(rc);
        }
        if (rc < 0) {
            fprintf(stderr,
                    "skein dev: %s: cannot be written: %s; choose another folder with --data\n",
                    dev->nodes[i].log_path, skein_error_text(rc));
            return rc;
        }
    }
    return 0;
}

static void
stop(struct dev *dev)
{
    if (dev->stopping) {
        for (uint32_t i = 0; i < dev->options.nodes; i++)
            dev_node_kill(&dev->nodes[i]);
        return;
    }
    dev_event(dev, "stopping (again: at once)");
    dev->stopping = true;
    skein_wake_all(&dev->changed);
    for (uint32_t i = 0; i < dev->options.nodes; i++)
        skein_wake_all(&dev->nodes[i].changed);
}

static void
watch_signals(void *arg)
{
    struct dev *dev = arg;
    struct skein_signal signal;
    while (skein_signals_next(dev->signals, &signal, SKEIN_NEVER) == 0)
        stop(dev);
}

static int
dev_main(void *arg)
{
    struct dev *dev = arg;
    struct skein_scope scope, watch;
    if (prepare(dev) < 0)
        return 1;
    skein_scope_init(&scope);
    skein_scope_init(&watch);
    skein_waitq_init(&dev->changed);
    dev_event(dev, "starting %" PRIu32 " node%s, data in %s", dev->options.nodes,
              dev->options.nodes > 1 ? "s" : "", dev->options.data_dir);
    int rc = skein_spawn(&watch, "signals", watch_signals, dev, SKEIN_STACK_SMALL);
    for (uint32_t i = 0; i < dev->options.nodes && rc == 0; i++)
        rc = skein_spawn(&scope, "node", dev_node_run, &dev->nodes[i], SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = skein_spawn(&scope, "status", dev_status_run, dev, SKEIN_STACK_SMALL);
    if (rc < 0) {
        fprintf(stderr, "skein dev: %s\n", skein_error_text(rc));
        stop(dev);
    }
    skein_scope_join(&scope);
    skein_scope_cancel(&watch);
    skein_scope_join(&watch);
    return rc < 0 ? 1 : 0;
}

int
cmd_dev(int argc, char **argv)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct dev dev = {0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&dev_command, argc - 1, argv + 1, &dev.options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    int rc = skein_signals_open(&dev.signals, signals, BASE_COUNT_OF(signals));
    if (rc < 0) {
        fprintf(stderr, "skein dev: signals: %s\n", skein_error_text(rc));
        return 1;
    }
    dev.terminal = isatty(STDOUT_FILENO) == 1;
    int status = world_run("dev", dev_main, &dev);
    skein_signals_close(dev.signals);
    return status;
}
