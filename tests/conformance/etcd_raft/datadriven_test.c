/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: a file that is not of the format is refused with its line, both forms of output are read as
 * they are written, and a difference is never taken for none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <skein/error.h>

#include "base/mem.h"
#include "etcd_raft/datadriven.h"

static void
refused(const char *content, const char *why_part)
{
    struct datadriven_file file;
    char why[256] = "";
    /* No byte behind the content may be looked at. */
    size_t bytes = strlen(content);
    char *exact = mem_alloc(bytes);
    memcpy(exact, content, bytes);
    assert_int_equal(datadriven_parse(exact, bytes, &file, why), -SKEIN_EPROTO);
    assert_non_null(strstr(why, why_part));
    mem_free(exact);
}

static struct datadriven_file
parsed(const char *content)
{
    struct datadriven_file file;
    char why[256];
    assert_int_equal(datadriven_parse(content, strlen(content), &file, why), 0);
    return file;
}

static void
test_malformed(void **state)
{
    char why[256];
    struct datadriven_file file;
    refused("simple\nv1\n", "line 1");
    refused("# a\n\nsimple", "line 3");
    refused("simple x=(1,2\n----\n", "parenthesis");
    refused("simple x=(1)2\n----\n", "parenthesis");
    refused("simple =3\n----\n", "without a name");
    refused("a\n----\n----\nx\n----\n", "do not end");
    refused("a\n----\n----\nx\n----\n----\nmore\n", "line 7");
    assert_int_equal(datadriven_parse("a\0b", 3, &file, why), -SKEIN_EPROTO);
}

static void
test_nothing(void **state)
{
    struct datadriven_file file = parsed("\n# only this\n\n");
    assert_int_equal(file.block_count, 0);
    datadriven_file_deinit(&file);
    assert_int_equal(datadriven_parse("", 0, &file, NULL), 0);
    datadriven_file_deinit(&file);
}

static void
test_blocks(void **state)
{
    struct datadriven_file file = parsed("# comment\n"
                                         "one a=(1, 2,_) b=x bare \\\n"
                                         "  c=(3)\n"
                                         " v1\n"
                                         "v2 \n"
                                         "----\n"
                                         "first\n"
                                         "  # second\n"
                                         "\n"
                                         "two\r\n"
                                         "----\r\n"
                                         "\n"
                                         "three\n"
                                         "----\n"
                                         "----\n"
                                         "\n"
                                         "x\n"
                                         "----\n"
                                         "y\n"
                                         "\n"
                                         "----\n"
                                         "----\n"
                                         "\n"
                                         "four\n"
                                         "----\n"
                                         "no line end");
    assert_int_equal(file.block_count, 4);
    const struct datadriven_block *one = &file.blocks[0];
    assert_string_equal(one->command, "one");
    assert_int_equal(one->line, 2);
    assert_int_equal(one->arg_count, 4);
    assert_int_equal(one->args[0].value_count, 3);
    assert_string_equal(one->args[0].values[1], "2");
    assert_string_equal(one->args[0].values[2], "_");
    assert_string_equal(datadriven_arg_find(one, "b")->values[0], "x");
    assert_int_equal(datadriven_arg_find(one, "bare")->value_count, 0);
    assert_string_equal(datadriven_arg_find(one, "c")->values[0], "3");
    assert_null(datadriven_arg_find(one, "d"));
    assert_string_equal(one->input, "v1\nv2");
    assert_string_equal(one->expected, "first\n  # second\n");
    assert_string_equal(file.blocks[1].command, "two");
    assert_string_equal(file.blocks[1].input, "");
    assert_string_equal(file.blocks[1].expected, "");
    assert_string_equal(file.blocks[2].expected, "\nx\n----\ny\n\n");
    assert_string_equal(file.blocks[3].expected, "no line end\n");
    datadriven_file_deinit(&file);
}

static void
test_numbers(void **state)
{
    uint64_t number = 3;
    assert_false(datadriven_number("", &number));
    assert_false(datadriven_number("-1", &number));
    assert_false(datadriven_number("1 ", &number));
    assert_false(datadriven_number("18446744073709551616", &number));
    assert_int_equal(number, 3);
    assert_true(datadriven_number("18446744073709551615", &number));
    assert_true(number == UINT64_MAX);
}

/* Prints its input. */
static void *
echo_open(void)
{
    return NULL;
}

static void
echo_close(void *env)
{
}

static int
echo_run(void *env, const struct datadriven_block *block, struct text *out)
{
    text_printf(out, "%s", block->input);
    return strcmp(block->command, "fail") == 0 ? -SKEIN_EPROTO : 0;
}

static const struct datadriven_handler echo = {"echo", echo_open, echo_run, echo_close};

static struct datadriven_totals
run(const char *content, const char *report_part)
{
    struct datadriven_totals totals = {0};
    struct text report = {0};
    datadriven_run(&echo, "f", content, strlen(content), &report, &totals);
    if (!strstr(text_str(&report), report_part))
        fail_msg("\"%s\" lacks \"%s\"", text_str(&report), report_part);
    text_deinit(&report);
    return totals;
}

static void
test_compare(void **state)
{
    struct datadriven_totals totals = run("a\nx\n----\ny\n\nb\nx\n----\nx\n", "f:1: a\n");
    assert_int_equal(totals.blocks, 2);
    assert_int_equal(totals.differing_blocks, 1);
    assert_int_equal(totals.differing_files, 1);
    run("a k=(1,2)\n1\n2\n3\n----\n1\n3\n4\n", "a k=(1,2)\n      1\n    + 2\n      3\n    - 4\n");
    assert_int_equal(run("a\nx\n----\nx\nx\n", "- x").differing_blocks, 1);
    assert_int_equal(run("a\nx y\n----\nx  y\n", "- x  y").differing_blocks, 1);
    totals = run("fail\nwhy\n----\n\na\n----\n", "f:1: fail: why");
    assert_int_equal(totals.malformed_files, 1);
    assert_int_equal(totals.blocks, 1);
}

static void
test_logger_lines(void **state)
{
    assert_int_equal(run("a\nx\n----\nINFO y\n  WARN z\nx\n", "").differing_blocks, 0);
    assert_int_equal(run("a\nDEBUG y\nx\n----\nx\n", "").differing_blocks, 0);
    assert_int_equal(run("a\nok\n----\nERROR y\n", "").differing_blocks, 0);
    assert_int_equal(run("a\nINFO y\n----\nok\n", "").differing_blocks, 0);
    assert_int_equal(run("a\nok\n----\n", "+ ok").differing_blocks, 1);
    assert_int_equal(run("a\nx\n----\nERROR y\n", "+ x").differing_blocks, 1);
    assert_int_equal(run("a\nx\n----\nx\nINFORMED y\n", "- INFORMED").differing_blocks, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_blocks),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_compare),   cmocka_unit_test(test_logger_lines),
    };
    return cmocka_run_group_tests_name("datadriven", tests, NULL, NULL);
}
