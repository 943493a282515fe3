/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "skein/bytes.h"

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
 *
 * The public skein_bytes (skein/bytes.h) is a view of the same buffers; bytes_of_public and
 * bytes_to_public turn one into the other. A buffer that is not from bytes_new begins a struct
 * bytes_owned: its views point wherever the bytes are.
 */

struct bytes_buf {
    size_t refs;
    size_t capacity_bytes; /* BYTES_OWNED: see below */
    uint8_t data[];
};

#define BYTES_OWNED SIZE_MAX

struct bytes_owned {
    struct bytes_buf buf;                    /* capacity_bytes is BYTES_OWNED */
    void (*drop)(struct bytes_owned *owned); /* with the last reference */
    void *context;                           /* drop's */
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

/* bytes_of_public / bytes_to_public - the same reference, in the other type. */
static inline struct bytes
bytes_of_public(struct skein_bytes view)
{
    return (struct bytes){.buf = view.buf, .data = view.data, .count = view.count};
}

static inline struct skein_bytes
bytes_to_public(struct bytes view)
{
    return (struct skein_bytes){.buf = view.buf, .data = view.data, .count = view.count};
}

#endif
