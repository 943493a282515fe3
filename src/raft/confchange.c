/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mutation.h"
#include "raft/confchange.h"

#include <string.h>

const char *
raft_refusal_text(enum raft_refusal refusal)
{
    switch (refusal) {
    case RAFT_REFUSAL_NONE:
        return "nothing stands against it";
    case RAFT_REFUSAL_ALREADY_JOINT:
        return "a joint change is under way";
    case RAFT_REFUSAL_NO_VOTERS_TO_JOIN:
        return "the configuration has no voters yet";
    case RAFT_REFUSAL_NOT_JOINT:
        return "no joint change is under way";
    case RAFT_REFUSAL_SIMPLE_WHILE_JOINT:
        return "a joint change is under way and has to end first";
    case RAFT_REFUSAL_MORE_THAN_ONE:
        return "more than one voter would come or go without a joint configuration";
    case RAFT_REFUSAL_NO_VOTERS_LEFT:
        return "no voter with the data would be left";
    case RAFT_REFUSAL_WITNESS:
        return "a witness stays one, and a member with data does not become one";
    case RAFT_REFUSAL_TOO_MANY:
        return "there would be too many members";
    }
    return "unknown";
}

bool
raft_conf_change_leaves(const struct raft_conf_change *change)
{
    return !change->v1 && change->transition == RAFT_TRANSITION_AUTO && !change->change_count;
}

bool
raft_conf_change_enters(const struct raft_conf_change *change, bool *out_auto_leave)
{
    *out_auto_leave = change->transition != RAFT_TRANSITION_JOINT_EXPLICIT;
    return change->transition != RAFT_TRANSITION_AUTO || change->change_count > 1;
}

/* Where @id stands; where it is not there yet, it is put there without a role. -1: no room. */
static int
place_of(struct raft_next *next, uint64_t id)
{
    struct raft_config *config = &next->config;
    uint32_t at = 0;
    while (at < config->count && config->ids[at] < id)
        at++;
    if (at < config->count && config->ids[at] == id)
        return (int)at;
    if (config->count == RAFT_MEMBERS_MAX)
        return -1;
    uint32_t behind = config->count++ - at;
    memmove(&config->ids[at + 1], &config->ids[at], behind * sizeof(config->ids[0]));
    memmove(&config->roles[at + 1], &config->roles[at], behind * sizeof(config->roles[0]));
    memmove(&next->fresh[at + 1], &next->fresh[at], behind * sizeof(next->fresh[0]));
    config->ids[at] = id;
    config->roles[at] = 0;
    next->fresh[at] = true;
    return (int)at;
}

/* Whoever has no role is no member. */
static void
drop_if_none(struct raft_next *next, uint32_t at)
{
    struct raft_config *config = &next->config;
    if (config->roles[at])
        return;
    uint32_t behind = --config->count - at;
    memmove(&config->ids[at], &config->ids[at + 1], behind * sizeof(config->ids[0]));
    memmove(&config->roles[at], &config->roles[at + 1], behind * sizeof(config->roles[0]));
    memmove(&next->fresh[at], &next->fresh[at + 1], behind * sizeof(next->fresh[0]));
    config->ids[config->count] = RAFT_NONE;
    config->roles[config->count] = 0;
    next->fresh[config->count] = false;
}

/* What @type makes of a member's roles; an outgoing voter stays one until the joint one is left. */
static uint8_t
roles_after(uint8_t roles, enum raft_change_type type)
{
    uint8_t outgoing = roles & RAFT_OUTGOING;
    switch (type) {
    case RAFT_CHANGE_ADD_VOTER:
        return outgoing | RAFT_VOTER;
    case RAFT_CHANGE_REMOVE:
        return outgoing ? roles & (RAFT_OUTGOING | RAFT_WITNESS) : 0;
    case RAFT_CHANGE_ADD_WITNESS:
        return outgoing | RAFT_VOTER | RAFT_WITNESS;
    case RAFT_CHANGE_ADD_LEARNER:
        return outgoing ? outgoing | RAFT_LEARNER_NEXT : RAFT_LEARNER;
    case RAFT_CHANGE_UPDATE:
    case RAFT_CHANGE_TYPE_END:
        break;
    }
    return roles;
}

/* Its log has no data, and a log that has must not lose it. */
static bool
mixes_up_witnesses(uint8_t roles, enum raft_change_type type)
{
    if (type == RAFT_CHANGE_ADD_WITNESS)
        return roles && !(roles & RAFT_WITNESS);
    bool becomes = type == RAFT_CHANGE_ADD_VOTER || type == RAFT_CHANGE_ADD_LEARNER;
    return becomes && (roles & RAFT_WITNESS);
}

