/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/wire.h"

#define HASH_BASIS 0xcbf29ce484222325ull

static uint64_t
mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= 0x9e3779b97f4a7c15ull;
    return hash ^ (hash >> 29);
}

/* Eight bytes at a time, in the order of their addresses; the count with the last ones. */
static uint64_t
mix_text(uint64_t hash, const char *text)
{
    size_t count = strlen(text), at = 0;
    for (; at + 8 <= count; at += 8)
        hash = mix(hash, wire_load((const uint8_t *)text + at, 8));
    return mix(hash, wire_load((const uint8_t *)text + at, count - at) | (uint64_t)count << 56);
}

void
sim_trace_init(struct sim_trace *trace, const uint64_t *now_ns, FILE *file)
{
    *trace = (struct sim_trace){.now_ns = now_ns, .hash = HASH_BASIS, .file = file};
}

void
sim_trace_event(struct sim_trace *trace, uint32_t node, const char *what, uint64_t a, uint64_t b,
                uint64_t c)
{
    uint64_t now_ns = *trace->now_ns;
    uint64_t hash = mix_text(mix(mix(trace->hash, now_ns), node), what);
    trace->hash = mix(mix(mix(hash, a), b), c);
    trace->event_count++;
    if (trace->file)
        fprintf(trace->file,
                "%" PRIu64 ".%09" PRIu64 " %" PRIu32 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                now_ns / 1000000000, now_ns % 1000000000, node, what, a, b, c);
}

void
sim_trace_text(struct sim_trace *trace, uint32_t node, const char *what, const char *format, ...)
{
    char text[640];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_trace_line(trace, node, what, text);
}

void
sim_trace_line(struct sim_trace *trace, uint32_t node, const char *what, const char *text)
{
    uint64_t now_ns = *trace->now_ns;
    trace->hash = mix_text(mix_text(mix(mix(trace->hash, now_ns), node), what), text);
    trace->event_count++;
    if (trace->file)
        fprintf(trace->file, "%" PRIu64 ".%09" PRIu64 " %" PRIu32 " %s \"%s\"\n",
                now_ns / 1000000000, now_ns % 1000000000, node, what, text);
}

int
sim_trace_flush(struct sim_trace *trace)
{
    if (!trace->file)
        return 0;
    return fflush(trace->file) == 0 && !ferror(trace->file) ? 0 : errno ? -errno : -EIO;
}
