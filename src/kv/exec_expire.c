/* SPDX-License-Identifier: Apache-2.0 */
/* When keys expire. "Now" is log time. */
#include "kv/exec.h"

struct conditions {
    bool nx, xx, gt, lt;
};

static bool
parse_conditions(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc,
                 struct conditions *out)
{
    for (uint32_t i = 3; i < argc; i++) {
        if (kv_exec_is(argv[i], "nx")) {
            out->nx = true;
        } else if (kv_exec_is(argv[i], "xx")) {
            out->xx = true;
        } else if (kv_exec_is(argv[i], "gt")) {
            out->gt = true;
        } else if (kv_exec_is(argv[i], "lt")) {
            out->lt = true;
        } else {
            int shown = argv[i].count < 128 ? (int)argv[i].count : 128;
            if (exec->out)
                kv_reply_errorf(exec->out, "ERR Unsupported option %.*s", shown,
                                (const char *)argv[i].data);
            return false;
        }
    }
    if (out->nx && (out->xx || out->gt || out->lt)) {
        kv_exec_error(exec, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if (out->gt && out->lt) {
        kv_exec_error(exec, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* No expiry counts as one that never comes. */
static bool
conditions_hold(const struct conditions *conditions, uint64_t current_ms, int64_t wanted_ms)
{
    bool has = current_ms != 0;
    if ((conditions->nx && has) || (conditions->xx && !has))
        return false;
    if (conditions->gt && (!has || wanted_ms <= (int64_t)current_ms))
        return false;
    return !(conditions->lt && has && wanted_ms >= (int64_t)current_ms);
}

static bool
parse_when(struct kv_exec *exec, struct kv_arg arg, bool in_seconds, bool is_absolute,
           int64_t *out_ms)
{
    int64_t when;
    int64_t base = is_absolute ? 0 : (int64_t)exec->keys->time_ms;
    if (!kv_exec_integer_arg(exec, arg, &when))
        return false;
    bool valid = !in_seconds || (when <= INT64_MAX / 1000 && when >= INT64_MIN / 1000);
    if (valid && in_seconds)
        when *= 1000;
    if (!valid || when > INT64_MAX - base) {
        kv_exec_invalid_expire(exec);
        return false;
    }
    *out_ms = when + base;
    return true;
}

static void
expire(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc, bool in_seconds,
       bool is_absolute)
{
    struct conditions conditions = {0};
    struct keyspace_entry entry;
    int64_t when_ms;
    if (!parse_conditions(exec, argv, argc, &conditions) ||
        !parse_when(exec, argv[2], in_seconds, is_absolute, &when_ms))
        return;
    if (!kv_keyspace_get(exec->keys, argv[1], &entry)) {
        kv_exec_integer(exec, 0);
        return;
    }
    bool holds = conditions_hold(&conditions, entry.expiry_ms, when_ms);
    struct kv_arg value = {entry.value, entry.value_bytes};
    if (holds && kv_exec_is_past(exec, when_ms))
        (void)kv_keyspace_remove(exec->keys, argv[1]);
    else if (holds)
        kv_keyspace_put(exec->keys, argv[1], value, (struct kv_arg){0}, (uint64_t)when_ms);
    kv_keyspace_entry_deinit(&entry);
    kv_exec_integer(exec, holds);
}

void
kv_exec_cmd_expire(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    expire(exec, argv, argc, true, false);
}

void
kv_exec_cmd_pexpire(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    expire(exec, argv, argc, false, false);
}

void
kv_exec_cmd_expireat(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    expire(exec, argv, argc, true, true);
}

void
kv_exec_cmd_pexpireat(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    expire(exec, argv, argc, false, true);
}

/* @base_ms: what the answer counts from. */
static void
reply_expiry(struct kv_exec *exec, struct kv_arg key, uint64_t base_ms, bool in_seconds)
{
    struct keyspace_entry entry;
    if (!kv_keyspace_get(exec->keys, key, &entry)) {
        kv_exec_integer(exec, -2);
        return;
    }
    uint64_t expiry_ms = entry.expiry_ms;
    kv_keyspace_entry_deinit(&entry);
    if (expiry_ms == 0) {
        kv_exec_integer(exec, -1);
        return;
    }
    uint64_t left_ms = expiry_ms - base_ms;
    kv_exec_integer(exec, (int64_t)(in_seconds ? (left_ms + 500) / 1000 : left_ms));
}

void
kv_exec_cmd_ttl(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    reply_expiry(exec, argv[1], exec->keys->time_ms, true);
}

void
kv_exec_cmd_pttl(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    reply_expiry(exec, argv[1], exec->keys->time_ms, false);
}

void
kv_exec_cmd_expiretime(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    reply_expiry(exec, argv[1], 0, true);
}

void
kv_exec_cmd_pexpiretime(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    reply_expiry(exec, argv[1], 0, false);
}

void
kv_exec_cmd_persist(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry entry;
    bool had = false;
    if (kv_keyspace_get(exec->keys, argv[1], &entry)) {
        had = entry.expiry_ms != 0;
        struct kv_arg value = {entry.value, entry.value_bytes};
        if (had)
            kv_keyspace_put(exec->keys, argv[1], value, (struct kv_arg){0}, 0);
        kv_keyspace_entry_deinit(&entry);
    }
    kv_exec_integer(exec, had);
}
