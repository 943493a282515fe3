/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RAFT_QUORUM_H
#define RAFT_QUORUM_H

#include "raft/raft.h"

/*
 * What a configuration decides. Each member has one value (an index it has acknowledged, a ballot),
 * in an array beside raft_config.ids; values of members that do not vote are not looked at.
 *
 *   majority   the voters of one half: more than half of them
 *   quorum     what the configuration decides: both halves agree while it is joint
 *
 * A half without voters decides everything at once: it commits UINT64_MAX and has won every vote.
 * That makes a plain configuration a joint one whose outgoing half is empty.
 */

enum raft_ballot { RAFT_BALLOT_NONE, RAFT_BALLOT_GRANTED, RAFT_BALLOT_REFUSED };

/* PENDING: may still go either way. LOST: no ballots that are still out can win it. */
enum raft_vote_result { RAFT_VOTE_PENDING, RAFT_VOTE_LOST, RAFT_VOTE_WON };

/* raft_majority_committed - the highest index that a majority of @half (RAFT_VOTER or
 * RAFT_OUTGOING) has in @indexes; a member that said nothing has 0. */
uint64_t raft_majority_committed(const struct raft_config *config, enum raft_member half,
                                 const uint64_t *indexes);
enum raft_vote_result raft_majority_vote(const struct raft_config *config, enum raft_member half,
                                         const enum raft_ballot *ballots);

/* raft_quorum_committed - the highest index that both halves have. */
uint64_t raft_quorum_committed(const struct raft_config *config, const uint64_t *indexes);
/* raft_quorum_vote - won in both halves, or lost in one of them. */
enum raft_vote_result raft_quorum_vote(const struct raft_config *config,
                                       const enum raft_ballot *ballots);

#endif
