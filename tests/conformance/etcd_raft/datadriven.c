/* SPDX-License-Identifier: Apache-2.0 */
/* The file format: blocks of a command, its input and its output. */
#include "etcd_raft/datadriven.h"

#include <ctype.h>
#include <skein/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define SEPARATOR "----"

struct parser {
    struct datadriven_file *file;
    size_t block_capacity;
    char *at; /* the lines not read yet; each line is cut out with a zero at its end */
    char *end;
    unsigned line;
    char *why;
};

static int
complain(struct parser *p, unsigned line, const char *what)
{
    snprintf(p->why, 256, "line %u: %s", line, what);
    return -SKEIN_EPROTO;
}

static char *
next_line(struct parser *p)
{
    if (p->at >= p->end)
        return NULL;
    char *line = p->at;
    char *stop = memchr(line, '\n', (size_t)(p->end - line));
    p->at = stop ? stop + 1 : p->end;
    if (!stop)
        stop = p->end; /* datadriven_parse left room for the zero */
    *stop = 0;
    if (stop > line && stop[-1] == '\r')
        stop[-1] = 0;
    p->line++;
    return line;
}

static char *
trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t count = strlen(text);
    while (count && isspace((unsigned char)text[count - 1]))
        count--;
    text[count] = 0;
    return text;
}

static void *
piece(struct datadriven_file *file, size_t count, size_t element_bytes)
{
    mem_grow(&file->pieces, &file->piece_capacity, file->piece_count, sizeof(*file->pieces));
    void *p = mem_zalloc(count * element_bytes);
    file->pieces[file->piece_count++] = p;
    return p;
}

/* "(a, b)": its parts, in place. Anything else is one value. */
static void
split_values(struct datadriven_file *file, char *text, struct datadriven_arg *arg)
{
    size_t bytes = strlen(text);
    arg->value_count = 1;
    if (bytes > 2 && text[0] == '(') {
        text[bytes - 1] = 0;
        text++;
        for (const char *c = text; *c; c++)
            arg->value_count += *c == ',';
    }
    const char **values = piece(file, arg->value_count, sizeof(*values));
    for (size_t i = 0; i < arg->value_count; i++) {
        char *comma = strchr(text, ',');
        if (comma && arg->value_count > 1)
            *comma = 0;
        values[i] = trimmed(text);
        if (comma && arg->value_count > 1)
            text = comma + 1;
    }
    arg->values = values;
}

/* One "key", "key=value" or "key=(a, b)" from *text, which moves behind it. */
static int
parse_arg(struct parser *p, unsigned line, char **text, struct datadriven_arg *out)
{
    char *at = *text;
    char *stop = at + strcspn(at, " \t=");
    if (stop == at)
        return complain(p, line, "an argument without a name");
    out->key = at;
    if (*stop == '=') {
        char *value = stop + 1;
        *stop = 0;
        bool list = *value == '(';
        stop = list ? strchr(value, ')') : value + strcspn(value, " \t");
        if (!stop)
            return complain(p, line, "a list without its closing parenthesis");
        stop += list;
        if (*stop && *stop != ' ' && *stop != '\t')
            return complain(p, line, "something behind a closing parenthesis");
        bool more = *stop != 0;
        *stop = 0;
        split_values(p->file, value, out);
        *text = stop + more;
        return 0;
    }
    *text = *stop ? stop + 1 : stop;
    *stop = 0;
    return 0;
}

static int
parse_command(struct parser *p, char *text, struct datadriven_block *block)
{
    size_t capacity = strlen(text) / 2 + 1;
    struct datadriven_arg *args = piece(p->file, capacity, sizeof(*args));
    block->args = args;
    block->command = text;
    text += strcspn(text, " \t");
    if (*text)
        *text++ = 0;
    for (;;) {
        text += strspn(text, " \t");
        if (!*text)
            return 0;
        int rc = parse_arg(p, block->line, &text, &args[block->arg_count]);
        if (rc)
            return rc;
        block->arg_count++;
    }
}

/* Lines end in zeros by now; join what was read from @from to @to with line ends again. */
static void
join_line(char **to, const char *line)
{
    size_t count = strlen(line);
    memmove(*to, line, count);
    (*to)[count] = '\n';
    *to += count + 1;
}

static int
parse_input(struct parser *p, struct datadriven_block *block)
{
    char *begin = p->at;
    char *to = begin;
    char *line;
    while ((line = next_line(p)) && strcmp(line, SEPARATOR) != 0)
        join_line(&to, line);
    if (!line)
        return complain(p, block->line, "a command without \"" SEPARATOR "\" behind it");
    /* The separator is read: there is room for the zero. */
    *to = 0;
    block->input = trimmed(begin);
    return 0;
}