static enum raft_refusal
carry_out(struct raft_next *next, const struct raft_change *changes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct raft_change *change = &changes[i];
        if (change->node == RAFT_NONE)
            continue;
        int at = place_of(next, change->node);
        if (at < 0)
            return RAFT_REFUSAL_TOO_MANY;
        if (mixes_up_witnesses(next->config.roles[at], change->type))
            return RAFT_REFUSAL_WITNESS;
        next->config.roles[at] = roles_after(next->config.roles[at], change->type);
        drop_if_none(next, (uint32_t)at);
    }
    if (raft_config_count(&next->config, RAFT_VOTER) > RAFT_VOTERS_MAX)
        return RAFT_REFUSAL_TOO_MANY;
    bool full = false;
    for (uint32_t i = 0; i < next->config.count; i++)
        full |= (next->config.roles[i] & (RAFT_VOTER | RAFT_WITNESS)) == RAFT_VOTER;
    if (!full)
        return RAFT_REFUSAL_NO_VOTERS_LEFT;
    skein_assert(raft_config_valid(&next->config));
    return RAFT_REFUSAL_NONE;
}

/* How many voters of @a are none in @b. */
static uint32_t
voters_missing(const struct raft_config *a, const struct raft_config *b)
{
    uint32_t missing = 0;
    for (uint32_t i = 0; i < a->count; i++)
        missing += (a->roles[i] & RAFT_VOTER) && !raft_config_is(b, a->ids[i], RAFT_VOTER);
    return missing;
}

enum raft_refusal
raft_next_simple(const struct raft_config *config, const struct raft_change *changes,
                 uint32_t count, struct raft_next *out_next)
{
    skein_assert(raft_config_valid(config));
    if (raft_config_joint(config))
        return RAFT_REFUSAL_SIMPLE_WHILE_JOINT;
    struct raft_next next = {.config = *config};
    enum raft_refusal refusal = carry_out(&next, changes, count);
    if (refusal)
        return refusal;
    if (voters_missing(config, &next.config) + voters_missing(&next.config, config) > 1 &&
        !mutation_on(MUTATION_JOINT_SKIPPED))
        return RAFT_REFUSAL_MORE_THAN_ONE;
    *out_next = next;
    return RAFT_REFUSAL_NONE;
}

enum raft_refusal
raft_next_enter_joint(const struct raft_config *config, bool auto_leave,
                      const struct raft_change *changes, uint32_t count, struct raft_next *out_next)
{
    skein_assert(raft_config_valid(config));
    if (raft_config_joint(config))
        return RAFT_REFUSAL_ALREADY_JOINT;
    if (!raft_config_count(config, RAFT_VOTER))
        return RAFT_REFUSAL_NO_VOTERS_TO_JOIN;
    struct raft_next next = {.config = *config};
    for (uint32_t i = 0; i < config->count; i++)
        if (config->roles[i] & RAFT_VOTER)
            next.config.roles[i] |= RAFT_OUTGOING;
    next.config.auto_leave = auto_leave;
    enum raft_refusal refusal = carry_out(&next, changes, count);
    if (!refusal)
        *out_next = next;
    return refusal;
}

enum raft_refusal
raft_next_leave_joint(const struct raft_config *config, struct raft_next *out_next)
{
    skein_assert(raft_config_valid(config));
    if (!raft_config_joint(config))
        return RAFT_REFUSAL_NOT_JOINT;
    struct raft_next next = {.config = *config};
    next.config.auto_leave = false;
    for (uint32_t i = config->count; i-- > 0;) {
        uint8_t *roles = &next.config.roles[i];
        uint8_t kept = *roles & RAFT_VOTER ? RAFT_VOTER | RAFT_WITNESS : RAFT_LEARNER;
        *roles = *roles & RAFT_LEARNER_NEXT ? RAFT_LEARNER : *roles & kept;
        drop_if_none(&next, i);
    }
    skein_assert(raft_config_valid(&next.config));
    *out_next = next;
    return RAFT_REFUSAL_NONE;
}

enum raft_refusal
raft_next(const struct raft_config *config, const struct raft_conf_change *change,
          struct raft_next *out_next)
{
    bool auto_leave;
    if (raft_conf_change_leaves(change))
        return raft_next_leave_joint(config, out_next);
    if (raft_conf_change_enters(change, &auto_leave) && !mutation_on(MUTATION_JOINT_SKIPPED))
        return raft_next_enter_joint(config, auto_leave, change->changes, change->change_count,
                                     out_next);
    return raft_next_simple(config, change->changes, change->change_count, out_next);
}
