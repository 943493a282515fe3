/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <string.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/serve_config.h"
#include "app/world.h"
#include "net/addr.h"
#include "replica/link_tcp.h"
#include "skein/error.h"
#include "skein/file.h"
#include "skein/io.h"
#include "skein/metrics.h"
#include "skein/process.h"

/* What ends a node: a signal, or its replica's failure. */
struct serve {
    struct serve_config *config;
    struct skein_backend_choice backend;
    struct kv_node *node;
    struct skein_waitq ended;
    struct skein_signals *signals;
    struct obs_sink *sink;
    int signal;  /* the one that came first; 0: none */
    int failure; /* of the replica */
    char why[512];
};

static void
watch_signals(void *arg)
{
    struct serve *serve = arg;
    struct skein_signal signal;
    while (skein_signals_next(serve->signals, &signal, SKEIN_NEVER) == 0) {
        if (serve->signal) {
            /* Crash-safe: what is acknowledged is on disk. */
            obs_log(OBS_WARN, "serve", "second signal, ending at once", "signal=%d", signal.number);
            _exit(1);
        }
        serve->signal = signal.number;
        obs_log(OBS_INFO, "serve", "stopping", "signal=%d from=%d", signal.number,
                (int)signal.sender);
        skein_wake_all(&serve->ended);
    }
}

static void
watch_node(void *arg)
{
    struct serve *serve = arg;
    int rc = kv_node_wait(serve->node, serve->why);
    if (rc == -SKEIN_ECANCELED)
        return;
    serve->failure = rc;
    skein_wake_all(&serve->ended);
}

/* Sockets are descriptors: ask for as many as the system permits. */
static void
raise_descriptor_limit(uint32_t clients)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)clients + 128)
        obs_log(OBS_WARN, "serve", "fewer descriptors than clients permitted",
                "descriptors=%" PRIu64 " clients_max=%" PRIu32, (uint64_t)limit.rlim_cur, clients);
}

static void
log_backend(const struct skein_backend_choice *choice)
{
    obs_log(choice->refusal ? OBS_WARN : OBS_INFO, "serve", "backend", "name=%s why=\"%s\"",
            skein_backend_kind_name(choice->kind), choice->why);
}

static int
fail(struct serve *serve, int rc)
{
    char quoted[600];
    if (serve->why[0] == '\0')
        snprintf(serve->why, sizeof(serve->why), "%s", skein_error_text(rc));
    obs_log(OBS_ERROR, "serve", "failed", "code=%s why=%s", skein_error_name(rc),
            obs_quote(quoted, sizeof(quoted), serve->why, strlen(serve->why)));
    fprintf(stderr, "skein serve: %s\n", serve->why);
    /* Who was removed is done: nothing should start it again. */
    return rc == -SKEIN_EREMOVED ? 0 : 1;
}

static void
count_log_lines(struct obs_sink *sink)
{
    static const struct skein_metric lines = {"skein_log_lines_total", "Lines logged, by level.",
                                              SKEIN_COUNTER, 0, sizeof(uint64_t)};
    static const struct skein_metric suppressed = {
        "skein_log_suppressed_total", "Lines not logged: too many of one event in a second.",
        SKEIN_COUNTER, 0, sizeof(uint64_t)};
    struct skein_metrics *metrics = skein_shard_metrics();
    /* A registry that is full has counted it. */
    for (int level = 0; level < SKEIN_LOG_OFF; level++) {
        struct skein_label label = {"level", skein_log_level_name((enum skein_log_level)level)};
        (void)!skein_metrics_add(metrics, &sink->counts.lines[level], &lines, 1, &label, 1);
    }
    (void)!skein_metrics_add(metrics, &sink->counts.suppressed, &suppressed, 1, NULL, 0);
}

