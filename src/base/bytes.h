/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

/*
 * Reference-counted immutable bytes.
 *
 * A bytes_buf is a heap block with a count; a struct bytes is a view into one (or, with buf NULL,
 * into memory that somebody else keeps alive). A log entry, the message that carries it and the
 * log write that makes it durable share one buffer.
 *
 *     struct bytes a = bytes_copy(p, n);       one reference
 *     struct bytes b = bytes_ref(a);           two
 *     struct bytes c = bytes_slice(a, 4, 8);   three; keeps all of the buffer alive
 *     bytes_unref(&b);                         drops one and clears the view
 *
 * One shard only: the count is not atomic.
 */

struct bytes_buf {
    size_t refs;
    size_t capacity_bytes;
    uint8_t data[];
};

struct bytes {
    struct bytes_buf *buf; /* NULL: borrowed or empty */
    const uint8_t *data;
    size_t count; /* bytes in view */
};

/* bytes_new - an uninitialised buffer with one reference, to fill before it is shared. Never NULL.
 */
struct bytes_buf *bytes_new(size_t capacity_bytes);
/* bytes_try_new - the same, NULL when there is no memory; for sizes from outside. */
struct bytes_buf *bytes_try_new(size_t capacity_bytes) SKEIN_MUST_CHECK;
/* bytes_of - the view of the first @count bytes. **Ownership**: takes over the caller's reference.
 */
struct bytes bytes_of(struct bytes_buf *buf, size_t count);
/* bytes_copy - a new buffer with a copy. Never fails. */
struct bytes bytes_copy(const void *data, size_t count);
/* bytes_borrow - a view of memory the caller keeps alive; ref and unref do nothing on it. */
struct bytes bytes_borrow(const void *data, size_t count);
struct bytes bytes_ref(struct bytes view);
/* bytes_slice - a referenced part; @offset + @count within the view. */
struct bytes bytes_slice(struct bytes view, size_t offset, size_t count);
/* bytes_unref - drop the reference and clear the view. Idempotent. */
void bytes_unref(struct bytes *view);

#endif
