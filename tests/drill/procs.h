/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DRILL_PROCS_H
#define TESTS_DRILL_PROCS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/prng.h"
#include "core/backend.h"

/*
 * Real `skein serve` processes of one cluster on loopback, with their data in one temporary folder.
 * Used by the drills; only they may make processes.
 */

#define PROCS_MAX 5

struct procs {
    const char *skein; /* the program */
    char folder[256];
    char peers[512];
    const char *extra[16]; /* more arguments of serve, NULL at the end */
    uint32_t count;
    uint16_t base_port; /* clients: base + n; peers: base + 100 + n; n from 1 */
    pid_t pid[PROCS_MAX + 1];
};

/* procs_init - choose free ports and a folder. Returns 0 or -errno. */
int procs_init(struct procs *procs, const char *skein, uint32_t count);
/* procs_start - start node @n; its log is appended to <folder>/node-<n>.log. Returns 0 or -errno.
 */
int procs_start(struct procs *procs, uint32_t n);
/* procs_kill - SIGKILL and reap. */
void procs_kill(struct procs *procs, uint32_t n);
/* procs_signal - SIGSTOP, SIGCONT. */
void procs_signal(struct procs *procs, uint32_t n, int signal);
/* procs_stop_all - SIGTERM, reap. Returns the number of nodes that did not exit with 0. */
int procs_stop_all(struct procs *procs);
/* procs_wipe - remove the data directory of a dead node. */
int procs_wipe(const struct procs *procs, uint32_t n);
/* procs_damage - flip a bit in about one of @one_in of the log's blocks of a dead node, at least in
 * one; not in the last one that was written, without which nobody can tell what it promised (it
 * would refuse). Returns their number, or -errno. */
int procs_damage(const struct procs *procs, uint32_t n, uint32_t one_in, struct prng *prng);
/* procs_died - a node that ended by itself, 0: none. */
uint32_t procs_died(struct procs *procs, int *out_status);
/* procs_deinit - kill what is left and, unless @keep, remove the folder. */
void procs_deinit(struct procs *procs, bool keep);

struct skein_addr procs_addr(const struct procs *procs, uint32_t n);
/* procs_info - a number of node @n's INFO, -1 when it does not answer. Suspends. */
int64_t procs_info(const struct procs *procs, uint32_t n, const char *key);
/* procs_leader - whom the reachable nodes call leader, 0: nobody. Suspends. */
uint32_t procs_leader(const struct procs *procs);

#endif
