/* SPDX-License-Identifier: Apache-2.0 */
#include "raft/internal.h"

bool
raft_promotable(const struct raft *raft)
{
    return raft_config_is(&raft->config, raft->id, RAFT_VOTER | RAFT_OUTGOING) &&
           !raft->was_witness && !raft->log.witnessed && !raft_snapshot_pending(raft) &&
           !raft_repairing(raft);
}

static void
ask_for_votes(struct raft *raft, enum raft_message_type type, uint64_t term, bool transfer)
{
    for (uint32_t i = 0; i < raft->config.count; i++) {
        uint64_t to = raft->config.ids[i];
        if (to == raft->id || !(raft->config.roles[i] & (RAFT_VOTER | RAFT_OUTGOING)))
            continue;
        raft_send(raft, (struct raft_message){
                            .type = type,
                            .to = to,
                            .term = term,
                            .index = raft_log_last(&raft->log),
                            .log_term = raft_log_last_term(&raft->log),
                            .context = transfer ? RAFT_CONTEXT_TRANSFER : 0,
                        });
    }
}

static void
campaign(struct raft *raft, bool transfer)
{
    raft_become_candidate(raft);
    ask_for_votes(raft, RAFT_VOTE, raft->term, transfer);
    /* The own vote counts when it is durable, not before (row 13). */
    raft_send(raft, (struct raft_message){.type = RAFT_VOTE_RESPONSE, .to = raft->id});
}

void
raft_start_campaign(struct raft *raft, bool transfer)
{
    if (raft->role == RAFT_LEADER || !raft_promotable(raft) || raft_unapplied_config(raft))
        return;
    if (raft->term + 1 >= RAFT_NUMBER_MAX)
        return;
    /* Whoever heard a leader has promised not to stand against it; its own timeout is longer. */
    if (!transfer && raft_promised(raft, raft->id) && !raft_votes_alone(raft))
        return;
    if (transfer || !raft->options.pre_vote) {
        campaign(raft, transfer);
        return;
    }
    raft_become_pre_candidate(raft);
    ask_for_votes(raft, RAFT_PRE_VOTE, raft->term + 1, false);
    if (raft->options.etcd_rules)
        raft_send(raft, (struct raft_message){.type = RAFT_PRE_VOTE_RESPONSE,
                                              .to = raft->id,
                                              .term = raft->term + 1});
    else
        raft_count_ballot(raft, raft->id, true); /* it promises nothing that had to be durable */
}

void
raft_count_ballot(struct raft *raft, uint64_t from, bool granted)
{
    int at = raft_config_find(&raft->config, from);
    if (at < 0)
        return;
    /* The first answer stands: a repeated message changes nothing. */
    if (raft->ballots[at] == RAFT_BALLOT_NONE)
        raft->ballots[at] = granted ? RAFT_BALLOT_GRANTED : RAFT_BALLOT_REFUSED;
    switch (raft_quorum_vote(&raft->config, raft->ballots)) {
    case RAFT_VOTE_WON:
        if (raft->role == RAFT_CANDIDATE)
            raft_become_leader(raft);
        else if (raft->options.etcd_rules || !raft_unapplied_config(raft))
            campaign(raft, false);
        break;
    case RAFT_VOTE_LOST:
        raft_become_follower(raft, raft->term, RAFT_NONE);
        break;
    case RAFT_VOTE_PENDING:
        break;
    }
}

void
raft_campaign(struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    raft_wake(raft);
    raft_start_campaign(raft, false);
}

void
raft_forget_leader(struct raft *raft)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    /* A lease is a promise to the leader to believe in it. */
    if (raft->role != RAFT_FOLLOWER || raft->options.lease_reads || raft->options.lease_ns)
        return;
    raft_wake(raft);
    raft->leader = RAFT_NONE;
}
