/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/former.h"

#include <string.h>

#include "obs/log.h"
#include "replica/state.h"
#include "skein/error.h"

/* Several times within the shortest time in which two of them could elect one. */
#define WARNING_NS (200 * UINT64_C(1000000))

void
former_leave_behind(struct host *host)
{
    if (!host->identity.recovered)
        return;
    host->left_behind = host->configured;
    roster_drop(&host->left_behind, host->options.node);
    for (uint32_t i = 0; i < host->left_behind.count; i++)
        roster_drop(&host->configured, host->left_behind.peers[i].node);
}

void
former_tick(struct host *host, uint64_t now_ns)
{
    if (host->left_behind.count == 0 || now_ns < host->next_warning_ns)
        return;
    host->next_warning_ns = now_ns + WARNING_NS;
    for (uint32_t i = 0; i < host->left_behind.count; i++) {
        uint32_t node = host->left_behind.peers[i].node;
        struct wire_writer out = {0};
        if (roster_find(&host->known, node) || !host->link->ops->connected(host->link, node))
            continue;
        envelope_put_recovered(&out, host->identity.former, host->identity.map.cluster);
        (void)!inbox_send_writer(host, node, &out);
        wire_writer_deinit(&out);
    }
}

void
former_on_message(struct host *host, uint32_t from, struct bytes message)
{
    uint8_t former[16], cluster[16];
    if (envelope_get_recovered(message, former, cluster) < 0) {
        host->counters.undecodable_dropped++;
        return;
    }
    if (host->identity.state == GENESIS_UNBORN ||
        memcmp(former, host->identity.map.cluster, sizeof former) != 0)
        return;
    if (!host->had_leader) {
        host_fail(host, -SKEIN_EREMOVED,
                  "node %u was left behind: its cluster had lost its quorum and was recovered on "
                  "node %u, as another cluster; what only this disk holds is not in it. To let the "
                  "node in, empty its data directory and add it as a new node",
                  host->options.node, from);
        return;
    }
    if (!host->two_clusters_said)
        obs_log(OBS_ERROR, "replica", "this cluster was recovered elsewhere, and serves here",
                "node=%u by=%u remedy=\"stop one of the two: clients may see either\"",
                host->options.node, from);
    host->two_clusters_said = true;
}
