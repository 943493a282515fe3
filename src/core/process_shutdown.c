/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "core/internal.h"
#include "skein/process.h"

/* What a resource gets, once cancelled, to return. */
#define GRACE_NS UINT64_C(1000000000)

struct resource {
    struct skein_shutdown *shutdown;
    struct skein_shutdown_entry entry;
    uint64_t timeout_ns, deadline_ns;
    int (*stop)(void *arg, uint64_t deadline_ns);
    void *arg;
    bool returned, cancelled;
    struct skein_scope scope; /* its fiber alone, so that it is cancelled alone */
};

struct skein_shutdown {
    struct resource resources[SKEIN_SHUTDOWN_RESOURCES_MAX];
    size_t count;
    struct skein_waitq changed;
    bool run;
};

struct skein_shutdown *
skein_shutdown_open(void)
{
    struct skein_shutdown *shutdown = mem_zalloc(sizeof(*shutdown));
    skein_waitq_init(&shutdown->changed);
    return shutdown;
}

int
skein_shutdown_add(struct skein_shutdown *shutdown, enum skein_shutdown_phase phase,
                   const char *name, uint64_t timeout_ns,
                   int (*stop)(void *arg, uint64_t deadline_ns), void *arg)
{
    skein_assert((size_t)phase < SKEIN_SHUTDOWN_PHASES);
    skein_assert(!shutdown->run);
    if (shutdown->count == SKEIN_SHUTDOWN_RESOURCES_MAX)
        return -SKEIN_EAGAIN;
    shutdown->resources[shutdown->count++] = (struct resource){
        .shutdown = shutdown,
        .entry = {.name = name, .phase = phase},
        .timeout_ns = timeout_ns,
        .stop = stop,
        .arg = arg,
    };
    return 0;
}

static void
stop_main(void *arg)
{
    struct resource *resource = arg;
    struct skein_shutdown_entry *entry = &resource->entry;
    struct skein_deadline deadline;
    uint64_t begun_ns = skein_now_ns();
    skein_deadline_push(&deadline, resource->deadline_ns);
    entry->result = resource->stop(resource->arg, resource->deadline_ns);
    skein_deadline_pop(&deadline);
    entry->took_ns = skein_now_ns() - begun_ns;
    if (resource->cancelled)
        entry->outcome = SKEIN_SHUTDOWN_CUT_SHORT;
    else
        entry->outcome = entry->result < 0 ? SKEIN_SHUTDOWN_FAILED : SKEIN_SHUTDOWN_DONE;
    resource->returned = true;
    skein_wake_all(&resource->shutdown->changed);
}

static void
begin(struct resource *resource)
{
    resource->deadline_ns = skein_deadline_in(resource->timeout_ns);
    skein_scope_init(&resource->scope);
    int rc =
        skein_spawn(&resource->scope, resource->entry.name, stop_main, resource, SKEIN_STACK_LARGE);
    if (rc == 0)
        return;
    resource->entry.result = rc;
    resource->entry.outcome = SKEIN_SHUTDOWN_FAILED;
    resource->returned = true;
}

/* What there is to do about those that are late. Returns when to look again; SKEIN_NEVER: nothing
 * of the phase is left. */
static uint64_t
tend(struct skein_shutdown *shutdown, enum skein_shutdown_phase phase)
{
    uint64_t now_ns = skein_now_ns(), next_ns = SKEIN_NEVER;
    for (size_t i = 0; i < shutdown->count; i++) {
        struct resource *resource = &shutdown->resources[i];
        if (resource->entry.phase != phase || resource->returned ||
            resource->entry.outcome == SKEIN_SHUTDOWN_STUCK)
            continue;
        uint64_t until_ns = resource->deadline_ns;
        if (!resource->cancelled && now_ns >= until_ns) {
            resource->cancelled = true;
            skein_scope_cancel(&resource->scope);
        }
        if (resource->cancelled)
            until_ns += GRACE_NS;
        if (now_ns >= until_ns)
            resource->entry.outcome = SKEIN_SHUTDOWN_STUCK;
        else if (until_ns < next_ns)
            next_ns = until_ns;
    }
    return next_ns;
}

static void
run_phase(struct skein_shutdown *shutdown, enum skein_shutdown_phase phase)
{
    uint64_t next_ns;
    for (size_t i = 0; i < shutdown->count; i++)
        if (shutdown->resources[i].entry.phase == phase)
            begin(&shutdown->resources[i]);
    while ((next_ns = tend(shutdown, phase)) != SKEIN_NEVER)
        (void)!skein_wait(&shutdown->changed, next_ns);
    for (size_t i = 0; i < shutdown->count; i++) {
        struct resource *resource = &shutdown->resources[i];
        if (resource->entry.phase == phase && resource->returned)
            skein_scope_join(&resource->scope);
    }
}

int
skein_shutdown_run(struct skein_shutdown *shutdown)
{
    int rc = 0;
    skein_assert(!shutdown->run);
    shutdown->run = true;
    skein_shield(true);
    for (int phase = 0; phase < SKEIN_SHUTDOWN_PHASES; phase++)
        run_phase(shutdown, (enum skein_shutdown_phase)phase);
    skein_shield(false);
    for (size_t i = 0; i < shutdown->count; i++) {
        enum skein_shutdown_outcome outcome = shutdown->resources[i].entry.outcome;
        if (outcome == SKEIN_SHUTDOWN_STUCK)
            rc = -SKEIN_EBUSY;
        else if (outcome != SKEIN_SHUTDOWN_DONE && rc == 0)
            rc = -SKEIN_ETIMEDOUT;
    }
    return rc;
}

bool
skein_shutdown_entry(const struct skein_shutdown *shutdown, size_t index,
                     struct skein_shutdown_entry *out_entry)
{
    if (index >= shutdown->count)
        return false;
    *out_entry = shutdown->resources[index].entry;
    return true;
}

const char *
skein_shutdown_phase_name(enum skein_shutdown_phase phase)
{
    static const char *const names[SKEIN_SHUTDOWN_PHASES] = {
        "stop accepting", "drain", "stop timers", "flush metrics", "stop shards", "clean up"};
    skein_assert((size_t)phase < SKEIN_SHUTDOWN_PHASES);
    return names[phase];
}

const char *
skein_shutdown_outcome_name(enum skein_shutdown_outcome outcome)
{
    static const char *const names[] = {"pending", "done", "failed", "cut short", "stuck"};
    skein_assert((size_t)outcome < BASE_COUNT_OF(names));
    return names[outcome];
}

void
skein_shutdown_close(struct skein_shutdown *shutdown)
{
    if (!shutdown)
        return;
    for (size_t i = 0; i < shutdown->count; i++)
        skein_assert(shutdown->resources[i].entry.outcome != SKEIN_SHUTDOWN_STUCK);
    mem_free(shutdown);
}
