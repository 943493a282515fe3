/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_DIAL_CASES_H
#define NET_DIAL_CASES_H

#include "core/check.h"
#include "skein/socket.h"

/* dial_cases - dialling by a name server that lies, and by known names. */
int dial_cases(void *arg);
/* dial_stagger - @dead, with a port, answers nothing. */
void dial_stagger(struct check *check, const struct skein_addr *dead);

#endif
