/* SPDX-License-Identifier: Apache-2.0 */
/* A command whose keys are in several groups, or which is for all of them: its parts are carried
 * out beside each other, and one reply is made of theirs (enum kv_spread, kv/command.h). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kv/conn.h"
#include "kv/keyspace.h"
#include "kv/resp.h"
#include "kv/resp_reply.h"
#include "skein/error.h"
#include "skein/fiber.h"

struct spread {
    struct kv_conn *conn;
    const struct kv_command *command;
    const struct kv_arg *argv;
    uint32_t argc;
    uint8_t *group_of; /* by argument, for KV_SPREAD_GATHER; else NULL */
    uint32_t walked;   /* KV_SPREAD_WALK: the cursor's group */
    struct replica_call calls[KV_GROUPS_MAX];
    uint32_t groups[KV_GROUPS_MAX]; /* of each call, ascending */
    uint32_t count;
};

/* ---- the parts ---- */

static struct bytes
part_of(const struct kv_face *face, const struct kv_arg *argv, uint32_t argc)
{
    struct wire_writer out = {0};
    kv_batch_begin(&out, &face->options.limits);
    kv_batch_add(&out, argv, argc);
    struct bytes part = bytes_copy(out.data, out.count);
    wire_writer_deinit(&out);
    return part;
}

static void
add_part(struct spread *spread, uint32_t group, const struct kv_arg *argv, uint32_t argc)
{
    struct kv_face *face = spread->conn->face;
    struct replica_call *call = &spread->calls[spread->count];
    bool write = spread->command->kind == KV_WRITE;
    *call = (struct replica_call){.replica = kv_face_group(face, group),
                                  .kind = write ? REPLICA_WRITE : REPLICA_READ,
                                  .command = part_of(face, argv, argc)};
    if (!write) {
        call->level = spread->conn->level;
        call->stale_ns = spread->conn->stale_ns;
    }
    spread->groups[spread->count++] = group;
}

/* The command's name and the keys of one group; every argument behind the name is a key. */
static int
split_keys(struct spread *spread)
{
    uint32_t group_count = spread->conn->face->group_count;
    struct kv_arg *own = mem_try_alloc(spread->argc * sizeof(*own));
    spread->group_of = mem_try_alloc(spread->argc);
    if (!own || !spread->group_of) {
        mem_free(own);
        return -SKEIN_ENOMEM;
    }
    for (uint32_t i = 1; i < spread->argc; i++)
        spread->group_of[i] = (uint8_t)kv_slot_group(kv_slot(spread->argv[i]), group_count);
    own[0] = spread->argv[0];
    for (uint32_t group = 0; group < group_count; group++) {
        uint32_t argc = 1;
        for (uint32_t i = 1; i < spread->argc; i++)
            if (spread->group_of[i] == group)
                own[argc++] = spread->argv[i];
        if (argc > 1)
            add_part(spread, group, own, argc);
    }
    mem_free(own);
    return 0;
}

