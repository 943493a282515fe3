/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_NODES_H
#define APP_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "app/flags.h"
#include "kv/client.h"

/*
 * The nodes a command talks to, and what INFO says about one of them.
 */

#define NODES_MAX 16

struct nodes {
    struct skein_addr list[NODES_MAX];
    uint32_t count;
};

/* nodes_parse - "127.0.0.1:7001,127.0.0.1:7002", into a struct nodes. */
flags_parse_fn nodes_parse;

/* The row every client command has. */
#define NODES_DEFAULT "127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003"

/*
 * nodes_info - ask the node at @addr for INFO's sections stats and skein. @out_text: **Ownership**:
 * bytes_unref.
 * **Returns** 0, -SKEIN_EPROTO (no text came), else as kv_client_call.
 */
int nodes_info(const struct skein_addr *addr, struct bytes *out_text,
               uint64_t deadline_ns) SKEIN_MUST_CHECK;

/* One "key:value" line of an INFO text, as a view into it. */
struct nodes_line {
    const char *key, *value;
    size_t key_bytes, value_bytes;
};
/* nodes_next - the line at @at, which moves on; false at the end. Headings are skipped. @section:
 * the heading's name in lower case to stay in; NULL: all. Start with *@at = 0. */
bool nodes_next(struct bytes text, const char *section, size_t *at, struct nodes_line *out_line);
/* nodes_text - the value of @key, cut to fit @out; "" when it is not there. Returns @out. */
const char *nodes_text(struct bytes text, const char *key, char *out, size_t out_bytes);
/* nodes_number - the value of @key; 0 when it is not there. */
uint64_t nodes_number(struct bytes text, const char *key);

#endif
