/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/caller.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/command.h"
#include "net/addr.h"
#include "skein/error.h"
#include "skein/shard.h"

#define MS_NS UINT64_C(1000000)
#define CONNECT_NS (400 * MS_NS)
/* A node that is silent for so long may be frozen: another is tried. Doubles each time. */
#define ATTEMPT_NS (2000 * MS_NS)
#define PAUSE_NS_MIN (10 * MS_NS)
#define PAUSE_NS_MAX (500 * MS_NS)
#define ID_DIGITS 16u
#define WHY_BYTES 256

struct kv_caller {
    struct skein_addr addrs[KV_CALLER_NODES_MAX];
    uint32_t count, next;
    struct kv_client *connection;
    struct skein_addr peer;
    uint64_t ttl_ms;
    enum replica_level level;
    uint64_t stale_ms;
    bool level_set;              /* on this connection */
    char session[ID_DIGITS + 1]; /* "": none */
    uint64_t sequence;
    uint64_t attempts;
    uint32_t refused; /* connections, one after the other */
    char why[WHY_BYTES];
};

/* One command on its way. */
struct call {
    const struct kv_arg *argv;
    uint32_t argc;
    enum kv_command_kind kind;
    uint64_t deadline_ns;
    uint64_t sequence; /* 0: none yet */
    bool doubtful;     /* an attempt may have been carried out */
    uint64_t pause_ns, attempt_ns;
};

enum verdict { VERDICT_DONE, VERDICT_AGAIN };

void
kv_caller_open(struct kv_caller **out_caller, const struct skein_addr *addrs, uint32_t count,
               uint64_t session_ttl_ms)
{
    skein_assert(count >= 1 && count <= KV_CALLER_NODES_MAX);
    struct kv_caller *caller = mem_zalloc(sizeof(*caller));
    memcpy(caller->addrs, addrs, count * sizeof(addrs[0]));
    caller->count = count;
    caller->ttl_ms = session_ttl_ms;
    *out_caller = caller;
}

static void
leave(struct kv_caller *caller)
{
    kv_client_close(caller->connection);
    caller->connection = NULL;
    caller->level_set = false;
}

static void
explain(struct kv_caller *caller, const char *text, size_t count)
{
    char addr[NET_ADDR_TEXT_BYTES];
    snprintf(caller->why, sizeof(caller->why), "%s: %.*s", net_addr_format(&caller->peer, addr),
             (int)(count < WHY_BYTES ? count : WHY_BYTES), text);
}

static uint64_t
soon(uint64_t deadline_ns, uint64_t ns)
{
    uint64_t at_ns = skein_deadline_in(ns);
    return at_ns < deadline_ns ? at_ns : deadline_ns;
}

static int
go_to(struct kv_caller *caller, const struct skein_addr *addr, uint64_t deadline_ns)
{
    leave(caller);
    caller->peer = *addr;
    int rc = kv_client_connect(&caller->connection, addr, soon(deadline_ns, CONNECT_NS));
    if (rc < 0)
        explain(caller, skein_error_text(rc), strlen(skein_error_text(rc)));
    return rc;
}

/* The first node, or the one behind the last. */
static int
connect_next(struct kv_caller *caller, uint64_t deadline_ns)
{
    const struct skein_addr *addr = &caller->addrs[caller->next];
    caller->next = (caller->next + 1) % caller->count;
    return go_to(caller, addr, deadline_ns);
}

static int
ask(struct kv_caller *caller, uint32_t argc, const char *const *argv, uint64_t deadline_ns,
    struct kv_reply *out_reply)
{
    int rc = kv_client_call(caller->connection, out_reply, deadline_ns, argc, argv);
    if (rc < 0) {
        explain(caller, skein_error_text(rc), strlen(skein_error_text(rc)));
        leave(caller);
    }
    return rc;
}

static bool
begins_with(const struct kv_reply *reply, const char *word)
{
    size_t count = strlen(word);
    return reply->type == KV_REPLY_ERROR && reply->text.count >= count &&
           memcmp(reply->text.data, word, count) == 0;
}

/* Errors that another node, or this one later, may not give: what they say is not of the command.
 */
