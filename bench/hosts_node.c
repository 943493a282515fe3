/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "skein/core.h"
#include "skein/replica.h"
#include "skein/runtime.h"

#define SECOND_NS UINT64_C(1000000000)
#define WRITERS 64

struct node {
    struct hosts_options *options;
    struct skein_replica *replica;
    struct hosts_record *records;
    uint32_t record_count, share, next; /* next: of this node's share of the writes */
};

/* ---- the machine: one number ---- */

static int
number_open(void **out_machine, void *config)
{
    *out_machine = calloc(1, sizeof(uint64_t));
    return *out_machine ? 0 : -SKEIN_ENOMEM;
}

static void
number_query(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    skein_reply_put(reply, machine, sizeof(uint64_t));
}

static void
number_apply(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    if (command->count != sizeof(uint64_t))
        return;
    number_query(machine, command, reply);
    memcpy(machine, command->data, sizeof(uint64_t));
}

static int
number_save(void *machine, struct skein_sink *sink)
{
    return skein_sink_put(sink, machine, sizeof(uint64_t));
}

static int
number_load(void *machine, struct skein_source *source)
{
    return skein_source_get(source, machine, sizeof(uint64_t));
}

static const struct skein_machine_ops number_ops = {
    "number", number_open, number_apply, number_query, number_save, number_load, free};

/* ---- the load ---- */

static enum hosts_outcome
outcome_of(ssize_t rc, const uint64_t *observed)
{
    if (rc == (ssize_t)sizeof(*observed))
        return HOSTS_DONE;
    return rc == -SKEIN_EUNKNOWN || rc == -SKEIN_ECANCELED ? HOSTS_UNKNOWN : HOSTS_FAILED;
}

static void
carry_out(struct node *node, uint32_t group, uint64_t value)
{
    struct skein_replica *replica = skein_replica_group(node->replica, group);
    struct hosts_record *record = &node->records[node->record_count++];
    uint64_t deadline_ns = skein_deadline_in(60 * SECOND_NS), observed = 0;
    *record = (struct hosts_record){.group = group, .value = value, .is_read = value == 0};
    record->call_ns = skein_now_ns();
    ssize_t rc = value
                     ? skein_replica_write(replica, &value, sizeof(value), &observed,
                                           sizeof(observed), deadline_ns)
                     : skein_replica_read(replica, "", 0, &observed, sizeof(observed), deadline_ns);
    record->return_ns = skein_now_ns();
    record->outcome = (uint8_t)outcome_of(rc, &observed);
    record->observed = observed;
}

/* All nodes go through the groups in one order, so that they meet in them. */
static void
writer(void *arg)
{
    struct node *node = arg;
    while (node->next < node->share) {
        uint32_t i = node->next++;
        uint32_t group = i % node->options->group_count;
        carry_out(node, group, (uint64_t)node->options->node << 32 | (i + 1));
        carry_out(node, group, 0);
    }
}

static int
send_number(int handle, uint64_t number)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)number);
    return skein_socket_send(handle, line, (size_t)n, skein_deadline_in(60 * SECOND_NS));
}

static int
load(struct node *node, int handle)
{
    const struct hosts_options *options = node->options;
    struct skein_scope scope;
    node->share =
        options->write_count / HOSTS_NODES + (options->node <= options->write_count % HOSTS_NODES);
    node->records = calloc(2 * node->share + 1, sizeof(node->records[0]));
    if (!node->records)
        return -SKEIN_ENOMEM;
    skein_scope_init(&scope);
    int rc = 0;
    for (uint32_t i = 0; i < WRITERS && rc == 0; i++)
        rc = skein_spawn(&scope, "writer", writer, node, SKEIN_STACK_SMALL);
    skein_scope_join(&scope);
    if (rc == 0)
        rc = send_number(handle, node->record_count);
    if (rc == 0)
        rc = skein_socket_send(handle, node->records, node->record_count * sizeof(node->records[0]),
                               skein_deadline_in(60 * SECOND_NS));
    free(node->records);
    return rc;
}

