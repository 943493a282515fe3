/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/dev.h"
#include "skein/shard.h"
#include "skein/error.h"

#define MS_NS ((uint64_t)1000000)
#define BACKOFF_MS_MIN 200
#define BACKOFF_MS_MAX 5000
/* A node that ran this long is well: its next end is a new story. */
#define WELL_NS (10000 * MS_NS)
/* What a node may take after SIGTERM before it is killed: its own drain takes 5 s at most, twice.
 */
#define STOP_NS (12000 * MS_NS)

int
dev_node_init(struct dev_node *node, struct dev *dev, uint32_t number)
{
    node->dev = dev;
    node->number = number;
    node->backoff_ms = BACKOFF_MS_MIN;
    skein_waitq_init(&node->changed);
    int bytes = snprintf(node->data_dir, sizeof(node->data_dir), "%s/node-%" PRIu32,
                         dev->options.data_dir, number);
    if (bytes < 0 || (size_t)bytes >= sizeof(node->data_dir))
        return -ENAMETOOLONG;
    snprintf(node->log_path, sizeof(node->log_path), "%s.log", node->data_dir);
    return 0;
}

/* What the child is started with; made before the fork, which allows no allocation behind it. */
struct arguments {
    char number[16], peers[DEV_NODES_MAX * 32], listen[32], metrics[32], groups[16];
    const char *argv[24];
};

static void
arguments_init(struct arguments *a, const struct dev_node *node)
{
    const struct dev_options *options = &node->dev->options;
    size_t at = 0;
    snprintf(a->number, sizeof(a->number), "%" PRIu32, node->number);
    snprintf(a->listen, sizeof(a->listen), "127.0.0.1:%" PRIu32,
             options->base_port + node->number - 1);
    snprintf(a->metrics, sizeof(a->metrics), "127.0.0.1:%" PRIu32,
             options->base_port + DEV_METRICS_PORT_OFFSET + node->number - 1);
    snprintf(a->groups, sizeof(a->groups), "%" PRIu32, options->groups);
    for (uint32_t i = 1; i <= options->nodes; i++)
        at += (size_t)snprintf(a->peers + at, sizeof(a->peers) - at,
                               "%s%" PRIu32 "=127.0.0.1:%" PRIu32, i > 1 ? "," : "", i,
                               options->base_port + DEV_PEER_PORT_OFFSET + i - 1);
    const char *const argv[] = {
        "skein",     "serve",        "--node",    a->number,
        "--peers",   a->peers,       "--listen",  a->listen,
        "--data",    node->data_dir, "--store",   kv_store_name(options->store),
        "--cluster", "dev",          "--metrics", a->metrics,
        "--groups",  a->groups,      NULL};
    memcpy(a->argv, argv, sizeof(argv));
}

static void
wait_for_end(void *arg)
{
    struct dev_node *node = arg;
    int rc = skein_child_wait(node->child, &node->status, SKEIN_NEVER);
    skein_assert(rc == 0); /* nobody cancels it: it ends with the child */
    node->pid = 0;
    node->answers = false;
    skein_wake_all(&node->changed);
}

/* The child is gone, or never came: nothing of it is left. */
static void
forget(struct dev_node *node)
{
    skein_scope_join(&node->waiting);
    skein_child_close(node->child);
    node->child = NULL;
    node->pid = 0;
}

static int
start(struct dev_node *node)
{
    struct arguments arguments;
    arguments_init(&arguments, node);
    int log_fd = dev_log_open(node);
    if (log_fd < 0)
        return log_fd;
    const struct skein_child_options options = {
        .path = "/proc/self/exe",
        .argv = arguments.argv,
        .streams = {SKEIN_CHILD_NULL, SKEIN_CHILD_HANDLE, SKEIN_CHILD_HANDLE},
        .handles = {0, log_fd, log_fd},
        .group = true,
        .parent_death_signal = SIGKILL,
    };
    int rc = skein_child_open(&node->child, &options);
    close(log_fd);
    if (rc < 0)
        return rc;
    skein_scope_init(&node->waiting);
    node->pid = skein_child_pid(node->child);
    rc = skein_spawn(&node->waiting, "child", wait_for_end, node, SKEIN_STACK_SMALL);
    if (rc < 0) {
        forget(node);
        return rc;
    }
    node->started_ns = skein_now_ns();
    dev_event(node->dev, "node %" PRIu32 ": started, pid %d, clients on 127.0.0.1:%" PRIu32,
              node->number, (int)node->pid, node->dev->options.base_port + node->number - 1);
    return 0;
}

void
dev_node_kill(struct dev_node *node)
{
    if (node->pid != 0)
        (void)skein_child_kill(node->child, SIGKILL);
}

static void
describe_end(const struct dev_node *node, char *out, size_t out_bytes)
{
    char tail[256];
    if (!node->status.exited) {
        snprintf(out, out_bytes, "killed by signal %d (%s)", node->status.code,
                 strsignal(node->status.code));
        return;
    }
    snprintf(out, out_bytes, "ended with exit status %d: %s", node->status.code,
             dev_log_tail(node, tail, sizeof(tail)));
}

/* SIGTERM, and when that does not do it, SIGKILL. A stopped process hears nothing before SIGCONT.
 */
static void
stop(struct dev_node *node)
{
    uint64_t deadline_ns = skein_deadline_in(STOP_NS);
    if (!node->child)
        return;
    (void)skein_child_kill(node->child, SIGTERM);
    (void)skein_child_kill(node->child, SIGCONT);
    while (node->pid != 0) {
        if (skein_wait(&node->changed, deadline_ns) == 0)
            continue;
        if (node->pid == 0)
            break;
        dev_event(node->dev, "node %" PRIu32 ": does not stop, killing it", node->number);
        dev_node_kill(node);
        deadline_ns = SKEIN_NEVER;
    }
    forget(node);
    dev_event(node->dev, "node %" PRIu32 ": stopped", node->number);
}

/* Wait out the backoff. */
static void
back_off(struct dev_node *node)
{
    uint64_t deadline_ns = skein_deadline_in(node->backoff_ms * MS_NS);
    while (!node->dev->stopping && skein_wait(&node->changed, deadline_ns) == 0)
        ;
    node->backoff_ms =
        node->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : node->backoff_ms * 2;
    node->restarts++;
}

void
dev_node_run(void *arg)
{
    struct dev_node *node = arg;
    struct dev *dev = node->dev;
    while (!dev->stopping) {
        char how[320];
        int rc = start(node);
        if (rc < 0) {
            snprintf(how, sizeof(how), "cannot be started: %.200s: %s", node->log_path,
                     skein_error_text(rc));
        } else {
            while (node->pid != 0 && !dev->stopping)
                if (skein_wait(&node->changed, SKEIN_NEVER) < 0)
                    break;
            if (dev->stopping)
                break;
            forget(node);
            if (skein_now_ns() - node->started_ns > WELL_NS)
                node->backoff_ms = BACKOFF_MS_MIN;
            describe_end(node, how, sizeof(how));
        }
        if (dev->options.no_restart) {
            dev_event(dev, "node %" PRIu32 ": %s", node->number, how);
            while (!dev->stopping && skein_wait(&node->changed, SKEIN_NEVER) == 0)
                ;
            break;
        }
        dev_event(dev, "node %" PRIu32 ": %s; starting it again in %" PRIu32 " ms", node->number,
                  how, node->backoff_ms);
        back_off(node);
    }
    stop(node);
}
