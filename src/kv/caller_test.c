/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a write is repeated under the same sequence and no other, also when the connection breaks
 * behind it; a session that expired is replaced only when nothing can have been carried out; what
 * the caller is told about an outcome is true.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kv/caller.h"
#include "kv/command.h"
#include "kv/face_fake.h"
#include "kv/resp.h"
#include "skein/error.h"

#define MS_NS UINT64_C(1000000)
#define OPENED "$16\r\n00000000000000aa\r\n"
#define OPENED_AGAIN "$16\r\n00000000000000bb\r\n"
#define EXPIRED "-NOSESSION gone\r\n"

/* A node that answers one request after the other by its script, and writes down what came. */
struct node {
    struct fake *fake;
    int listener;
    struct skein_addr addr;
    const char *replies[8]; /* "": it ends the connection instead */
    uint32_t at;
    char seen[512];
};

static void
note(struct node *node, const struct kv_resp *request)
{
    size_t used = strlen(node->seen);
    for (uint32_t i = 0; i < request->argc && used < sizeof(node->seen) - 1; i++)
        used += (size_t)snprintf(node->seen + used, sizeof(node->seen) - used, "%.*s%c",
                                 (int)request->argv[i].count, (const char *)request->argv[i].data,
                                 i + 1 < request->argc ? ' ' : '|');
}

static void
serve(struct node *node, int handle)
{
    struct kv_resp parser;
    char in[512];
    size_t count = 0, used;
    kv_resp_init(&parser, 4096);
    for (;;) {
        int rc = kv_resp_next(&parser, (const uint8_t *)in, count, &used);
        memmove(in, in + used, count - used);
        count -= used;
        if (rc > 0) {
            note(node, &parser);
            const char *reply = node->replies[node->at];
            node->at += reply != NULL;
            if (!reply || !reply[0] || skein_socket_send(handle, reply, strlen(reply), fake_soon()))
                break;
            continue;
        }
        ssize_t n = skein_socket_recv(handle, in + count, sizeof(in) - count, fake_soon());
        if (n <= 0)
            break;
        count += (size_t)n;
    }
    kv_resp_deinit(&parser);
    skein_close(handle);
}

static void
node_main(void *arg)
{
    struct node *node = arg;
    struct skein_addr peer;
    int handle;
    while ((handle = skein_socket_accept(node->listener, &peer, SKEIN_NEVER)) >= 0)
        serve(node, handle);
}

/* SET k v by way of @node: the code; *@out_reply is its reply's text. */
static int
set(struct fake *fake, struct node *node, uint64_t timeout_ns, char out_reply[64])
{
    static const struct kv_arg argv[] = {
        {(const uint8_t *)"SET", 3}, {(const uint8_t *)"k", 1}, {(const uint8_t *)"v", 1}};
    struct skein_scope scope;
    struct kv_caller *caller;
    struct kv_reply reply = {0};
    node->fake = fake;
    node->listener = skein_socket_listen(&fake->options.listen, 8);
    CHECK(&fake->check, node->listener >= 0);
    CHECK(&fake->check, skein_socket_local_addr(node->listener, &node->addr) == 0);
    skein_scope_init(&scope);
    CHECK(&fake->check, skein_spawn(&scope, "node", node_main, node, SKEIN_STACK_LARGE) == 0);
    kv_caller_open(&caller, &node->addr, 1, 5000);
    int rc = kv_caller_call(caller, argv, 3, skein_deadline_in(timeout_ns), &reply);
    snprintf(out_reply, 64, "%.*s", (int)reply.text.count, (const char *)reply.text.data);
    kv_reply_deinit(&reply);
    kv_caller_close(caller, fake_soon());
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    skein_close(node->listener);
    return rc;
}

