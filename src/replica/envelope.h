/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_ENVELOPE_H
#define REPLICA_ENVELOPE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/wire.h"
#include "core/backend.h"
#include "disk/checkpoint.h"
#include "raft/raft.h"

/*
 * What two replicas say to each other over a link: the bytes of each kind
 * (docs/design/0003-peer-protocol.md). The first byte is the kind. Decoders take any bytes and
 * never read past their end; views they give lie in the message's buffer and have no reference of
 * their own.
 */

enum envelope_kind {
    ENVELOPE_RAFT = 1,
    ENVELOPE_FORWARD,
    ENVELOPE_FORWARD_REPLY,
    ENVELOPE_SNAP_CHUNK,
    ENVELOPE_SNAP_ACK,
    ENVELOPE_GENESIS,
    ENVELOPE_BEAT,      /* nothing but: I am here; when all groups sleep */
    ENVELOPE_RECOVERED, /* to those who were left behind (replica/former.h) */
    ENVELOPE_CARD,      /* replica/card.h */
    ENVELOPE_WISH       /* replica/wish.h */
};

/*
 * What the cores of any groups say to one node's, together: u8 kind | 16 cluster | to the end:
 * u32 group | u32 bytes | a message of raft/codec.h
 */
#define ENVELOPE_RAFT_HEADER_BYTES 17u
#define ENVELOPE_RAFT_ITEM_HEADER_BYTES 8u
#define ENVELOPE_RAFT_FIRST_BYTES (ENVELOPE_RAFT_HEADER_BYTES + ENVELOPE_RAFT_ITEM_HEADER_BYTES)
/* Messages are put together up to here; a larger one goes alone. */
#define ENVELOPE_RAFT_BYTES_MAX (1u << 20)

struct envelope_rafts {
    uint8_t cluster[16];
    struct bytes frame;
    struct wire_reader in;
};
void envelope_begin_raft(struct wire_writer *out, const uint8_t cluster[16]);
void envelope_add_raft(struct wire_writer *out, uint32_t group, const struct raft_message *message);
/* envelope_open_raft - -SKEIN_EPROTO: too short. */
int envelope_open_raft(struct envelope_rafts *items, struct bytes frame) SKEIN_MUST_CHECK;
/* envelope_next_raft - @out_message: a view. 0; -SKEIN_ENOTFOUND at the end; -SKEIN_EPROTO. */
int envelope_next_raft(struct envelope_rafts *items, uint32_t *out_group,
                       struct bytes *out_message) SKEIN_MUST_CHECK;

/* u8 kind | u64 session | u64 token | u32 count | count x item */
#define ENVELOPE_FORWARD_HEADER_BYTES 21u
/* Requests (or replies) are put into one message up to here; a larger one goes alone. */
#define ENVELOPE_FORWARD_BYTES_MAX (1u << 20)

/* A request handed to the leader: u32 group | u64 id | u8 kind | u64 ns left | u32 bytes | command.
 */
enum envelope_request {
    ENVELOPE_WRITE,
    ENVELOPE_READ,
    ENVELOPE_SESSION_WRITE, /* replica/sessions.h */
    ENVELOPE_LEASE_READ,
    ENVELOPE_REQUEST_END
};
struct envelope_forward {
    uint32_t group;
    uint64_t id;
    enum envelope_request kind;
    uint64_t left_ns;
    struct bytes command;
};

/* What became of it. */
enum envelope_outcome {
    ENVELOPE_DONE,       /* carried out; reply */
    ENVELOPE_NOT_LEADER, /* not applied, never will be: may be handed on again */
    ENVELOPE_LOST,       /* proposed, but another entry took its place: not applied */
    ENVELOPE_UNKNOWN,    /* may have been or may yet be applied */
    ENVELOPE_BUSY,       /* not applied: this leader's requests take all the room they may */
    ENVELOPE_TOO_BIG,    /* a read's reply does not fit into a message */
    ENVELOPE_SESSION, /* the token is not this process's; id 0, the reply's token is. Not applied by
                         this process */
    ENVELOPE_NO_SESSION, /* -SKEIN_ESESSION */
    ENVELOPE_REPEATED,   /* -SKEIN_EREPEATED */
    ENVELOPE_INVALID,    /* -SKEIN_EINVALID: of a session, not applied */
    ENVELOPE_OUTCOME_END
};

/* u64 id | u8 outcome | u32 bytes | reply */
struct envelope_reply {
    uint64_t id;
    enum envelope_outcome outcome;
    struct bytes reply;
};

