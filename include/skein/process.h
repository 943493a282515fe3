/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_PROCESS_H
#define SKEIN_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "skein/fiber.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The process around the shards: its signals, its children, its end, and where it is.
 *
 * Signals, children and backtraces belong to the real world: in the simulator opening them gives
 * -ENOSYS. The shutdown works in both.
 */

/* ---- signals, as events ---- */

struct skein_signals;

struct skein_signal {
    int number;
    pid_t sender; /* 0: the kernel */
};

/*
 * skein_signals_open - from now on these signals do not interrupt anything: they are events.
 * @numbers: SIGTERM, SIGINT ... ; not SIGKILL, SIGSTOP, nor what a fault raises.
 * **Runs on** any thread, before the process starts others: threads inherit that they are blocked.
 * **Returns** 0; -SKEIN_EINVALID: one of the numbers; -EMFILE.
 */
int skein_signals_open(struct skein_signals **out_signals, const int *numbers,
                       size_t count) SKEIN_MUST_CHECK;
/* skein_signals_next - park until one of them came. Of several of one number that came meanwhile
 * one is told. **Runs on** a fiber. **Returns** 0, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED. */
int skein_signals_next(struct skein_signals *signals, struct skein_signal *out_signal,
                       uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_signals_close - they interrupt again, as they did before. @signals may be NULL. */
void skein_signals_close(struct skein_signals *signals);

/* ---- child processes ---- */

struct skein_child;

enum skein_child_stream { SKEIN_CHILD_STDIN, SKEIN_CHILD_STDOUT, SKEIN_CHILD_STDERR };

enum skein_child_wiring {
    SKEIN_CHILD_NULL,    /* /dev/null */
    SKEIN_CHILD_INHERIT, /* this process's own */
    SKEIN_CHILD_PIPE,    /* skein_child_read, skein_child_write */
    SKEIN_CHILD_HANDLE   /* a descriptor of the caller's, borrowed for the call */
};

struct skein_child_options {
    const char *path;        /* of the program; PATH is not searched */
    const char *const *argv; /* with its name, ended by NULL */
    const char *const *envp; /* NULL: this process's */
    const char *directory;   /* to begin in; NULL: this process's */
    enum skein_child_wiring streams[3];
    int handles[3]; /* for SKEIN_CHILD_HANDLE */
    bool group;     /* a process group of its own: the terminal's Ctrl-C does not reach it */
    int parent_death_signal; /* sent to it when the thread that started it ends; 0: none */
};

/* What became of it. */
struct skein_child_status {
    bool exited; /* by itself: `code` is its status; else `code` is the signal that ended it */
    int code;
    bool core_dumped;
};

/*
 * skein_child_open - start a program. Its signals are as the system has them by default; no other
 * descriptor of this process is left to it that was opened close-on-exec (all of Skein's are).
 * **Runs on** a fiber; does not suspend; the thread waits until the program is loaded (some 100
 * us).
 * **Returns** 0; -ENOENT, -EACCES ...: the program, its directory or a stream; -EAGAIN, -EMFILE,
 * -ENOMEM: limits; -ENOSYS: in the simulator.
 */
int skein_child_open(struct skein_child **out_child,
                     const struct skein_child_options *options) SKEIN_MUST_CHECK;
pid_t skein_child_pid(const struct skein_child *child);
/* skein_child_read - 1 to @count bytes of its output; 0: it has closed it. @stream: one that is a
 * pipe. **Returns** also -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED, -errno. **Runs on** a fiber. */
ssize_t skein_child_read(struct skein_child *child, enum skein_child_stream stream, void *data,
                         size_t count, uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_child_write - all of @count bytes to its input. -EPIPE: it does not read any more. */
int skein_child_write(struct skein_child *child, const void *data, size_t count,
                      uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_child_end_input - it reads the end. */
void skein_child_end_input(struct skein_child *child);
/* skein_child_wait - park until it has ended; at once, with the same answer, when it has.
 * **Returns** 0, -SKEIN_ETIMEDOUT, -SKEIN_ECANCELED. */
int skein_child_wait(struct skein_child *child, struct skein_child_status *out_status,
                     uint64_t deadline_ns) SKEIN_MUST_CHECK;
/* skein_child_kill - send a signal; nothing happens when it has ended (its number is not used by
 * anybody else before skein_child_wait or close). **Returns** 0, -EPERM, -SKEIN_EINVALID. */
int skein_child_kill(struct skein_child *child, int number);
/* skein_child_close - let go of it: killed if it still runs, and reaped: none is left behind as a
 * zombie. **Runs on** a fiber, suspends until it is dead, also a cancelled one. May be NULL. */
void skein_child_close(struct skein_child *child);

/* ---- the end of the process, in order ---- */

/*
 * Resources are stopped phase by phase; within a phase all at once, each with a time of its own.
 *
 *     stop accepting --> drain --> stop timers --> flush metrics --> stop shards --> clean up
 *
 * The function that stops a resource runs in a fiber of its own, under a deadline
 * (skein_deadline_push), so that each call in it which can wait ends then. When it has not returned
 * by the deadline it is cancelled; when it has not returned a second later either it is *stuck*:
 * the next phase begins without it, and the process should end without waiting.
 */
enum skein_shutdown_phase {
    SKEIN_SHUTDOWN_ACCEPTING,
    SKEIN_SHUTDOWN_DRAIN,
    SKEIN_SHUTDOWN_TIMERS,
    SKEIN_SHUTDOWN_METRICS,
    SKEIN_SHUTDOWN_SHARDS,
    SKEIN_SHUTDOWN_CLEAN_UP
};
#define SKEIN_SHUTDOWN_PHASES 6
#define SKEIN_SHUTDOWN_RESOURCES_MAX 64

enum skein_shutdown_outcome {
    SKEIN_SHUTDOWN_PENDING, /* its phase has not come */
    SKEIN_SHUTDOWN_DONE,
    SKEIN_SHUTDOWN_FAILED,    /* it says it could not: `result` */
    SKEIN_SHUTDOWN_CUT_SHORT, /* it was cancelled at its deadline, and returned */
    SKEIN_SHUTDOWN_STUCK      /* it never returned */
};

struct skein_shutdown_entry {
    const char *name;
    enum skein_shutdown_phase phase;
    enum skein_shutdown_outcome outcome;
    int result;
    uint64_t took_ns;
};

struct skein_shutdown;

struct skein_shutdown *skein_shutdown_open(void);
/* skein_shutdown_add - @name: a literal. @stop: returns 0 or a failure; @deadline_ns is when it
 * should have ended. **Returns** 0; -SKEIN_EAGAIN: SKEIN_SHUTDOWN_RESOURCES_MAX. */
int skein_shutdown_add(struct skein_shutdown *shutdown, enum skein_shutdown_phase phase,
                       const char *name, uint64_t timeout_ns,
                       int (*stop)(void *arg, uint64_t deadline_ns), void *arg) SKEIN_MUST_CHECK;
/*
 * skein_shutdown_run - all phases, once.
 * **Runs on** a fiber, suspends; not cut short by cancellation.
 * **Returns** 0: everything is done; -SKEIN_ETIMEDOUT: something was cut short or failed;
 * -SKEIN_EBUSY: something is stuck: its fiber still runs, so end the process (_exit).
 */
int skein_shutdown_run(struct skein_shutdown *shutdown) SKEIN_MUST_CHECK;
/* skein_shutdown_entry - what became of each, in the order in which they were added; false behind
 * the last. */
bool skein_shutdown_entry(const struct skein_shutdown *shutdown, size_t index,
                          struct skein_shutdown_entry *out_entry);
const char *skein_shutdown_phase_name(enum skein_shutdown_phase phase);
const char *skein_shutdown_outcome_name(enum skein_shutdown_outcome outcome);
/* skein_shutdown_close - nothing of it is stuck. */
void skein_shutdown_close(struct skein_shutdown *shutdown);

/* ---- backtraces ---- */

/* skein_backtrace - the addresses of the functions that called this one, the innermost first.
 * Follows frame pointers: what was compiled without them ends it. Returns how many. */
size_t skein_backtrace(void **out_frames, size_t frame_count_max);
/*
 * skein_backtrace_text - "a (x.c:1) < b (y.c:2)", cut to fit @out. Lines need debugging information
 * and libdw; without, functions or object and offset. Reads files: takes milliseconds, so on a
 * shard call it through skein_work.
 */
void skein_backtrace_text(void *const *frames, size_t frame_count, char *out, size_t out_bytes);

#ifdef __cplusplus
}
#endif

#endif
