/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/drill/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "skein/shard.h"
#include "kv/client.h"
#include "skein/error.h"

#define SECOND UINT64_C(1000000000)

struct client {
    struct load *load;
    struct prng prng;
    uint32_t number;
    uint32_t process; /* a new one after each unknown outcome */
    uint64_t made;
    struct kv_client *connection;
};

struct action {
    enum skein_linear_kind kind;
    char key[32], arg[48];
    uint32_t argc;
    const char *argv[4];
};

static struct skein_linear_value
text_value(const char *text)
{
    return (struct skein_linear_value){text, strlen(text)};
}

static void
draw_action(struct client *client, struct action *out)
{
    static const struct {
        enum skein_linear_kind kind;
        const char *verb, *option;
        bool has_arg, number_key;
    } rows[] = {
        {SKEIN_LINEAR_WRITE, "SET", NULL, true, false},
        {SKEIN_LINEAR_READ, "GET", NULL, false, false},
        {SKEIN_LINEAR_READ, "GET", NULL, false, false},
        {SKEIN_LINEAR_APPEND, "APPEND", NULL, true, false},
        {SKEIN_LINEAR_WRITE_NEW, "SET", "NX", true, false},
        {SKEIN_LINEAR_WRITE_OLD, "SET", "XX", true, false},
        {SKEIN_LINEAR_DELETE, "DEL", NULL, false, false},
        {SKEIN_LINEAR_ADD, "INCRBY", NULL, true, true},
        {SKEIN_LINEAR_READ, "GET", NULL, false, true},
        {SKEIN_LINEAR_WRITE, "SET", NULL, true, false},
    };
    uint64_t row = prng_below(&client->prng, BASE_COUNT_OF(rows));
    struct load *load = client->load;
    out->kind = rows[row].kind;
    snprintf(out->key, sizeof(out->key), "%c-%u-%" PRIu64, rows[row].number_key ? 'n' : 's',
             load->round, prng_below(&client->prng, load->keys_per_round));
    if (rows[row].number_key)
        snprintf(out->arg, sizeof(out->arg), "%" PRIu64, 1 + prng_below(&client->prng, 9));
    else
        snprintf(out->arg, sizeof(out->arg), "<%u.%" PRIu64 ">", client->number, client->made++);
    out->argc = 0;
    out->argv[out->argc++] = rows[row].verb;
    out->argv[out->argc++] = out->key;
    if (rows[row].has_arg)
        out->argv[out->argc++] = out->arg;
    if (rows[row].option)
        out->argv[out->argc++] = rows[row].option;
}

/* What a reply says about the operation, in the terms of the history. */
static void
record_reply(struct load *load, size_t op, const struct action *action,
             const struct kv_reply *reply)
{
    uint64_t now = skein_now_ns();
    char number[24];
    struct skein_linear_value seen = SKEIN_LINEAR_ABSENT;
    bool has_observed = true;
    switch (reply->type) {
    case KV_REPLY_ERROR:
        if (reply->text.count >= 7 && memcmp(reply->text.data, "UNKNOWN", 7) == 0) {
            load->unknown_count++;
            skein_linear_unknown(load->history, op);
        } else {
            load->failed_count++;
            skein_linear_fail(load->history, op);
        }
        return;
    case KV_REPLY_SIMPLE: /* +OK */
        has_observed =
            action->kind == SKEIN_LINEAR_WRITE_NEW || action->kind == SKEIN_LINEAR_WRITE_OLD;
        if (action->kind == SKEIN_LINEAR_WRITE_OLD)
            seen = text_value("");
        break;
    case KV_REPLY_NULL: /* an absent key, or SET NX / XX refused */
        if (action->kind == SKEIN_LINEAR_WRITE_NEW)
            seen = text_value("");
        break;
    case KV_REPLY_INTEGER:
        snprintf(number, sizeof(number), "%" PRId64, reply->integer);
        seen = text_value(number);
        break;
    case KV_REPLY_BULK:
        seen = (struct skein_linear_value){reply->text.data, reply->text.count};
        break;
    case KV_REPLY_ARRAY:
        has_observed = false;
        break;
    }
    load->ok_count++;
    skein_linear_ok(load->history, op, has_observed, seen, now);
}

static void
note_write(struct load *load, uint64_t begun_ns)
{
    if (load->mark_ns && begun_ns >= load->mark_ns && !load->first_write_after_mark_ns) {
        load->first_write_after_mark_ns = skein_now_ns();
        skein_wake_all(&load->woken);
    }
}