/* ---- the questions ---- */

static uint32_t
formed(struct node *node)
{
    uint32_t count = 0;
    for (uint32_t group = 0; group < node->options->group_count; group++) {
        struct skein_replica_status status;
        skein_replica_status(skein_replica_group(node->replica, group), &status);
        count += status.leader_node != 0;
    }
    return count;
}

static uint64_t
cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * SECOND_NS +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
}

static int
answer(struct node *node, int handle, const char *question)
{
    if (strcmp(question, "formed") == 0)
        return send_number(handle, formed(node));
    if (strcmp(question, "cpu") == 0)
        return send_number(handle, cpu_ns());
    if (strcmp(question, "load") == 0)
        return load(node, handle);
    return -SKEIN_ECLOSED;
}

static void
serve(struct node *node, int handle)
{
    char line[64];
    size_t have = 0;
    ssize_t n;
    while ((n = skein_socket_recv(handle, line + have, sizeof(line) - 1 - have, SKEIN_NEVER)) > 0) {
        have += (size_t)n;
        line[have] = '\0';
        char *end = strchr(line, '\n');
        if (!end)
            continue;
        *end = '\0';
        have = 0; /* one question at a time */
        if (answer(node, handle, line) < 0)
            return;
    }
}

static int
listen_for_parent(const struct hosts_options *options, int *out_listener)
{
    struct skein_addr addr = {.ip = {[10] = 255, 255, 127, 0, 0, 1}};
    int rc = skein_socket_listen(&addr, 1);
    if (rc < 0)
        return rc;
    *out_listener = rc;
    rc = skein_socket_local_addr(*out_listener, &addr);
    if (rc == 0 && write(options->port_pipe, &addr.port, sizeof(addr.port)) != sizeof(addr.port))
        rc = -SKEIN_ECLOSED;
    return rc;
}

static int
node_main(void *arg)
{
    struct hosts_options *options = arg;
    struct node node = {.options = options};
    struct skein_addr addr;
    char peers[128], why[SKEIN_REPLICA_WHY_BYTES] = "";
    snprintf(peers, sizeof(peers), "1=127.0.0.1:%u,2=127.0.0.1:%u,3=127.0.0.1:%u",
             options->peer_ports[0], options->peer_ports[1], options->peer_ports[2]);
    const struct skein_replica_options replica = {.cluster_name = "hosts",
                                                  .machine = &number_ops,
                                                  .node = options->node,
                                                  .peers = peers,
                                                  .data_dir = options->data_dir,
                                                  .group_count = options->group_count,
                                                  .tick_ns = options->tick_ms * UINT64_C(1000000),
                                                  .quiesce_ticks = options->quiesce_ticks};
    int listener = -1;
    int rc = skein_replica_open(&node.replica, &replica, why);
    if (rc == 0)
        rc = listen_for_parent(options, &listener);
    if (rc == 0)
        rc = skein_socket_accept(listener, &addr, skein_deadline_in(60 * SECOND_NS));
    if (rc >= 0) {
        serve(&node, rc);
        skein_close(rc);
        rc = 0;
    }
    if (rc < 0)
        fprintf(stderr, "hosts: node %u: %s %s\n", options->node, skein_error_text(rc), why);
    if (listener >= 0)
        skein_close(listener);
    skein_replica_stop(node.replica, skein_deadline_in(5 * SECOND_NS));
    return rc < 0;
}

int
hosts_node_run(struct hosts_options *options)
{
    struct skein_runtime_options runtime = {.shard_count = 1};
    char why[SKEIN_WHY_BYTES] = "";
    int result = 1;
    if (skein_runtime_run(&runtime, node_main, options, &result, why) < 0)
        fprintf(stderr, "hosts: %s\n", why);
    return result;
}
