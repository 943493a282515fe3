/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skein/error.h"

/*
 * One client: connect to a drawn node, send one to PIPELINE_MAX commands, wait for the answers,
 * think. An answer that says "not applied" is a failure, a lost or late one leaves the outcome
 * open, and either way the client goes to another node.
 */

static struct skein_linear_value
text_value(const char *text)
{
    return (struct skein_linear_value){text, strlen(text)};
}

static void
begin_op(struct sim_client *client, uint32_t slot)
{
    struct sim_cluster *cluster = client->cluster;
    struct workload_op *op = &client->ops[slot];
    if (!op->recorded)
        return;
    struct mem_arena *previous = mem_arena_set_current(NULL);
    op->number = skein_linear_call(cluster->history, client->number * PIPELINE_MAX + slot, op->kind,
                                   text_value(op->key), text_value(op->arg), SKEIN_LINEAR_ABSENT,
                                   cluster->world.now_ns);
    mem_arena_set_current(previous);
    sim_trace_text(&cluster->world.trace, client->number, "client.call", "%s %s %.40s",
                   skein_linear_kind_name(op->kind), op->key, op->arg);
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
    struct mem_arena *previous = mem_arena_set_current(NULL);
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

static int
ensure_connected(struct sim_client *client)
{
    if (client->connection)
        return 0;
    /* The next node in turn: whoever always meets the broken one proves nothing. */
    client->node = 1 + client->node % client->cluster->plan.node_count;
    struct skein_addr addr = sim_host_addr(client->node, SIM_CLIENT_PORT);
    int rc = kv_client_connect(&client->connection, &addr, skein_deadline_in(400 * SIM_MS));
    if (rc < 0)
        return rc == -SKEIN_ECANCELED ? rc : skein_sleep(skein_deadline_in(20 * SIM_MS));
    return 0;
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

static void
work(struct sim_client *client)
{
    struct sim_cluster *cluster = client->cluster;
    while (!cluster->workload_stopping) {
        if (ensure_connected(client) < 0)
            return;
        if (!client->connection)
            continue;
        uint32_t count = skein_random() % 5 == 0 ? 2 + (uint32_t)(skein_random() % 4) : 1;
        workload_draw(client, count);
        carry_out(client, count);
        if (skein_sleep(skein_deadline_in(skein_random() % cluster->plan.think_ns_max)) < 0)
            return;
    }
}

/* In the end every key is read once more: what was acknowledged must be there. */
static void
read_all(struct sim_client *client)
{
    uint32_t key_count = workload_key_count(client->cluster);
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
client_fiber(void *arg)
{
    struct sim_client *client = arg;
    work(client);
    read_all(client);
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
