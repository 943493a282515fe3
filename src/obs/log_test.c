/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a log line is always one line of at most 1 KiB, whatever is put into it; it carries the
 * sink's time; lines below the sink's level cost no call to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "obs/log.h"

struct recorder {
    uint64_t now_ns;
    char text[2048];
    uint64_t bytes;
    int lines;
};

static uint64_t
recorder_wall_ns(void *owner)
{
    return ((struct recorder *)owner)->now_ns;
}

static void
recorder_write(void *owner, const char *line, uint64_t line_bytes)
{
    struct recorder *r = owner;
    assert_true(line_bytes < sizeof(r->text));
    memcpy(r->text, line, line_bytes);
    r->text[line_bytes] = '\0';
    r->bytes = line_bytes;
    r->lines++;
}

static struct obs_sink
sink_of(struct recorder *r)
{
    return (struct obs_sink){
        .owner = r, .level = OBS_INFO, .wall_ns = recorder_wall_ns, .write = recorder_write};
}

static void
control_characters_cannot_start_a_line(void **state)
{
    struct recorder r = {0};
    struct obs_sink sink = sink_of(&r);
    obs_set_sink(&sink);
    obs_log(OBS_WARN, "net", "bad\nevent", "a=%s", "x\ny\r\x1b[31m");
    assert_string_equal(r.text,
                        "1970-01-01T00:00:00.000000Z warn net \"bad\\nevent\" a=x?y??[31m\n");
    obs_set_sink(NULL);
}

static void
a_long_line_is_cut_and_marked(void **state)
{
    struct recorder r = {0};
    struct obs_sink sink = sink_of(&r);
    char big[5000];
    memset(big, 'v', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    obs_set_sink(&sink);
    obs_log(OBS_INFO, "kv", "e", "v=%s", big);
    assert_int_equal(r.bytes, 1024);
    assert_string_equal(r.text + 1019, "v...\n");
    /* the longest line that is whole: one byte less than the cut one */
    big[r.bytes - strlen("1970-01-01T00:00:00.000000Z info kv e v=\n")] = '\0';
    obs_log(OBS_INFO, "kv", "e", "v=%s", big);
    assert_int_equal(r.bytes, 1024);
    assert_string_equal(r.text + 1019, "vvvv\n");
    obs_set_sink(NULL);
}

static void
levels_below_the_sinks_are_dropped(void **state)
{
    struct recorder r = {0};
    struct obs_sink sink = sink_of(&r);
    assert_false(obs_enabled(OBS_ERROR));
    obs_log(OBS_ERROR, "x", "nobody listens", NULL);
    assert_null(obs_set_sink(&sink));
    assert_false(obs_enabled(OBS_DEBUG));
    obs_log(OBS_DEBUG, "x", "y", "z=1");
    assert_int_equal(r.lines, 0);
    obs_log(OBS_ERROR, "x", "y", "%s", "");
    assert_int_equal(r.lines, 1);
    assert_ptr_equal(obs_set_sink(NULL), &sink);
}

static void
time_is_a_utc_date(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *date;
    } cases[] = {{951782400, "2000-02-29T00:00:00"},  {1709251199, "2024-02-29T23:59:59"},
                 {1709251200, "2024-03-01T00:00:00"}, {1767225599, "2025-12-31T23:59:59"},
                 {4107542400, "2100-03-01T00:00:00"}, {1795208400, "2026-11-20T21:00:00"}};
    struct recorder r = {0};
    struct obs_sink sink = sink_of(&r);
    obs_set_sink(&sink);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r.now_ns = cases[i].seconds * 1000000000 + 123999;
        obs_log(OBS_INFO, "raft", "became leader", "term=%d", 7);
        assert_memory_equal(r.text, cases[i].date, strlen(cases[i].date));
        assert_string_equal(r.text + strlen(cases[i].date),
                            ".000123Z info raft \"became leader\" term=7\n");
    }
    obs_set_sink(NULL);
}

static void
quoting_is_bounded_at_every_size(void **state)
{
    char out[64];
    assert_string_equal(obs_quote(out, sizeof(out), "", 0), "\"\"");
    assert_string_equal(obs_quote(out, sizeof(out), "a b", 3), "\"a b\"");
    assert_string_equal(obs_quote(out, sizeof(out), "\"\\\n\x01\xff", 5),
                        "\"\\\"\\\\\\n\\x01\\xff\"");
    assert_string_equal(obs_quote(out, 8, "abcde", 5), "\"abcde\"");
    assert_string_equal(obs_quote(out, 8, "abcdef", 6), "\"ab...\"");
    for (uint64_t room = 8; room <= 40; room++) {
        memset(out, 'Z', sizeof(out));
        obs_quote(out, room, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0b\x0c", 11);
        assert_true(strlen(out) < room);
        assert_int_equal(out[strlen(out) - 1], '"');
        assert_int_equal(out[room], 'Z');
    }
}

static void
names_and_levels_agree(void **state)
{
    for (int level = OBS_DEBUG; level <= OBS_ERROR; level++)
        assert_int_equal(skein_log_level_find(skein_log_level_name((enum obs_level)level)), level);
    assert_int_equal(skein_log_level_find(""), -1);
    assert_int_equal(skein_log_level_find("INFO"), -1);
    assert_int_equal(skein_log_level_find("verbose"), -1);
}

static void
levels_are_read_and_written(void **state)
{
    static const struct {
        const char *text, *written;
    } good[] = {
        {"info", "info"},
        {"off", "off"},
        {"raft=debug", "debug,raft=debug"},
        {"warn,raft=debug,kv=off", "warn,raft=debug,kv=off"},
        {"kv=off,error,kv=info", "error,kv=info"},
        {"a-b_9=warn", "debug,a-b_9=warn"},
    };
    static const char *const bad[] = {
        "",       ",",        "info,",       "verbose",
        "INFO",   "raft=",    "=debug",      "raft=loud",
        "R=info", "a b=info", "raft==debug", "abcdefghijklmnopqrstuvwx=info"};
    char why[256], text[SKEIN_LOG_LEVELS_BYTES];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct skein_log_levels levels = {0}, again = {0};
        assert_int_equal(skein_log_levels_parse(&levels, good[i].text, why), 0);
        assert_string_equal(skein_log_levels_text(&levels, text), good[i].written);
        assert_int_equal(skein_log_levels_parse(&again, text, why), 0);
        assert_memory_equal(&again, &levels, sizeof(levels));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct skein_log_levels levels = {.fallback = SKEIN_LOG_WARN};
        assert_int_equal(skein_log_levels_parse(&levels, bad[i], why), -SKEIN_EINVALID);
        assert_non_null(strstr(why, "module=level"));
        assert_string_equal(skein_log_levels_text(&levels, text), "warn");
    }
    /* As many modules as there may be, with the longest names, have room; one more has not. */
    struct skein_log_levels levels = {0};
    char item[64];
    for (int i = 0; i <= SKEIN_LOG_MODULES_MAX; i++) {
        snprintf(item, sizeof(item), "module-with-long-nam-%02d=debug", i);
        assert_int_equal(skein_log_levels_parse(&levels, item, why),
                         i < SKEIN_LOG_MODULES_MAX ? 0 : -SKEIN_EINVALID);
    }
    skein_log_levels_text(&levels, text);
}