/* Before the node is opened: its first reads count, too. */
static int
limit_disk(struct serve *serve)
{
    const char *path = serve->config->io_properties;
    char text[SKEIN_IO_TEXT_BYTES_MAX + 1], why[256];
    struct skein_io_properties properties;
    if (!path)
        return 0;
    int handle = skein_file_open(path, SKEIN_FILE_RDONLY, 0);
    ssize_t n = handle < 0 ? handle : skein_file_pread(handle, text, sizeof(text), 0);
    if (handle >= 0)
        skein_close(handle);
    if (n < 0) {
        snprintf(serve->why, sizeof(serve->why), "--io-properties %.300s: %s", path,
                 skein_error_text((int)n));
        return (int)n;
    }
    int rc = skein_io_properties_parse(text, (size_t)n, &properties, why);
    if (rc < 0) {
        snprintf(serve->why, sizeof(serve->why), "--io-properties %.200s: %s", path, why);
        return rc;
    }
    obs_log(OBS_INFO, "serve", "disk limited",
            "read_iops=%" PRIu64 " write_iops=%" PRIu64 " read_bytes_per_second=%" PRIu64
            " write_bytes_per_second=%" PRIu64,
            properties.read_iops, properties.write_iops, properties.read_bytes_per_second,
            properties.write_bytes_per_second);
    return skein_io_limit(&properties);
}

static int
open_node(struct serve *serve)
{
    struct kv_node_options *options = &serve->config->node;
    struct link_tcp_options link = {.cluster_name = options->replica.cluster_name,
                                    .node = options->replica.node,
                                    .peers = options->replica.peers,
                                    .peer_count = options->replica.peer_count,
                                    .queue_bytes_max = options->replica.pending_bytes_max};
    int rc = link_tcp_open(&options->replica.link, &link);
    if (rc < 0)
        return rc;
    return kv_node_open(&serve->node, options, serve->why);
}

/* ---- the end ---- */

/* Stopping to accept, the timers and the metrics wait for nobody; the replica at least this long.
 */
#define STOP_NS UINT64_C(2000000000)

static int
stop_accepting(void *arg, uint64_t deadline_ns)
{
    kv_node_stop_accepting(arg);
    return 0;
}

static int
drain(void *arg, uint64_t deadline_ns)
{
    return kv_node_drain(arg, deadline_ns);
}

static int
stop_timers(void *arg, uint64_t deadline_ns)
{
    kv_node_stop_timers(arg);
    return 0;
}

static int
stop_metrics(void *arg, uint64_t deadline_ns)
{
    kv_node_stop_metrics(arg);
    return 0;
}

static int
stop_replica(void *arg, uint64_t deadline_ns)
{
    kv_node_stop_replica(arg, deadline_ns);
    return 0;
}

static int
clean_up(void *arg, uint64_t deadline_ns)
{
    kv_node_close(arg);
    return 0;
}

static void
log_shutdown(const struct skein_shutdown *shutdown)
{
    struct skein_shutdown_entry entry;
    for (size_t i = 0; skein_shutdown_entry(shutdown, i, &entry); i++) {
        bool done = entry.outcome == SKEIN_SHUTDOWN_DONE;
        obs_log(done ? OBS_DEBUG : OBS_WARN, "serve", "shutdown",
                "phase=\"%s\" what=\"%s\" outcome=\"%s\" result=%s ms=%" PRIu64,
                skein_shutdown_phase_name(entry.phase), entry.name,
                skein_shutdown_outcome_name(entry.outcome),
                entry.result < 0 ? skein_error_name(entry.result) : "0", entry.took_ns / 1000000);
    }
}

