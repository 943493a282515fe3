/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the keyspace. Why SCAN's cursor is a hash: kv/keyspace.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/exec.h"
#include "kv/glob.h"

/* Around a key in a reply, and what the heads of the arrays need. */
#define BULK_FRAME_BYTES 32
#define HEAD_BYTES 96
#define SCAN_COUNT 10
/* Longer patterns are refused: the bound on the work one key costs. */
#define PATTERN_BYTES_MAX 4096

static bool
pattern_ok(struct kv_exec *exec, struct kv_arg pattern)
{
    if (pattern.count <= PATTERN_BYTES_MAX)
        return true;
    if (exec->out)
        kv_reply_errorf(exec->out, "ERR pattern is larger than %d bytes", PATTERN_BYTES_MAX);
    return false;
}

static bool
is_all(struct kv_arg pattern)
{
    return pattern.count == 1 && pattern.data[0] == '*';
}

static bool
matches(struct kv_arg pattern, struct kv_arg key)
{
    return kv_glob_match(pattern.data, pattern.count, key.data, key.count);
}

/* Without special bytes a pattern matches only itself. */
static bool
is_literal(struct kv_arg pattern)
{
    for (size_t i = 0; i < pattern.count; i++) {
        if (strchr("*?[\\", pattern.data[i]) && pattern.data[i])
            return false;
    }
    return true;
}

/* What a walk has found: bulk strings, ready to be put behind an array's head. */
struct found {
    struct wire_writer keys;
    size_t bytes_max;
    uint64_t count;
};

static bool
found_add(struct found *found, struct kv_arg key)
{
    if (found->keys.count + key.count + BULK_FRAME_BYTES > found->bytes_max)
        return false;
    kv_reply_bulk(&found->keys, key.data, key.count);
    found->count++;
    return true;
}

static struct found
found_begin(const struct kv_exec *exec)
{
    size_t room = kv_exec_room(exec);
    return (struct found){.bytes_max = room > HEAD_BYTES ? room - HEAD_BYTES : 0};
}

static void
found_reply(struct kv_exec *exec, struct found *found)
{
    if (exec->out && !exec->too_large) {
        kv_reply_array(exec->out, found->count);
        wire_put_raw(exec->out, found->keys.data, found->keys.count);
    }
    wire_writer_deinit(&found->keys);
}

void
kv_exec_cmd_keys(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_cursor cursor;
    struct keyspace_item item;
    struct kv_arg pattern = argv[1];
    struct found found = found_begin(exec);
    if (!pattern_ok(exec, pattern))
        return;
    if (is_literal(pattern)) {
        if (kv_keyspace_has(exec->keys, pattern))
            exec->too_large = !found_add(&found, pattern);
        found_reply(exec, &found);
        return;
    }
    bool all = is_all(pattern);
    kv_keyspace_cursor_open(exec->keys, &cursor, 0);
    while (!exec->too_large && kv_keyspace_cursor_next(&cursor, &item)) {
        if (all || matches(pattern, item.key))
            exec->too_large = !found_add(&found, item.key);
    }
    kv_keyspace_cursor_close(&cursor);
    found_reply(exec, &found);
}

struct scan {
    uint64_t cursor;
    int64_t count;
    struct kv_arg pattern; /* data NULL: every key */
    bool other_type;       /* a type no key has */
};

static bool
parse_cursor(struct kv_exec *exec, struct kv_arg arg, uint64_t *out_cursor)
{
    uint64_t value = 0;
    bool valid = arg.count > 0;
    for (size_t i = 0; i < arg.count && valid; i++) {
        uint8_t digit = (uint8_t)(arg.data[i] - '0');
        valid = digit <= 9 && value <= (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    if (valid)
        *out_cursor = value;
    else
        kv_exec_error(exec, "ERR invalid cursor");
    return valid;
}

static bool
parse_scan(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc, struct scan *scan)
{
    if (!parse_cursor(exec, argv[1], &scan->cursor))
        return false;
    for (uint32_t i = 2; i < argc; i += 2) {
        bool has_value = i + 1 < argc;
        if (has_value && kv_exec_is(argv[i], "count")) {
            if (!kv_exec_integer_arg(exec, argv[i + 1], &scan->count))
                return false;
            if (scan->count < 1) {
                kv_exec_syntax_error(exec);
                return false;
            }
        } else if (has_value && kv_exec_is(argv[i], "match")) {
            scan->pattern = argv[i + 1];
            if (!pattern_ok(exec, scan->pattern))
                return false;
        } else if (has_value && kv_exec_is(argv[i], "type")) {
            scan->other_type = !kv_exec_is(argv[i + 1], "string");
        } else {
            kv_exec_syntax_error(exec);
            return false;
        }
    }
    return true;
}

/*
 * Look at scan->count keys, and at the rest of those with the last one's hash. Returns the next
 * cursor, 0 at the end. When the reply is full before that, the keys of the last hash are left for
 * the next step.
 */
static uint64_t
scan_step(struct kv_exec *exec, const struct scan *scan, struct found *found)
{
    struct keyspace_cursor cursor;
    struct keyspace_item item;
    uint64_t hash = 0, next = 0;
    size_t group_bytes = 0;
    uint64_t group_count = 0;
    int64_t seen = 0;
    bool all = !scan->pattern.data || is_all(scan->pattern);
    kv_keyspace_cursor_open(exec->keys, &cursor, scan->cursor);
    while (kv_keyspace_cursor_next(&cursor, &item)) {
        if (item.hash != hash) {
            if (seen >= scan->count) {
                next = item.hash;
                break;
            }
            hash = item.hash;
            group_bytes = found->keys.count;
            group_count = found->count;
        }
        seen++;
        bool wanted = !scan->other_type && (all || matches(scan->pattern, item.key));
        if (!wanted || found_add(found, item.key))
            continue;
        exec->too_large = group_count == 0;
        found->keys.count = group_bytes;
        found->count = group_count;
        next = hash;
        break;
    }
    kv_keyspace_cursor_close(&cursor);
    return next;
}

void
kv_exec_cmd_scan(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct scan scan = {.count = SCAN_COUNT};
    struct found found = found_begin(exec);
    uint64_t next = 0;
    char text[24];
    if (!parse_scan(exec, argv, argc, &scan))
        return;
    if (scan.cursor <= KEYSPACE_HASH_MAX)
        next = scan_step(exec, &scan, &found);
    int count = snprintf(text, sizeof(text), "%" PRIu64, next);
    if (!exec->too_large) {
        kv_exec_array(exec, 2);
        kv_exec_bulk(exec, text, (size_t)count);
    }
    found_reply(exec, &found);
}
