/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "skein/fiber.h"
#include "kv/node.h"
#include "replica/link_frame.h"
#include "sim/disk.h"
#include "sim/faults.h"
#include "sim/link.h"
#include "skein/linear.h"
#include "sim/net.h"
#include "sim/world.h"

/*
 * A cluster of production nodes (kv_node_open, unchanged), its clients and its troubles.
 *
 *   faults.c    crashes, partitions, disks --> the nodes
 *   node.c      one process a node, started again when it ends
 *   groups.c    the ports of the groups behind the first
 *   workload.c  RESP over simulated TCP --> the nodes; the history --> skein_linear_check
 *   upgrade.c   nodes of the former build become nodes of this one
 *   members.c   an operator who changes the members, where that is asked for
 *   oracle.c    looks at every node, often: one leader a term, equal states at equal indices ...
 *   run.c       the phases, and the verdict
 */

#define SIM_CLIENT_PORT 7000
#define SIM_PEER_PORT 7100
#define SIM_GROUPS_MAX 16u /* one port for the clients of each */
#define SIM_CLIENTS_MAX 8
#define SIM_EPOCHS_MAX 1024
#define SIM_FAULTS_MAX 24
/* A simulated second that does nothing proves nothing. */
#define SIM_CHECKED_PER_SECOND 10
/* What the nodes are told of their clocks: two that are as wrong as SIM_FAULT_CLOCK makes them. */
#define SIM_DRIFT_PPM 1010u

enum sim_verdict {
    SIM_PASSED = 0,
    SIM_SAFETY = 1,   /* something happened that must not */
    SIM_LIVENESS = 2, /* something did not happen that must */
    SIM_CRASHED = 3   /* the process died: an assertion, a sanitizer, a signal */
};

/* Per mille, as long as faults are on; some more comes with the faults that are drawn. */
struct sim_rates {
    uint32_t loss, repeat, late; /* of messages */
    uint32_t torn;               /* of unsynced blocks at a power loss */
    uint32_t read_error, write_error, sync_error;
    uint32_t memory_error;
};

/* What the seed decides about a run. */
struct sim_plan {
    uint64_t seed;
    uint32_t node_count, client_count;
    uint32_t founder_count; /* of node_count; fewer: the members change (members.c) */
    uint32_t group_count;   /* of each node; 1 to SIM_GROUPS_MAX */
    bool ranks;             /* nodes differ in election rank */
    uint32_t quiesce_ticks; /* a group that was idle for so long sleeps; 0: none does */
    bool link_tcp;          /* the real link over simulated sockets */
    bool upgrade;           /* it begins with nodes of the former build (upgrade.c) */
    uint64_t tick_ns;
    uint32_t election_ticks;
    uint64_t segment_bytes, checkpoint_log_bytes, keep_log_bytes, append_bytes_max;
    uint64_t scrub_period_ns;
    uint64_t snapshot_chunk_bytes, catchup_log_bytes, checkpoint_entries, checkpoint_interval_ns;
    uint32_t checkpoints_kept;
    uint64_t command_timeout_ns, client_timeout_ns;
    uint64_t think_ns_max;
    uint64_t faults_from_ns, fault_gap_ns_max;
    uint64_t safety_ns, liveness_ns;
    struct sim_rates always;
    enum sim_net_shape latency_shape;
    uint64_t latency_ns_min, latency_ns_max, piece_bytes_max;
    uint32_t aimed_per_mille;       /* trouble at the very instant of a vote (faults.c, on_sent) */
    uint32_t aimed_write_per_mille; /* a crash while a durable write is on its way */
    bool faults_none;               /* every kind is off */
    uint32_t fault_steps_max;       /* 0: no limit */
    uint32_t weights[SIM_FAULTS_MAX]; /* of the faults, by enum sim_fault */
};

struct sim_cluster;
struct sim_groups;

