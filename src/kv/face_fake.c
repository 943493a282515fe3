/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/face_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/uring.h"
#include "kv/command.h"
#include "kv/exec.h"
#include "kv/machine.h"
#include "kv/resp.h"
#include "replica/backup.h"
#include "skein/error.h"

#define SECOND_NS UINT64_C(1000000000)

/* The one fake of the test program: replica.h has no place for it. */
static struct fake *the_fake;

const struct kv_command kv_data_commands[] = {
    {.name = "big", .arity = 2, .kind = KV_READ, .flags = "readonly"},
    {"del", -2, KV_WRITE, "write", 1, -1, 1, KV_SPREAD_SUM, NULL, NULL},
    {"flushall", -1, KV_WRITE, "write", 0, 0, 0, KV_SPREAD_OK, NULL, NULL},
    {.name = "get", .arity = 2, .kind = KV_READ, .flags = "readonly fast", 1, 1, 1},
    {"keys", 2, KV_READ, "readonly", 0, 0, 0, KV_SPREAD_CONCAT, NULL, NULL},
    {"mget", -2, KV_READ, "readonly fast", 1, -1, 1, KV_SPREAD_GATHER, NULL, NULL},
    {.name = "mset", .arity = -3, .kind = KV_WRITE, .flags = "write denyoom", 1, -1, 2},
    {"scan", -2, KV_READ, "readonly", 0, 0, 0, KV_SPREAD_WALK, NULL, NULL},
    {.name = "set", .arity = -3, .kind = KV_WRITE, .flags = "write denyoom", 1, 1, 1},
};
const size_t kv_data_command_count = BASE_COUNT_OF(kv_data_commands);

const struct kv_command *
kv_data_command_find(struct kv_arg name)
{
    for (size_t i = 0; i < kv_data_command_count; i++)
        if (strlen(kv_data_commands[i].name) == name.count &&
            strncasecmp(kv_data_commands[i].name, (const char *)name.data, name.count) == 0)
            return &kv_data_commands[i];
    return NULL;
}

bool
kv_command_arity_ok(const struct kv_command *command, uint32_t argc)
{
    int arity = command->arity;
    return arity >= 0 ? argc == (uint32_t)arity : argc >= (uint32_t)-arity;
}

static bool
is(const struct kv_arg *arg, const char *text)
{
    return arg->count == strlen(text) &&
           strncasecmp((const char *)arg->data, text, arg->count) == 0;
}

/* Those whose parts are joined. False: it is another one. */
static bool
carry_out_spread(const struct kv_arg *argv, uint32_t argc, struct wire_writer *out)
{
    if (is(&argv[0], "del")) {
        kv_reply_integer(out, argc - 1);
    } else if (is(&argv[0], "keys")) {
        kv_reply_array(out, 1);
        kv_reply_bulk(out, argv[1].data, argv[1].count);
    } else if (is(&argv[0], "mget")) {
        kv_reply_array(out, argc - 1);
        for (uint32_t i = 1; i < argc; i++)
            kv_reply_bulk(out, argv[i].data, argv[i].count);
    } else if (is(&argv[0], "flushall")) {
        if (argc > 1 && is(&argv[1], "bad"))
            kv_reply_error(out, "ERR syntax error");
        else
            kv_reply_simple(out, "OK");
    } else if (is(&argv[0], "scan")) {
        kv_reply_array(out, 2);
        kv_reply_bulk(out, is(&argv[1], "0") ? "7" : "0", 1);
        kv_reply_array(out, 1);
        kv_reply_bulk(out, argv[1].data, argv[1].count);
    } else {
        return false;
    }
    return true;
}

static void
carry_out(const struct kv_arg *argv, uint32_t argc, struct wire_writer *out)
{
    int64_t bytes = 0;
    if (carry_out_spread(argv, argc, out))
        return;
    switch (argv[0].data[0]) {
    case 'g':
        kv_reply_bulk(out, argv[1].data, argv[1].count);
        return;
    case 's':
        kv_reply_simple(out, "OK");
        return;
    case 'b': {
        skein_assert(kv_resp_integer(argv[1].data, argv[1].count, &bytes));
        char *data = mem_zalloc((size_t)bytes);
        kv_reply_bulk(out, data, (size_t)bytes);
        mem_free(data);
        return;
    }
    default:
        kv_reply_integer(out, argc);
    }
}

static void
carry_out_batch(struct bytes command, struct bytes *out_reply)
{
    struct kv_batch_reader reader;
    struct kv_arg *argv = NULL;
    size_t capacity = 0;
    uint32_t argc;
    struct wire_writer out = {0};
    int rc = kv_batch_open(&reader, command);
    skein_assert(rc == 0);
    while ((rc = kv_batch_next(&reader, &argv, &capacity, &argc)) == 0)
        carry_out(argv, argc, &out);
    skein_assert(rc == -SKEIN_ENOTFOUND);
    *out_reply = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    mem_free(argv);
}