static int
parse_long_output(struct parser *p, struct datadriven_block *block, char *begin)
{
    char *to = begin;
    unsigned ends = 0;
    char *line;
    while (ends < 2 && (line = next_line(p))) {
        if (strcmp(line, SEPARATOR) == 0) {
            ends++;
            continue;
        }
        if (ends) /* a single one belongs to the output */
            join_line(&to, SEPARATOR);
        ends = 0;
        join_line(&to, line);
    }
    if (ends < 2)
        return complain(p, block->line, "doubled separators do not end");
    *to = 0;
    block->expected = begin;
    line = next_line(p);
    if (line && *trimmed(line))
        return complain(p, p->line, "an empty line has to follow the doubled separators");
    return 0;
}

static int
parse_output(struct parser *p, struct datadriven_block *block)
{
    char *begin = p->at;
    char *to = begin;
    char *line = next_line(p);
    block->expected = "";
    if (!line)
        return 0;
    if (strcmp(line, SEPARATOR) == 0)
        return parse_long_output(p, block, p->at);
    while (line && line[strspn(line, " \t")]) {
        join_line(&to, line);
        line = next_line(p);
    }
    if (to == begin)
        return 0;
    *to = 0; /* behind the last line: at most one behind the end, where there is room */
    block->expected = begin;
    return 0;
}

/* The command's line, or NULL at the end of the file. Continued lines are joined in place. */
static char *
command_line(struct parser *p, unsigned *out_line)
{
    char *line;
    do {
        line = next_line(p);
        if (!line)
            return NULL;
        line = trimmed(line);
    } while (!*line || *line == '#');
    *out_line = p->line;
    char *end = line + strlen(line);
    while (end[-1] == '\\') {
        const char *next = next_line(p);
        if (!next) {
            end[-1] = 0;
            break;
        }
        size_t count = strlen(next);
        end[-1] = ' ';
        memmove(end, next, count + 1);
        end += count;
        while (end > line + 1 && isspace((unsigned char)end[-1]))
            *--end = 0;
    }
    return line;
}

static int
parse(struct parser *p)
{
    unsigned line = 0;
    char *text;
    while ((text = command_line(p, &line))) {
        struct datadriven_block block = {.line = line};
        int rc = parse_command(p, text, &block);
        if (!rc)
            rc = parse_input(p, &block);
        if (!rc)
            rc = parse_output(p, &block);
        if (rc)
            return rc;
        struct datadriven_file *file = p->file;
        mem_grow(&file->blocks, &p->block_capacity, file->block_count, sizeof(block));
        file->blocks[file->block_count++] = block;
    }
    return 0;
}

int
datadriven_parse(const char *content, size_t bytes, struct datadriven_file *out_file,
                 char out_why[256])
{
    *out_file = (struct datadriven_file){0};
    if (memchr(content, 0, bytes)) {
        snprintf(out_why, 256, "a zero byte in it: no text file");
        return -SKEIN_EPROTO;
    }
    out_file->memory = mem_alloc(bytes + 2);
    memcpy(out_file->memory, content, bytes);
    memset(out_file->memory + bytes, 0, 2);
    struct parser parser = {
        .file = out_file, .at = out_file->memory, .end = out_file->memory + bytes, .why = out_why};
    int rc = parse(&parser);
    if (rc)
        datadriven_file_deinit(out_file);
    return rc;
}

void
datadriven_file_deinit(struct datadriven_file *file)
{
    for (size_t i = 0; i < file->piece_count; i++)
        mem_free(file->pieces[i]);
    mem_free(file->pieces);
    mem_free(file->blocks);
    mem_free(file->memory);
    *file = (struct datadriven_file){0};
}

const struct datadriven_arg *
datadriven_arg_find(const struct datadriven_block *block, const char *key)
{
    for (size_t i = 0; i < block->arg_count; i++)
        if (strcmp(block->args[i].key, key) == 0)
            return &block->args[i];
    return NULL;
}

bool
datadriven_number(const char *text, uint64_t *out_number)
{
    uint64_t number = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || number > (UINT64_MAX - (uint64_t)(*text - '0')) / 10)
            return false;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *out_number = number;
    return true;
}

void
text_printf(struct text *text, const char *format, ...)
{
    for (;;) {
        va_list args;
        va_start(args, format);
        size_t room = text->capacity - text->count;
        int count = vsnprintf(room ? text->data + text->count : NULL, room, format, args);
        va_end(args);
        skein_assert(count >= 0);
        if ((size_t)count < room) {
            text->count += (size_t)count;
            return;
        }
        text->capacity = (text->capacity + (size_t)count + 1) * 2;
        text->data = mem_realloc(text->data, text->capacity);
    }
}

const char *
text_str(const struct text *text)
{
    return text->data ? text->data : "";
}

void
text_clear(struct text *text)
{
    text->count = 0;
    if (text->data)
        text->data[0] = 0;
}

void
text_deinit(struct text *text)
{
    mem_free(text->data);
    *text = (struct text){0};
}
