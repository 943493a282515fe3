/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_TEST_UTIL_H
#define RAFT_TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <skein/error.h>

#include "base/mem.h"
#include "raft/testnet.h"

/* The common beginning: @count voters, node 1 leads, its no-op is committed everywhere. */
static inline void
lead(struct testnet *net, uint32_t count)
{
    testnet_init(net, count, count, 1);
    testnet_campaign(net, 1);
    assert_int_equal(testnet_leader(net), 1);
    testnet_tick(net, 1);
}

static inline void
propose(struct testnet *net, uint64_t id, const char *text)
{
    assert_int_equal(testnet_propose(net, id, text), 0);
    testnet_run(net);
}

static inline int
step(struct testnet *net, uint64_t id, struct raft_message m)
{
    return raft_step(net->nodes[id].raft, &m);
}

/* The newest message of @type to @to in the bag, or NULL. */
static inline struct raft_message *
in_bag(struct testnet *net, enum raft_message_type type, uint64_t to)
{
    for (size_t i = net->bag_count; i; i--)
        if (net->bag[i - 1].type == type && net->bag[i - 1].to == to)
            return &net->bag[i - 1];
    return NULL;
}

static inline struct raft_entry *
entries_of(size_t count, uint64_t first, uint64_t term)
{
    struct raft_entry *entries = mem_zalloc(count * sizeof(*entries));
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct raft_entry){.term = term, .index = first + i};
    return entries;
}

#endif