int
replica_submit(struct replica *replica, enum replica_kind kind, struct bytes command,
               uint64_t deadline_ns, struct bytes *out_reply)
{
    struct fake *fake = the_fake;
    struct kv_batch_reader reader;
    int rc = kv_batch_open(&reader, command);
    skein_assert(rc == 0);
    skein_assert(fake->batch_count < FAKE_BATCHES_MAX);
    fake->batches[fake->batch_count].kind = kind;
    fake->batches[fake->batch_count].group = replica ? (uint32_t)((char *)replica - fake->tags) : 0;
    fake->batches[fake->batch_count].session = 0;
    fake->batches[fake->batch_count].count = reader.left;
    fake->batches[fake->batch_count].limits = reader.limits;
    fake->batches[fake->batch_count++].bytes = command.count;
    fake->waiting++;
    while (fake->closed) {
        rc = skein_wait(&fake->gate_q, deadline_ns);
        if (rc < 0) {
            fake->waiting--;
            return rc == -SKEIN_ETIMEDOUT ? -SKEIN_EUNKNOWN : rc;
        }
    }
    fake->waiting--;
    if (fake->rc < 0)
        return fake->rc;
    carry_out_batch(command, out_reply);
    return 0;
}

int
replica_read(struct replica *replica, enum replica_level level, uint64_t stale_ns,
             struct bytes command, uint64_t deadline_ns, struct bytes *out_reply)
{
    the_fake->level = level;
    the_fake->stale_ns = stale_ns;
    return replica_submit(replica, REPLICA_READ, command, deadline_ns, out_reply);
}

bool
replica_has_leases(const struct replica *replica)
{
    return the_fake->has_leases;
}

const char *
replica_level_name(enum replica_level level)
{
    static const char *const names[] = {"linearizable", "lease", "follower", "stale"};
    return level < BASE_COUNT_OF(names) ? names[level] : NULL;
}

struct replica *
replica_group(struct replica *any, uint32_t group)
{
    return (struct replica *)&the_fake->tags[group];
}

/* One after the other, which is one of the orders. */
void
replica_submit_all(struct replica_call *calls, uint32_t count, uint64_t deadline_ns)
{
    for (uint32_t i = 0; i < count; i++) {
        int rc = the_fake->rc_of[(char *)calls[i].replica - the_fake->tags];
        calls[i].status = rc < 0 ? rc
                                 : replica_submit(calls[i].replica, calls[i].kind, calls[i].command,
                                                  deadline_ns, &calls[i].reply);
        if (rc == 0)
            the_fake->batches[the_fake->batch_count - 1].session = calls[i].session;
    }
}

int
replica_submit_once(struct replica *replica, uint64_t session, uint64_t sequence,
                    struct bytes command, uint64_t deadline_ns, struct bytes *out_reply)
{
    the_fake->session = session;
    the_fake->sequence = sequence;
    return replica_submit(replica, REPLICA_WRITE, command, deadline_ns, out_reply);
}

int
replica_session_open(struct replica *replica, uint64_t ttl_ms, uint64_t deadline_ns,
                     uint64_t *out_session)
{
    the_fake->ttl_ms = ttl_ms;
    *out_session = 0xfeed;
    return the_fake->rc;
}

int
replica_session_close(struct replica *replica, uint64_t session, uint64_t deadline_ns)
{
    the_fake->session = session;
    return the_fake->rc;
}

int
replica_session_open_all(struct replica *any, uint64_t ttl_ms, uint64_t deadline_ns,
                         uint64_t *out_session)
{
    return replica_session_open(any, ttl_ms, deadline_ns, out_session);
}

int
replica_session_close_all(struct replica *any, uint64_t session, uint64_t deadline_ns)
{
    return replica_session_close(any, session, deadline_ns);
}

int
replica_change_begin(struct replica *replica, const struct replica_change *change, uint64_t *out_id,
                     char out_why[512])
{
    the_fake->change = *change;
    *out_id = 0xabc;
    snprintf(out_why, 512, "because");
    return the_fake->rc;
}

int
replica_transfer(struct replica *replica, uint32_t node, char out_why[512])
{
    the_fake->transferred_to = node;
    snprintf(out_why, 512, "because");
    return the_fake->rc;
}

void
replica_change_status(const struct replica *replica, struct replica_change_status *out_status)
{
    *out_status = (struct replica_change_status){
        .id = 0xabc, .state = REPLICA_CHANGE_RUNNING, .note = "waits: \"for\" node 4"};
}

const char *
replica_change_state_name(enum replica_change_state state)
{
    return state == REPLICA_CHANGE_RUNNING ? "running" : "?";
}

uint32_t
replica_members(const struct replica *replica, struct replica_member out_members[RAFT_MEMBERS_MAX])
{
    out_members[0] = (struct replica_member){
        .node = 4,
        .raft_id = (UINT64_C(4) << 48) + 1,
        .roles = RAFT_LEARNER,
        .addr = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 7104},
        .match = 9,
        .state = RAFT_SNAPSHOTTING};
    return 1;
}

void
replica_status(struct replica *replica, struct replica_status *out_status)
{
    *out_status = (struct replica_status){.phase = REPLICA_RUNNING, .node = 3, .leader_node = 2};
    out_status->raft.id = (UINT64_C(3) << 48) + 5;
    out_status->raft.hard_state.term = 7;
    out_status->raft.applied = 11;
}

