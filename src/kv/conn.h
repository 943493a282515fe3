/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_CONN_H
#define KV_CONN_H

#include "base/bytes.h"
#include "kv/command.h"
#include "kv/face.h"
#include "kv/resp.h"

/*
 * One client connection, one fiber.
 *
 *   recv --> parse all complete commands --> batches and local answers, in order --> one send -->
 * recv
 *
 * Consecutive READ and WRITE commands become a turn: one kv_batch for each group that they are for
 * (kv/route.h), up to KV_CONN_BATCH_BYTES a batch or KV_CONN_BATCH_COMMANDS together. With no WRITE
 * in it a batch is submitted as REPLICA_READ, otherwise as REPLICA_WRITE: reads inside a mixed
 * batch go through the log with it and keep their place. The batches of a turn are carried out
 * beside each other; their replies are sent in the commands' order. LOCAL commands, and commands
 * for several groups (conn_spread.c), are answered between turns.
 *
 * A client that does not read its replies is not read from: while they are being sent no further
 * command is looked at, and after send_timeout_ns the connection is closed.
 *
 * When the replica does not carry out a batch each of its commands is answered by one of
 *
 *   NOLEADER    no leader in time                         not applied
 *   UNKNOWN     outcome of a write not known              may have been or yet be applied
 *   BUSY        overloaded                                not applied
 *   ERR         too large, or an error with its name      not applied
 *   DISKFAILED  this node's disk failed                   not applied
 *   STALE       a stale read: the state may be older       not applied
 *   STOPPING    this node is shutting down                not applied
 *   NOSESSION   SKEIN ONCE: no such session, or expired   not by this copy; of earlier ones unknown
 *   REPEATED    SKEIN ONCE: its reply is not kept         by an earlier copy, or passed over
 *
 * A read is never UNKNOWN; when a batch's outcome is not known its reads answer NOLEADER.
 *
 * Memory of an idle connection: buffers above KV_CONN_IDLE_BYTES are given back after a second.
 */

#define KV_CONN_BATCH_BYTES ((size_t)1 << 20)
#define KV_CONN_BATCH_COMMANDS 1024u
#define KV_CONN_IDLE_BYTES ((size_t)16 << 10)
#define KV_CONN_NAME_BYTES_MAX 128

/*
 * A transaction: between MULTI and EXEC the commands are kept as a batch, which EXEC submits as
 * one. So it is one entry of the log, and all of it is carried out, or nothing, with nothing in
 * between. A command that cannot be kept (unknown, LOCAL, too much, for another group than those
 * before it) spoils it, and EXEC refuses.
 * Its bytes count as query_bytes of the face.
 */
#define KV_CONN_MULTI_COMMANDS 65536u
struct kv_conn_multi {
    bool open, spoilt;
    bool write; /* there is a WRITE among the commands */
    uint32_t count;
    uint32_t group; /* of all of them */
    struct wire_writer batch;
};

struct kv_conn {
    struct skein_list link; /* face->conns, then face->done */
    struct skein_scope scope;
    struct kv_face *face;
    uint64_t id;
    uint64_t opened_ns, active_ns;
    uint64_t commands;
    const struct kv_command *last; /* the newest one that is known; NULL: none */
    struct skein_addr peer;
    int handle;
    bool receiving;           /* waits for a command: may be cancelled without harm */
    bool closing;             /* close when the replies are sent */
    enum replica_level level; /* of its reads: SKEIN READ */
    uint64_t stale_ns;
    struct kv_conn_multi multi;
    char name[KV_CONN_NAME_BYTES_MAX + 1];
    char lib_name[KV_CONN_NAME_BYTES_MAX + 1];
    char lib_version[KV_CONN_NAME_BYTES_MAX + 1];

    struct kv_resp parser;
    uint8_t *in;
    size_t in_begin, in_end, in_capacity;
    /* Replies to be sent: one reply of the replica as it came, or several joined in `out`. */
    struct bytes reply;
    struct bytes_buf *command; /* kept for the next one */
    struct wire_writer out;
};

/* kv_conn_submit - a batch to @group's replica, within the command's time (conn.c). Suspends.
 * Returns as replica_submit and replica_read. */
int kv_conn_submit(struct kv_conn *conn, uint32_t group, bool write, struct bytes command,
                   struct bytes *out_reply) SKEIN_MUST_CHECK;

/* kv_conn_open - a connection on @handle, with its fiber. **Ownership**: takes @handle on success.
 * **Returns** as skein_spawn. */
int kv_conn_open(struct kv_face *face, int handle, const struct skein_addr *peer) SKEIN_MUST_CHECK;

/* What is known of the batches under construction in face->batches. */
struct kv_turn {
    uint32_t count;                              /* commands */
    kv_groups groups, writes;                    /* with commands; with a WRITE among them */
    uint64_t reads[KV_CONN_BATCH_COMMANDS / 64]; /* bit: this command is a READ */
    uint8_t group_of[KV_CONN_BATCH_COMMANDS];    /* unset when the face has one group */
};

