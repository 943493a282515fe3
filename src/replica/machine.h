/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_MACHINE_H
#define REPLICA_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/wire.h"

/*
 * The seam of state machines: what a user of the replicated log writes. Six callbacks.
 *
 * A machine is deterministic: the same commands in the same order give the same state and the same
 * replies on every member. It sees no clock; the log's time (milliseconds since 1970, never going
 * back) comes with each command. All calls are made on one shard, one at a time but for those of
 * which it is said; what may suspend says so.
 *
 * **A machine that keeps its state on disk itself** has persist and note in addition. Its
 * checkpoint is a persist: the replica gives it a note (index, configuration ...), which comes to
 * be durable with the state of the call, and after a restart the replica begins with the note and
 * not with a file. A checkpoint's file (snapshot_save) is written only when somebody asks for one:
 * a follower that is too far behind, a backup. A snapshot that comes in is loaded as ever, and
 * persisted.
 */

struct replica_command {
    uint64_t index;    /* of the log entry; several commands may share one */
    uint64_t time_ms;  /* log time */
    struct bytes data; /* borrowed for the call; take a reference to keep parts of it */
};

/* Where snapshot_save puts its bytes and snapshot_load gets them. Both may suspend the fiber. */
struct replica_sink {
    int (*write)(struct replica_sink *sink, const void *data, size_t count);
};
struct replica_source {
    /* exactly @count bytes; -SKEIN_EEOF: none left; -SKEIN_ECORRUPT: damaged (the caller reports
     * where). */
    int (*read)(struct replica_source *source, void *data, size_t count);
};

struct replica_machine_ops {
    const char *name;
    /* open - an empty machine. @config: what the program gave to replica_open. */
    int (*open)(void **out_machine, void *config);
    /*
     * apply - one committed command. @reply: NULL on members where nobody waits; else the reply's
     * bytes are appended to it. A command that cannot be carried out is answered in the reply;
     * apply itself does not fail. Bytes that are no command at all (a peer's fault) change nothing
     * and reply an error.
     */
    void (*apply)(void *machine, const struct replica_command *command, struct wire_writer *reply);
    /* query - a read that changes nothing; log time as of the last applied command in
     * @command->time_ms. */
    void (*query)(void *machine, const struct replica_command *command, struct wire_writer *reply);
    /* snapshot_save - the state as it is at the call: whatever it needs it captures before its
     * first write (which may suspend, and commands are applied meanwhile). */
    int (*snapshot_save)(void *machine, struct replica_sink *sink);
    /* snapshot_load - replace the whole state. On failure the machine is empty. */
    int (*snapshot_load)(void *machine, struct replica_source *source);
    void (*close)(void *machine);

    /* What not every machine has; NULL else. */

    /* The name in the data directory under which it keeps its state, if it does. */
    const char *directory;

    /*
     * failure - 0, or why the machine cannot go on (memory is out, its table is damaged); @out_why:
     * one line with the remedy. Asked after each apply and query, and never undone: what was
     * replied since the last time counts for nothing, and the replica stops serving. For what only
     * this member suffers from: what is every member's is answered in the reply.
     */
    int (*failure)(void *machine, char out_why[512]);
    /* prepare - these commands are applied or queried soon: the chance to read ahead, or to hold
     * back whoever writes faster than the disk. Suspends. true: it wants to be persisted soon. */
    bool (*prepare)(void *machine, const struct bytes *commands, size_t count);
    /* persist - make the state as it is at the call durable with @note, in one step. Suspends;
     * commands are applied and queried meanwhile, snapshots are saved. A failure is for good. */
    int (*persist)(void *machine, struct bytes note);
    /* note - of the state that open found; **Ownership**: bytes_unref. -SKEIN_ENOTFOUND: it found
     * nothing. */
    int (*note)(void *machine, struct bytes *out_note);
};

#endif
