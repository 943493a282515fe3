/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_CHANNEL_H
#define SKEIN_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/error.h"
#include "skein/list.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Channels: items of one size, copied from fiber to fiber of one shard, in order.
 *
 *      send --> [ up to capacity items ] --> recv          close: no more sends; what is in it can
 *      waits while it is full                waits while    still be received, then -SKEIN_ECLOSED
 *                                            it is empty
 *
 * Capacity 0: a send waits until somebody receives, and hands its item over directly. Waiting
 * senders are served in the order they came, and receivers among themselves; nobody overtakes. An
 * item that was sent (the call returned 0) is received exactly once, or is still in the channel;
 * one whose send failed is not received. A receiver that was handed an item and is cancelled before
 * it runs again returns 0 and has it.
 */

struct skein_channel {
    struct skein_list senders; /* cases that wait */
    struct skein_list receivers;
    char *items; /* a ring */
    size_t item_bytes;
    size_t capacity;
    size_t first;
    size_t count;
    bool closed;
};

/* skein_channel_init - @item_bytes at least 1, copied with memcpy. **Returns** 0; -SKEIN_ENOMEM;
 * -SKEIN_EINVALID: the two multiply to more than an address. */
int skein_channel_init(struct skein_channel *channel, size_t item_bytes,
                       size_t capacity) SKEIN_MUST_CHECK;
/* skein_channel_deinit - nobody waits on it. Items in it are forgotten. Idempotent. */
void skein_channel_deinit(struct skein_channel *channel);
/* skein_channel_send - @item is copied. **Returns** 0; -SKEIN_ECLOSED; -SKEIN_ETIMEDOUT;
 * -SKEIN_ECANCELED. */
int skein_channel_send(struct skein_channel *channel, const void *item,
                       uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_channel_recv - into @out_item. **Returns** 0; -SKEIN_ECLOSED: closed and empty;
 * -SKEIN_ETIMEDOUT; -SKEIN_ECANCELED. */
int skein_channel_recv(struct skein_channel *channel, void *out_item,
                       uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_channel_try_send / _try_recv - the same without waiting, from any code on the shard:
 * -SKEIN_EAGAIN where they would. */
int skein_channel_try_send(struct skein_channel *channel, const void *item) SKEIN_MUST_CHECK;
int skein_channel_try_recv(struct skein_channel *channel, void *out_item) SKEIN_MUST_CHECK;
/* skein_channel_close - senders that wait, and those to come, get -SKEIN_ECLOSED. Idempotent. */
void skein_channel_close(struct skein_channel *channel);

/* ---- select ---- */

struct skein_select_case {
    struct skein_channel *channel; /* NULL: this case never happens */
    bool send;                     /* else receive */
    void *item;                    /* sent from, or received into; NULL: received and dropped */
    int result;                    /* of the case that happened: 0, -SKEIN_ECLOSED */
    struct skein_list link;        /* skein_select's own, while it waits */
    struct skein_select_wait *wait;
};

/*
 * skein_select - exactly one of several sends and receives: the first in the order given that can
 * happen now, else the first that becomes possible. On a closed channel a case happens with
 * -SKEIN_ECLOSED.
 * **Returns** the index of the case; -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED: none happened.
 */
int skein_select(struct skein_select_case *cases, size_t case_count,
                 uint64_t deadline_ns) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
