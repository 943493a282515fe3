/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_SESSIONS_H
#define REPLICA_SESSIONS_H

#include "base/bytes.h"
#include "base/wire.h"
#include "replica/machine.h"

/*
 * Exactly-once sessions (docs/design/0018-sessions-and-reads.md; Raft thesis section 6.3): a part
 * of the replicated state beside the user's machine, the same on every member at every index.
 *
 *   open (id, ttl) ----> a session, in the log
 *   write (id, sequence, command):
 *       sequence never seen ---------------------> carried out, its reply kept
 *       seen, its reply kept --------------------> that reply, nothing is carried out
 *       seen or passed over, no reply kept ------> -SKEIN_EREPEATED
 *       no such session, or its time is over ----> -SKEIN_ESESSION
 *
 * Of a session the newest SESSIONS_WINDOW sequences are remembered, in whatever order they came;
 * what is below them counts as seen. So a client has at most so many commands under way in one
 * session. A reply that does not fit its session's or everybody's room is not kept, that it was
 * carried out is.
 *
 * A session's time is log time: it ends when nobody used it for its ttl (it lives on for up to an
 * eighth of that, so that not every use moves it). Members see the same log time at the same index,
 * and so drop the same sessions at the same entry.
 *
 * The table, in store/table.h's order, so that a snapshot costs O(1):
 *
 *   's' id                -> u64 expiry | u64 ttl | u64 floor | u32 count | count x kept
 *   'x' expiry id (big-endian, log time in ms)  -> empty
 *   kept: u64 sequence, ascending, above the floor | u32 bytes (UINT32_MAX: not kept) | reply
 */

#define SESSIONS_WINDOW 32u
#define SESSIONS_COUNT_MAX 16384u
#define SESSIONS_REPLY_BYTES_MAX ((uint64_t)64 << 10)     /* of one session */
#define SESSIONS_REPLY_BYTES_ALL_MAX ((uint64_t)64 << 20) /* of all */
#define SESSIONS_TTL_MS_MIN 1000u
#define SESSIONS_TTL_MS_MAX (7u * 24 * 3600 * 1000)
/* When there are SESSIONS_COUNT_MAX, one that was not used for so long makes room for another. */
#define SESSIONS_IDLE_MS 60000u

/* The sequences that are no write. */
#define SESSIONS_OPEN UINT64_C(0)
#define SESSIONS_CLOSE UINT64_MAX

/* A command in a session, as the log holds it: u64 id | u64 sequence | the machine's command. To
 * open: sequence SESSIONS_OPEN, and u64 ttl in ms; to close: SESSIONS_CLOSE, and nothing. */
#define SESSIONS_HEAD_BYTES 16u
struct bytes sessions_encode(uint64_t id, uint64_t sequence, const void *command, size_t count);

struct sessions;
int sessions_open(struct sessions **out_sessions) SKEIN_MUST_CHECK;
/* sessions_close - @sessions may be NULL. */
void sessions_close(struct sessions *sessions);

/*
 * sessions_take - what becomes of @data, a committed command in a session, at @time_ms of the log.
 * @out_command: a view in @data. @out_kept: **Ownership**: bytes_unref.
 * **Returns** 1: carry @out_command out and give its reply to sessions_keep; 0: done, @out_kept is
 * the reply; -SKEIN_ESESSION; -SKEIN_EREPEATED; -SKEIN_EBUSY: no room for another session;
 * -SKEIN_EINVALID: bytes that are no such command, or a ttl out of range. Only 1 changes the
 * machine.
 */
int sessions_take(struct sessions *sessions, struct bytes data, uint64_t time_ms,
                  struct bytes *out_command, struct bytes *out_kept) SKEIN_MUST_CHECK;
/* sessions_keep - the reply of the command that was taken last. */
void sessions_keep(struct sessions *sessions, const void *reply, size_t count);

struct sessions_stats {
    uint64_t count;
    uint64_t reply_bytes;
    uint64_t opened, expired, repeated; /* by this process */
};
void sessions_stats(const struct sessions *sessions, struct sessions_stats *out_stats);
/* sessions_checksum - over all of them, in order, for the simulator's oracles. */
uint32_t sessions_checksum(struct sessions *sessions);

/*
 * sessions_save, sessions_load - the sessions and then the machine's own bytes, as one stream; both
 * are captured at the call. **Returns** as the machine's callbacks; -SKEIN_EFORMAT: the stream does
 * not begin with sessions. After a failed load neither may be used.
 */
int sessions_save(struct sessions *sessions, const struct replica_machine_ops *ops, void *machine,
                  struct replica_sink *sink) SKEIN_MUST_CHECK;
int sessions_load(struct sessions *sessions, const struct replica_machine_ops *ops, void *machine,
                  struct replica_source *source) SKEIN_MUST_CHECK;

#endif
