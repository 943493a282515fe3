/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_STALL_H
#define CORE_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The stall detector: a turn of the shard that takes longer than a threshold is reported with the
 * backtrace of where it was.
 *
 * The signal of the watch looks at the turn every half threshold. It only notes addresses (what a
 * signal handler may do); when the turn is over they are resolved on a helper thread and logged,
 *
 *     warn stall "a turn took long" at_least_ms=31 fiber=client frames="parse (resp.c:88) < ..."
 *
 * at most STALL_REPORTS_MAX times a minute, the rest counted. While a turn goes on the point at
 * which it is looked at again doubles, so the report shows the latest place. A turn that does not
 * end within STALL_LOST_NS (an endless loop) is written to standard error from the handler,
 * addresses unresolved: there may be nobody to do it later.
 */

#define STALL_FRAMES_MAX 32
#define STALL_REPORTS_MAX 5
#define STALL_PERIOD_NS UINT64_C(60000000000)
#define STALL_LOST_NS UINT64_C(2000000000)

struct skein_shard;

/* What a signal noted. */
struct stall {
    uint64_t seen_ns;       /* when the turn was first seen */
    uint64_t at_least_ns;   /* how long it has taken since */
    uint64_t turn;          /* its number */
    uint64_t look_after_ns; /* the next look, from seen_ns */
    const char *fiber;      /* NULL: none ran */
    size_t frame_count;
    void *frames[STALL_FRAMES_MAX];
};

/* How many were reported lately. */
struct stall_budget {
    uint64_t period_ns; /* began then */
    uint32_t count;
    uint64_t suppressed; /* since the last report */
    uint64_t total, total_suppressed;
};

/* stall_frames - in a signal handler: the interrupted code's frames, of the stack between @low and
 * @high. Returns how many. */
size_t stall_frames(void *machine, const char *low, const char *high,
                    void *out_frames[STALL_FRAMES_MAX]);
/* stall_walk - the frames from the frame pointer @fp on, within the stack. */
size_t stall_walk(uintptr_t fp, const char *low, const char *high, void **out_frames,
                  size_t frame_count_max);
/* stall_write - in a signal handler: one line to standard error. */
void stall_write(const struct stall *stall);
/* stall_report - resolve and log, within the budget; on a fiber of its own. */
void stall_report(struct skein_shard *shard, struct stall_budget *budget, const struct stall *stall,
                  uint64_t now_ns);

#endif
