/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include "base/list.h"
#include "core/mailbox_port.h"

/*
 * A call to another shard, at the caller's end.
 *
 *   call_start -> QUEUED --a credit and room--> THERE --the answer--> DONE, done(call)
 *                   +--------- call_cancel: withdrawn -------------------^
 *
 * call_start never fails and never suspends; done is called between two fibers (or in call_cancel),
 * exactly once. The record stays where it is from call_start until then.
 */

enum call_state { CALL_QUEUED = 1, CALL_THERE, CALL_DONE };

struct call {
    int64_t (*fn)(void *arg);
    void *arg;
    void (*done)(struct call *call);
    void *owner;
    int64_t result;
    struct skein_list link;
    struct shard_port *port;
    unsigned shard;
    uint32_t id;
    uint32_t group_tag; /* the caller's scheduling group */
    enum call_state state;
    bool cancel_asked;
};

/* call_start - @call: fn, arg, done, owner and shard set, the rest zero. */
void call_start(struct shard_port *port, struct call *call);
/* call_cancel - ask that it ends soon; done still comes. */
void call_cancel(struct call *call);

#endif
