/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the metrics of several shards, on threads of their own, come together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/check.h"
#include "skein/fiber.h"
#include "skein/metrics.h"
#include "skein/runtime.h"

#define SHARDS 3

static const struct skein_metric row = {"t_calls_total", "x", SKEIN_COUNTER, 0, sizeof(uint64_t)};

struct fixture {
    struct check check;
    uint64_t counts[SHARDS];
    char text[65536];
    size_t bytes;
};

static int64_t
count_here(void *arg)
{
    struct fixture *f = arg;
    uint64_t *count = &f->counts[skein_shard_index()];
    *count = 10 + skein_shard_index();
    return skein_metrics_add(skein_shard_metrics(), count, &row, 1, NULL, 0);
}

static int64_t
forget_here(void *arg)
{
    struct fixture *f = arg;
    skein_metrics_remove(skein_shard_metrics(), &f->counts[skein_shard_index()]);
    return 0;
}

static int
put(void *owner, const char *text, size_t bytes)
{
    struct fixture *f = owner;
    if (bytes > sizeof(f->text) - 1 - f->bytes)
        return -SKEIN_ETOOBIG;
    memcpy(f->text + f->bytes, text, bytes);
    f->bytes += bytes;
    return 0;
}

static int
gather_main(void *arg)
{
    struct fixture *f = arg;
    struct skein_snapshot *snapshot = skein_snapshot_open();
    CHECK(&f->check, skein_shard_count() == SHARDS);
    CHECK(&f->check, skein_call_all(count_here, f, NULL, SKEIN_NEVER) == 0);
    CHECK(&f->check, skein_metrics_gather(snapshot, SKEIN_NEVER) == 0);
    CHECK(&f->check, skein_snapshot_write(snapshot, SKEIN_FORMAT_PROMETHEUS, 0, put, f) == 0);
    CHECK(&f->check, strstr(f->text, "\nt_calls_total 33\n") != NULL);
    /* Each shard's own figures are in it: "main" lives on one of them only. */
    CHECK(&f->check, strstr(f->text, "\nskein_group_shares{group=\"normal\"} 1000\n") != NULL);
    skein_snapshot_close(snapshot);
    /* Once more into the same: it adds up, as another process's would. */
    snapshot = skein_snapshot_open();
    CHECK(&f->check, skein_metrics_gather(snapshot, SKEIN_NEVER) == 0);
    CHECK(&f->check, skein_metrics_gather(snapshot, SKEIN_NEVER) == 0);
    f->bytes = 0;
    CHECK(&f->check, skein_snapshot_write(snapshot, SKEIN_FORMAT_PROMETHEUS, 0, put, f) == 0);
    CHECK(&f->check, strstr(f->text, "\nt_calls_total 66\n") != NULL);
    skein_snapshot_close(snapshot);
    CHECK(&f->check, skein_call_all(forget_here, f, NULL, SKEIN_NEVER) == 0);
    return 7;
}

static void
shards_come_together(void **state)
{
    struct skein_runtime_options options = SKEIN_RUNTIME_OPTIONS_INIT;
    struct fixture *f = mem_zalloc(sizeof(*f));
    char why[SKEIN_WHY_BYTES];
    int result = 0;
    options.shard_count = SHARDS;
    options.pin = false;
    assert_int_equal(skein_runtime_run(&options, gather_main, f, &result, why), 0);
    assert_int_equal(result, 7);
    assert_int_equal(f->check.failed_count, 0);
    mem_free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shards_come_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