static bool
is_passing(const struct kv_reply *reply)
{
    static const char *const words[] = {
        "NOLEADER", "UNKNOWN", "BUSY", "STOPPING", "DISKFAILED", "STALE",
        /* A connection's end, kv/face.c and kv/conn.c. */
        "ERR max number of clients", "ERR this node cannot serve", "ERR the memory of this node"};
    for (size_t i = 0; i < BASE_COUNT_OF(words); i++)
        if (begins_with(reply, words[i]))
            return true;
    return false;
}

/* A session to write in. 0; 1: not now; -SKEIN_EPROTO. */
static int
ensure_session(struct kv_caller *caller, uint64_t deadline_ns)
{
    char ttl[24];
    const char *const argv[] = {"SKEIN", "SESSION", "OPEN", ttl};
    struct kv_reply reply = {0};
    if (caller->session[0])
        return 0;
    snprintf(ttl, sizeof(ttl), "%" PRIu64, caller->ttl_ms);
    if (ask(caller, 4, argv, deadline_ns, &reply) < 0)
        return 1;
    int rc = is_passing(&reply) ? 1 : -SKEIN_EPROTO;
    if (reply.type == KV_REPLY_BULK && reply.text.count == ID_DIGITS) {
        memcpy(caller->session, reply.text.data, ID_DIGITS);
        caller->sequence = 0;
        rc = 0;
    } else if (reply.type == KV_REPLY_ERROR) {
        explain(caller, (const char *)reply.text.data, reply.text.count);
    }
    kv_reply_deinit(&reply);
    if (rc != 0)
        leave(caller);
    return rc;
}

void
kv_caller_read_level(struct kv_caller *caller, enum replica_level level, uint64_t stale_ms)
{
    caller->level = level;
    caller->stale_ms = stale_ms;
}

/* The connection's reads are at the caller's level. 0; 1: not now, or (@out_reply set) refused. */
static int
ensure_level(struct kv_caller *caller, uint64_t deadline_ns, struct kv_reply *out_reply)
{
    char bound[24];
    const char *const argv[] = {"SKEIN", "READ", replica_level_name(caller->level), bound};
    struct kv_reply reply = {0};
    if (caller->level == REPLICA_LINEARIZABLE || caller->level_set)
        return 0;
    snprintf(bound, sizeof(bound), "%" PRIu64, caller->stale_ms);
    if (ask(caller, caller->level == REPLICA_STALE ? 4 : 3, argv, deadline_ns, &reply) < 0)
        return 1;
    caller->level_set = reply.type == KV_REPLY_SIMPLE;
    if (!caller->level_set && !is_passing(&reply)) {
        *out_reply = reply;
        return 1;
    }
    kv_reply_deinit(&reply);
    if (!caller->level_set)
        leave(caller);
    return !caller->level_set;
}

static void
send_call(struct kv_caller *caller, const struct call *call)
{
    struct kv_arg args[64];
    char sequence[24];
    if (call->kind != KV_WRITE) {
        kv_client_send(caller->connection, call->argv, call->argc);
        return;
    }
    struct kv_arg *argv =
        call->argc + 4 <= BASE_COUNT_OF(args) ? args : mem_alloc((call->argc + 4) * sizeof(*argv));
    int digits = snprintf(sequence, sizeof(sequence), "%" PRIu64, call->sequence);
    argv[0] = (struct kv_arg){(const uint8_t *)"SKEIN", 5};
    argv[1] = (struct kv_arg){(const uint8_t *)"ONCE", 4};
    argv[2] = (struct kv_arg){(const uint8_t *)caller->session, ID_DIGITS};
    argv[3] = (struct kv_arg){(const uint8_t *)sequence, (size_t)digits};
    memcpy(argv + 4, call->argv, call->argc * sizeof(*argv));
    kv_client_send(caller->connection, argv, call->argc + 4);
    if (argv != args)
        mem_free(argv);
}

/*
 * What a reply means. A session that expired before the first attempt cannot have carried anything
 * out: another one is opened. After an attempt nobody knows any more.
 */
static enum verdict
judge(struct kv_caller *caller, struct call *call, struct kv_reply *reply, int *out_rc)
{
    *out_rc = 0;
    if (call->kind == KV_LOCAL || reply->type != KV_REPLY_ERROR)
        return VERDICT_DONE;
    explain(caller, (const char *)reply->text.data, reply->text.count);
    bool expired = begins_with(reply, "NOSESSION");
    if (expired)
        caller->session[0] = 0;
    if (expired && call->doubtful)
        *out_rc = -SKEIN_EUNKNOWN;
    else if (begins_with(reply, "REPEATED"))
        *out_rc = -SKEIN_EREPEATED;
    if (expired && !call->doubtful)
        call->sequence = 0;
    else if (!is_passing(reply))
        return VERDICT_DONE;
    call->doubtful |= begins_with(reply, "UNKNOWN");
    if (!expired)
        leave(caller);
    return VERDICT_AGAIN;
}