static void
one_operation(struct client *client)
{
    struct load *load = client->load;
    if (!client->connection) {
        uint32_t n = 1 + (uint32_t)prng_below(&client->prng, load->procs->count);
        struct skein_addr addr = procs_addr(load->procs, n);
        if (kv_client_connect(&client->connection, &addr, skein_deadline_in(SECOND / 5)) < 0) {
            client->connection = NULL;
            (void)skein_sleep(skein_deadline_in(SECOND / 50));
            return;
        }
    }
    struct action action;
    draw_action(client, &action);
    uint64_t begun_ns = skein_now_ns();
    size_t op =
        skein_linear_call(load->history, client->process, action.kind, text_value(action.key),
                          text_value(action.arg), SKEIN_LINEAR_ABSENT, begun_ns);
    struct kv_reply reply = {0};
    int rc = kv_client_call(client->connection, &reply, skein_deadline_in(SECOND), action.argc,
                            action.argv);
    if (rc < 0) {
        load->unknown_count++;
        skein_linear_unknown(load->history, op);
        client->process = load->next_process++;
        kv_client_close(client->connection);
        client->connection = NULL;
        return;
    }
    record_reply(load, op, &action, &reply);
    if (reply.type == KV_REPLY_ERROR) {
        client->process = load->next_process++;
        (void)skein_sleep(skein_deadline_in(SECOND / 100));
    } else if (action.kind != SKEIN_LINEAR_READ) {
        note_write(load, begun_ns);
    }
    kv_reply_deinit(&reply);
}

static void
client_main(void *arg)
{
    struct client *client = arg;
    struct load *load = client->load;
    while (!load->stopping && !skein_cancelled()) {
        one_operation(client);
        (void)skein_sleep(skein_deadline_in(prng_below(&client->prng, 2 * load->pause_ns + 1)));
    }
    if (client->connection)
        kv_client_close(client->connection);
    mem_free(client);
}

void
load_start(struct load *load)
{
    skein_scope_init(&load->scope);
    skein_waitq_init(&load->woken);
    for (uint32_t i = 0; i < load->client_count; i++) {
        struct client *client = mem_zalloc(sizeof(*client));
        client->load = load;
        client->number = i;
        client->process = load->next_process++;
        prng_init(&client->prng, load->seed * 1000 + i);
        if (skein_spawn(&load->scope, "client", client_main, client, SKEIN_STACK_SMALL) < 0)
            base_die(__FILE__, __LINE__, "no fiber for a client");
    }
}

void
load_stop(struct load *load)
{
    load->stopping = true;
    skein_scope_join(&load->scope);
}

void
load_mark(struct load *load)
{
    load->mark_ns = skein_now_ns();
    load->first_write_after_mark_ns = 0;
}

uint64_t
load_await_write(struct load *load, uint64_t deadline_ns)
{
    while (!load->first_write_after_mark_ns)
        if (skein_wait(&load->woken, deadline_ns) < 0)
            return 0;
    return load->first_write_after_mark_ns - load->mark_ns;
}

static int
read_one(struct load *load, struct kv_client **connection, uint32_t *n, const char *key)
{
    const char *argv[] = {"GET", key};
    for (int attempt = 0; attempt < 40; attempt++) {
        struct skein_addr addr = procs_addr(load->procs, *n);
        if (!*connection && kv_client_connect(connection, &addr, skein_deadline_in(SECOND)) < 0)
            *connection = NULL;
        struct kv_reply reply = {0};
        size_t op = skein_linear_call(load->history, load->next_process++, SKEIN_LINEAR_READ,
                                      text_value(key), SKEIN_LINEAR_ABSENT, SKEIN_LINEAR_ABSENT,
                                      skein_now_ns());
        struct action action = {.kind = SKEIN_LINEAR_READ};
        int rc = *connection
                     ? kv_client_call(*connection, &reply, skein_deadline_in(6 * SECOND), 2, argv)
                     : -SKEIN_ECLOSED;
        bool ok = rc == 0 && reply.type != KV_REPLY_ERROR;
        if (ok)
            record_reply(load, op, &action, &reply);
        else
            skein_linear_fail(load->history, op);
        kv_reply_deinit(&reply);
        if (ok)
            return 0;
        if (*connection)
            kv_client_close(*connection);
        *connection = NULL;
        *n = *n % load->procs->count + 1;
        (void)skein_sleep(skein_deadline_in(SECOND / 10));
    }
    return -SKEIN_ETIMEDOUT;
}

int64_t
load_read_all(struct load *load)
{
    struct kv_client *connection = NULL;
    uint32_t n = 1;
    int64_t count = 0;
    int rc = 0;
    for (uint32_t round = 0; round <= load->round && rc == 0; round++)
        for (uint32_t k = 0; k < 2 * load->keys_per_round && rc == 0; k++) {
            char key[32];
            snprintf(key, sizeof(key), "%c-%u-%u", k & 1 ? 'n' : 's', round, k / 2);
            rc = read_one(load, &connection, &n, key);
            count++;
        }
    if (connection)
        kv_client_close(connection);
    return rc < 0 ? rc : count;
}
