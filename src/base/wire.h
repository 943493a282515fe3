/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/*
 * Little-endian encoding and bounded decoding.
 *
 * The reader never passes its end: a read that would gives zero (or NULL) and sets `failed`, which
 * stays set; check it once after a group of reads. The writer grows its own buffer.
 */

struct wire_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct wire_reader
wire_reader_of(const void *data, size_t count)
{
    const uint8_t *at = data;
    return (struct wire_reader){.at = at, .end = count ? at + count : at};
}

static inline size_t
wire_left(const struct wire_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* wire_get_raw - @count bytes in place, or NULL (and failed) when fewer are left. */
static inline const uint8_t *
wire_get_raw(struct wire_reader *r, size_t count)
{
    if (r->failed || wire_left(r) < count) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->at;
    r->at += count;
    return p;
}

static inline uint64_t
wire_get_uint(struct wire_reader *r, size_t bytes)
{
    const uint8_t *p = wire_get_raw(r, bytes);
    uint64_t value = 0;
    for (size_t i = 0; p && i < bytes; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static inline uint8_t
wire_get_u8(struct wire_reader *r)
{
    return (uint8_t)wire_get_uint(r, 1);
}

static inline uint16_t
wire_get_u16(struct wire_reader *r)
{
    return (uint16_t)wire_get_uint(r, 2);
}

static inline uint32_t
wire_get_u32(struct wire_reader *r)
{
    return (uint32_t)wire_get_uint(r, 4);
}

static inline uint64_t
wire_get_u64(struct wire_reader *r)
{
    return wire_get_uint(r, 8);
}

/* wire_done - everything was read, and nothing failed. */
static inline bool
wire_done(const struct wire_reader *r)
{
    return !r->failed && r->at == r->end;
}

static inline void
wire_store(void *to, uint64_t value, size_t bytes)
{
    uint8_t *p = to;
    for (size_t i = 0; i < bytes; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t
wire_load(const void *from, size_t bytes)
{
    const uint8_t *p = from;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* A growing buffer. Zeroed is empty and valid; free with wire_writer_deinit. */
struct wire_writer {
    uint8_t *data;
    size_t count;
    size_t capacity;
};

/* wire_put_space - @count uninitialised bytes at the end, to be filled by the caller now. */
static inline uint8_t *
wire_put_space(struct wire_writer *w, size_t count)
{
    if (w->capacity - w->count < count) {
        size_t wanted = w->capacity ? w->capacity * 2 : 256;
        while (wanted - w->count < count)
            wanted *= 2;
        w->data = mem_realloc(w->data, wanted);
        w->capacity = wanted;
    }
    uint8_t *p = w->data + w->count;
    w->count += count;
    return p;
}

static inline void
wire_put_raw(struct wire_writer *w, const void *data, size_t count)
{
    if (count)
        memcpy(wire_put_space(w, count), data, count);
}

static inline void
wire_put_u8(struct wire_writer *w, uint8_t value)
{
    *wire_put_space(w, 1) = value;
}

static inline void
wire_put_u16(struct wire_writer *w, uint16_t value)
{
    wire_store(wire_put_space(w, 2), value, 2);
}

static inline void
wire_put_u32(struct wire_writer *w, uint32_t value)
{
    wire_store(wire_put_space(w, 4), value, 4);
}

static inline void
wire_put_u64(struct wire_writer *w, uint64_t value)
{
    wire_store(wire_put_space(w, 8), value, 8);
}

static inline void
wire_writer_deinit(struct wire_writer *w)
{
    mem_free(w->data);
    *w = (struct wire_writer){0};
}

#endif
