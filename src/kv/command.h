/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_COMMAND_H
#define KV_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wire.h"
#include "kv/batch.h"

/*
 * The command table: every command the store knows, one row each.
 *
 * LOCAL commands are answered by the face (kv/face, on the node the client is connected to), READ
 * and WRITE by the machine (kv/machine, everywhere the same). COMMAND is answered from this table.
 */

enum kv_command_kind { KV_LOCAL, KV_READ, KV_WRITE };

/* What becomes of a command whose keys are in several groups, or which is for all of them
 * (kv/conn_spread.c): its parts, one a group, are carried out beside each other, and the replies
 * made one. */
enum kv_spread {
    KV_SPREAD_REFUSED, /* it is one write, or none: CROSSSLOT */
    KV_SPREAD_SUM,     /* a number of each part */
    KV_SPREAD_GATHER,  /* an array with an element a key, in their order */
    KV_SPREAD_CONCAT,  /* an array of each part */
    KV_SPREAD_OK,      /* OK of each part */
    KV_SPREAD_WALK     /* a cursor: one group after the other */
};

struct kv_exec;  /* machine side: state, log time, reply (kv/exec.h) */
struct kv_local; /* face side: connection (kv/local.h) */

struct kv_command {
    const char *name; /* lower case */
    int arity;        /* as Redis: n exactly, -n at least; the name counts */
    enum kv_command_kind kind;
    const char *flags; /* Redis' flags for COMMAND, separated by a space: "write denyoom fast" */
    int first_key, last_key, key_step;
    enum kv_spread spread;
    void (*exec)(struct kv_exec *exec, const struct kv_arg *argv,
                 uint32_t argc); /* READ and WRITE */
    void (*local)(struct kv_local *local, const struct kv_arg *argv, uint32_t argc); /* LOCAL */
};

/* The two halves of the table, each in alphabetical order. */
extern const struct kv_command kv_data_commands[]; /* READ and WRITE: kv/command_data.c */
extern const size_t kv_data_command_count;
extern const struct kv_command kv_local_commands[]; /* LOCAL: kv/command_local.c */
extern const size_t kv_local_command_count;

/* kv_command_find - by name, any case; NULL: unknown. The machine's rows (kv/command_data.c) and
 * the face's (kv/command_local.c). */
const struct kv_command *kv_command_find(struct kv_arg name);
/* kv_command_at - the table in alphabetical order; NULL behind its end. */
const struct kv_command *kv_command_at(size_t index);
bool kv_command_arity_ok(const struct kv_command *command, uint32_t argc);

/* Keys of several groups in what is carried out in one; Redis' words. */
#define KV_REPLY_CROSSSLOT "CROSSSLOT Keys in request don't hash to the same slot"

/* RESP2 replies, appended to @out. */
void kv_reply_simple(struct wire_writer *out, const char *text); /* +text */
void kv_reply_error(struct wire_writer *out, const char *text); /* -text; CR and LF become spaces */
void kv_reply_errorf(struct wire_writer *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kv_reply_integer(struct wire_writer *out, int64_t value);               /* :value */
void kv_reply_bulk(struct wire_writer *out, const void *data, size_t count); /* $count data */
void kv_reply_null(struct wire_writer *out);                                 /* $-1 */
void kv_reply_array(struct wire_writer *out, uint64_t count); /* *count, elements follow */
/* "ERR unknown command 'x', with args beginning with: ..." and "ERR wrong number of arguments for
 * 'x' command", as Redis 7. */
void kv_reply_unknown_command(struct wire_writer *out, const struct kv_arg *argv, uint32_t argc);
void kv_reply_wrong_arity(struct wire_writer *out, const struct kv_command *command);
/* kv_reply_too_large - the error that stands for a reply above @limits. */
void kv_reply_too_large(struct wire_writer *out, const struct kv_limits *limits);

#endif
