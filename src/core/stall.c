/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stall.h"

#include <inttypes.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/internal.h"
#include "core/symbol.h"
#include "obs/log.h"

#define MS_NS 1000000u
#define TEXT_BYTES 700 /* of a log line, which has 1 KiB */

/* ---- in the signal handler: no lock, no allocation, nothing of the C library but write ---- */

/* A function's frame: [fp] is the caller's fp, [fp + 1] the address it returns to. Code that was
 * compiled without frame pointers ends the walk, as whatever lies outside the stack does. */
__attribute__((no_sanitize("address"))) size_t
stall_walk(uintptr_t fp, const char *low, const char *high, void **out_frames,
           size_t frame_count_max)
{
    size_t count = 0;
    uintptr_t end = (uintptr_t)high - 2 * sizeof(uintptr_t);
    while (low && count < frame_count_max && fp >= (uintptr_t)low && fp <= end &&
           fp % sizeof(uintptr_t) == 0) {
        const uintptr_t *frame = (const uintptr_t *)fp;
        if (frame[1] == 0)
            break;
        out_frames[count++] = (void *)frame[1];
        if (frame[0] <= fp)
            break;
        fp = frame[0];
    }
    return count;
}

size_t
stall_frames(void *machine, const char *low, const char *high, void *out_frames[STALL_FRAMES_MAX])
{
    const ucontext_t *context = machine;
#if defined(__x86_64__)
    uintptr_t ip = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
    uintptr_t fp = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
    uintptr_t ip = (uintptr_t)context->uc_mcontext.pc;
    uintptr_t fp = (uintptr_t)context->uc_mcontext.regs[29];
#else
    uintptr_t ip = 0, fp = 0;
    (void)context;
#endif
    if (!ip)
        return 0;
    out_frames[0] = (void *)ip;
    return 1 + stall_walk(fp, low, high, out_frames + 1, STALL_FRAMES_MAX - 1);
}

struct line {
    char text[1024];
    size_t count;
};

static void
put(struct line *line, const char *text)
{
    for (; *text && line->count < sizeof(line->text) - 1; text++)
        line->text[line->count++] = *text;
}

static void
put_number(struct line *line, uint64_t value, unsigned base)
{
    char digits[24] = {0};
    size_t at = sizeof(digits) - 1;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value > 0);
    put(line, digits + at);
}

void
stall_write(const struct stall *stall)
{
    struct line line = {.count = 0};
    put(&line, "skein: a turn does not end: ");
    put_number(&line, stall->at_least_ns / MS_NS, 10);
    put(&line, " ms so far, fiber ");
    put(&line, stall->fiber ? stall->fiber : "none");
    put(&line, ", at");
    for (size_t i = 0; i < stall->frame_count; i++) {
        put(&line, " 0x");
        put_number(&line, (uintptr_t)stall->frames[i], 16);
    }
    line.text[line.count++] = '\n';
    ssize_t n = write(STDERR_FILENO, line.text, line.count);
    (void)n;
}

/* ---- when the turn is over ---- */

struct report {
    struct stall stall;
    char fiber[64];
    uint64_t suppressed;
    char text[TEXT_BYTES];
};

static int64_t
resolve(void *arg)
{
    struct report *report = arg;
    symbol_list(report->stall.frames, report->stall.frame_count, report->text,
                sizeof(report->text));
    return 0;
}

static void
report_main(void *arg)
{
    struct report *report = arg;
    char quoted[TEXT_BYTES + 64], name[96];
    (void)skein_work(resolve, report);
    obs_log(OBS_WARN, "stall", "a turn took long",
            "at_least_ms=%" PRIu64 " fiber=%s unreported=%" PRIu64 " frames=%s",
            report->stall.at_least_ns / MS_NS,
            obs_quote(name, sizeof(name), report->fiber, strlen(report->fiber)), report->suppressed,
            obs_quote(quoted, sizeof(quoted), report->text, strlen(report->text)));
    mem_free(report);
}

static bool
budget_allows(struct stall_budget *budget, uint64_t now_ns)
{
    budget->total++;
    if (now_ns - budget->period_ns >= STALL_PERIOD_NS) {
        budget->period_ns = now_ns;
        budget->count = 0;
    }
    if (budget->count >= STALL_REPORTS_MAX) {
        budget->suppressed++;
        budget->total_suppressed++;
        return false;
    }
    budget->count++;
    return true;
}

void
stall_report(struct skein_shard *shard, struct stall_budget *budget, const struct stall *stall,
             uint64_t now_ns)
{
    if (!budget_allows(budget, now_ns))
        return;
    struct report *report = mem_zalloc(sizeof(*report));
    report->stall = *stall;
    report->suppressed = budget->suppressed;
    strncpy(report->fiber, stall->fiber ? stall->fiber : "none", sizeof(report->fiber) - 1);
    budget->suppressed = 0;
    int rc = fiber_spawn(shard, &shard->root_scope, "stall report", report_main, report,
                         SKEIN_STACK_SMALL);
    if (rc < 0)
        mem_free(report);
}
