/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What happened, in order: every event feeds a running 64-bit hash and, when there is a file, one
 * line of text. The same seed twice gives the same bytes. No address and no real time may be in it.
 *
 *      12.034567890 2 disk.write 17 4096 0        seconds, node (0: the world), what, three figures
 *      12.034567890 0 fault "one-way 1->3"
 */

struct sim_trace {
    const uint64_t *now_ns; /* the world's clock */
    uint64_t hash;
    uint64_t event_count;
    FILE *file; /* NULL: only the hash */
};

void sim_trace_init(struct sim_trace *trace, const uint64_t *now_ns, FILE *file);
void sim_trace_event(struct sim_trace *trace, uint32_t node, const char *what, uint64_t a,
                     uint64_t b, uint64_t c);
/* sim_trace_text - a line with text, for what is rare. */
void sim_trace_text(struct sim_trace *trace, uint32_t node, const char *what, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
/* sim_trace_line - the same with the text as it is, for what is not. */
void sim_trace_line(struct sim_trace *trace, uint32_t node, const char *what, const char *text);
/* sim_trace_flush - what the file did not take: 0 or -errno. */
int sim_trace_flush(struct sim_trace *trace);

#endif
