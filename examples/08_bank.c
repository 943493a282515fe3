/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replicated bank: transfers are atomic and never overdraw, so the total never changes, whoever
 * transfers by whichever node, and whichever node stops meanwhile.
 *
 *   08_bank /tmp/bank 7301
 */
#include "three_nodes.h"

#define ACCOUNTS 8
#define OPENING_BALANCE 1000
#define TELLERS 6
#define TRANSFERS 100

struct transfer {
    uint32_t from, to;
    int64_t amount;
};

static int
bank_open(void **out_machine, void *config)
{
    int64_t *balances = calloc(ACCOUNTS, sizeof *balances);
    for (unsigned i = 0; balances && i < ACCOUNTS; i++)
        balances[i] = OPENING_BALANCE;
    *out_machine = balances;
    return balances ? 0 : -SKEIN_ENOMEM;
}

static void
bank_apply(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    int64_t *balances = machine;
    struct transfer t;
    bool ok = command->count == sizeof t;
    if (ok)
        memcpy(&t, command->data, sizeof t);
    ok = ok && t.from < ACCOUNTS && t.to < ACCOUNTS && t.amount > 0 && balances[t.from] >= t.amount;
    if (ok) {
        balances[t.from] -= t.amount;
        balances[t.to] += t.amount;
    }
    skein_reply_put(reply, ok ? "done" : "refused", ok ? 4 : 7);
}

static void
bank_query(void *machine, const struct skein_command *command, struct skein_reply *reply)
{
    skein_reply_put(reply, machine, ACCOUNTS * sizeof(int64_t));
}

static int
bank_save(void *machine, struct skein_sink *sink)
{
    int64_t balances[ACCOUNTS]; /* as they are now: the put may suspend */
    memcpy(balances, machine, sizeof balances);
    return skein_sink_put(sink, balances, sizeof balances);
}

static int
bank_load(void *machine, struct skein_source *source)
{
    return skein_source_get(source, machine, ACCOUNTS * sizeof(int64_t));
}

static const struct skein_machine_ops bank_ops = {"bank",    bank_open, bank_apply, bank_query,
                                                  bank_save, bank_load, free};

static struct three_nodes nodes;
static unsigned done, refused, unknown;

static void
teller(void *arg)
{
    char reply[16];
    for (unsigned i = 0; i < TRANSFERS; i++) {
        uint64_t random = skein_random();
        struct transfer t = {random % ACCOUNTS, random / 8 % ACCOUNTS, 1 + random / 64 % 700};
        unsigned by = (uintptr_t)arg % 2; /* the third node is the one that stops */
        ssize_t rc = skein_replica_write(nodes.node[by], &t, sizeof t, reply, sizeof reply,
                                         skein_deadline_in(5 * SECOND_NS));
        *(rc < 0 ? &unknown : reply[0] == 'd' ? &done : &refused) += 1;
    }
}

static int
bank_main(void *arg)
{
    struct skein_scope tellers;
    int64_t balances[ACCOUNTS], total = 0;
    if (three_nodes_open(&nodes, &bank_ops, arg) < 0)
        return 1;
    skein_scope_init(&tellers);
    for (uintptr_t i = 0; i < TELLERS; i++)
        if (skein_spawn(&tellers, "teller", teller, (void *)i, SKEIN_STACK_SMALL) < 0)
            return 1;
    skein_sleep(skein_deadline_in(SECOND_NS));
    three_nodes_stop(&nodes, 2);
    skein_scope_join(&tellers);
    int rc = three_nodes_start(&nodes, 2);
    for (unsigned i = 0; i < 3 && rc == 0; i++) {
        ssize_t n = skein_replica_read(nodes.node[i], "", 0, balances, sizeof balances,
                                       skein_deadline_in(5 * SECOND_NS));
        total = 0;
        for (unsigned a = 0; n == sizeof balances && a < ACCOUNTS; a++)
            total += balances[a];
        printf("by node %u: %lld in all\n", i + 1, (long long)total);
        rc = total == ACCOUNTS * OPENING_BALANCE ? 0 : 1;
    }
    printf("%u transfers done, %u refused, %u of unknown outcome\n", done, refused, unknown);
    for (unsigned i = 0; i < 3; i++)
        three_nodes_stop(&nodes, i);
    return rc == 0 && done > 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    return three_nodes_run(argc, argv, bank_main);
}
