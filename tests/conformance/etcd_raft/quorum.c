/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of quorum/:
 *
 *   committed cfg=(1,2,3) [cfgj=(2,3,4)|cfgj=zero] idx=(5,_,7)
 *   vote      cfg=(1,2,3) [cfgj=...] votes=(y,n,_)
 *
 * Values belong to the voters in the order of cfg and then cfgj, each voter once; "_" says nothing.
 * Beside the result stand a bar chart and whatever an alternative computation finds different.
 */
#include "etcd_raft/datadriven.h"

#include <inttypes.h>
#include <skein/error.h>
#include <string.h>

#include "raft/quorum.h"

struct input {
    struct raft_config config;
    bool joint;
    uint64_t ids[RAFT_MEMBERS_MAX]; /* the voters in the order in which values are given */
    uint32_t id_count;
    uint64_t values[RAFT_MEMBERS_MAX];
    uint32_t value_count;
    const char *values_key;           /* the command's: "idx" or "votes" */
    uint64_t acked[RAFT_MEMBERS_MAX]; /* beside config.ids; 0: nothing known */
};

static void *
open_nothing(void)
{
    return NULL;
}

static void
close_nothing(void *env)
{
}

static int
complain(struct text *out, const char *what, const char *value)
{
    text_printf(out, "%s %s", what, value);
    return -SKEIN_EPROTO;
}

static int
add_voter(struct input *in, const char *value, enum raft_member half, struct text *out)
{
    struct raft_config *config = &in->config;
    uint64_t id;
    if (!datadriven_number(value, &id))
        return complain(out, "no voter:", value);
    uint32_t at = 0;
    while (at < config->count && config->ids[at] < id)
        at++;
    if (at < config->count && config->ids[at] == id) {
        config->roles[at] |= (uint8_t)half;
        return 0;
    }
    if (config->count == RAFT_MEMBERS_MAX)
        return complain(out, "too many voters, first", value);
    for (uint32_t i = config->count++; i > at; i--) {
        config->ids[i] = config->ids[i - 1];
        config->roles[i] = config->roles[i - 1];
    }
    config->ids[at] = id;
    config->roles[at] = (uint8_t)half;
    in->ids[in->id_count++] = id;
    return 0;
}

static int
add_value(struct input *in, const char *key, const char *value, struct text *out)
{
    uint64_t number = 0;
    if (in->value_count == RAFT_MEMBERS_MAX)
        return complain(out, "too many values, first", value);
    if (strcmp(key, "votes") == 0) {
        if (strlen(value) != 1 || !strchr("yn_", value[0]))
            return complain(out, "unknown vote:", value);
        number = value[0] == 'y' ? 2 : value[0] == 'n';
    } else if (strcmp(value, "_") != 0 && (!datadriven_number(value, &number) || !number)) {
        return complain(out, "no index:", value);
    }
    if (strcmp(key, in->values_key) == 0)
        in->values[in->value_count++] = number;
    return 0;
}

static int
take_value(struct input *in, const struct datadriven_arg *arg, const char *value, struct text *out)
{
    if (strcmp(arg->key, "cfg") == 0)
        return add_voter(in, value, RAFT_VOTER, out);
    if (strcmp(arg->key, "idx") == 0 || strcmp(arg->key, "votes") == 0)
        return add_value(in, arg->key, value, out);
    if (strcmp(arg->key, "cfgj") != 0)
        return complain(out, "unknown argument", arg->key);
    in->joint = true;
    if (strcmp(value, "zero") == 0)
        return arg->value_count == 1 ? 0 : complain(out, "voters beside", value);
    return add_voter(in, value, RAFT_OUTGOING, out);
}

/* cfg comes before cfgj in the order of values, wherever they stand in the line. */
static int
take_args(struct input *in, const struct datadriven_block *block, struct text *out)
{
    static const char *const order[] = {"cfg", "cfgj"};
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < block->arg_count; i++) {
            const struct datadriven_arg *arg = &block->args[i];
            bool is_config = strcmp(arg->key, order[0]) == 0 || strcmp(arg->key, order[1]) == 0;
            if (pass < 2 ? strcmp(arg->key, order[pass]) != 0 : is_config)
                continue;
            for (size_t v = 0; v < arg->value_count; v++) {
                int rc = take_value(in, arg, arg->values[v], out);
                if (rc)
                    return rc;
            }
        }
    for (uint32_t i = 0; i < in->id_count && i < in->value_count; i++)
        in->acked[raft_config_find(&in->config, in->ids[i])] = in->values[i];
    return 0;
}

static void
print_mismatch(const struct input *in, struct text *out)
{
    text_printf(out, "error: mismatched input (explicit or _) for voters map[");
    for (uint32_t i = 0; i < in->config.count; i++)
        text_printf(out, "%s%" PRIu64 ":{}", i ? " " : "", in->config.ids[i]);
    text_printf(out, "]: [");
    for (uint32_t i = 0; i < in->value_count; i++)
        text_printf(out, "%s%" PRIu64, i ? " " : "", in->values[i]);
    text_printf(out, "]");
}

static void
print_index(uint64_t index, struct text *out)
{
    if (index == UINT64_MAX)
        text_printf(out, "∞");
    else
        text_printf(out, "%" PRIu64, index);
}

static void
repeat(char c, uint32_t count, struct text *out)
{
    for (uint32_t i = 0; i < count; i++)
        text_printf(out, "%c", c);
}

