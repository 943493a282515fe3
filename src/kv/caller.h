/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_CALLER_H
#define KV_CALLER_H

#include "kv/client.h"
#include "replica/replica.h"

/*
 * A client of the whole cluster: it goes from node to node until a command is answered or its
 * deadline passes, and no write is ever carried out twice (docs/design/0018-sessions-and-reads.md).
 *
 *   command --> connected? --no--> the next node of the list
 *                   | yes
 *                   v
 *           a write: in a session (SKEIN ONCE), a sequence of its own, the same in every attempt
 *           a read: as it is
 *                   |
 *     reply, or an error that is final --> the caller
 *     an error of the node's and not the command's, connection lost --> the next node, after a
 * pause
 *
 * The session is opened with the first write, and again when it expired between two writes.
 */

#define KV_CALLER_NODES_MAX 32u

struct kv_caller;

/* kv_caller_open - @addrs: 1 to KV_CALLER_NODES_MAX, copied; tried in this order. Connects to none
 * yet. @session_ttl_ms: how long, without a write, the session lives; longer than any deadline. */
void kv_caller_open(struct kv_caller **out_caller, const struct skein_addr *addrs, uint32_t count,
                    uint64_t session_ttl_ms);

/* kv_caller_read_level - reads are at @level from now on. @stale_ms: for REPLICA_STALE. Before the
 * first call; a node that refuses the level answers the read by its error. */
void kv_caller_read_level(struct kv_caller *caller, enum replica_level level, uint64_t stale_ms);

/*
 * kv_caller_call - carry out one command; what it is (a read, a write) comes from the command
 * table. Other commands (PING, INFO) go to one node, once.
 * @out_reply: **Ownership**: kv_reply_deinit. May be an error that is none of the above.
 * **Returns** 0; -SKEIN_EUNKNOWN: the deadline passed, and the write may have been or may yet be
 * carried out; -SKEIN_ENOLEADER: it passed, and nothing was or will be carried out;
 * -SKEIN_EREPEATED: the write was carried out, but its reply is lost; -SKEIN_ECANCELED (of a write:
 * outcome unknown); -SKEIN_EPROTO: a node does not speak as one; -ECONNREFUSED: nobody listens at
 * any of the addresses, and never has for this caller. kv_caller_why says more.
 * **Runs on** a fiber, suspends.
 */
int kv_caller_call(struct kv_caller *caller, const struct kv_arg *argv, uint32_t argc,
                   uint64_t deadline_ns, struct kv_reply *out_reply) SKEIN_MUST_CHECK;
/* kv_caller_why - of the last failed attempt, one line: "127.0.0.1:7001: connection refused". */
const char *kv_caller_why(const struct kv_caller *caller);
/* kv_caller_attempts - so far, of all commands. */
uint64_t kv_caller_attempts(const struct kv_caller *caller);

/* kv_caller_close - end the session, if that can be done before @deadline_ns (else it expires).
 * NULL: nothing. Suspends. */
void kv_caller_close(struct kv_caller *caller, uint64_t deadline_ns);

#endif
