/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SKEIN_BREAKER_H
#define SKEIN_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "skein/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What keeps a slow or dead service from taking its callers with it: a circuit breaker, a timeout
 * that follows what is observed, and retries that have a budget. All of it is pure: records in the
 * caller's memory without anything to free, time and random numbers passed in.
 *
 *   breaker_allow -> adaptive timeout -> the call -> report, observe -> failed: retry_budget_take,
 *                                                                       backoff, once more
 */

/* ---- circuit breaker ----
 *
 *            failures reach failure_per_mille of at least call_count_min calls in window_ns
 *   CLOSED ----------------------------------------------------------------------> OPEN
 *     ^                                                                            |  ^
 *     | probe_count successes                                open_ns have passed   |  | a failure:
 *     |                                                                            v  | twice as
 *     +---------------------------------------------------------------------- HALF OPEN long
 *                                       at most probe_count calls under way
 *
 * A call that began before the last change of state is not counted when it ends.
 */

enum skein_breaker_state { SKEIN_BREAKER_CLOSED, SKEIN_BREAKER_OPEN, SKEIN_BREAKER_HALF_OPEN };

struct skein_breaker_options {
    uint64_t window_ns;         /* > 0; looked at in tenths */
    uint32_t call_count_min;    /* fewer calls in the window never open it; >= 1 */
    uint32_t failure_per_mille; /* 1 to 1000 */
    uint64_t open_ns;           /* > 0 */
    uint64_t open_ns_max;       /* >= open_ns */
    uint32_t probe_count;       /* >= 1 */
};

#define SKEIN_BREAKER_OPTIONS_INIT                                 \
    {                                                              \
        10000000000ull, 20, 500, 1000000000ull, 30000000000ull, 3, \
    }

#define SKEIN_BREAKER_BUCKET_COUNT 10

struct skein_breaker {
    struct skein_breaker_options options;
    enum skein_breaker_state state;
    uint32_t generation;     /* counts changes of state */
    uint64_t until_ns;       /* OPEN: when it becomes half open */
    uint64_t next_open_ns;   /* how long the next opening lasts */
    uint32_t probing_count;  /* HALF OPEN: calls under way */
    uint32_t probe_ok_count; /* HALF OPEN: successes so far */
    uint64_t tenth;          /* number of the newest tenth of the window */
    uint32_t ok_counts[SKEIN_BREAKER_BUCKET_COUNT];
    uint32_t failed_counts[SKEIN_BREAKER_BUCKET_COUNT];
    /* Since init. */
    uint64_t allowed_count, refused_count, opened_count;
};

/* Leave for one call; given back with skein_breaker_report. */
struct skein_breaker_pass {
    uint32_t generation;
};

enum skein_outcome {
    SKEIN_OUTCOME_OK,
    SKEIN_OUTCOME_FAILED,
    SKEIN_OUTCOME_NONE /* the call was not made, or given up for a reason of the caller's own */
};

/* skein_breaker_init - closed. **Returns** 0; -SKEIN_EINVALID: an option is out of its range. */
int skein_breaker_init(struct skein_breaker *breaker, const struct skein_breaker_options *options,
                       uint64_t now_ns) SKEIN_MUST_CHECK;
/* skein_breaker_allow - may a call be made? **Returns** 0, and @out_pass, to be reported exactly
 * once; -SKEIN_EBUSY: no; answer the caller without trying. */
int skein_breaker_allow(struct skein_breaker *breaker, struct skein_breaker_pass *out_pass,
                        uint64_t now_ns) SKEIN_MUST_CHECK;
void skein_breaker_report(struct skein_breaker *breaker, const struct skein_breaker_pass *pass,
                          enum skein_outcome outcome, uint64_t now_ns);
/* skein_breaker_now - the state as skein_breaker_allow would find it. */
enum skein_breaker_state skein_breaker_now(const struct skein_breaker *breaker, uint64_t now_ns);

