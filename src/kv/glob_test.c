/* SPDX-License-Identifier: Apache-2.0 */
/* Goal: patterns match what Redis' match, end within their bound, and never read past their bytes.
 */
#include "kv/glob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void
test_rows(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } rows[] = {
        {"", "", true},          {"", "a", false},
        {"a", "", false},        {"*", "", true},
        {"**", "", true},        {"*", "abc", true},
        {"?", "", false},        {"?", "a", true},
        {"?", "ab", false},      {"a*c", "abbbc", true},
        {"a*c", "abbb", false},  {"*a*b*", "xxaxxbxx", true},
        {"*ab", "aab", true},    {"[abc]", "b", true},
        {"[abc]", "d", false},   {"[^abc]", "d", true},
        {"[^abc]", "a", false},  {"[a-c]x", "bx", true},
        {"[c-a]", "b", true},    {"[a-]", "-", false},
        {"[a-]", "`", true},     {"[a-", "a", true},
        {"[", "a", false},       {"[^", "a", true},
        {"[abc", "b", true},     {"[]", "a", false},
        {"[\\]]", "]", true},    {"[a\\-z]", "-", true},
        {"[a\\-z]", "b", false}, {"\\*", "*", true},
        {"\\*", "a", false},     {"a\\", "a\\", true},
        {"\\", "\\", true},      {"h[ae]llo*", "hallo!", true},
        {"A", "a", false},       {"[*]", "*", true},
        {"[*]", "a", false},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        /* Copies of exactly the size: the sanitizer sees a read past the end. */
        size_t pattern_bytes = strlen(rows[i].pattern), text_bytes = strlen(rows[i].text);
        uint8_t *pattern = mem_alloc(pattern_bytes), *text = mem_alloc(text_bytes);
        memcpy(pattern, rows[i].pattern, pattern_bytes);
        memcpy(text, rows[i].text, text_bytes);
        if (kv_glob_match(pattern, pattern_bytes, text, text_bytes) != rows[i].match)
            fail_msg("%s with %s", rows[i].pattern, rows[i].text);
        mem_free(pattern);
        mem_free(text);
    }
    assert_true(kv_glob_match("a*\0?", 4, "axx\0y", 5));
}

static void
test_many_stars_end(void **state)
{
    char pattern[201], text[2000];
    for (size_t i = 0; i < 200; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[200] = 'b';
    memset(text, 'a', sizeof(text));
    assert_false(kv_glob_match(pattern, sizeof(pattern), text, sizeof(text)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_many_stars_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
