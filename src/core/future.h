/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_FUTURE_H
#define CORE_FUTURE_H

#include "core/internal.h"
#include "skein/future.h"

/*
 * Inside of futures. Completing one makes others complete, and dropping one drops others, so both
 * go through a list of the shard's that the outermost call works off: no chain recurses.
 *
 *   future_settle, the last unref --> shard->future_work --> waiters woken, hooks called, or freed
 */

struct future_hook {
    struct skein_list link;      /* in the source's hooks, while it is pending */
    struct skein_future *source; /* a reference; NULL: none (any more) */
    struct skein_future *target;
};

struct skein_future {
    uint64_t magic;
    struct skein_shard *shard;
    uint64_t ref_count; /* consumers, the promise, and one while it is pending */
    int rc;
    bool complete;
    bool delivered; /* those who wait know */
    void *value;
    void (*drop)(void *value);
    struct skein_waitq waiters;
    struct skein_list hooks;          /* struct future_hook: futures derived from this one */
    struct skein_list work_link;      /* in the shard's future_work */
    struct skein_future *cancel_next; /* in a list of skein_future_cancel's */
    bool cancelling;
    void (*on_cancel)(void *arg);
    void *on_cancel_arg;

    /* Derived futures: called when a source is complete, and when this one is settled. */
    void (*on_source)(struct skein_future *future, struct future_hook *hook);
    void (*on_settled)(struct skein_future *future);
    union {
        int (*map)(void *arg, void *value, void **out_value);
        int (*recover)(void *arg, int rc, void **out_value);
        struct skein_future *(*then)(void *arg, void *value);
    } fn;
    void *arg;
    struct skein_timer_node timer;
    size_t pending_count;
    size_t hook_count;
    struct future_hook sources[];
};

/* future_new - pending, with one reference for the caller and room for @hook_count sources. */
struct skein_future *future_new(size_t hook_count, void (*drop)(void *value));
/* future_settle - the first result counts. @value is dropped when it comes too late. */
void future_settle(struct skein_future *future, int rc, void *value);
/* future_hook - call @target's on_source when @source is complete, which it may be already. */
void future_hook_on(struct future_hook *hook, struct skein_future *source,
                    struct skein_future *target);

#endif
