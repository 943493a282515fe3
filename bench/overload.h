/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_OVERLOAD_H
#define BENCH_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * overload.c: rounds, medians, report. overload_server.c: a process that has 100 us of work for
 * each request. overload_client.c: one that asks at a rate of its own, whatever the answers.
 */

#define OVERLOAD_CONNECTIONS 32
/* After this nobody wants the answer any more; after that an attempt is given up. */
#define OVERLOAD_PATIENCE_NS UINT64_C(50000000)
#define OVERLOAD_ATTEMPT_NS UINT64_C(20000000)

enum overload_verdict { OVERLOAD_DONE, OVERLOAD_BUSY };

struct overload_request {
    uint64_t id;
    uint64_t patience_ns; /* what is left of it */
};

struct overload_reply {
    uint64_t id;
    uint64_t verdict;
};

struct overload_run {
    bool pressure; /* the server: a bounded queue, busy beyond it, nothing done in vain */
    bool breaker;  /* the client: circuit breaker and a budget of retries */
    double rate;   /* operations a second */
    double seconds;
    uint64_t work_loops; /* of one request */
    uint16_t port;
    double goodput; /* out: operations done in time, a second */
    double refused; /* out: operations told no, or held back by the breaker */
    double sent;    /* out: attempts a second */
};

/* overload_work - what one request costs. */
void overload_work(uint64_t loops);
/* overload_serve - on a shard of its own; writes its port to @port_fd; does not return. */
void overload_serve(const struct overload_run *run, int port_fd);
/* overload_ask - fills in the results of @run. */
void overload_ask(struct overload_run *run);
/* overload_shard - run @main_fn(@arg) on a shard on processor @cpu. */
void overload_shard(int cpu, int (*main_fn)(void *arg), void *arg);
void overload_die(const char *what, int rc) __attribute__((noreturn));

#endif
