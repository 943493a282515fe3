/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "kv/scrape.h"

/* A piece of the request. */
struct piece {
    const char *at;
    size_t bytes;
};

static bool
is(struct piece piece, const char *word)
{
    return piece.bytes == strlen(word) && memcmp(piece.at, word, piece.bytes) == 0;
}

/* Up to @stop, which is passed over. False: there is none. */
static bool
cut(struct piece *rest, char stop, struct piece *out_piece)
{
    const char *end = memchr(rest->at, stop, rest->bytes);
    if (!end)
        return false;
    *out_piece = (struct piece){rest->at, (size_t)(end - rest->at)};
    rest->bytes -= out_piece->bytes + 1;
    rest->at = end + 1;
    return true;
}

/* A line without its CR. */
static bool
cut_line(struct piece *rest, struct piece *out_line)
{
    if (!cut(rest, '\n', out_line))
        return false;
    if (out_line->bytes > 0 && out_line->at[out_line->bytes - 1] == '\r')
        out_line->bytes--;
    return true;
}

static bool
contains(struct piece text, const char *word)
{
    size_t bytes = strlen(word);
    for (size_t i = 0; i + bytes <= text.bytes; i++)
        if (strncasecmp(text.at + i, word, bytes) == 0)
            return true;
    return false;
}

static bool
starts_with(struct piece text, const char *word)
{
    return text.bytes >= strlen(word) && strncasecmp(text.at, word, strlen(word)) == 0;
}

/* format=NAME among the parameters. Returns false: a name that is no format. */
static bool
query_format(struct piece query, struct kv_scrape_request *request)
{
    struct piece parameter;
    while (query.bytes > 0) {
        if (!cut(&query, '&', &parameter)) {
            parameter = query;
            query.bytes = 0;
        }
        char name[16];
        if (!starts_with(parameter, "format="))
            continue;
        size_t bytes = parameter.bytes - strlen("format=");
        if (bytes >= sizeof(name))
            return false;
        memcpy(name, parameter.at + strlen("format="), bytes);
        name[bytes] = '\0';
        int format = skein_format_find(name);
        if (format < 0)
            return false;
        request->format = (enum skein_metric_format)format;
    }
    return true;
}

static int
request_line(struct piece line, bool openmetrics, struct kv_scrape_request *request)
{
    struct piece method, target, path;
    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || method.bytes == 0)
        return 400;
    if (!starts_with(line, "HTTP/"))
        return 400;
    if (!is(line, "HTTP/1.1") && !is(line, "HTTP/1.0"))
        return 505;
    struct piece query = target;
    if (!cut(&query, '?', &path)) {
        path = target;
        query.bytes = 0;
    }
    if (!is(path, "/metrics"))
        return 404;
    request->head = is(method, "HEAD");
    if (!request->head && !is(method, "GET"))
        return 405;
    request->format = openmetrics ? SKEIN_FORMAT_OPENMETRICS : SKEIN_FORMAT_PROMETHEUS;
    return query_format(query, request) ? 200 : 400;
}

bool
kv_scrape_parse(const char *text, size_t bytes, struct kv_scrape_request *out_request)
{
    struct piece rest = {text, bytes}, first, line;
    bool openmetrics = false, bad = false;
    *out_request = (struct kv_scrape_request){.status = 400};
    if (memchr(text, '\0', bytes))
        return true;
    if (!cut_line(&rest, &first)) {
        out_request->status = 431;
        return bytes >= KV_SCRAPE_REQUEST_BYTES;
    }
    for (;;) {
        if (!cut_line(&rest, &line)) {
            out_request->status = 431;
            return bytes >= KV_SCRAPE_REQUEST_BYTES;
        }
        if (line.bytes == 0)
            break;
        bad |= !memchr(line.at, ':', line.bytes) || line.at[0] == ' ' || line.at[0] == ':';
        if (starts_with(line, "accept:"))
            openmetrics |= contains(line, "application/openmetrics-text");
    }
    out_request->status = bad ? 400 : request_line(first, openmetrics, out_request);
    return true;
}

const char *
kv_scrape_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {431, "Request Header Fields Too Large"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}
