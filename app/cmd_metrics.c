/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "app/commands.h"
#include "app/flags.h"
#include "app/world.h"
#include "base/wire.h"
#include "net/addr.h"
#include "skein/fiber.h"
#include "skein/file.h"
#include "skein/metrics.h"
#include "skein/socket.h"

/* A scrape is far smaller; what sends more is no node. */
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

struct metrics_options {
    struct skein_addr addr;
    enum skein_metric_format format;
    uint64_t timeout_ns;
};

static int
parse_format(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    int format = skein_format_find(text);
    if (format < 0) {
        snprintf(out_why, 256, "one of prometheus, openmetrics, json, csv, influx");
        return -SKEIN_EINVALID;
    }
    *(enum skein_metric_format *)field = (enum skein_metric_format)format;
    return 0;
}

static const struct flags_row rows[] = {
    {"connect", "ADDR:PORT", "127.0.0.1:7201",
     "Where the node serves its metrics: its --metrics. The default is the first node of skein "
     "dev.",
     flags_parse_address, FLAGS_FIELD(struct metrics_options, addr),
     /* Elsewhere SKEIN_CONNECT is where clients connect, and a list. */
     .env = "metrics"},
    {"format", "NAME", "prometheus", "prometheus, openmetrics, json, csv or influx.", parse_format,
     FLAGS_FIELD(struct metrics_options, format)},
    {"timeout-ms", "MS", "5000", "How long to wait for the answer.", flags_parse_number,
     FLAGS_FIELD(struct metrics_options, timeout_ns), 1, 3600000, 1000000},
};

static const struct flags_command metrics_command = {
    .name = "metrics",
    .usage = "[--connect ADDR:PORT] [--format NAME]",
    .summary = "the metrics of a node",
    .details = "Exit status: 0; 1 when the node does not answer.",
    .rows = rows,
    .row_count = BASE_COUNT_OF(rows),
};

/* The whole answer, up to the end of the stream. */
static int
fetch(const struct metrics_options *options, struct wire_writer *answer)
{
    char request[256];
    uint64_t deadline_ns = skein_deadline_in(options->timeout_ns);
    int bytes =
        snprintf(request, sizeof(request), "GET /metrics?format=%s HTTP/1.1\r\nHost: skein\r\n\r\n",
                 skein_format_name(options->format));
    int handle = skein_socket_connect(&options->addr, deadline_ns);
    if (handle < 0)
        return handle;
    ssize_t n = skein_socket_send(handle, request, (size_t)bytes, deadline_ns);
    while (n >= 0) {
        char piece[16 << 10];
        n = skein_socket_recv(handle, piece, sizeof(piece), deadline_ns);
        if (n == 0)
            break;
        if (n > 0 && answer->count + (size_t)n > ANSWER_BYTES_MAX)
            n = -SKEIN_ETOOBIG;
        else if (n > 0)
            wire_put_raw(answer, piece, (size_t)n);
    }
    skein_close(handle);
    return n < 0 ? (int)n : 0;
}

/* The value of a header, as a number; SIZE_MAX: it is not there. @head ends in a zero. */
static size_t
content_length(const char *head)
{
    static const char name[] = "\nContent-Length:";
    for (const char *line = strchr(head, '\n'); line; line = strchr(line + 1, '\n'))
        if (strncasecmp(line, name, strlen(name)) == 0)
            return strtoul(line + strlen(name), NULL, 10);
    return SIZE_MAX;
}

/* What follows the head of an answer that says 200, whole. */
static int
body_of(struct wire_writer *answer, const char **out_body, size_t *out_bytes)
{
    char *end = answer->count ? memmem(answer->data, answer->count, "\r\n\r\n", 4) : NULL;
    if (!end || memchr(answer->data, '\0', (size_t)(end - (char *)answer->data)))
        return -SKEIN_EPROTO;
    *end = '\0';
    const char *head = (const char *)answer->data;
    *out_body = end + 4;
    *out_bytes = answer->count - (size_t)(*out_body - head);
    if (strncmp(head, "HTTP/1.1 200 ", 13) != 0)
        return -SKEIN_EPROTO;
    return content_length(head) == *out_bytes ? 0 : -SKEIN_EEOF;
}

static int
metrics_main(void *arg)
{
    const struct metrics_options *options = arg;
    struct wire_writer answer = {0};
    char text[NET_ADDR_TEXT_BYTES];
    const char *body = NULL;
    size_t bytes = 0;
    int rc = fetch(options, &answer);
    if (rc == 0)
        rc = body_of(&answer, &body, &bytes);
    if (rc < 0)
        fprintf(stderr,
                "skein metrics: %s: %s; does a node serve its metrics there (skein serve "
                "--metrics %s)?\n",
                net_addr_format(&options->addr, text), skein_error_text(rc), text);
    else
        fwrite(body, 1, bytes, stdout);
    wire_writer_deinit(&answer);
    return rc < 0 ? 1 : 0;
}

int
cmd_metrics(int argc, char **argv)
{
    struct metrics_options options = {.timeout_ns = 0};
    char **arguments;
    int count;
    enum flags_outcome outcome =
        flags_parse(&metrics_command, argc - 1, argv + 1, &options, &arguments, &count);
    if (outcome != FLAGS_RUN)
        return flags_exit(outcome);
    return world_run("metrics", metrics_main, &options);
}
