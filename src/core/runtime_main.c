/* SPDX-License-Identifier: Apache-2.0 */
/* What the shards of a run do from start to end, in the simulator too. */
#include "core/runtime.h"

static void
note_stop(void *arg)
{
    struct launch_shard *mine = arg;
    mine->stop = true;
    skein_wake_all(&mine->changed);
}

static void
note_end(void *arg)
{
    struct launch_shard *mine = arg;
    mine->end = true;
    skein_wake_all(&mine->changed);
}

/* Posted to shard 0 by one that is quiet. */
static void
note_quiet(void *arg)
{
    struct launch *launch = arg;
    launch->quiet_count++;
    skein_wake_all(&launch->shards[0].changed);
}

static void
post(unsigned shard, void (*fn)(void *arg), void *arg)
{
    while (skein_post(shard, fn, arg) < 0) {
        int rc = skein_wait_room(shard, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
}

static void
wait_until(struct launch_shard *mine, const bool *flag)
{
    while (!*flag) {
        int rc = skein_wait(&mine->changed, SKEIN_NEVER);
        skein_assert(rc == 0);
    }
}

/* No call begins here any more, none runs, and no detached fiber that could make one. */
static void
quieten(struct launch_shard *mine)
{
    inbox_close(&mine->port->inbox);
    while (!inbox_is_quiet(&mine->port->inbox))
        skein_yield();
    skein_scope_cancel(skein_shard_scope());
    skein_scope_join(skein_shard_scope());
    serve_stop(mine->port);
}

int
launch_main_other(void *arg)
{
    struct launch_shard *mine = arg;
    wait_until(mine, &mine->stop);
    quieten(mine);
    post(0, note_quiet, mine->launch);
    wait_until(mine, &mine->end);
    return 0;
}

int
launch_main_first(void *arg)
{
    struct launch_shard *mine = arg;
    struct launch *launch = mine->launch;
    int result = launch->main_fn(launch->main_arg);
    skein_shield(true); /* the main fiber may be cancelled (struct skein_chaos): this is not */
    for (unsigned i = launch->count - 1; i > 0; i--) {
        post(i, note_stop, &launch->shards[i]);
        while (launch->quiet_count < launch->count - i) {
            int rc = skein_wait(&mine->changed, SKEIN_NEVER);
            skein_assert(rc == 0);
        }
    }
    quieten(mine);
    for (unsigned i = 1; i < launch->count; i++)
        post(i, note_end, &launch->shards[i]);
    return result;
}

void
launch_send_rest(struct launch_shard *mine)
{
    struct skein_shard *previous = shard_set_current(mine->shard);
    port_turn(mine->port);
    /* The others take what shard 0 sends until they have its word that all ends; nobody waits for
     * what they may have sent after that. */
    for (unsigned i = 1; mine->index == 0 && i < mine->launch->count; i++)
        while (mine->port->peers[i].out.batch_count > 0)
            port_turn(mine->port);
    shard_set_current(previous);
}

void
launch_drain(struct launch_shard *mine)
{
    struct skein_shard *previous = shard_set_current(mine->shard);
    port_drain(mine->port);
    shard_set_current(previous);
}
