/* SPDX-License-Identifier: Apache-2.0 */
/* Some fibers, parked in different places, for gdb to look at: see gdb_test.sh. */
#include "core/clock_world.h"

void look_here(void);
int alpha_waits_deep_down(struct skein_waitq *q);
void beta_sleeps(void *arg);

__attribute__((noinline)) void
look_here(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) int
alpha_waits_deep_down(struct skein_waitq *q)
{
    int rc = skein_wait(q, SKEIN_NEVER);
    __asm__ volatile("" : "+r"(rc)); /* no tail call: the frame stays */
    return rc;
}

static void
alpha(void *arg)
{
    int rc = alpha_waits_deep_down(arg);
    __asm__ volatile("" : "+r"(rc));
}

__attribute__((noinline)) void
beta_sleeps(void *arg)
{
    int rc = skein_sleep(5000);
    __asm__ volatile("" : "+r"(rc));
}

static void
gamma_begins(void *arg)
{
}

static int
parked_main(void *arg)
{
    struct skein_waitq q;
    struct skein_scope scope;
    skein_waitq_init(&q);
    skein_scope_init(&scope);
    if (skein_spawn(&scope, "alpha", alpha, &q, SKEIN_STACK_SMALL) < 0 ||
        skein_spawn(&scope, "beta", beta_sleeps, NULL, SKEIN_STACK_SMALL) < 0)
        return 1;
    skein_yield();
    if (skein_spawn(&scope, "gamma", gamma_begins, NULL, SKEIN_STACK_SMALL) < 0)
        return 1;
    look_here();
    skein_scope_cancel(&scope);
    skein_scope_join(&scope);
    return 0;
}

int
main(void)
{
    struct clock_world world;
    clock_world_open(&world);
    int rc = clock_world_run(&world, (struct skein_shard_options){0}, parked_main, NULL);
    clock_world_close(&world);
    return rc;
}