/* One attempt. */
static enum verdict
attempt(struct kv_caller *caller, struct call *call, struct kv_reply *out_reply, int *out_rc)
{
    if (!caller->connection) {
        int rc = connect_next(caller, call->deadline_ns);
        caller->refused = rc == -ECONNREFUSED ? caller->refused + 1 : 0;
        if (caller->attempts == 0 && caller->refused >= caller->count) {
            *out_rc = rc;
            return VERDICT_DONE;
        }
        if (rc < 0)
            return VERDICT_AGAIN;
    }
    if (call->kind == KV_READ &&
        ensure_level(caller, soon(call->deadline_ns, call->attempt_ns), out_reply) != 0) {
        *out_rc = 0;
        return out_reply->type == KV_REPLY_ERROR ? VERDICT_DONE : VERDICT_AGAIN;
    }
    if (call->kind == KV_WRITE) {
        *out_rc = ensure_session(caller, soon(call->deadline_ns, call->attempt_ns));
        if (*out_rc != 0)
            return *out_rc < 0 ? VERDICT_DONE : VERDICT_AGAIN;
        if (call->sequence == 0)
            call->sequence = ++caller->sequence;
    }
    caller->attempts++;
    send_call(caller, call);
    *out_rc =
        kv_client_receive(caller->connection, out_reply, soon(call->deadline_ns, call->attempt_ns));
    if (*out_rc < 0) {
        explain(caller, skein_error_text(*out_rc), strlen(skein_error_text(*out_rc)));
        call->doubtful = true;
        call->attempt_ns *= 2;
        leave(caller);
        return call->kind == KV_LOCAL ? VERDICT_DONE : VERDICT_AGAIN;
    }
    return judge(caller, call, out_reply, out_rc);
}

static int
pause_before_next(struct call *call)
{
    int rc = skein_sleep(soon(call->deadline_ns, call->pause_ns));
    call->pause_ns = call->pause_ns * 2 < PAUSE_NS_MAX ? call->pause_ns * 2 : PAUSE_NS_MAX;
    if (rc == -SKEIN_ECANCELED)
        return rc;
    if (skein_now_ns() < call->deadline_ns)
        return 0;
    return call->doubtful && call->kind == KV_WRITE ? -SKEIN_EUNKNOWN : -SKEIN_ENOLEADER;
}

int
kv_caller_call(struct kv_caller *caller, const struct kv_arg *argv, uint32_t argc,
               uint64_t deadline_ns, struct kv_reply *out_reply)
{
    const struct kv_command *command = kv_command_find(argv[0]);
    struct call call = {.argv = argv,
                        .argc = argc,
                        .kind = command ? command->kind : KV_LOCAL,
                        .deadline_ns = deadline_ns,
                        .pause_ns = PAUSE_NS_MIN,
                        .attempt_ns = ATTEMPT_NS};
    struct kv_reply reply = {0};
    int rc = 0;
    while (attempt(caller, &call, &reply, &rc) == VERDICT_AGAIN) {
        kv_reply_deinit(&reply);
        reply = (struct kv_reply){0};
        rc = pause_before_next(&call);
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        kv_reply_deinit(&reply);
    else
        *out_reply = reply;
    return rc;
}

const char *
kv_caller_why(const struct kv_caller *caller)
{
    return caller->why;
}

uint64_t
kv_caller_attempts(const struct kv_caller *caller)
{
    return caller->attempts;
}

void
kv_caller_close(struct kv_caller *caller, uint64_t deadline_ns)
{
    if (!caller)
        return;
    const char *const argv[] = {"SKEIN", "SESSION", "CLOSE", caller->session};
    struct kv_reply reply = {0};
    if (caller->session[0] && caller->connection && ask(caller, 4, argv, deadline_ns, &reply) == 0)
        kv_reply_deinit(&reply);
    leave(caller);
    mem_free(caller);
}
