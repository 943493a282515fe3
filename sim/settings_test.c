/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what is set is what the plan has, whatever was drawn; what is no setting is refused with
 * the reason, and leaves nothing behind; what is printed is read again as the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "sim/settings.h"
#include "skein/error.h"

static void
bad_ones_are_refused(void **state)
{
    static const char *const bad[] = {
        "",         "loss",         "loss=",        "loss=5",
        "loss=31%", "loss=-1%",     "loss=5.55%",   "loss=1e3%",
        "flood=on", "crash=often",  "crash=1001",   "latency-shape=square",
        "tcp=2",    "tick-ms=0",    "tick-ms=on",   "tick-ms=99999999999999999999",
        "LOSS=5%",  "loss=5% more", "think-ms=5ms", "aimed-write=11%",
    };
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        struct sim_settings settings = {0};
        char why[SIM_SETTINGS_WHY_BYTES] = "";
        int rc = sim_settings_take(&settings, bad[i], why);
        assert_int_equal(rc, -SKEIN_EINVALID);
        assert_true(why[0] != '\0');
        assert_int_equal(settings.count, 0);
    }
}

static void
what_is_set_is_in_the_plan(void **state)
{
    struct sim_settings settings = {0};
    struct sim_plan plan = {.latency_ns_min = 500, .latency_ns_max = 1000};
    char why[SIM_SETTINGS_WHY_BYTES];
    plan.weights[SIM_FAULT_WIPE] = 7;
    plan.weights[SIM_FAULT_FLIP] = 3;
    assert_int_equal(sim_settings_list(&settings,
                                       "loss=2.5%,crash=40,wipe=off,torn=on,tcp=on,"
                                       "latency-shape=heavy,latency-min-us=20,think-ms=9,loss=30%",
                                       why),
                     0);
    assert_int_equal(settings.count, 8);
    sim_settings_apply(&settings, &plan);
    assert_int_equal(plan.always.loss, 300);
    assert_int_equal(plan.always.torn, 500);
    assert_int_equal(plan.always.repeat, 0);
    assert_int_equal(plan.weights[SIM_FAULT_CRASH], 40);
    assert_int_equal(plan.weights[SIM_FAULT_WIPE], 0);
    assert_int_equal(plan.weights[SIM_FAULT_FLIP], 3);
    assert_true(plan.link_tcp);
    assert_int_equal(plan.latency_shape, SIM_NET_HEAVY);
    assert_int_equal(plan.latency_ns_min, 20000);
    assert_int_equal(plan.latency_ns_max, 20000);
    assert_int_equal(plan.think_ns_max, 9 * SIM_MS);
}

static int
read_text(const char *text, struct sim_settings *settings, char *why)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    int rc = sim_settings_read(settings, file, why);
    fclose(file);
    return rc;
}

static void
a_file_is_read_by_lines(void **state)
{
    struct sim_settings settings = {0};
    char why[SIM_SETTINGS_WHY_BYTES], longer[400];
    assert_int_equal(read_text("# a plan\n\n  crash = off # none\nloss=5%", &settings, why), 0);
    assert_int_equal(settings.count, 2);
    assert_int_equal(sim_settings_list(&settings, "loss=5%,more", why), -SKEIN_EINVALID);
    assert_int_equal(read_text("loss = 5%\n\nloss\n", &settings, why), -SKEIN_EINVALID);
    assert_non_null(strstr(why, "line 3: "));
    memset(longer, ' ', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(read_text(longer, &settings, why), -SKEIN_EINVALID);
    assert_non_null(strstr(why, "line 1: longer"));
}

static void
what_is_printed_is_read_again(void **state)
{
    struct sim_settings settings = {0}, again = {0};
    char why[SIM_SETTINGS_WHY_BYTES], text[512] = "";
    assert_int_equal(
        sim_settings_list(&settings, "rot=12,loss=0.1%,latency-shape=two-peaks,tcp=off,tick-ms=33",
                          why),
        0);
    FILE *file = fmemopen(text, sizeof(text), "w");
    sim_settings_print(&settings, file);
    fclose(file);
    assert_int_equal(sim_settings_list(&again, text, why), 0);
    assert_int_equal(again.count, settings.count);
    for (uint32_t i = 0; i < again.count; i++) {
        assert_int_equal(again.items[i].row, settings.items[i].row);
        assert_int_equal(again.items[i].value, settings.items[i].value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(what_is_set_is_in_the_plan),
        cmocka_unit_test(a_file_is_read_by_lines),
        cmocka_unit_test(what_is_printed_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
