/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a file's blocks and says what differs. */
#include "etcd_raft/datadriven.h"

#include <string.h>

#include "base/mem.h"

/* More pairs of lines than this are not compared one with another. */
#define DIFF_CELLS_MAX (16u << 20)

struct lines {
    const char **items;
    size_t count;
    size_t capacity;
};

static bool
from_logger(const char *line)
{
    static const char *const levels[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    line += strspn(line, " \t");
    size_t word = strcspn(line, " \t");
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (word == strlen(levels[i]) && strncmp(line, levels[i], word) == 0)
            return true;
    return false;
}

/* The lines of @text, cut in place, without the logger's. Returns how many of those there were. */
static size_t
cut_lines(char *text, struct lines *out)
{
    size_t left_out = 0;
    while (*text) {
        char *line = text;
        text += strcspn(text, "\n");
        if (*text)
            *text++ = 0;
        if (from_logger(line)) {
            left_out++;
            continue;
        }
        mem_grow(&out->items, &out->capacity, out->count, sizeof(*out->items));
        out->items[out->count++] = line;
    }
    return left_out;
}

static bool
lines_equal(const struct lines *a, const struct lines *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

/* Longest common subsequence, from the ends; cell (i, j): of what is behind i and j. */
static uint32_t *
common(const struct lines *a, const struct lines *b)
{
    size_t width = b->count + 1;
    if (a->count + 1 > DIFF_CELLS_MAX / width)
        return NULL;
    uint32_t *cells = mem_zalloc((a->count + 1) * width * sizeof(*cells));
    for (size_t i = a->count; i-- > 0;)
        for (size_t j = b->count; j-- > 0;) {
            uint32_t *cell = &cells[i * width + j];
            uint32_t down = cell[width];
            uint32_t right = cell[1];
            *cell = strcmp(a->items[i], b->items[j]) == 0 ? cell[width + 1] + 1
                    : down > right                        ? down
                                                          : right;
        }
    return cells;
}

static void
print_diff(const struct lines *expected, const struct lines *actual, struct text *out)
{
    uint32_t *cells = common(expected, actual);
    size_t width = actual->count + 1;
    size_t i = 0;
    size_t j = 0;
    while (i < expected->count || j < actual->count) {
        bool both = i < expected->count && j < actual->count;
        if (both && strcmp(expected->items[i], actual->items[j]) == 0) {
            text_printf(out, "      %s\n", expected->items[i++]);
            j++;
        } else if (!both ? i < expected->count
                         : !cells || cells[(i + 1) * width + j] >= cells[i * width + j + 1]) {
            text_printf(out, "    - %s\n", expected->items[i++]);
        } else {
            text_printf(out, "    + %s\n", actual->items[j++]);
        }
    }
    mem_free(cells);
}

void
datadriven_diff(const char *expected, const char *actual, struct text *out)
{
    char *texts[2] = {mem_strdup(expected), mem_strdup(actual)};
    struct lines a = {0};
    struct lines b = {0};
    cut_lines(texts[0], &a);
    cut_lines(texts[1], &b);
    print_diff(&a, &b, out);
    mem_free(a.items);
    mem_free(b.items);
    mem_free(texts[0]);
    mem_free(texts[1]);
}

static bool
is_ok_alone(const struct lines *lines)
{
    return lines->count == 0 || (lines->count == 1 && strcmp(lines->items[0], "ok") == 0);
}

static bool
equal(const char *expected, const char *actual)
{
    char *texts[2] = {mem_strdup(expected), mem_strdup(actual)};
    struct lines a = {0};
    struct lines b = {0};
    size_t left_out = cut_lines(texts[0], &a);
    left_out += cut_lines(texts[1], &b);
    bool same = lines_equal(&a, &b) || (left_out && is_ok_alone(&a) && is_ok_alone(&b));
    mem_free(a.items);
    mem_free(b.items);
    mem_free(texts[0]);
    mem_free(texts[1]);
    return same;
}

static void
print_command(const struct datadriven_block *block, struct text *out)
{
    text_printf(out, "%s", block->command);
    for (size_t i = 0; i < block->arg_count; i++) {
        const struct datadriven_arg *arg = &block->args[i];
        text_printf(out, " %s%s%s", arg->key, arg->value_count ? "=" : "",
                    arg->value_count > 1 ? "(" : "");
        for (size_t v = 0; v < arg->value_count; v++)
            text_printf(out, "%s%s", v ? "," : "", arg->values[v]);
        text_printf(out, "%s", arg->value_count > 1 ? ")" : "");
    }
}

/* Returns whether the file can go on. */
static bool
run_block(const struct datadriven_handler *handler, void *env, const char *name,
          const struct datadriven_block *block, struct text *report,
          struct datadriven_totals *totals, bool *out_differs)
{
    struct text out = {0};
    int rc = handler->run(env, block, &out);
    totals->blocks++;
    if (rc) {
        text_printf(report, "%s:%u: %s: %s\n", name, block->line, block->command, text_str(&out));
    } else if (!equal(block->expected, text_str(&out))) {
        *out_differs = true;
        totals->differing_blocks++;
        text_printf(report, "%s:%u: ", name, block->line);
        print_command(block, report);
        text_printf(report, "\n");
        datadriven_diff(block->expected, text_str(&out), report);
    }
    text_deinit(&out);
    return !rc;
}

void
datadriven_run(const struct datadriven_handler *handler, const char *name, const char *content,
               size_t bytes, struct text *report, struct datadriven_totals *totals)
{
    struct datadriven_file file;
    char why[256];
    totals->files++;
    if (datadriven_parse(content, bytes, &file, why)) {
        totals->malformed_files++;
        text_printf(report, "%s: %s\n", name, why);
        return;
    }
    bool differs = false;
    bool served = true;
    void *env = handler->open();
    for (size_t i = 0; served && i < file.block_count; i++)
        served = run_block(handler, env, name, &file.blocks[i], report, totals, &differs);
    handler->close(env);
    totals->differing_files += differs;
    totals->malformed_files += !served;
    datadriven_file_deinit(&file);
}
