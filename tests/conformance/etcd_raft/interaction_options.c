/* SPDX-License-Identifier: Apache-2.0 */
#include "etcd_raft/interaction.h"

#include <string.h>
#include <strings.h>

/* What a test node is, unless add-nodes says otherwise: etcd's own test configuration, which has
 * practically no limits. */
static struct node_options
standard(void)
{
    struct node_options options = {.raft = {.seed = 1,
                                            .election_ticks = 3,
                                            .heartbeat_ticks = 1,
                                            .append_bytes_max = UINT64_MAX,
                                            .inflight_count_max = UINT32_MAX / 4,
                                            .inflight_bytes_max = UINT64_MAX,
                                            .uncommitted_bytes_max = UINT64_MAX,
                                            .apply_bytes_max = UINT64_MAX,
                                            .forward_proposals = true,
                                            .eager_sends = true,
                                            .etcd_rules = true}};
    return options;
}

bool
options_parse_bool(const char *text, bool *out)
{
    *out = !strcasecmp(text, "true") || !strcasecmp(text, "t") || !strcmp(text, "1");
    return *out || !strcasecmp(text, "false") || !strcasecmp(text, "f") || !strcmp(text, "0");
}

static bool
add_member(struct raft_config *config, uint64_t id, enum raft_member role)
{
    if (config->count == RAFT_MEMBERS_MAX || id == RAFT_NONE)
        return false;
    uint32_t at = config->count;
    for (; at && config->ids[at - 1] >= id; at--)
        if (config->ids[at - 1] == id)
            return false;
    for (uint32_t i = config->count++; i > at; i--) {
        config->ids[i] = config->ids[i - 1];
        config->roles[i] = config->roles[i - 1];
    }
    config->ids[at] = id;
    config->roles[at] = (uint8_t)role;
    return true;
}

static bool
parse_flag(struct node_options *options, const char *key, const char *value)
{
    struct raft_options *raft = &options->raft;
    struct {
        const char *key;
        bool *flag;
    } const flags[] = {{"async-storage-writes", &options->async},
                       {"prevote", &raft->pre_vote},
                       {"checkquorum", &raft->check_quorum},
                       {"disable-conf-change-validation", &raft->no_config_check},
                       {"step-down-on-removal", &raft->step_down_on_removal}};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (!strcmp(flags[i].key, key))
            return options_parse_bool(value, flags[i].flag);
    bool disabled;
    if (strcmp(key, "disable-proposal-forwarding") != 0 || !options_parse_bool(value, &disabled))
        return false;
    raft->forward_proposals = !disabled;
    return true;
}

/* A limit of 0 is none. */
static bool
parse_limit(struct raft_options *raft, const char *key, uint64_t number)
{
    struct {
        const char *key;
        uint64_t *limit;
    } const limits[] = {{"max-committed-size-per-ready", &raft->apply_bytes_max},
                        {"max-size-per-msg", &raft->append_bytes_max},
                        {"max-inflight-bytes", &raft->inflight_bytes_max},
                        {"max-uncommitted-size", &raft->uncommitted_bytes_max},
                        {"max-uncommitted-entries-size", &raft->uncommitted_bytes_max}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (strcmp(limits[i].key, key) != 0)
            continue;
        *limits[i].limit = number ? number : UINT64_MAX;
        return true;
    }
    return false;
}

static bool
parse_number(struct node_options *options, const char *key, uint64_t number)
{
    struct raft_options *raft = &options->raft;
    if (!strcmp(key, "voters"))
        return add_member(&raft->snapshot.config, number, RAFT_VOTER);
    if (!strcmp(key, "learners"))
        return add_member(&raft->snapshot.config, number, RAFT_LEARNER);
    if (!strcmp(key, "index")) {
        raft->snapshot.index = number;
        return number < RAFT_NUMBER_MAX;
    }
    bool fits = number > 0 && number < UINT32_MAX / 4;
    if (fits && !strcmp(key, "inflight"))
        raft->inflight_count_max = (uint32_t)number;
    else if (fits && !strcmp(key, "election-tick"))
        raft->election_ticks = (uint32_t)number;
    else if (fits && !strcmp(key, "heartbeat-tick"))
        raft->heartbeat_ticks = (uint32_t)number;
    else
        return parse_limit(raft, key, number);
    return true;
}

static bool
parse_value(struct node_options *options, const char *key, const char *value)
{
    uint64_t number;
    if (!strcmp(key, "content"))
        return true; /* of the machine, which nothing prints */
    if (!strcmp(key, "read-only")) {
        options->raft.lease_reads = !strcmp(value, "lease-based");
        return options->raft.lease_reads || !strcmp(value, "safe");
    }
    if (parse_flag(options, key, value))
        return true;
    return datadriven_number(value, &number) && parse_number(options, key, number);
}

bool
node_options_parse(const struct datadriven_block *block, struct node_options *out_options,
                   struct text *out)
{
    struct node_options options = standard();
    for (size_t i = 1; i < block->arg_count; i++) {
        const struct datadriven_arg *arg = &block->args[i];
        for (size_t v = 0; v < arg->value_count; v++)
            if (!parse_value(&options, arg->key, arg->values[v])) {
                text_printf(out, "%s=%s makes no sense", arg->key, arg->values[v]);
                return false;
            }
    }
    struct raft_snapshot *snapshot = &options.raft.snapshot;
    options.with_snapshot = snapshot->index || snapshot->config.count;
    if (options.with_snapshot) {
        if (snapshot->index <= 1) {
            text_printf(out, "index must be specified as > 1 due to bootstrap");
            return false;
        }
        snapshot->term = 1;
        options.raft.applied = snapshot->index;
    }
    options.raft.apply_with_write = !options.async;
    *out_options = options;
    return true;
}
