/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft - the consensus core alone: three of them in one process, no disk, no network, one thread.
 *
 *     raft [--json] [--seconds S]
 *
 * In each round the leader is given a batch of entries, then every core's Ready is carried out
 * once: what it would write is durable at once, its messages arrive in the next round. So several
 * batches are under way, as they are between machines. Counted is what the leader applied; a run
 * ends when all three have applied the same. Three repeats, medians.
 *
 *   handed   messages go over as they are           encoded   through the codec, as on a wire
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "raft/codec.h"
#include "raft/raft.h"
#include "skein/error.h"

#define NODES 3u
#define REPEATS 3
#define INBOX_MAX 4096
/* The logs in memory are cut behind what all have applied when they hold so much. */
#define KEEP_BYTES ((uint64_t)32 << 20)

struct core {
    struct raft *raft;
    uint64_t applied;
    struct raft_message inbox[INBOX_MAX];
    size_t inbox_count;
};

struct cluster {
    struct core cores[NODES];
    struct raft_config config;
    struct core *leader;
    struct wire_writer out;
    bool encoded;
    uint64_t entry_bytes, compacted, message_count;
};

static void
check(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "raft: %s\n", what);
    exit(1);
}

static double
now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* As it would come off a wire: decoded entries are slices of the frame. */
static void
recode(struct cluster *cluster, struct raft_message *message)
{
    cluster->out.count = 0;
    raft_encode_message(&cluster->out, message);
    raft_message_deinit(message);
    struct bytes frame = bytes_copy(cluster->out.data, cluster->out.count);
    check(raft_decode_message(frame, message) == 0, "a message cannot be decoded");
    bytes_unref(&frame);
}

static void
deliver(struct cluster *cluster, struct raft_message *message)
{
    struct core *to = &cluster->cores[message->to - 1];
    check(to->inbox_count < INBOX_MAX, "too many messages under way");
    struct raft_message *slot = &to->inbox[to->inbox_count++];
    *slot = *message;
    *message = (struct raft_message){0};
    cluster->message_count++;
    if (cluster->encoded)
        recode(cluster, slot);
}

static void
carry_out(struct cluster *cluster, struct core *core)
{
    struct raft_ready ready;
    while (raft_has_ready(core->raft)) {
        raft_take_ready(core->raft, &ready);
        for (size_t i = 0; i < ready.message_count; i++)
            deliver(cluster, &ready.messages[i]);
        for (size_t i = 0; i < ready.response_count; i++)
            if (ready.responses[i].to == (uint64_t)(core - cluster->cores) + 1)
                check(raft_step(core->raft, &ready.responses[i]) == 0, "a write does not fit");
            else
                deliver(cluster, &ready.responses[i]);
        if (ready.apply_count > 0) {
            core->applied = ready.apply[ready.apply_count - 1].index;
            raft_applied(core->raft, core->applied);
        }
        raft_ready_deinit(&ready);
    }
}

static void
take_inbox(struct core *core)
{
    for (size_t i = 0; i < core->inbox_count; i++)
        check(raft_step(core->raft, &core->inbox[i]) == 0, "a message does not fit");
    core->inbox_count = 0;
}

static void
play_round(struct cluster *cluster)
{
    for (uint32_t i = 0; i < NODES; i++)
        take_inbox(&cluster->cores[i]);
    for (uint32_t i = 0; i < NODES; i++)
        carry_out(cluster, &cluster->cores[i]);
}

static uint64_t
applied_by_all(const struct cluster *cluster)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < NODES; i++)
        if (cluster->cores[i].applied < least)
            least = cluster->cores[i].applied;
    return least;
}

static void
compact(struct cluster *cluster)
{
    uint64_t index = applied_by_all(cluster);
    if ((index - cluster->compacted) * (cluster->entry_bytes + 64) < KEEP_BYTES)
        return;
    for (uint32_t i = 0; i < NODES; i++) {
        struct raft *raft = cluster->cores[i].raft;
        const struct raft_snapshot snapshot = {
            .index = index, .term = raft_entry_term(raft, index), .config = cluster->config};
        raft_compact(raft, &snapshot, index + 1);
    }
    cluster->compacted = index;
}

