/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a real node, with its log on a disk: what was acknowledged is there after a restart, keys
 * expire though nobody writes, also in several groups; what cannot be opened is refused with a line
 * that says why.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/check.h"
#include "skein/fiber.h"
#include "skein/socket.h"
#include "core/uring.h"
#include "kv/client.h"
#include "kv/node.h"
#include "kv/route.h"
#include "replica/link_tcp.h"
#include "obs/metric_check.h"
#include "skein/error.h"
#include "skein/metrics.h"

#define SECOND_NS UINT64_C(1000000000)
#define LOOPBACK                                               \
    {                                                          \
        .ip = { [10] = 255, [11] = 255, [12] = 127, [15] = 1 } \
    }

struct fixture {
    struct check check;
    char dir[64];
    char data[96];
    struct replica_peer peer;
    struct kv_node *node;
    struct kv_client *client;
    uint32_t groups; /* 0: 1 */
    enum kv_store store;
    void (*body)(struct fixture *f);
};

static uint64_t
soon(void)
{
    return skein_deadline_in(10 * SECOND_NS);
}

static int
open_node(struct fixture *f, const char *cluster, char why[512])
{
    struct kv_node_options options;
    kv_node_options_init(&options);
    options.replica.cluster_name = cluster;
    options.replica.node = 1;
    options.replica.peers = &f->peer;
    options.replica.peer_count = 1;
    options.replica.data_dir = f->data;
    options.replica.tick_ns = SECOND_NS / 200;
    options.replica.segment_bytes = UINT64_C(1) << 20;
    options.replica.group_count = f->groups;
    options.store = f->store;
    options.listen = (struct skein_addr)LOOPBACK;
    struct link_tcp_options link = {.cluster_name = cluster,
                                    .node = 1,
                                    .peers = &f->peer,
                                    .peer_count = 1,
                                    .queue_bytes_max = UINT64_C(1) << 20};
    int rc = link_tcp_open(&options.replica.link, &link);
    return rc < 0 ? rc : kv_node_open(&f->node, &options, why);
}

static bool
start(struct fixture *f)
{
    char why[512] = "";
    int rc = open_node(f, "test", why);
    if (!CHECK(&f->check, rc == 0)) {
        fprintf(stderr, "%s: %s\n", skein_error_name(rc), why);
        return false;
    }
    struct skein_addr addr = kv_node_addr(f->node);
    return CHECK(&f->check, kv_client_connect(&f->client, &addr, soon()) == 0);
}

static void
stop(struct fixture *f)
{
    kv_client_close(f->client);
    kv_node_stop(f->node);
    f->client = NULL;
    f->node = NULL;
}

/* The reply as text: "+OK", "-ERR ...", ":1", "$value", "nil". */
static char *
call(struct fixture *f, const char *command, char out[128])
{
    char copy[256];
    const char *argv[8];
    uint32_t argc = 0;
    struct kv_reply reply = {0};
    snprintf(copy, sizeof(copy), "%s", command);
    char *rest = copy;
    for (char *word; (word = strtok_r(rest, " ", &rest)) && argc < 8;)
        argv[argc++] = word;
    int rc = kv_client_call(f->client, &reply, soon(), argc, argv);
    if (rc < 0)
        snprintf(out, 128, "failed: %s", skein_error_name(rc));
    else if (reply.type == KV_REPLY_INTEGER)
        snprintf(out, 128, ":%lld", (long long)reply.integer);
    else if (reply.type == KV_REPLY_NULL)
        snprintf(out, 128, "nil");
    else
        snprintf(out, 128, "%c%.*s",
                 reply.type == KV_REPLY_SIMPLE  ? '+'
                 : reply.type == KV_REPLY_ERROR ? '-'
                                                : '$',
                 (int)reply.text.count, (const char *)reply.text.data);
    kv_reply_deinit(&reply);
    return out;
}

static void
expect(struct fixture *f, const char *command, const char *wanted)
{
    char got[128];
    if (!CHECK(&f->check, strcmp(call(f, command, got), wanted) == 0))
        fprintf(stderr, "%s: wanted %s, got %s\n", command, wanted, got);
}

static int
put_text(void *owner, const char *text, size_t bytes)
{
    wire_put_raw(owner, text, bytes);
    return 0;
}

static bool
has_line(const struct metric_check *check, const char *line)
{
    for (size_t i = 0; i < check->count; i++)
        if (strcmp(check->lines[i], line) == 0)
            return true;
    return false;
}