/* kv_conn_submit_turn - submit the batches of @turn to their groups and put the replies, in the
 * commands' order, into the buffer (conn_groups.c); empties face->batches. @turn->groups has more
 * than one. Suspends. Negative: the connection is broken. */
int kv_conn_submit_turn(struct kv_conn *conn, const struct kv_turn *turn) SKEIN_MUST_CHECK;
/* kv_conn_take_batch - what face->batches[@group] holds, which is empty then, in @buf, which has as
 * many bytes. NULL: it is thrown away. **Ownership**: @buf's goes to the result: bytes_unref. */
struct bytes kv_conn_take_batch(struct kv_face *face, uint32_t group, struct bytes_buf *buf);

/*
 * kv_conn_spread - carry out a command whose keys are in several groups, or which is for all, a
 * part in each, and append one reply. @session: 0, or a write's, with @sequence. Suspends.
 */
void kv_conn_spread(struct kv_conn *conn, uint64_t session, uint64_t sequence,
                    const struct kv_command *command, const struct kv_arg *argv, uint32_t argc);

/* kv_conn_error - the reply to one command that replica_submit answered with @rc (conn_error.c).
 * @read: the command is a READ; @timeout_ns: how long was waited. */
void kv_conn_error(struct wire_writer *out, int rc, bool read, uint64_t timeout_ns);

/* SKEIN SNAPSHOT (conn_snapshot.c): the one command whose reply, a bulk string as long as the
 * state, is streamed. */
bool kv_conn_is_snapshot(const struct kv_arg *argv, uint32_t argc);
/* kv_conn_send_snapshot - everything this node has applied, as a checkpoint file, or an error
 * reply. Suspends. Negative: the connection is broken. */
int kv_conn_send_snapshot(struct kv_conn *conn) SKEIN_MUST_CHECK;

/*
 * Sessions (conn_session.c; docs/design/0018-sessions-and-reads.md):
 *
 *   SKEIN SESSION OPEN [milliseconds]           -> 16 hexadecimal digits
 *   SKEIN SESSION CLOSE <session>               -> OK
 *   SKEIN ONCE <session> <sequence> <command> [<arg> ...]   -> the command's reply, the same to
 *                                                  each copy
 */
bool kv_conn_is_session(const struct kv_arg *argv, uint32_t argc);
/* kv_conn_session - one reply into the buffer. Suspends. */
void kv_conn_session(struct kv_conn *conn, const struct kv_arg *argv, uint32_t argc);

/* The buffers (conn_buffer.c). */
/* Transactions (conn_multi.c). kv_conn_multi_queue - take a command of an open transaction, and
 * reply; false: there is none open, or the command is carried out at once. An EXEC that is wrong
 * ends the transaction. @command: NULL: unknown. */
bool kv_conn_multi_queue(struct kv_conn *conn, const struct kv_command *command, bool arity_ok,
                         const struct kv_arg *argv, uint32_t argc);
/* kv_conn_is_exec - EXEC of a transaction with commands, for kv_conn_exec. */
bool kv_conn_is_exec(const struct kv_conn *conn, const struct kv_command *command);
/* kv_conn_exec - one reply into the buffer. Suspends. */
void kv_conn_exec(struct kv_conn *conn);
/* kv_conn_multi_reset - no transaction. */
void kv_conn_multi_reset(struct kv_conn *conn);

/* conn_buffer_room - room for at least one byte behind in_end. -SKEIN_ENOMEM: the limit of all
 * connections together is reached. */
int conn_buffer_room(struct kv_conn *conn) SKEIN_MUST_CHECK;
/* conn_buffer_is_big - whether an idle connection should give memory back; conn_buffer_shrink does.
 */
bool conn_buffer_is_big(const struct kv_conn *conn);
void conn_buffer_shrink(struct kv_conn *conn);
void conn_buffer_deinit(struct kv_conn *conn);
/* conn_buffer_out - where replies are appended; what came before is joined first. */
struct wire_writer *conn_buffer_out(struct kv_conn *conn);
/* conn_buffer_reply - append a reply of the replica. **Ownership**: takes @reply. */
void conn_buffer_reply(struct kv_conn *conn, struct bytes reply);
size_t conn_buffer_pending(const struct kv_conn *conn);
/* conn_buffer_command - a buffer of at least @bytes for commands on their way to the replica, with
 * one reference: the one that conn_buffer_command_done kept, when it fits. NULL: no memory. */
struct bytes_buf *conn_buffer_command(struct kv_conn *conn, size_t bytes) SKEIN_MUST_CHECK;
/* conn_buffer_command_done - as bytes_unref; a small buffer that nobody else has is kept. */
void conn_buffer_command_done(struct kv_conn *conn, struct bytes *command);
/* conn_buffer_send - send what is pending. Suspends. */
int conn_buffer_send(struct kv_conn *conn, uint64_t deadline_ns) SKEIN_MUST_CHECK;

#endif
