/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/mem.h"
#include "bench/overload.h"
#include "skein/core.h"

#define TICK_NS UINT64_C(500000)
#define ATTEMPTS_MAX 3
/* Operations whose fate is remembered; a power of two, many times more than are under way. */
#define OPERATIONS ((size_t)1 << 18)
#define BATCH_MAX 512

struct operation {
    uint64_t id; /* 0: over */
    uint64_t begun_ns;
    uint32_t attempt; /* the one under way */
    struct skein_breaker_pass pass;
};

struct attempt {
    uint64_t id, sent_ns;
    uint32_t attempt;
};

struct client {
    struct overload_run *run;
    int handles[OVERLOAD_CONNECTIONS];
    unsigned next_handle;
    struct operation *operations; /* by id */
    struct attempt *attempts;     /* in the order of sending: whose time is up is in front */
    uint64_t first_attempt, attempt_count;
    uint64_t last_id;
    struct overload_request batch[BATCH_MAX];
    size_t batch_count;
    struct skein_breaker breaker;
    struct skein_retry_budget retry;
    struct skein_scope scope;
    bool counting;
    uint64_t done_count, refused_count, sent_count;
};

struct reader {
    struct client *client;
    int handle;
};

struct later {
    struct client *client;
    uint64_t id, until_ns;
};

static struct operation *
operation_of(struct client *client, uint64_t id)
{
    struct operation *operation = &client->operations[id % OPERATIONS];
    return operation->id == id ? operation : NULL;
}

/* All that a tick has to send goes out at once, each tick on another connection. */
static void
flush(struct client *client)
{
    int handle = client->handles[client->next_handle++ % OVERLOAD_CONNECTIONS];
    if (client->batch_count == 0)
        return;
    struct overload_request copy[BATCH_MAX];
    size_t count = client->batch_count;
    memcpy(copy, client->batch, count * sizeof(copy[0]));
    client->batch_count = 0;
    int rc = skein_socket_send(handle, copy, count * sizeof(copy[0]), SKEIN_NEVER);
    if (rc < 0 && rc != -SKEIN_ECANCELED)
        overload_die("send", rc);
}

static void
refuse(struct client *client, struct operation *operation)
{
    client->refused_count += client->counting;
    operation->id = 0;
}

/* Send the operation's next attempt, if the breaker lets it. */
static void
attempt(struct client *client, struct operation *operation)
{
    uint64_t now_ns = skein_now_ns();
    uint64_t spent_ns = now_ns - operation->begun_ns;
    if (spent_ns >= OVERLOAD_PATIENCE_NS) {
        operation->id = 0;
        return;
    }
    if (client->run->breaker &&
        skein_breaker_allow(&client->breaker, &operation->pass, now_ns) < 0) {
        refuse(client, operation);
        return;
    }
    if (client->batch_count == BATCH_MAX)
        flush(client);
    client->batch[client->batch_count++] = (struct overload_request){
        .id = operation->id, .patience_ns = OVERLOAD_PATIENCE_NS - spent_ns};
    client->attempts[(client->first_attempt + client->attempt_count++) % (4 * OPERATIONS)] =
        (struct attempt){operation->id, now_ns, operation->attempt};
    client->sent_count += client->counting;
}

static void
attempt_later(void *arg)
{
    struct later *later = arg;
    if (skein_sleep(later->until_ns) == 0) {
        struct operation *operation = operation_of(later->client, later->id);
        if (operation) {
            attempt(later->client, operation);
            flush(later->client);
        }
    }
    mem_free(later);
}

/* An attempt came to nothing: another one, or not. Without a budget everybody tries again at once,
 * up to three times. */
static void
failed(struct client *client, struct operation *operation, enum skein_outcome outcome)
{
    uint64_t delay_ns = 0;
    if (!client->run->breaker) {
        if (++operation->attempt >= ATTEMPTS_MAX)
            refuse(client, operation);
        else
            attempt(client, operation);
        return;
    }
    skein_breaker_report(&client->breaker, &operation->pass, outcome, skein_now_ns());
    if (skein_retry_take(&client->retry, operation->attempt++, skein_random(), &delay_ns) < 0) {
        refuse(client, operation);
        return;
    }
    struct later *later = mem_alloc(sizeof(*later));
    *later = (struct later){client, operation->id, skein_deadline_in(delay_ns)};
    if (skein_spawn(&client->scope, "later", attempt_later, later, SKEIN_STACK_SMALL) < 0) {
        mem_free(later);
        refuse(client, operation);
    }
}

static void
on_reply(struct client *client, const struct overload_reply *reply)
{
    struct operation *operation = operation_of(client, reply->id);
    if (!operation)
        return;
    if (reply->verdict == OVERLOAD_BUSY) {
        /* Quickly told no: the service lives, and takes what it can. */
        failed(client, operation, SKEIN_OUTCOME_OK);
        return;
    }
    if (client->run->breaker)
        skein_breaker_report(&client->breaker, &operation->pass, SKEIN_OUTCOME_OK, skein_now_ns());
    bool in_time = skein_now_ns() - operation->begun_ns <= OVERLOAD_PATIENCE_NS;
    client->done_count += client->counting && in_time;
    operation->id = 0;
}

