/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdint.h>

#include "skein/error.h"

/*
 * The kinds of trouble. Each step of the nemesis ends some of what is going on and begins one more.
 *
 * What can destroy data that was synced (a flipped bit, noise in sectors, a misdirected write, a
 * wiped disk) meets a minority of the nodes at a time: the next one only when the cluster has taken
 * a damaged one in again. So of everything there is one good copy, and recovery is possible.
 * Everything else meets any number, a block torn by sectors, too: the log tells it from damage.
 */
enum sim_fault {
    SIM_FAULT_CRASH,
    SIM_FAULT_CRASH_ALL,
    SIM_FAULT_STOP, /* in an orderly way */
    SIM_FAULT_PAUSE,
    SIM_FAULT_SPLIT, /* two sides that do not hear each other */
    SIM_FAULT_ONE_WAY,
    SIM_FAULT_ISOLATE_LEADER,
    SIM_FAULT_LINK, /* loss, repetition, delay */
    SIM_FAULT_DISK_ERRORS,
    SIM_FAULT_DISK_FULL,
    SIM_FAULT_DISK_SLOW,
    SIM_FAULT_FLIP, /* of one bit, or of some */
    SIM_FAULT_WIPE,
    SIM_FAULT_CLOCK,
    SIM_FAULT_MISDIRECT, /* a write went astray */
    SIM_FAULT_CLOG,      /* nothing arrives on some ways, and then everything */
    SIM_FAULT_TRANSFER,  /* leadership is handed over, and the old leader may not hear of it */
    SIM_FAULT_ROT,       /* one sector in a hundred of the log holds noise */
    SIM_FAULT_MEMORY,    /* allocations fail, those that are asked whether they may */
    SIM_FAULT_COUNT
};

/* sim_fault_name - "crash" ...; of SIM_FAULT_COUNT "aimed": trouble at the instant of a message. */
const char *sim_fault_name(enum sim_fault fault);
/* sim_faults_parse - "crash,link", "none": @out_off: the others, a bit each. **Returns** 0;
 * -SKEIN_EINVALID: no such fault. */
int sim_faults_parse(const char *list, uint32_t *out_off) SKEIN_MUST_CHECK;

#endif
