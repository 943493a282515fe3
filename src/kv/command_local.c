/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/local.h"

#define ROW(NAME, ARITY, FLAGS, HANDLER)                                                 \
    {                                                                                    \
        .name = NAME, .arity = ARITY, .kind = KV_LOCAL, .flags = FLAGS, .local = HANDLER \
    }

const struct kv_command kv_local_commands[] = {
    ROW("auth", -2, "noscript loading stale fast no_auth allow_busy", kv_local_auth),
    ROW("client", -2, "noscript loading stale", kv_local_client),
    ROW("command", -1, "loading stale", kv_local_command),
    ROW("config", -2, "admin noscript loading stale", kv_local_config),
    ROW("discard", 1, "noscript loading stale fast allow_busy", kv_local_discard),
    ROW("echo", 2, "loading stale fast", kv_local_echo),
    ROW("exec", 1, "noscript loading stale skip_slowlog", kv_local_exec),
    ROW("hello", -1, "noscript loading stale fast no_auth allow_busy", kv_local_hello),
    ROW("info", -1, "loading stale", kv_local_info),
    ROW("multi", 1, "noscript loading stale fast allow_busy", kv_local_multi),
    ROW("ping", -1, "fast", kv_local_ping),
    ROW("quit", -1, "noscript loading stale fast no_auth allow_busy", kv_local_quit),
    ROW("reset", 1, "noscript loading stale fast no_auth allow_busy", kv_local_reset),
    ROW("select", 2, "loading stale fast", kv_local_select),
    ROW("skein", -2, "admin noscript loading stale", kv_local_skein),
    ROW("time", 1, "loading stale fast", kv_local_time),
};
const size_t kv_local_command_count = BASE_COUNT_OF(kv_local_commands);