struct sim_node {
    struct sim_cluster *cluster;
    struct sim_host *host;
    struct kv_node *kv;          /* while it is open; in the host's arena */
    struct skein_waitq stopping; /* its main waits here; woken to end in an orderly way */
    bool stop_asked, exited;
    int exit_code;
    char why[512];
    struct sim_event restart_event, exit_event;
    bool held_down; /* not started again by itself */
    bool damaged;   /* a bit of its disk was flipped: it may refuse to start */
    bool late;      /* its disk is not one of the founders' (members.c) */
    bool spare;     /* no member, its disk empty: waits to be added (members.c) */
    bool older;     /* of the former build: it speaks the oldest version of the protocol only */
    bool replaced;  /* its disk was wiped, and the cluster has not taken the new one in yet */
    uint64_t last_boot;
    uint64_t exits, crashes, refusals;
    char data_dir[16];
    struct replica_peer peers[REPLICA_NODES_MAX];
};

struct sim_client;

struct sim_cluster {
    struct sim_world world;
    struct sim_plan plan;
    struct sim_links links;
    struct sim_node nodes[REPLICA_NODES_MAX];
    struct sim_host *client_host;
    struct sim_client *clients;
    struct skein_linear_history *history;
    bool workload_stopping;
    uint32_t clients_done;
    uint64_t unknown_count, failed_count;
    uint64_t once_count, once_attempts; /* writes in sessions that were done, and what they took */
    uint64_t level_counts[4];           /* reads that were answered, by enum replica_level */
    uint64_t *event_times;              /* of the history's events */
    size_t event_count, event_capacity;
    uint32_t stale_process;
    uint32_t epoch; /* of the keys (workload.h) */
    uint64_t epoch_began_ns, epoch_unknown_count;

    struct sim_event fault_event, aimed_event, sample_event;
    uint32_t aimed_node;
    bool faults_on;
    uint64_t fault_counts[SIM_FAULTS_MAX];
    uint32_t fault_steps;

    struct sim_members *members; /* NULL: they stay */
    uint64_t member_changes;
    struct sim_event upgrade_event;
    struct prng upgrade_random;
    uint64_t upgrades;
    uint64_t slept;                        /* groups that were seen asleep, at each look */
    uint64_t written_ns, write_gap_ns_max; /* oracle_progress.c; 0: nothing written yet */
    struct sim_oracle *oracle;
    enum sim_verdict verdict; /* the first that was found */
    char reason[768];
    uint64_t checkpoints_taken, snapshots_installed, elections, forged_dropped, joins, repairs,
        set_aside;
};

