/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_RESCUE_INTERNAL_H
#define REPLICA_RESCUE_INTERNAL_H

#include "replica/host.h"
#include "replica/rescue.h"

/* What the two halves of a rescue share: rescue.c makes the new state, rescue_switch.c puts it in
 * the old one's place. */

#define RESCUE_NAME "recovery"
#define RESCUE_PATH_BYTES 4300u

struct rescue {
    const struct rescue_options *options;
    struct rescue_report *report;
    struct host *host;
    char dir[RESCUE_PATH_BYTES]; /* data_dir/recovery */
    uint32_t steps;
    char *why;
};

enum rescue_progress {
    RESCUE_NONE,     /* there is no recovery/ */
    RESCUE_PARTLY,   /* the old state is untouched */
    RESCUE_COMPLETE, /* the new state is complete: the switch is to be made, or went on */
    RESCUE_DONE      /* the new state is in place; recovery/ is still there */
};

/* rescue_progress - how far an earlier run came. */
int rescue_progress(struct rescue *rescue, enum rescue_progress *out_progress) SKEIN_MUST_CHECK;
/* rescue_discard - remove what was made of the new state. */
int rescue_discard(struct rescue *rescue) SKEIN_MUST_CHECK;
/* rescue_switch - from RESCUE_COMPLETE or RESCUE_DONE to the end; fills the report's last lines. */
int rescue_switch(struct rescue *rescue) SKEIN_MUST_CHECK;

#endif
