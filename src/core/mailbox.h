/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_MAILBOX_H
#define CORE_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * One direction between two shards: a ring with one writer and one reader.
 *
 *   writer: batch (private) --flush--> slots: 128 of 32 bytes ----> reader: take, run
 *              ^                                                        |
 *              +---- reclaim: messages go home <---- head (shared) <----+ release
 *
 * A slot says itself whether it is full: its stamp holds the lap on which it was written, so the
 * reader polls the line in which the next item will come and nothing else, and an item costs the
 * transfer of one line. The writer gathers up to 16 items in memory of its own and copies them over
 * from the last to the first: a line that the reader polls is touched once.
 *
 * The reader returns slots by moving the shared head. What a slot carried is finished by then, so
 * the writer, which is the only one that ever frees anything, sends home what it finds between the
 * old head and the new one. No memory changes hands and there is no way back to fill up.
 *
 * Partners: the stamp's release store in mailbox_flush and its acquire load in mailbox_take; the
 * head's release store in mailbox_release and its acquire load in mailbox_reclaim.
 */

#define MAILBOX_SLOT_COUNT 128u
#define MAILBOX_BATCH_COUNT 16u
/* Items ahead of the one being taken whose lines are asked for. */
#define MAILBOX_PREFETCH_COUNT 2u

enum mailbox_kind {
    MAILBOX_POST,    /* fn(arg) there */
    MAILBOX_MESSAGE, /* arg: a struct skein_message; run there, home here */
    MAILBOX_CALL,    /* fn(arg) in a fiber there; tag: the call's number */
    MAILBOX_CANCEL,  /* tag: of the call */
    MAILBOX_REPLY    /* tag: of the call; word: its result */
};

struct mailbox_item {
    uint64_t word; /* a function, or a result */
    void *arg;
    uint64_t tag;
    uint64_t stamp; /* lap << 8 | kind */
};
_Static_assert(sizeof(struct mailbox_item) == 32, "two to a cache line");
_Static_assert((MAILBOX_SLOT_COUNT & (MAILBOX_SLOT_COUNT - 1)) == 0, "a power of two");

struct mailbox_ring {
    _Alignas(128) struct mailbox_item slots[MAILBOX_SLOT_COUNT];
    /* The reader's: items taken and finished. */
    _Alignas(128) uint64_t head;
    /* Set by a writer that goes to sleep and wants to hear when head moves. */
    uint32_t wanted;
};

struct mailbox_out {
    struct mailbox_ring *ring;
    uint64_t tail;       /* items in slots since the beginning */
    uint64_t reclaimed;  /* of these, slots that were returned */
    uint64_t home_count; /* messages in slots that have to come home */
    uint64_t told;       /* of tail: what the reader was woken for, if it slept */
    uint32_t batch_count;
    struct mailbox_item batch[MAILBOX_BATCH_COUNT];
};

struct mailbox_in {
    struct mailbox_ring *ring;
    uint64_t head; /* items taken since the beginning */
};

struct mailbox_ring *mailbox_ring_open(void);
void mailbox_ring_close(struct mailbox_ring *ring);

/* mailbox_flush - move what the slots have room for from the batch to the reader. Returns how many
 * items that were. */
uint32_t mailbox_flush(struct mailbox_out *out);
/* mailbox_reclaim - take back the slots the reader is done with; messages in them go home. Returns
 * how many slots came back. */
uint32_t mailbox_reclaim(struct mailbox_out *out);

/* mailbox_abandon - the reader is gone: whatever was pushed goes home, taken or not. */
void mailbox_abandon(struct mailbox_out *out);

/* mailbox_has_room - whether one more item can be pushed, after a flush if need be. */
static inline bool
mailbox_has_room(struct mailbox_out *out)
{
    if (out->batch_count == MAILBOX_BATCH_COUNT)
        mailbox_flush(out);
    return out->batch_count < MAILBOX_BATCH_COUNT;
}

/* mailbox_push - add to the batch. There is room. */
static inline void
mailbox_push(struct mailbox_out *out, enum mailbox_kind kind, uint64_t word, void *arg,
             uint64_t tag)
{
    skein_assert(out->batch_count < MAILBOX_BATCH_COUNT);
    out->batch[out->batch_count++] =
        (struct mailbox_item){.word = word, .arg = arg, .tag = tag, .stamp = kind};
}

static inline uint64_t
mailbox_lap(uint64_t position)
{
    return position / MAILBOX_SLOT_COUNT + 1;
}

/* mailbox_is_empty - nothing to take. */
static inline bool
mailbox_is_empty(const struct mailbox_in *in)
{
    const struct mailbox_item *slot = &in->ring->slots[in->head % MAILBOX_SLOT_COUNT];
    return __atomic_load_n(&slot->stamp, __ATOMIC_ACQUIRE) >> 8 != mailbox_lap(in->head);
}

/* mailbox_take - the next item, in the order of pushing. Returns false: there is none. */
static inline bool
mailbox_take(struct mailbox_in *in, struct mailbox_item *out_item)
{
    const struct mailbox_item *slots = in->ring->slots;
    const struct mailbox_item *slot = &slots[in->head % MAILBOX_SLOT_COUNT];
    uint64_t stamp = __atomic_load_n(&slot->stamp, __ATOMIC_ACQUIRE);
    if (stamp >> 8 != mailbox_lap(in->head))
        return false;
    uint64_t ahead = in->head + MAILBOX_PREFETCH_COUNT;
    const struct mailbox_item *next = &slots[ahead % MAILBOX_SLOT_COUNT];
    if (__atomic_load_n(&next->stamp, __ATOMIC_ACQUIRE) >> 8 == mailbox_lap(ahead))
        __builtin_prefetch(__atomic_load_n(&next->arg, __ATOMIC_RELAXED));
    *out_item = (struct mailbox_item){
        .word = __atomic_load_n(&slot->word, __ATOMIC_RELAXED),
        .arg = __atomic_load_n(&slot->arg, __ATOMIC_RELAXED),
        .tag = __atomic_load_n(&slot->tag, __ATOMIC_RELAXED),
        .stamp = stamp & 0xff,
    };
    in->head++;
    return true;
}

/* mailbox_release - everything taken so far is finished: its slots go back to the writer. */
static inline void
mailbox_release(struct mailbox_in *in)
{
    __atomic_store_n(&in->ring->head, in->head, __ATOMIC_RELEASE);
}

#endif
