/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: whatever a function keeps in registers, integers and floating point, is there again after a
 * switch, on both sides, and each resume hands over its value. Without cmocka, so that it can be
 * built for another processor and run in an emulator (tools/aarch64).
 */
#include "core/context.h"

#include <stdio.h>
#include <stdlib.h>

#define CONTEXT_COUNT 8
#define ROUNDS 1000
#define STACK_BYTES 65536

struct worker {
    struct context context;
    struct context *scheduler;
    uint64_t seed, result;
    double result_double;
    unsigned wrong_values;
    int round;
    void *stack;
};

static __attribute__((noinline)) int
hand_over(struct worker *worker, bool ends)
{
    return context_suspend(&worker->context, worker->scheduler, ends);
}

/* As many values alive across a switch as there are registers that a call preserves. */
static void
mix(struct worker *worker, bool switches)
{
    uint64_t a = worker->seed, b = a * 3, c = b ^ 5, d = c + 7, e = d * 11, f = e ^ 13, g = f + 17;
    double p = (double)a, q = p / 3, r = q + 5, s = r * 1.5, t = s - p, u = t / 7, v = u + q;
    for (int round = 0; round < ROUNDS; round++) {
        if (switches && hand_over(worker, false) != worker->round)
            worker->wrong_values++;
        a += g;
        b ^= a * 3;
        c += b >> 7;
        d ^= c << 5;
        e += d;
        f ^= e * 13;
        g += f;
        p += 0.5;
        q = q * 0.75 + p;
        r = (r + q) / 2;
        s = s * 0.5 + r;
        t = (t + s) * 0.25;
        u += t * 0.125;
        v = (v + u) / 3;
    }
    worker->result = a ^ b ^ c ^ d ^ e ^ f ^ g;
    worker->result_double = p + q + r + s + t + u + v;
}

static void
work(void *arg)
{
    struct worker *worker = arg;
    context_entered(worker->scheduler);
    mix(worker, true);
    (void)hand_over(worker, true);
    abort();
}

int
main(void)
{
    struct worker *workers = calloc(CONTEXT_COUNT, sizeof(*workers));
    struct context scheduler;
    double kept = 1.25, kept_more = 2.5;
    unsigned failed_count = 0;
    if (!workers)
        return 1;
    context_init_self(&scheduler);
    for (int i = 0; i < CONTEXT_COUNT; i++) {
        struct worker *worker = &workers[i];
        worker->scheduler = &scheduler;
        worker->seed = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        worker->stack = aligned_alloc(16, STACK_BYTES);
        if (!worker->stack)
            return 1;
        context_init(&worker->context, worker->stack, STACK_BYTES, work, worker);
    }
    /* Once to begin, once for each round. */
    for (int round = 0; round <= ROUNDS; round++)
        for (int i = 0; i < CONTEXT_COUNT; i++) {
            workers[i].round = round * CONTEXT_COUNT + i;
            context_resume(&scheduler, &workers[i].context, workers[i].round);
            kept = kept * 0.5 + kept_more;
        }
    for (int i = 0; i < CONTEXT_COUNT; i++) {
        struct worker straight = {.seed = workers[i].seed};
        mix(&straight, false);
        failed_count += straight.result != workers[i].result;
        failed_count += straight.result_double != workers[i].result_double;
        failed_count += workers[i].wrong_values > 0;
        context_deinit(&workers[i].context);
        free(workers[i].stack);
    }
    free(workers);
    failed_count += kept < 4.9 || kept > 5.1;
    printf("%d switches each way, %u wrong\n", (ROUNDS + 1) * CONTEXT_COUNT, failed_count);
    return failed_count > 0;
}
