/* SPDX-License-Identifier: Apache-2.0 */
/* skein cluster recover: on the directory of a node that is stopped, without any other node. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/cluster.h"
#include "kv/machine.h"
#include "replica/replica.h"
#include "replica/rescue.h"
#include "skein/error.h"
#include "skein/file.h"

static void
format_id(const uint8_t id[16], char out[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", id[i]);
}

static void
print_voters(const struct raft_config *config, const char *between)
{
    const char *before = "";
    for (uint32_t i = 0; i < config->count; i++) {
        if (!(config->roles[i] & (RAFT_VOTER | RAFT_OUTGOING)))
            continue;
        printf("%s%u", before, replica_raft_node(config->ids[i]));
        before = between;
    }
}

static void
print_holding(const struct rescue_report *report)
{
    char cluster[33];
    format_id(report->cluster, cluster);
    printf("node %u of cluster \"%s\" (%s); its voters: nodes ", report->node, report->cluster_name,
           cluster);
    print_voters(&report->config, ", ");
    printf("\n\n%-6s %8s %12s %10s %16s %12s\n", "GROUP", "TERM", "LAST INDEX", "LAST TERM",
           "KNOWN COMMITTED", "CHECKPOINT");
    for (uint32_t i = 0; i < report->group_count; i++) {
        const struct rescue_group *group = &report->groups[i];
        printf("%-6u %8" PRIu64 " %12" PRIu64 " %10" PRIu64 " %16" PRIu64 " %12" PRIu64 "\n", i,
               group->term, group->last_index, group->last_term, group->commit_index,
               group->checkpoint_index);
        if (group->promised_index)
            printf("       ITS LOG WAS DAMAGED: it had acknowledged entries up to %" PRIu64 "\n",
                   group->promised_index);
    }
    if (report->damage[0])
        printf("\nTHE LOG IS DAMAGED: %s\n", report->damage);
}

static void
print_warning(const struct cluster *cluster)
{
    printf("\nNothing was changed. A recovery makes this node the only voter of a new cluster that "
           "begins with\nwhat is listed above. WRITES THAT WERE ACKNOWLEDGED MAY BE LOST: those "
           "that only nodes hold which are\nlost, and one disk cannot tell which they are. So:\n"
           "  - Recover only when a majority of the voters is lost for ever. If it can come back, "
           "wait for it.\n"
           "  - Look at every node that is left, and recover the one with the highest LAST TERM, "
           "among those with\n    the highest LAST INDEX. Empty the others' directories.\n"
           "  - Never start a lost node with its old directory again.\n"
           "To do it: skein cluster recover --data %s --accept-loss\n",
           cluster->options.data_dir);
}

static void
print_done(const struct cluster *cluster, const struct rescue_report *report)
{
    char cluster_id[33];
    format_id(report->new_cluster, cluster_id);
    printf("\n%s: node %u is the only voter of cluster %s now; acknowledged writes that it did not "
           "hold are lost.\n"
           "Start it as before, and add the others, with emptied directories and --join: skein "
           "cluster add\n"
           "The former state is in %s/%s; remove it when nothing of it is missed.\n",
           report->finished ? "finished what an earlier recovery had begun" : "recovered",
           report->node, cluster_id, cluster->options.data_dir, report->former_dir);
}

static void
print_json(const struct rescue_report *report, bool recovered)
{
    char id[33];
    printf("{\"recovered\": %s, \"finished_earlier\": %s, \"node\": %u, \"cluster_name\": ",
           recovered ? "true" : "false", report->finished ? "true" : "false", report->node);
    cluster_print_string(report->cluster_name);
    if (recovered) {
        format_id(report->new_cluster, id);
        printf(", \"new_cluster\": \"%s\", \"former_dir\": ", id);
        cluster_print_string(report->former_dir);
    }
    if (!report->finished) {
        format_id(report->cluster, id);
        printf(", \"cluster\": \"%s\", \"voters\": [", id);
        print_voters(&report->config, ", ");
        printf("], \"damage\": ");
        cluster_print_string(report->damage);
        printf(", \"groups\": [");
        for (uint32_t i = 0; i < report->group_count; i++) {
            const struct rescue_group *group = &report->groups[i];
            printf("%s\n  {\"group\": %u, \"term\": %" PRIu64 ", \"vote\": %" PRIu64
                   ", \"last_index\": %" PRIu64 ", \"last_term\": %" PRIu64
                   ", \"known_committed\": %" PRIu64 ", \"checkpoint\": %" PRIu64
                   ", \"promised\": %" PRIu64 "}",
                   i ? "," : "", i, group->term, group->vote_node, group->last_index,
                   group->last_term, group->commit_index, group->checkpoint_index,
                   group->promised_index);
        }
        printf("\n]");
    }
    printf("}\n");
}

static bool
has_table(const char *data_dir)
{
    char path[4200];
    struct skein_stat stat;
    snprintf(path, sizeof(path), "%.4000s/" KV_TABLE_DIR, data_dir);
    return skein_file_stat(path, &stat) == 0;
}

int
cluster_recover(const struct cluster *cluster)
{
    char why[512] = "";
    const char *data_dir = cluster->options.data_dir;
    bool on_disk = has_table(data_dir);
    struct kv_machine_config machine = {
        .store = on_disk ? KV_STORE_LMDB : KV_STORE_MEMORY, .data_dir = data_dir, .out_why = why};
    const struct rescue_options options = {.data_dir = data_dir,
                                           .machine_ops =
                                               on_disk ? &kv_machine_disk_ops : &kv_machine_ops,
                                           .machine_config = &machine,
                                           .confirmed = cluster->options.accept_loss};
    struct rescue_report report;
    int rc = rescue_run(&options, &report, why);
    if (rc < 0)
        fprintf(stderr, "skein cluster: %s\n", why);
    else if (cluster->options.json)
        print_json(&report, options.confirmed);
    if (rc == 0 && !cluster->options.json) {
        if (!report.finished)
            print_holding(&report);
        if (options.confirmed)
            print_done(cluster, &report);
        else
            print_warning(cluster);
    }
    rescue_report_deinit(&report);
    return rc < 0 ? 1 : 0;
}
