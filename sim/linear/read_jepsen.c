/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim/linear/read.h"

/*
 * A line of Jepsen's log, of a register:
 *
 *   INFO  jepsen.util - 3<TAB>:invoke<TAB>:cas<TAB>[1 2]
 *   INFO  jepsen.util - 3<TAB>:info<TAB>:cas<TAB>:timed-out
 *
 * Lines of other loggers, and those of the nemesis, say nothing of the register.
 */

struct words {
    const char *at;
    size_t left;
};

static bool
is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word, up to a space; [1 2] is one. Empty: none is left. */
static struct words
next_word(struct words *line)
{
    while (line->left && is_space(*line->at)) {
        line->at++;
        line->left--;
    }
    struct words word = {line->at, 0};
    bool list = line->left && *line->at == '[';
    while (line->left && (list || !is_space(*line->at))) {
        word.left++;
        bool closes = list && *line->at == ']';
        line->at++;
        line->left--;
        if (closes)
            break;
    }
    return word;
}

static bool
is(struct words word, const char *text)
{
    return word.left == strlen(text) && memcmp(word.at, text, word.left) == 0;
}

static bool
is_integer(struct words word)
{
    size_t i = word.left > 0 && word.at[0] == '-';
    if (word.left == i || word.left > 20)
        return false;
    for (; i < word.left; i++)
        if (word.at[i] < '0' || word.at[i] > '9')
            return false;
    return true;
}

/* An integer or nil. */
static bool
scalar(struct words word, struct read_value *out)
{
    if (is(word, "nil"))
        return true;
    if (!is_integer(word))
        return false;
    out->owned = mem_alloc(word.left);
    memcpy(out->owned, word.at, word.left);
    out->count = word.left;
    out->is_text = true;
    return true;
}

static int
read_value(struct reader *reader, struct words word, struct read_event *event)
{
    event->has_value = true;
    if (is(word, ":timed-out") && event->type != READ_INVOKE) {
        event->value.timed_out = true;
        return 1;
    }
    if (event->kind != SKEIN_LINEAR_CAS)
        return scalar(word, &event->value)
                   ? 1
                   : reader_fails(reader, "neither an integer nor nil: \"%.*s\"",
                                  (int)(word.left < 40 ? word.left : 40), word.at);
    if (word.left < 2 || word.at[0] != '[' || word.at[word.left - 1] != ']')
        return reader_fails(reader, "a cas without [old new]");
    struct words pair = {word.at + 1, word.left - 2};
    struct words before = next_word(&pair), after = next_word(&pair);
    if (!scalar(before, &event->value2) || !scalar(after, &event->value) ||
        next_word(&pair).left > 0)
        return reader_fails(reader, "a cas without [old new]");
    return 1;
}

static int
read_process(struct reader *reader, struct words word, uint32_t *out_process)
{
    uint64_t process = 0;
    for (size_t i = 0; i < word.left; i++) {
        if (word.at[i] < '0' || word.at[i] > '9' || word.left > 10)
            return reader_fails(reader, "no process number");
        process = process * 10 + (uint64_t)(word.at[i] - '0');
    }
    if (word.left == 0 || process > UINT32_MAX)
        return reader_fails(reader, "no process number");
    *out_process = (uint32_t)process;
    return 0;
}

static int
read_type(struct reader *reader, struct words word, enum read_type *out_type)
{
    static const char *const names[] = {":invoke", ":ok", ":fail", ":info"};
    for (int i = 0; i < 4; i++) {
        if (!is(word, names[i]))
            continue;
        *out_type = (enum read_type)i;
        return 0;
    }
    return reader_fails(reader, "neither :invoke, :ok, :fail nor :info");
}

int
read_jepsen(struct reader *reader, const char *line, size_t count, struct read_event *out_event)
{
    struct words rest = {line, count};
    struct words level = next_word(&rest), logger = next_word(&rest), dash = next_word(&rest);
    bool is_log =
        is(level, "INFO") || is(level, "WARN") || is(level, "ERROR") || is(level, "DEBUG");
    if (!is_log || logger.left == 0 || !is(dash, "-"))
        return reader_fails(reader, "not a line of Jepsen's log");
    if (!is(level, "INFO") || !is(logger, "jepsen.util"))
        return 0;
    struct words process = next_word(&rest), type = next_word(&rest), f = next_word(&rest);
    struct words value = next_word(&rest);
    if (is(process, ":nemesis"))
        return 0;
    int rc = read_process(reader, process, &out_event->process);
    if (rc == 0)
        rc = read_type(reader, type, &out_event->type);
    if (rc == 0 && (f.left < 2 || f.at[0] != ':'))
        rc = reader_fails(reader, "no function");
    if (rc == 0)
        rc = reader_kind(reader, f.at + 1, f.left - 1, &out_event->kind);
    if (rc < 0)
        return rc;
    if (value.left == 0 || next_word(&rest).left > 0)
        return reader_fails(reader, "not exactly one value");
    if (out_event->type == READ_INFO) /* whatever it says, nobody knows */
        return 1;
    return read_value(reader, value, out_event);
}
