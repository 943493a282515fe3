/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "obs/log.h"

#define SECOND_NS UINT64_C(1000000000)
/* Places that are looked at for one event; when all are others' of this second it is not limited.
 */
#define PROBES 4

/* FNV-1a over both texts; never 0. */
static uint64_t
hash(const char *module, const char *event)
{
    uint64_t sum = 14695981039346656037u;
    for (; *module; module++)
        sum = (sum ^ (uint8_t)*module) * 1099511628211u;
    sum = (sum ^ 0xff) * 1099511628211u;
    for (; *event; event++)
        sum = (sum ^ (uint8_t)*event) * 1099511628211u;
    return sum ? sum : 1;
}

/* The event's place, or one that nobody needs in this second; NULL: there is none. */
static struct skein_log_event *
place(struct skein_log_sink *sink, uint64_t key, uint64_t second)
{
    struct skein_log_event *spare = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct skein_log_event *at = &sink->events[(key + i) % SKEIN_LOG_EVENTS];
        if (at->hash == key)
            return at;
        /* One that owes a count of suppressed lines goes last. */
        if (at->second != second && (!spare || (spare->suppressed && !at->suppressed)))
            spare = at;
    }
    if (spare)
        *spare = (struct skein_log_event){.hash = key, .second = second};
    return spare;
}

bool
log_limit_allows(struct skein_log_sink *sink, const char *module, const char *event,
                 uint64_t wall_ns, uint32_t *out_suppressed)
{
    uint64_t second = wall_ns / SECOND_NS;
    *out_suppressed = 0;
    if (sink->lines_per_second == 0)
        return true;
    struct skein_log_event *at = place(sink, hash(module, event), second);
    if (!at)
        return true;
    if (at->second != second) {
        at->second = second;
        at->lines = 0;
    }
    if (at->lines >= sink->lines_per_second) {
        at->suppressed++;
        sink->counts.suppressed++;
        return false;
    }
    at->lines++;
    *out_suppressed = at->suppressed;
    at->suppressed = 0;
    return true;
}
