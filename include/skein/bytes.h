/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_BYTES_H
#define SKEIN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Immutable bytes, shared by counting references.
 *
 *     buffer (counted)   | G E T   / i n d e x   H T T P / 1 . 1 |
 *     skein_bytes            ^-----^ ^---------^                     views: 24 bytes, by value
 *     skein_chain        [view] [view] [view]                        joined, for sendv
 *
 * A view holds one reference to its buffer; slices, splits and chains of it cost no copy and keep
 * the whole buffer alive. Whoever has a view unrefs it once.
 *
 * The count is not atomic: a buffer belongs to one shard. To another one it travels as a parcel:
 *
 *     here                             there
 *     parcel = skein_bytes_pack(view)
 *         ------ skein_send ... ----->  view = skein_bytes_unpack(parcel)
 *                                       ... refs, slices, chains as ever ...
 *     the reference is dropped  <-----  last unref there
 *
 * The bytes stay where they are; there a small record counts the references of that shard.
 */

struct bytes_buf;

struct skein_bytes {
    struct bytes_buf *buf; /* NULL: borrowed or empty */
    const uint8_t *data;
    size_t count;
};

/* ---- making ---- */

/*
 * skein_bytes_alloc - a buffer of the shard's heap, to be filled through @out_data before the view
 * is shared. **Runs on** a shard. **Returns** 0; -ENOMEM.
 */
int skein_bytes_alloc(size_t count, struct skein_bytes *out_bytes,
                      uint8_t **out_data) SKEIN_MUST_CHECK;
/* skein_bytes_copy - a copy of @data. **Returns** 0; -ENOMEM. */
int skein_bytes_copy(const void *data, size_t count,
                     struct skein_bytes *out_bytes) SKEIN_MUST_CHECK;
/* skein_bytes_wrap - memory of somebody else's; @drop(@context) is called, on this shard, with the
 * last reference. **Returns** 0; -ENOMEM (drop was not called). */
int skein_bytes_wrap(const void *data, size_t count, void (*drop)(void *context), void *context,
                     struct skein_bytes *out_bytes) SKEIN_MUST_CHECK;
/* skein_bytes_static - memory that outlives every view of it; not counted. */
struct skein_bytes skein_bytes_static(const void *data, size_t count);

/* ---- sharing, splitting, joining ---- */

struct skein_bytes skein_bytes_ref(struct skein_bytes bytes);
/* skein_bytes_unref - drop the reference and clear the view. Idempotent. */
void skein_bytes_unref(struct skein_bytes *bytes);
/* skein_bytes_slice - a part with a reference of its own; @offset + @count lie within. */
struct skein_bytes skein_bytes_slice(struct skein_bytes bytes, size_t offset, size_t count);
/* skein_bytes_split - take the first @count bytes (at most all) off the front. Returns them;
 * @bytes keeps the rest. */
struct skein_bytes skein_bytes_split(struct skein_bytes *bytes, size_t count);
/*
 * skein_bytes_join - when @next follows @bytes without a gap in the same buffer, make them one view
 * in @bytes and clear @next. **Returns** false: they do not touch; nothing was changed (use a
 * chain).
 */
bool skein_bytes_join(struct skein_bytes *bytes, struct skein_bytes *next);
/* skein_bytes_equal - the same bytes, wherever they lie. */
bool skein_bytes_equal(struct skein_bytes a, struct skein_bytes b);

/* ---- chains: many views as one stream ---- */

struct skein_chain {
    struct skein_bytes *views; /* from `first` on */
    size_t first, view_count, view_capacity;
    size_t view_count_max;
    size_t bytes; /* in all */
};

/* skein_chain_init - @view_count_max: how many views it takes; 0: 1024. */
void skein_chain_init(struct skein_chain *chain, size_t view_count_max);
/* skein_chain_deinit - unref all. Idempotent; zeroed is valid. */
void skein_chain_deinit(struct skein_chain *chain);
/*
 * skein_chain_push - append; views that touch are joined. **Ownership**: takes over the reference.
 * **Returns** 0; -SKEIN_ETOOBIG: too many views; -ENOMEM. On failure the view is the caller's.
 */
int skein_chain_push(struct skein_chain *chain, struct skein_bytes bytes) SKEIN_MUST_CHECK;
/* skein_chain_split - move the first @count bytes (at most all) to the end of @out. **Returns** as
 * push; on failure nothing was moved. */
int skein_chain_split(struct skein_chain *chain, size_t count,
                      struct skein_chain *out) SKEIN_MUST_CHECK;
/* skein_chain_drop - the first @count bytes (at most all): what was sent. */
void skein_chain_drop(struct skein_chain *chain, size_t count);
/* skein_chain_peek - copy @count bytes from @offset. Returns how many there were. */
size_t skein_chain_peek(const struct skein_chain *chain, size_t offset, void *out_data,
                        size_t count);
/* skein_chain_iov - the first views as a vector for skein_socket_sendv. Returns how many of @iov
 * were filled. Valid until the chain changes. */
int skein_chain_iov(const struct skein_chain *chain, struct iovec *iov, int iov_count);

/* ---- to other shards ---- */

struct skein_parcel;

/*
 * skein_bytes_pack - make @bytes ready to travel and clear it. **Ownership**: the reference goes
 * with the parcel, which is unpacked or dropped once, on any shard of the runtime.
 * **Runs on** a shard of a runtime. **Returns** NULL: no memory; @bytes is unchanged.
 */
struct skein_parcel *skein_bytes_pack(struct skein_bytes *bytes) SKEIN_MUST_CHECK;
/* skein_bytes_unpack - the view, with one reference. The parcel is gone. **Returns** 0; -ENOMEM:
 * the parcel is unchanged. */
int skein_bytes_unpack(struct skein_parcel *parcel, struct skein_bytes *out_bytes) SKEIN_MUST_CHECK;
/* skein_parcel_drop - nobody wants it. NULL is allowed. */
void skein_parcel_drop(struct skein_parcel *parcel);

#ifdef __cplusplus
}
#endif

#endif
