/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_CLUSTER_H
#define APP_CLUSTER_H

#include "app/nodes.h"
#include "replica/members.h"

/* skein cluster: what its files share. */

struct cluster_options {
    struct nodes nodes;
    uint64_t timeout_ns;
    bool wait, force, json;
    const char *data_dir; /* recover */
    bool accept_loss;
};

struct cluster {
    struct cluster_options options;
    const char *action;
    const char *argv[3 + REPLICA_NODES_MAX]; /* the SKEIN command; empty: show the members */
    uint32_t argc;
    uint64_t deadline_ns;
    uint32_t leader_at; /* who answered, in options.nodes */
    bool reached;       /* somebody answered */
    char note[256];
};

/* cluster_members - what SKEIN MEMBERS says at node @at. @out_text: **Ownership**: bytes_unref.
 * **Returns** 0, or as kv_client_call. */
int cluster_members(struct cluster *cluster, uint32_t at, struct bytes *out_text) SKEIN_MUST_CHECK;
/* cluster_show - the members, from the leader if it answers, else from anybody. Returns the exit
 * status. */
int cluster_show(struct cluster *cluster);
/* cluster_recover - a cluster that lost its quorum goes on from one directory. The exit status. */
int cluster_recover(const struct cluster *cluster);
/* cluster_print_string - as JSON. */
void cluster_print_string(const char *text);
/* cluster_print_result - how an action ended. */
void cluster_print_result(const struct cluster *cluster, const char *result, const char *note);

#endif
