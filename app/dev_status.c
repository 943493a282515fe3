/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "app/dev.h"
#include "app/nodes.h"
#include "skein/shard.h"
#include "net/addr.h"
#include "skein/error.h"

#define MS_NS ((uint64_t)1000000)
/* Often until the cluster is there, then once a second. */
#define FAST_NS (200 * MS_NS)
#define SLOW_NS (1000 * MS_NS)
#define ANSWER_NS (500 * MS_NS)
#define TRIM_NS (10000 * MS_NS)

static void
ask(struct dev_node *node)
{
    struct skein_addr addr;
    struct bytes text = {0};
    char waiting_for[sizeof(node->waiting_for)], why[128];
    pid_t pid = node->pid;
    node->answers = false;
    if (pid == 0 || net_addr_parse("127.0.0.1:1", &addr, why) < 0)
        return;
    addr.port = (uint16_t)(node->dev->options.base_port + node->number - 1);
    if (nodes_info(&addr, &text, skein_deadline_in(ANSWER_NS)) < 0)
        return;
    node->answers = node->pid == pid;
    nodes_text(text, "phase", node->phase, sizeof(node->phase));
    nodes_text(text, "role", node->role, sizeof(node->role));
    nodes_text(text, "waiting_for", waiting_for, sizeof(waiting_for));
    node->term = nodes_number(text, "term");
    node->commit = nodes_number(text, "commit");
    node->keys = nodes_number(text, "keys");
    node->ops = nodes_number(text, "instantaneous_ops_per_sec");
    bytes_unref(&text);
    if (strcmp(waiting_for, node->waiting_for) != 0) {
        memcpy(node->waiting_for, waiting_for, sizeof(waiting_for));
        if (waiting_for[0] && node->dev->leader)
            dev_event(node->dev, "node %" PRIu32 ": %s: %s", node->number, node->phase,
                      waiting_for);
    }
}

/* Who leads, by the highest term: a leader that was stopped may believe in its own for a while. */
static const struct dev_node *
find_leader(const struct dev *dev)
{
    const struct dev_node *leader = NULL;
    for (uint32_t i = 0; i < dev->options.nodes; i++) {
        const struct dev_node *node = &dev->nodes[i];
        if (node->answers && strcmp(node->role, "leader") == 0 &&
            (!leader || node->term > leader->term))
            leader = node;
    }
    return leader;
}

static void
announce(struct dev *dev)
{
    const struct dev_node *leader = find_leader(dev);
    uint32_t number = leader ? leader->number : 0;
    if (number == dev->leader)
        return;
    dev->leader = number;
    if (number)
        dev_event(dev, "node %" PRIu32 ": leads, term %" PRIu64, number, leader->term);
    else
        dev_event(dev, "no node leads");
    if (number && !dev->greeted) {
        dev_greet(dev);
        dev->greeted = true;
    }
}

void
dev_status_run(void *arg)
{
    struct dev *dev = arg;
    uint64_t trim_ns = skein_deadline_in(TRIM_NS);
    while (!dev->stopping) {
        for (uint32_t i = 0; i < dev->options.nodes && !dev->stopping; i++)
            ask(&dev->nodes[i]);
        if (dev->stopping)
            return;
        announce(dev);
        if (dev->greeted)
            dev_draw(dev);
        if (skein_now_ns() >= trim_ns) {
            for (uint32_t i = 0; i < dev->options.nodes; i++)
                dev_log_trim(&dev->nodes[i]);
            trim_ns = skein_deadline_in(TRIM_NS);
        }
        /* Woken only when dev is stopping; the deadline is the rule. */
        uint64_t pause_ns = dev->leader ? SLOW_NS : FAST_NS;
        if (skein_wait(&dev->changed, skein_deadline_in(pause_ns)) == -SKEIN_ECANCELED)
            return;
    }
}