/* Everything that a whole node registers, in both of Prometheus' formats. */
static void
metrics_body(struct fixture *f)
{
    if (!start(f))
        return;
    expect(f, "SET k v", "+OK");
    expect(f, "GET k", "$v");
    struct skein_snapshot *snapshot = skein_snapshot_open();
    CHECK(&f->check, skein_metrics_gather(snapshot, soon()) == 0);
    for (int format = SKEIN_FORMAT_PROMETHEUS; format <= SKEIN_FORMAT_OPENMETRICS; format++) {
        struct wire_writer text = {0};
        struct metric_check check = {0};
        CHECK(&f->check, skein_snapshot_write(snapshot, (enum skein_metric_format)format, 0,
                                              put_text, &text) == 0);
        metric_check_prometheus(&check, (const char *)text.data, text.count,
                                format == SKEIN_FORMAT_OPENMETRICS);
        if (!CHECK(&f->check, check.why[0] == '\0'))
            fprintf(stderr, "%s\n", check.why);
        CHECK(&f->check, has_line(&check, "skein_kv_commands_total{command=set;} 1"));
        CHECK(&f->check, has_line(&check, "skein_kv_keys{} 1"));
        CHECK(&f->check, has_line(&check, "skein_replica_leads{} 1"));
        CHECK(&f->check, has_line(&check, "skein_metrics_refused_total{} 0"));
        metric_check_deinit(&check);
        wire_writer_deinit(&text);
    }
    skein_snapshot_close(snapshot);
    stop(f);
}

static void
keeps_data_body(struct fixture *f)
{
    char text[64];
    if (!start(f))
        return;
    expect(f, "SET k v", "+OK");
    expect(f, "GET k", "$v");
    expect(f, "GET none", "nil");
    expect(f, "INCR n", ":1");
    expect(f, "INCR n", ":2");
    expect(f, "INCR k", "-ERR value is not an integer or out of range");
    expect(f, "SET gone x", "+OK");
    expect(f, "DEL gone", ":1");
    stop(f);
    for (int i = 3; i < 6; i++) {
        if (!start(f))
            return;
        expect(f, "GET k", "$v");
        expect(f, "GET gone", "nil");
        snprintf(text, sizeof(text), ":%d", i);
        expect(f, "INCR n", text);
        expect(f, "DBSIZE", ":2");
        stop(f);
    }
}

/* Nobody writes after the key was set: the expirer has to move log time. */
static void
expires_body(struct fixture *f)
{
    char got[128];
    if (!start(f))
        return;
    expect(f, "SET forever v", "+OK");
    expect(f, "SET k v PX 150", "+OK");
    expect(f, "GET k", "$v");
    uint64_t begin_ns = skein_now_ns();
    uint64_t deadline_ns = soon();
    while (strcmp(call(f, "GET k", got), "$v") == 0 && skein_now_ns() < deadline_ns)
        if (skein_sleep(skein_deadline_in(SECOND_NS / 1000)) < 0)
            break;
    uint64_t took_ns = skein_now_ns() - begin_ns;
    CHECK(&f->check, strcmp(got, "nil") == 0);
    CHECK(&f->check, took_ns > SECOND_NS / 10);
    expect(f, "DBSIZE", ":1");
    stop(f);
    if (!start(f))
        return;
    expect(f, "GET k", "nil");
    expect(f, "GET forever", "$v");
    stop(f);
}

/* All keys that SCAN returns, each once. */
static uint32_t
scan_all(struct fixture *f)
{
    char cursor[32] = "0";
    uint32_t count = 0, steps = 0;
    do {
        const char *argv[] = {"SCAN", cursor, "COUNT", "7"};
        struct kv_reply reply = {0};
        if (!CHECK(&f->check, kv_client_call(f->client, &reply, soon(), 4, argv) == 0))
            return 0;
        snprintf(cursor, sizeof(cursor), "%.*s", (int)reply.elements[0].text.count,
                 (const char *)reply.elements[0].text.data);
        count += (uint32_t)reply.elements[1].element_count;
        kv_reply_deinit(&reply);
    } while (strcmp(cursor, "0") != 0 && ++steps < 1000);
    CHECK(&f->check, steps < 1000);
    return count;
}

