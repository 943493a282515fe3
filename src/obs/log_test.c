/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a log line is always one line of at most 1 KiB, whatever is put into it; it carries the
 * sink's time; lines below the sink's level cost no call to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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
        assert_int_equal(obs_level_find(obs_level_name((enum obs_level)level)), level);
    assert_int_equal(obs_level_find(""), -1);
    assert_int_equal(obs_level_find("INFO"), -1);
    assert_int_equal(obs_level_find("verbose"), -1);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
