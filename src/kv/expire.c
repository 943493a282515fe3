/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/expire.h"

#include "kv/batch.h"
#include "kv/machine.h"
#include "obs/log.h"
#include "skein/error.h"
#include "skein/group.h"

#define MS_NS UINT64_C(1000000)

static int
submit_empty(struct kv_expirer *expirer)
{
    struct wire_writer out = {0};
    kv_batch_begin(&out, &expirer->limits);
    struct bytes command = bytes_copy(out.data, out.count);
    struct bytes reply = {0};
    wire_writer_deinit(&out);
    int rc = replica_submit(expirer->replica, REPLICA_WRITE, command,
                            skein_deadline_in(expirer->command_timeout_ns), &reply);
    bytes_unref(&command);
    bytes_unref(&reply);
    return rc;
}

/* How long until it is worth looking again; expires what is due. */
static uint64_t
expire_due(struct kv_expirer *expirer)
{
    if (!replica_leads(expirer->replica))
        return EXPIRE_CHECK_NS;
    uint64_t next_ms = kv_machine_next_expiry_ms(replica_machine(expirer->replica));
    uint64_t wall_ms = skein_wall_ns() / MS_NS;
    if (next_ms > wall_ms) {
        uint64_t left_ms = next_ms - wall_ms;
        return left_ms < EXPIRE_CHECK_NS / MS_NS ? left_ms * MS_NS : EXPIRE_CHECK_NS;
    }
    int rc = submit_empty(expirer);
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
