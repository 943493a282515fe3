/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/dev.h"

static void
erase(struct dev *dev)
{
    if (dev->drawn > 0)
        printf("\x1b[%" PRIu32 "A\x1b[J", dev->drawn);
    dev->drawn = 0;
}

void
dev_event(struct dev *dev, const char *format, ...)
{
    va_list arguments;
    erase(dev);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    if (dev->terminal && dev->greeted && !dev->stopping)
        dev_draw(dev);
    fflush(stdout);
}

void
dev_draw(struct dev *dev)
{
    if (!dev->terminal)
        return;
    erase(dev);
    printf("\n%-5s %-16s %-8s %-14s %-6s %-10s %-10s %-9s %s\n", "NODE", "CLIENTS", "PID", "STATE",
           "TERM", "COMMIT", "KEYS", "OPS/S", "RESTARTS");
    for (uint32_t i = 0; i < dev->options.nodes; i++) {
        const struct dev_node *node = &dev->nodes[i];
        char addr[32];
        const char *state = !node->pid                            ? "down"
                            : !node->answers                      ? "no answer"
                            : strcmp(node->phase, "running") == 0 ? node->role
                                                                  : node->phase;
        snprintf(addr, sizeof(addr), "127.0.0.1:%" PRIu32, dev->options.base_port + i);
        printf("%-5" PRIu32 " %-16s %-8d %-14s %-6" PRIu64 " %-10" PRIu64 " %-10" PRIu64
               " %-9" PRIu64 " %" PRIu32 "\n",
               node->number, addr, (int)node->pid, state, node->term, node->commit, node->keys,
               node->ops, node->restarts);
    }
    dev->drawn = dev->options.nodes + 2;
    fflush(stdout);
}

static bool
in_path(const char *program)
{
    char file[4200];
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t bytes = strcspn(path, ":");
        if (bytes > 0 && bytes < 4096) {
            snprintf(file, sizeof(file), "%.*s/%s", (int)bytes, path, program);
            if (access(file, X_OK) == 0)
                return true;
        }
        path += bytes + (path[bytes] == ':');
    }
    return false;
}

/* How to call this program from here: relative when it lies below the current folder. */
static const char *
own_name(char out[4096])
{
    char cwd[4096];
    ssize_t bytes = readlink("/proc/self/exe", out, 4095);
    if (bytes <= 0)
        return "skein";
    out[bytes] = '\0';
    size_t cwd_bytes = getcwd(cwd, sizeof(cwd)) ? strlen(cwd) : 0;
    if (cwd_bytes > 1 && strncmp(out, cwd, cwd_bytes) == 0 && out[cwd_bytes] == '/')
        memmove(out, out + cwd_bytes + 1, strlen(out + cwd_bytes + 1) + 1);
    return out;
}

void
dev_greet(struct dev *dev)
{
    const struct dev_options *options = &dev->options;
    char name[4096], connect[DEV_NODES_MAX * 24 + 16] = "";
    uint32_t other = options->base_port + (options->nodes > 1);
    /* The client's own default fits the usual ports. */
    if (options->base_port != 7001 || options->nodes > 3) {
        size_t at = (size_t)snprintf(connect, sizeof(connect), " --connect ");
        for (uint32_t i = 0; i < options->nodes; i++)
            at += (size_t)snprintf(connect + at, sizeof(connect) - at, "%s127.0.0.1:%" PRIu32,
                                   i ? "," : "", options->base_port + i);
    }
    own_name(name);
    erase(dev);
    printf("\nReady: %" PRIu32 " node%s, node %" PRIu32
           " leads; data in %s. Talk to any of them:\n\n",
           options->nodes, options->nodes > 1 ? "s" : "", dev->leader, options->data_dir);
    if (in_path("redis-cli"))
        printf("  redis-cli -p %" PRIu32 " set k v\n  redis-cli -p %" PRIu32 " get k\n",
               options->base_port, other);
    printf("  %s set%s k v\n  %s get%s k\n  %s status%s\n\n", name, connect, name, connect, name,
           connect);
    printf("Kill one (kill -9 %d) and go on. Ctrl-C ends the cluster and keeps the data.\n",
           (int)dev->nodes[dev->leader - 1].pid);
    if (!in_path("redis-cli"))
        printf("(With redis-cli installed: redis-cli -p %" PRIu32 " set k v)\n",
               options->base_port);
    fflush(stdout);
}
