/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/expire.h"

#include "kv/batch.h"
#include "kv/machine.h"
#include "kv/route.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/group.h"

#define MS_NS UINT64_C(1000000)

/* An empty batch for each of @calls. The first failure. */
static int
submit_empty(const struct kv_expirer *expirer, struct replica_call *calls, uint32_t count)
{
    struct wire_writer out = {0};
    kv_batch_begin(&out, &expirer->limits);
    struct bytes command = bytes_copy(out.data, out.count);
    int rc = 0;
    wire_writer_deinit(&out);
    for (uint32_t i = 0; i < count; i++)
        calls[i].command = command;
    replica_submit_all(calls, count, skein_deadline_in(expirer->command_timeout_ns));
    for (uint32_t i = 0; i < count; i++) {
        bytes_unref(&calls[i].reply);
        rc = rc < 0 ? rc : calls[i].status;
    }
    bytes_unref(&command);
    return rc;
}

/* How long until it is worth looking again; expires what is due, in every group that is led here.
 */
static uint64_t
expire_due(struct kv_expirer *expirer)
{
    struct replica_call calls[KV_GROUPS_MAX] = {{NULL}};
    uint64_t wall_ms = skein_wall_ns() / MS_NS, wait_ns = EXPIRE_CHECK_NS;
    uint32_t due = 0;
    for (uint32_t i = 0; i < expirer->group_count; i++) {
        struct replica *replica =
            expirer->group_count > 1 ? replica_group(expirer->replica, i) : expirer->replica;
        if (!replica_leads(replica))
            continue;
        uint64_t next_ms = kv_machine_next_expiry_ms(replica_machine(replica));
        if (next_ms <= wall_ms)
            calls[due++] = (struct replica_call){.replica = replica, .kind = REPLICA_WRITE};
        else if (next_ms - wall_ms < wait_ns / MS_NS)
            wait_ns = (next_ms - wall_ms) * MS_NS;
    }
    if (due == 0)
        return wait_ns;
    int rc = submit_empty(expirer, calls, due);
    if (rc < 0)
        obs_log(OBS_DEBUG, "kv", "log time not moved", "error=%s", skein_error_name(rc));
    return rc < 0 ? EXPIRE_CHECK_NS : EXPIRE_GAP_NS;
}

static void
expirer_main(void *arg)
{
    struct kv_expirer *expirer = arg;
    while (skein_sleep(skein_deadline_in(expire_due(expirer))) == 0)
        ;
}

int
kv_expirer_start(struct kv_expirer *expirer, struct skein_scope *scope)
{
    return skein_spawn_at(SKEIN_PRIORITY_LOW, scope, "expirer", expirer_main, expirer,
                          SKEIN_STACK_SMALL);
}
