/* SPDX-License-Identifier: Apache-2.0 */
/* SET and its relatives: SETNX SETEX PSETEX GETSET GETEX GETDEL MSET MSETNX. */
#include "kv/exec.h"

struct set_options {
    bool nx, xx, get, keep_ttl, persist;
    struct kv_expiry_arg expiry;
};

/* EX, PX, EXAT, PXAT: which one stands here? */
static bool
is_expiry_option(struct kv_arg arg, struct kv_expiry_arg *out)
{
    if (kv_exec_is(arg, "ex"))
        *out = (struct kv_expiry_arg){.given = true, .in_seconds = true};
    else if (kv_exec_is(arg, "px"))
        *out = (struct kv_expiry_arg){.given = true};
    else if (kv_exec_is(arg, "exat"))
        *out = (struct kv_expiry_arg){.given = true, .in_seconds = true, .is_absolute = true};
    else if (kv_exec_is(arg, "pxat"))
        *out = (struct kv_expiry_arg){.given = true, .is_absolute = true};
    else
        return false;
    return true;
}

static bool
is_same_kind(const struct kv_expiry_arg *a, const struct kv_expiry_arg *b)
{
    return a->in_seconds == b->in_seconds && a->is_absolute == b->is_absolute;
}

/* One option at @at; returns how many arguments it takes, 0: a syntax error. */
static uint32_t
parse_option(struct set_options *options, const struct kv_arg *argv, uint32_t argc, uint32_t at,
             bool is_set)
{
    struct kv_expiry_arg expiry;
    struct kv_arg arg = argv[at];
    if (is_expiry_option(arg, &expiry)) {
        bool clash = options->expiry.given && !is_same_kind(&options->expiry, &expiry);
        if (options->keep_ttl || options->persist || clash || at + 1 >= argc)
            return 0;
        expiry.amount = argv[at + 1];
        options->expiry = expiry;
        return 2;
    }
    if (is_set && kv_exec_is(arg, "nx") && !options->xx)
        return options->nx = true;
    if (is_set && kv_exec_is(arg, "xx") && !options->nx)
        return options->xx = true;
    if (is_set && kv_exec_is(arg, "get"))
        return options->get = true;
    if (is_set && kv_exec_is(arg, "keepttl") && !options->expiry.given)
        return options->keep_ttl = true;
    if (!is_set && kv_exec_is(arg, "persist") && !options->expiry.given)
        return options->persist = true;
    return 0;
}

static bool
parse_options(struct kv_exec *exec, struct set_options *options, const struct kv_arg *argv,
              uint32_t argc, uint32_t at, bool is_set)
{
    while (at < argc) {
        uint32_t taken = parse_option(options, argv, argc, at, is_set);
        if (taken == 0) {
            kv_exec_syntax_error(exec);
            return false;
        }
        at += taken;
    }
    return true;
}

static void
store(struct kv_exec *exec, struct kv_arg key, struct kv_arg value, int64_t expiry_ms)
{
    if (expiry_ms && kv_exec_is_past(exec, expiry_ms))
        (void)kv_keyspace_remove(exec->keys, key);
    else
        kv_keyspace_put(exec->keys, key, value, (struct kv_arg){0}, (uint64_t)expiry_ms);
}

static void
set_with_options(struct kv_exec *exec, struct kv_arg key, struct kv_arg value,
                 const struct set_options *options)
{
    struct keyspace_entry old = {0};
    int64_t expiry_ms = 0;
    if (options->expiry.given && !kv_exec_expiry(exec, &options->expiry, &expiry_ms))
        return;
    bool found = kv_keyspace_get(exec->keys, key, &old);
    if (options->get && found && !kv_exec_return_fits(exec, old.value_bytes)) {
        kv_keyspace_entry_deinit(&old);
        return;
    }
    bool stored = !(options->nx && found) && !(options->xx && !found);
    if (options->get && found)
        kv_exec_bulk(exec, old.value, old.value_bytes);
    else if (options->get || !stored)
        kv_exec_null(exec);
    else
        kv_exec_ok(exec);
    if (found && options->keep_ttl)
        expiry_ms = (int64_t)old.expiry_ms;
    kv_keyspace_entry_deinit(&old);
    if (stored)
        store(exec, key, value, expiry_ms);
}