/* sim_violation - note the first one, and end the run. */
void sim_violation(struct sim_cluster *cluster, enum sim_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- node.c ---- */
void sim_node_init(struct sim_cluster *cluster, uint32_t number);
void sim_node_start(struct sim_node *node);
void sim_node_crash(struct sim_node *node, bool power_loss, uint64_t restart_after_ns);
/* sim_node_stop - SIGTERM; it is started again after it has ended. */
void sim_node_stop(struct sim_node *node);
/* sim_node_replace_disk - of a node that is down. */
void sim_node_replace_disk(struct sim_node *node);
bool sim_node_up(const struct sim_node *node);
/* sim_node_group - its replica of @group; NULL: it is not up, or does not serve yet. */
struct replica *sim_node_group(const struct sim_node *node, uint32_t group);
/* sim_node_repairing - its log was damaged and its peers are making it whole, in any group. */
bool sim_node_repairing(const struct sim_node *node);

/* ---- groups.c ---- */
/* sim_groups_serve - the clients' ports of the groups behind the first, each as kv_node_open makes
 * the first one's. @out_groups: **Ownership**: sim_groups_stop, or the process ends. **Runs on**
 * the node, suspends. **Returns** as kv_node_open. */
int sim_groups_serve(struct sim_groups **out_groups, const struct kv_node_options *options,
                     struct replica *replica, char out_why[512]) SKEIN_MUST_CHECK;
/* sim_groups_stop - as kv_node_stop, before it. */
void sim_groups_stop(struct sim_groups *groups);
/* sim_group_addr - where clients of @group reach node @number. */
struct skein_addr sim_group_addr(uint32_t number, uint32_t group);

/* ---- faults_disk.c ---- */
/* sim_faults_may_lose - whether @node's disk may lose what was synced now (sim/faults.h). */
bool sim_faults_may_lose(const struct sim_node *node);
/* sim_faults_on_disk - begin @fault there; false: not now. */
bool sim_faults_on_disk(struct sim_node *node, enum sim_fault fault);
/* sim_faults_disk_calm - its disk and its memory do what they are asked to. */
void sim_faults_disk_calm(struct sim_node *node);
/* sim_faults_mend - @per_mille of the damaged nodes that cannot be used get a new disk. */
void sim_faults_mend(struct sim_cluster *cluster, uint32_t per_mille);
/* sim_faults_restart_ns - how long a node stays down. */
uint64_t sim_faults_restart_ns(struct sim_cluster *cluster);

/* ---- faults.c ---- */
void sim_faults_start(struct sim_cluster *cluster);
/* sim_faults_stop - from now on nothing new breaks; what is broken stays so. */
void sim_faults_stop(struct sim_cluster *cluster);
/* sim_faults_heal_majority - a drawn majority works, among itself and with the clients; returns it
 * as bits. */
uint32_t sim_faults_heal_majority(struct sim_cluster *cluster);
void sim_faults_heal_all(struct sim_cluster *cluster);

/* ---- workload.c ---- */
void sim_workload_start(struct sim_cluster *cluster);
/* sim_workload_stop - the clients finish their operation, read every key once more, and end. */
void sim_workload_stop(struct sim_cluster *cluster);
bool sim_workload_done(const struct sim_cluster *cluster);
/* sim_workload_mark / stuck_client - the clients (from 1) that have completed fewer than @count
 * since the mark; 0: none. */
void sim_workload_mark(struct sim_cluster *cluster);
uint32_t sim_workload_stuck_client(const struct sim_cluster *cluster, uint64_t count);

/* ---- members.c ---- */
void sim_members_open(struct sim_cluster *cluster);
/* sim_members_run - the operator; a fiber of the clients' host, arg: the cluster. */
void sim_members_run(void *arg);
/* sim_members_stop - no new change from now on. */
void sim_members_stop(struct sim_cluster *cluster);
void sim_members_close(struct sim_cluster *cluster);
/* sim_members_settled - no change is wanted or under way. */
bool sim_members_settled(const struct sim_cluster *cluster);
/* sim_members_removed - @node ended because it was removed: it gets a new disk. */
void sim_members_removed(struct sim_node *node);

/* ---- upgrade.c ---- */
/* sim_upgrade_open - before the nodes start. */
void sim_upgrade_open(struct sim_cluster *cluster);
void sim_upgrade_close(struct sim_cluster *cluster);
/* sim_upgrade_versions - what its link speaks in the life that begins. */
struct link_versions sim_upgrade_versions(const struct sim_node *node);

/* ---- oracle*.c (sim/oracle.h) ---- */
void sim_oracle_start(struct sim_cluster *cluster);
void sim_oracle_close(struct sim_cluster *cluster);
/* sim_oracle_on_sent - a RAFT message of node @from is on its way. */
void sim_oracle_on_sent(struct sim_cluster *cluster, uint32_t from, uint32_t group,
                        struct bytes message);
/* sim_oracle_converged - every node that is not damaged runs, and all have applied the same. */
bool sim_oracle_converged(struct sim_cluster *cluster);
/* sim_oracle_progress - every client got on since the mark, while the nodes of bits @majority were
 * healed. */
void sim_oracle_progress(struct sim_cluster *cluster, uint32_t majority);
/* sim_oracle_written - a client's write was acknowledged. */
void sim_oracle_written(struct sim_cluster *cluster);
/* sim_oracle_memory - @bytes_max: of the node that used most. */
void sim_oracle_memory(struct sim_cluster *cluster, uint64_t bytes_max);
/* sim_oracle_history - what the clients saw can be ordered, and was enough. @report: why not;
 * NULL: nowhere. */
void sim_oracle_history(struct sim_cluster *cluster, FILE *report);

#endif
