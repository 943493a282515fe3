/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_IDENTITY_H
#define REPLICA_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "replica/genesis.h"

/*
 * The file `identity` of a data directory (a smallfile): who this disk is.
 *
 *   u8 name bytes | name | u32 node | u64 incarnation | u8 state | u8 log_begun
 *   | [map, unless unborn] | [u64 let_in_index, unless 0 and one group]
 *   | [u32 group_count, unless 1] | [16 former cluster, of one that was recovered]
 *
 * The state's bit 7: rejoined. log_begun is set once the log exists, before the first vote can
 * leave: a directory that says so and has no log has lost its memory, and is refused.
 */
struct identity {
    char name[GENESIS_NAME_BYTES_MAX + 1];
    uint32_t node;
    uint64_t incarnation;
    enum genesis_state state;
    bool log_begun;
    bool rejoined; /* made when the directory was damaged: founds no cluster (replica/aside.h) */
    uint32_t group_count; /* 1 to REPLICA_GROUPS_MAX */
    struct genesis_map map;
    uint64_t let_in_index; /* JOINING: at the latest here the log took this disk in; 0: not yet */
    /* This cluster was recovered out of that one, which had lost its quorum (replica/rescue.h). */
    bool recovered;
    uint8_t former[16];
};

int identity_write(const char *dir, const struct identity *identity) SKEIN_MUST_CHECK;
/* identity_write_aside - the same, as the file identity.damaged. */
int identity_write_aside(const char *dir, const struct identity *identity) SKEIN_MUST_CHECK;
/* identity_read - **Returns** 0; -ENOENT: a new directory; as smallfile_read otherwise; @out_why:
 * 512 bytes. */
int identity_read(const char *dir, struct identity *out_identity,
                  char out_why[512]) SKEIN_MUST_CHECK;
/* identity_draw - a new unborn disk. Draws entropy. */
void identity_draw(struct identity *identity, const char *name, uint32_t node);

#endif
