/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's rows of the command table, with Redis 7's arities, flags and key positions. */
#include <string.h>

#include "kv/exec.h"

#define ONE 1, 1, 1
#define TWO 1, 2, 1
#define ALL 1, -1, 1
#define PAIRS 1, -1, 2
#define NO_KEYS 0, 0, 0
#define SPREAD(name, arity, kind, flags, keys, exec, spread)             \
    {                                                                    \
        name, arity, kind, flags, keys, spread, kv_exec_cmd_##exec, NULL \
    }
/* One write, or of one key. */
#define ROW(name, arity, kind, flags, keys, exec)                                   \
    {                                                                               \
        name, arity, kind, flags, keys, KV_SPREAD_REFUSED, kv_exec_cmd_##exec, NULL \
    }

/* clang-format off */
const struct kv_command kv_data_commands[] = {
    ROW("append", 3, KV_WRITE, "write denyoom fast", ONE, append),
    ROW("bitcount", -2, KV_READ, "readonly", ONE, bitcount),
    ROW("copy", -3, KV_WRITE, "write denyoom", TWO, copy),
    SPREAD("dbsize", 1, KV_READ, "readonly fast", NO_KEYS, dbsize, KV_SPREAD_SUM),
    ROW("decr", 2, KV_WRITE, "write denyoom fast", ONE, decr),
    ROW("decrby", 3, KV_WRITE, "write denyoom fast", ONE, decrby),
    SPREAD("del", -2, KV_WRITE, "write", ALL, del, KV_SPREAD_SUM),
    SPREAD("exists", -2, KV_READ, "readonly fast", ALL, exists, KV_SPREAD_SUM),
    ROW("expire", -3, KV_WRITE, "write fast", ONE, expire),
    ROW("expireat", -3, KV_WRITE, "write fast", ONE, expireat),
    ROW("expiretime", 2, KV_READ, "readonly fast", ONE, expiretime),
    SPREAD("flushall", -1, KV_WRITE, "write", NO_KEYS, flushall, KV_SPREAD_OK),
    SPREAD("flushdb", -1, KV_WRITE, "write", NO_KEYS, flushall, KV_SPREAD_OK),
    ROW("get", 2, KV_READ, "readonly fast", ONE, get),
    ROW("getbit", 3, KV_READ, "readonly fast", ONE, getbit),
    ROW("getdel", 2, KV_WRITE, "write fast", ONE, getdel),
    ROW("getex", -2, KV_WRITE, "write fast", ONE, getex),
    ROW("getrange", 4, KV_READ, "readonly", ONE, getrange),
    ROW("getset", 3, KV_WRITE, "write denyoom fast", ONE, getset),
    ROW("incr", 2, KV_WRITE, "write denyoom fast", ONE, incr),
    ROW("incrby", 3, KV_WRITE, "write denyoom fast", ONE, incrby),
    ROW("incrbyfloat", 3, KV_WRITE, "write denyoom fast", ONE, incrbyfloat),
    SPREAD("keys", 2, KV_READ, "readonly", NO_KEYS, keys, KV_SPREAD_CONCAT),
    SPREAD("mget", -2, KV_READ, "readonly fast", ALL, mget, KV_SPREAD_GATHER),
    ROW("mset", -3, KV_WRITE, "write denyoom", PAIRS, mset),
    ROW("msetnx", -3, KV_WRITE, "write denyoom", PAIRS, msetnx),
    ROW("persist", 2, KV_WRITE, "write fast", ONE, persist),
    ROW("pexpire", -3, KV_WRITE, "write fast", ONE, pexpire),
    ROW("pexpireat", -3, KV_WRITE, "write fast", ONE, pexpireat),
    ROW("pexpiretime", 2, KV_READ, "readonly fast", ONE, pexpiretime),
    ROW("psetex", 4, KV_WRITE, "write denyoom", ONE, psetex),
    ROW("pttl", 2, KV_READ, "readonly fast", ONE, pttl),
    ROW("rename", 3, KV_WRITE, "write", TWO, rename),
    ROW("renamenx", 3, KV_WRITE, "write fast", TWO, renamenx),
    SPREAD("scan", -2, KV_READ, "readonly", NO_KEYS, scan, KV_SPREAD_WALK),
    ROW("set", -3, KV_WRITE, "write denyoom", ONE, set),
    ROW("setbit", 4, KV_WRITE, "write denyoom", ONE, setbit),
    ROW("setex", 4, KV_WRITE, "write denyoom", ONE, setex),
    ROW("setnx", 3, KV_WRITE, "write denyoom fast", ONE, setnx),
    ROW("setrange", 4, KV_WRITE, "write denyoom", ONE, setrange),
    ROW("strlen", 2, KV_READ, "readonly fast", ONE, strlen),
    ROW("substr", 4, KV_READ, "readonly", ONE, getrange),
    SPREAD("touch", -2, KV_READ, "readonly fast", ALL, exists, KV_SPREAD_SUM),
    ROW("ttl", 2, KV_READ, "readonly fast", ONE, ttl),
    ROW("type", 2, KV_READ, "readonly fast", ONE, type),
    SPREAD("unlink", -2, KV_WRITE, "write fast", ALL, del, KV_SPREAD_SUM),
};
/* clang-format on */

const size_t kv_data_command_count = BASE_COUNT_OF(kv_data_commands);

/* @name in any case against a row's, by its bytes. */
static int
compare_name(struct kv_arg name, const char *row)
{
    size_t i = 0;
    for (; i < name.count && row[i]; i++) {
        uint8_t byte = name.data[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (uint8_t)(byte + ('a' - 'A'));
        if (byte != (uint8_t)row[i])
            return byte < (uint8_t)row[i] ? -1 : 1;
    }
    if (i < name.count)
        return 1;
    return row[i] ? -1 : 0;
}

const struct kv_command *
kv_data_command_find(struct kv_arg name)
{
    size_t low = 0, high = kv_data_command_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_name(name, kv_data_commands[middle].name);
        if (order == 0)
            return &kv_data_commands[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool
kv_command_arity_ok(const struct kv_command *command, uint32_t argc)
{
    if (command->arity < 0)
        return argc >= (uint32_t)-command->arity;
    return argc == (uint32_t)command->arity;
}
