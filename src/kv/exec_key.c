/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as a whole: removing, counting, their type. */
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
