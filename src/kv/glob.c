/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/glob.h"

#include <stdint.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

/* Behind the opening bracket: whether @c is in the class. An unclosed class ends with the pattern.
 */
static bool
match_class(struct cursor *pattern, uint8_t c)
{
    bool negated = pattern->at < pattern->end && *pattern->at == '^';
    bool found = false;
    pattern->at += negated;
    while (pattern->at < pattern->end && *pattern->at != ']') {
        size_t left = (size_t)(pattern->end - pattern->at);
        if (pattern->at[0] == '\\' && left >= 2) {
            found |= pattern->at[1] == c;
            pattern->at += 2;
        } else if (left >= 3 && pattern->at[1] == '-') {
            uint8_t low = pattern->at[0], high = pattern->at[2];
            found |= low <= high ? low <= c && c <= high : high <= c && c <= low;
            pattern->at += 3;
        } else {
            found |= *pattern->at++ == c;
        }
    }
    pattern->at += pattern->at < pattern->end;
    return found != negated;
}

/* One element that is not a star, against one byte; moves behind the element. */
static bool
match_one(struct cursor *pattern, uint8_t c)
{
    uint8_t first = *pattern->at++;
    if (first == '?')
        return true;
    if (first == '[')
        return match_class(pattern, c);
    if (first == '\\' && pattern->at < pattern->end)
        first = *pattern->at++;
    return first == c;
}

bool
kv_glob_match(const void *pattern_data, size_t pattern_bytes, const void *text, size_t text_bytes)
{
    const uint8_t *p = pattern_data;
    struct cursor pattern = {.at = p, .end = pattern_bytes ? p + pattern_bytes : p};
    const uint8_t *star = NULL; /* behind the last star */
    size_t at = 0, star_at = 0; /* in the text; where the star's match ends so far */
    const uint8_t *t = text;
    while (at < text_bytes) {
        if (pattern.at < pattern.end && *pattern.at == '*') {
            star = ++pattern.at;
            star_at = at;
        } else if (pattern.at < pattern.end && match_one(&pattern, t[at])) {
            at++;
        } else if (star) {
            pattern.at = star;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (pattern.at < pattern.end && *pattern.at == '*')
        pattern.at++;
    return pattern.at == pattern.end;
}
