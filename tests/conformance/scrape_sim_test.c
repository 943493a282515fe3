/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: metrics, their HTTP port and scheduling groups work in the simulator, and the same seed
 * gives the same text twice, byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kv/scrape.h"
#include "obs/metric_check.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/group.h"

#define TEXT_BYTES 65536
#define SEED_COUNT 5

struct run {
    char text[TEXT_BYTES];
    size_t bytes;
    bool done;
    int result;
};

static void
on_exit_of_main(struct sim_host *host, int result)
{
    struct run *run = host->world->owner;
    run->done = true;
    run->result = result;
    sim_world_stop(host->world);
}

static void
busy(void *arg)
{
    for (int i = 0; i < 100; i++)
        skein_yield();
}

static void
sleepy(void *arg)
{
    for (int i = 0; i < 20; i++)
        if (skein_sleep(skein_deadline_in(skein_random() % SIM_MS)) < 0)
            return;
}

/* Work in three groups, so that there is something to tell. */
static int
work(void)
{
    struct skein_scope scope;
    skein_scope_init(&scope);
    int rc = skein_spawn_in(skein_group_preset(SKEIN_PRIORITY_IDLE), &scope, "busy", busy, NULL,
                            SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = skein_spawn_in(skein_group_preset(SKEIN_PRIORITY_HIGH), &scope, "sleepy", sleepy, NULL,
                            SKEIN_STACK_SMALL);
    if (rc == 0)
        rc = skein_spawn(&scope, "busy", busy, NULL, SKEIN_STACK_SMALL);
    skein_scope_join(&scope);
    return rc;
}

static int
fetch(struct run *run, const struct skein_addr *addr)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: sim\r\n\r\n";
    int handle = skein_socket_connect(addr, SKEIN_NEVER);
    if (handle < 0)
        return handle;
    ssize_t n = skein_socket_send(handle, request, strlen(request), SKEIN_NEVER);
    while (n >= 0) {
        n = skein_socket_recv(handle, run->text + run->bytes, TEXT_BYTES - 1 - run->bytes,
                              SKEIN_NEVER);
        if (n <= 0)
            break;
        run->bytes += (size_t)n;
    }
    skein_close(handle);
    return n < 0 ? (int)n : 0;
}

static int
host_main(void *arg)
{
    struct run *run = arg;
    struct kv_scrape *scrape = NULL;
    char why[512];
    struct skein_addr addr = {.ip = {[10] = 255, [11] = 255, [12] = 10, [15] = 1}, .port = 7201};
    int rc = work();
    if (rc == 0)
        rc = kv_scrape_open(&scrape, &addr, why);
    if (rc < 0)
        return rc;
    addr = kv_scrape_addr(scrape);
    rc = fetch(run, &addr);
    kv_scrape_stop(scrape);
    return rc;
}

static void
run_seed(struct run *run, uint64_t seed)
{
    struct sim_world world;
    memset(run, 0, sizeof(*run));
    sim_world_open(&world, seed, NULL);
    world.owner = run;
    struct sim_host *host = sim_host_add(&world, sim_disk_open(&world));
    host->main_fn = host_main;
    host->main_arg = run;
    host->on_exit = on_exit_of_main;
    sim_host_start(host);
    assert_true(sim_world_run(&world, 3600 * SIM_SECOND));
    assert_true(run->done);
    assert_int_equal(run->result, 0);
    sim_world_close(&world);
}

static void
a_scrape_is_the_seeds(void **state)
{
    struct run *first = malloc(sizeof(*first)), *second = malloc(sizeof(*second));
    assert_true(first && second);
    for (uint64_t seed = 1; seed <= SEED_COUNT; seed++) {
        struct metric_check check = {0};
        run_seed(first, seed);
        run_seed(second, seed);
        assert_string_equal(first->text, second->text);
        assert_memory_equal(first->text, "HTTP/1.1 200 OK\r\n", 17);
        const char *body = strstr(first->text, "\r\n\r\n");
        assert_non_null(body);
        metric_check_prometheus(&check, body + 4, strlen(body + 4), false);
        assert_string_equal(check.why, "");
        metric_check_deinit(&check);
        assert_non_null(strstr(body, "\nskein_group_switches_total{group=\"idle\"} 101\n"));
        assert_non_null(strstr(body, "\nskein_group_switches_total{group=\"high\"} 21\n"));
    }
    free(first);
    free(second);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_scrape_is_the_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
