/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CORE_URING_H
#define CORE_URING_H

#include <stdint.h>

#include "base/assert.h"

struct backend;

/*
 * The io_uring backend: one ring (SINGLE_ISSUER, DEFER_TASKRUN where the kernel has them), one
 * io_uring_enter for all that a turn of the shard submitted, and a few helper threads for what the
 * ring cannot do (listing directories, work ops).
 */

/*
 * uring_open - open a ring for the calling thread.
 * @helper_count: helper threads, 1 to 64, started when first needed.
 * **Returns** 0; -ENOSYS or -EPERM: the kernel refuses io_uring (io_uring_disabled, seccomp);
 * -ENOMEM, -EMFILE: limits of this process.
 */
int uring_open(struct backend **out_backend, unsigned helper_count) SKEIN_MUST_CHECK;
/* uring_set_gather - see skein_backend_options. 40 us when not set. */
void uring_set_gather(struct backend *backend, uint64_t gather_ns);
/* uring_close - every op must be complete. Joins the helpers. */
void uring_close(struct backend *backend);

#endif
