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
    ROW("echo", 2, "loading stale fast", kv_local_echo),
    ROW("hello", -1, "noscript loading stale fast no_auth allow_busy", kv_local_hello),
    ROW("info", -1, "loading stale", kv_local_info),
    ROW("ping", -1, "fast", kv_local_ping),
    ROW("quit", -1, "noscript loading stale fast no_auth allow_busy", kv_local_quit),
    ROW("select", 2, "loading stale fast", kv_local_select),
    ROW("skein", -2, "admin noscript loading stale", kv_local_skein),
};
const size_t kv_local_command_count = BASE_COUNT_OF(kv_local_commands);