static void
groups_body(struct fixture *f)
{
    char command[128], session[128], why[512] = "";
    f->groups = 8;
    if (!start(f))
        return;
    for (int i = 0; i < 100; i++) {
        snprintf(command, sizeof(command), "SET k%d %d", i, i);
        expect(f, command, "+OK");
    }
    expect(f, "MSET k1 x k2 y", "-CROSSSLOT Keys in request don't hash to the same slot");
    expect(f, "MSET {k1}a x {k1}b y", "+OK");
    expect(f, "EXISTS k1 k2 k3 k1 none", ":4");
    expect(f, "SET brief v PX 100", "+OK");
    stop(f);
    if (!start(f))
        return;
    expect(f, "GET k77", "$77");
    uint64_t deadline_ns = soon();
    while (strcmp(call(f, "DBSIZE", command), ":102") != 0 && skein_now_ns() < deadline_ns)
        if (skein_sleep(skein_deadline_in(SECOND_NS / 1000)) < 0)
            break;
    expect(f, "DBSIZE", ":102");
    CHECK(&f->check, scan_all(f) == 102);
    /* A session counts in every group, and a write in parts is carried out once. */
    call(f, "SKEIN SESSION OPEN", session);
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof(command), "SKEIN ONCE %.16s 1 DEL k0 k1 k2", session + 1);
        expect(f, command, ":3");
        snprintf(command, sizeof(command), "SKEIN ONCE %.16s 2 INCR k10", session + 1);
        expect(f, command, ":11");
    }
    expect(f, "DBSIZE", ":99");
    expect(f, "FLUSHALL", "+OK");
    expect(f, "DBSIZE", ":0");
    stop(f);
    f->groups = 4;
    CHECK(&f->check, open_node(f, "test", why) == -SKEIN_EIDENTITY);
    CHECK(&f->check, strstr(why, "founded with 8 groups") != NULL);
    f->groups = KV_GROUPS_MAX + 1;
    CHECK(&f->check, open_node(f, "test", why) == -SKEIN_EINVALID);
    f->groups = 2;
    f->store = KV_STORE_LMDB;
    CHECK(&f->check, open_node(f, "test", why) == -SKEIN_EINVALID);
}

static void
refuses_body(struct fixture *f)
{
    char why[512] = "";
    struct kv_node *first;
    if (!start(f))
        return;
    first = f->node;
    CHECK(&f->check, open_node(f, "test", why) == -SKEIN_EBUSY);
    CHECK(&f->check, strlen(why) > 0);
    f->node = first;
    expect(f, "SET k v", "+OK");
    stop(f);
    why[0] = 0;
    CHECK(&f->check, open_node(f, "other", why) == -SKEIN_EIDENTITY);
    CHECK(&f->check, strstr(why, "other") != NULL);
    if (start(f)) {
        expect(f, "GET k", "$v");
        stop(f);
    }
}

static void
waiter_main(void *arg)
{
    struct fixture *f = arg;
    char why[512];
    CHECK(&f->check, kv_node_wait(f->node, why) == -SKEIN_ECANCELED);
}

static void
wait_is_cancelled_body(struct fixture *f)
{
    struct skein_scope scope;
    if (!start(f))
        return;
    skein_scope_init(&scope);
    CHECK(&f->check, skein_spawn(&scope, "waiter", waiter_main, f, SKEIN_STACK_SMALL) == 0);
    skein_yield();
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    stop(f);
}

static int
fixture_main(void *arg)
{
    struct fixture *f = arg;
    f->body(f);
    return 0;
}

static int
remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    return remove(path);
}

static void
run(void (*body)(struct fixture *f))
{
    struct fixture f = {.body = body, .peer = {.node = 1, .addr = LOOPBACK}};
    snprintf(f.dir, sizeof(f.dir), "/tmp/skein-node-test-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.data, sizeof(f.data), "%s/data", f.dir);
    struct backend *backend;
    struct skein_shard *shard;
    assert_int_equal(uring_open(&backend, 1), 0);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    assert_int_equal(skein_shard_open(&shard, &options), 0);
    skein_shard_run(shard, fixture_main, &f);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    uring_close(backend);
    nftw(f.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    assert_int_equal(f.check.failed_count, 0);
}

static void
refuses(void **state)
{
    run(refuses_body);
}

static void
tells_its_metrics(void **state)
{
    run(metrics_body);
}

static void
keeps_data(void **state)
{
    run(keeps_data_body);
}

static void
expires(void **state)
{
    run(expires_body);
}

static void
has_groups(void **state)
{
    run(groups_body);
}

static void
wait_is_cancelled(void **state)
{
    run(wait_is_cancelled_body);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),           cmocka_unit_test(keeps_data),
        cmocka_unit_test(tells_its_metrics), cmocka_unit_test(expires),
        cmocka_unit_test(wait_is_cancelled), cmocka_unit_test(has_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
