/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skein/error.h"

/*
 * One client: connect to a drawn node, send one to PIPELINE_MAX commands, wait for the answers,
 * think. An answer that says "not applied" is a failure, a lost or late one leaves the outcome
 * open, and either way the client goes to another node.
 */

/* What a write in a session has, in timeouts of a client. */
#define ONCE_TIMEOUTS 2
/* Stale reads overlap: each is a process of its own. */
#define STALE_PROCESS_MIN 100000u

static struct skein_linear_value
text_value(const char *text)
{
    return (struct skein_linear_value){text, strlen(text)};
}

/* When each event of the history was; the C library's heap is current. */
static void
note_events(struct sim_cluster *cluster)
{
    while (cluster->event_count < skein_linear_event_count(cluster->history)) {
        mem_grow(&cluster->event_times, &cluster->event_capacity, cluster->event_count,
                 sizeof(cluster->event_times[0]));
        cluster->event_times[cluster->event_count++] = cluster->world.now_ns;
    }
}

/* How many events there were before @at_ns. */
static uint64_t
events_before(const struct sim_cluster *cluster, uint64_t at_ns)
{
    size_t low = 0, high = cluster->event_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (cluster->event_times[middle] < at_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A stale read has to see what was answered its bound before it began, by a clock that may be a
 * little slow: it counts as called then. */
static void
record_stale(struct sim_client *client, struct workload_op *op)
{
    struct sim_cluster *cluster = client->cluster;
    uint64_t back_ns = client->stale_ns + client->stale_ns / 500 + SIM_MS;
    uint64_t now_ns = cluster->world.now_ns;
    uint64_t event = events_before(cluster, back_ns < now_ns ? now_ns - back_ns : 0);
    op->number = skein_linear_call_behind(
        cluster->history, event, STALE_PROCESS_MIN + cluster->stale_process++, op->kind,
        text_value(op->key), text_value(op->arg), SKEIN_LINEAR_ABSENT, now_ns);
}

/* "kind key argument", the argument's beginning only. */
static void
trace_call(struct sim_client *client, const struct workload_op *op)
{
    char text[128];
    const char *parts[] = {skein_linear_kind_name(op->kind), op->key, op->arg};
    size_t at = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(parts); i++) {
        size_t n = strnlen(parts[i], 40);
        skein_assert(at + n + 1 < sizeof(text));
        memcpy(text + at, parts[i], n);
        at += n;
        text[at++] = ' ';
    }
    text[at - 1] = '\0';
    sim_trace_line(&client->cluster->world.trace, client->number, "client.call", text);
}

static void
begin_op(struct sim_client *client, uint32_t slot)
{
    struct sim_cluster *cluster = client->cluster;
    struct workload_op *op = &client->ops[slot];
    if (!op->recorded)
        return;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    if (client->level == REPLICA_STALE && op->kind == SKEIN_LINEAR_READ)
        record_stale(client, op);
    else
        op->number = skein_linear_call(cluster->history, client->number * PIPELINE_MAX + slot,
                                       op->kind, text_value(op->key), text_value(op->arg),
                                       SKEIN_LINEAR_ABSENT, cluster->world.now_ns);
    note_events(cluster);
    mem_arena_set_current(previous);
    trace_call(client, op);
}

enum ending { ENDED_OK, ENDED_FAILED, ENDED_UNKNOWN };

static void
end_op(struct sim_client *client, uint32_t slot, enum ending ending, bool has_observed,
       struct skein_linear_value observed)
{
    struct sim_cluster *cluster = client->cluster;
    struct workload_op *op = &client->ops[slot];
    sim_trace_event(&cluster->world.trace, client->number, "client.return", (uint64_t)ending,
                    op->number, observed.count);
    if (ending == ENDED_OK)
        client->done_count++;
    if (!op->recorded)
        return;
    if (ending == ENDED_OK && op->kind == SKEIN_LINEAR_READ)
        cluster->level_counts[client->level]++;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    if (ending == ENDED_OK && op->kind != SKEIN_LINEAR_READ)
        sim_oracle_written(cluster);
    if (ending == ENDED_OK) {
        skein_linear_ok(cluster->history, op->number, has_observed, observed,
                        cluster->world.now_ns);
    } else if (ending == ENDED_FAILED || op->kind == SKEIN_LINEAR_READ) {
        skein_linear_fail(cluster->history, op->number);
        cluster->failed_count++;
    } else {
        skein_linear_unknown(cluster->history, op->number);
        cluster->unknown_count++;
    }
    note_events(cluster);
    mem_arena_set_current(previous);
}

/* What an answer tells; false: it is none that the command can have. */
static bool
observe(const struct workload_op *op, const struct kv_reply *reply, char number[32],
        bool *out_has_observed, struct skein_linear_value *out_observed)
{
    struct skein_linear_value text = {reply->text.data ? (const void *)reply->text.data : "",
                                      reply->text.count};
    *out_has_observed = true;
    *out_observed = SKEIN_LINEAR_ABSENT;
    bool is_null = reply->type == KV_REPLY_NULL;
    bool is_ok =
        reply->type == KV_REPLY_SIMPLE && text.count == 2 && memcmp(text.data, "OK", 2) == 0;
    switch (op->kind) {
    case SKEIN_LINEAR_READ:
        if (reply->type == KV_REPLY_BULK)
            *out_observed = text;
        return is_null || reply->type == KV_REPLY_BULK;
    case SKEIN_LINEAR_WRITE:
        if (reply->type == KV_REPLY_BULK)
            *out_observed = text;
        *out_has_observed = op->wants_old;
        return op->wants_old ? is_null || reply->type == KV_REPLY_BULK : is_ok;
    case SKEIN_LINEAR_WRITE_NEW:
        if (is_null)
            *out_observed = text_value("");
        return is_null || is_ok;
    case SKEIN_LINEAR_WRITE_OLD:
        if (is_ok)
            *out_observed = text_value("");
        return is_null || is_ok;
    case SKEIN_LINEAR_APPEND:
    case SKEIN_LINEAR_ADD:
    case SKEIN_LINEAR_DELETE:
        snprintf(number, 32, "%lld", (long long)reply->integer);
        *out_observed = text_value(number);
        return reply->type == KV_REPLY_INTEGER;
    case SKEIN_LINEAR_CAS:
    case SKEIN_LINEAR_KIND_COUNT:
    case SKEIN_LINEAR_USER:
        break;
    }
    return false;
}

static bool
begins_with(struct bytes text, const char *word)
{
    size_t n = strlen(word);
    return text.count >= n && memcmp(text.data, word, n) == 0;
}

/* Returns whether the client had better go to another node. */
static bool
take_reply(struct sim_client *client, uint32_t slot, const struct kv_reply *reply)
{
    struct workload_op *op = &client->ops[slot];
    char number[32];
    bool has_observed;
    struct skein_linear_value observed;
    if (reply->type == KV_REPLY_ERROR) {
        bool unknown = begins_with(reply->text, "UNKNOWN");
        sim_trace_text(&client->cluster->world.trace, client->number, "client.error", "%.*s",
                       (int)reply->text.count, (const char *)reply->text.data);
        end_op(client, slot, unknown ? ENDED_UNKNOWN : ENDED_FAILED, false, SKEIN_LINEAR_ABSENT);
        return true;
    }
    if (!op->recorded) {
        end_op(client, slot, ENDED_OK, false, SKEIN_LINEAR_ABSENT);
        return false;
    }
    if (!observe(op, reply, number, &has_observed, &observed)) {
        sim_violation(client->cluster, SIM_SAFETY, "%s %s was answered by a reply of type %d",
                      skein_linear_kind_name(op->kind), op->key, (int)reply->type);
        return true;
    }
    end_op(client, slot, ENDED_OK, has_observed, observed);
    return false;
}

static void
leave_node(struct sim_client *client)
{
    if (client->connection)
        kv_client_close(client->connection);
    client->connection = NULL;
}

/* Each connection has a level of reads of its own. False: it broke. */
static bool
draw_level(struct sim_client *client)
{
    static const uint64_t bounds_ms[] = {0, 20, 100, 400, 2000};
    char bound[16];
    const char *argv[] = {"SKEIN", "READ", NULL, bound};
    struct kv_reply reply = {0};
    uint64_t ms = bounds_ms[skein_random() % BASE_COUNT_OF(bounds_ms)];
    enum replica_level level = (enum replica_level)(skein_random() % (REPLICA_STALE + 1));
    if (client->last_reads)
        level = REPLICA_LINEARIZABLE;
    client->level = level;
    client->stale_ns = ms * SIM_MS;
    if (level == REPLICA_LINEARIZABLE)
        return true;
    argv[2] = replica_level_name(level);
    snprintf(bound, sizeof(bound), "%llu", (unsigned long long)ms);
    int rc = kv_client_call(client->connection, &reply, skein_deadline_in(400 * SIM_MS),
                            level == REPLICA_STALE ? 4 : 3, argv);
    if (rc == 0 && begins_with(reply.text, "REFUSED"))
        sim_violation(client->cluster, SIM_SAFETY, "SKEIN READ %s is refused: %.*s", argv[2],
                      (int)reply.text.count, (const char *)reply.text.data);
    kv_reply_deinit(&reply);
    return rc == 0;
}

static int
ensure_connected(struct sim_client *client)
{
    if (client->connection)
        return 0;
    /* The next node in turn: whoever always meets the broken one proves nothing. */
    client->node = 1 + client->node % client->cluster->plan.node_count;
    struct skein_addr addr = sim_group_addr(client->node, client->group);
    int rc = kv_client_connect(&client->connection, &addr, skein_deadline_in(400 * SIM_MS));
    if (rc < 0)
        return rc == -SKEIN_ECANCELED ? rc : skein_sleep(skein_deadline_in(20 * SIM_MS));
    if (!draw_level(client))
        leave_node(client);
    return 0;
}

/* Any group in turn, by chance; those that nobody is at may sleep. */
static void
draw_group(struct sim_client *client)
{
    uint32_t group_count = client->cluster->plan.group_count;
    if (group_count > 1 && !client->connection)
        client->group = (uint32_t)(skein_random() % group_count);
}

/* Send @count commands and take their answers. */
static void
carry_out(struct sim_client *client, uint32_t count)
{
    uint64_t deadline_ns = skein_deadline_in(client->cluster->plan.client_timeout_ns);
    bool leave = false;
    for (uint32_t i = 0; i < count; i++) {
        begin_op(client, i);
        kv_client_send(client->connection, client->ops[i].argv, client->ops[i].argc);
    }
    uint32_t slot = 0;
    for (; slot < count; slot++) {
        struct kv_reply reply = {0};
        if (kv_client_receive(client->connection, &reply, deadline_ns) < 0)
            break;
        leave = take_reply(client, slot, &reply) || leave;
        kv_reply_deinit(&reply);
    }
    for (leave = leave || slot < count; slot < count; slot++)
        end_op(client, slot, ENDED_UNKNOWN, false, SKEIN_LINEAR_ABSENT);
    if (leave || skein_random() % 50 == 0)
        leave_node(client);
}

/* One write in a session, from node to node until it is answered: unknown only when its time is
 * over, or its session. */
static void
carry_out_once(struct sim_client *client)
{
    struct sim_cluster *cluster = client->cluster;
    const struct workload_op *op = &client->ops[0];
    struct kv_reply reply = {0};
    struct kv_caller *caller = client->callers[client->group];
    uint64_t attempts = kv_caller_attempts(caller);
    begin_op(client, 0);
    int rc =
        kv_caller_call(caller, op->argv, op->argc,
                       skein_deadline_in(ONCE_TIMEOUTS * cluster->plan.client_timeout_ns), &reply);
    if (rc == 0) {
        cluster->once_count += reply.type != KV_REPLY_ERROR;
        (void)take_reply(client, 0, &reply);
    } else {
        bool failed = rc == -SKEIN_ENOLEADER || rc == -ECONNREFUSED;
        sim_trace_text(&cluster->world.trace, client->number, "client.error", "once: %s",
                       skein_error_name(rc));
        end_op(client, 0, failed ? ENDED_FAILED : ENDED_UNKNOWN, false, SKEIN_LINEAR_ABSENT);
    }
    cluster->once_attempts += kv_caller_attempts(caller) - attempts;
    kv_reply_deinit(&reply);
}

static void
work(struct sim_client *client)
{
    struct sim_cluster *cluster = client->cluster;
    while (!cluster->workload_stopping) {
        draw_group(client);
        if (ensure_connected(client) < 0)
            return;
        if (!client->connection)
            continue;
        uint32_t count = skein_random() % 5 == 0 ? 2 + (uint32_t)(skein_random() % 4) : 1;
        workload_draw(client, count);
        if (count == 1 && client->ops[0].kind != SKEIN_LINEAR_READ && skein_random() % 2 == 0)
            carry_out_once(client);
        else
            carry_out(client, count);
        if (skein_sleep(skein_deadline_in(skein_random() % cluster->plan.think_ns_max)) < 0)
            return;
    }
}

/* In the end every key is read once more: what was acknowledged must be there. */
static void
read_group(struct sim_client *client, uint32_t group)
{
    uint32_t key_count = workload_key_count(client->cluster);
    leave_node(client);
    client->group = group;
    for (uint32_t key = client->number - 1; key < key_count;
         key += client->cluster->plan.client_count) {
        uint64_t before = client->done_count;
        while (client->done_count == before) {
            if (ensure_connected(client) < 0)
                return;
            if (!client->connection)
                continue;
            workload_read(client, key);
            carry_out(client, 1);
        }
    }
}

static void
open_caller(struct sim_client *client, uint32_t group)
{
    static const uint64_t ttls_ms[] = {5000, 60000};
    struct skein_addr addrs[REPLICA_NODES_MAX];
    uint32_t count = client->cluster->plan.node_count;
    for (uint32_t i = 0; i < count; i++)
        addrs[i] = sim_group_addr(1 + (client->number + i) % count, group);
    kv_caller_open(&client->callers[group], addrs, count,
                   ttls_ms[skein_random() % BASE_COUNT_OF(ttls_ms)]);
}

static void
client_fiber(void *arg)
{
    struct sim_client *client = arg;
    uint32_t group_count = client->cluster->plan.group_count;
    for (uint32_t group = 0; group < group_count; group++)
        open_caller(client, group);
    work(client);
    for (uint32_t group = 0; group < group_count; group++)
        kv_caller_close(client->callers[group], skein_deadline_in(400 * SIM_MS));
    client->last_reads = true;
    for (uint32_t group = 0; group < group_count; group++)
        read_group(client, group);
    leave_node(client);
    client->cluster->clients_done++;
}

static int
clients_main(void *arg)
{
    struct sim_cluster *cluster = arg;
    struct skein_scope scope;
    skein_scope_init(&scope);
    for (uint32_t i = 0; i < cluster->plan.client_count; i++) {
        int rc =
            skein_spawn(&scope, "client", client_fiber, &cluster->clients[i], SKEIN_STACK_SMALL);
        skein_assert(rc == 0);
    }
    if (cluster->members) {
        int rc = skein_spawn(&scope, "operator", sim_members_run, cluster, SKEIN_STACK_LARGE);
        skein_assert(rc == 0);
    }
    skein_scope_join(&scope);
    return 0;
}

void
sim_workload_start(struct sim_cluster *cluster)
{
    cluster->history = skein_linear_open(0);
    cluster->clients = mem_zalloc(cluster->plan.client_count * sizeof(cluster->clients[0]));
    for (uint32_t i = 0; i < cluster->plan.client_count; i++) {
        cluster->clients[i].cluster = cluster;
        cluster->clients[i].number = cluster->clients[i].node = i + 1;
    }
    cluster->client_host = sim_host_add(&cluster->world, NULL);
    cluster->client_host->main_fn = clients_main;
    cluster->client_host->main_arg = cluster;
    sim_host_start(cluster->client_host);
}

void
sim_workload_stop(struct sim_cluster *cluster)
{
    cluster->workload_stopping = true;
}

bool
sim_workload_done(const struct sim_cluster *cluster)
{
    return cluster->clients_done == cluster->plan.client_count;
}

void
sim_workload_mark(struct sim_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->plan.client_count; i++)
        cluster->clients[i].mark_count = cluster->clients[i].done_count;
}

uint32_t
sim_workload_stuck_client(const struct sim_cluster *cluster, uint64_t count)
{
    for (uint32_t i = 0; i < cluster->plan.client_count; i++)
        if (cluster->clients[i].done_count < cluster->clients[i].mark_count + count)
            return i + 1;
    return 0;
}
