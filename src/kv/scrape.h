/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KV_SCRAPE_H
#define KV_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "skein/metrics.h"
#include "skein/socket.h"

/*
 * The metrics of a shard over HTTP, on a port of its own: GET and HEAD of /metrics, nothing else.
 *
 *     listener fiber --accept--> at most KV_SCRAPE_CONNS fibers: one request, one answer, closed
 *
 * The format is the one that ?format= names, else OpenMetrics when the Accept header asks for it,
 * else Prometheus' text. A request is at most KV_SCRAPE_REQUEST_BYTES long and is read within five
 * seconds; more connections than KV_SCRAPE_CONNS are closed unheard. A snapshot is taken and
 * written a few series at a time with other fibers running between.
 */

#define KV_SCRAPE_CONNS 8
#define KV_SCRAPE_REQUEST_BYTES ((size_t)4096)

struct kv_scrape;

/* kv_scrape_open - begin to serve on @listen (port 0 picks a free one). @out_why: one line on
 * failure. **Returns** 0, or as net_listen and skein_spawn. **Runs on** a fiber, suspends. */
int kv_scrape_open(struct kv_scrape **out_scrape, const struct skein_addr *listen,
                   char out_why[512]) SKEIN_MUST_CHECK;
struct skein_addr kv_scrape_addr(const struct kv_scrape *scrape);
/* kv_scrape_stop - end every connection, free. @scrape may be NULL. Suspends. */
void kv_scrape_stop(struct kv_scrape *scrape);

/* ---- scrape_request.c: one request, without its connection ---- */

struct kv_scrape_request {
    int status; /* 200: answer it; else the refusal */
    bool head;
    enum skein_metric_format format;
};

/* kv_scrape_parse - @text: what was received so far. **Returns** false: the request goes on. */
bool kv_scrape_parse(const char *text, size_t bytes,
                     struct kv_scrape_request *out_request) SKEIN_MUST_CHECK;
/* kv_scrape_reason - "Not Found" and so on. */
const char *kv_scrape_reason(int status);

#endif