/* skein_breaker_metrics_add - @breaker in the metrics of the current shard, as breaker="@name"
 * (copied): skein_breaker_open and so on. It stays where it is until skein_breaker_metrics_remove,
 * on the same shard. **Returns** as skein_metrics_add. */
int skein_breaker_metrics_add(const struct skein_breaker *breaker,
                              const char *name) SKEIN_MUST_CHECK;
void skein_breaker_metrics_remove(const struct skein_breaker *breaker);

/* ---- adaptive timeout ----
 *
 * The timeout is the quantile of the latencies seen lately, times a factor, within bounds. A call
 * that ran into the timeout is observed with the time it waited, so when a service becomes slower
 * for good the timeout grows, by the factor a time, until answers come again. Latencies are kept in
 * buckets of 1/8 octave (so a quantile is exact within 13 %, upwards); when sample_count are in,
 * all counts are halved: old ones fade.
 */

struct skein_adaptive_options {
    uint32_t quantile_per_mille; /* 1 to 999 */
    uint32_t factor_percent;     /* 100 to 10000 */
    uint64_t timeout_ns_min;     /* > 0 */
    uint64_t timeout_ns_max;     /* >= timeout_ns_min; also while fewer than 16 calls are known */
    uint32_t sample_count;       /* 32 to 1000000 */
};

#define SKEIN_ADAPTIVE_OPTIONS_INIT                \
    {                                              \
        990, 200, 1000000ull, 5000000000ull, 1024, \
    }

#define SKEIN_ADAPTIVE_BUCKET_COUNT 496

struct skein_adaptive {
    struct skein_adaptive_options options;
    uint32_t count;
    uint32_t counts[SKEIN_ADAPTIVE_BUCKET_COUNT];
};

/* skein_adaptive_init - **Returns** 0; -SKEIN_EINVALID: an option is out of its range. */
int skein_adaptive_init(struct skein_adaptive *adaptive,
                        const struct skein_adaptive_options *options) SKEIN_MUST_CHECK;
void skein_adaptive_observe(struct skein_adaptive *adaptive, uint64_t latency_ns);
/* skein_adaptive_timeout_ns - for the next call. */
uint64_t skein_adaptive_timeout_ns(const struct skein_adaptive *adaptive);

/* ---- retries ----
 *
 * Waiting before attempt n is drawn from [0, min(delay_ns_max, delay_ns << n)] (full jitter), so
 * callers that failed together do not come back together. The budget keeps retries from doubling
 * the load of a service that fails because of load: every call pays ratio_per_mille in, every retry
 * takes 1000 out, and what is saved is bounded.
 */

struct skein_retry_options {
    uint32_t attempt_count_max; /* the first included; >= 1 */
    uint64_t delay_ns;          /* > 0 */
    uint64_t delay_ns_max;      /* >= delay_ns */
    uint32_t ratio_per_mille;   /* retries per thousand calls, 0 to 1000 */
    uint32_t saved_count_max;   /* retries that may be saved up; a new budget is full; >= 1 */
};

#define SKEIN_RETRY_OPTIONS_INIT                \
    {                                           \
        3, 10000000ull, 1000000000ull, 100, 10, \
    }

struct skein_retry_budget {
    struct skein_retry_options options;
    uint64_t saved_milli; /* thousandths of a retry */
};

/* skein_retry_init - **Returns** 0; -SKEIN_EINVALID: an option is out of its range. */
int skein_retry_init(struct skein_retry_budget *budget,
                     const struct skein_retry_options *options) SKEIN_MUST_CHECK;
/* skein_retry_call - a call (not a retry) is made. */
void skein_retry_call(struct skein_retry_budget *budget);
/*
 * skein_retry_take - attempt number @attempt_index (0: the first) has failed: may there be another?
 * @random: 64 random bits. @out_delay_ns: how long to wait before it.
 * **Returns** 0; -SKEIN_EBUSY: the attempts or the budget are used up; the failure stands.
 */
int skein_retry_take(struct skein_retry_budget *budget, uint32_t attempt_index, uint64_t random,
                     uint64_t *out_delay_ns) SKEIN_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
