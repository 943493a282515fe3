/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mutation.h"
#include "raft/internal.h"

/* Section 5.4.1: the later last term, then the longer log. */
static bool
up_to_date(const struct raft *raft, const struct raft_message *m)
{
    uint64_t last_term = raft_log_last_term(&raft->log);
    if (raft_repair_refuses(raft, m->log_term, m->index))
        return false;
    if (mutation_on(MUTATION_VOTE_FOR_SHORTER))
        return true;
    if (m->log_term != last_term)
        return m->log_term > last_term;
    return m->index >= raft_log_last(&raft->log);
}

int
raft_on_vote(struct raft *raft, const struct raft_message *m)
{
    bool pre = m->type == RAFT_PRE_VOTE;
    bool may_vote = raft->vote == m->from || mutation_on(MUTATION_VOTE_TWICE) ||
                    (raft->vote == RAFT_NONE && raft->leader == RAFT_NONE) ||
                    (pre && m->term > raft->term);
    /* Also of who knows no configuration yet, or another one: whoever asks counts it as a voter,
     * and may need its vote before it can tell it (row 24). */
    bool granted = may_vote && up_to_date(raft, m);
    struct raft_message answer = {
        .type = pre ? RAFT_PRE_VOTE_RESPONSE : RAFT_VOTE_RESPONSE,
        .to = m->from,
        /* A granted pre-vote is for the term asked for; a refusal tells our own (row 34b). */
        .term = granted ? m->term : raft->term,
        .reject = !granted,
    };
    if (!granted && !raft->options.etcd_rules) {
        answer.index = raft->log.commit;
        answer.log_term = raft_log_term(&raft->log, raft->log.commit);
    }
    if (granted && pre && mutation_on(MUTATION_PRE_VOTE_IS_CONTACT))
        raft->election_elapsed = 0;
    if (granted && !pre) {
        raft->election_elapsed = 0;
        raft->vote = m->from;
    }
    raft_send(raft, answer);
    return 0;
}

int
raft_on_vote_response(struct raft *raft, const struct raft_message *m)
{
    bool pre = m->type == RAFT_PRE_VOTE_RESPONSE;
    /* A removed node with a longer log stands for no election and refuses its vote to those who
     * have not heard that its removal is committed, and so go on asking it: let them hear (row 26).
     */
    if (m->reject && m->index && raft->role != RAFT_LEADER &&
        raft_log_matches(&raft->log, m->index, m->log_term))
        raft_commit_to(raft, m->index);
    /* Answers to a pre-vote are never votes, nor the other way round (row 34c). */
    if (raft->role != (pre ? RAFT_PRE_CANDIDATE : RAFT_CANDIDATE))
        return 0;
    if (pre && !m->reject && m->term != raft->term + 1)
        return 0;
    raft_count_ballot(raft, m->from, !m->reject);
    return 0;
}