static const struct {
    const char *replies[8];
    int rc;
    const char *reply, *seen;
} cases[] = {
    {{OPENED, "+OK\r\n", "+OK\r\n"},
     0,
     "OK",
     "SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN SESSION CLOSE 00000000000000aa|"},
    /* Errors that pass, and a connection that breaks: the same sequence. */
    {{"-NOLEADER x\r\n", OPENED, "-UNKNOWN x\r\n", "", "-BUSY x\r\n", "+OK\r\n", "+OK\r\n"},
     0,
     "OK",
     "SKEIN SESSION OPEN 5000|SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN ONCE 00000000000000aa 1 SET k v|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN ONCE 00000000000000aa 1 SET k v|SKEIN SESSION CLOSE 00000000000000aa|"},
    /* Expired before anything was carried out: another one. */
    {{OPENED, EXPIRED, OPENED_AGAIN, "+OK\r\n", "+OK\r\n"},
     0,
     "OK",
     "SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|SKEIN SESSION OPEN 5000|"
     "SKEIN ONCE 00000000000000bb 1 SET k v|SKEIN SESSION CLOSE 00000000000000bb|"},
    /* Expired after an attempt that may have been: nobody knows, and nothing is repeated. */
    {{OPENED, "-UNKNOWN x\r\n", EXPIRED},
     -SKEIN_EUNKNOWN,
     "",
     "SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN ONCE 00000000000000aa 1 SET k v|"},
    {{OPENED, "", EXPIRED},
     -SKEIN_EUNKNOWN,
     "",
     "SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN ONCE 00000000000000aa 1 SET k v|"},
    {{OPENED, "", "-REPEATED x\r\n", "+OK\r\n"},
     -SKEIN_EREPEATED,
     "",
     "SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN ONCE 00000000000000aa 1 SET k v|SKEIN SESSION CLOSE 00000000000000aa|"},
    /* Errors that stay are the reply. */
    {{OPENED, "-ERR syntax error\r\n", "+OK\r\n"},
     0,
     "ERR syntax error",
     "SKEIN SESSION OPEN 5000|SKEIN ONCE 00000000000000aa 1 SET k v|"
     "SKEIN SESSION CLOSE 00000000000000aa|"},
    {{"-ERR unknown command\r\n"}, -SKEIN_EPROTO, "", "SKEIN SESSION OPEN 5000|"},
};

static void
outcomes_body(struct fake *fake)
{
    for (size_t i = 0; i < BASE_COUNT_OF(cases); i++) {
        struct node node = {.fake = fake};
        char reply[64];
        memcpy(node.replies, cases[i].replies, sizeof(node.replies));
        int rc = set(fake, &node, 2000 * MS_NS, reply);
        CHECK(&fake->check, rc == cases[i].rc);
        CHECK(&fake->check, strcmp(reply, cases[i].reply) == 0);
        if (!CHECK(&fake->check, strcmp(node.seen, cases[i].seen) == 0))
            fprintf(stderr, "case %zu: %d %s\n%s\n", i, rc, reply, node.seen);
    }
}

static void
outcomes(void **state)
{
    assert_int_equal(fake_run(outcomes_body, NULL), 0);
}

/* The deadline passes: whether anything may have been carried out is told. */
static void
deadlines_body(struct fake *fake)
{
    char reply[64];
    struct node silent = {.replies = {OPENED, ""}};
    CHECK(&fake->check, set(fake, &silent, 60 * MS_NS, reply) == -SKEIN_EUNKNOWN);
    struct node headless = {.replies = {"-NOLEADER x\r\n"}};
    CHECK(&fake->check, set(fake, &headless, 60 * MS_NS, reply) == -SKEIN_ENOLEADER);
    struct kv_caller *caller;
    struct kv_reply none = {0};
    struct kv_arg get[] = {{(const uint8_t *)"GET", 3}, {(const uint8_t *)"k", 1}};
    kv_caller_open(&caller, &headless.addr, 1, 5000);
    CHECK(&fake->check, kv_caller_call(caller, get, 2, fake_soon(), &none) == -ECONNREFUSED);
    CHECK(&fake->check, kv_caller_attempts(caller) == 0);
    kv_caller_close(caller, fake_soon());
    kv_caller_close(NULL, 0);
}

static void
deadlines(void **state)
{
    assert_int_equal(fake_run(deadlines_body, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes),
        cmocka_unit_test(deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
