/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_BACKEND_H
#define SIM_BACKEND_H

#include "core/backend.h"
#include "sim/world.h"

/*
 * core/backend.h in virtual time.
 *
 *   submit --> struct sim_op --> [disk: after a drawn latency]  --+--> event --> op->complete, turn
 *                            --> [socket: waits until it can]   --+
 *
 * An op's effect on the disk takes place at the instant of its completion; of those in flight at a
 * crash each is drawn: not done, done, or (writes) done in part. An op whose result is decided is
 * not cancelled any more.
 */

struct sim_inode;
struct sim_end;
struct sim_listener;
struct sim_datagram;

enum sim_handle_kind {
    SIM_HANDLE_FREE,
    SIM_HANDLE_FILE,
    SIM_HANDLE_LISTENER,
    SIM_HANDLE_END,
    SIM_HANDLE_DATAGRAM
};

struct sim_handle {
    enum sim_handle_kind kind;
    uint32_t flags; /* of open */
    bool locked;
    struct sim_inode *inode;
    struct sim_listener *listener;
    struct sim_end *end;
    struct sim_datagram *datagram;
};

struct sim_op {
    struct skein_list link; /* the backend's ops */
    struct backend_op *op;
    struct sim_host *host;
    unsigned shard; /* whose fiber waits for it */
    struct sim_event event;
    uint64_t stamp; /* sync: what it covers */
    uint64_t tries; /* connect */
    bool decided;   /* result stands */
    bool waiting;   /* a socket op without an event: cancel may end it */
    int64_t result;
    struct sim_op **slot; /* while waiting on a socket: where it is noted there */
    struct sim_op *next_free;
};

/* sim_backend_init - for shard @shard of the host. Ops and handles are the process's: those of the
 * first shard's backend serve all. */
void sim_backend_init(struct sim_backend *backend, struct sim_host *host, unsigned shard);
/* sim_backend_drop - the process died: draw what the ops in flight did, forget them and the
 * handles. */
void sim_backend_drop(struct sim_backend *backend, bool power_loss);

/* sim_ops_close - what the world keeps for ops to come. */
void sim_ops_close(struct sim_world *world);

/* sim_op_finish - decide @result; complete is called @delay_ns from now. */
void sim_op_finish(struct sim_op *sop, int64_t result, uint64_t delay_ns);

/* sim_handle_new - a free slot, zeroed. sim_handle_get - NULL: no such handle of that kind. */
int sim_handle_new(struct sim_backend *backend, enum sim_handle_kind kind);
struct sim_handle *sim_handle_get(struct sim_backend *backend, int handle,
                                  enum sim_handle_kind kind);
void sim_handle_free(struct sim_backend *backend, int handle);

/* File ops (backend_file.c): what the op does at its completion; its latency. */
bool sim_is_file_op(enum backend_op_kind kind);
int64_t sim_file_perform(struct sim_op *sop);
uint64_t sim_file_latency_ns(struct sim_op *sop);
void sim_file_cut(struct sim_op *sop); /* in flight when the process died */

#endif