/* What the machine, too, takes for a cursor; UINT64_MAX: nothing, or larger. */
static uint64_t
parse_cursor(struct kv_arg arg)
{
    uint64_t value = arg.count ? 0 : UINT64_MAX;
    for (size_t i = 0; i < arg.count; i++) {
        uint8_t digit = (uint8_t)(arg.data[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return UINT64_MAX;
        value = value * 10 + digit;
    }
    return value;
}

/* A cursor is group x 2^48 + the group's own. Another number the last group ends, or refuses. */
static int
walk_one(struct spread *spread)
{
    uint32_t last = spread->conn->face->group_count - 1;
    uint64_t cursor = parse_cursor(spread->argv[1]);
    uint64_t group = cursor / (KEYSPACE_HASH_MAX + 1);
    struct kv_arg *own = mem_try_alloc(spread->argc * sizeof(*own));
    char text[24];
    if (!own)
        return -SKEIN_ENOMEM;
    memcpy(own, spread->argv, spread->argc * sizeof(*own));
    if (group <= last) {
        int count = snprintf(text, sizeof(text), "%" PRIu64, cursor & KEYSPACE_HASH_MAX);
        own[1] = (struct kv_arg){(const uint8_t *)text, (size_t)count};
    }
    spread->walked = group <= last ? (uint32_t)group : last;
    add_part(spread, spread->walked, own, spread->argc);
    mem_free(own);
    return 0;
}

static int
split(struct spread *spread)
{
    if (spread->command->spread == KV_SPREAD_WALK)
        return walk_one(spread);
    if (spread->command->first_key != 0)
        return split_keys(spread);
    for (uint32_t group = 0; group < spread->conn->face->group_count; group++)
        add_part(spread, group, spread->argv, spread->argc);
    return 0;
}

/* ---- the outcome ---- */

/*
 * One for all parts. Of a write "not applied" may be said only when it is true of every part: once
 * some are done, or may be, and others not, its outcome is what UNKNOWN says.
 */
static int
outcome(const struct spread *spread)
{
    bool touched = false;
    int first = 0, last = 0;
    for (uint32_t i = 0; i < spread->count; i++) {
        int status = spread->calls[i].status;
        first = first < 0 ? first : status;
        last = status < 0 ? status : last;
        touched |= status == 0 || status == -SKEIN_EUNKNOWN || status == -SKEIN_ECANCELED ||
                   status == -SKEIN_EREPEATED || status == -SKEIN_ESESSION;
    }
    if (first == 0 || spread->command->kind == KV_READ || !touched)
        return first;
    for (uint32_t i = 0; i < spread->count; i++)
        if (spread->calls[i].status != last)
            return -SKEIN_EUNKNOWN;
    return last;
}

/* ---- the reply ---- */

struct cursor {
    const uint8_t *data;
    size_t left;
};

/* The next whole reply, as it is; its bytes, 0: there is none. */
static size_t
take(struct cursor *cursor)
{
    struct kv_reply_scan scan = {0};
    if (kv_reply_scan(&scan, cursor->data, cursor->left, cursor->left) != 1)
        return 0;
    cursor->data += scan.position;
    cursor->left -= scan.position;
    return scan.position;
}

/* ":3\r\n" or "*3\r\n". */
static bool
take_number(struct cursor *cursor, uint8_t kind, int64_t *out_value)
{
    const uint8_t *end = cursor->left ? memchr(cursor->data, '\r', cursor->left) : NULL;
    if (!end || cursor->data[0] != kind || (size_t)(end - cursor->data) + 2 > cursor->left ||
        !kv_resp_integer(cursor->data + 1, (size_t)(end - cursor->data) - 1, out_value) ||
        *out_value < 0)
        return false;
    cursor->left -= (size_t)(end - cursor->data) + 2;
    cursor->data = end + 2;
    return true;
}

static bool
put_sum(const struct spread *spread, struct cursor *parts, struct wire_writer *out)
{
    int64_t sum = 0, value = 0;
    for (uint32_t i = 0; i < spread->count; i++) {
        if (!take_number(&parts[i], ':', &value))
            return false;
        sum += value;
    }
    kv_reply_integer(out, sum);
    return true;
}

static bool
put_gathered(const struct spread *spread, struct cursor *parts, struct wire_writer *out)
{
    struct cursor *of_group[KV_GROUPS_MAX] = {NULL};
    int64_t count;
    for (uint32_t i = 0; i < spread->count; i++) {
        if (!take_number(&parts[i], '*', &count))
            return false;
        of_group[spread->groups[i]] = &parts[i];
    }
    kv_reply_array(out, spread->argc - 1);
    for (uint32_t i = 1; i < spread->argc; i++) {
        struct cursor *part = of_group[spread->group_of[i]];
        const uint8_t *data = part->data;
        size_t bytes = take(part);
        if (bytes == 0)
            return false;
        wire_put_raw(out, data, bytes);
    }
    return true;
}

static bool
put_joined(const struct spread *spread, struct cursor *parts, struct wire_writer *out)
{
    int64_t sum = 0, count;
    for (uint32_t i = 0; i < spread->count; i++) {
        if (!take_number(&parts[i], '*', &count))
            return false;
        sum += count;
    }
    kv_reply_array(out, (uint64_t)sum);
    for (uint32_t i = 0; i < spread->count; i++)
        wire_put_raw(out, parts[i].data, parts[i].left);
    return true;
}

/* *2: the next cursor, an array. At a group's end the next group begins. */
static bool
put_walked(const struct spread *spread, struct cursor *part, struct wire_writer *out)
{
    int64_t two, bytes;
    char text[24];
    uint64_t next = 0;
    if (!take_number(part, '*', &two) || two != 2 || !take_number(part, '$', &bytes) ||
        part->left < (uint64_t)bytes + 2)
        return false;
    for (int64_t i = 0; i < bytes; i++)
        next = next * 10 + (uint64_t)(part->data[i] - '0');
    part->data += bytes + 2;
    part->left -= (size_t)bytes + 2;
    uint32_t group = spread->walked + (next == 0);
    if (group == spread->conn->face->group_count)
        next = 0;
    else
        next += group * (KEYSPACE_HASH_MAX + 1);
    kv_reply_array(out, 2);
    kv_reply_bulk(out, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, next));
    wire_put_raw(out, part->data, part->left);
    return true;
}

static bool
put_parts(const struct spread *spread, struct cursor *parts, struct wire_writer *out)
{
    switch (spread->command->spread) {
    case KV_SPREAD_SUM:
        return put_sum(spread, parts, out);
    case KV_SPREAD_GATHER:
        return put_gathered(spread, parts, out);
    case KV_SPREAD_CONCAT:
        return put_joined(spread, parts, out);
    case KV_SPREAD_WALK:
        return put_walked(spread, parts, out);
    case KV_SPREAD_OK:
    case KV_SPREAD_REFUSED:
        break;
    }
    kv_reply_simple(out, "OK");
    return true;
}

/* An error of one part is the command's. */
static void
put_reply(const struct spread *spread)
{
    const struct kv_limits *limits = &spread->conn->face->options.limits;
    struct wire_writer *out = conn_buffer_out(spread->conn);
    struct cursor parts[KV_GROUPS_MAX];
    uint64_t bytes = 0;
    size_t begun = out->count;
    for (uint32_t i = 0; i < spread->count; i++) {
        const struct bytes *reply = &spread->calls[i].reply;
        parts[i] = (struct cursor){reply->data, reply->count};
        bytes += reply->count;
        if (reply->count && reply->data[0] == '-') {
            wire_put_raw(out, reply->data, reply->count);
            return;
        }
    }
    if (bytes > limits->reply_bytes_max) {
        kv_reply_too_large(out, limits);
        return;
    }
    if (put_parts(spread, parts, out))
        return;
    /* Another node's mistake. */
    out->count = begun;
    kv_conn_error(out, -SKEIN_EUNKNOWN, spread->command->kind == KV_READ,
                  spread->conn->face->options.command_timeout_ns);
}

static void
carry_out(struct spread *spread, uint64_t session, uint64_t sequence)
{
    struct kv_face *face = spread->conn->face;
    uint64_t begun_ns = skein_now_ns();
    uint64_t timeout_ns = face->options.command_timeout_ns;
    bool read = spread->command->kind == KV_READ;
    int rc = split(spread);
    for (uint32_t i = 0; i < spread->count; i++) {
        spread->calls[i].session = session;
        spread->calls[i].sequence = sequence;
    }
    if (rc == 0 && face->reply_bytes > KV_FACE_REPLY_BYTES_MAX)
        rc = -SKEIN_EBUSY;
    if (rc == 0) {
        replica_submit_all(spread->calls, spread->count, begun_ns + timeout_ns);
        rc = outcome(spread);
    }
    kv_face_metrics_batch(face, !read, skein_now_ns() - begun_ns);
    face->stats.batches += spread->count;
    if (rc == 0) {
        put_reply(spread);
        return;
    }
    face->stats.failed_batches += spread->count;
    kv_conn_error(conn_buffer_out(spread->conn), rc, read, timeout_ns);
}

void
kv_conn_spread(struct kv_conn *conn, uint64_t session, uint64_t sequence,
               const struct kv_command *command, const struct kv_arg *argv, uint32_t argc)
{
    if (command->spread == KV_SPREAD_REFUSED) {
        kv_reply_error(conn_buffer_out(conn), KV_REPLY_CROSSSLOT);
        return;
    }
    struct spread *spread = mem_zalloc(sizeof(*spread));
    spread->conn = conn;
    spread->command = command;
    spread->argv = argv;
    spread->argc = argc;
    carry_out(spread, session, sequence);
    for (uint32_t i = 0; i < spread->count; i++) {
        bytes_unref(&spread->calls[i].command);
        bytes_unref(&spread->calls[i].reply);
    }
    mem_free(spread->group_of);
    mem_free(spread);
}
