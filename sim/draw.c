/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/draw.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/draw_page.h"

#define LINE_BYTES 1024
/* A message that has not arrived after this long was lost, or will be told by a later line. */
#define IDS_MAX ((uint64_t)1 << 24)

struct message {
    uint64_t sent_us, arrived_us; /* arrived_us 0: never */
    uint32_t from, to;
    uint32_t kind; /* into kinds */
};

struct mark {
    uint64_t at_us;
    uint32_t node;
    char *text;
};

struct drawing {
    struct message *messages;
    size_t message_count, message_capacity;
    size_t *of_id; /* by message id: its place + 1 */
    size_t id_count, id_capacity;
    struct mark *marks;
    size_t mark_count, mark_capacity;
    char kinds[64][32];
    uint32_t kind_count;
    uint32_t node_max;
};

static uint32_t
kind_of(struct drawing *drawing, const char *name)
{
    for (uint32_t i = 0; i < drawing->kind_count; i++)
        if (strcmp(drawing->kinds[i], name) == 0)
            return i;
    if (drawing->kind_count == sizeof(drawing->kinds) / sizeof(drawing->kinds[0]))
        return 0;
    snprintf(drawing->kinds[drawing->kind_count], sizeof(drawing->kinds[0]), "%s", name);
    return drawing->kind_count++;
}

static void
add_mark(struct drawing *drawing, uint64_t at_us, uint32_t node, const char *what, const char *text)
{
    char whole[LINE_BYTES + 64];
    snprintf(whole, sizeof(whole), "%s %s", what, text);
    mem_grow(&drawing->marks, &drawing->mark_capacity, drawing->mark_count, sizeof(struct mark));
    drawing->marks[drawing->mark_count++] =
        (struct mark){.at_us = at_us, .node = node, .text = mem_strdup(whole)};
}

static void
add_sent(struct drawing *drawing, uint64_t at_us, uint32_t from, uint32_t to, uint64_t id,
         const char *kind)
{
    if (id >= IDS_MAX)
        return;
    while (drawing->id_count <= id) {
        mem_grow(&drawing->of_id, &drawing->id_capacity, drawing->id_count, sizeof(size_t));
        drawing->of_id[drawing->id_count++] = 0;
    }
    mem_grow(&drawing->messages, &drawing->message_capacity, drawing->message_count,
             sizeof(struct message));
    drawing->messages[drawing->message_count++] =
        (struct message){.sent_us = at_us, .from = from, .to = to, .kind = kind_of(drawing, kind)};
    drawing->of_id[id] = drawing->message_count;
    if (to > drawing->node_max)
        drawing->node_max = to;
}

static void
add_arrived(struct drawing *drawing, uint64_t at_us, uint64_t id)
{
    struct message *message = id < drawing->id_count && drawing->of_id[id]
                                  ? &drawing->messages[drawing->of_id[id] - 1]
                                  : NULL;
    if (message && message->arrived_us == 0)
        message->arrived_us = at_us;
}

static bool
is_mark(const char *what)
{
    static const char *const marks[] = {"fault",     "flip",       "heal",       "violation",
                                        "repaired",  "host.start", "host.crash", "host.exit",
                                        "node.exit", "state"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (strcmp(what, marks[i]) == 0)
            return true;
    return false;
}

/* "12.034567890 2 raft.append 3 91234 17" */
static void
take_line(struct drawing *drawing, const char *line)
{
    uint64_t seconds, ns, a = 0, b = 0, c = 0;
    uint32_t node;
    char what[32];
    int at = 0;
    if (sscanf(line, "%" SCNu64 ".%9" SCNu64 " %" SCNu32 " %31s %n", &seconds, &ns, &node, what,
               &at) < 4)
        return;
    uint64_t at_us = seconds * 1000000 + ns / 1000;
    bool figures = sscanf(line + at, "%" SCNu64 " %" SCNu64 " %" SCNu64, &a, &b, &c) == 3;
    if (is_mark(what))
        add_mark(drawing, at_us, node, what, line + at);
    else if (figures && strcmp(what, "link.arrive") == 0)
        add_arrived(drawing, at_us, c);
    else if (figures && (strncmp(what, "raft", 4) == 0 || strncmp(what, "forward", 7) == 0 ||
                         strncmp(what, "snap", 4) == 0 || strcmp(what, "genesis") == 0))
        add_sent(drawing, at_us, node, (uint32_t)a, c, what);
}

/* As a JSON string, also within a script element. */
static void
put_text(FILE *page, const char *text)
{
    fputc('"', page);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(page, "\\%c", c);
        else if (c < 0x20 || c == '<' || c >= 0x7f)
            fprintf(page, "\\u%04x", c);
        else
            fputc(c, page);
    }
    fputc('"', page);
}

static void
put_data(FILE *page, const struct drawing *drawing, const struct sim_run_options *options,
         const struct sim_run_result *result)
{
    size_t from =
        drawing->message_count > DRAW_MESSAGES_MAX ? drawing->message_count - DRAW_MESSAGES_MAX : 0;
    fprintf(page, "{\"seed\":\"%" PRIu64 "\",\"nodes\":%" PRIu32 ",\"left_out\":%zu,\"verdict\":",
            options->seed, drawing->node_max, from);
    put_text(page, result->verdict == SIM_PASSED ? "passed" : result->reason);
    fputs(",\"kinds\":[", page);
    for (uint32_t i = 0; i < drawing->kind_count; i++) {
        fputs(i ? "," : "", page);
        put_text(page, drawing->kinds[i]);
    }
    fputs("],\"messages\":[", page);
    for (size_t i = from; i < drawing->message_count; i++) {
        const struct message *m = &drawing->messages[i];
        fprintf(page, "%s[%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRIu32 ",%" PRIu32 "]",
                i > from ? "," : "", m->sent_us, m->from, m->arrived_us, m->to, m->kind);
    }
    fputs("],\"marks\":[", page);
    for (size_t i = 0; i < drawing->mark_count; i++) {
        const struct mark *m = &drawing->marks[i];
        fprintf(page, "%s[%" PRIu64 ",%" PRIu32 ",", i ? "," : "", m->at_us, m->node);
        put_text(page, m->text);
        fputc(']', page);
    }
    fputs("]}", page);
}

void
sim_draw_run(FILE *trace, const struct sim_run_options *options,
             const struct sim_run_result *result, FILE *page)
{
    struct drawing drawing = {0};
    char line[LINE_BYTES];
    while (fgets(line, sizeof(line), trace)) {
        line[strcspn(line, "\n")] = '\0';
        take_line(&drawing, line);
    }
    fputs(sim_draw_page_before, page);
    put_data(page, &drawing, options, result);
    fputs(sim_draw_page_after, page);
    for (size_t i = 0; i < drawing.mark_count; i++)
        mem_free(drawing.marks[i].text);
    mem_free(drawing.marks);
    mem_free(drawing.messages);
    mem_free(drawing.of_id);
}
