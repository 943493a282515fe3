/* SPDX-License-Identifier: Apache-2.0 */
#include "core/chaos.h"

static void
task_main(void *arg)
{
    struct skein_task *task = arg;
    task->fiber = fiber_self();
    task->result = task->fn(task->arg);
    task->fiber = NULL;
    skein_wake_all(&task->joiners);
}

int
skein_task_spawn(struct skein_task *task, struct skein_scope *scope, const char *name,
                 int (*fn)(void *arg), void *arg, enum skein_stack_class stack_class)
{
    struct skein_shard *shard = skein_shard_current();
    skein_assert(shard != NULL);
    *task = (struct skein_task){.fn = fn, .arg = arg};
    skein_waitq_init(&task->joiners);
    int rc = fiber_spawn(shard, scope, name, task_main, task, stack_class);
    if (rc < 0)
        return rc;
    /* Known before it runs, so that it can be cancelled before. */
    task->fiber = LIST_ENTRY(scope->fibers.prev, struct skein_fiber, scope_link);
    return 0;
}

int
skein_task_join(struct skein_task *task, uint64_t deadline_ns, int *out_result)
{
    chaos_point();
    skein_assert(task->fiber != fiber_self());
    while (task->fiber) {
        int rc = skein_wait(&task->joiners, deadline_ns);
        if (rc < 0)
            return rc;
    }
    if (out_result)
        *out_result = task->result;
    return 0;
}

void
skein_task_cancel(struct skein_task *task)
{
    if (task->fiber)
        fiber_cancel(task->fiber);
}
