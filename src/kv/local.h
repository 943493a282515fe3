/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_LOCAL_H
#define KV_LOCAL_H

#include <stdarg.h>

#include "kv/command.h"
#include "kv/conn.h"
#include "kv/face.h"

/*
 * The commands that the face answers itself, on the node the client is connected to.
 *
 *   local_session.c   PING ECHO TIME HELLO AUTH SELECT RESET QUIT
 *   conn_multi.c      MULTI EXEC DISCARD
 *   local_client.c    CLIENT ...
 *   local_command.c   COMMAND ...
 *   local_config.c    CONFIG GET
 *   local_info.c      INFO
 *   local_skein.c     SKEIN ...
 *
 * Each handler appends exactly one reply to @local->out and does not suspend.
 */

struct kv_local {
    struct kv_face *face;
    struct kv_conn *conn;
    struct wire_writer *out;
};

/* The Redis release whose replies are followed; clients choose features by it. */
#define KV_REDIS_VERSION "7.0.15"

void kv_local_ping(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_echo(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_hello(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_auth(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_select(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_quit(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_client(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_command(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_config(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_info(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_time(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_reset(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_multi(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_exec(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_discard(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);
void kv_local_skein(struct kv_local *local, const struct kv_arg *argv, uint32_t argc);

/* What the handlers share (local_session.c). */
/* kv_local_is - whether @arg is @word, in any case. */
bool kv_local_is(const struct kv_arg *arg, const char *word);
/* kv_local_name_ok - a name without spaces, newlines and special characters, short enough. */
bool kv_local_name_ok(const struct kv_arg *arg);
/* kv_local_set_name - copy a name that is ok. */
void kv_local_set_name(char out[KV_CONN_NAME_BYTES_MAX + 1], const struct kv_arg *arg);
/* "ERR unknown subcommand 'x'. Try Y HELP.", and "ERR wrong number of arguments for 'y|x' command".
 */
void kv_local_unknown_subcommand(struct kv_local *local, const struct kv_arg *arg,
                                 const char *command);
void kv_local_wrong_arity(struct kv_local *local, const char *command, const char *subcommand);
/* kv_local_help - an array of lines. */
void kv_local_help(struct kv_local *local, const char *const *lines, size_t count);
/* kv_local_progress_name - of a peer's progress (local_skein.c). */
const char *kv_local_progress_name(enum raft_progress_state state);
/* kv_local_printf - append formatted text, at most 1 KiB, to a text under construction. */
void kv_local_printf(struct wire_writer *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