static void
read_replies(void *arg)
{
    struct reader *reader = arg;
    uint8_t data[8192];
    size_t count = 0;
    for (;;) {
        ssize_t n =
            skein_socket_recv(reader->handle, data + count, sizeof(data) - count, SKEIN_NEVER);
        if (n <= 0)
            return;
        count += (size_t)n;
        size_t at = 0;
        for (; count - at >= sizeof(struct overload_reply); at += sizeof(struct overload_reply)) {
            struct overload_reply reply;
            memcpy(&reply, data + at, sizeof(reply));
            on_reply(reader->client, &reply);
        }
        memmove(data, data + at, count - at);
        count -= at;
    }
}

static void
give_up_on_late_ones(struct client *client)
{
    uint64_t now_ns = skein_now_ns();
    while (client->attempt_count > 0) {
        struct attempt *oldest = &client->attempts[client->first_attempt % (4 * OPERATIONS)];
        if (now_ns - oldest->sent_ns < OVERLOAD_ATTEMPT_NS)
            return;
        client->first_attempt++;
        client->attempt_count--;
        struct operation *operation = operation_of(client, oldest->id);
        if (operation && operation->attempt == oldest->attempt)
            failed(client, operation, SKEIN_OUTCOME_FAILED);
    }
}

static void
begin_operation(struct client *client)
{
    uint64_t id = ++client->last_id;
    struct operation *operation = &client->operations[id % OPERATIONS];
    *operation = (struct operation){.id = id, .begun_ns = skein_now_ns()};
    skein_retry_call(&client->retry);
    attempt(client, operation);
}

static void
generate(struct client *client)
{
    const struct overload_run *run = client->run;
    uint64_t begin_ns = skein_now_ns();
    uint64_t warm_ns = begin_ns + (uint64_t)(run->seconds * 0.4e9);
    uint64_t end_ns = warm_ns + (uint64_t)(run->seconds * 1e9);
    for (uint64_t now_ns = begin_ns; now_ns < end_ns; now_ns = skein_now_ns()) {
        client->counting = now_ns >= warm_ns;
        uint64_t due = (uint64_t)((double)(now_ns - begin_ns) * 1e-9 * run->rate);
        while (client->last_id < due)
            begin_operation(client);
        give_up_on_late_ones(client);
        flush(client);
        if (skein_sleep(now_ns + TICK_NS) < 0)
            return;
    }
}

static void
connect_all(struct client *client, struct reader *readers)
{
    struct skein_endpoint at = {.addr = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}}};
    at.addr.port = client->run->port;
    for (int i = 0; i < OVERLOAD_CONNECTIONS; i++) {
        client->handles[i] = skein_net_connect(&at, NULL, skein_deadline_in(1000000000));
        if (client->handles[i] < 0)
            overload_die("connect", client->handles[i]);
        readers[i] = (struct reader){client, client->handles[i]};
        int rc =
            skein_spawn(&client->scope, "reader", read_replies, &readers[i], SKEIN_STACK_SMALL);
        if (rc < 0)
            overload_die("reader", rc);
    }
}

static int
ask(void *arg)
{
    struct client *client = arg;
    struct overload_run *run = client->run;
    struct skein_breaker_options breaking = SKEIN_BREAKER_OPTIONS_INIT;
    struct skein_retry_options retrying = SKEIN_RETRY_OPTIONS_INIT;
    struct reader readers[OVERLOAD_CONNECTIONS];
    breaking.window_ns = 100000000;
    breaking.open_ns = 10000000;
    breaking.open_ns_max = 100000000;
    breaking.probe_count = 10;
    int rc = skein_breaker_init(&client->breaker, &breaking, skein_now_ns());
    if (rc == 0)
        rc = skein_retry_init(&client->retry, &retrying);
    if (rc < 0)
        overload_die("options", rc);
    skein_scope_init(&client->scope);
    connect_all(client, readers);
    generate(client);
    skein_scope_cancel(&client->scope);
    skein_scope_join(&client->scope);
    for (int i = 0; i < OVERLOAD_CONNECTIONS; i++)
        skein_close(client->handles[i]);
    run->goodput = (double)client->done_count / run->seconds;
    run->refused = (double)client->refused_count / run->seconds;
    run->sent = (double)client->sent_count / run->seconds;
    return 0;
}

void
overload_ask(struct overload_run *run)
{
    struct client *client = mem_zalloc(sizeof(*client));
    client->run = run;
    client->operations = mem_zalloc(OPERATIONS * sizeof(client->operations[0]));
    client->attempts = mem_zalloc(4 * OPERATIONS * sizeof(client->attempts[0]));
    overload_shard(1, ask, client);
    mem_free(client->operations);
    mem_free(client->attempts);
    mem_free(client);
}