/* In order, each within its time; what did not finish is said. */
static void
stop_node(struct serve *serve)
{
    struct skein_shutdown *shutdown = skein_shutdown_open();
    uint64_t timeout_ns = serve->config->node.shutdown_timeout_ns;
    const struct {
        enum skein_shutdown_phase phase;
        const char *name;
        uint64_t timeout_ns;
        int (*stop)(void *arg, uint64_t deadline_ns);
    } steps[] = {
        {SKEIN_SHUTDOWN_ACCEPTING, "port", STOP_NS, stop_accepting},
        {SKEIN_SHUTDOWN_DRAIN, "clients", timeout_ns, drain},
        {SKEIN_SHUTDOWN_TIMERS, "expirer", STOP_NS, stop_timers},
        {SKEIN_SHUTDOWN_METRICS, "metrics", STOP_NS, stop_metrics},
        {SKEIN_SHUTDOWN_SHARDS, "replica", timeout_ns > STOP_NS ? timeout_ns : STOP_NS,
         stop_replica},
        {SKEIN_SHUTDOWN_CLEAN_UP, "node", STOP_NS, clean_up},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        int added = skein_shutdown_add(shutdown, steps[i].phase, steps[i].name, steps[i].timeout_ns,
                                       steps[i].stop, serve->node);
        skein_assert(added == 0);
    }
    int rc = skein_shutdown_run(shutdown);
    log_shutdown(shutdown);
    if (rc == -SKEIN_EBUSY) {
        obs_log(OBS_ERROR, "serve", "something does not end, ending at once", NULL);
        _exit(1);
    }
    skein_shutdown_close(shutdown);
}

static int
serve_main(void *arg)
{
    struct serve *serve = arg;
    struct skein_scope scope, watch;
    char text[NET_ADDR_TEXT_BYTES];
    int status = 0;
    skein_scope_init(&scope);
    skein_scope_init(&watch);
    skein_waitq_init(&serve->ended);
    log_backend(&serve->backend);
    raise_descriptor_limit(serve->config->node.client_count_max);
    count_log_lines(serve->sink);
    int rc = skein_spawn(&scope, "signals", watch_signals, serve, SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = limit_disk(serve);
    if (rc == 0)
        rc = open_node(serve);
    if (rc < 0)
        goto end;
    struct skein_addr addr = kv_node_addr(serve->node);
    obs_log(OBS_INFO, "serve", "listening", "node=%" PRIu32 " addr=%s pid=%d",
            serve->config->node.replica.node, net_addr_format(&addr, text), (int)getpid());
    if (serve->config->metrics.on) {
        addr = kv_node_metrics_addr(serve->node);
        obs_log(OBS_INFO, "serve", "metrics", "addr=%s", net_addr_format(&addr, text));
    }
    rc = skein_spawn(&watch, "node", watch_node, serve, SKEIN_STACK_SMALL);
    while (rc == 0 && !serve->signal && !serve->failure)
        rc = skein_wait(&serve->ended, SKEIN_NEVER);
    if (rc == 0)
        rc = serve->failure;
    skein_scope_cancel(&watch);
    skein_scope_join(&watch);
    stop_node(serve);
end:
    if (rc < 0)
        status = fail(serve, rc);
    else
        obs_log(OBS_INFO, "serve", "stopped", NULL);
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    return status;
}

int
cmd_serve(int argc, char **argv)
{
    static const int signals[] = {SIGTERM, SIGINT};
    struct serve_config config = {.log_levels.fallback = SKEIN_LOG_INFO};
    struct serve serve = {.config = &config};
    char **arguments, why[256];
    int count;
    kv_node_options_init(&config.node);
    enum flags_outcome outcome =
        flags_parse(&serve_command, argc - 1, argv + 1, &config, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    if (serve_config_check(&config, why) < 0) {
        fprintf(stderr, "skein serve: %s\n", why);
        return FLAGS_EXIT_USAGE;
    }
    /* Before any thread is started, so that none of them takes the signals. */
    int rc = skein_signals_open(&serve.signals, signals, BASE_COUNT_OF(signals));
    if (rc < 0) {
        fprintf(stderr, "skein serve: signals: %s\n", skein_error_text(rc));
        return 1;
    }
    struct obs_sink sink = world_sink(&config.log_levels);
    serve.sink = &sink;
    obs_set_sink(&sink);
    int status = world_run_on("serve", config.backend, &serve.backend, serve_main, &serve);
    obs_set_sink(NULL);
    skein_signals_close(serve.signals);
    return status;
}