/* Each voter's bar is as long as there are voters with a lower index. */
static void
print_chart(const struct input *in, struct text *out)
{
    uint32_t count = in->config.count;
    if (!count) {
        text_printf(out, "<empty majority quorum>");
        return;
    }
    repeat(' ', count, out);
    text_printf(out, "    idx\n");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bar = 0;
        for (uint32_t j = 0; j < count; j++)
            bar += in->acked[j] < in->acked[i];
        if (in->acked[i]) {
            repeat('x', bar, out);
            text_printf(out, ">");
            repeat(' ', count - bar, out);
        } else {
            text_printf(out, "?");
            repeat(' ', count, out);
        }
        text_printf(out, " %5" PRIu64 "    (id=%" PRIu64 ")\n", in->acked[i], in->config.ids[i]);
    }
}

static void
print_unequal(uint64_t index, uint64_t other, const char *how, struct text *out)
{
    if (index == other)
        return;
    print_index(other, out);
    text_printf(out, " <-- via %s\n", how);
}

/* By definition: the highest acknowledged index that more than half of the voters have or exceed.
 */
static uint64_t
committed_by_definition(const struct input *in)
{
    uint64_t best = in->config.count ? 0 : UINT64_MAX;
    for (uint32_t i = 0; i < in->config.count; i++) {
        uint32_t have = 0;
        for (uint32_t j = 0; j < in->config.count; j++)
            have += in->acked[j] >= in->acked[i];
        if (have > in->config.count / 2 && in->acked[i] > best)
            best = in->acked[i];
    }
    return best;
}

/* Whoever is below the committed index may be lowered further without changing it. */
static void
print_overlays(const struct input *in, uint64_t index, struct text *out)
{
    for (uint32_t i = 0; i < in->config.count; i++) {
        uint64_t acked = in->acked[i];
        if (!acked || acked >= index)
            continue;
        const uint64_t lower[] = {acked - 1, 0};
        for (int l = 0; l < 2; l++) {
            struct input low = *in;
            low.acked[i] = lower[l];
            uint64_t other = raft_majority_committed(&low.config, RAFT_VOTER, low.acked);
            if (other == index)
                continue;
            print_index(other, out);
            text_printf(out, " <-- overlaying %" PRIu64 "->%" PRIu64, in->config.ids[i], lower[l]);
        }
    }
}

/* The same voters in both halves. */
static struct raft_config
joined_with_itself(const struct raft_config *config)
{
    struct raft_config both = *config;
    for (uint32_t i = 0; i < both.count; i++)
        both.roles[i] = RAFT_VOTER | RAFT_OUTGOING;
    return both;
}

static struct raft_config
halves_exchanged(const struct raft_config *config)
{
    struct raft_config other = *config;
    for (uint32_t i = 0; i < other.count; i++)
        other.roles[i] = (uint8_t)((config->roles[i] & RAFT_VOTER ? RAFT_OUTGOING : 0) |
                                   (config->roles[i] & RAFT_OUTGOING ? RAFT_VOTER : 0));
    return other;
}

static void
run_committed(const struct input *in, struct text *out)
{
    print_chart(in, out);
    uint64_t index = raft_quorum_committed(&in->config, in->acked);
    if (in->joint) {
        struct raft_config exchanged = halves_exchanged(&in->config);
        print_unequal(index, raft_quorum_committed(&exchanged, in->acked), "symmetry", out);
    } else {
        struct raft_config self = joined_with_itself(&in->config);
        uint64_t plain = raft_majority_committed(&in->config, RAFT_VOTER, in->acked);
        print_unequal(plain, committed_by_definition(in), "alternative computation", out);
        print_unequal(plain, index, "zero-joint quorum", out);
        print_unequal(plain, raft_quorum_committed(&self, in->acked), "self-joint quorum", out);
        print_overlays(in, plain, out);
        index = plain;
    }
    print_index(index, out);
    text_printf(out, "\n");
}

static const char *
result_name(enum raft_vote_result result)
{
    switch (result) {
    case RAFT_VOTE_PENDING:
        return "VotePending";
    case RAFT_VOTE_LOST:
        return "VoteLost";
    case RAFT_VOTE_WON:
        return "VoteWon";
    }
    return "?";
}

static void
run_vote(const struct input *in, struct text *out)
{
    enum raft_ballot ballots[RAFT_MEMBERS_MAX] = {RAFT_BALLOT_NONE};
    for (uint32_t i = 0; i < in->config.count; i++)
        if (in->acked[i])
            ballots[i] = in->acked[i] == 2 ? RAFT_BALLOT_GRANTED : RAFT_BALLOT_REFUSED;
    enum raft_vote_result result = raft_majority_vote(&in->config, RAFT_VOTER, ballots);
    if (in->joint) {
        struct raft_config exchanged = halves_exchanged(&in->config);
        enum raft_vote_result other = raft_quorum_vote(&exchanged, ballots);
        result = raft_quorum_vote(&in->config, ballots);
        if (other != result)
            text_printf(out, "%s <-- via symmetry\n", result_name(other));
    }
    text_printf(out, "%s\n", result_name(result));
}

static int
run(void *env, const struct datadriven_block *block, struct text *out)
{
    struct input in = {0};
    bool vote = strcmp(block->command, "vote") == 0;
    if (!vote && strcmp(block->command, "committed") != 0)
        return complain(out, "unknown command", block->command);
    in.values_key = vote ? "votes" : "idx";
    int rc = take_args(&in, block, out);
    if (rc)
        return rc;
    if (in.value_count != in.config.count)
        print_mismatch(&in, out);
    else if (vote)
        run_vote(&in, out);
    else
        run_committed(&in, out);
    return 0;
}

const struct datadriven_handler quorum_handler = {
    .folder = "quorum", .open = open_nothing, .run = run, .close = close_nothing};
