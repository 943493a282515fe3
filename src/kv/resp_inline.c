/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/resp.h"

#include "skein/error.h"

/*
 * Inline commands: words between blanks. Inside "..." the escapes \n \r \t \b \a \xHH and \c (any
 * other character, as it is); inside '...' only \'. A closing quote must end its word. A NUL ends
 * the line, as in Redis, which reads it as a C string.
 */

struct splitter {
    struct kv_resp *parser;
    const uint8_t *at;
    const uint8_t *end;
};

static bool
is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static uint8_t
escaped(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* Behind the opening quote; false: not closed, or closed in the middle of a word. */
static bool
take_quoted(struct splitter *s, uint8_t quote)
{
    struct wire_writer *out = &s->parser->scratch;
    while (s->at < s->end) {
        size_t left = (size_t)(s->end - s->at);
        uint8_t c = *s->at++;
        if (c == quote)
            return s->at == s->end || is_blank(*s->at);
        if (c == '\\' && left > 1 && quote == '\'') {
            if (*s->at == '\'')
                c = *s->at++;
        } else if (c == '\\' && left > 3 && s->at[0] == 'x' && hex_digit(s->at[1]) >= 0 &&
                   hex_digit(s->at[2]) >= 0) {
            c = (uint8_t)(hex_digit(s->at[1]) * 16 + hex_digit(s->at[2]));
            s->at += 3;
        } else if (c == '\\' && left > 1) {
            c = escaped(*s->at++);
        }
        wire_put_u8(out, c);
    }
    return false;
}

static bool
take_word(struct splitter *s)
{
    while (s->at < s->end && !is_blank(*s->at)) {
        uint8_t c = *s->at++;
        if (c == '"' || c == '\'')
            return take_quoted(s, c);
        wire_put_u8(&s->parser->scratch, c);
    }
    return true;
}

int
kv_resp_split_line(struct kv_resp *parser, const uint8_t *line, size_t count)
{
    const uint8_t *nul = count ? memchr(line, 0, count) : NULL;
    struct splitter s = {.parser = parser, .at = line, .end = nul ? nul : line + count};
    parser->scratch.count = 0;
    parser->argc = 0;
    for (;;) {
        while (s.at < s.end && is_blank(*s.at))
            s.at++;
        if (s.at == s.end)
            break;
        size_t begin = parser->scratch.count;
        if (!take_word(&s))
            return -SKEIN_EPROTO;
        mem_grow(&parser->argv, &parser->argv_capacity, parser->argc, sizeof(parser->argv[0]));
        parser->argv[parser->argc++] = (struct kv_arg){.data = (const uint8_t *)(uintptr_t)begin,
                                                       .count = parser->scratch.count - begin};
    }
    /* The scratch does not move any more; an empty argument still needs an address. */
    wire_put_u8(&parser->scratch, 0);
    for (uint32_t i = 0; i < parser->argc; i++)
        parser->argv[i].data = parser->scratch.data + (uintptr_t)parser->argv[i].data;
    return 0;
}
