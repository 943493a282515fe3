/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/expire.h"
#include "kv/face.h"
#include "sim/cluster.h"

#define SEND_TIMEOUT_NS (60 * SIM_SECOND)

struct sim_groups {
    uint64_t shutdown_timeout_ns;
    uint32_t count; /* that serve, from group 1 on */
    struct kv_face *faces[SIM_GROUPS_MAX];
    struct kv_expirer expirers[SIM_GROUPS_MAX];
    struct skein_scope scope; /* the expirers */
};

struct skein_addr
sim_group_addr(uint32_t number, uint32_t group)
{
    return sim_host_addr(number, (uint16_t)(SIM_CLIENT_PORT + group));
}

static int
serve(struct sim_groups *groups, const struct kv_node_options *options, struct replica *replica,
      uint32_t group, char out_why[512])
{
    struct kv_face_options face = {
        .replica = replica_group(replica, group),
        .listen = sim_group_addr(options->replica.node, group),
        .limits = options->limits,
        .command_timeout_ns = options->command_timeout_ns,
        .send_timeout_ns = SEND_TIMEOUT_NS,
        .client_count_max = options->client_count_max,
        .query_bytes_max = options->query_bytes_max,
        .allow_plaintext = options->allow_plaintext,
    };
    int rc = kv_face_open(&groups->faces[group], &face, out_why);
    if (rc < 0)
        return rc;
    groups->count++;
    groups->expirers[group] =
        (struct kv_expirer){.replica = face.replica,
                            .group_count = 1,
                            .limits = options->limits,
                            .command_timeout_ns = options->command_timeout_ns};
    return kv_expirer_start(&groups->expirers[group], &groups->scope);
}

int
sim_groups_serve(struct sim_groups **out_groups, const struct kv_node_options *options,
                 struct replica *replica, char out_why[512])
{
    struct sim_groups *groups = mem_zalloc(sizeof(*groups));
    int rc = 0;
    groups->shutdown_timeout_ns = options->shutdown_timeout_ns;
    skein_scope_init(&groups->scope);
    for (uint32_t group = 1; group < options->replica.group_count && rc == 0; group++)
        rc = serve(groups, options, replica, group, out_why);
    *out_groups = groups;
    return rc;
}

void
sim_groups_stop(struct sim_groups *groups)
{
    uint64_t deadline_ns = skein_deadline_in(groups->shutdown_timeout_ns);
    skein_shield(true);
    skein_scope_cancel(&groups->scope);
    for (uint32_t group = 1; group <= groups->count; group++)
        kv_face_stop_accepting(groups->faces[group]);
    for (uint32_t group = 1; group <= groups->count; group++)
        kv_face_stop(groups->faces[group], deadline_ns);
    skein_scope_join(&groups->scope);
    skein_shield(false);
    mem_free(groups);
}