/* A message of several items; the same head in both directions. */
struct envelope_items {
    uint64_t session; /* the origin's process, random */
    uint64_t token;   /* what the leader's process gave to that session; 0: none yet */
    uint32_t left;
    struct bytes frame;
    struct wire_reader in;
};

void envelope_begin_items(struct wire_writer *out, enum envelope_kind kind, uint64_t session,
                          uint64_t token);
void envelope_add_forward(struct wire_writer *out, const struct envelope_forward *item);
void envelope_add_reply(struct wire_writer *out, uint64_t id, enum envelope_outcome outcome,
                        const void *reply, size_t reply_bytes);
/* envelope_open_items - a FORWARD or FORWARD_REPLY. -SKEIN_EPROTO. */
int envelope_open_items(struct envelope_items *items, struct bytes frame) SKEIN_MUST_CHECK;
/* envelope_next_forward, envelope_next_reply - 0; -SKEIN_ENOTFOUND at the end; -SKEIN_EPROTO. */
int envelope_next_forward(struct envelope_items *items,
                          struct envelope_forward *out_item) SKEIN_MUST_CHECK;
int envelope_next_reply(struct envelope_items *items,
                        struct envelope_reply *out_item) SKEIN_MUST_CHECK;

/* One piece of a checkpoint file. Without data, at offset 0: where shall I go on? */
struct envelope_chunk {
    uint8_t cluster[16];
    uint32_t group;
    uint64_t transfer; /* random, not 0 */
    uint64_t term;     /* of the leader that sends it */
    struct raft_snapshot snapshot;
    struct checkpoint_identity file; /* index: the snapshot's */
    uint64_t offset;
    struct bytes data; /* up to ENVELOPE_CHUNK_BYTES */
};
#define ENVELOPE_CHUNK_BYTES (256u << 10)
void envelope_put_chunk(struct wire_writer *out, const struct envelope_chunk *chunk);
int envelope_get_chunk(struct bytes frame, struct envelope_chunk *out_chunk) SKEIN_MUST_CHECK;

enum envelope_ack_state {
    ENVELOPE_ACK_MORE,   /* everything before offset is here */
    ENVELOPE_ACK_WHOLE,  /* verified and durable, or not needed any more */
    ENVELOPE_ACK_FAILED, /* this transfer is over */
    ENVELOPE_ACK_RESUME, /* just taken up: go on at offset, whatever was acknowledged before */
    ENVELOPE_ACK_BUSY    /* what is here is being read or made durable: wait */
};
struct envelope_ack {
    uint32_t group;
    uint64_t transfer;
    uint64_t offset;
    enum envelope_ack_state state;
};
void envelope_put_ack(struct wire_writer *out, const struct envelope_ack *ack);
int envelope_get_ack(struct bytes frame, struct envelope_ack *out_ack) SKEIN_MUST_CHECK;

/* The cluster @former had lost its quorum and goes on as @cluster: u8 kind | 16 former | 16 cluster
 */
void envelope_put_recovered(struct wire_writer *out, const uint8_t former[16],
                            const uint8_t cluster[16]);
int envelope_get_recovered(struct bytes frame, uint8_t out_former[16],
                           uint8_t out_cluster[16]) SKEIN_MUST_CHECK;

/* u8 kind | u8 version 1 | u8 rank | 16 bytes address | u16 port (0: clients are not told) */
struct envelope_card {
    uint8_t rank; /* up to RAFT_RANK_MAX */
    struct skein_addr client;
};
void envelope_put_card(struct wire_writer *out, const struct envelope_card *card);
int envelope_get_card(struct bytes frame, struct envelope_card *out_card) SKEIN_MUST_CHECK;

/* u8 kind | u8 version 1 | 16 cluster | u64 term | u64 id | u8 state | u32 failure | u8 bytes |
 * note, for a person */
struct envelope_wish {
    uint8_t cluster[16];
    uint64_t term; /* in which its sender led when it last came on */
    uint64_t id;   /* not 0 */
    uint8_t state; /* enum replica_change_state */
    int failure;   /* negative; 0: none. On the wire without its sign */
    char note[201];
};
void envelope_put_wish(struct wire_writer *out, const struct envelope_wish *wish);
/* envelope_get_wish - the note has no byte below a blank. */
int envelope_get_wish(struct bytes frame, struct envelope_wish *out_wish) SKEIN_MUST_CHECK;

/* envelope_check - decode whatever @frame is and drop it, as the inbox would; for the fuzzer. */
int envelope_check(struct bytes frame);

#endif