const char *
replica_phase_name(enum replica_phase phase)
{
    return phase == REPLICA_RUNNING ? "running" : "other";
}

int
replica_backup(struct replica *replica, uint64_t deadline_ns, struct replica_backup_file *out_file)
{
    return -SKEIN_ENOTFOUND;
}

void
replica_backup_close(struct replica *replica, struct replica_backup_file *file)
{
}

int
replica_backup_pause(struct replica *replica, uint64_t count)
{
    return 0;
}

void *
replica_machine(struct replica *replica)
{
    return the_fake;
}

void
kv_machine_stats(void *machine, struct kv_machine_stats *out_stats)
{
    skein_assert(machine == the_fake);
    *out_stats = (struct kv_machine_stats){.key_count = 13, .expiring_key_count = 2};
}

static int
fake_main(void *arg)
{
    struct fake *fake = arg;
    char why[512];
    skein_waitq_init(&fake->gate_q);
    int rc = kv_face_open(&fake->face, &fake->options, why);
    if (!CHECK(&fake->check, rc == 0))
        return rc;
    fake->body(fake);
    kv_face_stop(fake->face, fake_soon());
    return 0;
}

static unsigned
run(void (*body)(struct fake *fake), void (*configure)(struct kv_face_options *options),
    uint32_t group_count)
{
    static const uint8_t loopback[16] = {[10] = 255, [11] = 255, [12] = 127, [15] = 1};
    struct fake fake = {.body = body};
    fake.options = (struct kv_face_options){
        .group_count = group_count,
        .limits = {.key_bytes_max = 3, .value_bytes_max = 5, .reply_bytes_max = 7},
        .command_timeout_ns = 5 * SECOND_NS,
        .send_timeout_ns = 5 * SECOND_NS,
        .client_count_max = 100,
        .query_bytes_max = UINT64_C(4) << 20};
    memcpy(fake.options.listen.ip, loopback, sizeof(loopback));
    if (configure)
        configure(&fake.options);
    the_fake = &fake;
    struct backend *backend;
    struct skein_shard *shard;
    int rc = uring_open(&backend, 1);
    skein_assert(rc == 0);
    struct skein_stack_pool *stacks = skein_stack_pool_open();
    struct skein_shard_options options = {.backend = backend, .stacks = stacks};
    rc = skein_shard_open(&shard, &options);
    skein_assert(rc == 0);
    rc = skein_shard_run(shard, fake_main, &fake);
    CHECK(&fake.check, rc == 0);
    skein_shard_close(shard);
    skein_stack_pool_close(stacks);
    uring_close(backend);
    the_fake = NULL;
    return fake.check.failed_count;
}

static void
room_for_replies(struct kv_face_options *options)
{
    options->limits.reply_bytes_max = 100;
}

unsigned
fake_run(void (*body)(struct fake *fake), void (*configure)(struct kv_face_options *options))
{
    return run(body, configure, 1);
}

unsigned
fake_run_groups(void (*body)(struct fake *fake), uint32_t group_count)
{
    return run(body, room_for_replies, group_count);
}

uint64_t
fake_soon(void)
{
    return skein_deadline_in(2 * SECOND_NS);
}

int
fake_connect(struct fake *fake)
{
    int handle = skein_socket_connect(&fake->face->addr, fake_soon());
    CHECK(&fake->check, handle >= 0);
    return handle;
}

struct kv_client *
fake_client(struct fake *fake)
{
    struct kv_client *client = NULL;
    CHECK(&fake->check, kv_client_connect(&client, &fake->face->addr, fake_soon()) == 0);
    return client;
}

char *
fake_read_all(int handle, size_t *out_count)
{
    struct wire_writer out = {0};
    for (;;) {
        uint8_t buffer[4096];
        ssize_t n = skein_socket_recv(handle, buffer, sizeof(buffer), fake_soon());
        if (n <= 0)
            break;
        wire_put_raw(&out, buffer, (size_t)n);
    }
    *out_count = out.count;
    wire_put_u8(&out, 0);
    return (char *)out.data;
}

bool
fake_exchange(struct fake *fake, const char *request, const char *wanted)
{
    size_t count;
    int handle = fake_connect(fake);
    bool ok = skein_socket_send(handle, request, strlen(request), fake_soon()) == 0;
    ok = ok && skein_socket_shutdown(handle) == 0;
    char *got = fake_read_all(handle, &count);
    skein_close(handle);
    ok = ok && strcmp(got, wanted) == 0;
    if (!ok)
        fprintf(stderr, "request: %s\nwanted: %s\ngot: %s\n", request, wanted, got);
    mem_free(got);
    return CHECK(&fake->check, ok);
}

bool
fake_yield_until(bool (*condition)(struct fake *fake), struct fake *fake)
{
    uint64_t deadline_ns = fake_soon();
    while (!condition(fake)) {
        if (skein_now_ns() > deadline_ns || skein_sleep(skein_deadline_in(SECOND_NS / 10000)) < 0)
            return CHECK(&fake->check, !"the condition came true");
    }
    return true;
}
