/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_EXEC_H
#define KV_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "kv/command.h"
#include "kv/keyspace.h"
#include "kv/machine.h"

/*
 * What a command of the machine works on while it is carried out: the keys, the limits, the reply.
 *
 * **Replies.** Where nobody waits, out is NULL and every kv_exec_* reply below does nothing. A
 * command whose reply would pass reply_bytes_max sets too_large, and the machine puts an error in
 * its place. Whether a *write* takes place may not hang on a reply that only some members build:
 * those that return a value ask kv_exec_return_fits first, which counts alike on every member,
 * against a budget of its own. So a batch's reply is at most twice reply_bytes_max, and a few bytes
 * for each command.
 */

struct kv_exec {
    struct keyspace *keys;
    const struct kv_limits *limits;
    struct wire_writer *out; /* NULL: nobody waits */
    size_t out_bytes_max;    /* out->count stays below */
    uint64_t returned_bytes; /* by the writes of this batch */
    bool too_large;
    const struct kv_command *command;
};

void kv_exec_simple(struct kv_exec *exec, const char *text);
void kv_exec_ok(struct kv_exec *exec);
void kv_exec_error(struct kv_exec *exec, const char *text);
void kv_exec_integer(struct kv_exec *exec, int64_t value);
void kv_exec_bulk(struct kv_exec *exec, const void *data, size_t count);
void kv_exec_null(struct kv_exec *exec);
void kv_exec_array(struct kv_exec *exec, uint64_t count);
/* kv_exec_room - bytes that may still be added to the reply. */
size_t kv_exec_room(const struct kv_exec *exec);
/* kv_exec_reply_too_large - the error that stands for a reply. */
void kv_exec_reply_too_large(struct kv_exec *exec);
/* kv_exec_return_fits - may this write return @count bytes? false: the error has been replied;
 * change nothing. */
bool kv_exec_return_fits(struct kv_exec *exec, size_t count);

/* kv_exec_sizes_ok - the limits on what is written; false: the error has been replied. */
bool kv_exec_sizes_ok(struct kv_exec *exec, struct kv_arg key, uint64_t value_bytes);
/* kv_exec_is - the option's name, any case. @name: lower case. */
bool kv_exec_is(struct kv_arg arg, const char *name);
/* kv_exec_parse_integer - Redis' strict form: no plus, no leading zeros or spaces, no "-0". */
bool kv_exec_parse_integer(struct kv_arg arg, int64_t *out_value);
/* kv_exec_integer_arg - the same; false: "ERR value is not an integer or out of range" has been
 * replied. */
bool kv_exec_integer_arg(struct kv_exec *exec, struct kv_arg arg, int64_t *out_value);
void kv_exec_syntax_error(struct kv_exec *exec);
void kv_exec_invalid_expire(struct kv_exec *exec);

/* Where an expiry comes from: EX, PX, EXAT, PXAT. */
struct kv_expiry_arg {
    bool given;
    bool in_seconds;
    bool is_absolute;
    struct kv_arg amount;
};
/* kv_exec_expiry - the expiry of SET and its like, which must be positive; false: the error has
 * been replied. */
bool kv_exec_expiry(struct kv_exec *exec, const struct kv_expiry_arg *arg, int64_t *out_expiry_ms);
/* kv_exec_is_past - at or before log time: the key is gone at once. */
bool kv_exec_is_past(const struct kv_exec *exec, int64_t expiry_ms);

/* The commands: kv/exec_string.c, exec_set.c, exec_bit.c, exec_float.c, exec_key.c, exec_expire.c,
 * exec_scan.c. */
#define KV_EXEC_COMMAND(name) \
    void kv_exec_cmd_##name(struct kv_exec *exec, const struct kv_arg *argv, uint32_t argc)
KV_EXEC_COMMAND(append);
KV_EXEC_COMMAND(bitcount);
KV_EXEC_COMMAND(copy);
KV_EXEC_COMMAND(dbsize);
KV_EXEC_COMMAND(decr);
KV_EXEC_COMMAND(decrby);
KV_EXEC_COMMAND(del);
KV_EXEC_COMMAND(exists);
KV_EXEC_COMMAND(expire);
KV_EXEC_COMMAND(expireat);
KV_EXEC_COMMAND(expiretime);
KV_EXEC_COMMAND(flushall);
KV_EXEC_COMMAND(get);
KV_EXEC_COMMAND(getbit);
KV_EXEC_COMMAND(getdel);
KV_EXEC_COMMAND(getex);
KV_EXEC_COMMAND(getrange);
KV_EXEC_COMMAND(getset);
KV_EXEC_COMMAND(incr);
KV_EXEC_COMMAND(incrby);
KV_EXEC_COMMAND(incrbyfloat);
KV_EXEC_COMMAND(keys);
KV_EXEC_COMMAND(mget);
KV_EXEC_COMMAND(mset);
KV_EXEC_COMMAND(msetnx);
KV_EXEC_COMMAND(persist);
KV_EXEC_COMMAND(pexpire);
KV_EXEC_COMMAND(pexpireat);
KV_EXEC_COMMAND(pexpiretime);
KV_EXEC_COMMAND(psetex);
KV_EXEC_COMMAND(pttl);
KV_EXEC_COMMAND(rename);
KV_EXEC_COMMAND(renamenx);
KV_EXEC_COMMAND(scan);
KV_EXEC_COMMAND(set);
KV_EXEC_COMMAND(setbit);
KV_EXEC_COMMAND(setex);
KV_EXEC_COMMAND(setnx);
KV_EXEC_COMMAND(setrange);
KV_EXEC_COMMAND(strlen);
KV_EXEC_COMMAND(ttl);
KV_EXEC_COMMAND(type);
#undef KV_EXEC_COMMAND

/* kv_data_command_find - among the machine's own rows (kv/command_data.c), any case; NULL: none of
 * them. */
const struct kv_command *kv_data_command_find(struct kv_arg name);

#endif
