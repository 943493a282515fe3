/* SPDX-License-Identifier: Apache-2.0 */
/* Values as strings of bytes and as numbers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kv/exec.h"

void
kv_exec_cmd_get(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry entry;
    if (!kv_keyspace_get(exec->keys, argv[1], &entry)) {
        kv_exec_null(exec);
        return;
    }
    kv_exec_bulk(exec, entry.value, entry.value_bytes);
    kv_keyspace_entry_deinit(&entry);
}

void
kv_exec_cmd_mget(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    kv_exec_array(exec, argc - 1);
    for (uint32_t i = 1; i < argc && !exec->too_large; i++)
        kv_exec_cmd_get(exec, argv + i - 1, 2);
}

void
kv_exec_cmd_strlen(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry entry = {0};
    (void)kv_keyspace_get(exec->keys, argv[1], &entry);
    kv_exec_integer(exec, (int64_t)entry.value_bytes);
    kv_keyspace_entry_deinit(&entry);
}

void
kv_exec_cmd_append(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry old = {0};
    (void)kv_keyspace_get(exec->keys, argv[1], &old);
    uint64_t value_bytes = (uint64_t)old.value_bytes + argv[2].count;
    if (kv_exec_sizes_ok(exec, argv[1], value_bytes)) {
        kv_keyspace_put(exec->keys, argv[1], (struct kv_arg){old.value, old.value_bytes}, argv[2],
                        old.expiry_ms);
        kv_exec_integer(exec, (int64_t)value_bytes);
    }
    kv_keyspace_entry_deinit(&old);
}

static void
add(struct kv_exec *exec, struct kv_arg key, int64_t by)
{
    struct keyspace_entry old = {0};
    int64_t value = 0;
    char text[24];
    bool found = kv_keyspace_get(exec->keys, key, &old);
    uint64_t expiry_ms = old.expiry_ms;
    bool valid =
        !found || kv_exec_integer_arg(exec, (struct kv_arg){old.value, old.value_bytes}, &value);
    kv_keyspace_entry_deinit(&old);
    if (!valid)
        return;
    if (__builtin_add_overflow(value, by, &value)) {
        kv_exec_error(exec, "ERR increment or decrement would overflow");
        return;
    }
    int count = snprintf(text, sizeof(text), "%" PRId64, value);
    struct kv_arg digits = {(const uint8_t *)text, (size_t)count};
    if (!kv_exec_sizes_ok(exec, key, digits.count))
        return;
    kv_keyspace_put(exec->keys, key, digits, (struct kv_arg){0}, expiry_ms);
    kv_exec_integer(exec, value);
}

void
kv_exec_cmd_incr(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    add(exec, argv[1], 1);
}

void
kv_exec_cmd_decr(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    add(exec, argv[1], -1);
}

void
kv_exec_cmd_incrby(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    int64_t by;
    if (kv_exec_integer_arg(exec, argv[2], &by))
        add(exec, argv[1], by);
}

void
kv_exec_cmd_decrby(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    int64_t by;
    if (!kv_exec_integer_arg(exec, argv[2], &by))
        return;
    if (by == INT64_MIN)
        kv_exec_error(exec, "ERR decrement would overflow");
    else
        add(exec, argv[1], -by);
}

void
kv_exec_cmd_getrange(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry entry = {0};
    int64_t start, end;
    if (!kv_exec_integer_arg(exec, argv[2], &start) || !kv_exec_integer_arg(exec, argv[3], &end))
        return;
    (void)kv_keyspace_get(exec->keys, argv[1], &entry);
    int64_t count = (int64_t)entry.value_bytes;
    bool empty = count == 0 || (start < 0 && end < 0 && start > end);
    if (start < 0)
        start = start < -count ? 0 : start + count;
    if (end < 0)
        end = end < -count ? 0 : end + count;
    if (end >= count)
        end = count - 1;
    if (empty || start > end)
        kv_exec_bulk(exec, NULL, 0);
    else
        kv_exec_bulk(exec, entry.value + start, (size_t)(end - start + 1));
    kv_keyspace_entry_deinit(&entry);
}

/* The value with @patch laid over it at @offset, zeros between. */
static void
put_patched(struct kv_exec *exec, struct kv_arg key, const struct keyspace_entry *old,
            size_t offset, struct kv_arg patch)
{
    size_t end = offset + patch.count;
    size_t count = end > old->value_bytes ? end : old->value_bytes;
    uint8_t *value = mem_zalloc(count);
    if (old->value_bytes)
        memcpy(value, old->value, old->value_bytes);
    memcpy(value + offset, patch.data, patch.count);
    kv_keyspace_put(exec->keys, key, (struct kv_arg){value, count}, (struct kv_arg){0},
                    old->expiry_ms);
    mem_free(value);
    kv_exec_integer(exec, (int64_t)count);
}

void
kv_exec_cmd_setrange(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry old = {0};
    int64_t offset;
    if (!kv_exec_integer_arg(exec, argv[2], &offset))
        return;
    if (offset < 0) {
        kv_exec_error(exec, "ERR offset is out of range");
        return;
    }
    (void)kv_keyspace_get(exec->keys, argv[1], &old);
    if (argv[3].count == 0)
        kv_exec_integer(exec, (int64_t)old.value_bytes);
    else if (kv_exec_sizes_ok(exec, argv[1], (uint64_t)offset + argv[3].count))
        put_patched(exec, argv[1], &old, (size_t)offset, argv[3]);
    kv_keyspace_entry_deinit(&old);
}
