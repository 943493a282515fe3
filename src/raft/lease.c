/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases (thesis section 6.4.1, with the clocks' drift bounded).
 *
 * A heartbeat carries the leader's clock at its sending, and comes back with it. Whoever answers
 * has promised to help nobody else to lead for election_ticks of its own, which is lease_ns at
 * least. So no other leader can be elected before lease_ns, less the drift, have passed on the
 * leader's clock since the *sending* of the heartbeats that a quorum has answered. The promise
 * outlives changes of term and of role, and a restart makes it anew: it is the voter's, not the
 * term's. It does not bind against a candidate that the leader itself has ordered to stand; then
 * there is no lease.
 *
 * The quorum is that of the configuration in force here. Whoever can be elected knows of each
 * change but, at most, the last (an entry that comes after a change carries its commit), and
 * quorums of configurations that follow one another meet.
 */
#include <skein/error.h>

#include "base/mutation.h"
#include "raft/internal.h"

void
raft_promise(struct raft *raft, uint64_t leader)
{
    if (!raft->options.lease_ns)
        return;
    raft->promise_ticks = raft->options.election_ticks;
    raft->promised_to = leader;
}

bool
raft_promised(const struct raft *raft, uint64_t candidate)
{
    return raft->promise_ticks && raft->promised_to != candidate;
}

void
raft_clock(struct raft *raft, uint64_t now_ns)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    skein_assert(now_ns < RAFT_NUMBER_MAX);
    if (now_ns > raft->now_ns)
        raft->now_ns = now_ns;
}

void
raft_lease_on_answer(struct raft *raft, struct raft_progress *p, uint64_t beat_ns)
{
    if (beat_ns > p->beat_ns && beat_ns <= raft->now_ns)
        p->beat_ns = beat_ns;
}

static uint64_t
lease_end_ns(const struct raft *raft, uint64_t now_ns)
{
    uint64_t beats_ns[RAFT_MEMBERS_MAX];
    for (uint32_t i = 0; i < raft->config.count; i++) {
        const struct raft_progress *p = &raft->peers[i];
        beats_ns[i] = p->id == raft->id ? now_ns : p->beat_ns;
    }
    uint64_t from_ns = raft_quorum_committed(&raft->config, beats_ns);
    uint64_t lease_ns = raft->options.lease_ns;
    if (mutation_on(MUTATION_LEASE_TOO_LONG))
        lease_ns *= 4;
    uint64_t drift_ns = (lease_ns / 1000000 + 1) * raft->options.drift_ppm;
    return from_ns && drift_ns < lease_ns ? from_ns + lease_ns - drift_ns : 0;
}

int
raft_read_lease(const struct raft *raft, uint64_t now_ns, uint64_t *out_index)
{
    skein_assert(raft->magic == RAFT_MAGIC);
    if (raft->role != RAFT_LEADER)
        return -SKEIN_ENOTLEADER;
    if (!raft->options.lease_ns || raft->lease_void || !raft_committed_in_term(raft))
        return -SKEIN_EAGAIN;
    if (!raft->config.count || now_ns >= lease_end_ns(raft, now_ns))
        return -SKEIN_EAGAIN;
    *out_index = raft->log.commit;
    return 0;
}
