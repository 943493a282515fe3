/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/quorum.h"

uint64_t
raft_majority_committed(const struct raft_config *config, enum raft_member half,
                        const uint64_t *indexes)
{
    uint64_t highest_first[RAFT_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->count; i++) {
        if (!(config->roles[i] & half))
            continue;
        uint32_t at = count++;
        for (; at && highest_first[at - 1] < indexes[i]; at--)
            highest_first[at] = highest_first[at - 1];
        highest_first[at] = indexes[i];
    }
    return count ? highest_first[count / 2] : UINT64_MAX;
}

enum raft_vote_result
raft_majority_vote(const struct raft_config *config, enum raft_member half,
                   const enum raft_ballot *ballots)
{
    uint32_t voters = 0;
    uint32_t granted = 0;
    uint32_t refused = 0;
    for (uint32_t i = 0; i < config->count; i++) {
        if (!(config->roles[i] & half))
            continue;
        voters++;
        granted += ballots[i] == RAFT_BALLOT_GRANTED;
        refused += ballots[i] == RAFT_BALLOT_REFUSED;
    }
    uint32_t needed = voters / 2 + 1;
    if (!voters || granted >= needed)
        return RAFT_VOTE_WON;
    return voters - refused >= needed ? RAFT_VOTE_PENDING : RAFT_VOTE_LOST;
}

uint64_t
raft_quorum_committed(const struct raft_config *config, const uint64_t *indexes)
{
    uint64_t incoming = raft_majority_committed(config, RAFT_VOTER, indexes);
    uint64_t outgoing = raft_majority_committed(config, RAFT_OUTGOING, indexes);
    return incoming < outgoing ? incoming : outgoing;
}

enum raft_vote_result
raft_quorum_vote(const struct raft_config *config, const enum raft_ballot *ballots)
{
    enum raft_vote_result incoming = raft_majority_vote(config, RAFT_VOTER, ballots);
    enum raft_vote_result outgoing = raft_majority_vote(config, RAFT_OUTGOING, ballots);
    if (incoming == outgoing)
        return incoming;
    bool lost = incoming == RAFT_VOTE_LOST || outgoing == RAFT_VOTE_LOST;
    return lost ? RAFT_VOTE_LOST : RAFT_VOTE_PENDING;
}
