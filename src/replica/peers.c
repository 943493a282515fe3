/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/addr.h"
#include "skein/error.h"

/* One "7=127.0.0.1:7101" of the list. */
static int
parse_peer(const char *text, size_t bytes, struct replica_peers *peers, char out_why[256])
{
    char one[128], reason[128], *equals, *end;
    struct replica_peer *peer = &peers->list[peers->count];
    if (bytes >= sizeof(one) || peers->count == REPLICA_NODES_MAX) {
        snprintf(out_why, 256, "a list of at most %d nodes", REPLICA_NODES_MAX);
        return -SKEIN_EINVALID;
    }
    memcpy(one, text, bytes);
    one[bytes] = '\0';
    equals = strchr(one, '=');
    unsigned long number = one[0] >= '1' && one[0] <= '9' ? strtoul(one, &end, 10) : 0;
    if (!equals || number == 0 || number > 65535 || end != equals) {
        snprintf(out_why, 256, "a list like 1=127.0.0.1:7101,2=127.0.0.1:7102: at \"%.40s\"", one);
        return -SKEIN_EINVALID;
    }
    int rc = net_addr_parse(equals + 1, &peer->addr, reason);
    if (rc < 0 || peer->addr.port == 0) {
        snprintf(out_why, 256, "a list of addresses with ports: at \"%.40s\": %s", one,
                 rc < 0 ? reason : "the port is 1 to 65535");
        return -SKEIN_EINVALID;
    }
    peer->node = (uint32_t)number;
    for (uint32_t i = 0; i < peers->count; i++) {
        bool same_addr = memcmp(&peers->list[i].addr.ip, &peer->addr.ip, 16) == 0 &&
                         peers->list[i].addr.port == peer->addr.port;
        if (peers->list[i].node == peer->node || same_addr) {
            snprintf(out_why, 256, "a list with each node and address once: at \"%.40s\"", one);
            return -SKEIN_EINVALID;
        }
    }
    peers->count++;
    return 0;
}

int
replica_peers_parse(const char *text, struct replica_peers *out_peers, char out_why[256])
{
    struct replica_peers peers = {.count = 0};
    for (;;) {
        size_t bytes = strcspn(text, ",");
        int rc = parse_peer(text, bytes, &peers, out_why);
        if (rc < 0)
            return rc;
        if (text[bytes] == '\0')
            break;
        text += bytes + 1;
    }
    *out_peers = peers;
    return 0;
}