void
kv_exec_cmd_set(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct set_options options = {0};
    if (!parse_options(exec, &options, argv, argc, 3, true))
        return;
    if (!kv_exec_sizes_ok(exec, argv[1], argv[2].count))
        return;
    if (argc == 3) {
        kv_keyspace_put(exec->keys, argv[1], argv[2], (struct kv_arg){0}, 0);
        kv_exec_ok(exec);
        return;
    }
    set_with_options(exec, argv[1], argv[2], &options);
}

void
kv_exec_cmd_setnx(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    if (!kv_exec_sizes_ok(exec, argv[1], argv[2].count))
        return;
    bool found = kv_keyspace_has(exec->keys, argv[1]);
    if (!found)
        store(exec, argv[1], argv[2], 0);
    kv_exec_integer(exec, !found);
}

static void
set_for(struct kv_exec *exec, const struct kv_arg *argv, bool in_seconds)
{
    struct set_options options = {
        .expiry = {.given = true, .in_seconds = in_seconds, .amount = argv[2]}};
    if (kv_exec_sizes_ok(exec, argv[1], argv[3].count))
        set_with_options(exec, argv[1], argv[3], &options);
}

void
kv_exec_cmd_setex(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    set_for(exec, argv, true);
}

void
kv_exec_cmd_psetex(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    set_for(exec, argv, false);
}

void
kv_exec_cmd_getset(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    const struct set_options options = {.get = true};
    if (kv_exec_sizes_ok(exec, argv[1], argv[2].count))
        set_with_options(exec, argv[1], argv[2], &options);
}

void
kv_exec_cmd_getdel(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct keyspace_entry old;
    if (!kv_keyspace_get(exec->keys, argv[1], &old)) {
        kv_exec_null(exec);
        return;
    }
    if (kv_exec_return_fits(exec, old.value_bytes)) {
        kv_exec_bulk(exec, old.value, old.value_bytes);
        (void)kv_keyspace_remove(exec->keys, argv[1]);
    }
    kv_keyspace_entry_deinit(&old);
}

void
kv_exec_cmd_getex(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    struct set_options options = {0};
    struct keyspace_entry old;
    int64_t expiry_ms = 0;
    if (!parse_options(exec, &options, argv, argc, 2, false))
        return;
    if (!kv_keyspace_get(exec->keys, argv[1], &old)) {
        kv_exec_null(exec);
        return;
    }
    bool valid = !options.expiry.given || kv_exec_expiry(exec, &options.expiry, &expiry_ms);
    if (valid && kv_exec_return_fits(exec, old.value_bytes)) {
        kv_exec_bulk(exec, old.value, old.value_bytes);
        if (options.expiry.given || (options.persist && old.expiry_ms))
            store(exec, argv[1], (struct kv_arg){old.value, old.value_bytes}, expiry_ms);
    }
    kv_keyspace_entry_deinit(&old);
}

static bool
pairs_ok(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    if (argc % 2 == 0) {
        if (exec->out)
            kv_reply_wrong_arity(exec->out, exec->command);
        return false;
    }
    for (uint32_t i = 1; i < argc; i += 2) {
        if (!kv_exec_sizes_ok(exec, argv[i], argv[i + 1].count))
            return false;
    }
    return true;
}

static void
store_pairs(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    for (uint32_t i = 1; i < argc; i += 2)
        store(exec, argv[i], argv[i + 1], 0);
}

void
kv_exec_cmd_mset(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    if (!pairs_ok(exec, argv, argc))
        return;
    store_pairs(exec, argv, argc);
    kv_exec_ok(exec);
}

void
kv_exec_cmd_msetnx(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
{
    bool found = false;
    if (!pairs_ok(exec, argv, argc))
        return;
    for (uint32_t i = 1; i < argc && !found; i += 2)
        found = kv_keyspace_has(exec->keys, argv[i]);
    if (!found)
        store_pairs(exec, argv, argc);
    kv_exec_integer(exec, !found);
}