static int
must_not_be_called(void)
{
    fail();
    return 0;
}

static void
modules_have_levels_of_their_own(void **state)
{
    struct recorder r = {0};
    struct obs_sink sink = sink_of(&r);
    struct skein_log_levels levels = {0}, got;
    char why[256], text[SKEIN_LOG_LEVELS_BYTES];
    assert_int_equal(skein_log_set_levels(&levels), -SKEIN_ENOTFOUND);
    assert_false(skein_log_get_levels(&got));
    obs_set_sink(&sink);
    assert_int_equal(skein_log_levels_parse(&levels, "warn,raft=debug,net=off", why), 0);
    assert_int_equal(skein_log_set_levels(&levels), 0);
    obs_log(OBS_DEBUG, "raft", "a", NULL);
    assert_int_equal(r.lines, 1);
    obs_log(OBS_INFO, "kv", "b", NULL);
    assert_int_equal(r.lines, 1);
    obs_log(OBS_WARN, "kv", "b", NULL);
    assert_int_equal(r.lines, 2);
    obs_log(OBS_ERROR, "net", "c", NULL);
    assert_int_equal(r.lines, 2);
    assert_true(skein_log_get_levels(&got));
    assert_string_equal(skein_log_levels_text(&got, text), "warn,raft=debug,net=off");
    /* Nobody logs it: not even the arguments are looked at. */
    assert_int_equal(skein_log_levels_parse(&levels, "raft=error", why), 0);
    assert_int_equal(skein_log_set_levels(&levels), 0);
    obs_log(OBS_INFO, "kv", "d", "x=%d", must_not_be_called());
    assert_int_equal(sink.counts.lines[SKEIN_LOG_WARN], 1);
    assert_int_equal(sink.counts.lines[SKEIN_LOG_DEBUG], 1);
    obs_set_sink(NULL);
    obs_log(OBS_ERROR, "kv", "d", "x=%d", must_not_be_called());
}

static void
repetitions_are_counted_instead(void **state)
{
    struct recorder r = {.now_ns = 1000 * 1000000000ull};
    struct obs_sink sink = sink_of(&r);
    sink.lines_per_second = 3;
    obs_set_sink(&sink);
    for (int i = 0; i < 10; i++)
        obs_log(OBS_WARN, "kv", "full", "n=%d", i);
    assert_int_equal(r.lines, 3);
    assert_non_null(strstr(r.text, "kv full n=2\n"));
    obs_log(OBS_WARN, "kv", "other", NULL);
    obs_log(OBS_WARN, "net", "full", NULL);
    assert_int_equal(r.lines, 5);
    r.now_ns += 999999999; /* the same second */
    obs_log(OBS_WARN, "kv", "full", "n=10");
    assert_int_equal(r.lines, 5);
    r.now_ns += 1;
    obs_log(OBS_WARN, "kv", "full", "n=11");
    assert_int_equal(r.lines, 6);
    assert_non_null(strstr(r.text, "kv full suppressed=8 n=11\n"));
    obs_log(OBS_WARN, "kv", "full", "n=12");
    assert_non_null(strstr(r.text, "kv full n=12\n"));
    assert_int_equal(sink.counts.suppressed, 8);
    /* More events than there is room for: some go on unlimited, none is lost by it. */
    int before = r.lines;
    for (int i = 0; i < 1000; i++) {
        char event[16];
        snprintf(event, sizeof(event), "event%d", i);
        obs_log(OBS_WARN, "kv", event, NULL);
    }
    assert_int_equal(r.lines, before + 1000);
    obs_set_sink(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_cannot_start_a_line),
        cmocka_unit_test(a_long_line_is_cut_and_marked),
        cmocka_unit_test(levels_below_the_sinks_are_dropped),
        cmocka_unit_test(time_is_a_utc_date),
        cmocka_unit_test(quoting_is_bounded_at_every_size),
        cmocka_unit_test(names_and_levels_agree),
        cmocka_unit_test(levels_are_read_and_written),
        cmocka_unit_test(modules_have_levels_of_their_own),
        cmocka_unit_test(repetitions_are_counted_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
