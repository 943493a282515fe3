/* SPDX-License-Identifier: Apache-2.0 */
#include "app/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/addr.h"
#include "skein/error.h"

int
nodes_parse(const struct flags_row *row, const char *text, void *field, char out_why[256])
{
    struct nodes nodes = {.count = 0};
    for (;;) {
        char one[128], reason[128];
        size_t bytes = strcspn(text, ",");
        if (nodes.count == NODES_MAX) {
            snprintf(out_why, 256, "a list of at most %d addresses", NODES_MAX);
            return -SKEIN_EINVALID;
        }
        snprintf(one, sizeof(one), "%.*s", (int)(bytes < 120 ? bytes : 120), text);
        struct skein_addr *addr = &nodes.list[nodes.count];
        if (net_addr_parse(one, addr, reason) < 0 || addr->port == 0) {
            snprintf(out_why, 256, "a list of addresses like 127.0.0.1:7001,127.0.0.1:7002");
            return -SKEIN_EINVALID;
        }
        nodes.count++;
        if (text[bytes] == '\0')
            break;
        text += bytes + 1;
    }
    *(struct nodes *)field = nodes;
    return 0;
}

int
nodes_info(const struct skein_addr *addr, struct bytes *out_text, uint64_t deadline_ns)
{
    static const char *const argv[] = {"INFO", "stats", "skein"};
    struct kv_client *client;
    struct kv_reply reply = {.type = KV_REPLY_NULL};
    int rc = kv_client_connect(&client, addr, deadline_ns);
    if (rc < 0)
        return rc;
    rc = kv_client_call(client, &reply, deadline_ns, BASE_COUNT_OF(argv), argv);
    kv_client_close(client);
    if (rc < 0)
        return rc;
    if (reply.type == KV_REPLY_BULK)
        *out_text = bytes_ref(reply.text);
    else
        rc = -SKEIN_EPROTO;
    kv_reply_deinit(&reply);
    return rc;
}

bool
nodes_next(struct bytes text, const char *section, size_t *at, struct nodes_line *out_line)
{
    const char *data = (const char *)text.data;
    bool inside = !section;
    size_t scan = section ? 0 : *at;
    while (scan < text.count) {
        const char *line = data + scan;
        const char *end = memchr(line, '\n', text.count - scan);
        size_t bytes = end ? (size_t)(end - line) : text.count - scan;
        size_t next = scan + bytes + (end != NULL);
        bool passed = scan < *at;
        scan = next;
        if (bytes > 0 && line[bytes - 1] == '\r')
            bytes--;
        if (bytes >= 2 && line[0] == '#' && section)
            inside = bytes - 2 == strlen(section) && strncasecmp(line + 2, section, bytes - 2) == 0;
        const char *colon = bytes ? memchr(line, ':', bytes) : NULL;
        if (passed || !inside || !colon || line[0] == '#')
            continue;
        *out_line = (struct nodes_line){.key = line,
                                        .key_bytes = (size_t)(colon - line),
                                        .value = colon + 1,
                                        .value_bytes = (size_t)(line + bytes - colon - 1)};
        *at = next;
        return true;
    }
    return false;
}

const char *
nodes_text(struct bytes text, const char *key, char *out, size_t out_bytes)
{
    struct nodes_line line;
    size_t at = 0, key_bytes = strlen(key);
    skein_assert(out_bytes > 0);
    out[0] = '\0';
    while (nodes_next(text, NULL, &at, &line)) {
        if (line.key_bytes != key_bytes || memcmp(line.key, key, key_bytes) != 0)
            continue;
        size_t count = line.value_bytes < out_bytes ? line.value_bytes : out_bytes - 1;
        memcpy(out, line.value, count);
        out[count] = '\0';
        break;
    }
    return out;
}

uint64_t
nodes_number(struct bytes text, const char *key)
{
    char value[32];
    return strtoull(nodes_text(text, key, value, sizeof(value)), NULL, 10);
}
