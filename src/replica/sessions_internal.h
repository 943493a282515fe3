/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_SESSIONS_INTERNAL_H
#define REPLICA_SESSIONS_INTERNAL_H

#include "replica/sessions.h"
#include "store/table.h"

/* What the files of the sessions share: sessions.c takes commands, sessions_record.c reads and
 * writes one session's record, sessions_stream.c saves and loads all. */

#define SESSIONS_KEY_BYTES_MAX 17u

/* A sequence that was carried out. */
struct sessions_kept {
    uint64_t sequence;
    bool has_reply;
    struct bytes reply; /* a view in the record */
};

/* One session, decoded. */
struct sessions_record {
    uint64_t expiry_ms, ttl_ms, floor;
    uint32_t count;
    struct sessions_kept kept[SESSIONS_WINDOW + 1];
    struct bytes value; /* what the views lie in */
};

struct sessions {
    struct store_table *table;
    struct sessions_stats stats;
    uint64_t soonest_ms; /* no session's time is over before that */
    /* The command taken last, until its reply is kept. */
    uint64_t taken_id, taken_sequence;
    struct sessions_record record;
    struct wire_writer scratch;
};

/* sessions_record_decode - views in @value. -SKEIN_ECORRUPT: no record. */
int sessions_record_decode(struct bytes value, struct sessions_record *out_record) SKEIN_MUST_CHECK;
void sessions_record_encode(struct wire_writer *out, const struct sessions_record *record);
uint64_t sessions_record_reply_bytes(const struct sessions_record *record);
/* sessions_record_find - the one with @sequence, or NULL. */
const struct sessions_kept *sessions_record_find(const struct sessions_record *record,
                                                 uint64_t sequence);
/* sessions_record_add - put @kept in its place; what exceeds window or bytes goes, the lowest
 * sequences first. */
void sessions_record_add(struct sessions_record *record, const struct sessions_kept *kept);

#endif
