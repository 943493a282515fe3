/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_FACE_H
#define KV_FACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/wire.h"
#include "core/backend.h"
#include "skein/fiber.h"
#include "kv/batch.h"
#include "kv/face_metrics.h"
#include "kv/route.h"
#include "replica/replica.h"
#include "skein/net.h"

/*
 * The face: the RESP2 port of a node.
 *
 *   listener fiber --accept--> connection fibers (kv/conn.h), each in a scope of its own
 *                                   | done
 *                                   v
 *                              reaper fiber: joins the scope, frees the connection
 *
 * Stop has two phases: first no connection is accepted any more, those that wait for a command are
 * closed and the others finish the batch they are in; at the deadline the rest is cancelled.
 *
 * Limits: client_count_max connections; query_bytes_max bytes of one unparsed command;
 * KV_FACE_QUERY_COMMANDS_MAX times that for all connections together; KV_FACE_REPLY_BYTES_MAX bytes
 * of replies being sent to slow readers, above which commands are refused (BUSY, not applied).
 */

#define KV_FACE_QUERY_COMMANDS_MAX 16
#define KV_FACE_REPLY_BYTES_MAX ((uint64_t)512 << 20)

struct kv_face_options {
    struct replica *replica; /* borrowed */
    /* 0, 1: all keys are @replica's; up to KV_GROUPS_MAX: they belong to so many groups of its
     * process, by their slots. */
    uint32_t group_count;
    struct skein_addr listen; /* port 0 picks a free one */
    struct kv_limits limits;  /* written into every batch of this node; kv_limits_ok */
    uint64_t command_timeout_ns;
    uint64_t send_timeout_ns; /* a client that does not read its replies for so long is closed */
    uint32_t client_count_max;
    uint64_t query_bytes_max;
    bool advertised;      /* SKEIN LEADER names the leader: every key is its group's */
    bool allow_plaintext; /* peers that are not on loopback may be added */
};

struct kv_face_stats {
    uint64_t connections, rejected;   /* accepted; refused by client_count_max */
    uint64_t commands;                /* of every kind */
    uint64_t batches, failed_batches; /* submitted; answered by an error of the replica */
    uint64_t protocol_errors;
    uint64_t input_bytes, output_bytes;
    uint64_t commands_last_second; /* in the last full second in which any came */
};

struct kv_face {
    struct kv_face_options options;
    struct kv_face_stats stats;
    struct kv_face_metrics metrics;
    struct skein_scope scope; /* listener and reaper */
    struct skein_list conns;  /* struct kv_conn, oldest first */
    struct skein_list done;   /* to be joined and freed */
    struct skein_waitq reaper_q;
    struct skein_waitq empty_q;
    uint32_t conn_count;
    uint64_t next_id;
    uint64_t opened_ns;
    uint32_t snapshot_count; /* being sent */
    uint64_t query_bytes;    /* held by all receive buffers */
    uint64_t reply_bytes;    /* of all replies being sent */
    uint64_t second, second_commands;
    struct skein_acceptor acceptor; /* without a limit: who is too many is told so */
    struct skein_addr addr;
    bool stopping;
    bool reaper_ends;
    char run_id[41];
    uint32_t group_count;
    /* A batch under construction for each group. Connections share them: none suspends while they
     * hold anything. */
    struct wire_writer batches[KV_GROUPS_MAX];
};

/* kv_face_open - listen and begin to serve. @out_why: one line on failure.
 * **Returns** 0, or as net_listen and skein_spawn. **Runs on** a fiber, suspends. */
int kv_face_open(struct kv_face **out_face, const struct kv_face_options *options,
                 char out_why[512]) SKEIN_MUST_CHECK;
/* kv_face_stop_accepting - the first phase. Does not suspend; twice does nothing. */
void kv_face_stop_accepting(struct kv_face *face);
/* kv_face_stop - both phases, then free. **Runs on** a fiber, suspends, also a cancelled one. */
void kv_face_stop(struct kv_face *face, uint64_t deadline_ns);
/* kv_face_group - the replica of @group, below face->group_count. */
struct replica *kv_face_group(const struct kv_face *face, uint32_t group);
/* kv_face_count_command - statistics, at @now_ns. */
void kv_face_count_command(struct kv_face *face, uint64_t now_ns);
/* kv_face_commands_per_second - of the last full second. */
uint64_t kv_face_commands_per_second(const struct kv_face *face, uint64_t now_ns);

#endif
