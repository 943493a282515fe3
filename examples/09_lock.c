/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lock service with leases and fencing tokens. A lease ends by log time, which is the same on
 * every node. A holder that slept through the end of its lease does not know it has lost the lock:
 * so each grant has a higher token, and what the lock guards refuses tokens below the highest seen.
 *
 *   09_lock /tmp/lock 7401
 */
#include "three_nodes.h"

struct lock {
    uint64_t token; /* of the last grant */
    uint64_t owner; /* 0: free */
    uint64_t until_ms;
};

struct request {
    enum { ACQUIRE, RELEASE } verb;
    uint32_t lease_ms;
    uint64_t owner, token;
};

static int
lock_open(void **out_machine, void *config)
{
    *out_machine = calloc(1, sizeof(struct lock));
    return *out_machine ? 0 : -SKEIN_ENOMEM;
}

/* The reply is the token, 0: not granted, or not held any more. */
static void
lock_apply(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    struct lock *lock = machine;
    struct request request;
    uint64_t answer = 0;
    if (command->count != sizeof request)
        return;
    memcpy(&request, command->data, sizeof request);
    bool held = lock->owner != 0 && command->time_ms < lock->until_ms;
    if (request.verb == ACQUIRE && (!held || lock->owner == request.owner)) {
        answer = held ? lock->token : ++lock->token;
        lock->owner = request.owner;
        lock->until_ms = command->time_ms + request.lease_ms;
    } else if (request.verb == RELEASE && held && lock->token == request.token) {
        answer = lock->token;
        lock->owner = 0;
    }
    skein_reply_put(reply, &answer, sizeof answer);
}

static void
lock_query(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    const struct lock *lock = machine;
    uint64_t owner = command->time_ms < lock->until_ms ? lock->owner : 0;
    skein_reply_put(reply, &owner, sizeof owner);
}

static int
lock_save(void *machine, struct skein_sink *sink)
{
    struct lock lock = *(struct lock *)machine;
    return skein_sink_put(sink, &lock, sizeof lock);
}

static int
lock_load(void *machine, struct skein_source *source)
{
    return skein_source_get(source, machine, sizeof(struct lock));
}

static const struct skein_machine_ops lock_ops = {"lock",    lock_open, lock_apply, lock_query,
                                                  lock_save, lock_load, free};

static struct three_nodes nodes;

static uint64_t
ask(unsigned by, struct request request)
{
    uint64_t answer = 0;
    ssize_t rc = skein_replica_write(nodes.node[by], &request, sizeof request, &answer,
                                     sizeof answer, skein_deadline_in(5 * SECOND_NS));
    if (rc != sizeof answer)
        fprintf(stderr, "no answer: %s\n", skein_error_text((int)rc));
    return answer;
}

static bool
expect(bool ok, const char *what, uint64_t token)
{
    printf("%s %s (token %llu)\n", ok ? "yes:" : "NO: ", what, (unsigned long long)token);
    return ok;
}

static int
lock_main(void *arg)
{
    if (three_nodes_open(&nodes, &lock_ops, arg) < 0)
        return 1;
    uint64_t a = ask(0, (struct request){ACQUIRE, 300, 'A', 0});
    bool ok = expect(a > 0, "A gets the lock by node 1", a);
    uint64_t b = ask(1, (struct request){ACQUIRE, 300, 'B', 0});
    ok &= expect(b == 0, "B does not, by node 2", b);
    skein_sleep(skein_deadline_in(SECOND_NS / 2)); /* A sleeps, and its lease ends */
    b = ask(2, (struct request){ACQUIRE, 60000, 'B', 0});
    ok &= expect(b > a, "B gets it when the lease is over, with a higher token", b);
    ok &= expect(a < b, "so what A still writes is refused by what the lock guards", a);
    ok &= expect(ask(0, (struct request){RELEASE, 0, 'A', a}) == 0, "nor can A release it", a);
    ok &= expect(ask(0, (struct request){RELEASE, 0, 'B', b}) == b, "B can", b);
    for (unsigned i = 0; i < 3; i++)
        three_nodes_stop(&nodes, i);
    return ok ? 0 : 1;
}

int
main(int argc, char **argv)
{
    return three_nodes_run(argc, argv, lock_main);
}