static void
open_cluster(struct cluster *cluster, bool encoded, uint64_t entry_bytes)
{
    static const uint64_t ids[NODES] = {1, 2, 3};
    *cluster = (struct cluster){
        .encoded = encoded, .entry_bytes = entry_bytes, .config = raft_config_of(ids, NODES)};
    for (uint32_t i = 0; i < NODES; i++) {
        struct raft_options options = {.id = i + 1,
                                       .seed = i + 1,
                                       .pre_vote = true,
                                       .check_quorum = true,
                                       .step_down_on_removal = true,
                                       .snapshot.config = cluster->config};
        check(raft_open(&cluster->cores[i].raft, &options) == 0, "a core cannot be opened");
    }
    cluster->leader = &cluster->cores[0];
    raft_campaign(cluster->leader->raft);
    for (int i = 0; i < 20; i++)
        play_round(cluster);
    check(raft_role(cluster->leader->raft) == RAFT_LEADER, "nobody leads");
}

static void
close_cluster(struct cluster *cluster)
{
    for (uint32_t i = 0; i < NODES; i++)
        raft_close(cluster->cores[i].raft);
    wire_writer_deinit(&cluster->out);
}

struct figures {
    double entries_s, bytes_s, messages_per_entry;
};

static struct figures
run(bool encoded, uint64_t entry_bytes, uint32_t batch, double seconds)
{
    static struct cluster cluster;
    uint64_t index = 0, term;
    open_cluster(&cluster, encoded, entry_bytes);
    uint8_t *zeros = mem_zalloc(entry_bytes + 1);
    uint64_t before = cluster.leader->applied;
    cluster.message_count = 0;
    double began_s = now_s(), end_s = began_s + seconds;
    while (now_s() < end_s) {
        for (uint32_t i = 0; i < batch; i++) {
            /* Each command comes in memory of its own, as it does from a client. */
            struct bytes data = bytes_copy(zeros, entry_bytes);
            int rc = raft_propose(cluster.leader->raft, data, &index, &term);
            bytes_unref(&data);
            if (rc == -SKEIN_EAGAIN)
                break;
            check(rc == 0, "a proposal is refused");
        }
        play_round(&cluster);
        compact(&cluster);
    }
    for (int i = 0; i < 10000 && applied_by_all(&cluster) < index; i++)
        play_round(&cluster);
    double took_s = now_s() - began_s;
    check(applied_by_all(&cluster) == index, "the cores did not come to the same end");
    double entries = (double)(index - before);
    struct figures figures = {entries / took_s, entries * (double)entry_bytes / took_s,
                              (double)cluster.message_count / entries};
    close_cluster(&cluster);
    mem_free(zeros);
    return figures;
}

static int
compare(const void *a, const void *b)
{
    const struct figures *x = a, *y = b;
    return (x->entries_s > y->entries_s) - (x->entries_s < y->entries_s);
}

int
main(int argc, char **argv)
{
    static const uint64_t sizes[] = {16, 256, 4096};
    static const uint32_t batches[] = {1, 16, 256};
    double seconds = 0.3;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = atof(argv[++i]);
        else
            return fprintf(stderr, "usage: raft [--json] [--seconds S]\n"), 64;
    }
    if (seconds <= 0)
        return fprintf(stderr, "raft: --seconds is a number above 0\n"), 64;
    if (!json)
        printf("messages  entry bytes  batch  entries/s  MiB/s  messages/entry\n");
    for (int encoded = 0; encoded < 2; encoded++)
        for (size_t s = 0; s < BASE_COUNT_OF(sizes); s++)
            for (size_t b = 0; b < BASE_COUNT_OF(batches); b++) {
                struct figures f[REPEATS];
                for (int i = 0; i < REPEATS; i++)
                    f[i] = run(encoded != 0, sizes[s], batches[b], seconds);
                qsort(f, REPEATS, sizeof(f[0]), compare);
                const struct figures *m = &f[REPEATS / 2];
                printf(json
                           ? "{\"program\":\"bench_raft\",\"messages\":\"%s\",\"entry_bytes\":%llu,"
                             "\"batch\":%u,\"entries_per_s\":%.0f,\"mib_per_s\":%.1f,"
                             "\"messages_per_entry\":%.3f}\n"
                           : "%-8s  %11llu  %5u  %9.0f  %5.0f  %14.3f\n",
                       encoded ? "encoded" : "handed", (unsigned long long)sizes[s], batches[b],
                       m->entries_s, m->bytes_s / (1 << 20), m->messages_per_entry);
                fflush(stdout);
            }
    return 0;
}
