/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim/linear/read.h"

/*
 * A line that is one map of EDN (the data notation of Clojure), of which this much is understood:
 * keywords, integers, strings, nil, and vectors of two such for a cas.
 *
 *   {:process 0, :type :invoke, :f :append, :key "4", :value "x 0 1 y", :time 12}
 *
 * Bytes that are no text stand as \u00NN in a string.
 */

enum token { TOKEN_NIL, TOKEN_INTEGER, TOKEN_KEYWORD, TOKEN_STRING, TOKEN_VECTOR };

struct scalar {
    enum token token;
    const char *at; /* integer, keyword without its colon: as it stands */
    size_t count;
    struct read_value text; /* string: unescaped */
};

struct edn {
    struct reader *reader;
    const char *at, *end;
};

static void
skip_space(struct edn *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == ','))
        in->at++;
}

static bool
take(struct edn *in, char c)
{
    skip_space(in);
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/' || c == '?' || c == '!';
}

static int
hex4(struct edn *in)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = in->at < in->end ? *in->at++ : '!';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t
put_utf8(char *out, int c)
{
    if (c < 0x100) { /* a byte */
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | c >> 12);
    out[1] = (char)(0x80 | (c >> 6 & 0x3f));
    out[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

static int
escaped(struct edn *in, char *out, size_t *out_count)
{
    static const char names[] = "nrt\"\\", means[] = "\n\r\t\"\\";
    char c = in->at < in->end ? *in->at++ : '!';
    const char *found = c ? strchr(names, c) : NULL;
    if (found) {
        *out = means[found - names];
        *out_count = 1;
        return 0;
    }
    int code = c == 'u' ? hex4(in) : -1;
    if (code < 0)
        return reader_fails(in->reader, "an escape in a string that is none");
    *out_count = put_utf8(out, code);
    return 0;
}

/* Behind the opening quote. What it becomes is never longer than what stands there. */
static int
read_string(struct edn *in, struct read_value *out)
{
    char *text = mem_try_alloc((size_t)(in->end - in->at) + 1);
    size_t count = 0;
    if (!text) {
        reader_fails(in->reader, "no memory for a string");
        return -SKEIN_ENOMEM;
    }
    *out = (struct read_value){.owned = text, .is_text = true};
    while (in->at < in->end && *in->at != '"') {
        size_t n = 1;
        char c = *in->at++;
        if (c != '\\') {
            text[count] = c;
        } else {
            int rc = escaped(in, text + count, &n);
            if (rc < 0)
                return rc;
        }
        count += n;
    }
    out->count = count;
    if (in->at == in->end)
        return reader_fails(in->reader, "a string without an end");
    in->at++;
    return 0;
}

static bool
is_integer(const char *at, size_t count)
{
    size_t i = count > 0 && at[0] == '-';
    if (count == i || count > 20)
        return false;
    for (; i < count; i++)
        if (at[i] < '0' || at[i] > '9')
            return false;
    return true;
}

static int
read_scalar(struct edn *in, struct scalar *out)
{
    *out = (struct scalar){0};
    skip_space(in);
    if (take(in, '"')) {
        out->token = TOKEN_STRING;
        return read_string(in, &out->text);
    }
    bool keyword = take(in, ':');
    out->at = in->at;
    while (in->at < in->end && is_word(*in->at))
        in->at++;
    out->count = (size_t)(in->at - out->at);
    if (keyword && out->count > 0)
        out->token = TOKEN_KEYWORD;
    else if (!keyword && out->count == 3 && memcmp(out->at, "nil", 3) == 0)
        out->token = TOKEN_NIL;
    else if (!keyword && is_integer(out->at, out->count))
        out->token = TOKEN_INTEGER;
    else
        return reader_fails(in->reader, "neither a keyword, a number, a string nor nil");
    return 0;
}

/* A scalar as a value: a number is its digits. */
static int
as_value(struct edn *in, struct scalar *scalar, struct read_value *out)
{
    if (out->owned || out->is_text || out->timed_out) {
        mem_free(scalar->text.owned);
        return reader_fails(in->reader, "a key stands twice in the map");
    }
    if (scalar->token == TOKEN_STRING) {
        *out = scalar->text;
        return 0;
    }
    if (scalar->token == TOKEN_KEYWORD) {
        out->timed_out = scalar->count == 9 && memcmp(scalar->at, "timed-out", 9) == 0;
        return out->timed_out ? 0 : reader_fails(in->reader, "a keyword where a value belongs");
    }
    if (scalar->token == TOKEN_NIL)
        return 0;
    out->owned = mem_alloc(scalar->count);
    memcpy(out->owned, scalar->at, scalar->count);
    out->count = scalar->count;
    out->is_text = true;
    return 0;
}

static int
read_value(struct edn *in, struct read_value *out)
{
    struct scalar scalar;
    int rc = read_scalar(in, &scalar);
    if (rc < 0) {
        mem_free(scalar.text.owned);
        return rc;
    }
    return as_value(in, &scalar, out);
}

/* "value", or [old new]. */
static int
read_value_or_pair(struct edn *in, struct read_event *event)
{
    if (!take(in, '['))
        return read_value(in, &event->value);
    int rc = read_value(in, &event->value2);
    if (rc == 0)
        rc = read_value(in, &event->value);
    if (rc == 0 && !take(in, ']'))
        rc = reader_fails(in->reader, "a vector of two has no end");
    return rc;
}

static int
read_number(struct edn *in, uint64_t max, uint64_t *out)
{
    struct scalar scalar;
    int rc = read_scalar(in, &scalar);
    mem_free(scalar.text.owned);
    if (rc < 0)
        return rc;
    *out = 0;
    for (size_t i = 0; i < scalar.count && scalar.token == TOKEN_INTEGER; i++)
        if (scalar.at[i] == '-' || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(scalar.at[i] - '0'), out))
            return reader_fails(in->reader, "a number out of its range");
    if (scalar.token != TOKEN_INTEGER || *out > max)
        return reader_fails(in->reader, "a number out of its range");
    return 0;
}

static int
read_keyword(struct edn *in, struct scalar *out)
{
    int rc = read_scalar(in, out);
    if (rc == 0 && out->token == TOKEN_KEYWORD)
        return 0;
    mem_free(out->text.owned);
    return rc < 0 ? rc : reader_fails(in->reader, "no keyword where one belongs");
}

static bool
is(const struct scalar *word, const char *text)
{
    return word->count == strlen(text) && memcmp(word->at, text, word->count) == 0;
}

static int
read_type(struct edn *in, enum read_type *out)
{
    static const char *const names[] = {"invoke", "ok", "fail", "info"};
    struct scalar word;
    int rc = read_keyword(in, &word);
    for (int i = 0; rc == 0 && i < 4; i++) {
        if (is(&word, names[i])) {
            *out = (enum read_type)i;
            return 0;
        }
    }
    return rc < 0 ? rc : reader_fails(in->reader, "neither :invoke, :ok, :fail nor :info");
}

enum field {
    FIELD_PROCESS,
    FIELD_TYPE,
    FIELD_F,
    FIELD_KEY,
    FIELD_VALUE,
    FIELD_OBSERVED,
    FIELD_TIME,
    FIELD_INDEX,
    FIELD_ERROR,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {"process",  "type", "f",     "key",  "value",
                                                     "observed", "time", "index", "error"};

static int
read_process(struct edn *in, struct read_event *event, bool *out_nemesis)
{
    uint64_t number = 0;
    skip_space(in);
    if (in->at < in->end && *in->at == ':') {
        struct scalar word;
        int rc = read_keyword(in, &word);
        *out_nemesis = rc == 0 && is(&word, "nemesis");
        return rc < 0 || *out_nemesis ? rc : reader_fails(in->reader, "no process number");
    }
    int rc = read_number(in, UINT32_MAX, &number);
    event->process = (uint32_t)number;
    return rc;
}

static int
read_field(struct edn *in, enum field field, struct read_event *event, struct scalar *out_f,
           bool *out_nemesis)
{
    struct scalar word;
    uint64_t index;
    int rc;
    switch (field) {
    case FIELD_PROCESS:
        return read_process(in, event, out_nemesis);
    case FIELD_TYPE:
        return read_type(in, &event->type);
    case FIELD_F:
        return read_keyword(in, out_f);
    case FIELD_KEY:
        event->has_key = true;
        return read_value(in, &event->key);
    case FIELD_VALUE:
        event->has_value = true;
        return read_value_or_pair(in, event);
    case FIELD_OBSERVED:
        event->has_observed = true;
        return read_value(in, &event->observed);
    case FIELD_TIME:
        return read_number(in, UINT64_MAX, &event->time_ns);
    case FIELD_INDEX:
        return read_number(in, UINT64_MAX, &index);
    case FIELD_ERROR:
        rc = read_scalar(in, &word);
        mem_free(word.text.owned);
        return rc;
    case FIELD_COUNT:
        break;
    }
    skein_unreachable();
}

static int
read_map(struct edn *in, struct read_event *event, struct scalar *out_f, uint32_t *out_seen,
         bool *out_nemesis)
{
    if (!take(in, '{'))
        return reader_fails(in->reader, "not a map {...}");
    while (!take(in, '}')) {
        struct scalar name;
        int rc = read_keyword(in, &name);
        if (rc < 0)
            return rc;
        uint32_t field = 0;
        while (field < FIELD_COUNT && !is(&name, field_names[field]))
            field++;
        if (field == FIELD_COUNT)
            return reader_fails(in->reader, "unknown key :%.*s",
                                (int)(name.count < 40 ? name.count : 40), name.at);
        if (*out_seen >> field & 1)
            return reader_fails(in->reader, ":%s stands twice", field_names[field]);
        *out_seen |= 1u << field;
        rc = read_field(in, (enum field)field, event, out_f, out_nemesis);
        if (rc < 0)
            return rc;
    }
    skip_space(in);
    return in->at == in->end ? 0 : reader_fails(in->reader, "more behind the map");
}

int
read_edn(struct reader *reader, const char *line, size_t count, struct read_event *out_event)
{
    struct edn in = {reader, line, line + count};
    struct scalar f = {0};
    uint32_t seen = 0;
    bool nemesis = false;
    if (line[0] == ';')
        return 0;
    int rc = read_map(&in, out_event, &f, &seen, &nemesis);
    if (rc < 0 || nemesis)
        return rc;
    for (uint32_t field = FIELD_PROCESS; field <= FIELD_F; field++)
        if (!(seen >> field & 1))
            return reader_fails(reader, "no :%s", field_names[field]);
    rc = reader_kind(reader, f.at, f.count, &out_event->kind);
    if (rc < 0)
        return rc;
    bool is_pair = out_event->value2.is_text || out_event->value2.owned;
    if (is_pair && out_event->kind != SKEIN_LINEAR_CAS)
        return reader_fails(reader, "a vector where a value belongs");
    if (out_event->has_observed && !reader->own)
        return reader_fails(reader, ":observed belongs to the skein format");
    return 1;
}
