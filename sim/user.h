/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_USER_H
#define SIM_USER_H

#include "sim/world.h"
#include "skein/sim.h"

/* The inside of skein/sim.h: user.c has the machines and the phases, user_faults.c the trouble. */

struct user_node {
    struct skein_sim *sim;
    uint32_t number;
    struct sim_host *host;
    struct sim_event restart_event;
};

struct skein_sim {
    struct sim_world world;
    struct skein_sim_options options;
    struct skein_sim_result result;
    struct user_node nodes[SKEIN_SIM_NODES_MAX];
    struct sim_host *workload;
    struct sim_event fault_event, calm_event;
    bool calm, done, failed;
};

/* user_node_crash - and it is started again later. @torn_per_mille: of the blocks that are under
 * way, when the power goes. */
void user_node_crash(struct user_node *node, bool power_loss, uint32_t torn_per_mille);

void user_faults_start(struct skein_sim *sim);
/* user_faults_end - all is mended. */
void user_faults_end(struct skein_sim *sim);

#endif
