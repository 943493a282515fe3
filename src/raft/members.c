/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/raft.h"

/* The roles a member may have at once. */
static bool
roles_valid(uint8_t roles)
{
    return roles == RAFT_VOTER || roles == RAFT_OUTGOING || roles == (RAFT_VOTER | RAFT_OUTGOING) ||
           roles == RAFT_LEARNER || roles == (RAFT_OUTGOING | RAFT_LEARNER_NEXT) ||
           roles == (RAFT_VOTER | RAFT_WITNESS) || roles == (RAFT_OUTGOING | RAFT_WITNESS) ||
           roles == (RAFT_VOTER | RAFT_OUTGOING | RAFT_WITNESS);
}

/* Voters of @half that hold the data. */
static uint32_t
full_voters(const struct raft_config *config, unsigned half)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->count; i++)
        count += (config->roles[i] & half) && !(config->roles[i] & RAFT_WITNESS);
    return count;
}

bool
raft_config_valid(const struct raft_config *config)
{
    if (config->count > RAFT_MEMBERS_MAX)
        return false;
    uint64_t before = RAFT_NONE;
    for (uint32_t i = 0; i < config->count; i++) {
        if (config->ids[i] <= before || !roles_valid(config->roles[i]))
            return false;
        before = config->ids[i];
    }
    uint32_t voters = raft_config_count(config, RAFT_VOTER);
    uint32_t outgoing = raft_config_count(config, RAFT_OUTGOING);
    if (voters > RAFT_VOTERS_MAX || outgoing > RAFT_VOTERS_MAX)
        return false;
    if (outgoing && !full_voters(config, RAFT_OUTGOING))
        return false;
    return (full_voters(config, RAFT_VOTER) || !config->count) && (outgoing || !config->auto_leave);
}

struct raft_config
raft_config_of(const uint64_t *ids, uint32_t count)
{
    skein_assert(count <= RAFT_VOTERS_MAX);
    struct raft_config config = {.count = count};
    for (uint32_t i = 0; i < count; i++) {
        config.ids[i] = ids[i];
        config.roles[i] = RAFT_VOTER;
    }
    return config;
}

int
raft_config_find(const struct raft_config *config, uint64_t id)
{
    for (uint32_t i = 0; i < config->count; i++)
        if (config->ids[i] == id)
            return (int)i;
    return -1;
}

bool
raft_config_is(const struct raft_config *config, uint64_t id, unsigned roles)
{
    int at = raft_config_find(config, id);
    return at >= 0 && (config->roles[at] & roles);
}

uint32_t
raft_config_count(const struct raft_config *config, unsigned roles)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->count; i++)
        count += (config->roles[i] & roles) != 0;
    return count;
}

bool
raft_config_joint(const struct raft_config *config)
{
    return raft_config_count(config, RAFT_OUTGOING) > 0;
}

bool
raft_config_equal(const struct raft_config *a, const struct raft_config *b)
{
    if (a->count != b->count || a->auto_leave != b->auto_leave)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->ids[i] != b->ids[i] || a->roles[i] != b->roles[i])
            return false;
    return true;
}
