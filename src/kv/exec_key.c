/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as a whole: removing, renaming, counting, their type. */
#include <limits.h>
#include <string.h>

#include "kv/exec.h"

void
kv_exec_cmd_del(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    int64_t removed = 0;
    for (uint32_t i = 1; i < argc; i++)
        removed += kv_keyspace_remove(exec->keys, argv[i]);
    kv_exec_integer(exec, removed);
}

void
kv_exec_cmd_exists(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    int64_t found = 0;
    for (uint32_t i = 1; i < argc; i++)
        found += kv_keyspace_has(exec->keys, argv[i]);
    kv_exec_integer(exec, found);
}

void
kv_exec_cmd_type(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    kv_exec_simple(exec, kv_keyspace_has(exec->keys, argv[1]) ? "string" : "none");
}

void
kv_exec_cmd_dbsize(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    kv_exec_integer(exec, (int64_t)kv_keyspace_count(exec->keys));
}

void
kv_exec_cmd_flushall(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    if (argc > 2 || (argc == 2 && !kv_exec_is(argv[1], "async") && !kv_exec_is(argv[1], "sync"))) {
        kv_exec_syntax_error(exec);
        return;
    }
    kv_keyspace_clear(exec->keys);
    kv_exec_ok(exec);
}

static bool
is_same(struct kv_arg a, struct kv_arg b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.data, b.data, a.count) == 0);
}

/* Value and expiry of @old under the name @to. */
static void
put_copy(struct kv_exec *exec, struct kv_arg to, const struct keyspace_entry *old)
{
    struct kv_arg value = {old->value, old->value_bytes};
    kv_keyspace_put(exec->keys, to, value, (struct kv_arg){0}, old->expiry_ms);
}

/* @only_new: RENAMENX. A key renamed to itself stays as it is. */
static void
rename_key(struct kv_exec *exec, const struct kv_arg *argv, bool only_new)
{
    struct keyspace_entry old;
    if (!kv_keyspace_get(exec->keys, argv[1], &old)) {
        kv_exec_error(exec, "ERR no such key");
        return;
    }
    bool same = is_same(argv[1], argv[2]);
    bool taken = only_new && (same || kv_keyspace_has(exec->keys, argv[2]));
    bool fits = taken || kv_exec_sizes_ok(exec, argv[2], 0);
    if (fits && !taken && !same) {
        put_copy(exec, argv[2], &old);
        (void)kv_keyspace_remove(exec->keys, argv[1]);
    }
    kv_keyspace_entry_deinit(&old);
    if (fits && only_new)
        kv_exec_integer(exec, !taken);
    else if (fits)
        kv_exec_ok(exec);
}

void
kv_exec_cmd_rename(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    rename_key(exec, argv, false);
}

void
kv_exec_cmd_renamenx(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    rename_key(exec, argv, true);
}

/* DB 0 is the one there is. */
static bool
parse_database(struct kv_exec *exec, struct kv_arg arg)
{
    int64_t index;
    if (!kv_exec_integer_arg(exec, arg, &index))
        return false;
    if (index == 0)
        return true;
    if (index < INT_MIN || index > INT_MAX)
        kv_exec_error(exec,
                      "ERR value is out of range, value must between -2147483648 and 2147483647");
    else
        kv_exec_error(exec, "ERR DB index is out of range");
    return false;
}

static bool
parse_copy(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc, bool *out_replace)
{
    *out_replace = false;
    for (uint32_t i = 3; i < argc; i++) {
        if (kv_exec_is(argv[i], "replace")) {
            *out_replace = true;
        } else if (kv_exec_is(argv[i], "db") && i + 1 < argc) {
            if (!parse_database(exec, argv[++i]))
                return false;
        } else {
            kv_exec_syntax_error(exec);
            return false;
        }
    }
    if (!is_same(argv[1], argv[2]))
        return true;
    kv_exec_error(exec, "ERR source and destination objects are the same");
    return false;
}

void
kv_exec_cmd_copy(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry old;
    bool replace;
    if (!parse_copy(exec, argv, argc, &replace))
        return;
    if (!kv_keyspace_get(exec->keys, argv[1], &old)) {
        kv_exec_integer(exec, 0);
        return;
    }
    bool taken = !replace && kv_keyspace_has(exec->keys, argv[2]);
    if (taken) {
        kv_exec_integer(exec, 0);
    } else if (kv_exec_sizes_ok(exec, argv[2], 0)) {
        put_copy(exec, argv[2], &old);
        kv_exec_integer(exec, 1);
    }
    kv_keyspace_entry_deinit(&old);
}
